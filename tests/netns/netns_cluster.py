# SPDX-License-Identifier: GPL-2.0-or-later
"""N real Corosync nodes on this machine: a network and a mount namespace each, joined by bridges in a namespace of their own.

libqb's sockets are abstract, so the network namespace keeps the nodes' clients apart; /run, /dev/shm, /etc/corosync and
/var/lib/corosync are private mounts. The host's network is not touched, and no namespace has a name: each lives as long as the
process that holds it, and the holders die with this one (PR_SET_PDEATHSIG), even if it is killed.

    with Cluster(3, tmp_path) as cluster:
        cluster.start()
        n1, n2, n3 = cluster.nodes
        p = n1.popen(["some-program"])
        cluster.partition([n1, n2], [n3])
        cluster.heal()
        n2.corosync.kill()

Needs root. Ends only processes it started, by their ids.
"""
import ctypes
import json
import os
import signal
import subprocess
import threading
import time

TOKEN_MS = 1500
PRIVATE_DIRS = ("etc/corosync", "var/lib/corosync", "var/lib/lunward", "etc/drbd.d")  # below the node's folder, mounted over /...
LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    pr_set_pdeathsig = 1
    LIBC.prctl(pr_set_pdeathsig, signal.SIGKILL)


def wait_until(predicate, timeout_s=30, what="condition"):
    """Asks again and again until the answer is true; returns it."""
    end = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout_s} s")
        time.sleep(0.02)


class Namespaces:
    """A network and a mount namespace, held by a process that does nothing."""

    def __init__(self, setup=""):
        # The holder says "ready" once its mounts are made; it ends when its standard input does.
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec",
             f"{setup}\nip link set lo up\necho ready\nexec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        if self.holder.stdout.readline() != b"ready\n":
            raise RuntimeError("namespaces: set-up failed")

    def argv(self, argv):
        return ["nsenter", "--target", str(self.holder.pid), "--net", "--mount", "--", *argv]

    def popen(self, argv, **kwargs):
        """nsenter becomes the program: the pid is the program's."""
        return subprocess.Popen(self.argv(argv), preexec_fn=die_with_parent, **kwargs)

    def run(self, argv, check=True, **kwargs):
        kwargs.setdefault("capture_output", True)
        kwargs.setdefault("text", True)
        kwargs.setdefault("timeout", 60)
        done = subprocess.run(self.argv(argv), preexec_fn=die_with_parent, check=False, **kwargs)
        if check and done.returncode != 0:
            raise RuntimeError(f"{argv}: exit status {done.returncode}: {done.stderr}")
        return done

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdin.close()
        self.holder.stdout.close()


class Corosync:
    """The daemon of one node: start, kill (no goodbye), stop (SIGTERM), pause and resume."""

    def __init__(self, node):
        self.node = node
        self.process = None

    def start(self):
        assert not self.is_running()
        with open(self.node.path("corosync.log"), "a", encoding="utf-8") as log:
            self.process = self.node.popen(["corosync", "-f"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


class Node:
    def __init__(self, cluster, nodeid):
        self.cluster = cluster
        self.nodeid = nodeid
        self.name = f"n{nodeid}"
        self.address = f"10.77.0.{nodeid}"
        self.port = f"p{nodeid}"  # this node's end on the switch
        self.processes = []
        self.corosync = Corosync(self)
        for name in PRIVATE_DIRS:
            os.makedirs(self.path(name), exist_ok=True)
        binds = "\n".join(f"mkdir -p /{d}\nmount --bind {self.path(d)} /{d}" for d in PRIVATE_DIRS)
        self.namespaces = Namespaces(f"{binds}\nmount -t tmpfs tmpfs /run\nmount -t tmpfs tmpfs /dev/shm")

    def path(self, *names):
        return os.path.join(self.cluster.folder, self.name, *names)

    def popen(self, argv, **kwargs):
        process = self.namespaces.popen(argv, **kwargs)
        self.processes.append(process)
        return process

    def run(self, argv, check=True, **kwargs):
        return self.namespaces.run(argv, check=check, **kwargs)

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()  # works on stopped ones too
                process.wait()
        self.namespaces.close()


class Cluster:
    def __init__(self, n_nodes, folder, token_ms=TOKEN_MS):
        self.folder = str(folder)
        self.token_ms = token_ms
        self.nodes = []
        self.switch = None
        self.bridges = 1
        try:
            self.switch = Namespaces()
            self.switch.run(["ip", "link", "add", "br0", "type", "bridge"])
            self.switch.run(["ip", "link", "set", "br0", "up"])
            for nodeid in range(1, n_nodes + 1):
                self._add_node(nodeid)
            for node in self.nodes:
                self._write_conf(node)
        except BaseException:
            self.close()
            raise

    def _add_node(self, nodeid):
        node = Node(self, nodeid)
        self.nodes.append(node)
        self.switch.run(["ip", "link", "add", node.port, "type", "veth", "peer", "name", "eth0", "netns",
                         str(node.namespaces.holder.pid)])
        self.switch.run(["ip", "link", "set", node.port, "master", "br0", "up"])
        node.run(["ip", "address", "add", f"{node.address}/24", "dev", "eth0"])
        node.run(["ip", "link", "set", "eth0", "up"])

    def conf(self):
        entries = "".join(f"  node {{\n    ring0_addr: {n.address}\n    nodeid: {n.nodeid}\n    name: {n.name}\n  }}\n"
                          for n in self.nodes)
        return (f"totem {{\n  version: 2\n  cluster_name: netns\n  transport: knet\n  token: {self.token_ms}\n"
                "  crypto_cipher: none\n  crypto_hash: none\n}\n"
                f"nodelist {{\n{entries}}}\n"
                "quorum {\n  provider: corosync_votequorum\n}\n"
                "system {\n  move_to_root_cgroup: no\n}\n"
                "logging {\n  to_stderr: yes\n  to_syslog: no\n  timestamp: hires\n}\n")

    def _write_conf(self, node):
        with open(node.path("etc/corosync/corosync.conf"), "w", encoding="utf-8") as conf:
            conf.write(self.conf())

    def start(self):
        for node in self.nodes:
            node.corosync.start()

    # --- network ---------------------------------------------------------------------------------

    def partition(self, *sides):
        """Each side (a list of nodes) gets a bridge of its own; who is on none is cut off alone."""
        placed = set()
        for side in sides:
            bridge = f"br{self.bridges}"
            self.bridges += 1
            self.switch.run(["ip", "link", "add", bridge, "type", "bridge"])
            self.switch.run(["ip", "link", "set", bridge, "up"])
            for node in side:
                self.switch.run(["ip", "link", "set", node.port, "master", bridge])
                placed.add(node)
        for node in self.nodes:
            if node not in placed:
                self.cut(node)

    def cut(self, node):
        """The cable is in, but leads nowhere (a pulled one would be `ip link set down`, which a node notices)."""
        self.switch.run(["ip", "link", "set", node.port, "nomaster"])

    def unplug(self, node):
        self.switch.run(["ip", "link", "set", node.port, "down"])

    def heal(self):
        for node in self.nodes:
            self.switch.run(["ip", "link", "set", node.port, "master", "br0", "up"])

    # --- life ------------------------------------------------------------------------------------

    def close(self):
        for node in self.nodes:
            node.close()
        if self.switch:
            self.switch.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class JsonLines:
    """A program that takes lines and says JSON lines: all it said, and waiting for what it will say."""

    def __init__(self, node, argv):
        self.node = node
        self.events = []
        self.changed = threading.Condition()
        self.process = node.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.events.append(json.loads(line))
                self.changed.notify_all()
        with self.changed:
            self.events.append({"event": "end"})
            self.changed.notify_all()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def mark(self):
        """A place in the stream: events from here on."""
        with self.changed:
            return len(self.events)

    def since(self, mark=0, **match):
        with self.changed:
            return [e for e in self.events[mark:] if all(e.get(k) == v for k, v in match.items())]

    def wait(self, mark=0, timeout_s=90, **match):
        """The first event from `mark` on that has these members."""
        def find():
            return next((e for e in self.events[mark:] if all(e.get(k) == v for k, v in match.items())), None)
        with self.changed:
            if not self.changed.wait_for(find, timeout_s):
                raise TimeoutError(f"{self.node.name}: no {match} within {timeout_s} s; said: {self.events[mark:][-20:]}")
            return find()

    def kill(self):
        self.process.kill()
        self.process.wait()

# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster of whole nodes: real Corosync and lunwardd in namespaces, the kernels and disks of world.py behind lunwardd's doors.

Groups: g1 on DRBD (n1, n2; two volumes), g2 on shared storage (n1 to n4; one volume); one target with a portal per node. n5 is a witness.
"""
import json
import os
import re
import signal
import subprocess
import time

from netns_cluster import TOKEN_MS, Cluster, wait_until
from world import World

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.path.join(HERE, "tools")
PATIENCE_S = 90  # for what is to happen; the machine may be busy
START_WAIT_S = 10  # for nodes that boot after the others
BOUND_S = 30  # for what must have stopped
VOLUMES = {"g1": ("v1", "v2"), "g2": ("s1",)}
# The core that tells a trace again must speak as the one that wrote it.
REPLAYS = {"lunwardd-netns": "tests/replay/replay", "lunwardd-next": "tests/netns/replay-next"}
DEAF = "02:00:00:00:00:99"  # nobody's address


class Agent:
    """lunwardd of one node, and what `lunward` says there."""

    def __init__(self, node, build_dir):
        self.node, self.build_dir = node, build_dir
        self.process = None
        self.program = "lunwardd-netns"
        self.options = []
        self.health = "off"  # there is no target behind the portals to look at
        self.lives = 0
        self.is_traced = True  # but where its cost is measured: users trace nothing
        self.traces = []  # of lives that are not replayed yet
        self.epochs = {}  # group -> the last one seen: they only grow

    def path(self, *names):
        return os.path.join(self.build_dir, *names)

    def env(self):
        return dict(os.environ, PATH=f"{TOOLS}:{os.environ['PATH']}", LUNWARD_NETNS_WORLD=self.node.cluster.world.socket,
                    LUNWARD_NETNS_CONFIGFS=self.node.configfs_socket, LUNWARD_NETNS_NODE=self.node.name)

    def start(self):
        assert self.process is None or self.process.poll() is not None
        self.lives += 1
        trace = []
        if self.is_traced:
            trace = ["--trace", self.node.path(f"trace-{self.lives}")]
            self.traces.append((trace[1], REPLAYS[self.program]))
        with open(self.node.path("lunwardd.log"), "a", encoding="utf-8") as log:
            self.process = self.node.popen([self.path("tests/netns", self.program), "--fence-dir", TOOLS, "--start-wait", str(START_WAIT_S),
                                            "--health", self.health, *trace, *self.options],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env())

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def lunward(self, *args, check=False, timeout=100):
        done = self.node.run([self.path("lunward"), *args], check=False, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"{self.node.name}: lunward {' '.join(args)}: {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def start_lunward(self, *args):
        return self.node.popen([self.path("lunward"), *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)

    def status(self):
        """{} if there is no answer. An epoch that is smaller than one this node has shown as committed is a failure."""
        try:
            done = self.node.run([self.path("lunward"), "status", "--format", "json"], check=False, timeout=10)
        except subprocess.TimeoutExpired:
            return {}
        if done.returncode != 0:
            return {}
        status = json.loads(done.stdout)
        if status["active"] and status["committed"] == status["state_version"]:
            for group in status["groups"]:
                assert group["epoch"] >= self.epochs.get(group["name"], 0), f"{self.node.name}: epoch of {group['name']} fell"
                self.epochs[group["name"]] = group["epoch"]
        return status

    def group(self, name):
        return next((g for g in self.status().get("groups", []) if g["name"] == name), {})

    def states(self):
        status = self.status()
        return {n["name"]: n["state"] for n in status["nodes"]} if status.get("active") else {}

    def member(self, name):
        return next((n for n in self.status().get("nodes", []) if n["name"] == name), {})

    def wait_states(self, **states):
        def seen():
            now = self.states()
            return all(now.get(n) == s for n, s in states.items())
        wait_until(seen, PATIENCE_S, f"{self.node.name} sees {states}")

    def wait_group(self, name, **want):
        def seen():
            now = self.group(name)
            return all(now.get(k) == v for k, v in want.items())
        wait_until(seen, PATIENCE_S, f"{self.node.name} sees {name} {want}")

    def wait_quorum(self, quorate):
        wait_until(lambda: self.status().get("quorate") is quorate, PATIENCE_S, f"{self.node.name} quorate: {quorate}")


class StorageCluster(Cluster):
    def __init__(self, n_nodes, folder, build_dir, token_ms=TOKEN_MS):
        self.build_dir = build_dir
        self.sides = None  # names that can reach each other; None: all
        self.lost_ways = set()  # (from, to)
        self.world = None
        self.is_up = False
        self.changes = {}  # to each document
        super().__init__(n_nodes, folder, token_ms)
        self.world = World(self.folder, [n.name for n in self.nodes], self.can_reach, self._end_node, self._ask_handler)
        self.world.addresses = {n.address: n.name for n in self.nodes}
        for node in self.nodes:
            node.agent = Agent(node, build_dir)
            node.configfs = None
            node.configfs_socket = node.path("configfs.socket")

    def __getitem__(self, name):
        return next(n for n in self.nodes if n.name == name)

    # --- power ------------------------------------------------------------------------------------------------------------

    def boot(self, *nodes):
        for node in nodes or self.nodes:
            self.world.power_on(node.name)
            if os.path.exists(node.configfs_socket):
                os.unlink(node.configfs_socket)
            node.configfs = node.popen([os.path.join(self.build_dir, "tests/netns/configfs-server"), node.configfs_socket],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            assert node.configfs.stdout.readline() == b"ready\n"
            node.configfs.stdout.close()
            node.run(["sh", "-c", "while umount -lq /run/lunward/lio/pr; do :; done; rm -rf /run/lunward /run/lunward.*"])
            node.run(["ip", "address", "flush", "dev", "eth0", "to", "10.77.1.0/24"])
            node.corosync.start()
            node.agent.start()

    def _end_node(self, name):
        """All that runs on the node is dead; only the holder of its namespaces lives."""
        node = self[name]
        # At one moment: Popen.kill() lets other threads of this process run in between, and they may be the node's hosts.
        for process in node.processes:
            if process.returncode is None:
                os.kill(process.pid, signal.SIGKILL)
        for process in list(node.processes):
            process.wait()
        node.processes = []
        node.run(["ip", "address", "flush", "dev", "eth0", "to", "10.77.1.0/24"])

    def crash(self, node):
        self.world.power_off(node.name)

    def _ask_handler(self, name, resource):
        """The kernel runs DRBD's usermode helper: the real one."""
        process = self[name].popen([os.path.join(self.build_dir, "drbd-fence-peer"), "fence-peer", resource],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return process.wait()

    # --- network ----------------------------------------------------------------------------------------------------------

    def can_reach(self, a, b):
        together = self.sides is None or any({a, b} <= side for side in self.sides)
        return together and (a, b) not in self.lost_ways

    def partition(self, *sides):
        super().partition(*sides)
        self.sides = [{n.name for n in side} for side in sides]

    def cut_off(self, node):
        self.cut(node)
        self.sides = [{n.name for n in self.nodes if n is not node}]

    def lose(self, sender, receiver):
        """What `sender` sends to `receiver` goes nowhere; the other way is open."""
        sender.run(["ip", "neighbour", "replace", receiver.address, "lladdr", DEAF, "dev", "eth0", "nud", "permanent"])
        self.lost_ways.add((sender.name, receiver.name))

    def heal(self):
        super().heal()
        self.sides = None
        for a, b in self.lost_ways:
            self[a].run(["ip", "neighbour", "del", self[b].address, "dev", "eth0"])
        self.lost_ways = set()

    # --- the document -----------------------------------------------------------------------------------------------------

    def document(self, **changes):
        storage, witnesses = self.nodes[:4], self.nodes[4:]
        document = {
            "lunward": 1,
            "cluster": "netns",
            "fencing": {"agent": "fence_netns", "timeout_s": 60},
            "nodes": {**{n.name: {"id": n.nodeid, "role": "storage", "replication_address": n.address, "fence": {"plug": n.name}}
                         for n in storage},
                      **{n.name: {"id": n.nodeid, "role": "witness"} for n in witnesses}},
            "pools": {"data": {"vg": "lunward"}},
            "groups": {"g1": {"backend": "drbd", "nodes": ["n1", "n2"], "prefer": "n1", "placement": "auto", "port": 7789,
                              "takeover_limit": 0},  # scripts lose owners one after the other
                       "g2": {"backend": "shared", "nodes": [n.name for n in storage], "prefer": "n2", "placement": "auto",
                              "takeover_limit": 0}},
            "volumes": {"v1": {"group": "g1", "pool": "data", "size": "1GiB"},
                        "v2": {"group": "g1", "pool": "data", "size": "1GiB"},
                        "s1": {"group": "g2", "device": "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", "size": "1GiB"}},
            "targets": {"iqn.2026-11.org.example:t1": {"portals": [
                {"node": n.name, "address": f"10.77.1.{n.nodeid}/24", "interface": "eth0"} for n in storage]}},
            "hosts": {"h1": {"profile": "linux", "initiators": ["iqn.2026-11.org.example:h1"]}},
            "mappings": [{"host": "h1", "volume": v, "target": "iqn.2026-11.org.example:t1", "lun": i}
                         for i, v in enumerate(("v1", "v2", "s1"))],
        }
        document.update({**self.changes, **changes})
        return document

    def write_document(self, document=None):
        path = os.path.join(self.folder, "cluster.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(document or self.document(), f)
        return path

    # --- what must be true ------------------------------------------------------------------------------------------------

    def up(self):
        """To a cluster that serves, g1 on n1, g2 on n2: from nothing, or from what a script has left."""
        first = self.nodes[0].agent
        if not self.is_up:
            self.boot()
            wait_until(lambda: list(first.states().values()) == ["up"] * len(self.nodes), PATIENCE_S, "all nodes up")
            first.lunward("apply", self.write_document(), check=True)
            self.is_up = True
        self.world.forget_faults()
        self.settle()
        first.lunward("apply", self.write_document(), check=True)  # a script may have changed it
        self.settle()
        for group, name in (("g1", "n1"), ("g2", "n2")):
            if not self.all_open(group, name):
                first.lunward("move", group, name, check=True)
        self.settle(g1="n1", g2="n2")
        self.world.fenced.clear()
        return self.nodes

    def gates_of(self, group):
        """{node} with an open gate of the group."""
        gates = self.world.open_gates()
        return {n for v in VOLUMES[group] for n in gates.get(f"lunward-{v}", [])}

    def all_open(self, group, name):
        gates = self.world.open_gates()
        return all(gates.get(f"lunward-{v}", []) == [name] for v in VOLUMES[group])

    def wait_served(self, group, name):
        wait_until(lambda: self.all_open(group, name), PATIENCE_S, f"{group} served by {name}")

    def wait_fenced(self, name):
        wait_until(lambda: name in self.world.fenced, PATIENCE_S, f"{name} fenced")

    def wait_hit(self, fault):
        assert fault.hit.wait(PATIENCE_S), f"{fault.op} was not called"

    def wait_closed(self, name, within_s=BOUND_S):
        """A node that must not serve any more: bounded, whatever else happens."""
        wait_until(lambda: not self.world.open_gates(name), within_s, f"{name} has closed its gates")

    def check_safe(self):
        assert not self.world.violations, self.world.violations

    def settled(self, owners):
        """What is not yet as it should be; "" once all is."""
        views = []
        for node in self.nodes:
            status = node.agent.status()
            if not status or not status["active"] or [n["state"] for n in status["nodes"]] != ["up"] * len(self.nodes):
                return f"{node.name}: {status.get('active')} {[(n['name'], n['state']) for n in status.get('nodes', [])]}"
            views.append((status["config_version"], [(g["name"], g["phase"], g["owner"], g["epoch"], g["current"], g["ready"])
                                                     for g in status["groups"]], [n["portals_at"] for n in status["nodes"]]))
        if any(v != views[0] for v in views):
            return f"they do not agree: {views}"
        _, groups, portals = views[0]
        if not groups or portals[:4] != [n.name for n in self.nodes[:4]]:
            return f"portals at {portals}"
        for name, phase, owner, _, current, ready in groups:
            if phase != "owned" or owner != owners.get(name, owner) or not self.all_open(name, owner):
                return f"{name}: {phase} by {owner}, open {self.world.open_gates()}"
            if sorted(current) != sorted(ready) or len(current) < 2:
                return f"{name}: current {current} ready {ready}"
        for node in self.nodes:
            shown = re.findall(r"10\.77\.1\.(\d+)/", node.run(["ip", "-4", "address", "show", "dev", "eth0"]).stdout)
            if shown != ([str(node.nodeid)] if node in self.nodes[:4] else []):
                return f"{node.name} has the addresses {shown}"
        return ""

    def settle(self, **owners):
        """All is well again, with these owners if given, by itself: and nothing that must never be has been meanwhile."""
        end, rest = time.monotonic() + PATIENCE_S, "?"
        while rest and time.monotonic() < end:
            self.check_safe()
            rest = self.settled(owners)
            time.sleep(0.1 if rest else 0)
        self.check_safe()
        assert not rest, rest
        self.check_epochs()

    def check_epochs(self):
        """No epoch of a group was served twice or by two."""
        served = {}
        for node in self.nodes:
            with open(node.path("lunwardd.log"), encoding="utf-8", errors="replace") as log:
                done = re.findall(r"group (\S+) epoch (\d+): acquire done", log.read())
            last = {}
            for group, epoch in done:
                assert int(epoch) > last.get(group, 0), f"{node.name} acquired {group} at {epoch} after {last[group]}"
                last[group] = int(epoch)
                other = served.setdefault((group, epoch), node.name)
                assert other == node.name, f"epoch {epoch} of {group} was acquired by {other} and by {node.name}"

    def replay(self):
        """Every life of an agent that is over, told to the same core again, comes out the same."""
        for node in self.nodes:
            over = node.agent.traces[:-1] if node.agent.is_running() else list(node.agent.traces)
            for path, program in over:
                if os.path.exists(path):  # it got so far as to have a core
                    done = subprocess.run([os.path.join(self.build_dir, program), path], capture_output=True, text=True, timeout=300,
                                          check=False)
                    assert done.returncode == 0, done.stdout + done.stderr
                node.agent.traces.remove((path, program))

    def close(self):
        if self.world:
            self.world.close()
        super().close()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Reservations as one table: real FUSE, real agents; what stands for LIO writes its text into <dbroot>/pr as the kernel does."""
import itertools
import json
import os
import random
import select
import socket
import subprocess
import threading
import time

import pytest
from netns_cluster import wait_until
from storage_cluster import PATIENCE_S

TARGET = "iqn.2026-11.org.example:t1"
HOST = "iqn.2026-11.org.example:h1"
LUN = {"v1": 0, "v2": 1, **{f"v{i}": i for i in range(3, 9)}}  # s1 has 2
CUTS = int(os.environ.get("CUTS", "3"))
WINDOW_S = 0.010
CONFIGFS = "/sys/kernel/config/target"
DEVICE = f"{CONFIGFS}/core/iblock_7731"
STANDIN_LUN = 1 << 20
TRANSITION, STANDBY = "15", "2"
TYPE_NAMES = {1: "Write Exclusive Access", 5: "Write Exclusive Access, Registrants Only", 7: "Write Exclusive Access, All Registrants"}

# One command of LIO's: open, write once, say what came of it and how long it took.
WRITER = """
import os, sys, time
print("ready", flush=True)
data = sys.stdin.buffer.read()
begun = time.monotonic()
try:
    fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, data)
    os.close(fd)
    print(0, end=" ")
except OSError as e:
    print(-e.errno, end=" ")
print(1000 * (time.monotonic() - begun))
"""

# A host that is logged in: says "reset" once it is cut off.
SESSION = """
import socket, sys, threading
server = socket.create_server((sys.argv[1], 3260))
client = socket.create_connection((sys.argv[1], 3260))
peer, _ = server.accept()
print("ready", flush=True)
try:
    print("closed" if not client.recv(1) else "data", flush=True)
except ConnectionError:
    print("reset", flush=True)
"""


class Path:
    """One nexus: a host's session with a node's port."""

    def __init__(self, node, isid="00023d000001"):
        self.node, self.isid = node, isid

    def registration(self, number, key, lun, holder=0):
        held = f"res_holder=1\nres_type={holder:02x}\nres_scope=00\n" if holder else "res_holder=0\n"
        return (f"PR_REG_START: {number}\ninitiator_fabric=iSCSI\ninitiator_node={HOST}\ninitiator_sid={self.isid}\nsa_res_key={key}\n{held}"
                f"res_all_tg_pt=0\nmapped_lun={lun}\ntarget_fabric=iSCSI\ntarget_node={TARGET}\ntpgt={self.node.nodeid}\nport_rtpi=1\n"
                f"target_lun={100 + lun}\nPR_REG_END: {number}\n")

    def listed(self, key):
        return f"iSCSI Node: {HOST},i,0x{self.isid} Key: 0x{key:016x} PRgen: 0x00000001\n"


class Kernel:
    """LIO's reservations of one volume on one node."""

    def __init__(self, storage, node, volume):
        self.node, self.volume, self.lun = node, volume, LUN[volume]
        shown = storage.nodes[0].agent.lunward("config", "show", "--format", "json", check=True).stdout
        self.serial = json.loads(shown)["document"]["volumes"][volume]["serial"]

    def target(self, op, path, arg=""):
        with socket.socket(socket.AF_UNIX) as s, s.makefile("rw") as f:
            s.connect(self.node.configfs_socket)
            f.write(json.dumps({"op": op, "path": path, "arg": arg}) + "\n")
            f.flush()
            return json.loads(f.readline())

    def configfs(self, op, path, arg=""):
        return self.target(op, f"{DEVICE}/{self.volume}/{path}", arg)

    def keep_from_loading(self):
        """Another hand's device sits where the volume's stand-in would go; returns what takes it away."""
        other, luns = f"{CONFIGFS}/core/rd_mcp_1/other", f"{CONFIGFS}/iscsi/{TARGET}/tpgt_{self.node.nodeid}/lun"
        for lun in self.target("dirs", luns)["names"]:
            if self.target("links", f"{luns}/{lun}")["names"] == [self.volume]:
                place = f"{luns}/lun_{STANDIN_LUN + int(lun.split('_')[1])}"
        for op, path, arg in (("mkdir", f"{CONFIGFS}/core/rd_mcp_1", ""), ("mkdir", other, ""), ("write", f"{other}/control", "rd_pages=1"),
                              ("write", f"{other}/enable", "1"), ("mkdir", place, ""), ("symlink", f"{place}/other", other)):
            assert self.target(op, path, arg)["rc"] == 0, (op, path)
        return lambda: [self.target("unlink", f"{place}/other"), self.target("rmdir", place)]

    def loaded(self):
        return self.configfs("read", "pr/res_aptpl_metadata").get("text", "")

    def state(self):
        return self.configfs("read", f"alua/node{self.node.nodeid}/alua_access_state").get("text", "").strip()

    def show_in_listing(self, entries):
        lines = "".join(path.listed(key) for path, key, _ in entries) or "None\n"
        assert self.configfs("write", "pr/res_pr_registered_i_pts", "SPC-3 PR Registrations:\n" + lines[:-1])["rc"] == 0

    def show_reservation(self, entries):
        held = [(path, TYPE_NAMES[kind]) for path, _, kind in entries if kind]
        none = "No SPC-3 Reservation holder"
        for attr, text in (("res_holder", held and f"SPC-3 Reservation: iSCSI Initiator: {HOST},i,0x{held[0][0].isid}" or none),
                           ("res_pr_type", held and f"SPC-3 Reservation Type: {held[0][1]}" or none)):
            assert self.configfs("write", f"pr/{attr}", text)["rc"] == 0

    def text(self, entries):
        text = "".join(path.registration(i, key, self.lun, holder) for i, (path, key, holder) in enumerate(entries))
        return (text or "No Registrations or Reservations").encode() + b"\0"

    def start(self, *entries, listed=None):
        """A command leaves the kernel with these: (path, key, type of reservation or 0). `listed`: others have changed more by then."""
        self.show_in_listing(listed or entries)
        self.show_reservation(listed or entries)
        process = self.node.popen(["/usr/bin/python3", "-c", WRITER, f"/run/lunward/lio/pr/aptpl_{self.serial}"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout.readline() == b"ready\n"
        process.stdin.write(self.text(entries))
        process.stdin.close()
        return process

    @staticmethod
    def end(process):
        rc, took_ms = process.stdout.read().split()
        process.wait(timeout=PATIENCE_S)
        return int(rc), float(took_ms)

    def command(self, *entries):
        return self.end(self.start(*entries))


class Session:
    def __init__(self, node):
        self.process = node.popen(["/usr/bin/python3", "-c", SESSION, f"10.77.1.{node.nodeid}"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def is_cut(self):
        """Bounded: within ten times the agent's own limit."""
        said, _, _ = select.select([self.process.stdout], [], [], 15)
        return bool(said) and self.process.stdout.readline() == "reset\n"

    def hears(self):
        """Not cut off; a reset that is under way has half a second."""
        said, _, _ = select.select([self.process.stdout], [], [], 0.5)
        return not said and self.lives()

    def lives(self):
        alive = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        return alive


def table(node, volume="v1"):
    done = node.agent.lunward("reservation", "show", volume, "--format", "json")
    return json.loads(done.stdout) if done.returncode == 0 else {}


def holders(node, volume="v1"):
    return [r["key"] for r in table(node, volume).get("registrations", []) if r["holder"]]


def keys(node, volume="v1"):
    return sorted(int(r["key"], 16) for r in table(node, volume).get("registrations", []))


def infos(node):
    """How often the node has told the others about itself."""
    with open(node.agent.traces[-1][0], encoding="utf-8") as f:
        return sum(line.startswith('{"info"') for line in f)


def start_keeper(storage, node):
    if not os.path.exists("/dev/fuse"):
        pytest.skip("no FUSE here")
    with open(node.path("lunwardd.log"), "a", encoding="utf-8") as log:
        return node.popen([os.path.join(storage.build_dir, "pr-keeper")], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def in_step(node):
    wait_until(lambda: table(node).get("in_step"), PATIENCE_S, f"{node.name} has the table")


def start_keepers(storage, *nodes):
    for node in nodes:
        start_keeper(storage, node)
    for node in nodes:
        in_step(node)


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_one_table(storage):
    storage.up()
    n1, n2, n3 = storage.nodes
    start_keepers(storage, n1, n2)
    k1, k2 = Kernel(storage, n1, "v1"), Kernel(storage, n2, "v1")
    a, b = Path(n1), Path(n2, "00023d000002")
    told = infos(n3)

    # Through the owner: answered when both have it; the other's kernel begins anew with it, and lets commands through again.
    session = Session(n1)
    took = [k1.command((a, 1, 0))]
    assert took[0][0] == 0 and keys(n1) == [1]
    in_step(n2)
    assert keys(n2) == [1] and f"initiator_node={HOST}" in k2.loaded() and "sa_res_key=1," in k2.loaded()
    took.append(k1.command((a, 1, 5)))
    assert took[1][0] == 0 and table(n1)["type"].startswith("write exclusive, registrants")
    in_step(n2)
    wait_until(lambda: k2.state() == STANDBY, PATIENCE_S, "n2 in standby")
    assert "res_holder=1,res_type=5," in k2.loaded() and k2.loaded().count("initiator_node") == 1
    assert session.lives()
    print("answered after", ", ".join(f"{ms:.1f} ms" for _, ms in took))
    assert infos(n3) == told  # nothing about the witness has changed, and each change wakes it

    # A host registers by two paths at the same time: the second write waits in the kernel for the first, which has less than is listed.
    c, d = Path(n1, "00023d000003"), Path(n1, "00023d000004")
    session = Session(n1)
    every = [(a, 1, 5), (c, 3, 0), (d, 4, 0)]
    first = k1.start((a, 1, 5), (c, 3, 0), listed=every)
    wait_until(lambda: keys(n1) == [1, 3], 1, "the first of them")  # before the agent's own limit
    second = k1.start(*every)
    assert k1.end(first)[0] == k1.end(second)[0] == 0 and keys(n1) == [1, 3, 4]
    assert session.hears()
    # Of a REGISTER and a RELEASE at the same time the kernel may write the older state last: what was released stays so, and is not
    # what was reserved undone by a REGISTER. The state that comes is compared with the kernel's own.
    session = Session(n1)
    assert k1.command((a, 1, 0), (c, 3, 0), (d, 4, 0))[0] == 0 and holders(n1) == []
    assert k1.end(k1.start((a, 1, 5), (c, 3, 0), (d, 4, 0), listed=[(a, 1, 0), (c, 3, 0), (d, 4, 0)]))[0] == 0
    assert k1.command(*every)[0] == 0 and holders(n1) == ["0x1"]
    assert k1.end(k1.start((a, 1, 0), (c, 3, 0), (d, 4, 0), listed=every))[0] == 0
    assert holders(n1) == ["0x1"] and keys(n1) == [1, 3, 4] and session.hears()
    assert k1.command((a, 1, 5), (c, 3, 0))[0] == k1.command((a, 1, 5))[0] == 0
    in_step(n2)
    wait_until(lambda: k2.state() == STANDBY, PATIENCE_S, "n2 in standby")

    # Through the other port: a registration is kept for the move.
    assert k2.command((a, 1, 5), (b, 2, 0))[0] == 0
    assert keys(n1) == [1, 2]
    assert [r["waits_for_move"] for r in table(n1)["registrations"] if r["key"] == "0x2"] == [True]
    in_step(n1)  # it has what a kernel that serves can have

    # A reservation is the owner's to give: the group comes here for it, and the host hears GOOD.
    in_step(n2)
    session = Session(n2)
    rc, _ = k2.command((a, 1, 0), (b, 2, 5))
    assert rc == 0 and session.hears()
    assert holders(n1) == holders(n2) == ["0x2"] and keys(n1) == [1, 2]
    storage.wait_served("g1", "n2")
    wait_until(lambda: not any(r["waits_for_move"] for r in table(n2)["registrations"]), PATIENCE_S, "n2 has said what it has")
    in_step(n1)
    assert k1.loaded().count("initiator_node") == 2

    # The owner does not let go of it: the host is cut off before it could hear anything, and the kernel begins anew.
    wait_until(lambda: k1.state() == STANDBY, PATIENCE_S, "n1 in standby")
    session = Session(n1)
    n2.agent.pause()
    rc, took_ms = k1.command((a, 1, 5), (b, 2, 0))
    n2.agent.resume()
    assert session.is_cut() and took_ms < 10000 and holders(n1) == ["0x2"]
    in_step(n1)
    assert k1.loaded().count("initiator_node") == 2 and 'sa_res_key=2,res_holder=1' in k1.loaded().replace(" ", "")
    wait_until(lambda: n1.agent.lunward("move", "g1", "n1").returncode == 0, PATIENCE_S, "n1 to be the owner again")

    # A move: the table goes along.
    n1.agent.lunward("move", "g1", "n2", check=True)
    k2.show_in_listing([(a, 1, 0), (b, 2, 5)])
    in_step(n2)
    assert keys(n2) == [1, 2] and table(n2)["type"].startswith("write exclusive, registrants")
    assert k2.command((a, 1, 5), (b, 2, 0))[0] == 0
    assert holders(n1) == ["0x1"]

    # The agent dies and comes back: what LIO asked meanwhile is answered by the new one, and durable.
    n2.agent.kill()
    waiting = k2.start((b, 2, 5))
    time.sleep(0.5)
    assert waiting.poll() is None  # nobody has said anything
    n2.agent.start()
    assert k2.end(waiting)[0] == 0
    wait_until(lambda: keys(n1) == [2], PATIENCE_S, "the change on n1")

    # A crash of the owner: the other has the table before it serves.
    in_step(n1)
    storage.crash(n2)
    storage.wait_served("g1", "n1")
    assert keys(n1) == [2] and "sa_res_key=2," in k1.loaded() and "res_holder=1" in k1.loaded() and k1.loaded().count("initiator_node") == 1

    # Alone: a change cannot be agreed on, and no host hears of it.
    storage.cut_off(n1)
    session = Session(n1)
    rc, took_ms = k1.command((b, 2, 5), (a, 7, 0))
    assert session.is_cut() and took_ms < 5000
    storage.check_safe()


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_a_path_that_holds_waits_for_its_kernel(storage):
    """A kernel that has not got the reservation answers RELEASE with GOOD. That is right for a path that does not hold it; one that does is
    told to wait, and nobody else."""
    storage.up()
    n1, n2, _ = storage.nodes
    start_keepers(storage, n1, n2)
    k1, k2 = Kernel(storage, n1, "v1"), Kernel(storage, n2, "v1")
    a, b = Path(n1), Path(n2, "00023d000002")
    assert k1.command((a, 1, 0))[0] == 0
    in_step(n2)
    assert k2.command((a, 1, 0), (b, 2, 0))[0] == 0
    for to in ("n2", "n1"):  # then both kernels have both
        wait_until(lambda: n1.agent.lunward("move", "g1", to).returncode == 0, PATIENCE_S, f"g1 at {to}")
        in_step(n1)
        in_step(n2)
    wait_until(lambda: not any(r["waits_for_move"] for r in table(n1)["registrations"]), PATIENCE_S, "n1 has said what it has")
    wait_until(lambda: k2.state() == STANDBY, PATIENCE_S, "n2 in standby")

    let_it = k2.keep_from_loading()
    assert k1.command((a, 1, 5), (b, 2, 0))[0] == 0
    wait_until(lambda: any("cannot link" in e for e in n1.agent.member("n2")["errors"]), PATIENCE_S, "n2 has tried")
    assert k2.state() == STANDBY
    assert k1.command((a, 1, 0), (b, 2, 0))[0] == k1.command((a, 1, 7), (b, 2, 0))[0] == 0
    wait_until(lambda: k2.state() == TRANSITION, PATIENCE_S, "hosts of n2 wait")
    let_it()
    in_step(n2)
    wait_until(lambda: k2.state() == STANDBY, PATIENCE_S, "and no longer")
    assert "res_type=7," in k2.loaded()
    storage.check_safe()


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_no_good_that_only_one_node_knows(storage):
    """The agent is killed or stopped at any time while a command waits: who heard GOOD finds his key with the other node."""
    storage.up()
    n1, n2, _ = storage.nodes
    start_keepers(storage, n1, n2)
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng, k1, a, heard = random.Random(seed), Kernel(storage, n1, "v1"), Path(n1), {}
    for key in range(1, 37):
        what = ("killed", "killed", "stopped", "left alone")[key % 4]
        session = Session(n1)
        command = k1.start((a, key, 0))
        time.sleep(rng.uniform(0, 0.03))
        if what == "killed":
            n1.agent.kill()
            n1.agent.start()
        elif what == "stopped":
            n1.agent.pause()
            time.sleep(2)  # longer than the agent's own limit
            told = command.poll() is not None
            assert not told or keys(n2) == [key]  # a stopped agent cuts nobody off
            n1.agent.resume()
        rc, _ = k1.end(command)
        # As the host is: cut off before the command failed, or never.
        good = rc == 0 and session.hears()
        heard[what] = heard.get(what, 0) + good
        assert not good or keys(n2) == [key], (key, what, keys(n2), table(n1))
        wait_until(lambda: table(n1).get("in_step") and table(n2).get("in_step"), PATIENCE_S, "both in step")
    print("GOOD when the agent was", heard)
    assert heard["killed"] and heard["left alone"] == 9
    storage.check_safe()


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_a_node_without_keeper_is_no_spare(storage):
    storage.up()
    n1, n2, _ = storage.nodes
    start_keepers(storage, n1)
    k1, k2 = Kernel(storage, n1, "v1"), Kernel(storage, n2, "v1")
    assert k1.command((Path(n1), 1, 5))[0] == 0
    n1.agent.wait_group("g1", ready=["n1"])  # n2 has seen it
    refused = n1.agent.lunward("move", "g1", "n2")
    assert refused.returncode != 0 and "not ready" in refused.stderr
    wait_until(lambda: "lunward-pr.service does not run" in n1.agent.lunward("status").stdout, PATIENCE_S, "the status to say why")
    storage.crash(n1)
    storage.wait_fenced("n1")
    wait_until(lambda: storage.gates_of("g2"), PATIENCE_S, "g2 served")
    assert not storage.gates_of("g1")
    start_keeper(storage, n2)
    storage.wait_served("g1", "n2")
    assert keys(n2) == [1] and "sa_res_key=1," in k2.loaded() and "res_holder=1" in k2.loaded()
    storage.check_safe()


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_an_owner_that_does_not_know_its_kernel_begins_anew(storage):
    """The agent dies with a command that its predecessor had cut off: hosts must not see what the cluster never agreed to."""
    storage.up()
    n1, n2, _ = storage.nodes
    start_keepers(storage, n1, n2)
    k1, a = Kernel(storage, n1, "v1"), Path(n1)
    assert k1.command((a, 1, 5))[0] == 0
    in_step(n1)
    n1.agent.kill()
    assert n1.popen(["rm", f"/run/lunward/pr-known/{k1.serial}"]).wait(PATIENCE_S) == 0
    k1.show_in_listing([(a, 2, 5)])
    n1.agent.start()
    in_step(n1)
    storage.wait_served("g1", "n1")
    assert keys(n1) == keys(n2) == [1] and "sa_res_key=1," in k1.loaded() and "res_holder=1" in k1.loaded()
    # One that finds what it had written down goes on without a pause.
    k1.show_in_listing([(a, 1, 5)])
    epoch = n1.agent.status()["groups"][0]["epoch"]
    n1.agent.kill()
    n1.agent.start()
    in_step(n1)
    assert n1.agent.status()["groups"][0]["epoch"] == epoch
    storage.check_safe()


class Hosts:
    """One for each volume, through one node: register, reserve, another one registers, preempts, clears, over and over until the power goes.
    No state comes twice."""

    def __init__(self, kernels, run):
        self.kernels, self.run = kernels, run
        self.good = {v: [] for v in kernels}  # when, of each step
        self._threads = [threading.Thread(target=self._go, args=(v,), daemon=True) for v in kernels]
        for thread in self._threads:
            thread.start()

    def state(self, node, step):
        cycle, what = divmod(step, 5)
        x, y = (self.run << 32 | cycle << 4 | who for who in (0xa, 0xb))
        a, b = Path(node), Path(node, "00023d000002")
        return ([(a, x, 0)], [(a, x, 5)], [(a, x, 5), (b, y, 0)], [(b, y, 5)], [])[what]

    def _go(self, volume):
        kernel = self.kernels[volume]
        path = f"/proc/{kernel.node.namespaces.holder.pid}/root/run/lunward/lio/pr/aptpl_{kernel.serial}"
        try:
            for step in itertools.count():
                entries = self.state(kernel.node, step)
                kernel.show_in_listing(entries)
                kernel.show_reservation(entries)
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
                try:
                    os.write(fd, kernel.text(entries))
                    self.good[volume].append(time.monotonic())
                finally:
                    os.close(fd)
        except (OSError, ValueError, AssertionError):
            pass  # the power is off

    def steps(self):
        return sum(len(times) for times in self.good.values())

    def join(self):
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def allowed(self, volume):
        """After the last GOOD, and after what was under way then."""
        node, n = self.kernels[volume].node, len(self.good[volume])
        return [sorted((key, bool(kind)) for _, key, kind in self.state(node, step)) for step in (n - 1, n)]


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_power_goes_just_after_a_good(storage):
    """Of the node that gave it: what a host heard is with the heir, whole, in its table and in its kernel. CUTS: how often."""
    storage.up()
    n1, n2, _ = storage.nodes
    document = storage.document()
    document["volumes"].update({v: {"group": "g1", "pool": "data", "size": "1GiB"} for v in LUN})
    document["mappings"] += [{"host": "h1", "volume": v, "target": TARGET, "lun": LUN[v]} for v in LUN if v not in ("v1", "v2")]
    n1.agent.lunward("apply", storage.write_document(document), check=True)
    storage.settle(g1="n1", g2="n2")

    def all_in_step():
        return all(table(node, v).get("in_step") for node in (n1, n2) for v in LUN)
    for node in (n1, n2):
        start_keeper(storage, node)
    wait_until(all_in_step, PATIENCE_S, "both have all tables")
    kernels = {node.name: {v: Kernel(storage, node, v) for v in LUN} for node in (n1, n2)}
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng, within, under_way = random.Random(seed), 0, 0
    for run in range(1, CUTS + 1):
        owner, heir = (n1, n2) if run % 2 else (n2, n1)
        hosts = Hosts(kernels[owner.name], run)
        enough = rng.randrange(50, 150)
        wait_until(lambda h=hosts, n=enough: h.steps() >= n and all(len(x) > 1 for x in h.good.values()), PATIENCE_S, "commands")
        wait_until(lambda h=hosts, n=hosts.steps(): h.steps() > n, PATIENCE_S, "one more GOOD")
        time.sleep(rng.uniform(0, WINDOW_S * 0.8))
        at = time.monotonic()
        storage.crash(owner)
        hosts.join()
        with open(owner.path("lunwardd.log"), encoding="utf-8") as log:
            assert "were cut off" not in log.read()  # a GOOD that nobody heard
        storage.wait_served("g1", heir.name)
        for v in LUN:
            has = sorted((int(r["key"], 16), r["holder"]) for r in table(heir, v)["registrations"])
            assert has in hosts.allowed(v), (run, v, has, hosts.allowed(v))
            loaded = kernels[heir.name][v].loaded()
            assert loaded.count("initiator_node") == len(has) and all(f"sa_res_key={key}," in loaded for key, _ in has), (run, v, has, loaded)
        within += sum(t >= at - WINDOW_S for times in hosts.good.values() for t in times)
        under_way += len(LUN)
        storage.boot(owner)
        start_keeper(storage, owner)
        storage.settle(g1=heir.name)
        wait_until(all_in_step, PATIENCE_S, "both have all tables")
    print(f"{CUTS} cuts: {within} GOOD within {1000 * WINDOW_S:.0f} ms, {under_way} under way")
    assert within >= CUTS
    storage.check_safe()

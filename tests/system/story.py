# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job, told once from beginning to end: planned moves and a power cut under a host that writes.

Used by `make demo`, which prints it, and by the tests, which assert it. Each check has a name and a detail; the story goes on after a
failed check as far as it can, so that one run shows all that is wrong.
"""
import json
import time
from typing import Callable, Optional

import deployment as site
from lab import acklog, cluster, host, probe
from lab.api import DEAD_ISER_PEER, Lab
from lab.wait import Timeout, wait_until
from lab.writer import LOG, Writer
from telling import Telling

MOVE_LIMIT_S = 2.0       # pause of a planned move with two volumes, emulated VMs
TAKEOVER_LIMIT_S = 1.5   # the agent's own part of a takeover: fence evidence to active/optimized
BLOCKS = 2000            # 4 KiB each, from block 0
PORTALS = [f"10.77.0.{i}:{site.PORT_TCP}" for i in (1, 2)]
PROBE_LOG = "/run/probe.log"


class Story(Telling):
    def __init__(self, lab: Lab, say: Callable[[str], None], size: str = "64MiB", patience: float = 1.0):
        """`patience` stretches the limits in seconds, for a machine that has other things to do; what is safe is not stretched."""
        super().__init__(say, io_errors=None, lost_writes=None, moves=[], crash={})
        self.lab, self.size, self.patience = lab, size, patience
        self.writer = Writer(lab.h1)
        self.device = ""
        self.n_moves = 0
        self.adopted: Optional[list] = None  # when n2 answered for n1's portal: [from, until] on the host's clock

    @property
    def ok(self) -> bool:
        return bool(self.result["checks"]) and all(c["ok"] for c in self.result["checks"])

    # --- setting up ------------------------------------------------------------------------------

    def set_up_cluster(self) -> None:
        lab = self.lab
        self.say("three nodes: Corosync with a witness, an empty volume group on n1 and n2")
        lab.align_clocks()
        cluster.create(lab)
        for node in (lab.n1, lab.n2):
            host.rxe(node)
        host.set_up(lab.h1)
        self.start_probe()
        self.say("lunward apply: two volumes, DRBD between n1 and n2, one target, iSCSI/TCP and iSER")
        site.apply(lab.n1, site.document(size=self.size))
        site.wait_healthy(lab, lab.n1)
        owner = site.group(lab.n1)["owner"]
        self.check("first placement", owner in ("n1", "n2"), f"{owner} serves the group: n1 is preferred, and has it if it is ready first")
        if owner != "n1":
            lab.n1.run("lunward move g1 n1", timeout_s=180)
            self.n_moves += 1

    def start_probe(self) -> None:
        """From before the first node serves: no answer may ever come that must not be given."""
        paths = " ".join(f"n{i}={p},{site.TARGET}" for i, p in zip((1, 2), PORTALS))
        self.lab.h1.run(f"systemd-run -q --unit=path-probe /host/tools/path-probe --log {PROBE_LOG} --lun 0 --lba 100000 "
                        f"--initiator {site.PROBE_IQN} --timeout-ms 3000 --pause-ms 100 {paths}")

    def set_up_host(self) -> None:
        h1 = self.lab.h1
        self.say("the host logs in over TCP and iSER to both nodes, CHAP both ways")
        for portal in PORTALS:
            # Both at once: a discovery drops the records of the interfaces it was not asked for.
            found = host.discover(h1, portal, "default -I iser")
            self.check(f"discovery at {portal}", {iqn for iqn, _ in found} == {site.TARGET}, f"{found}")
            self.chap(portal)
            for iface in ("default", "iser"):
                host.login(h1, site.TARGET, portal, iface)
        for volume in ("v2", "v1"):
            self.device = host.wait_map(h1, site.SERIALS[volume], n_paths=4)
        lines = host.sessions(h1)
        self.check("sessions", len(lines) == 4 and sum(line.startswith("iser") for line in lines) == 2, f"{len(lines)} sessions, "
                   f"{sum(line.startswith('iser') for line in lines)} of them iSER")
        told = [json.loads(n.out("lunward session list --host h1 --format json")) for n in (self.lab.n1, self.lab.n2)]
        self.check("sessions told", all(len(t["sessions"]) == 1 and t["sessions"][0]["luns"] and t["targets"][0]["sessions"] >= 2 for t in told),
                   f"each node tells of h1, {[t['targets'][0] for t in told]}")
        caches = h1.out("for d in $(multipathd show paths raw format %d); do cat /sys/block/$d/queue/write_cache; done").split("\n")
        self.check("write cache", set(caches) == {"write back"}, "every path says write back, also those through a closed gate")

    def chap(self, portal: str) -> None:
        for iface in ("default", "iser"):
            for name, value in {"authmethod": "CHAP", "username": site.CHAP["user"], "password": site.CHAP["password"],
                                "username_in": site.MUTUAL_CHAP["user"], "password_in": site.MUTUAL_CHAP["password"]}.items():
                self.lab.h1.run(f"iscsiadm -m node -T {site.TARGET} -p {portal} -I {iface} -o update "
                                f"-n node.session.auth.{name} -v '{value}'")

    def start_writer(self, **how) -> None:
        self.say(f"a writer on {self.device}: each write is logged outside of the machines before and after")
        self.writer.start(self.device, BLOCKS, log=LOG, **how)

    # --- what happens ----------------------------------------------------------------------------

    def planned_move(self, to: str) -> None:
        lab = self.lab
        began = self.writer.clock_ns()
        self.say(f"lunward move g1 {to}, while the host writes")
        lab.n3.run(f"lunward move g1 {to}", timeout_s=120)
        self.n_moves += 1
        self.writer.wait_going_on()
        g = site.group(lab.n3)
        pause, first_io_ms = self.writer.pause_since(began)
        steps = self.tell_steps(g, first_io_ms)
        self.result["moves"].append({"to": to, "pause_s": pause, "steps": steps})
        self.check(f"move to {to}", g["owner"] == to and g["phase"] == "owned", f"{g['owner']} serves at epoch {g['epoch']}")
        limit = MOVE_LIMIT_S * self.patience
        self.check(f"pause of the move to {to}", pause <= limit, f"{pause:.2f} s, limit {limit} s")
        site.wait_healthy(lab, lab.n3)

    def tell_steps(self, g: dict, first_io_ms: Optional[int]) -> list:
        """The chain, up to what the host sees. The machines' clocks agree within some tens of ms (Lab.align_clocks())."""
        steps = list(g["last_change"]["steps"])
        if first_io_ms:
            steps.append({"at_ms": first_io_ms, "node": "h1", "step": "first I/O", "took_ms": 0})
        steps.sort(key=lambda s: s["at_ms"])
        for s in steps:
            self.say(f"         {s['at_ms'] - steps[0]['at_ms']:6d} ms  {s['node']}: {s['step']}" +
                     (f" ({s['took_ms']} ms)" if s["took_ms"] else ""))
        return steps

    def crash(self) -> None:
        lab = self.lab
        owner = site.group(lab.n3)["owner"]
        self.check("owner before the crash", owner == "n1", f"{owner} serves")
        began = self.writer.clock_ns()
        self.say("power cut of n1")
        lab.n1.power_cut()
        dead = self.writer.clock_ns()
        site.wait_owner(lab.n3, "n2")
        self.n_moves += 1
        wait_until(lambda: site.node_of(lab.n3, "n1")["portals_at"] == "n2", 60, "n2 to serve the portals of n1")
        self.writer.wait_going_on()
        self.adopted = [dead, None]
        g = site.group(lab.n3)
        pause, first_io_ms = self.writer.pause_since(began)
        steps = self.tell_steps(g, first_io_ms)
        at = {s["step"]: s["at_ms"] for s in steps if s["node"] == "n2"}
        agent = (at["ALUA"] - at["fence evidence"]) / 1000 if {"ALUA", "fence evidence"} <= set(at) else None
        self.result["crash"] = {"pause_s": pause, "agent_s": agent, "steps": steps}
        self.check("takeover", g["owner"] == "n2" and g["phase"] == "owned", f"{g['owner']} serves at epoch {g['epoch']}")
        limit = TAKEOVER_LIMIT_S * self.patience
        self.check("agent's part of the takeover", agent is not None and agent <= limit,
                   f"{agent} s from the fence evidence to active/optimized, limit {limit} s")
        self.say(f"the host's pause in all: {pause:.2f} s (detection by Corosync, fencing, takeover, first I/O)")

    def rejoin(self) -> None:
        lab = self.lab
        self.say("power on of n1: it resyncs and is the spare")
        lab.n1.power_on()
        lab.align_clocks()
        host.rxe(lab.n1)
        status = site.wait_healthy(lab, lab.n3)
        if self.adopted:
            self.adopted[1] = self.writer.clock_ns()
        g = next(x for x in status["groups"] if x["name"] == "g1")
        self.check("rejoin", g["owner"] == "n2" and "n1" in g["current"], "n1 is back, in sync, and owns nothing")
        self.check("portals given back", all(n["portals_at"] == n["name"] for n in status["nodes"] if n["role"] == "storage"),
                   "each node serves its own portals")
        try:
            wait_until(lambda: len(host.sessions(lab.h1)) == 4 and sum("running" in s for s in host.paths(
                lab.h1, host.wwid(site.SERIALS["v1"])).values()) == 4, 90, "four paths")
            self.check("paths", True, "all four paths are back")
        except Timeout as e:
            self.check("paths", False, str(e))

    # --- the verdict -----------------------------------------------------------------------------

    def stop_writer(self) -> None:
        self.writer.stop()
        said = self.writer.result()
        self.result["io_errors"] = said["io_errors"]
        self.result["writer"] = {k: said[k] for k in ("writes", "reads", "io_errors", "verify_errors", "stuck")}
        self.check("I/O errors", said["io_errors"] == 0 and said["verify_errors"] == 0 and not said["stuck"],
                   f"{said['io_errors']} errors in {said['ops']} operations")

    def verify_writes(self) -> None:
        verdict = self.writer.verify()
        self.result["lost_writes"] = len(verdict["lost_writes"])
        self.check("acknowledged writes", verdict["ok"], acklog.explain(verdict))

    def compare_copies(self) -> None:
        """With the group released nobody writes, and what is on the two disks is all there is."""
        lab = self.lab
        lab.n3.run("lunward release g1", timeout_s=120)
        size = int(self.size.removesuffix("MiB")) << 20
        for volume in ("v1", "v2"):
            digests = {n.name: site.data_digest(n, volume, size) for n in (lab.n1, lab.n2)}
            self.check(f"copies of {volume}", len(set(digests.values())) == 1, "equal on n1 and n2" if len(set(digests.values())) == 1
                       else f"differ: {digests}")

    def judge_probe(self) -> None:
        h1 = self.lab.h1
        h1.run("systemctl stop path-probe", check=False)
        records = probe.parse(h1.get(PROBE_LOG))
        if self.adopted:
            begin, end = self.adopted
            for r in records:
                # The address was n1's, the machine behind it n2.
                if r["path"] == "n1" and r["cmd"] == "write" and r["t0"] >= begin and (end is None or r["t0"] < end):
                    r["path"] = "n2"
        verdict = probe.check(records, self.n_moves)
        self.check("never two owners", verdict["ok"],
                   f"{verdict['good_writes']} good writes and {verdict['claims']} claims explained by {verdict['write_moves']} and "
                   f"{verdict['claim_moves']} of {self.n_moves} moves, {len(verdict['double_active'])} answers with two optimized groups")

    def judge_kernels(self) -> None:
        bad = self.lab.bad_words(allow=DEAD_ISER_PEER)  # n1 may be without power for more than a minute
        self.check("kernels", not bad, "no warning, no hung task" if not bad else f"{bad[:3]}")

    def tell(self) -> dict:
        """The whole story."""
        self.set_up()
        return self.go_on()

    def set_up(self) -> None:
        self.set_up_cluster()
        self.set_up_host()

    def go_on(self) -> dict:
        self.start_writer()
        self.planned_move("n2")
        self.planned_move("n1")
        self.crash()
        self.rejoin()
        self.stop_writer()
        self.verify_writes()
        self.judge_probe()
        self.compare_copies()
        self.judge_kernels()
        self.result["seconds"] = round(time.monotonic() - self.began, 1)
        return self.result

# SPDX-License-Identifier: GPL-2.0-or-later
"""Reservations on real kernels: what a host has registered and reserved is in effect after moves, crashes and a power cut of all.

Three initiators of one machine, one iSCSI session each to each node; a volume for each type of reservation. A command is sent to a
session, not to a multipath map, so that it is known which port it takes.
"""
import json
import re
import time
from typing import Callable, Dict, Optional

import deployment as site
from lab import cluster, host
from lab.api import Lab, Node
from lab.wait import wait_until
from telling import Telling

TYPES = {"v1": 1, "v3": 3, "v5": 5, "v6": 6, "v7": 7, "v8": 8}
WHO = {"a": "iqn.2026-11.lab.lunward:a", "b": "iqn.2026-11.lab.lunward:b", "c": "iqn.2026-11.lab.lunward:c"}  # holder, registered, neither
KEYS = {"a": 0xa, "b": 0xb}
CONFLICT = 24  # sg3_utils
CUT_OFF = 255  # ours
PORTALS = {f"n{i}": f"10.77.0.{i}:{site.PORT_TCP}" for i in (1, 2)}
# SPC-4 table 46 for READ and WRITE: (others registered, others not), each what is refused.
REFUSED = {1: ("w", "w"), 3: ("rw", "rw"), 5: ("", "w"), 6: ("", "rw"), 7: ("", "w"), 8: ("", "rw")}


def document() -> dict:
    doc = site.document(volumes=("v1", "v2"), size="64MiB", iser=False)
    doc["volumes"] = {v: {"group": "g1", "pool": "data", "size": "64MiB"} for v in TYPES}
    doc["hosts"] = {who: {"profile": "linux", "initiators": [iqn]} for who, iqn in WHO.items()}
    doc["mappings"] = [{"host": who, "volume": v, "target": site.TARGET, "lun": i} for who in WHO for i, v in enumerate(TYPES)]
    return doc


class Reservations(Telling):
    def __init__(self, lab: Lab, say: Callable[[str], None]):
        super().__init__(say, waited_ms=[])
        self.lab = lab

    # --- set up ----------------------------------------------------------------------------------

    def set_up(self) -> None:
        lab, h1 = self.lab, self.lab.h1
        self.say("three nodes, the keeper of reservations on n1 and n2, six volumes")
        lab.align_clocks()
        for node in (lab.n1, lab.n2):
            node.enable_unit("lunward-pr")
        cluster.create(lab)
        site.apply(lab.n1, document())
        site.wait_healthy(lab, lab.n1)
        host.set_up(h1)
        h1.run("systemctl stop multipathd.socket multipathd; multipath -F", check=False)
        for who, iqn in WHO.items():
            h1.run(f"iscsiadm -m iface -I {who} -o new && iscsiadm -m iface -I {who} -o update -n iface.initiatorname -v {iqn}")
            for portal in PORTALS.values():
                host.login(h1, site.TARGET, portal, who)
        wait_until(lambda: all(len(d) == len(TYPES) for d in self.devices().values()) and len(self.devices()) == 6, 120, "all disks",
                   explain=self.devices)

    def devices(self) -> Dict[tuple, Dict[int, str]]:
        """(initiator, node) -> {LUN: device}"""
        found: dict = {}
        text = self.lab.h1.run("iscsiadm -m session -P3", check=False, timeout_s=60).out
        nodes = {portal: node for node, portal in PORTALS.items()}
        who = node = lun = None
        for line in text.splitlines():
            if m := re.search(r"Current Portal: (\S+),", line):
                node = nodes.get(m.group(1))
            elif m := re.search(r"Iface Name: (\S+)", line):
                who = m.group(1)
            elif m := re.search(r"Lun: (\d+)", line):
                lun = int(m.group(1))
            elif m := re.search(r"Attached scsi disk (sd\w+)", line):
                found.setdefault((who, node), {})[lun] = f"/dev/{m.group(1)}"
        return found

    # --- commands --------------------------------------------------------------------------------

    def owner(self) -> str:
        return site.group(self.lab.n3)["owner"]

    def device(self, who: str, node: str, volume: str) -> str:
        return self.map[(who, node)][list(TYPES).index(volume)]

    def look_up(self) -> None:
        def complete():
            self.map = self.devices()
            return len(self.map) == 6 and all(len(d) == len(TYPES) for d in self.map.values())
        wait_until(complete, 180, "all disks of all sessions", 1, explain=lambda: self.map)

    def prout(self, who: str, node: str, volume: str, args: str) -> int:
        """Once more after a unit attention, and while the port is in transition, as any host does."""
        dev = self.device(who, node, volume)
        for _ in range(60):
            done = self.lab.h1.run(f"timeout 60 sg_persist -n --out {args} {dev}", check=False, timeout_s=90)
            if done.code not in (6, 2):
                break
            time.sleep(0.5)
        if "transport:" in done.err:  # sg_persist of sg3_utils 1.46 calls a cut connection a success
            return CUT_OFF
        if done.code not in (0, CONFLICT):
            self.say(f"       {who} through {node}: {args}: {done.code} {(done.out + done.err).strip()[-160:]}")
        return done.code

    def matrix(self) -> Dict[str, str]:
        """Volume -> what is refused, for b and c through the owner's port, "?" for anything that is neither good nor a conflict."""
        node = self.owner()
        commands, places = [], []
        for v in TYPES:
            for who in ("a", "b", "c"):
                dev = self.device(who, node, v)
                for op, raw in (("r", f"-r 512 {dev} 88 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00"),
                                ("w", f"-s 512 -i /dev/zero {dev} 8a 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00")):
                    commands.append(f"for i in $(seq 40); do sg_raw {raw} >/dev/null 2>&1; rc=$?; [ $rc = 6 -o $rc = 2 ] || break; sleep 0.3; "
                                    "done; echo $rc")
                    places.append((v, who, op))
        codes = [int(x) for x in self.lab.h1.out("\n".join(commands), timeout_s=600).split()]
        seen: dict = {v: {"a": "", "b": "", "c": ""} for v in TYPES}
        for (v, who, op), code in zip(places, codes):
            seen[v][who] += op if code == CONFLICT else "" if code == 0 else f"?{op}{code}"
        return seen

    def table(self, node: Node, volume: str) -> dict:
        return json.loads(node.out(f"lunward reservation show {volume} --format json"))

    def wait_in_step(self, *nodes: Node) -> None:
        for node in nodes:
            wait_until(lambda n=node: all(self.table(n, v)["in_step"] for v in TYPES), 60, f"{node.name} has all tables", 0.5,
                       explain=lambda n=node: {v: self.table(n, v) for v in TYPES})

    def verify(self, when: str, holder_node: Optional[str] = None) -> None:
        """Keys, holder, type and the conflict matrix, as the hosts see them through the owner."""
        self.look_up()
        owner = self.owner()
        seen, wrong = self.matrix(), []
        for v, kind in TYPES.items():
            others, strangers = REFUSED[kind]
            # The holder is one path: through its other port a host is one more registrant.
            mine = "" if owner == holder_node or kind > 3 else others
            want = {"a": mine, "b": others, "c": strangers}
            if seen[v] != want:
                wrong.append(f"{v} (type {kind}): refused {seen[v]}, should be {want}")
            dev = self.device("a", owner, v)
            keys = self.lab.h1.out(f"sg_persist -n -k {dev}; sg_persist -n -r {dev}")
            listed = sorted(int(k, 16) for k in re.findall(r"^\s+0x([0-9a-f]+)\s*$", keys, re.M))
            table = self.table(self.lab.nodes[owner], v)["registrations"]
            # What was registered through the other port since the last move is in the table, and in the owner's kernel after the next.
            if sorted(x["key"] for x in table) != ["0xa", "0xa", "0xb", "0xb"]:
                wrong.append(f"{v} (type {kind}): table {table}")
            if listed != sorted(int(x["key"], 16) for x in table if not x["waits_for_move"]) or f"type: {self.type_text(kind)}" not in keys.replace("  ", " "):
                wrong.append(f"{v} (type {kind}): {' '.join(keys.split())}")
        self.check(f"keys, holder, type and conflicts {when}", not wrong, "; ".join(wrong) or
                   f"six types as they were, {owner} serves")

    @staticmethod
    def type_text(kind: int) -> str:
        return {1: "Write Exclusive", 3: "Exclusive Access", 5: "Write Exclusive, registrants only", 6: "Exclusive Access, registrants only",
                7: "Write Exclusive, all registrants", 8: "Exclusive Access, all registrants"}[kind]

    # --- what happens ----------------------------------------------------------------------------

    def reserve(self) -> None:
        self.say("a and b register through both ports, the standby one first; a reserves")
        codes = []
        for v, kind in TYPES.items():
            for node in ("n2", "n1"):
                codes += [self.prout(who, node, v, f"--register-ignore --param-sark={key:#x}") for who, key in KEYS.items()]
            codes.append(self.prout("a", "n1", v, f"--reserve --param-rk=0xa --prout-type={kind}"))
        self.check("register and reserve", not any(codes), f"{len(codes)} commands, {sum(c != 0 for c in codes)} not good")
        self.wait_in_step(self.lab.n1, self.lab.n2)
        held = {v: [(r["node"], r["key"]) for r in self.table(self.lab.n2, v)["registrations"] if r["holder"]] for v in TYPES}
        self.check("the table on n2", set(map(str, held.values())) == {"[(1, '0xa')]"}, f"{held}")

    def through_standby(self) -> None:
        """The group comes to the port that is asked, and the command takes effect there."""
        lab, before = self.lab, self.table(self.lab.n1, "v5")["version"]
        code = self.prout("b", "n2", "v5", "--preempt --param-rk=0xb --param-sark=0xa --prout-type=5")
        after = self.table(lab.n1, "v5")
        held = [(r["node"], r["key"]) for r in after["registrations"] if r["holder"]]
        keys = sorted(r["key"] for r in after["registrations"])
        site.wait_healthy(lab, lab.n3)
        self.check("PREEMPT through the standby path", code == 0 and self.owner() == "n2" and held == [(2, "0xb")] and keys == ["0xb", "0xb"],
                   f"sg_persist says {code}, {self.owner()} owns, held by {held}, keys {keys}, version {before} -> {after['version']}")
        self.wait_in_step(lab.n1, lab.n2)  # n1 is given the table: its LUNs are away for that moment
        self.look_up()
        codes = [self.prout("b", "n2", "v5", "--release --param-rk=0xb --prout-type=5")]
        self.wait_in_step(lab.n1, lab.n2)
        for node in ("n2", "n1"):
            codes.append(self.prout("a", node, "v5", "--register-ignore --param-sark=0xa"))
            self.wait_in_step(lab.n1, lab.n2)
        lab.n3.run("lunward move g1 n1", timeout_s=120)
        self.look_up()
        codes.append(self.prout("a", "n1", "v5", "--reserve --param-rk=0xa --prout-type=5"))
        site.wait_healthy(lab, lab.n3)
        self.wait_in_step(lab.n1, lab.n2)
        self.check("and all as it was", not any(codes), f"{codes}")

    def move(self, to: str, when: str) -> None:
        self.say(f"move to {to}")
        self.lab.n3.run(f"lunward move g1 {to}", timeout_s=120)
        self.verify(when, "n1")
        site.wait_healthy(self.lab, self.lab.n3)
        self.wait_in_step(self.lab.n1, self.lab.n2)

    def crash(self) -> None:
        lab = self.lab
        self.say("power cut of the owner right after a GOOD of PREEMPT")
        self.look_up()
        code = self.prout("b", "n1", "v7", "--register --param-rk=0xb --param-sark=0xbb")
        lab.n1.power_cut()
        site.wait_owner(lab.n3, "n2")
        wait_until(lambda: site.node_of(lab.n3, "n1")["portals_at"] == "n2", 60, "n2 to serve the portals of n1")
        keys = sorted(r["key"] for r in self.table(lab.n2, "v7")["registrations"])
        self.check("a change just before the crash", code == 0 and "0xbb" in keys, f"{keys}")
        self.look_up()
        for node in ("n1", "n2"):
            self.prout("b", node, "v7", "--register-ignore --param-sark=0xb")
        self.verify("after a crash of the owner", "n1")
        self.say("n1 comes back")
        lab.n1.power_on()
        lab.align_clocks()
        site.wait_healthy(lab, lab.n3)
        self.wait_in_step(lab.n1, lab.n2)

    def agent_restarts(self) -> None:
        lab = self.lab
        owner = lab.nodes[self.owner()]
        self.say("lunwardd of the owner is killed while hosts change their keys")
        bad = 0
        for i in range(1, 7):
            if i % 2:
                owner.run("systemctl kill -s KILL lunwardd")
            code = self.prout("b", owner.name, "v8", f"--register-ignore --param-sark={0x100 + i:#x}")
            keys = [r["key"] for r in self.table(lab.nodes["n2" if owner.name == "n1" else "n1"], "v8")["registrations"]]
            bad += code == 0 and f"{0x100 + i:#x}" not in keys
        self.check("a killed lunwardd", bad == 0, f"{bad} of 6 changes were GOOD and are not in the other node's table")
        self.look_up()
        self.prout("b", owner.name, "v8", "--register-ignore --param-sark=0xb")

    def all_off(self) -> None:
        lab = self.lab
        self.say("power cut of all nodes at once")
        for node in (lab.n1, lab.n2, lab.n3):
            node.power_cut()
        for node in (lab.n1, lab.n2, lab.n3):
            node.power_on(wait=False)
        for node in (lab.n1, lab.n2, lab.n3):
            node.wait_ready()
        lab.align_clocks()
        site.wait_healthy(lab, lab.n3, deadline_s=400)
        self.verify("after a power cut of all nodes", "n1")

    def clear(self) -> None:
        self.lab.n3.run("true")
        for v in ("v1", "v3"):
            self.lab.n2.run(f"lunward reservation clear {v} --yes", timeout_s=60)
        owner = self.owner()

        def gone():
            return "0xa" not in self.lab.h1.run(f"sg_persist -n -k {self.device('c', owner, 'v1')}", check=False).out
        wait_until(gone, 30, "the owner has forgotten")
        seen = self.matrix()
        self.check("an operator's clear", all(x == "" for v in ("v1", "v3") for x in seen[v].values()), f"{seen['v1']} {seen['v3']}")

    def log_out(self) -> None:
        """Their 36 disks would keep the host busy with what happens to the volumes later."""
        for who in WHO:
            self.lab.h1.run(f"iscsiadm -m node -I {who} -u; iscsiadm -m node -I {who} -o delete; iscsiadm -m iface -I {who} -o delete", check=False,
                            timeout_s=200)

    def tell(self) -> dict:
        self.set_up()
        self.look_up()
        self.reserve()
        self.verify("before any move", "n1")
        self.through_standby()
        self.move("n2", "after a planned move")
        self.move("n1", "after the move back")
        self.agent_restarts()
        self.crash()
        self.move("n1", "after failback")
        self.all_off()
        self.clear()
        self.log_out()
        for node in (self.lab.n1, self.lab.n2):
            log = node.run("journalctl -u lunwardd -o cat", check=False, timeout_s=60).out
            self.result["waited_ms"] += [int(x) for x in re.findall(r"the host waited (\d+) ms\)", log)]
        waited = sorted(self.result["waited_ms"])
        if waited:
            self.say(f"LIO waited {waited[len(waited) // 2]} ms in the middle, {waited[-1]} ms at most, {len(waited)} changes")
        bad = self.lab.bad_words()
        self.check("kernels", not bad, "no warning, no hung task" if not bad else f"{bad[:3]}")
        self.result["seconds"] = round(time.monotonic() - self.began, 1)
        return self.result

# SPDX-License-Identifier: GPL-2.0-or-later
"""What real users of reservations do: fence agents, mpathpersist, a host that prefers the standby port, and one fenced while it writes.

Two hosts with multipath: h1, and the witness n3, which has nothing else to do.
"""
import json
import re
import time
from typing import Dict, List

import deployment as site
from lab import host
from lab.api import Node
from lab.wait import Timeout, wait_until
from pr_driver import Said, Storm, extend, login, switch_back_on, talk, tables, wait_in_step

IQN = {"h1": "iqn.2026-11.lab.lunward:fence-h1", "n3": "iqn.2026-11.lab.lunward:fence-n3"}
KEY = {"h1": "1a2b0001", "n3": "1a2b0003"}
BEHIND_THE_KERNELS_OWN = 128  # sectors: tpg_virt_lun0 has 8 pages
SERIAL = {f"f{i}": f"6a0d3c5e-00f{i}-4222-8333-1c6de04c7a11" for i in (1, 2, 3)}
MAP = {v: f"/dev/mapper/{host.wwid(s)}" for v, s in SERIAL.items()}
PORTAL = {f"n{i}": f"10.77.0.{i}:{site.PORT_TCP}" for i in (1, 2)}


def multipath_conf(name: str) -> str:
    """Only these volumes; of f3 the groups have one order, whoever owns."""
    return host.MULTIPATH_CONF.replace("defaults {", f"defaults {{\n\treservation_key 0x{KEY[name]}").replace(
        "prio alua", "prio alua\n\t\tdetect_prio no").replace(
        'blacklist {', 'blacklist_exceptions {\n' + "".join(f'\twwid "{host.wwid(s)}"\n' for s in SERIAL.values()) +
        '}\nblacklist {\n\twwid ".*"') + f"""multipaths {{
	multipath {{
		wwid "{host.wwid(SERIAL['f3'])}"
		prio iet
		prio_args "preferredip=10.77.0.2"
	}}
}}
"""


class Hosts:
    def __init__(self, r):
        self.r, self.lab = r, r.lab
        self.both = (r.lab.h1, r.lab.n3)

    def set_up(self) -> None:
        extend(self.r, {v: {"size": "16MiB", "serial": s} for v, s in SERIAL.items()}, {f"fence-{h}": [iqn] for h, iqn in IQN.items()},
               [(f"fence-{h}", v, i) for h in IQN for i, v in enumerate(SERIAL)])
        for h in self.both:
            host.set_up(h, initiator=IQN[h.name], multipath_conf=multipath_conf(h.name))
            h.run("systemctl restart iscsid multipathd; multipath -F; "
                  "iscsiadm -m iface -I fence -o new; iscsiadm -m iface -I fence -o update -n iface.initiatorname "
                  f"-v {IQN[h.name]}", check=False, timeout_s=90)
            for portal in PORTAL.values():
                host.login(h, site.TARGET, portal, "fence")
            for s in SERIAL.values():
                host.wait_map(h, s, 2)

    def run(self, h: Node, command: str) -> int:
        done = h.run(f"timeout 100 {command}", check=False, timeout_s=120)
        if done.code:
            self.r.say(f"       {h.name}: {command}: {done.code} {' '.join((done.out + done.err).split())[-200:]}")
        return done.code

    def paths_are_there(self, n: int) -> None:
        """Until each map has so many paths that work, and the hosts' commands get through."""
        for h in self.both:
            for v, s in SERIAL.items():
                try:
                    wait_until(lambda h=h, s=s: sum("running" in x and "failed" not in x for x in host.paths(h, host.wwid(s)).values()) >= n,
                               120, f"{n} paths of {v} on {h.name}", 1, explain=lambda h=h, s=s: host.paths(h, host.wwid(s)))
                except Timeout as e:
                    self.r.say(f"       {e}")

    def writes(self, h: Node, volume: str) -> str:
        """good, refused, or what else came of a write through the map."""
        done = h.run(f"timeout 60 dd if=/dev/zero of={MAP[volume]} bs=4096 count=1 oflag=direct 2>&1", check=False, timeout_s=90)
        return "good" if done.code == 0 else "refused" if re.search("Invalid exchange|Input/output", done.out) else f"{done.code} {done.out[-80:]}"

    # --- fencing ---------------------------------------------------------------------------------

    def agent(self, name: str, h: Node, action: str, key: str, volume: str) -> int:
        """As Pacemaker runs it: a second time if the first fails (pcmk_on_retries, pcmk_off_retries: 2)."""
        option = {"fence_scsi": "-k", "fence_mpath": "-n"}[name]
        command = f"{name} -o {action} {option} {key} -d {MAP[volume]}"
        return self.run(h, command) and self.run(h, command)

    def unfence(self, name: str, volume: str) -> List[str]:
        wrong = []
        for h in self.both:
            if code := self.agent(name, h, "on", KEY[h.name], volume):
                wrong.append(f"{name} on at {h.name}: {code}")
        return wrong

    def fence(self, name: str, volume: str) -> List[str]:
        """n3 takes h1 off."""
        code = self.agent(name, self.lab.n3, "off", KEY["h1"], volume)
        return [f"{name} off at n3: {code}"] if code else []

    def expect(self, volume: str, want: Dict[str, str]) -> List[str]:
        got = {h.name: self.writes(h, volume) for h in self.both}
        return [] if got == want else [f"writes of {volume}: {got}, should be {want}"]

    def fencing(self, name: str, volume: str) -> None:
        """Fenced before each move and crash, still fenced after it, and let in again."""
        lab, wrong = self.lab, []
        both_good, one_good = {"h1": "good", "n3": "good"}, {"h1": "refused", "n3": "good"}
        self.r.say(f"{name} on two hosts")
        wrong += self.unfence(name, volume) + self.expect(volume, both_good)
        for what in ("move", "crash"):
            owner = site.group(lab.n3)["owner"]
            heir = "n2" if owner == "n1" else "n1"
            wrong += [f"before the {what}: {w}" for w in self.fence(name, volume) + self.expect(volume, one_good)]
            if what == "move":
                lab.n3.run(f"lunward move g1 {heir}", timeout_s=120)
            else:
                lab.nodes[owner].power_cut()
                site.wait_owner(lab.n3, heir)
                wait_until(lambda o=owner, h=heir: site.node_of(lab.n3, o)["portals_at"] == h, 90, f"{heir} to serve {owner}'s portals")
            self.paths_are_there(2)
            wrong += [f"after the {what}: {w}" for w in self.expect(volume, one_good) + self.unfence(name, volume) +
                      self.expect(volume, both_good)]
            if what == "crash":
                switch_back_on(self.r)
                self.paths_are_there(2)
                wrong += [f"when {owner} was back: {w}" for w in self.expect(volume, both_good)]
        self.r.check(f"{name} across a move and a crash", not wrong, "; ".join(wrong[:4]) or
                     "h1 was kept out until it was let in again, n3 could write all the time")

    # --- mpathpersist with the standby group first -----------------------------------------------

    def persist(self, h: Node, args: str) -> int:
        return self.run(h, f"mpathpersist {args} -d {MAP['f3']}")

    def owned_by(self, owner: str) -> None:
        if site.group(self.lab.n3)["owner"] != owner:
            self.lab.n3.run(f"lunward move g1 {owner}", timeout_s=120)
        wait_in_step(self.r, ["f3"])
        self.paths_are_there(2)
        time.sleep(4)  # docs/RESERVATIONS.md: a group stays for 3 s where it has come

    def mpathpersist(self) -> None:
        """Each command finds the owner where it is to be: once behind the first path of the map, once behind the other; then it
        comes. Each host has its own order."""
        wrong, came = [], {"n1": [], "n2": []}
        self.r.say("mpathpersist, the standby group first in the map and last")
        for owner in ("n1", "n2"):
            def step(what, h, args, want, owner=owner):
                """`want`: the keys that are left and who holds."""
                self.owned_by(owner)
                code = self.persist(h, f"--out {args}")
                wait_in_step(self.r, ["f3"])
                now = site.group(self.lab.n3)["owner"]
                t = tables(self.lab.nodes[now], ["f3"])["f3"]["registrations"]
                got = (sorted(x["key"] for x in t), [x["key"] for x in t if x["holder"]])
                if now != owner:
                    came[owner].append(what)
                if code or got != want:
                    wrong.append(f"{owner} owned: {what}: {code}, {now} owns, {got}, should be {want}")
            k1, k3 = (f"0x{KEY[h]}" for h in ("h1", "n3"))
            step("register", self.lab.h1, f"--register --param-sark={k1}", ([k1, k1], []))
            step("register", self.lab.n3, f"--register --param-sark={k3}", ([k1, k1, k3, k3], []))
            step("reserve", self.lab.h1, f"--reserve --prout-type=5 --param-rk={k1}", ([k1, k1, k3, k3], [k1]))
            step("preempt", self.lab.n3, f"--preempt --prout-type=5 --param-rk={k3} --param-sark={k1}", ([k3, k3], [k3]))
            step("clear", self.lab.n3, f"--clear --param-rk={k3}", ([], []))
        self.r.check("mpathpersist, whichever path it picks", not wrong and sorted(came["n1"] + came["n2"]) == ["clear", "preempt", "reserve"],
                     "; ".join(wrong[:4]) or f"register, reserve, preempt and clear; the group came for {came}")

    def log_out(self) -> None:
        for h in self.both:
            h.run("multipath -F; iscsiadm -m session | grep -q . && iscsiadm -m node -I fence -u; iscsiadm -m node -I fence -o delete",
                  check=False, timeout_s=120)


def statuses(said: List[Said]) -> List[str]:
    return [f"{s.nexus} {s.verb} {s.status}" for s in said if s.status != "GOOD"]


def standby_first(r) -> None:
    """A host without a SCSI layer: registers through the standby port before the owner's, and relies on both."""
    lab, wrong = r.lab, []
    me, stranger = Storm.iqn(0, "a"), Storm.iqn(0, "v")
    for what in ("move", "crash"):
        owner = site.group(lab.n3)["owner"]
        heir = "n2" if owner == "n1" else "n1"
        said = talk(lab.h1, [f"w o {login(owner, me)}", "w o prout register-ignore 0 0 51", "w o prout clear 0 51 0"])
        wait_in_step(r, ["s0"])
        said += talk(lab.h1, [f"w s {login(heir, me)}", f"w o {login(owner, me)}", "w s prout register-ignore 0 0 51",
                              "w o prout register-ignore 0 0 51", "w o prout reserve 5 51 0", "w o write"])
        wrong += [f"before the {what}: {text}" for text in statuses(said)]
        if what == "move":
            lab.n3.run(f"lunward move g1 {heir}", timeout_s=120)
        else:
            lab.nodes[owner].power_cut()
            site.wait_owner(lab.n3, heir)
        said = talk(lab.h1, [f"w s {login(heir, me)}", f"w x {login(heir, stranger)}", "w s keys", "w s reservation", "w s write", "w x write",
                             "w s prout preempt 5 51 51", "w s write", "w s prout release 5 51 0", "w x write"])
        got = {(s.nexus, s.line): (s.status, s.more) for s in said}
        want = {("s", 3): ("GOOD", "0x51 0x51"), ("s", 4): ("GOOD", "0x51 5"), ("s", 5): ("GOOD", ""), ("x", 6): ("CONFLICT", ""),
                ("x", 10): ("GOOD", "")}
        wrong += [f"after the {what}: line {k}: {got.get(k)}, should be {v}" for k, v in want.items() if got.get(k) != v]
        wrong += [f"after the {what}: {text}" for text in statuses(said) if text != "x write CONFLICT"]
        switch_back_on(r)
    r.check("a host that registers through the standby port first", not wrong, "; ".join(wrong[:4]) or
            "its registration and reservation are in effect after a move and a crash, and it can preempt and release there")


def is_wait(answer: dict) -> bool:
    """What a host sends again, or looks at the path for: a unit attention, not ready in transition or in standby."""
    return answer["status"] == "CHECK" and (answer["key"] == 6 or (answer["key"], answer["asc"]) == (2, 4))


def count_loads(node: Node) -> int:
    return node.out("journalctl -b -u lunwardd --no-pager").count("loaded into this node")


def standby_waits(r) -> None:
    """A standby path says wait while its node loads reservations: never data, WRITE PROTECTED, or that there is no such unit.

    In the time of two system calls the kernel may say so all the same: to one command, not to the next. What it has at LUN 0 then are zeros in
    the first 32 KiB (docs/RESERVATIONS.md); a read behind them gets data from the volume or from nowhere.
    """
    lab, bad, waits = r.lab, [], 0
    owner = site.group(lab.n3)["owner"]
    heir = "n2" if owner == "n1" else "n1"
    wait_in_step(r, ["s0"])
    before_loads = count_loads(lab.nodes[heir])
    lab.h1.run(f"rm -f /run/standby; systemd-run -q --unit=standby-probe /host/tools/path-probe --log /run/standby --lba {BEHIND_THE_KERNELS_OWN} --pause-ms 1 "
               f"--initiator {Storm.iqn(0, 'v')} {heir}={PORTAL[heir]},{site.TARGET}")
    try:
        for _ in range(4):
            said = talk(lab.h1, [f"w o {login(owner, Storm.iqn(0, 'a'))}", "w o prout register-ignore 0 0 61", "w o prout reserve 5 61 0"])
            wait_in_step(r, ["s0"])
            said += talk(lab.h1, [f"w o {login(owner, Storm.iqn(0, 'a'))}", "w o prout clear 0 61 0"])
            wait_in_step(r, ["s0"])
            bad += statuses(said)
    finally:
        lab.h1.run("systemctl stop standby-probe")
    answers = [json.loads(line) for line in lab.h1.out("cat /run/standby", timeout_s=60).splitlines()]
    answers = [a for a in answers if a["cmd"] in ("tur", "read", "write")]
    before = False
    for a in answers:
        wrong = not is_wait(a)
        waits += a["status"] == "CHECK" and (a["key"], a["asc"], a["ascq"]) == (2, 4, 10)
        if wrong and (before or a["cmd"] == "read" and a["status"] == "GOOD"):
            bad.append(str(a))
        before = wrong
    loads = count_loads(lab.nodes[heir]) - before_loads
    r.check("a standby path while its node loads", not bad and waits and loads >= 4, "; ".join(bad[:3]) or
            f"{len(answers)} commands, {waits} of them told that it is in transition; {loads} loads")


def hosts(r) -> None:
    Storm.prepare(r, 1)
    standby_first(r)
    standby_waits(r)
    them = Hosts(r)
    them.set_up()
    them.mpathpersist()
    them.fencing("fence_scsi", "f1")
    them.fencing("fence_mpath", "f2")
    them.log_out()


# --- preempted while it works ----------------------------------------------------------------------------------------------------

def stuck(node: Node) -> List[str]:
    """Kernel threads of the target that wait for good: in two looks, some seconds apart, at the same place."""
    look = "for p in $(ps -eo pid=,stat=,comm= | awk '$2 ~ /^D/ && $3 ~ /iscsi|target|kworker/ {print $1}'); do " \
           "echo $p $(cat /proc/$p/comm) $(cat /proc/$p/stack 2>/dev/null | tr '\\n' ' '); done"
    first = node.out(look, timeout_s=60).splitlines()
    again = node.out(f"sleep 8; {look}", timeout_s=60).splitlines() if first else []
    return [line for line in first if line in again]


def both_registered(r, owner: str) -> None:
    """a holds the reservation with key a1, v is registered with b2, and nobody else."""
    for _ in range(5):  # a command that the cluster could not agree on in time is the host's to repeat
        said = talk(r.lab.h1, [f"w a {login(owner, Storm.iqn(0, 'a'))}", f"w v {login(owner, Storm.iqn(0, 'v'))}",
                               "w a prout register-ignore 0 0 a1", "w a prout clear 0 a1 0", "w a prout register-ignore 0 0 a1",
                               "w v prout register-ignore 0 0 b2", "w a prout reserve 5 a1 0"])
        if not statuses(said):
            return
    raise RuntimeError(f"cannot register: {statuses(said)}")


def preempt_writer(r, rounds: int) -> None:
    """PREEMPT AND ABORT takes the victim off in the middle of its writes; 64 is TASK ABORTED."""
    wrong, worst, hit, cut = [], 0.0, 0, 0
    owner = site.group(r.lab.n3)["owner"]
    for i in range(rounds):
        both_registered(r, owner)
        script = [f"p a {login(owner, Storm.iqn(0, 'a'))}", f"q v {login(owner, Storm.iqn(0, 'v'))}", "q v flood 32 1000000",
                  f"p a sleep {600 + 37 * i % 400}", "p a prout preempt-abort 5 a1 b2", "p a keys", "p a write", "q v write"]
        try:
            said = talk(r.lab.h1, script, 120)
        except RuntimeError as e:
            wrong.append(f"round {i + 1}: {e}")
            break
        by = {(s.worker, s.line): s for s in said}
        abort, keys, flood, after = (by.get(x) for x in (("p", 3), ("p", 4), ("q", 2), ("q", 3)))
        if abort and abort.status == "NONE" and flood:
            cut += 1  # not agreed in time: whether it took place the next READ KEYS would say
        elif not (abort and abort.status == "GOOD" and keys and keys.more == "0xa1"):
            wrong.append(f"round {i + 1}: {abort}, {keys}")
        elif not flood or flood.status not in ("CONFLICT", "64", "NONE") or "good=0" in flood.more.split():
            wrong.append(f"round {i + 1}: the victim: {flood}")
        elif not after or after.status not in ("CONFLICT", "NONE"):
            wrong.append(f"round {i + 1}: the victim afterwards: {after}")
        else:
            hit += 1
            worst = max(worst, (flood.ns - abort.ns) / 1e9)
    r.check("PREEMPT AND ABORT while the victim writes", hit and not wrong, "; ".join(wrong[:3]) or
            f"{hit} times, the victim's writes were over at most {worst:.1f} s after; {cut} times not agreed in time and cut off")


def preempt_in_upcall(r, rounds: int) -> None:
    """The victim's own command waits for the cluster while it is preempted."""
    wrong, both, cut = [], 0, 0
    owner = site.group(r.lab.n3)["owner"]
    for i in range(rounds):
        both_registered(r, owner)
        script = [f"p a {login(owner, Storm.iqn(0, 'a'))}", f"q v {login(owner, Storm.iqn(0, 'v'))}", "q v sleep 400"]
        for _ in range(12):
            # The victim changes its key to the one it has: a write to the cluster each time, and the preemptor knows the key.
            script += ["q v prout register-ignore 0 0 b2", "q v prout register-ignore 0 0 b2"]
        script.append(f"p a sleep {300 + 53 * i % 300}")
        script += ["p a prout preempt 5 a1 b2"] * 12
        try:
            said = talk(r.lab.h1, script, 180)
        except RuntimeError as e:
            wrong.append(f"round {i + 1}: {e}")
            break
        preempts = [s for s in said if s.verb == "preempt"]
        both += sum(s.status == "GOOD" for s in preempts)
        cut += any(s.status == "NONE" for s in said)  # not agreed in time
        bad = [s for s in said if s.status not in ("GOOD", "CONFLICT", "NONE")]
        if bad or len(preempts) != 12:
            wrong.append(f"round {i + 1}: {len(preempts)} of 12; {bad[:2]}")
    r.check("PREEMPT of who has a command of its own under way", both and not wrong, "; ".join(wrong[:3]) or
            f"{12 * rounds} PREEMPTs against a stream of REGISTERs, {both} were GOOD; in {cut} of {rounds} rounds a host was cut off")


def preempt(r) -> None:
    Storm.prepare(r, 1)
    for part, rounds in ((preempt_writer, 15), (preempt_in_upcall, 12)):
        try:
            part(r, rounds)
        except RuntimeError as e:
            r.check(f"{part.__name__} could be done", False, str(e)[:300])
        try:
            site.wait_healthy(r.lab, r.lab.n3)
            wait_in_step(r, ["s0"])
            threads = {n.name: stuck(n) for n in (r.lab.n1, r.lab.n2)}
            r.check(f"nothing hangs after {part.__name__}", not any(threads.values()), f"{threads}")
        except (RuntimeError, Timeout) as e:
            # A node whose kernel hangs is to be fenced, and service to return without a human.
            r.check(f"nothing hangs after {part.__name__}", False, str(e)[:300])
            switch_back_on(r)


def spin(r) -> None:
    """The kernel itself locks up: PREEMPT spins, with a lock held, for as long as its victim's own command waits for an agent that is
    dead. The node is lost to Corosync, or ends itself (kernel.softlockup_panic), and the other takes over without a human."""
    lab = r.lab
    Storm.prepare(r, 1)
    owner = site.group(lab.n3)["owner"]
    heir = "n2" if owner == "n1" else "n1"
    both_registered(r, owner)
    r.say(f"the kernel of {owner} spins")
    lab.nodes[owner].run("systemctl mask -q --runtime lunwardd; systemctl kill -s KILL lunwardd")
    script = [f"p a {login(owner, Storm.iqn(0, 'a'))}", f"q v {login(owner, Storm.iqn(0, 'v'))}", "q v prout register-ignore 0 0 b2", "p a sleep 3000",
              "p a prout preempt 5 a1 b2"]
    lab.h1.put("/run/pr-spin", "\n".join(script) + "\n")
    hosts = lab.h1.start("exec /host/tools/pr-driver --timeout-ms 90000 </run/pr-spin")
    began, before = time.monotonic(), len(lab.fence.log())
    try:
        site.wait_owner(lab.n3, heir, deadline_s=180)
        took = time.monotonic() - began
        fenced = len(lab.fence.log()) > before
        panic = "Kernel panic" in lab.nodes[owner].console()
        keys = {int(x["key"], 16) for x in tables(lab.nodes[heir], ["s0"])["s0"]["registrations"]}
        # With two processors nothing else runs there, Corosync neither; with more of them the soft lockup ends the node.
        r.check("a node whose kernel spins", fenced and keys in ({0xa1}, {0xa1, 0xb2}),
                f"{owner} was {'fenced' if fenced else 'not fenced'}{' after a panic' if panic else ', lost to Corosync'}; {heir} served after "
                f"{took:.0f} s; keys {sorted(map(hex, keys))}")
    finally:
        hosts.kill()
        hosts.wait(60)
        switch_back_on(r)

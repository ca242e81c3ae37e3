# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts as scripts of tools/pr-driver: single commands with their answers, and streams of them whose every state is known."""
import json
import re
import threading
import time
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

import deployment as site
from lab import cluster
from lab.api import Node
from lab.wait import wait_until

PORTALS = {f"n{i}": f"10.77.0.{i}:{site.PORT_TCP}" for i in (1, 2)}
TYPE_NAMES = {"write exclusive": 1, "exclusive access": 3, "write exclusive, registrants only": 5,
              "exclusive access, registrants only": 6, "write exclusive, all registrants": 7, "exclusive access, all registrants": 8}


class Said(NamedTuple):
    worker: str
    nexus: str
    line: int
    verb: str
    status: str  # "sent", "again", or what the command ended with
    ns: int      # the host's clock
    more: str
    seen: float  # this machine's, when the line was read


def parse(text: str, seen: float) -> Optional[Said]:
    words = text.split(" ", 6)
    if len(words) < 6 or not words[5].strip().isdigit():
        return None
    return Said(words[0], words[1], int(words[2]), words[3], words[4], int(words[5]), words[6].strip() if len(words) > 6 else "", seen)


def talk(host: Node, script: Iterable[str], timeout_s: float = 120) -> List[Said]:
    """Runs a script to its end; what each command ended with, in the order of the ends."""
    done = host.run("/host/tools/pr-driver", timeout_s=timeout_s, check=False, stdin=("\n".join(script) + "\n").encode())
    if done.code:
        raise RuntimeError(f"pr-driver ended with {done.code}: {done.err[-300:]}")
    said = [parse(line, 0) for line in done.out.splitlines()]
    return [s for s in said if s and s.status not in ("sent", "again")]


def login(node: str, initiator: str, lun: int = 0) -> str:
    return f"login {PORTALS[node]} {site.TARGET} {initiator} {lun}"


# --- the site ------------------------------------------------------------------------------------

def extend(r, volumes: Dict[str, dict], hosts: Dict[str, List[str]], mappings: List[Tuple[str, str, int]]) -> None:
    """Adds to the document in force, or makes the cluster first: each scenario can be run by itself."""
    lab = r.lab
    if lab.n1.run("test -e /etc/corosync/corosync.conf", check=False).code:
        r.say("three nodes, the keeper of reservations on n1 and n2")
        lab.align_clocks()
        for node in (lab.n1, lab.n2):
            node.enable_unit("lunward-pr")
        cluster.create(lab)
        doc = site.document(volumes=(), iser=False)
        doc["hosts"] = {}
    else:
        doc = json.loads(lab.n3.out("lunward config show --secrets", timeout_s=30))
    doc["groups"]["g1"]["takeover_limit"] = 0
    doc["volumes"].update({v: {"group": "g1", "pool": "data", **more} for v, more in volumes.items() if v not in doc["volumes"]})
    doc["hosts"].update({h: {"profile": "linux", "initiators": iqns} for h, iqns in hosts.items()})
    known = {(m["host"], m["volume"]) for m in doc["mappings"]}
    doc["mappings"] += [{"host": h, "volume": v, "target": site.TARGET, "lun": lun} for h, v, lun in mappings if (h, v) not in known]
    site.apply(lab.n1, doc, timeout_s=600)
    site.wait_healthy(lab, lab.n3, deadline_s=400)


def tables(node: Node, volumes: Iterable[str]) -> Dict[str, dict]:
    text = node.out("\n".join(f"lunward reservation show {v} --format json || exit 1; echo ///" for v in volumes), timeout_s=120)
    found = [json.loads(part) for part in text.split("///") if part.strip()]
    return {t["volume"]: t for t in found}


def wait_in_step(r, volumes: List[str], deadline_s: float = 90) -> Dict[str, dict]:
    """Until n1 and n2 have the same tables, in their kernels too; returns them."""
    seen: dict = {}

    def same():
        for node in (r.lab.n1, r.lab.n2):
            seen[node.name] = tables(node, volumes)
        return all(seen["n1"][v] == seen["n2"][v] and seen["n1"][v]["in_step"] for v in volumes)
    wait_until(same, deadline_s, "n1 and n2 to have the same tables", 0.5,
               explain=lambda: [(v, seen["n1"][v], seen["n2"][v]) for v in volumes
                                if seen["n1"][v] != seen["n2"][v] or not seen["n1"][v]["in_step"]][:2])
    return seen["n1"]


def switch_back_on(r) -> None:
    """Whoever is off comes back, all is in order."""
    for node in (r.lab.n1, r.lab.n2, r.lab.n3):
        if not node.is_on():
            node.power_on()
    r.lab.align_clocks()
    site.wait_healthy(r.lab, r.lab.n3, deadline_s=400)


# --- streams of commands -------------------------------------------------------------------------

class State(NamedTuple):
    """What READ KEYS and READ RESERVATION say."""
    keys: Tuple[int, ...] = ()
    holder: Optional[int] = None
    type: int = 0


def state_of_table(table: dict) -> State:
    regs = table["registrations"]
    holder = [int(x["key"], 16) for x in regs if x["holder"]]
    return State(tuple(sorted(int(x["key"], 16) for x in regs)), holder[0] if holder else None, TYPE_NAMES.get(table["type"], 0))


STEPS = ("REGISTER", "RESERVE", "REGISTER", "PREEMPT", "CLEAR")
FIRST = 5  # the line of the first step: two logins and the removal of what was there come before


class Storm:
    """To each of the volumes, over and over: a registers, a reserves, v registers, a preempts v, a clears. No state comes twice."""
    runs = 0

    def __init__(self, r, n: int, node: str, cycles: int = 400):
        Storm.runs += 1
        self.r, self.n, self.run = r, n, Storm.runs
        self.volumes = [f"s{i}" for i in range(n)]
        self.said: List[Said] = []
        self._news = threading.Condition()
        lines = []
        for i, v in enumerate(self.volumes):
            lines += [f"{v} a {login(node, self.iqn(i, 'a'))}", f"{v} v {login(node, self.iqn(i, 'v'))}",
                      f"{v} a prout register-ignore 0 0 1", f"{v} a prout clear 0 1 0"]
        for c in range(cycles):
            for i, v in enumerate(self.volumes):
                a, b = self.keys(i, c)
                lines += [f"{v} a prout register 0 0 {a:x}", f"{v} a prout reserve 5 {a:x} 0", f"{v} v prout register 0 0 {b:x}",
                          f"{v} a prout preempt 5 {a:x} {b:x}", f"{v} a prout clear 0 {a:x} 0"]
        r.lab.h1.put("/run/pr-script", "\n".join(lines) + "\n")
        self._process = r.lab.h1.start("echo $$; exec /host/tools/pr-driver --strict --timeout-ms 60000 </run/pr-script")
        self._pid = self._process.stdout.readline().strip()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def running(cls, r, n: int, node: str, cycles: int = 400) -> "Storm":
        """One of which each host has gone round once. A host that was cut off, because the cluster could not agree in time, ends its part:
        just after a node has come back that is no fault."""
        for attempt in range(4):
            storm = cls(r, n, node, cycles)
            try:
                storm.wait_running()
                return storm
            except RuntimeError as e:
                storm.stop()
                r.say(f"       attempt {attempt + 1}: {str(e)[:160]}")
                wait_in_step(r, storm.volumes)
        raise RuntimeError("hosts are cut off before they have gone round once")

    @staticmethod
    def iqn(i: int, who: str) -> str:
        return f"iqn.2026-11.lab.lunward:s{i}{who}"

    @classmethod
    def prepare(cls, r, n: int) -> None:
        names = [f"s{i}" for i in range(n)]
        extend(r, {v: {"size": "8MiB"} for v in names}, {v: [cls.iqn(i, "a"), cls.iqn(i, "v")] for i, v in enumerate(names)},
               [(v, v, 0) for v in names])

    def keys(self, i: int, cycle: int) -> Tuple[int, int]:
        base = self.run << 40 | i << 24 | cycle << 4
        return base | 0xa, base | 0xb

    def state(self, v: str, line: int) -> State:
        """After this line was executed, and no other."""
        if line < FIRST:
            return State()
        cycle, step = divmod(line - FIRST, len(STEPS))
        a, b = self.keys(self.volumes.index(v), cycle)
        return (State((a,)), State((a,), a, 5), State((a, b), a, 5), State((a,), a, 5), State())[step]

    @staticmethod
    def kind(line: int) -> str:
        return STEPS[(line - FIRST) % len(STEPS)]

    def _read(self) -> None:
        for text in self._process.stdout:
            said = parse(text, time.monotonic())
            if said:
                with self._news:
                    self.said.append(said)
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, what, deadline_s: float) -> Said:
        """The next that is `what`, from now on."""
        end = time.monotonic() + deadline_s
        with self._news:
            at = len(self.said)
            while True:
                for said in self.said[at:]:
                    if what(said):
                        return said
                at = len(self.said)
                if time.monotonic() > end or self._process.poll() is not None:
                    raise RuntimeError(f"the hosts have said {len(self.said)} lines, the last: {self.said[-3:]}")
                self._news.wait(0.5)

    def wait_running(self, deadline_s: float = 120) -> None:
        waiting = set(self.volumes)

        def all_have_gone_round(_):
            waiting.difference_update(s.worker for s in self.said if s.line > FIRST + len(STEPS))
            return not waiting
        self.wait_for(all_have_gone_round, deadline_s)

    def good(self, said: Said) -> bool:
        return said.status == "GOOD" and said.line >= FIRST

    def stop(self) -> None:
        self.r.lab.h1.run(f"kill -9 {self._pid}", check=False)
        self._process.wait(60)
        self._reader.join(60)

    def last_good(self, v: str) -> int:
        return max((s.line for s in self.said if s.worker == v and s.status == "GOOD"), default=0)

    def in_flight(self, v: str) -> Optional[Said]:
        """Sent and not answered, or answered with what says nothing about whether it was executed."""
        last = [s for s in self.said if s.worker == v][-1:]
        return last[0] if last and (last[0].status in ("sent", "NONE") or last[0].status.startswith("CHECK")) else None

    def wrong(self, seen: Dict[str, State]) -> List[str]:
        """Volumes that have neither the state after the last GOOD nor the one after the command that was in flight then."""
        found = []
        for v in self.volumes:
            line, flying = self.last_good(v), self.in_flight(v)
            allowed = [self.state(v, line)] + ([self.state(v, flying.line)] if flying and flying.line > line else [])
            if seen[v] not in allowed:
                found.append(f"{v}: GOOD up to {line} ({self.kind(line)}), in flight: {flying and (flying.line, flying.verb, flying.status)}, "
                             f"has {self.text(seen[v])}, should have {' or '.join(map(self.text, allowed))}")
        return found

    def lost(self, seen: Dict[str, State]) -> List[str]:
        """As wrong(), but while commands go on: what was GOOD before the table was read is there or was changed by a later command."""
        found = []
        for v in self.volumes:
            line = self.last_good(v)
            later = range(max(line, 0), line + 2 * len(STEPS))
            if seen[v] not in [self.state(v, x) for x in later]:
                found.append(f"{v}: GOOD up to {line} ({self.kind(line)}), has {self.text(seen[v])}")
        return found

    def unexpected(self) -> List[str]:
        """A conflict shows that the kernel had not what it had said GOOD to."""
        return [f"{s.worker} line {s.line}: {s.verb} {s.status}" for s in self.said
                if s.status not in ("sent", "again", "GOOD", "NONE") and not s.status.startswith("CHECK")]

    @staticmethod
    def text(s: State) -> str:
        return f"[{' '.join(f'{k:#x}' for k in s.keys)}{f' held by {s.holder:#x}' if s.holder else ''}]"


def kernel_states(r, node: str, n: int) -> Dict[str, State]:
    """Through the ports of `node`, from whoever answers there."""
    script = []
    for i in range(n):
        script += [f"s{i} a {login(node, Storm.iqn(i, 'a'))}", f"s{i} a keys", f"s{i} a reservation"]
    answers = {(s.worker, s.verb): s for s in talk(r.lab.h1, script, 300)}
    states = {}
    for i in range(n):
        keys, held = answers[(f"s{i}", "keys")], answers.get((f"s{i}", "reservation"))
        if keys.status != "GOOD" or not held or held.status != "GOOD":
            raise RuntimeError(f"s{i}: READ KEYS and READ RESERVATION: {keys}, {held}")
        words = re.findall(r"\S+", held.more)
        states[f"s{i}"] = State(tuple(sorted(int(k, 16) for k in keys.more.split())), int(words[0], 16) if words else None,
                                int(words[1]) if words else 0)
    return states

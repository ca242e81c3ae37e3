# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a reservation command when the power or the agent goes just then. `r` is the Reservations that check and say."""
import os
import random
import time
from typing import Dict, List

import deployment as site
from lab.wait import wait_until
from pr_driver import FIRST, STEPS, Storm, kernel_states, state_of_table, switch_back_on, tables, wait_in_step

WINDOW_NS = 10_000_000
KINDS = ("REGISTER", "RESERVE", "PREEMPT", "CLEAR")


def others(owner: str) -> str:
    return "n2" if owner == "n1" else "n1"


def states(node, volumes: List[str]) -> Dict[str, object]:
    return {v: state_of_table(t) for v, t in tables(node, volumes).items()}


def count_tries(storm: Storm, cut_at: float, counted: Dict[str, Dict[str, int]]) -> None:
    """What ended within the window before the cut, by the host's clock, and what had no answer."""
    # How far this machine's clock is ahead of the host's: at most as the fastest line says.
    ahead = min(s.seen - s.ns / 1e9 for s in storm.said)
    cut_ns = (cut_at - ahead) * 1e9
    for s in storm.said:
        if storm.good(s) and s.ns >= cut_ns - WINDOW_NS:
            counted["good"][storm.kind(s.line)] += 1
    for v in storm.volumes:
        flying = storm.in_flight(v)
        if flying and flying.line >= FIRST:
            counted["in flight"][storm.kind(flying.line)] += 1


def power_cuts(r) -> None:
    """The owner loses its power while all volumes get commands, at a random time after a GOOD of each kind in turn."""
    lab = r.lab
    cuts, n = int(os.environ.get("PR_CUTS", "11")), int(os.environ.get("PR_VOLUMES", "20"))
    seed = int(os.environ.get("PR_SEED", str(random.randrange(1 << 30))))
    rng = random.Random(seed)
    Storm.prepare(r, n)
    counted = {what: dict.fromkeys(KINDS, 0) for what in ("good", "in flight")}
    wrong: List[str] = []
    for c in range(cuts):
        owner = site.group(lab.n3)["owner"]
        kind = KINDS[c % len(KINDS)]
        r.say(f"cut {c + 1} of {cuts}: {owner}, within 10 ms after a GOOD of {kind} (seed {seed})")
        storm = Storm.running(r, n, owner)
        moment = time.monotonic() + rng.uniform(0.2, 2)
        storm.wait_for(lambda s, k=kind, m=moment, t=storm: s.seen >= m and t.good(s) and t.kind(s.line) == k, 60)
        time.sleep(rng.uniform(0, 0.007))
        cut_at = time.monotonic()
        lab.nodes[owner].power_cut()
        took = time.monotonic() - cut_at
        site.wait_owner(lab.n3, others(owner))
        heir = lab.nodes[others(owner)]
        storm.stop()
        table, kernel = states(heir, storm.volumes), kernel_states(r, heir.name, n)
        found = storm.wrong(table) + [f"in the kernel: {text}" for text in storm.wrong(kernel)] + storm.unexpected()
        wrong += [f"cut {c + 1}: {text}" for text in found]
        count_tries(storm, cut_at, counted)
        done = sum(storm.good(s) for s in storm.said)
        r.say(f"       {done} commands were GOOD, the cut took {took * 1000:.0f} ms; so far "
              f"{sum(counted['good'].values())} in the window, {sum(counted['in flight'].values())} in flight, {len(wrong)} wrong")
        for text in found[:4]:
            r.say(f"       {text}")
        switch_back_on(r)
        after = {v: state_of_table(t) for v, t in wait_in_step(r, storm.volumes).items()}
        wrong += [f"cut {c + 1}, when all were back: {text}" for text in storm.wrong(after)]
    tries = {k: counted["good"][k] + counted["in flight"][k] for k in KINDS}
    r.result["power_cuts"] = {"seed": seed, "cuts": cuts, "volumes": n, **counted}
    r.check("a power cut within 10 ms of a GOOD", not wrong and all(tries.values()), "; ".join(wrong[:3]) or
            f"{cuts} cuts, {sum(counted['good'].values())} GOOD in the last 10 ms and {sum(counted['in flight'].values())} in flight: "
            f"{tries}; nothing lost, nothing half")
    r.check("200 commands at the moment of a cut", sum(tries.values()) >= 200, f"{sum(tries.values())}")


# --- the agent ---------------------------------------------------------------------------------------------------------------

def judge(r, storm: Storm, what: str) -> None:
    storm.stop()
    switch_back_on(r)
    after = {v: state_of_table(t) for v, t in wait_in_step(r, storm.volumes).items()}
    kernel = kernel_states(r, site.group(r.lab.n3)["owner"], storm.n)
    bad = storm.wrong(after) + [f"in the kernel: {text}" for text in storm.wrong(kernel)] + storm.unexpected()
    ended = sum(bool(storm.in_flight(v)) for v in storm.volumes)
    r.check(what, not bad, "; ".join(bad[:3]) or
            f"{sum(storm.good(s) for s in storm.said)} commands GOOD, {ended} of {storm.n} hosts without an answer at the end, all tables right")


def wait_goes_on(storm: Storm, deadline_s: float = 20) -> None:
    """Until each host had another GOOD, or was cut off."""
    at = {v: storm.last_good(v) for v in storm.volumes}

    def each():
        return all(storm.last_good(v) > at[v] or storm.in_flight(v) and storm.in_flight(v).status != "sent" for v in storm.volumes)
    try:
        wait_until(each, deadline_s, "the hosts to go on")
    except AssertionError:
        pass  # told by judge(): they have no answer


def agents(r) -> None:
    """lunwardd is killed, restarted, and stopped for 20 s while commands arrive."""
    lab, n = r.lab, 6
    Storm.prepare(r, n)
    for i in range(int(os.environ.get("PR_KILLS", "4"))):
        for how in ("kill -s KILL", "restart"):
            node = lab.nodes[site.group(lab.n3)["owner"]]
            storm = Storm.running(r, n, node.name, 1500)
            for _ in range(3):
                node.run(f"systemctl {how} lunwardd", timeout_s=60)
                wait_goes_on(storm)
            judge(r, storm, f"lunwardd of the owner: {how}, three times, {i + 1}")
    for who in ("owner", "other"):
        owner = site.group(lab.n3)["owner"]
        node = lab.nodes[owner if who == "owner" else others(owner)]
        watcher = lab.nodes[others(node.name)]
        storm = Storm.running(r, n, owner, 1500)
        r.say(f"lunwardd of the {who} ({node.name}) is stopped for 20 s")
        began, lost, looks, at = time.monotonic(), [], 0, len(storm.said)
        node.run("systemctl kill -s STOP lunwardd")
        try:
            while time.monotonic() < began + 20:
                # What was GOOD before the look must be seen by it.
                good = {v: storm.last_good(v) for v in storm.volumes}
                seen = states(watcher, storm.volumes)
                lost += [f"{v}: GOOD up to {good[v]}, {watcher.name} has {storm.text(seen[v])}" for v in storm.volumes
                         if seen[v] not in [storm.state(v, x) for x in range(good[v], good[v] + 8 * len(STEPS))]]
                looks += 1
        finally:
            node.run("systemctl kill -s CONT lunwardd", check=False)
        goods = sum(storm.good(s) for s in storm.said[at:])
        r.check(f"what is GOOD while lunwardd of the {who} is stopped", not lost, "; ".join(lost[:3]) or
                f"{goods} commands GOOD, each in the other's table; {looks} looks")
        wait_goes_on(storm)
        judge(r, storm, f"lunwardd of the {who}: stopped for 20 s")

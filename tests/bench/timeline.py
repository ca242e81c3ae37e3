# SPDX-License-Identifier: GPL-2.0-or-later
"""What happened when, from the journals that the machines of the lab stream out. Pure."""
import re
from datetime import datetime, timezone
from typing import Dict, List, Optional

# What a line of a journal means; the groups of the pattern go into the name of the step.
STEPS = tuple((re.compile(pattern), step) for pattern, step in (
    (r"corosync\[\d+\]:.* A processor failed", "processor failed"),
    (r"corosync\[\d+\]:.* A new membership \(\S+\) was formed\. Members left", "membership"),
    (r"pacemaker-fenced\[\d+\]:.* Operation '(?:off|reboot)'.* (?:targeting|of) (\S+) .*(?:: OK|: complete)", r"\1 fenced"),
    (r"pacemaker-controld\[\d+\]:.* Result of (start|stop|promote|demote) operation for (\S+?)(?::\d+)? on \S+: (?:0 \()?ok", r"\1 \2"),
))


def wall_s(stamp: str, year: int) -> float:
    """Seconds since 1970 of a stamp of journalctl -o short-precise, whose machines live in UTC."""
    return datetime.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S.%f").replace(tzinfo=timezone.utc).timestamp()


def step_of(line: str) -> Optional[str]:
    for pattern, step in STEPS:
        found = pattern.search(line)
        if found:
            return found.expand(step)
    return None


def from_journals(journals: Dict[str, str], since_s: float, until_s: float) -> List[dict]:
    """`at_s` after `since_s`, `node` and `step` of what the journals tell of that time. What several nodes say of the cluster as a whole
    is told once, by who said it first."""
    year = datetime.fromtimestamp(since_s, timezone.utc).year
    found = []
    for node, text in journals.items():
        for line in text.splitlines():
            step = step_of(line)
            if step is None:
                continue
            at_s = wall_s(line[:22], year) - since_s
            if 0 <= at_s <= until_s - since_s:
                found.append({"at_s": round(at_s, 3), "node": node, "step": step})
    found.sort(key=lambda s: s["at_s"])
    told, first = set(), []
    for s in found:
        of_all = s["step"] in ("processor failed", "membership") or s["step"].endswith(" fenced")
        if not (of_all and s["step"] in told):
            first.append(s)
        told.add(s["step"])
    return first


def without_middle(steps: List[dict], prefixes: tuple) -> List[dict]:
    """Of the steps of each prefix on a node (one for each volume) the first and the last: between them they repeat."""
    ends = {}
    for i, s in enumerate(steps):
        for prefix in prefixes:
            if s["step"].startswith(prefix):
                key = (s["node"], prefix)
                ends[key] = (ends.get(key, (i, i))[0], i)
    kept = {i for pair in ends.values() for i in pair}
    return [s for i, s in enumerate(steps) if i in kept or not s["step"].startswith(prefixes)]

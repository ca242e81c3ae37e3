# SPDX-License-Identifier: GPL-2.0-or-later
"""Did two nodes ever serve one volume at once? The oracle over path-probe's log.

What the log tells of a command is an interval: sent at t0, answered at t1, executed some time in between. So two answers contradict
each other only if no moment can be chosen in each interval that explains both. The question put here is: how often, at least, must the
ownership have moved for each GOOD write (or each claim "I am active/optimized") to come from the owner of its moment? A history of one
move needs 1. A second node that serves although it does not own needs one more for each time that owner's and usurper's answers
alternate. A test knows how many moves it made.
"""
import json
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

ACTIVE_OPTIMIZED = 0


class Event(NamedTuple):
    path: str
    t0: int
    t1: int


def parse(text: str) -> List[dict]:
    """Records of a log. A last line without end is left out; any other bad line is an error."""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def good_writes(records: Iterable[dict]) -> List[Event]:
    return [Event(r["path"], r["t0"], r["t1"]) for r in records if r["cmd"] == "write" and r["status"] == "GOOD"]


def own_groups(records: Iterable[dict]) -> Dict[str, int]:
    """The target port group that each path's port belongs to, as it said itself."""
    return {r["path"]: r["group"] for r in records if r["cmd"] == "ident" and r["status"] == "GOOD" and r["group"] >= 0}


def active_groups(record: dict) -> List[int]:
    return [group for group, state, _ in record["groups"] if state == ACTIVE_OPTIMIZED]


def answers(records: Iterable[dict]) -> List[dict]:
    return [r for r in records if r["cmd"] == "rtpg" and r["status"] == "GOOD"]


def active_claims(records: List[dict]) -> List[Event]:
    """Answers to RTPG in which a path says of its own group that it is active/optimized.

    What it says of another group may be out of date and does no harm; the host asks that group as well.
    """
    own = own_groups(records)
    return [Event(r["path"], r["t0"], r["t1"]) for r in answers(records) if own.get(r["path"]) in active_groups(r)]


def double_active(records: Iterable[dict]) -> List[dict]:
    """Single answers that call more than one group active/optimized."""
    return [r for r in answers(records) if len(active_groups(r)) > 1]


def owners(events: Iterable[Event]) -> List[Tuple[str, int, Event]]:
    """A shortest sequence of owners that explains all events: (path, latest moment to become owner, the event that demands it).

    Greedy: an owner keeps everything until some other path's event can wait no longer; that is where ownership has to have moved, at the
    latest. Only who was first has to be tried. Exact for two paths; with more it may name a move too many.
    """
    events = list(events)
    return min((_owners_from(p, events) for p in sorted({e.path for e in events})), key=len, default=[])


def _owners_from(owner: str, events: List[Event]) -> List[Tuple[str, int, Event]]:
    left = sorted(events, key=lambda e: e.t1)
    sequence: List[Tuple[str, int, Event]] = []
    while left:
        others = [e for e in left if e.path != owner]
        first = next((e for e in left if e.path == owner), left[0])
        sequence.append((owner, min(first.t1, others[0].t1) if others else first.t1, first))
        if not others:
            break
        left = [e for e in left if e.path != owner or e.t0 >= others[0].t1]
        owner = others[0].path
    return sequence


def moves(events: Iterable[Event]) -> int:
    """How often ownership must have moved, at least."""
    return max(0, len(owners(events)) - 1)


def within(events: Iterable[Event], path: str, begin_ns: int, end_ns: Optional[int] = None) -> List[Event]:
    """Events of a path that lie wholly in a window: for "never while it was not owner"."""
    return [e for e in events if e.path == path and e.t0 >= begin_ns and (end_ns is None or e.t1 <= end_ns)]


def check(records: List[dict], n_moves: int) -> dict:
    """The verdict as a JSON-able dict: `ok` if `n_moves` moves of ownership explain all that the paths answered.

    A log without any GOOD write proves nothing and is not ok.
    """
    writes, claims = good_writes(records), active_claims(records)
    double = double_active(records)
    unknown = sorted({r["path"] for r in answers(records)} - set(own_groups(records)))
    return {"ok": bool(writes) and not double and not unknown and moves(writes) <= n_moves and moves(claims) <= n_moves,
            "expected_moves": n_moves, "write_moves": moves(writes), "claim_moves": moves(claims),
            "good_writes": len(writes), "claims": len(claims),
            "write_owners": [(path, at) for path, at, _ in owners(writes)][:50],
            "claim_owners": [(path, at) for path, at, _ in owners(claims)][:50],
            "double_active": double[:10], "unidentified_paths": unknown}

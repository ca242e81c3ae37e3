# SPDX-License-Identifier: GPL-2.0-or-later
"""The oracle of path-probe: what one owner explains passes, two at once are found."""
import itertools
import json
import random

import pytest

from lab import probe
from lab.probe import Event


def record(path, cmd, t0, t1, status="GOOD", **more):
    return {"path": path, "cmd": cmd, "t0": t0, "t1": t1, "status": status, **more}


def ident():
    return [record("a", "ident", 0, 1, group=1), record("b", "ident", 0, 1, group=2)]


def rtpg(path, t0, t1, one, two):
    return record(path, "rtpg", t0, t1, groups=[[1, one, 0], [2, two, 0]])


def test_one_move_explains_a_handover():
    events = [Event("a", 0, 1), Event("a", 2, 3), Event("b", 4, 5), Event("b", 6, 7)]
    assert probe.moves(events) == 1
    assert [path for path, _, _ in probe.owners(events)] == ["a", "b"]


def test_answers_under_way_during_a_move_contradict_nothing():
    assert probe.moves([Event("a", 0, 1), Event("a", 2, 9), Event("b", 3, 4), Event("b", 5, 10)]) == 1


def test_a_late_good_of_the_old_owner_is_found():
    assert probe.moves([Event("a", 0, 1), Event("b", 2, 3), Event("a", 4, 5), Event("b", 6, 7)]) == 3


def test_two_nodes_that_serve_all_the_time_are_found():
    events = [Event(path, t, t + 1) for t in range(0, 40, 2) for path in "ab"]
    assert probe.moves(events) > 10


def brute_force(events):
    """The same question by trying every sequence of owners over every grid of half ticks."""
    paths = sorted({e.path for e in events})
    ticks = range(0, 2 * max(e.t1 for e in events) + 1)
    best = {}  # (owner, events explained) -> fewest moves
    for p in paths:
        best[(p, frozenset())] = 0
    for t in ticks:
        step = {}
        for (owner, done), n in best.items():
            for nxt in paths:
                now = done | {i for i, e in enumerate(events) if e.path == nxt and 2 * e.t0 <= t <= 2 * e.t1}
                if any(2 * e.t1 <= t and i not in now for i, e in enumerate(events) if 2 * e.t1 < t):
                    continue
                key = (nxt, frozenset(now))
                step[key] = min(step.get(key, 99), n + (nxt != owner))
        best = step
    return min(n for (_, done), n in best.items() if len(done) == len(events))


def test_the_greedy_answer_is_the_least():
    rng = random.Random(7)
    for _ in range(150):
        ends = [sorted(rng.sample(range(0, 12), 2)) for _ in range(rng.randint(1, 5))]
        events = [Event(rng.choice("ab"), *pair) for pair in ends]
        assert probe.moves(events) == brute_force(events), events


def test_a_clean_log_passes():
    records = ident() + [rtpg("a", 2, 3, 0, 2), rtpg("b", 2, 3, 0, 2), record("a", "write", 4, 5, seq=1),
                         record("b", "write", 4, 5, "CHECK", key=2, asc=4, ascq=11),
                         rtpg("a", 6, 7, 2, 0), rtpg("b", 8, 9, 2, 0), record("b", "write", 8, 9, seq=2)]
    verdict = probe.check(probe.parse("".join(json.dumps(r) + "\n" for r in records)), 1)
    assert verdict["ok"], verdict
    assert not probe.check(records, 0)["ok"]


def test_two_active_groups_in_one_answer_are_found():
    records = ident() + [record("a", "write", 2, 3, seq=1), rtpg("a", 4, 5, 0, 0)]
    assert probe.check(records, 0)["double_active"]
    assert not probe.check(records, 0)["ok"]


def test_two_nodes_that_both_call_themselves_active_are_found():
    records = ident() + [record("a", "write", 2, 3, seq=1)]
    for t in range(10, 30, 4):
        records += [rtpg("a", t, t + 1, 0, 2), rtpg("b", t + 2, t + 3, 2, 0)]
    verdict = probe.check(records, 1)
    assert not verdict["ok"] and verdict["claim_moves"] > 1 and verdict["write_moves"] == 0


def test_hearsay_of_another_group_is_no_claim():
    records = ident() + [record("a", "write", 2, 3, seq=1)]
    for t in range(10, 30, 4):
        records += [rtpg("a", t, t + 1, 0, 2), rtpg("b", t + 2, t + 3, 0, 2)]
    assert probe.check(records, 0)["ok"]


def test_a_log_without_writes_or_without_names_proves_nothing():
    assert not probe.check(ident(), 0)["ok"]
    assert not probe.check([record("a", "write", 2, 3, seq=1), rtpg("a", 4, 5, 0, 2)], 0)["ok"]


def test_windows():
    events = [Event("a", 5, 6), Event("a", 9, 12), Event("b", 5, 6)]
    assert probe.within(events, "a", 4, 10) == [Event("a", 5, 6)]
    assert probe.within(events, "a", 7) == [Event("a", 9, 12)]


@pytest.mark.parametrize("text", ['{"path": "a"}\n{"pa', ""])
def test_half_a_last_line_is_left_out(text):
    assert len(probe.parse(text)) == text.count("\n")


def test_order_does_not_matter():
    events = [Event("a", 0, 1), Event("b", 2, 3), Event("a", 4, 5)]
    assert {probe.moves(p) for p in itertools.permutations(events)} == {2}

# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bench makes of journals, and the XML that it gives to Pacemaker."""
import os
import sys
import xml.etree.ElementTree as ET

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system"), os.path.join(os.path.dirname(HERE), "lab")]

import figures  # noqa: E402
import peer  # noqa: E402
import report  # noqa: E402
import timeline  # noqa: E402

COROSYNC = "Nov 22 10:04:52.261556 corosync[341]:   [TOTEM ] A processor failed, forming new configuration: token timed out (3000ms)"
CONTROLD = "Nov 22 10:05:0{}.000000 pacemaker-controld[412]:  notice: Result of {} operation for {} on n2: ok"


@pytest.mark.parametrize("line, step", [
    (COROSYNC, "processor failed"),
    ("Nov 22 10:04:56.236914 corosync[341]:   [TOTEM ] A new membership (2.11) was formed. Members left: 1", "membership"),
    ("Nov 22 10:07:05.363062 corosync[341]:   [TOTEM ] A new membership (1.16) was formed. Members joined: 1", None),
    ("Nov 22 10:04:57.000000 pacemaker-fenced[410]:  notice: Operation 'reboot' targeting n1 by n3 for pacemaker-controld.412@n3: OK (complete)",
     "n1 fenced"),
    ("Nov 22 10:04:57.000000 pacemaker-fenced[410]:  notice: Operation 'reboot' [77] targeting n1 using fencing returned 0", None),
    (CONTROLD.format(1, "promote", "drbd"), "promote drbd"),
    (CONTROLD.format(1, "start", "lun31"), "start lun31"),
    (CONTROLD.format(1, "monitor", "lun31"), None),
    (CONTROLD.format(1, "start", "lun31").replace(": ok", ": error"), None),
])
def test_steps(line, step):
    assert timeline.step_of(line) == step


def test_timeline():
    since_s = timeline.wall_s("Nov 22 10:04:50.261556", 2026)
    journals = {
        "n2": "\n".join([COROSYNC.replace(":52.", ":48."), COROSYNC, CONTROLD.format(9, "promote", "drbd")]),
        "n3": "\n".join([COROSYNC.replace("261556", "761556"), "Nov 22 10:09:00.000000 corosync[1]: A processor failed"]),
    }
    assert timeline.from_journals(journals, since_s, since_s + 60) == [
        {"at_s": 2.0, "node": "n2", "step": "processor failed"},
        {"at_s": 18.738, "node": "n2", "step": "promote drbd"},
    ]


def test_the_middle_is_left_out():
    steps = [{"at_s": float(i), "node": "n2", "step": f"start lun{i}"} for i in range(5)] + [{"at_s": 9.0, "node": "n2", "step": "start unblock"}]
    assert [s["step"] for s in timeline.without_middle(steps, ("start lun",))] == ["start lun0", "start lun4", "start unblock"]


def test_the_peer_is_well_formed():
    configuration = ET.fromstring(f"<configuration><resources>{peer.resources(3)}</resources><constraints>{peer.CONSTRAINTS}</constraints></configuration>")
    ids = [e.get("id") for e in configuration.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert [e.get("id") for e in configuration.find(".//group")] == ["block", "address", "target", "lun0", "lun1", "lun2", "unblock"]
    assert {e.get(k) for e in configuration.iter() for k in ("rsc", "with-rsc", "first", "then") if e.get(k)} <= set(ids)


def run_of(stack, volumes, case, pause_s, evidence="n1 fenced", errors=0, kept=True):
    steps = [{"at_s": 8.0, "node": "n3", "step": evidence}] if case == "crash" else []
    return {"stack": stack, "volumes": volumes, "case": case, "pause_s": pause_s, "errors": errors, "reservations_kept": kept, "timeline": steps}


def test_medians_and_promises():
    table = figures.cells([run_of("peer", 1, "move", p, kept=False) for p in (70.0, 80.0, 72.0)] +
                          [run_of("lunward", 1, "move", p) for p in (1.0, 1.6, 1.2)] +
                          [run_of("peer", 1, "crash", 60.0), run_of("lunward", 1, "crash", 10.0, "fence evidence")])
    assert table["peer", 1, "move"] == figures.Cell(3, 72.0, 70.0, 80.0, None, 0, 0)
    assert table["lunward", 1, "crash"].beyond_s == 2.0 and table["peer", 1, "crash"].beyond_s == 52.0
    told = {p.what: p for p in figures.promises(table)}
    assert told["pause of a planned move, 1 volume: Lunward / peer"].ok  # 1.2 / 72 = 1 / 60
    assert not told["longest pause of a planned move, 1 volumes, s"].ok
    beyond = told["pause of a crash beyond detection and fencing, 1 volume: Lunward / peer"]
    assert beyond.ok and round(beyond.value, 4) == round(2 / 52, 4)
    assert not any("128" in what or "32" in what for what in told)


def test_what_was_lost_is_not_kept():
    table = figures.cells([run_of("lunward", 8, "crash", 10.0, kept=False), run_of("lunward", 8, "crash", 10.0, errors=3)])
    told = {p.what: p for p in figures.promises(table)}
    assert not told["reservations lost, lunward, 8 volumes, crash"].ok and not told["I/O errors, lunward, 8 volumes, crash"].ok


def test_the_report_names_what_was_not_kept():
    text = report.markdown({"machine": {"accelerator": "tcg", "processors": 2, "kernel": "6"}, "commit": "abc", "versions": {"kernel": "6.1"}, "setup": [
        {"stack": "lunward", "volumes": 8, "build_s": 3.0, "rest_percent": 1.0, "resident_mib": 20.0}],
        "runs": [run_of("lunward", 8, "move", 1.0, kept=False), run_of("lunward", 8, "crash", 9.0, "fence evidence")]})
    assert "**not kept**" in text and "## Power cut" in text and "| Lunward | 8 | 1 | 9.00 s | 9.00 .. 9.00 s | 1.00 s | 0 | 1 of 1 |" in text


def test_the_crash_is_drawn_step_by_step():
    runs = [run_of("peer", 1, "crash", 60.0), run_of("lunward", 1, "crash", 10.0, "fence evidence"), run_of("lunward", 8, "crash", 10.0, "never drawn")]
    program = report.crash_plot(runs)
    assert program.index("'Pacemaker, iSCSITarget'") < program.index("8.0 s  n3: n1 fenced") < program.index("'Lunward'") < program.index("8.0 s  n3: fence evidence")
    assert "0.0 -1 8.0 0 1\n0.0 -4 8.0 0 3\n" in program and "never drawn" not in program

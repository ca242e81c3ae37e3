#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab makes of its kernels' logs: a hung task is told with its stack, and none is overlooked but the one that is allowed."""
import os
import re
import sys
import types

import tap

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab"))
from lab.api import DEAD_ISER_PEER, Lab, complaints  # noqa: E402  pylint: disable=wrong-import-position

HUNG = "INFO: task kworker/0:0:7 blocked for more than 61 seconds."
STACK = ["Workqueue: release workqueue iser_release_work [ib_iser]", "Call Trace:", " <TASK>", " __schedule+0x34d/0xa00",
         " ? usleep_range_state+0x90/0x90", " wait_for.part.0+0x91/0x1e0", " %s+0x29/0x50 [ib_iser]", " </TASK>", " later+0x1/0x2"]
INNER = HUNG + ": __schedule < wait_for < "


def journal(function):
    return [f"Nov 23 11:39:40.639713 kernel: {line}" for line in [HUNG] + STACK[:6] + [STACK[6] % function] + STACK[7:]]


def bad_words(allow, journal_lines, console_lines):
    node = types.SimpleNamespace(name="h1", journal=lambda: "\n".join(journal_lines), console=lambda: "\n".join(console_lines))
    return Lab.bad_words(types.SimpleNamespace(nodes={"h1": node}), allow)


def test_a_hung_task_has_its_stack():
    (said,) = complaints(journal("iser_release_work"))
    assert said.endswith(INNER + "iser_release_work")
    assert re.search(DEAD_ISER_PEER, said)


def test_only_this_function_is_allowed():
    console = [f"[  247.319066] {HUNG}"]
    assert bad_words(DEAD_ISER_PEER, journal("iser_release_work"), console) == []
    # Its name among what the kernel says of the task is not its stack.
    (said,) = bad_words(DEAD_ISER_PEER, journal("iser_release_workers"), console)
    assert said[1].endswith(INNER + "iser_release_workers")
    assert len(bad_words(None, journal("iser_release_work"), console)) == 1


def test_what_only_the_console_has_is_heard():
    assert bad_words(DEAD_ISER_PEER, [], [f"[  247.319066] {HUNG}"]) == [("h1", f"[  247.319066] {HUNG}")]
    assert bad_words(DEAD_ISER_PEER, journal("iser_release_work"), ["[  300.0] Kernel panic - not syncing"]) == [
        ("h1", "[  300.0] Kernel panic - not syncing")]


if __name__ == "__main__":
    tap.main(__file__)

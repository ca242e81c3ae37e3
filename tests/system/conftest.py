# SPDX-License-Identifier: GPL-2.0-or-later
"""One lab for all system tests, in the order of the files: the story sets the site up, the others go on from there."""
import json
import os
import signal
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lab")]

from lab.api import BUILD, Lab, LabError  # noqa: E402
from story import Story  # noqa: E402

SET_UP_S = 90        # for the site, on the machine where this and `takes` were measured
BOOT_S = 290         # until a node that is off is a spare
FIRST_NEED_S = 1500  # before that is known: machines, set-up, and the story


def pytest_configure(config):
    config.addinivalue_line("markers", "lab: needs the virtual machines")
    config.addinivalue_line("markers", "takes(seconds): where the site is set up in SET_UP_S, and all nodes run")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a stopped run takes its lab down


def left_s() -> float:
    """Until all has to be over; without CHECK_UNTIL (seconds since 1970, .ci/run) there is no end."""
    return float(os.environ.get("CHECK_UNTIL", "inf")) - time.time()


@pytest.fixture(scope="session")
def story():
    if left_s() < FIRST_NEED_S:
        pytest.skip(f"no time: {left_s():.0f} s are left on this machine")
    made = Lab(os.environ.get("LAB_DIR"))
    # CI's two processors also run what the test harness does: order and safety are strict, seconds are not. LAB_PATIENCE=1 for a
    # machine that does nothing else.
    told = Story(made, lambda text: print(text, flush=True), patience=float(os.environ.get("LAB_PATIENCE", "5")))
    try:
        made.up(bound=True)
        yield told
    except LabError as e:
        pytest.fail(str(e))
    finally:
        # What was measured, beside what was promised.
        with open(os.path.join(BUILD, "system.json"), "w", encoding="utf-8") as f:
            json.dump(told.result, f, indent=1)
        if made.is_up():
            made.collect_logs("system")
            made.down()


@pytest.fixture(scope="session")
def pace(story):
    """The site as the story sets it up, and how many times slower this machine is at that."""
    began = time.monotonic()
    story.set_up()
    return (time.monotonic() - began) / SET_UP_S


@pytest.fixture(scope="session")
def told(story, pace):  # pylint: disable=unused-argument,redefined-outer-name  # after it
    return story


@pytest.fixture(autouse=True)
def in_time(request, told, pace):
    """Emulation is up to three times as slow on some days. A test that would not be over in time is skipped and says so, instead of taking the
    verdict on all others with it; the story comes first."""
    takes = request.node.get_closest_marker("takes")
    needs_s = pace * (takes.args[0] + (0 if told.lab.n1.is_on() else BOOT_S)) if takes else 0
    if left_s() < needs_s:
        pytest.skip(f"no time: it takes about {needs_s:.0f} s here, {left_s():.0f} s are left")

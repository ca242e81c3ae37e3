# SPDX-License-Identifier: GPL-2.0-or-later
"""One lab for all system tests, in the order of the files: the story sets the site up, the others go on from there."""
import json
import os
import signal
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lab")]

from lab.api import BUILD, Lab, LabError  # noqa: E402
from story import Story  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "lab: needs the virtual machines")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a stopped run takes its lab down


@pytest.fixture(scope="session")
def story():
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

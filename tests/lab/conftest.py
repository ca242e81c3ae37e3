# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of tests that use the lab. Mark them `lab`; they need root, an image and two minutes to start."""
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import cluster  # noqa: E402
from lab.api import CommandFailed, Lab, LabError, Unreachable  # noqa: E402
from lab.wait import Timeout  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "lab: needs the virtual machines")
    # A stopped test run takes its lab down; Python would just die of SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@pytest.fixture(scope="session")
def lab():
    """A lab of its own with a quorate cluster; with LAB_KEEP=1 the one that is up, which stays up."""
    made = Lab()
    if os.environ.get("LAB_KEEP") and made.is_up():
        yield made
        return
    try:
        try:
            made.up(bound=True)
            cluster.create(made)
        except (LabError, CommandFailed, Unreachable, Timeout) as e:
            pytest.fail(f"the lab did not come up: {e}", pytrace=False)
        yield made
    finally:
        if made.is_up():
            made.collect_logs("last")
            made.down()


@pytest.fixture
def whole(lab):
    """The lab with all power, networks, disks and the fence device restored before and after the test."""
    restore(lab)
    yield lab
    restore(lab)


def restore(lab):
    lab.heal()
    lab.fence.mode = "ok"
    status = lab.status()["vms"]
    for node in lab.nodes.values():
        if status[node.name]["paused"]:
            node.resume()
    off = [node for node in lab.nodes.values() if not status[node.name]["on"]]
    for node in off:
        node.power_on(wait=False)
    for node in off:
        node.wait_ready()
    for node in (lab.n1, lab.n2):
        node.disk_heal()
    cluster.wait_members(lab, ("n1", "n2", "n3"), deadline_s=120)

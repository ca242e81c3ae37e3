# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a cluster that is gone after the test, whatever happened, and whose logs are shown if it failed."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import netns_cluster  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture
def cluster(request, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    with netns_cluster.Cluster(getattr(request, "param", 3), tmp_path) as made:
        yield made
    report = getattr(request.node, "report_call", None)
    if report is not None and report.failed:
        for node in made.nodes:
            path = node.path("corosync.log")
            if os.path.exists(path):
                with open(path, encoding="utf-8") as log:
                    print(f"--- corosync on {node.name}, last lines\n" + "".join(log.readlines()[-40:]))


@pytest.fixture(scope="session")
def build_dir():
    return os.path.join(ROOT, os.environ.get("BUILD", "build/gcc"))

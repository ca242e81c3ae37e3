# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a cluster that is gone after the test, whatever happened, and whose logs are shown if it failed."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import netns_cluster  # noqa: E402
import storage_cluster  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


def show_logs(nodes, names):
    for node in nodes:
        for name in names:
            if os.path.exists(node.path(name)):
                with open(node.path(name), encoding="utf-8", errors="replace") as log:
                    print(f"--- {name} on {node.name}, last lines\n" + "".join(log.readlines()[-40:]))


def has_failed(request):
    report = getattr(request.node, "report_call", None)
    return report is not None and report.failed


@pytest.fixture
def cluster(request, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    with netns_cluster.Cluster(getattr(request, "param", 3), tmp_path) as made:
        yield made
    if has_failed(request):
        show_logs(made.nodes, ("corosync.log",))


@pytest.fixture
def storage(request, tmp_path, build_dir):
    """Nodes with everything, not booted."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    with storage_cluster.StorageCluster(getattr(request, "param", 3), tmp_path, build_dir) as made:
        yield made
    if has_failed(request):
        show_logs(made.nodes, ("lunwardd.log",))
        with open(os.path.join(made.folder, "world.log"), encoding="utf-8") as log:
            print("--- the world\n" + "".join(log.readlines()[-80:]))


@pytest.fixture(scope="session")
def build_dir():
    return os.path.join(ROOT, os.environ.get("BUILD", "build/gcc"))

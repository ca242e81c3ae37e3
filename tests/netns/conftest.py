# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a cluster that is gone after the test, whatever happened, and whose logs are shown if it failed."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import netns_cluster  # noqa: E402
import storage_cluster  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def pytest_addoption(parser):
    parser.addoption("--times", type=int, default=1, help="run each test as many times in a row")


def pytest_generate_tests(metafunc):
    times = metafunc.config.getoption("--times")
    if times > 1:
        metafunc.fixturenames.append("run_number")
        metafunc.parametrize("run_number", range(1, times + 1))


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


class Kept:
    """The cluster that scripts hand on to each other, as long as each leaves it whole."""
    cluster = None

    def drop(self):
        if self.cluster:
            self.cluster.close()
        self.cluster = None


@pytest.fixture(scope="session")
def kept():
    holder = Kept()
    yield holder
    holder.drop()


def show_storage(storage):
    show_logs(storage.nodes, ("lunwardd.log",))
    with open(os.path.join(storage.folder, "world.log"), encoding="utf-8") as log:
        print("--- the world\n" + "".join(log.readlines()[-80:]))


@pytest.fixture
def storage(request, kept, tmp_path_factory, build_dir):
    """Nodes with everything, serving. As many as a test says by parametrize(indirect=True): nodes of its own, not booted."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    n_own = getattr(request, "param", None)
    if n_own or not kept.cluster:
        made = storage_cluster.StorageCluster(n_own or 3, tmp_path_factory.mktemp("netns"), build_dir)
    else:
        made = kept.cluster
    failed = True
    try:
        if not n_own:
            kept.cluster = made
            made.up()
        yield made
        failed = has_failed(request)
        if not failed:
            made.replay()
    finally:
        if failed:
            show_storage(made)
        if n_own:
            made.close()
        elif failed:
            kept.drop()


@pytest.fixture(scope="session")
def build_dir():
    return os.path.join(ROOT, os.environ.get("BUILD", "build/gcc"))

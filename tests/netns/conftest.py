# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures: a cluster that is gone after the test, whatever happened, and whose logs are shown if it failed."""
import json
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
import netns_cluster  # noqa: E402
import storage_cluster  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def pytest_addoption(parser):
    parser.addoption("--times", type=int, default=1, help="run each test as many times in a row")
    parser.addoption("--figures", help="write to this file how often each test ran and failed, and how long it took at most")


def pytest_generate_tests(metafunc):
    times = metafunc.config.getoption("--times")
    if times > 1:
        metafunc.fixturenames.append("run_number")
        metafunc.parametrize("run_number", range(1, times + 1))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


class Figures:
    """Of each script: runs, failures, the longest. Written after each test, so that a run that is ended has its figures as well."""

    def __init__(self, path):
        self.path, self.scripts = path, {}

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.split("::")[-1].split("[")[0]
        script = self.scripts.setdefault(name, {"runs": 0, "failures": 0, "longest_s": 0.0})
        if report.when == "call":
            script["runs"] += 1
            script["longest_s"] = max(script["longest_s"], round(report.duration, 1))
        script["failures"] += report.failed

    def pytest_runtest_logfinish(self):
        total = {"scripts": len(self.scripts), "runs": sum(s["runs"] for s in self.scripts.values()),
                 "failures": sum(s["failures"] for s in self.scripts.values()),
                 "longest_s": max((s["longest_s"] for s in self.scripts.values()), default=0.0)}
        with open(self.path + "+", "w", encoding="utf-8") as f:
            json.dump({**total, "by_script": self.scripts}, f, indent=1)
        os.rename(self.path + "+", self.path)


def pytest_configure(config):
    path = config.getoption("--figures")
    if path and not hasattr(config, "workerinput"):  # of several processes, the one that hears of all
        config.pluginmanager.register(Figures(path))


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
    """Nodes with everything, serving. As many as a test says by parametrize(indirect=True), or (how many, token_ms): nodes
    of its own, not booted."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    own = getattr(request, "param", None)
    n_own, token_ms = own if isinstance(own, tuple) else (own, netns_cluster.TOKEN_MS)
    if n_own or not kept.cluster:
        made = storage_cluster.StorageCluster(n_own or 3, tmp_path_factory.mktemp("netns"), build_dir, token_ms)
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

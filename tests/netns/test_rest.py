# SPDX-License-Identifier: GPL-2.0-or-later
"""What an agent costs that has nothing to do: 1,000 volumes on DRBD."""
import os
import time

import pytest
from netns_cluster import wait_until
from storage_cluster import PATIENCE_S

N_VOLUMES, PER_GROUP = 1000, 20
MEASURE_S = 60
CPU_PERCENT_MAX = 0.2
RSS_KIB_MAX = 32 * 1024
CALM_S = 5  # without a worker: longer than the agent waits before it asks DRBD again


def document(storage):
    groups, volumes = {}, {}
    for i in range(0, N_VOLUMES, PER_GROUP):
        name = f"g{i:04}"
        groups[name] = {"backend": "drbd", "nodes": ["n1", "n2"], "prefer": "n1", "placement": "auto"}
        for k in range(i, i + PER_GROUP):
            volumes[f"v{k:04}"] = {"group": name, "size": "1GiB", "pool": "data"}
    mappings = [{"host": "h1", "volume": v, "target": "iqn.2026-11.org.example:t1", "lun": i} for i, v in enumerate(volumes)]
    return storage.document(groups=groups, volumes=volumes, mappings=mappings)


def cpu_ns(pid):
    """Of all its threads, also those that have ended (clock_getcpuclockid(3), which Python does not have)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def child_pids(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(p) for p in f.read().split()]


class Rest:
    """Groups are owned before the last target is built and its states are set: an agent is at rest once no worker has run for a while."""

    def __init__(self, nodes):
        self.nodes, self.since, self.children = nodes, None, None

    def has_come(self):
        pids = [n.agent.process.pid for n in self.nodes]
        children = [sorted(child_pids(p)) for p in pids]
        if any(len(os.listdir(f"/proc/{p}/task")) > 1 for p in pids) or children != self.children:
            self.since, self.children = time.monotonic(), children
        return time.monotonic() - self.since > CALM_S


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_agent_at_rest_with_1000_volumes(storage):
    for node in storage.nodes:
        node.agent.is_traced = False
    storage.boot()
    n1, n2, _ = storage.nodes
    n1.agent.wait_states(n1="up", n2="up", n3="up")
    n1.agent.lunward("apply", storage.write_document(document(storage)), "--timeout", "240", check=True, timeout=300)

    def at_rest():
        groups = n1.agent.status().get("groups", [])
        return groups and all(g["phase"] == "owned" and len(g["current"]) == len(g["ready"]) == 2 for g in groups)
    wait_until(at_rest, PATIENCE_S * 2, "all groups owned, all copies current")
    assert len(storage.world.open_gates()) == N_VOLUMES
    wait_until(Rest(storage.nodes).has_come, PATIENCE_S * 2, "agents at rest")
    figures = []
    before = {n: (cpu_ns(n.agent.process.pid), sorted(child_pids(n.agent.process.pid))) for n in (n1, n2)}
    begun = time.monotonic()
    time.sleep(MEASURE_S)  # this is what is measured
    took = time.monotonic() - begun
    for node, (ns, children) in before.items():
        pid = node.agent.process.pid
        figures.append((node.name, 100 * (cpu_ns(pid) - ns) / 1e9 / took, rss_kib(pid)))
        assert sorted(child_pids(pid)) == children, "an agent at rest starts nothing"
    print("".join(f"{name}: {percent:.4f} % of a core, {kib / 1024:.1f} MiB\n" for name, percent, kib in figures))
    for name, percent, kib in figures:
        assert percent < CPU_PERCENT_MAX and kib < RSS_KIB_MAX, figures
    storage.check_safe()

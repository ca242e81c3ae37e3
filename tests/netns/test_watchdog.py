# SPDX-License-Identifier: GPL-2.0-or-later
"""The watchdog as the only evidence: who is cut off is reset by itself, and nobody serves its groups before.

No fence agent in any of these; world.bitten has the machines whose watchdog has fired, and its oracle sees a group that is served too early.
"""
import re
import time

import pytest
from netns_cluster import wait_until
from storage_cluster import PATIENCE_S
from world import WATCHDOG

TIMEOUT_S = 10
LEASE_MAX_S = 2
BOUND_MS = (LEASE_MAX_S + 2 * TIMEOUT_S + 1) * 1002  # docs/decisions/0009-watchdog-lease.md

pytestmark = pytest.mark.parametrize("storage", [3], indirect=True)


@pytest.fixture
def nodes(storage):
    for node in storage.nodes:
        node.agent.options = ["--watchdog-device", WATCHDOG, "--watchdog-timeout", str(TIMEOUT_S)]
    plain = {n.name: {"id": n.nodeid, "role": "storage", "replication_address": n.address} for n in storage.nodes}
    storage.changes = {"fencing": {"agent": "watchdog", "timeout_s": 60}, "nodes": plain}
    return storage.nodes


def up(storage):
    storage.up()
    wait_armed(storage)


def wait_armed(storage):
    """Everybody knows by when each node has been reset."""
    def armed():
        return all(m.get("watchdog_ms") == int(BOUND_MS) for n in storage.nodes for m in n.agent.status().get("nodes", [{}]))
    wait_until(armed, PATIENCE_S, "all watchdogs armed")


def fencing_took_ms(node, lost):
    with open(node.path("lunwardd.log"), encoding="utf-8", errors="replace") as log:
        return [int(ms) for ms in re.findall(f"fencing of {lost} confirmed after (\\d+) ms by watchdog", log.read())]


def check_taken_over(storage, n1, n2):
    storage.wait_served("g1", "n2")
    assert storage.world.bitten == ["n1"]
    took = [ms for n in storage.nodes for ms in fencing_took_ms(n, "n1")]
    assert took and min(took) >= BOUND_MS
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")
    wait_armed(storage)
    assert storage.world.bitten == ["n1"]


def test_who_hangs_is_reset(storage, nodes):
    n1, n2, _ = nodes
    up(storage)
    n1.agent.pause()
    n1.corosync.pause()
    check_taken_over(storage, n1, n2)


def test_who_is_cut_off_is_reset(storage, nodes):
    n1, n2, _ = nodes
    up(storage)
    storage.cut_off(n1)
    storage.wait_closed("n1")  # by itself, long before
    assert not storage.world.bitten
    wait_until(lambda: storage.world.bitten, PATIENCE_S, "n1 reset")
    storage.heal()
    check_taken_over(storage, n1, n2)


def test_an_agent_that_comes_back_in_time(storage, nodes):
    n1, n2, _ = nodes
    up(storage)
    opened = dict(storage.world.opened)
    for end in (n1.agent.stop, n1.agent.kill):
        end()
        dog = storage.world.machines["n1"].dog
        assert dog.fires_at and not dog.is_held()  # n1 serves on: so it ticks on
        n1.agent.start()
        wait_until(dog.is_held, PATIENCE_S, "opened anew")
        storage.settle(g1="n1", g2="n2")
        wait_armed(storage)
    assert storage.world.opened == opened and not storage.world.bitten  # hosts have noticed nothing
    n1.agent.kill()  # and one that does not
    check_taken_over(storage, n1, n2)


def test_who_serves_nothing_may_stop(storage, nodes):
    n1, _, _ = nodes
    up(storage)
    n1.agent.lunward("node", "maintenance", "n1", "on", check=True)
    wait_until(lambda: n1.agent.member("n1").get("portals_at") != "n1", PATIENCE_S, "portals of n1 elsewhere")
    wait_until(lambda: not storage.world.open_gates("n1"), PATIENCE_S, "n1 serves nothing")
    n1.agent.stop()
    assert storage.world.machines["n1"].dog.fires_at is None
    n1.agent.start()
    wait_armed(storage)
    n1.agent.wait_states(n1="up", n2="up", n3="up")  # the watchdog comes first, then Corosync
    n1.agent.lunward("node", "maintenance", "n1", "off", check=True)
    assert not storage.world.bitten


def test_opened_too_late_counts_for_nothing(storage, nodes):
    """When the device is open at last, who was to wait for it may have waited already."""
    n1, _, _ = nodes
    storage.world.delay("watchdog_open", LEASE_MAX_S * 2, node="n1", times=1)
    storage.boot()
    n1.agent.wait_states(n1="up", n2="up", n3="up")
    wait_armed(storage)
    assert [m.dog.opened for m in storage.world.machines.values()] == [2, 1, 1]


def test_nobody_relies_on_a_watchdog_that_is_not_there(storage, nodes):
    n1, n2, _ = nodes
    n1.agent.options[1] = "/dev/none"
    storage.up()
    wait_until(lambda: any("watchdog: /dev/none" in e for e in n2.agent.member("n1")["errors"]), PATIENCE_S, "n1 says what is wrong")
    storage.crash(n1)
    wait_until(lambda: "has no armed watchdog" in n2.agent.lunward("status").stdout, PATIENCE_S, "no evidence")
    time.sleep(BOUND_MS / 1000)  # however long one waits
    assert not storage.gates_of("g1")
    n2.agent.lunward("node", "confirm-down", "n1", "--yes", check=True)
    storage.wait_served("g1", "n2")
    n1.agent.options[1] = WATCHDOG
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")
    wait_armed(storage)

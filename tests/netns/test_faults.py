# SPDX-License-Identifier: GPL-2.0-or-later
"""Fault scripts on real Corosync: whatever fails, no volume is ever open on two nodes, and in the end all is served again.

Each begins with g1 (DRBD) on n1 and g2 (shared) on n2, and ends with settle(): all nodes up and of one opinion, each group open on its
owner and nowhere else, copies current, portals at home. The oracle (world.py) watches all the while. Where a script sleeps, that is how
long its fault lasts.
"""
import errno
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from netns_cluster import TOKEN_MS, wait_until
from storage_cluster import PATIENCE_S
from test_reservations import Kernel

LONGER_THAN_TOKEN_S = 4 * TOKEN_MS / 1000
PATIENT_TOKEN_MS = 10000


OF_ITS_OWN = pytest.mark.parametrize("storage", [3], indirect=True)


@pytest.fixture
def nodes(storage):
    return storage.nodes if storage.is_up else storage.up()


@pytest.fixture
def opened(storage, nodes):
    """How often each gate has been opened, once the cluster serves."""
    return dict(storage.world.opened)


# --- agents and Corosync that die or stop ---------------------------------------------------------------------------------


def test_owner_agent_killed(storage, nodes, opened):
    n1, n2, _ = nodes
    n1.agent.kill()
    n2.agent.wait_states(n1="away")
    assert storage.all_open("g1", "n1")  # what it serves goes on
    n1.agent.start()
    storage.settle(g1="n1", g2="n2")
    assert storage.world.opened == opened and not storage.world.fenced  # hosts have noticed nothing


def test_owner_corosync_killed(storage, nodes):
    n1, _, _ = nodes
    late = storage.world.hang("fence")
    n1.corosync.kill()
    storage.wait_closed("n1")  # by itself, before anybody is fenced
    storage.wait_hit(late)
    late.release()
    storage.wait_served("g1", "n2")
    assert storage.world.fenced == ["n1"]
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_corosync_killed_and_restarted_under_the_agent(storage, nodes):
    n1, n2, n3 = nodes
    storage.world.fail("fence")
    for node in (n1, n3, n2):
        node.corosync.kill()
        storage.wait_closed(node.name)
        node.corosync.start()
        storage.settle(g1="n1", g2="n2")  # nobody could be fenced: the owner comes back and is asked first


def test_owner_agent_and_corosync_killed(storage, nodes):
    n1, _, _ = nodes
    late = storage.world.hang("fence")
    n1.agent.kill()
    n1.corosync.kill()
    storage.wait_hit(late)
    assert storage.all_open("g1", "n1")  # its kernel serves on, so nobody else may
    late.release()
    storage.wait_served("g1", "n2")
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_owner_disk_fails(storage, nodes, opened):
    """The group moves to the copy that has what was written since, and nobody serves the other, also when that is all there is."""
    n1, n2, n3 = nodes
    storage.world.fail_disk("n1", "lunward-g1")
    storage.wait_served("g1", "n2")
    n3.agent.wait_group("g1", owner="n2", phase="owned", current=["n2"])
    assert not storage.world.fenced and storage.world.opened["lunward-v1"] == opened["lunward-v1"] + 1
    storage.crash(n2)
    wait_until(lambda: n3.agent.member("n2").get("evidence") == "fence agent", PATIENCE_S, "n2 proven down: not to be fenced again")
    n3.agent.wait_group("g2", owner="n1", phase="owned")
    storage.crash(n1)
    storage.world.mend_disk("n1", "lunward-g1")
    storage.boot(n1)
    wait_until(lambda: any("lacks writes" in e for e in n3.agent.member("n1")["errors"]), PATIENCE_S, "it knows what its disk is")
    time.sleep(LONGER_THAN_TOKEN_S)
    assert not storage.gates_of("g1") and n3.agent.group("g1")["current"] == ["n2"]
    storage.boot(n2)
    storage.settle(g1="n2")


@pytest.mark.parametrize("storage", [5], indirect=True)
def test_owner_disk_fails_as_it_is_cut_off(storage, nodes):
    """Only the owner itself and its peer know of it. What the old disk has is not served, also by another life of the agent, and also if
    the peer is not there."""
    n1, n2, n3, n4, n5 = nodes
    broken = storage.world.fail("fence")
    storage.partition([n1, n2], [n3, n4, n5])
    storage.world.fail_disk("n1", "lunward-g1")
    wait_until(lambda: n1.run(["test", "-e", "/var/lib/lunward/behind-g1"], check=False).returncode == 0, PATIENCE_S, "it is written down")
    storage.wait_closed("n1")
    storage.crash(n2)
    n1.agent.stop()
    storage.world.mend_disk("n1", "lunward-g1")
    n1.agent.start()
    storage.heal()
    wait_until(lambda: any("lacks writes" in e for e in n3.agent.member("n1")["errors"]), PATIENCE_S, "status says why")
    time.sleep(LONGER_THAN_TOKEN_S)
    assert not storage.gates_of("g1")
    storage.boot(n2)
    n3.agent.wait_states(n2="up")
    broken.release()  # earlier, and a node that is still starting may be fenced, as is right
    storage.settle(g1="n2")
    assert n1.run(["test", "-e", "/var/lib/lunward/behind-g1"], check=False).returncode != 0


def test_failed_disk_is_mended_under_the_agent(storage, nodes):
    n1, _, n3 = nodes
    storage.world.fail_disk("n1", "lunward-g1")
    storage.wait_served("g1", "n2")
    wait_until(lambda: any("g1: DRBD works without a disk" in e for e in n3.agent.member("n1")["errors"]), PATIENCE_S, "status says why")
    storage.world.mend_disk("n1", "lunward-g1")
    n1.agent.stop()
    n1.agent.start()
    storage.settle(g1="n2")
    n3.agent.lunward("move", "g1", "n1", check=True)


def wait_told(node, kind, **more):
    """The last change of g1, as status tells it, is of that kind and has an end."""
    want = {"kind": kind, "to": "n2", **more}

    def told():
        change = node.agent.group("g1")["last_change"]
        return {k: change.get(k) for k in want} == want and change["total_ms"] > 0 and change["started"].endswith("Z")
    wait_until(told, PATIENCE_S, f"{want} told")


def test_owner_loses_power(storage, nodes):
    n1, n2, n3 = nodes
    storage.crash(n1)
    storage.wait_served("g1", "n2")
    storage.wait_fenced("n1")  # dead is not proven dead
    for node in (n2, n3):
        wait_told(node, "takeover")
        assert "last takeover: n2, " in node.agent.lunward("status").stdout
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_drills(storage, nodes, tmp_path):
    """An operator's failovers: a planned one, and a crash, which is refused wherever it would be an outage."""
    n1, n2, n3 = nodes
    history = str(tmp_path / "drills.jsonl")

    def drill(node, *args):
        done = node.agent.lunward("drill", "g1", "--history-file", history, "--format", "json", *args)
        return json.loads(done.stdout), done

    said, done = drill(n3)
    assert (said["kind"], said["from"], said["to"]) == ("move", "n1", "n2") and said["agent_ms"] > 0, done
    assert done.returncode == (0 if said["ok"] else 1)
    storage.wait_served("g1", "n2")
    wait_told(n3, "move", **{"from": "n1"})
    n3.agent.lunward("move", "g1", "n1", check=True)
    storage.settle(g1="n1", g2="n2")
    assert "cannot fence itself" in drill(n1, "--crash", "--yes")[1].stderr
    assert not storage.world.fenced
    said, done = drill(n2, "--crash", "--yes")
    assert (said["kind"], said["from"], said["to"]) == ("crash", "n1", "n2") and said["agent_ms"] >= 0, done
    storage.wait_served("g1", "n2")
    assert set(storage.world.fenced) == {"n1"}
    assert "no spare" in drill(n3, "--crash", "--yes")[1].stderr
    refused = n3.agent.lunward("drill", "g2", "--crash", "--yes", "--history-file", history)
    assert refused.returncode != 0 and "to take it over" in refused.stderr  # n2 serves g1 too
    assert set(storage.world.fenced) == {"n1"}
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")
    assert "planned moves: 1 drill" in n2.agent.lunward("drill", "--history", "--history-file", history).stdout


def test_owner_of_shared_storage_loses_power(storage, nodes):
    n1, n2, n3 = nodes
    storage.crash(n2)
    wait_until(lambda: storage.gates_of("g2") & {"n1", "n3"}, PATIENCE_S, "g2 served by another")
    storage.boot(n2)
    storage.settle(g1="n1")  # all three may have it again
    n1.agent.lunward("move", "g2", "n2", check=True)
    storage.settle(g1="n1", g2="n2")


def test_owner_agent_stopped(storage, nodes, opened):
    n1, n2, _ = nodes
    n1.agent.pause()
    time.sleep(LONGER_THAN_TOKEN_S)
    assert storage.all_open("g1", "n1")
    n1.agent.resume()
    storage.settle(g1="n1", g2="n2")
    assert storage.world.opened == opened and not storage.world.fenced
    n2.agent.lunward("move", "g1", "n2", check=True)  # it obeys again
    storage.settle(g1="n2", g2="n2")


def test_owner_corosync_stopped(storage, nodes):
    n1, n2, _ = nodes
    storage.world.fail("fence")
    n1.corosync.pause()
    n2.agent.wait_group("g1", phase="orphaned")
    assert not storage.gates_of("g1") & {"n2", "n3"}
    n1.corosync.resume()
    storage.settle(g1="n1", g2="n2")


def test_owner_agent_and_corosync_stopped(storage, nodes):
    n1, n2, _ = nodes
    no_power_switch = storage.world.fail("fence")
    n1.agent.pause()
    n1.corosync.pause()
    n2.agent.wait_group("g1", phase="orphaned")
    n1.corosync.resume()
    n1.agent.resume()
    storage.settle(g1="n1", g2="n2")
    no_power_switch.release()
    n1.agent.pause()
    n1.corosync.pause()
    storage.wait_served("g1", "n2")  # now it is fenced while it sleeps
    assert "n1" in storage.world.fenced
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_bystander_stopped_during_a_move(storage, nodes):
    _, n2, n3 = nodes
    n3.agent.pause()
    n2.agent.lunward("move", "g1", "n2", check=True)
    assert storage.all_open("g1", "n2")
    n3.agent.resume()
    storage.settle(g1="n2", g2="n2")
    assert not storage.world.fenced


# --- the network ----------------------------------------------------------------------------------------------------------


def test_bystander_cut_off(storage, nodes, opened):
    n1, _, n3 = nodes
    storage.cut_off(n3)
    storage.wait_fenced("n3")  # it holds portals
    wait_until(lambda: n1.agent.member("n3").get("portals_at") in ("n1", "n2"), PATIENCE_S, "portals adopted")
    assert storage.world.opened == opened
    storage.heal()
    storage.boot(n3)
    storage.settle(g1="n1", g2="n2")
    assert storage.world.opened == opened and storage.world.fenced == ["n3"]


def test_owner_cut_off_and_confirmed_down(storage, nodes):
    n1, n2, _ = nodes
    broken = storage.world.fail("fence")
    storage.cut_off(n1)
    storage.wait_closed("n1")
    storage.wait_hit(broken)
    n2.agent.wait_group("g1", phase="orphaned")
    n1.agent.wait_quorum(False)
    assert n1.agent.lunward("node", "confirm-down", "n2", "--yes").returncode != 0  # not for a minority to say
    assert not storage.gates_of("g1")
    storage.crash(n1)  # the operator makes sure, then says so
    assert n2.agent.group("g1")["phase"] == "orphaned"
    n2.agent.lunward("node", "confirm-down", "n1", "--yes", check=True)
    storage.wait_served("g1", "n2")
    storage.heal()
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_owner_is_not_heard(storage, nodes):
    n1, n2, n3 = nodes
    for other in (n2, n3):
        storage.lose(n1, other)
    storage.wait_fenced("n1")
    storage.wait_served("g1", "n2")
    storage.heal()
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_owner_does_not_hear(storage, nodes):
    n1, n2, n3 = nodes
    storage.world.fail("fence")
    for other in (n2, n3):
        storage.lose(other, n1)
    storage.wait_closed("n1")
    n2.agent.wait_group("g1", phase="orphaned")
    storage.heal()
    storage.settle(g1="n1", g2="n2")


@pytest.mark.parametrize("storage", [(3, PATIENT_TOKEN_MS)], indirect=True)
def test_link_flaps_unnoticed(storage, nodes, opened):
    """Gaps that are short beside the token, even if the machine stalls for some seconds: nothing."""
    n1, _, _ = nodes
    for _ in range(5):
        storage.cut_off(n1)
        time.sleep(0.3)
        storage.heal()
        time.sleep(0.7)
    storage.settle(g1="n1", g2="n2")
    assert storage.world.opened == opened and not storage.world.fenced


def test_flapping_link(storage, nodes):
    n1, _, _ = nodes
    storage.world.fail("fence")
    for seconds in (3.0, 1.5, 4.5, 2.0):
        storage.cut_off(n1)
        time.sleep(seconds)
        storage.heal()
        time.sleep(seconds / 2)
    storage.settle(g2="n2")


def test_apply_during_a_partition(storage, nodes):
    n1, _, n3 = nodes
    storage.world.fail("fence")
    storage.cut_off(n3)
    n1.agent.wait_states(n3="down")
    n3.agent.wait_quorum(False)
    path = storage.write_document(storage.document(hosts={
        "h1": {"profile": "linux", "initiators": ["iqn.2026-11.org.example:h1"]},
        "h2": {"profile": "linux", "initiators": ["iqn.2026-11.org.example:h2"]}}))
    assert n3.agent.lunward("apply", path).returncode != 0
    n1.agent.lunward("apply", path, check=True)
    version = n1.agent.status()["config_version"]
    assert n3.agent.status()["config_version"] < version
    storage.heal()
    storage.settle(g1="n1", g2="n2")
    assert n3.agent.status()["config_version"] == version


@OF_ITS_OWN
@pytest.mark.parametrize("deaf", ["n1", "n2"])
def test_a_disk_negotiates_for_good(storage, deaf):
    """Volumes are added, both nodes attach them at once, and one does not hear the other: the owner's disk has not failed then."""
    storage.up()
    n1, opened, document = storage.nodes[0], dict(storage.world.opened), storage.document()
    document["volumes"]["v3"] = {"group": "g1", "pool": "data", "size": "1GiB"}
    storage.world.deaf.add(deaf)
    taken_off = storage.world.hang("drbd_detach", node=deaf)
    with ThreadPoolExecutor(1) as apply:  # returns when all copies are in place
        applied = apply.submit(n1.agent.lunward, "apply", storage.write_document(document))
        storage.wait_hit(taken_off)
        not_put_on = storage.world.fail("drbd_adjust", node=deaf, times=1)
        taken_off.release()
        storage.wait_hit(not_put_on)
        assert applied.result().returncode == 0
    storage.settle(g1="n1", g2="n2")
    assert not storage.world.deaf
    wait_until(lambda: all(c["disk"] == "UpToDate" for c in n1.agent.group("g1")["copies"]), PATIENCE_S, "all copies up to date")
    assert {gate: n for gate, n in storage.world.opened.items() if gate in opened} == opened


@pytest.mark.parametrize("storage", [5], indirect=True)
def test_minority_of_two_with_the_owner(storage, nodes):
    n1, n2, n3, n4, n5 = nodes
    broken = storage.world.fail("fence")
    storage.partition([n1, n4], [n2, n3, n5])
    storage.wait_closed("n1")
    n3.agent.wait_group("g1", phase="orphaned")
    assert n4.agent.lunward("move", "g1", "n1").returncode != 0
    broken.release()
    storage.wait_served("g1", "n2")
    storage.wait_fenced("n4")
    storage.heal()
    storage.boot(n1, n4)
    storage.settle(g1="n2", g2="n2")
    assert n5.agent.status()["active"]


# --- storage and fencing that fail ----------------------------------------------------------------------------------------


def test_promotion_fails(storage, nodes):
    n1, n2, _ = nodes
    broken = storage.world.fail("drbd_primary", "n2")
    done = n2.agent.lunward("move", "g1", "n2")
    assert done.returncode != 0
    storage.wait_hit(broken)
    storage.wait_served("g1", "n1")
    assert "n2" not in storage.gates_of("g1")
    broken.release()
    storage.settle(g1="n1", g2="n2")
    n1.agent.lunward("move", "g1", "n2", check=True)
    storage.settle(g1="n2", g2="n2")


def test_demotion_fails(storage, nodes):
    n1, n2, _ = nodes
    broken = storage.world.fail("drbd_secondary", "n1", code=errno.EBUSY)
    assert n2.agent.lunward("move", "g1", "n2").returncode != 0
    storage.wait_hit(broken)
    broken.release()
    storage.settle(g1="n1", g2="n2")
    n1.agent.lunward("move", "g1", "n2", check=True)
    storage.settle(g1="n2", g2="n2")


def test_gate_close_hangs(storage, nodes):
    n1, n2, _ = nodes
    slow_disk = storage.world.hang("dm_suspend", "n1", match="v2")
    move = n2.agent.start_lunward("move", "g1", "n2")
    storage.wait_hit(slow_disk)
    n1.agent.wait_group("g1", phase="releasing")  # its agent answers
    n1.agent.lunward("move", "g2", "n3", check=True)  # and other groups move
    assert "n2" not in storage.gates_of("g1")
    slow_disk.release()
    assert move.wait(PATIENCE_S) == 0
    storage.settle(g1="n2", g2="n3")


def test_gate_close_hangs_on_a_node_that_dies(storage, nodes):
    n1, n2, _ = nodes
    slow_disk = storage.world.hang("dm_suspend", "n1", match="v2")
    n2.agent.start_lunward("move", "g1", "n2")
    storage.wait_hit(slow_disk)
    storage.crash(n1)
    slow_disk.release()
    storage.wait_served("g1", "n2")
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_the_agent_of_the_spare_ends_while_the_owner_acquires(storage, nodes):
    """Hosts wait for the end of a transition with all their paths, and nobody would tell them of it."""
    n1, n2, _ = nodes
    n1.agent.lunward("release", "g1", check=True)
    slow = storage.world.hang("drbd_primary", "n2")
    move = n2.agent.start_lunward("move", "g1", "n2")
    storage.wait_hit(slow)
    kernel = Kernel(storage, n1, "v1")
    wait_until(lambda: kernel.state() == "15", PATIENCE_S, "n1 to say transitioning")
    n1.agent.stop()
    assert kernel.state() == "3"  # unavailable
    slow.release()
    assert move.wait(PATIENCE_S) == 0
    assert kernel.state() == "3"
    n1.agent.start()
    storage.settle(g1="n2", g2="n2")
    wait_until(lambda: kernel.state() == "2", PATIENCE_S, "n1 to say standby")


def test_fencing_is_slow(storage, nodes):
    n1, n2, _ = nodes
    slow = storage.world.hang("fence")
    storage.cut_off(n1)
    storage.wait_hit(slow)
    n2.agent.wait_group("g1", phase="orphaned")
    time.sleep(LONGER_THAN_TOKEN_S)
    assert not storage.gates_of("g1") & {"n2", "n3"}
    slow.release()
    storage.wait_served("g1", "n2")
    storage.heal()
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_fencing_fails_once(storage, nodes):
    n1, _, _ = nodes
    broken = storage.world.fail("fence", times=1)
    storage.crash(n1)
    storage.wait_hit(broken)
    storage.wait_served("g1", "n2")
    assert storage.world.fenced.count("n1") == 1
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_fencing_succeeds_too_late(storage, nodes):
    n1, _, _ = nodes
    late = storage.world.hang("fence")
    n1.corosync.kill()
    storage.wait_hit(late)
    n1.corosync.start()
    storage.wait_served("g1", "n1")  # it is back and was asked first
    late.release()  # and dies: what this proves is a life that is over
    storage.wait_served("g1", "n2")
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def apply_levels(storage, *levels, limit=0):
    """Levels of fencing, each an agent by its name, and each with options of its own for each node."""
    fencing = {"levels": [{"name": n, "agent": n if n == "pacemaker" else "fence_netns"} for n in levels]}
    document = storage.document(fencing=fencing)
    for name, node in document["nodes"].items():
        if node.pop("fence", None):
            node["fence"] = {n: {"plug": name, "method": n} for n in levels if n != "pacemaker"}
    for group in document["groups"].values():
        group["takeover_limit"] = limit
    storage.nodes[0].agent.lunward("apply", storage.write_document(document), check=True)
    storage.settle(g1="n1", g2="n2")


def node_in_status(agent, name):
    return next((n for n in agent.status().get("nodes", []) if n["name"] == name), {})


def problem_of(agent, name):
    return next((p["text"] for p in agent.status().get("problems", []) if p["object"] == f"node {name}"), "")


def test_first_fence_level_fails(storage, nodes):
    n1, n2, _ = nodes
    apply_levels(storage, "bmc", "bar")
    broken = storage.world.fail("fence", match="bmc")
    storage.crash(n1)
    storage.wait_hit(broken)
    storage.wait_served("g1", "n2")
    assert storage.world.fenced == ["n1"]  # once, by the second
    assert node_in_status(n2.agent, "n1")["evidence"] == "fence agent"
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_fencing_works_again(storage, nodes):
    n1, n2, _ = nodes
    broken = storage.world.fail("fence")
    storage.cut_off(n1)
    storage.wait_hit(broken)
    wait_until(lambda: "not proven off" in problem_of(n2.agent, "n1"), PATIENCE_S, "the reason")
    assert not storage.gates_of("g1") & {"n2", "n3"}
    broken.release()
    storage.wait_served("g1", "n2")  # by itself
    assert storage.world.fenced == ["n1"]
    storage.heal()
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_all_fence_levels_fail(storage, nodes):
    n1, n2, _ = nodes
    apply_levels(storage, "bmc", "pacemaker", "bar")
    broken = [storage.world.fail("fence", match=m) for m in ("bmc", "pacemaker", "bar")]
    storage.crash(n1)
    for fault in broken:
        storage.wait_hit(fault)
    wait_until(lambda: "not proven off" in problem_of(n2.agent, "n1"), PATIENCE_S, "the reasons")
    reasons = problem_of(n2.agent, "n1")
    assert all(f"{level}: " in reasons for level in ("bmc", "pacemaker", "bar")), reasons
    time.sleep(LONGER_THAN_TOKEN_S)
    assert not storage.gates_of("g1") and not storage.world.fenced
    n2.agent.lunward("node", "confirm-down", "n1", "--yes", check=True)
    storage.wait_served("g1", "n2")
    assert node_in_status(n2.agent, "n1")["evidence"] == "operator"
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


def test_pacemaker_is_the_evidence(storage, nodes):
    n1, n2, _ = nodes
    apply_levels(storage, "pacemaker", "bmc")
    slow = storage.world.hang("fence", match="pacemaker")
    storage.cut_off(n1)
    storage.wait_hit(slow)
    time.sleep(LONGER_THAN_TOKEN_S)
    assert not storage.gates_of("g1") & {"n2", "n3"}  # what was asked for is not done yet
    slow.release()
    storage.wait_served("g1", "n2")
    assert storage.world.fenced == ["n1"] and node_in_status(n2.agent, "n1")["evidence"] == "pacemaker"
    storage.heal()
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")


@OF_ITS_OWN  # who fenced whom in the scripts before counts
def test_fence_loop_is_stopped(storage, nodes, opened):
    """A node that has portals and no group comes back each time, and is lost: the brake of groups does not see it."""
    n1, _, n3 = nodes
    apply_levels(storage, "bmc", limit=1)
    storage.cut_off(n3)
    storage.wait_fenced("n3")
    storage.heal()
    storage.boot(n3)
    storage.settle(g1="n1", g2="n2")  # with its portals
    storage.cut_off(n3)
    wait_until(lambda: "fence loop: fenced from here 1 times" in problem_of(n1.agent, "n3"), PATIENCE_S, "the loop is seen")
    assert storage.world.fenced == ["n3"]
    n1.agent.lunward("node", "confirm-down", "n3", "--yes", check=True)
    wait_until(lambda: node_in_status(n1.agent, "n3").get("portals_at") == "n1", PATIENCE_S, "portals of n3 at n1")
    assert storage.world.fenced == ["n3"] and storage.world.opened == opened
    storage.heal()
    storage.settle(g1="n1", g2="n2")


def test_state_lost_on_the_owner(storage, nodes, opened):
    n1, _, _ = nodes
    n1.agent.kill()
    n1.run(["rm", "/var/lib/lunward/state"])
    n1.agent.start()
    storage.settle(g1="n1", g2="n2")
    assert storage.world.opened == opened


def fill_state_disk(node):
    """The state is overwritten in place, which takes no room: it has to go, so that it must be made anew, and its room be taken at once."""
    folder = "/var/lib/lunward"
    for _ in range(50):
        node.run(["rm", "-f", f"{folder}/state"])
        node.run(["dd", "if=/dev/zero", f"of={folder}/fill", "bs=4k", "oflag=append", "conv=notrunc"], check=False)
        if node.run(["ls", folder]).stdout.split() == ["fill"]:
            return
    raise AssertionError(f"{node.name} has made its state anew each time")


def is_quiet(node):
    status = node.agent.status()
    return status and status["committed"] == status["state_version"] and all(
        g["phase"] == "owned" and len(g["current"]) == 2 for g in status["groups"] if g["name"] == "g1")


@OF_ITS_OWN
def test_state_disk_full(storage):
    n1, n2, n3 = storage.nodes
    for node in (n1, n3):
        node.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/var/lib/lunward"])
    storage.up()
    fill_state_disk(n3)
    n2.agent.lunward("move", "g1", "n2", check=True)  # the majority goes on
    storage.wait_served("g1", "n2")
    wait_until(lambda: is_quiet(n2), PATIENCE_S, "all that was decided is stored")
    fill_state_disk(n1)  # now there is none
    assert n2.agent.lunward("move", "g1", "n1", "--timeout", "4").returncode != 0
    assert storage.all_open("g2", "n2")  # what is served goes on
    assert "n1" not in storage.gates_of("g1")
    for node in (n1, n3):
        node.run(["rm", "/var/lib/lunward/fill"])
    storage.settle(g2="n2")


# --- operators ------------------------------------------------------------------------------------------------------------


def test_moves_from_two_nodes_at_once(storage, nodes):
    for _ in range(3):
        moves = [node.agent.start_lunward("move", group, to) for node, group, to in zip(
            nodes * 2, ("g1", "g1", "g2", "g2", "g2", "g1"), ("n2", "n1", "n3", "n1", "n2", "n2"))]
        for move in moves:
            move.wait(PATIENCE_S)
        storage.settle()
    assert not storage.world.fenced


def test_power_cut_of_all(storage, nodes):
    for node in nodes:
        storage.crash(node)
    storage.boot()
    storage.settle()
    assert not storage.world.fenced  # though they do not come at one moment


def test_power_cut_of_all_after_the_owner_went_on_alone(storage, nodes):
    n1, n2, n3 = nodes
    storage.crash(n2)
    n1.agent.wait_group("g1", current=["n1"])  # DRBD has asked: n2 lacks what is written from now on
    storage.crash(n1)
    storage.crash(n3)
    storage.boot(n2, n3)
    n2.agent.wait_states(n1="down", n2="up", n3="up")
    storage.wait_fenced("n1")
    wait_until(lambda: storage.gates_of("g2"), PATIENCE_S, "g2 served")
    with open(n2.path("lunwardd.log"), encoding="utf-8") as log:
        assert "no fence agent is configured" not in log.read()  # the document was in force by then
    assert not storage.gates_of("g1")  # the copy of n2 is old
    storage.boot(n1)
    storage.settle()  # by n1; or by n2, if that has resynced before n1 has built its target


def test_rolling_restart(storage, nodes, opened):
    for node in nodes:
        node.agent.stop()
        node.agent.start()
        storage.settle(g1="n1", g2="n2")
    assert storage.world.opened == opened and not storage.world.fenced


@OF_ITS_OWN
def test_a_document_of_many_messages(storage, nodes, opened):
    """Of 2 MB: whole on all nodes or on none, given to a node that was away, and there after a power cut of all."""
    n1, n2, n3 = nodes
    many = {f"h{i}": {"profile": "linux", "initiators": [f"iqn.2026-11.org.example:h{i}"]} for i in range(1, 20001)}
    big = storage.write_document(storage.document(hosts=many))
    assert os.path.getsize(big) > 1500000

    def hosts(node):
        done = node.agent.lunward("config", "show", "--format", "json")
        return len(json.loads(done.stdout)["document"]["hosts"]) if done.returncode == 0 else None

    storage.crash(n3)
    n2.agent.lunward("apply", big, check=True)  # n1 leads: a command, and an order
    assert hosts(n1) == hosts(n2) == 20000
    storage.boot(n3)
    storage.settle(g1="n1", g2="n2")
    assert hosts(n3) == 20000

    applying = n2.agent.start_lunward("apply", storage.write_document())
    storage.crash(n1)  # with a part of it sent, or all
    storage.wait_served("g1", "n2")
    applying.communicate(timeout=PATIENCE_S)
    wait_until(lambda: hosts(n2) == hosts(n3), PATIENCE_S, "one document")
    assert hosts(n2) in (1, 20000)
    n2.agent.lunward("apply", storage.write_document(storage.document(hosts=many)), check=True)
    for node in (n2, n3):
        storage.crash(node)
    storage.boot(n1, n2, n3)
    storage.settle()
    assert [hosts(n) for n in nodes] == [20000] * 3
    n1.agent.lunward("apply", storage.write_document(), check=True)


@OF_ITS_OWN
def test_rolling_upgrade_of_the_protocol(storage, nodes, opened):
    n1, n2, n3 = nodes
    for node in (n3, n1, n2):
        node.agent.stop()
        node.agent.program = "lunwardd-next"
        node.agent.start()
        storage.settle(g1="n1", g2="n2")
        if node is n1:
            assert storage.world.opened == opened
            n3.agent.lunward("move", "g1", "n2", check=True)  # new to old
            n2.agent.lunward("move", "g1", "n1", check=True)  # and back
    n3.agent.stop()
    n3.agent.program = "lunwardd-netns"  # one goes back
    n3.agent.start()
    storage.settle(g1="n1", g2="n2")
    storage.crash(n1)
    storage.wait_served("g1", "n2")
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")

# SPDX-License-Identifier: GPL-2.0-or-later
"""What Lunward promises, shown in the lab: real kernel target, DRBD, Corosync, dm-multipath. See docs/TESTING.md."""
import json

import pytest

import deployment as site
from lab import acklog, host
from lab.wait import wait_until
from lab.writer import LOG
from pr_driver import Storm, wait_in_step
from reservations import Reservations
from reservations_hosts import standby_first, standby_waits

pytestmark = pytest.mark.lab

NOISE_S = 0.2


@pytest.fixture
def serving(told):
    """A healthy site with n1 as the owner, and a writer."""
    lab = told.lab
    lab.fence.mode = "ok"
    lab.heal()
    if not lab.n1.is_on():
        lab.n1.power_on()
        host.rxe(lab.n1)
    wait_until(lambda: "n1" in site.group(lab.n3)["current"] and "n1" in site.group(lab.n3)["ready"], 240, "n1 to be a spare")
    lab.n3.run("lunward move g1 n1", timeout_s=180)
    site.wait_healthy(lab, lab.n3)
    told.writer.start(told.device, 2000)
    yield told
    told.writer.stop()


def test_the_story_holds(told):
    told.go_on()
    assert [c for c in told.result["checks"] if not c["ok"]] == []
    assert told.result["io_errors"] == 0 and told.result["lost_writes"] == 0


def gates(node) -> str:
    return node.out("dmsetup table lunward-v1; dmsetup table lunward-v2")


def quiet_pause(story, seconds: float) -> float:
    """The longest pause of some undisturbed time."""
    begin = story.writer.clock_ns()
    wait_until(lambda: story.writer.clock_ns() > begin + seconds * 10**9, 60 + 10 * seconds, "time to pass", 1)
    return story.writer.pause_since(begin)[0]


@pytest.mark.takes(120)
@pytest.mark.parametrize("which", ["n1", "n2"])
def test_a_killed_agent_disturbs_nothing(serving, which):
    lab = serving.lab
    node = lab.nodes[which]
    noise = quiet_pause(serving, 10)
    sessions = host.sessions(lab.h1)
    begin = serving.writer.clock_ns()
    pid = node.out("systemctl show -p MainPID --value lunwardd")
    node.run(f"kill -9 {pid}")
    wait_until(lambda: node.out("systemctl show -p MainPID --value lunwardd") not in (pid, "0"), 60, "systemd to start it again")
    site.wait_healthy(lab, lab.n3)
    wait_until(lambda: node.run("lunward check --format json", check=False).code == 0, 60, "the new agent to know its tree")
    serving.writer.wait_going_on()
    pause = serving.writer.pause_since(begin)[0]
    serving.result.setdefault("killed_agents", []).append({"node": which, "pause_s": pause, "noise_s": noise})
    assert pause <= noise + NOISE_S * serving.patience
    assert host.sessions(lab.h1) == sessions
    assert json.loads(node.out("lunward check --format json"))["writes"] == 0
    assert site.group(lab.n3)["owner"] == "n1"


@pytest.mark.takes(60)
def test_a_node_in_maintenance_gives_its_groups_away(serving):
    lab = serving.lab
    lab.n3.run("lunward node maintenance n1 on", timeout_s=180)
    assert site.group(lab.n3)["owner"] == "n2" and site.group(lab.n3)["phase"] == "owned"
    refused = lab.n3.run("lunward move g1 n1", check=False)
    assert refused.code != 0 and "lunward node maintenance n1 off" in refused.err
    serving.writer.wait_going_on()
    lab.n3.run("lunward node maintenance n1 off")
    lab.n3.run("lunward move g1 n1", timeout_s=120)
    serving.writer.wait_going_on()


@pytest.mark.takes(120)
def test_without_fencing_nothing_is_promoted_until_the_operator_vouches(serving):
    """And status says why, and what to do. That fencing which works again is enough is for test_faults.py."""
    lab = serving.lab
    lab.fence.mode = "fail"
    lab.n1.cut("clu")
    # The minority stops by itself: what a host sends to n1 now is answered by closed gates, if at all.
    wait_until(lambda: "Secondary" in lab.n1.out("cat /proc/drbd") and "drbd" not in lab.n1.out("dmsetup deps -o devname lunward-v1") or
               "transitioning" in lab.n1.out("cat /sys/kernel/config/target/core/iblock_*/v1/alua/node1/alua_access_state "
                                             "| sed s/15/transitioning/"), 60, "n1 to stop serving", 0.5)
    wait_until(lambda: site.group(lab.n2)["phase"] == "orphaned", 60, "n2 to see the group without an owner")

    def said():
        return [p for p in site.status(lab.n2)["problems"] if p["severity"] == "error" and "n1" in p["object"] + p["text"]
                and "fenc" in p["text"]]
    problem = wait_until(said, 60, "status to say that fencing failed")[0]
    assert "confirm-down n1" in problem["remedy"]
    assert "Primary/" not in lab.n2.out("cat /proc/drbd | grep -o 'ro:[A-Za-z]*/' || true").replace("ro:", "")
    assert "linear 147" not in gates(lab.n2)
    lab.n1.power_cut()
    assert site.group(lab.n2)["phase"] == "orphaned"
    lab.n2.run("lunward node confirm-down n1 --yes", timeout_s=60)
    site.wait_owner(lab.n2, "n2")
    serving.n_moves += 1
    serving.writer.wait_going_on()


def test_only_those_who_may_are_heard(told):
    n3 = told.lab.n3
    n3.run("id reader >/dev/null 2>&1 || useradd --system reader; usermod -a -G lunward reader")
    nobody = n3.run("runuser -u nobody -- lunward status", check=False)
    assert nobody.code == 5 and "join group lunward" in nobody.err
    assert n3.run("runuser -u reader -- lunward status", check=False).code == 0
    for refused in ("move g1 n2", "release g1", "node confirm-down n1 --yes", "config show --secrets"):
        assert n3.run(f"runuser -u reader -- lunward {refused}", check=False).code == 5, refused


@pytest.mark.parametrize("path, change", [
    ("volumes.v1.size", lambda d: d["volumes"]["v1"].update(size="4MiB")),
    ("groups.g1.nodes[1]", lambda d: d["groups"]["g1"].update(nodes=["n1", "n9"])),
    ("nodes.n4", lambda d: d["nodes"].update(n4={"id": 4, "role": "witness"})),
    ("volumes.v2.seriel", lambda d: d["volumes"]["v2"].update(seriel="x")),
])
def test_a_bad_document_is_refused_and_changes_nothing(told, path, change):
    n3 = told.lab.n3
    before = n3.out("lunward config show")
    doc = site.document(size=told.size)
    change(doc)
    refused = site.apply(n3, doc, check=False)
    assert refused.code == 4 and path in refused.err, refused
    assert n3.out("lunward config show") == before


@pytest.mark.takes(260)
def test_a_shutdown_hands_over_and_nobody_is_fenced(serving):
    lab = serving.lab
    begin = serving.writer.clock_ns()
    fenced = len(lab.fence.log())
    lab.n1.run("systemctl poweroff", check=False)
    site.wait_owner(lab.n3, "n2")
    wait_until(lambda: site.node_of(lab.n3, "n1")["state"] == "down", 120, "n1 to be down")
    serving.writer.wait_going_on()
    n1 = site.node_of(lab.n3, "n1")
    assert n1["portals_at"] == "n2" and n1["evidence"] == "none"
    serving.result["shutdown"] = {"pause_s": serving.writer.pause_since(begin)[0]}
    assert serving.writer.pause_since(begin)[0] < 6, "DRBD had to miss its peer, or the group was not moved"
    assert len(lab.fence.log()) == fenced
    lab.n1.power_cut()
    lab.n1.power_on()
    host.rxe(lab.n1)
    status = site.wait_healthy(lab, lab.n3)
    assert all(n["portals_at"] == n["name"] for n in status["nodes"] if n["role"] == "storage")


@pytest.mark.takes(100)
def test_a_group_leaves_a_disk_that_has_failed(serving):
    """DRBD lets go of it, the host's I/O goes on over the other's copy, and the group moves there. Mended, it is a copy again."""
    lab = serving.lab
    fenced = len(lab.fence.log())
    begin = serving.writer.clock_ns()
    table = site.fail_disk(lab.n1, "v1")
    site.wait_owner(lab.n3, "n2")
    serving.n_moves += 1
    serving.writer.wait_going_on()
    assert site.group(lab.n3)["current"] == ["n2"] and len(lab.fence.log()) == fenced
    said = serving.writer.status()
    assert said["io_errors"] == 0, said
    serving.result["disk"] = {"pause_s": serving.writer.pause_since(begin)[0]}
    site.mend_disk(lab.n1, "v1", table)
    lab.n1.run("systemctl restart lunwardd", timeout_s=120)
    site.wait_healthy(lab, lab.n3)
    assert site.group(lab.n3)["owner"] == "n2"


@pytest.mark.takes(110)
def test_health_reads_errors(serving):
    """The owner's LIO answers TEST UNIT READY with GOOD, and no READ: noticed by a login like a host's, and the group goes to who can read."""
    lab = serving.lab
    fenced = len(lab.fence.log())
    wait_until(lambda: [site.node_of(lab.n3, n)["health"] for n in ("n1", "n2", "n3")] == [[], [], None], 60, "all portals to be well",
               explain=lambda: site.status(lab.n3)["problems"])
    begin = serving.writer.clock_ns()
    site.fail_gate(lab.n1, "v1")
    site.wait_owner(lab.n3, "n2", deadline_s=240)
    serving.n_moves += 1
    serving.writer.wait_going_on()
    assert "reads fail here, and n2 can have it" in lab.n1.out("journalctl -b -u lunwardd --no-pager -n 200")
    assert site.group(lab.n3)["current"] == ["n1", "n2"] and len(lab.fence.log()) == fenced
    said = serving.writer.status()
    assert said["io_errors"] == 0, said
    serving.result["dead_path"] = {"pause_s": serving.writer.pause_since(begin)[0]}


@pytest.mark.takes(20)
def test_the_agents_way_in_needs_its_secret(told):
    """Its name is in the source for all to read: without the secret it is of no use, and with it nothing can be written."""
    lab = told.lab
    owner = site.group(lab.n3)["owner"]  # libiscsi logs in only where TEST UNIT READY is GOOD
    node, number = getattr(lab, owner), owner[1:]
    acl = f"/sys/kernel/config/target/iscsi/{site.TARGET}/tpgt_{number}/acls/iqn.2026-11.org.lunward:health"

    def knock(who: str):
        return lab.h1.run(f"timeout 60 iscsi-inq -i iqn.2026-11.org.lunward:health 'iscsi://{who}10.77.0.{number}:{site.PORT_TCP}/{site.TARGET}/1'",
                          check=False, timeout_s=90)
    secret = node.out(f"cat {acl}/auth/password").strip()
    assert node.out(f"cat {acl}/lun_1/write_protect").strip() == "1"
    assert knock("").code != 0 and knock("health%" + "0" * len(secret) + "@").code != 0
    done = knock(f"health%{secret}@")
    assert done.code == 0 and "LIO-ORG" in done.out, done


WATCHDOG_S = 30  # in an emulated machine a round takes its time
WATCHDOG_BOUND_MS = int((2 + 2 * WATCHDOG_S + 1) * 1002)
FIRST_LOGGED, LOGGED = 8000, 2000  # blocks that nobody else writes


def set_watchdog(lab, node, on: bool):
    """A service that stops while its node serves nothing disarms it; else it ticks on until the next one is there."""
    options = f"--watchdog-device {host.softdog(node)} --watchdog-timeout {WATCHDOG_S}" if on else ""
    node.run(f"echo 'LUNWARDD_OPTIONS=\"{options}\"' >/etc/default/lunwardd; systemctl restart lunwardd", timeout_s=120)
    wait_until(lambda: site.node_of(lab.n3, node.name)["state"] == "up" and
               site.node_of(lab.n3, node.name)["watchdog_ms"] == (WATCHDOG_BOUND_MS if on else 0), 120, f"the watchdog of {node.name}: {on}")


@pytest.mark.takes(560)
def test_an_owner_that_is_frozen_is_reset_by_its_watchdog(serving):
    """Without any fence agent: n1 is off long before n2 serves, and no write is lost."""
    lab = serving.lab
    doc = site.document(size=serving.size)
    doc["fencing"] = {"agent": "watchdog", "timeout_s": 300}
    for node in doc["nodes"].values():
        node.pop("fence", None)
    for node in (lab.n1, lab.n2):
        set_watchdog(lab, node, True)
    site.apply(lab.n3, doc)
    site.wait_healthy(lab, lab.n3)
    serving.writer.start(serving.device, LOGGED, first=FIRST_LOGGED, log=LOG)
    begin = serving.writer.clock_ns()

    lab.n1.run("kill -STOP $(pidof corosync) $(pidof lunwardd)")
    serving.writer.wait_going_on()  # the kernel serves on
    wait_until(lambda: not lab.n1.is_on(), 60 + 2 * WATCHDOG_S, "n1 to be reset", 0.2)
    assert "linear 147" not in gates(lab.n2) and site.group(lab.n3)["owner"] == "n1"
    site.wait_owner(lab.n3, "n2", deadline_s=60 + 2 * WATCHDOG_BOUND_MS / 1000)
    serving.n_moves += 1
    serving.writer.wait_going_on()
    waited_ms = max(s["took_ms"] for s in site.group(lab.n3)["last_change"]["steps"] if s["step"] == "fence evidence")
    assert waited_ms >= WATCHDOG_BOUND_MS and site.node_of(lab.n3, "n1")["evidence"] == "watchdog"

    pause = serving.writer.pause_since(begin)[0]
    serving.result["watchdog"] = {"timeout_s": WATCHDOG_S, "bound_ms": WATCHDOG_BOUND_MS, "waited_ms": waited_ms, "pause_s": pause}
    serving.writer.stop()
    said = serving.writer.result()
    assert said["io_errors"] == 0 and said["verify_errors"] == 0 and not said["stuck"], said
    verdict = serving.writer.verify()
    serving.result["watchdog"]["acked_writes"] = verdict["acked_writes"]
    assert verdict["ok"], acklog.explain(verdict)

    lab.n1.power_on()
    host.rxe(lab.n1)
    site.apply(lab.n3, site.document(size=serving.size))
    site.wait_healthy(lab, lab.n3)
    for name in ("n2", "n1"):
        lab.n3.run(f"lunward node maintenance {name} on", timeout_s=180)
        wait_until(lambda: site.node_of(lab.n3, name)["portals_at"] != name, 60, f"the portals of {name} to be elsewhere")
        set_watchdog(lab, lab.nodes[name], False)
        lab.n3.run(f"lunward node maintenance {name} off")
        site.wait_healthy(lab, lab.n3)
    begin = serving.writer.clock_ns()
    wait_until(lambda: serving.writer.clock_ns() > begin + (WATCHDOG_S + 10) * 10**9, 10 * WATCHDOG_S, "two watchdogs not to fire", 1)
    assert lab.n1.is_on() and lab.n2.is_on()


@pytest.mark.takes(440)
def test_reservations_go_along(told):
    """The short form of `make lab-pr`: registered through the standby port first, reserved, moved, the owner's power cut."""
    lab = told.lab
    for node in (lab.n1, lab.n2):
        node.enable_unit("lunward-pr")
    site.wait_healthy(lab, lab.n3)
    r = Reservations(lab, lambda text: print(text, flush=True))
    Storm.prepare(r, 1)
    wait_in_step(r, ["s0"])
    standby_first(r)
    standby_waits(r)
    assert [c for c in r.result["checks"] if not c["ok"]] == []

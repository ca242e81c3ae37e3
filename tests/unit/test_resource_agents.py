#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The resource agents against a `lunward`, `dmsetup` and `systemctl` that only pretend: what Pacemaker gets for each answer, ocf-tester,
and the metadata. Run as a program it is pytest with TAP lines, which tests/run-unit counts.
"""
import os
import re
import shutil
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET

import pytest
import tap

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SUCCESS, GENERIC, UNIMPLEMENTED, INSTALLED, CONFIGURED, NOT_RUNNING, PROMOTED, FAILED_PROMOTED, DEGRADED_PROMOTED = 0, 1, 3, 5, 6, 7, 8, 9, 191

LUNWARD = """#!/bin/sh
# role: what this node is, "away": no daemon. demote-fails: it cannot let go.
cd "$(dirname "$0")/.."
echo "$@" >>calls
role=$(cat role)
[ "$role" != away ] || exit 3
case "$1 $2" in
"status --format") exit 0 ;;
"resource role")
	[ "$3" = g1 ] || exit 4
	echo "$role $(cat placement)" ;;
"resource promote") [ ! -e promote-fails ] || exit 1; echo owner >role ;;
"resource demote")
	[ "$3" = g1 ] || exit 4
	[ ! -e demote-fails ] || exit 1
	case $role in owner | diskless | broken | changing) echo spare >role ;; esac ;;
*) exit 2 ;;
esac
"""
DMSETUP = '#!/bin/sh\n[ "$*" = "table --concise" ] && cat "$(dirname "$0")/../tables"\n'
SYSTEMCTL = """#!/bin/sh
cd "$(dirname "$0")/.."
case $1 in
start) [ ! -e start-fails ] || exit 1; echo spare >role; : >active ;;
stop) [ -e stop-fails ] || { echo away >role; rm -f active; } ;;
is-active) [ -e active ] ;;
esac
"""
CRM_ATTRIBUTE = '#!/bin/sh\necho "$@" >>"$(dirname "$0")/../scores"\n'
# dmsetup table --concise. A volume group named like Lunward has logical volumes named like gates.
CLOSED = ("lunward-v1,LUNWARD-v1,3,rw,0 8 linear 7:0 0,8 131064 error ;lunward.template,LUNWARD.template,2,rw,0 8 linear 7:0 0;"
          "vg0-root,LVM-Yw3Hfe,1,rw,0 2048 linear 8:1 0;lunward-lunward--v1,LVM-Yw3Hfg,0,rw,0 131072 linear 254:32 2048\n")
OPEN = "vg0-root,LVM-Yw3Hfe,1,rw,0 2048 linear 8:1 0;lunward-v1,LUNWARD-v1,3,rw,0 131072 linear 147:100 0\n"


class Place:
    """A folder that anybody may look into, with the pretenders first in PATH."""

    def __init__(self, agent, **env):
        self.folder = tempfile.mkdtemp(prefix="lunward-ra-")
        os.chmod(self.folder, 0o755)
        os.mkdir(self.path("bin"))
        os.mkdir(self.path("run"))
        for name, text in (("lunward", LUNWARD), ("dmsetup", DMSETUP), ("systemctl", SYSTEMCTL), ("crm_attribute", CRM_ATTRIBUTE)):
            self.write(f"bin/{name}", text)
            os.chmod(self.path("bin", name), 0o755)
        self.agent = shutil.copy(os.path.join(ROOT, "resource-agents", agent), self.path(agent))
        self.env = {"PATH": f"{self.path('bin')}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "OCF_ROOT": "/usr/lib/ocf",
                    "HA_RSCTMP": self.path("run"), "HA_SBIN_DIR": self.path("bin"), "OCF_RESOURCE_INSTANCE": "r1:0",
                    "OCF_RESKEY_crm_feature_set": "3.17.0", "OCF_RESKEY_CRM_meta_timeout": "20000", "HA_LOGFACILITY": "none", **env}
        self.write("placement", "pacemaker")
        self.write("tables", CLOSED)
        self.write("role", "spare")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text=""):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as f:
            return f.read().strip()

    def do(self, action):
        done = subprocess.run([self.agent, action], env=self.env, capture_output=True, text=True, timeout=60, check=False)
        self.said = done.stdout + done.stderr
        return done.returncode

    def last_score(self):
        return self.read("scores").splitlines()[-1]


@pytest.fixture
def group():
    place = Place("group", OCF_RESKEY_group="g1")
    yield place
    shutil.rmtree(place.folder)


@pytest.fixture
def agent():
    place = Place("agent")
    place.write("role", "away")
    yield place
    shutil.rmtree(place.folder)


@pytest.mark.parametrize("name, options", [("group", ["-o", "group=g1"]), ("agent", [])])
def test_ocf_tester_is_content(name, options):
    place = Place(name)
    if name == "agent":
        place.write("role", "away")
    done = subprocess.run(["ocf-tester", "-n", "r1", *options, place.agent], env=place.env, capture_output=True, text=True, timeout=120,
                          check=False)
    shutil.rmtree(place.folder)
    assert done.returncode == 0 and "passed all tests" in done.stdout, done.stdout + done.stderr
    assert "does not conform" not in done.stdout + done.stderr


@pytest.mark.parametrize("name, actions", [
    ("group", {"start", "stop", "promote", "demote", "monitor", "meta-data", "validate-all"}),
    ("agent", {"start", "stop", "monitor", "meta-data", "validate-all"})])
def test_metadata_is_ocf_1_1(name, actions):
    text = subprocess.run([os.path.join(ROOT, "resource-agents", name), "meta-data"], capture_output=True, text=True, check=True).stdout
    root = ET.fromstring(text)
    assert root.attrib["name"] == name and root.findtext("version") == "1.1"
    assert root.findtext("shortdesc") and root.findtext("longdesc")
    assert {a.attrib["name"] for a in root.iter("action")} == actions
    assert all(re.fullmatch(r"\d+s", a.attrib["timeout"]) for a in root.iter("action"))
    # What Pacemaker 3 no longer knows.
    assert not re.search(r"\b(Master|Slave|master|slave)\b", text)
    for parameter in root.iter("parameter"):
        assert parameter.findtext("shortdesc") and parameter.find("content").attrib["type"] in ("string", "integer", "boolean", "select")
    monitors = {a.attrib.get("role") for a in root.iter("action") if a.attrib["name"] == "monitor"}
    assert monitors == ({"Promoted", "Unpromoted"} if name == "group" else {None})


@pytest.mark.parametrize("role, stopped, started", [
    ("owner", PROMOTED, PROMOTED),
    ("diskless", DEGRADED_PROMOTED, DEGRADED_PROMOTED),
    ("broken", FAILED_PROMOTED, FAILED_PROMOTED),
    ("changing", FAILED_PROMOTED, FAILED_PROMOTED),
    ("spare", NOT_RUNNING, SUCCESS),
    ("stale", NOT_RUNNING, SUCCESS),
    ("none", NOT_RUNNING, SUCCESS),
    ("away", NOT_RUNNING, GENERIC),
])
def test_monitor_tells_the_truth(group, role, stopped, started):
    group.write("role", role)
    assert group.do("monitor") == stopped
    group.write("role", "spare")
    assert group.do("start") == SUCCESS
    group.write("role", role)
    assert group.do("monitor") == started


def test_only_who_could_serve_it_has_a_score(group):
    for role, score in (("owner", "-p -v 110"), ("spare", "-p -v 100"), ("diskless", "-p -v 10"), ("stale", "-p -D"), ("broken", "-p -D"), ("away", "-p -D")):
        group.write("role", role)
        group.do("monitor")
        assert group.last_score() == score, role


def test_who_serves_without_its_disk_can_let_go(group):
    group.do("start")
    group.write("role", "diskless")
    assert group.do("promote") == SUCCESS  # asked again
    group.write("role", "diskless")
    assert group.do("demote") == SUCCESS
    assert group.read("role").strip() == "spare"


def test_open_gates_without_a_daemon_are_no_stopped_group(group):
    group.write("role", "away")
    group.write("tables", OPEN)
    assert group.do("monitor") == GENERIC
    assert group.do("stop") == GENERIC
    assert group.do("demote") == GENERIC
    group.write("tables", CLOSED)
    assert group.do("stop") == SUCCESS


def test_stop_does_not_lie(group):
    group.do("start")
    group.do("promote")
    assert group.do("monitor") == PROMOTED
    group.write("demote-fails")
    assert group.do("stop") == GENERIC and "could not be released" in group.said
    assert group.do("monitor") == PROMOTED
    os.remove(group.path("demote-fails"))
    assert group.do("stop") == SUCCESS
    assert group.do("monitor") == NOT_RUNNING
    assert group.read("role") == "spare"


def test_a_release_that_failed_is_no_success_whatever_the_role_says(group):
    """Without quorum lunwardd lets go by itself, and a look may come before it has."""
    group.do("start")
    group.write("role", "stale")
    group.write("demote-fails")
    assert group.do("demote") == GENERIC
    os.remove(group.path("demote-fails"))
    assert group.do("demote") == SUCCESS


def test_stop_while_the_daemon_comes_back(group):
    """It was not there to release, and when it is, it has nothing to release."""
    group.write("bin/lunward", """#!/bin/sh
cd "$(dirname "$0")/.."
case "$1 $2" in
"resource demote") [ -e asked ] || { : >asked; exit 3; } ;;
"resource role") echo "spare pacemaker" ;;
esac
""")
    assert group.do("stop") == SUCCESS


def test_a_probe_does_not_wait_for_a_daemon_that_is_not_to_run_yet(group):
    group.env["OCF_RESKEY_CRM_meta_timeout"] = "180000"
    group.env["OCF_RESKEY_CRM_meta_interval"] = "0"
    group.write("role", "away")
    assert group.do("monitor") == NOT_RUNNING
    assert "resource role g1 --timeout 3" in group.read("calls")
    group.env["OCF_RESKEY_CRM_meta_interval"] = "10000"
    group.do("monitor")
    assert "resource role g1 --timeout 176" in group.read("calls")


def test_promotion_that_failed(group):
    group.do("start")
    group.write("promote-fails")
    assert group.do("promote") == GENERIC
    assert "is spare here" in group.said


def test_waits_end_before_pacemaker_does(group):
    group.env["OCF_RESKEY_CRM_meta_timeout"] = "90000"
    group.do("promote")
    assert "resource promote g1 --timeout 86" in group.read("calls")


@pytest.mark.parametrize("setup, code, text", [
    (lambda p: p.write("placement", "auto"), CONFIGURED, "placement is auto"),
    (lambda p: p.write("role", "none"), INSTALLED, "no copy"),
    (lambda p: p.env.update(OCF_RESKEY_group="g9"), INSTALLED, "g9"),
    (lambda p: p.env.pop("OCF_RESKEY_group"), CONFIGURED, "parameter group"),
    (lambda p: p.write("role", "away"), GENERIC, "does not answer"),
])
def test_start_is_refused_with_a_reason(group, setup, code, text):
    setup(group)
    assert group.do("start") == code
    assert text in group.said


def test_a_group_that_is_gone_can_be_stopped(group):
    group.do("start")
    group.env["OCF_RESKEY_group"] = "g9"
    assert group.do("stop") == SUCCESS


def test_unknown_actions(group, agent):
    assert group.do("migrate_to") == UNIMPLEMENTED
    assert agent.do("promote") == UNIMPLEMENTED


def test_monitor_is_quick(group):
    begin = time.monotonic()
    for _ in range(10):
        group.do("monitor")
    assert (time.monotonic() - begin) / 10 < 1


def test_the_daemon(agent):
    assert agent.do("monitor") == NOT_RUNNING
    assert agent.do("start") == SUCCESS
    assert agent.do("monitor") == SUCCESS
    agent.write("role", "away")  # alive and silent
    assert agent.do("monitor") == GENERIC
    agent.write("stop-fails")
    assert agent.do("stop") == GENERIC
    os.remove(agent.path("stop-fails"))
    assert agent.do("stop") == SUCCESS
    assert agent.do("monitor") == NOT_RUNNING
    agent.write("start-fails")
    assert agent.do("start") == GENERIC


if __name__ == "__main__":
    tap.main(__file__)

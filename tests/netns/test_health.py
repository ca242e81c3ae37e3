# SPDX-License-Identifier: GPL-2.0-or-later
"""Rounds of looks at the own portals, and what follows: the agent is real, what looks says what it is told (tools/lunward-health)."""
import json
import os
import socket
import subprocess

import pytest
from netns_cluster import wait_until
from storage_cluster import PATIENCE_S, TOOLS
from test_reservations import TARGET
from test_sessions import ROOT

INITIATOR = "iqn.2026-11.org.lunward:health"


def read(node, path):
    with socket.socket(socket.AF_UNIX) as s, s.makefile("rw") as f:
        s.connect(node.configfs_socket)
        f.write(json.dumps({"op": "read", "path": f"{ROOT}/{path}", "arg": ""}) + "\n")
        f.flush()
        return json.loads(f.readline())["text"]


def task(node):
    try:
        with open(node.path("health-task"), encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return {"looks": []}


def find(node, **faults):
    with open(node.path("health-faults.new"), "w", encoding="utf-8") as f:
        json.dump(faults, f)
    os.rename(f.name, node.path("health-faults"))


def health(asked, of):
    return asked.agent.member(of.name).get("health")


def problems(node):
    return [(p["object"], p["text"]) for p in node.agent.status().get("problems", [])]


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_reads_that_fail_move_a_group_once(storage):
    for node in storage.nodes:
        node.agent.health = os.path.join(TOOLS, "lunward-health")
    storage.up()
    n1, n2, n3 = storage.nodes
    document = storage.document()
    document["targets"]["srp.fast"] = {"portals": [{"node": "n1", "gid": "fe80:0000:0000:0000:5054:00ff:fe12:0001"}]}  # nobody logs in there
    n1.agent.lunward("apply", storage.write_document(document), check=True)
    for group in ("g1", "g2"):
        n1.agent.lunward("move", group, "n1", check=True)

    # What is looked at: its own portals, each group by one LUN, with what hosts are to see there; blocks are read on the owner only.
    def settled():
        return [[(lun["port_group"], lun["state"], "block" in lun) for look in task(n)["looks"] for lun in look["luns"]] for n in (n1, n2)] == [
            [(1, 0, True)] * 2, [(2, 2, False)] * 2]
    wait_until(settled, PATIENCE_S, f"both look at two groups: {task(n1)} {task(n2)}")
    seen = task(n1)
    assert [(look["portal"], look["target"]) for look in seen["looks"]] == [("10.77.1.1:3260", TARGET)]
    assert seen["initiator"] == INITIATOR and len(seen["password"]) == 32 and seen["password"] != task(n2)["password"]
    assert read(n1, f"iscsi/{TARGET}/tpgt_1/acls/{INITIATOR}/auth/password").strip() == seen["password"]
    luns = [lun["lun"] for lun in seen["looks"][0]["luns"]]
    assert len(set(luns)) == 2

    # The real program takes the same task. There is nobody to log in to.
    done = subprocess.run([n1.agent.path("lunward-health")], input=json.dumps(seen), capture_output=True, text=True, check=True, timeout=60)
    answer = json.loads(done.stdout)
    assert [(look["result"], [lun["result"] for lun in look["luns"]]) for look in answer["looks"]] == [("login", ["unknown"] * 2)]

    # Its own sessions are no hosts', and no fault is one.
    wait_until(lambda: all(health(n3, n) == [] for n in storage.nodes), PATIENCE_S, "all is well")

    # A hang moves nothing: all say so.
    epoch = n1.agent.group("g1")["epoch"]
    names = {lun["lun"]: group for lun, group in zip(seen["looks"][0]["luns"], ("g1", "g2"))}
    g1 = next(str(lun) for lun, group in names.items() if group == "g1")
    find(n1, **{g1: "silent"})
    wait_until(lambda: health(n3, n1), PATIENCE_S, "the fault lasts")
    assert [(f["group"], f["result"], f["portal"]) for f in health(n2, n1)] == [("g1", "silent", "10.77.1.1:3260")]
    assert ("group g1", f"commands hang at portal 10.77.1.1:3260 of {TARGET} on n1, as hosts see it: told to be silent") in problems(n3)
    assert n1.agent.group("g1")["epoch"] == epoch and n1.agent.group("g1")["owner"] == "n1"

    # Reads that fail do, to who can have it.
    find(n1, **{g1: "read"})
    n3.agent.wait_group("g1", owner="n2", phase="owned")
    assert n3.agent.group("g2")["owner"] == "n1"
    wait_until(lambda: health(n3, n1) == [], PATIENCE_S, "n1 reads no more")

    # Not back, though they fail there as well: n1 has given it away itself.
    epoch = n1.agent.group("g1")["epoch"]
    find(n2, **{g1: "read"})
    wait_until(lambda: health(n3, n2), PATIENCE_S, "reads fail on n2")
    assert n1.agent.group("g1")["owner"] == "n2" and n1.agent.group("g1")["epoch"] == epoch

    # And no longer than it does.
    find(n2)
    wait_until(lambda: health(n3, n2) == [], PATIENCE_S, "all is well again")

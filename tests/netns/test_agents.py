# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole agents on real Corosync, without storage: they agree, notice, lose quorum, come back; `lunward` tells."""
import json
import os
import subprocess

import pytest
from netns_cluster import wait_until


class Agent:
    def __init__(self, node, build_dir):
        self.node = node
        self.build_dir = build_dir
        self.process = None

    def start(self):
        with open(self.node.path("lunwardd.log"), "a", encoding="utf-8") as log:
            self.process = self.node.popen([os.path.join(self.build_dir, "lunwardd")], stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log)

    def lunward(self, *args):
        return self.node.run([os.path.join(self.build_dir, "lunward"), *args], check=False)

    def status(self):
        done = self.lunward("status", "--format", "json")
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def states(self):
        """{"n1": "up", ...} as an active agent sees it, {} before."""
        status = self.status()
        return {n["name"]: n["state"] for n in status["nodes"]} if status.get("active") else {}

    def expect(self, *states):
        wanted = {f"n{i}": s for i, s in enumerate(states, 1)}
        wait_until(lambda: self.states() == wanted, 90, f"{self.node.name} sees {wanted}")


@pytest.fixture
def agents(cluster, build_dir):
    cluster.start()
    made = [Agent(node, build_dir) for node in cluster.nodes]
    for agent in made:
        agent.start()
    for agent in made:
        agent.expect("up", "up", "up")
    return made


def test_node_dies_and_comes_back(agents):
    one, two, three = agents
    three.node.corosync.kill()
    one.expect("up", "up", "down")
    two.expect("up", "up", "down")
    wait_until(lambda: three.status().get("quorate") is False, 60, "n3 without quorum")
    done = three.lunward("status")
    assert done.returncode == 0 and done.stdout.startswith("DOWN: ") and "no quorum" in done.stdout
    three.node.corosync.start()
    for agent in agents:
        agent.expect("up", "up", "up")


def test_agent_dies_and_comes_back(agents):
    one, _, three = agents
    three.process.kill()
    three.process.wait()
    one.expect("up", "up", "away")  # Corosync lives there: not down
    assert three.lunward("status").returncode == 3
    three.start()
    one.expect("up", "up", "up")
    three.expect("up", "up", "up")


def test_minority_is_passive(agents, cluster):
    one, two, three = agents
    cluster.partition([one.node, two.node], [three.node])
    one.expect("up", "up", "down")
    wait_until(lambda: three.status().get("quorate") is False, 60, "n3 without quorum")
    assert three.lunward("node", "confirm-down", "n1", "--yes").returncode == 3  # refused: not for a minority to say
    done = one.lunward("node", "confirm-down", "n3", "--yes")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: [n["evidence"] for n in two.status().get("nodes", [])] == ["none", "none", "operator"], 60, "evidence on n2")
    cluster.heal()
    for agent in agents:
        agent.expect("up", "up", "up")


def test_second_agent_on_a_node_is_refused(agents):
    one = agents[0]
    second = one.node.run([os.path.join(one.build_dir, "lunwardd")], check=False)
    assert second.returncode != 0 and "another lunwardd is running" in second.stderr
    one.expect("up", "up", "up")


def test_each_group_has_one_master(agents, tmp_path):
    """Groups of which the agents can make nothing, without storage: who may ask for what is decided before."""
    one, two, three = agents
    document = tmp_path / "document.json"
    document.write_text(json.dumps({
        "lunward": 1, "cluster": "netns", "nodes": {f"n{i}": {"id": i} for i in (1, 2, 3)},
        "groups": {"ours": {"backend": "local", "nodes": ["n1"]},
                   "theirs": {"backend": "local", "nodes": ["n1"], "placement": "pacemaker"}}}))
    done = one.lunward("apply", "--no-wait", str(document))
    assert done.returncode == 0, done.stderr
    wait_until(lambda: len(two.status().get("groups", [])) == 2, 60, "the document on n2")
    assert {g["name"]: g["placement"] for g in two.status()["groups"]} == {"ours": "auto", "theirs": "pacemaker"}
    for verb in (("move", "theirs", "n1"), ("release", "theirs")):
        done = two.lunward(*verb)
        assert done.returncode == 1 and "Pacemaker places it" in done.stderr
    for verb in ("promote", "demote"):
        done = one.lunward("resource", verb, "ours", "--timeout", "30")
        assert done.returncode == 4 and "its placement is auto" in done.stderr
    # A node without a copy cannot have it, and gives up what it does not have at once.
    done = three.lunward("resource", "promote", "theirs", "--timeout", "30")
    assert done.returncode != 0 and "no copy" in done.stderr
    assert three.lunward("resource", "demote", "theirs", "--timeout", "30").returncode == 0
    assert three.lunward("resource", "role", "theirs", "--timeout", "30").stdout == "none pacemaker\n"
    # Without storage n1 does not get ready for it; that may pass, so it is waited for, and the reason told at the end.
    done = one.lunward("resource", "promote", "theirs", "--timeout", "8")
    assert done.returncode == 3 and "cannot move to n1: its storage or target is not ready" in done.stderr
    assert next(g for g in two.status()["groups"] if g["name"] == "theirs")["phase"] == "free"

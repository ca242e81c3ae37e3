# SPDX-License-Identifier: GPL-2.0-or-later
"""An SRP target on machines without RDMA: each node says what it lacks, and everything else is served, moved and taken over."""
import pytest
from netns_cluster import wait_until
from storage_cluster import PATIENCE_S

GIDS = {n: f"fe80:0000:0000:0000:5054:00ff:fe12:000{n}" for n in (1, 2, 3)}


def errors_of(cluster, node):
    return " ".join(next(n for n in cluster.nodes[0].agent.status()["nodes"] if n["name"] == node)["errors"])


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_what_is_missing_is_said_and_stops_nothing(storage):
    storage.up()
    n1, n2, _ = storage.nodes
    document = storage.document()
    document["targets"]["srp.fast"] = {"portals": [{"node": f"n{n}", "gid": gid} for n, gid in GIDS.items()]}
    document["hosts"]["h1"]["initiators"].append("0x505400fffe120303505400fffe120303")
    document["mappings"].append({"host": "h1", "volume": "v1", "target": "srp.fast", "lun": 5})
    n1.agent.lunward("apply", storage.write_document(document), check=True)

    for node in ("n1", "n2"):
        wait_until(lambda node=node: f"no RDMA port with GID {GIDS[int(node[1])]}" in errors_of(storage, node), PATIENCE_S, f"{node} to say so")
    n1.agent.lunward("check", check=True)
    n1.agent.lunward("move", "g1", "n2", check=True)
    storage.wait_served("g1", "n2")
    storage.crash(n2)
    storage.wait_served("g1", "n1")
    storage.boot(n2)
    storage.settle(g1="n1")

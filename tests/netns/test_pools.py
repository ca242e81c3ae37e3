# SPDX-License-Identifier: GPL-2.0-or-later
"""Thin pools that fill up: who is told what. Each new document is a look; the agents' own minute is not waited for."""
import pytest
from netns_cluster import wait_until
from storage_cluster import PATIENCE_S


def pools(asked, of):
    return asked.agent.member(of.name).get("pools")


def states(asked, of):
    return [(p["data"], p["metadata"]) for p in pools(asked, of) or []]


def problems(node):
    return {(p["severity"], p["object"], p["text"]): p["remedy"] for p in node.agent.status().get("problems", [])}


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_thin_pools_fill_up(storage):
    n1, n2, n3 = storage.up()
    machines = storage.world.machines

    # A node that has none asks for none.
    assert [pools(n3, n) for n in storage.nodes] == [[]] * 3 and not storage.world.pool_looks

    machines["n1"].thin_pools["lunward/tp0"] = (81.3, 3.5)
    machines["n2"].thin_pools["lunward/tp0"] = (50.0, 3.5)
    document = storage.document()
    document["pools"]["thin"] = {"vg": "lunward", "thin_pool": "tp0"}
    document["volumes"]["t1"] = {"group": "g1", "pool": "thin", "size": "1GiB"}
    n1.agent.lunward("apply", storage.write_document(document), check=True)
    assert [machines[n].lvs["lunward.lunward-t1"].get("thin_pool") for n in ("n1", "n2")] == ["tp0"] * 2
    assert "thin_pool" not in machines["n1"].lvs["lunward.lunward-v1"]

    wait_until(lambda: states(n3, n1) == [("warning", "good")] and states(n3, n2) == [("good", "good")], PATIENCE_S, "n3 is told of both pools")
    told = {"pool": "thin", "thin_pool": "lunward/tp0", "data": "warning", "metadata": "good", "health": "", "error": ""}
    assert pools(n3, n1) == pools(n2, n1) == [told] and pools(n3, n3) == []
    assert pools(n1, n1) == [{**told, "data_percent": 81.3, "metadata_percent": 3.5}]
    remedy = problems(n3)["warning", "pool thin", "thin pool lunward/tp0 on n1: its data are more than 80 % full"]
    assert remedy.startswith("`lvextend -L +SIZE lunward/tp0` on that node")

    # What trembles at a threshold is as it was, what has passed the next one is not; a pool that is gone is not called healthy.
    machines["n1"].thin_pools["lunward/tp0"] = (79.9, 94.2)
    del machines["n2"].thin_pools["lunward/tp0"]
    document["pools"]["thin"]["error_percent"] = 94
    n1.agent.lunward("apply", storage.write_document(document), check=True)
    wait_until(lambda: states(n3, n1) == [("warning", "error")] and states(n3, n2) == [("unknown", "unknown")], PATIENCE_S, "n3 is told of the change")
    found = problems(n3)
    assert "--poolmetadatasize" in found["error", "pool thin", "thin pool lunward/tp0 on n1: its metadata are more than 94 % full"]
    assert any(o == "pool thin" and s == "warning" and t.startswith("how full it is on n2 is not known: ") for s, o, t in found)

    # Nobody's any more.
    storage.up()
    wait_until(lambda: [pools(n3, n) for n in storage.nodes] == [[]] * 3 and pools(n1, n1) == [], PATIENCE_S, "no thin pool, no state of one")
    assert not any(o == "pool thin" for _, o, _ in problems(n1))

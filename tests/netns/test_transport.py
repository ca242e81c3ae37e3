# SPDX-License-Identifier: GPL-2.0-or-later
"""ha/transport against real Corosync: order, views, loss of the connection, quorum, electorate, flow control."""
import os

import pytest
from netns_cluster import JsonLines


@pytest.fixture
def echoes(cluster, build_dir):
    cluster.start()
    programs = [start_echo(node, build_dir) for node in cluster.nodes]
    everybody = [node.nodeid for node in cluster.nodes]
    for p in programs:
        p.wait(event="view", nodes=everybody, ring=everybody)
        p.wait(event="quorum", quorate=True)
    return programs


def start_echo(node, build_dir):
    return JsonLines(node, [os.path.join(build_dir, "tests/netns/transport-echo")])


def stream(program, since=0):
    """What must be the same everywhere: messages and views, in order."""
    return [e for e in program.since(since) if e["event"] in ("message", "view")]


def check_views_are_consistent(*programs):
    for p in programs:
        for view in p.since(event="view"):
            assert set(view["nodes"]) <= set(view["ring"]), view
            assert view["nodes"] == sorted(view["nodes"]) and view["ring"] == sorted(view["ring"])
            assert p.node.nodeid in view["nodes"]


def test_electorate(echoes):
    for p in echoes:
        e = p.wait(event="electorate")
        assert e["nodes"] == [[1, "n1"], [2, "n2"], [3, "n3"]]
        assert e["me"] == p.node.nodeid
        assert e["cluster"] == "netns"
        assert e["token_ms"] >= p.node.cluster.token_ms


def test_same_order_everywhere(echoes):
    marks = [p.mark() for p in echoes]
    for p in echoes:
        p.say("flood 300 200")
    for p in echoes:
        p.say(f"send last {p.node.name}")
    for p, mark in zip(echoes, marks):
        for sender in echoes:
            p.wait(mark, event="message", text="flood 299".ljust(32) + "." * 8, **{"from": sender.node.nodeid})
            p.wait(mark, event="message", text=f"last {sender.node.name}")
    streams = [stream(p, mark) for p, mark in zip(echoes, marks)]
    assert len(streams[0]) == 3 * 301
    assert streams[0] == streams[1] == streams[2]
    for sender in (1, 2, 3):  # nothing lost, nothing overtaken
        numbers = [int(e["text"].split()[1]) for e in streams[0]
                   if e["from"] == sender and e["text"].startswith("flood")]
        assert numbers == list(range(300))


def test_large_messages(echoes):
    marks = [p.mark() for p in echoes]
    sizes = [(echoes[0], "5", 20 << 20), (echoes[1], "11", 700 * 1024), (echoes[2], "11", 256 * 1024)]  # pieces of several at a time
    for sender, last, size in sizes:
        sender.say(f"flood {int(last) + 1} {size}")
    for p, mark in zip(echoes, marks):
        for _, last, size in sizes:
            p.wait(mark, event="message", text=f"flood {last}".ljust(32) + "." * 8, size=size, timeout_s=90)
    assert stream(echoes[0], marks[0]) == stream(echoes[1], marks[1]) == stream(echoes[2], marks[2])
    mark = echoes[0].mark()
    echoes[0].say("stats")
    assert echoes[0].wait(mark, event="stats")["dropped"] == 0
    echoes[0].say(f"flood 1 {(20 << 20) + 1}")
    assert echoes[0].wait(mark, event="refused")["errno"] == "EMSGSIZE"


def test_agent_leaves_and_comes_back(echoes, build_dir):
    one, two, three = echoes
    mark = one.mark()
    three.kill()
    view = one.wait(mark, event="view")
    assert (view["nodes"], view["ring"]) == ([1, 2], [1, 2, 3])  # its Corosync lives: away, not down
    mark = one.mark()
    again = start_echo(three.node, build_dir)
    view = one.wait(mark, event="view")
    assert (view["nodes"], view["ring"]) == ([1, 2, 3], [1, 2, 3])
    again.wait(event="view", nodes=[1, 2, 3], ring=[1, 2, 3])
    check_views_are_consistent(one, two, again)


def test_second_agent_of_a_node_is_refused(echoes, build_dir):
    mark = echoes[1].mark()
    second = start_echo(echoes[0].node, build_dir)
    assert second.wait(event="lost")["errno"] == "EEXIST"
    assert not second.since(event="view")
    second.process.wait(timeout=20)
    echoes[0].say("send still here")
    for p in echoes:
        p.wait(event="message", text="still here")
    assert all(v["nodes"] == [1, 2, 3] for v in echoes[1].since(mark, event="view"))


def test_corosync_dies_and_comes_back_under_its_agent(echoes):
    one, two, three = echoes
    marks = [p.mark() for p in echoes]
    three.node.corosync.kill()
    assert three.wait(marks[2], event="lost", what="transport")["errno"] == "ENOTCONN"
    three.wait(marks[2], event="lost", what="quorum")
    for p, mark in ((one, marks[0]), (two, marks[1])):
        view = p.wait(mark, event="view")  # one view, with group and ring already agreeing
        assert (view["nodes"], view["ring"]) == ([1, 2], [1, 2])
    three.say("send into the void")
    assert three.wait(marks[2], event="refused")["errno"] == "ENOTCONN"
    mark = three.mark()
    three.node.corosync.start()
    three.wait(mark, event="view", nodes=[1, 2, 3], ring=[1, 2, 3])
    three.wait(mark, event="quorum", quorate=True)
    one.wait(marks[0], event="view", nodes=[1, 2, 3], ring=[1, 2, 3])
    three.say("send back again")
    for p in echoes:
        p.wait(event="message", text="back again")
    check_views_are_consistent(*echoes)


def test_partition_and_merge(echoes, cluster):
    one, two, three = echoes
    marks = [p.mark() for p in echoes]
    begun = marks[0]
    cluster.partition([one.node, two.node], [three.node])
    one.wait(marks[0], event="view", nodes=[1, 2], ring=[1, 2])
    two.wait(marks[1], event="view", nodes=[1, 2], ring=[1, 2])
    three.wait(marks[2], event="view", nodes=[3], ring=[3])
    three.wait(marks[2], event="quorum", quorate=False)
    three.say("send minority")  # both sides go on delivering
    three.wait(marks[2], event="message", text="minority")
    one.say("send majority")
    two.wait(marks[1], event="message", text="majority")
    marks = [p.mark() for p in echoes]
    cluster.heal()
    for p, mark in zip(echoes, marks):
        p.wait(mark, event="view", nodes=[1, 2, 3], ring=[1, 2, 3])
    three.wait(marks[2], event="quorum", quorate=True)
    one.say("send merged")
    for p, mark in zip(echoes, marks):
        p.wait(mark, event="message", text="merged")
    assert not one.since(event="message", text="minority")
    assert not three.since(event="message", text="majority")
    assert not one.since(begun, event="quorum", quorate=False)  # before, a ring may have formed in any number of steps
    check_views_are_consistent(*echoes)


def test_stopped_corosync_blocks_nobody(echoes):
    one, two, three = echoes
    marks = [p.mark() for p in echoes]
    one.node.corosync.pause()
    one.say("flood 5000 100")
    one.say("stats")  # is answered: the program is not stuck in a send
    stats = one.wait(marks[0], event="stats")
    assert stats["queued"] > 0 and stats["in_flight"] <= 64
    two.wait(marks[1], event="view", nodes=[2, 3], ring=[2, 3])
    one.node.corosync.resume()
    one.wait(marks[0], event="view", nodes=[1, 2, 3], ring=[1, 2, 3])
    two.wait(marks[1], event="view", nodes=[1, 2, 3], ring=[1, 2, 3])
    one.say("send awake")
    three.wait(marks[2], event="message", text="awake", timeout_s=90)
    check_views_are_consistent(*echoes)


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_agent_is_there_before_corosync(cluster, build_dir):
    p = start_echo(cluster.nodes[0], build_dir)
    assert p.wait(event="not-open")["errno"] == "ENOTCONN"
    cluster.start()
    p.wait(event="view", nodes=[1], ring=[1])
    p.wait(event="quorum", quorate=True)

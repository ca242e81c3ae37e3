# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions as an agent tells them and drops them: what stands for LIO's configfs shows them as the kernel does, their connections are real."""
import json
import os
import select
import signal
import socket
import subprocess
import time

import pytest
from netns_cluster import Namespaces, wait_until
from storage_cluster import PATIENCE_S
from test_reservations import HOST, TARGET, Session

ROOT = "/sys/kernel/config/target"
NOBODY = f"No active iSCSI Session for Initiator Endpoint: {HOST}"


def write(node, path, value):
    with socket.socket(socket.AF_UNIX) as s, s.makefile("rw") as f:
        s.connect(node.configfs_socket)
        f.write(json.dumps({"op": "write", "path": f"{ROOT}/{path}", "arg": value}) + "\n")
        f.flush()
        assert json.loads(f.readline())["rc"] == 0


def show(node, sid=0, transport="TCP"):
    """What the kernel shows of the host at the node's own port."""
    info = NOBODY if not sid else (
        f"InitiatorName: {HOST}\nInitiatorAlias: h1\nLIO Session ID: {sid}   ISID: 0x00 02 3d 00 00 01  TSIH: {sid}  SessionType: Normal\n"
        "Session State: TARG_SESS_STATE_LOGGED_IN\nCID: 0  Connection State: TARG_CONN_STATE_LOGGED_IN\n"
        f"   Address 10.77.1.{node.nodeid} {transport}  StatSN: 0x00000001")
    write(node, f"iscsi/{TARGET}/tpgt_{node.nodeid}/acls/{HOST}/info", info)
    write(node, f"iscsi/{TARGET}/fabric_statistics/iscsi_instance/sessions", str(min(sid, 1)))


def listed(node, *args):
    done = node.agent.lunward("session", "list", "--format", "json", *args, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_sessions(storage):
    storage.up()
    n1, n2, _ = storage.nodes

    # Who, where, since when, how much: of this node only.
    assert listed(n1)["sessions"] == []
    show(n1, 7)
    write(n1, f"iscsi/{TARGET}/tpgt_1/acls/{HOST}/lun_0/statistics/scsi_auth_intr/num_cmds", "12")
    write(n1, "core/iblock_7731/v1/statistics/scsi_lu/num_cmds", "34")
    answer = listed(n1)
    session, = answer["sessions"]
    assert (session["host"], session["port_of"], session["portals"], session["session_id"]) == ("h1", "n1", ["10.77.1.1:3260"], 7)
    assert session["connections"] == [{"cid": 0, "state": "LOGGED_IN", "address": "10.77.1.1", "transport": "tcp"}]
    assert [(lun["volume"], lun["commands"]) for lun in session["luns"]] == [("v1", 12), ("v2", 0), ("s1", 0)]
    assert {v["volume"]: v["commands"] for v in answer["volumes"]} == {"v1": 34, "v2": 0, "s1": 0}
    assert session["digests"] == {"header": None, "data": None} and session["digests_offered"]["header"] == "CRC32C,None"
    write(n1, f"iscsi/{TARGET}/tpgt_1/param/DataDigest", "None")
    assert listed(n1)["sessions"][0]["digests"] == {"header": None, "data": "None"}
    assert abs(session["seen_since_ms"] / 1000 - time.time()) < 60
    assert listed(n1)["sessions"][0]["seen_since_ms"] == session["seen_since_ms"]
    assert listed(n2)["sessions"] == []
    assert [s["luns"][0]["volume"] for s in listed(n1, "--host", HOST, "--volume", "v2")["sessions"]] == ["v2"]
    for args, said in ((("--host", "h9"), 'no host and no initiator "h9"'), (("--volume", "v9"), 'no volume "v9"')):
        done = n1.agent.lunward("session", "list", *args)
        assert done.returncode == 4 and said in done.stderr
    assert "lunward_sessions{node=\"n1\"} 1\n" in n1.agent.lunward("metrics", check=True).stdout
    assert 'lunward_volume_commands_total{group="g1",volume="v1"} 34\n' in n1.agent.lunward("metrics", check=True).stdout

    # Another login is another session.
    show(n1, 8)
    assert listed(n1)["sessions"][0]["seen_since_ms"] > session["seen_since_ms"]

    # Dropping cuts, and waits for the kernel; what logs in meanwhile stays.
    connection = Session(n1)
    drop = n1.agent.start_lunward("session", "drop", "h1", "--yes")
    assert connection.is_cut()
    assert drop.poll() is None
    connection = Session(n1)
    show(n1, 9)
    assert drop.communicate(timeout=PATIENCE_S)[0] == "h1: 1 session dropped\n" and drop.returncode == 0
    assert connection.hears()

    # The one before it is dropped too, once the kernel shows it; at another target's there is nothing.
    connection = Session(n1)
    drop = n1.agent.start_lunward("session", "drop", HOST, "--target", TARGET, "--yes")
    assert connection.is_cut()
    connection = Session(n1)
    show(n1, 3)
    assert connection.is_cut()
    show(n1)
    assert drop.communicate(timeout=PATIENCE_S)[0] == f"{HOST}: 2 sessions dropped\n"
    assert n1.agent.lunward("session", "drop", "h1", "--yes", check=True).stdout == "h1: 0 sessions dropped\n"
    done = n1.agent.lunward("session", "drop", "h1", "--target", "iqn.x", "--yes")
    assert done.returncode == 4 and "no target" in done.stderr

    # iSER cannot be cut: said, and left alone.
    show(n1, 10, "SCTP")
    done = n1.agent.lunward("session", "drop", "h1", "--yes")
    assert done.returncode == 1 and "over iSER, and only it can end that" in done.stderr

    # One that the kernel does not end.
    show(n1, 11)
    done = n1.agent.lunward("session", "drop", "h1", "--yes")
    assert done.returncode == 6 and "has not ended its session yet" in done.stderr

    # A kernel that hangs holds up who asks about it, and nobody else.
    os.kill(n1.configfs.pid, signal.SIGSTOP)
    waiting = [n1.agent.start_lunward("session", "list") for _ in range(3)]
    metrics = n1.agent.lunward("metrics", check=True).stdout
    assert "lunward_up 1\n" in metrics and "lunward_sessions" not in metrics
    assert n1.agent.status()["active"]
    for process in waiting:
        assert "reading its configfs hangs" in process.communicate(timeout=PATIENCE_S)[0] and process.returncode == 1
    begun = time.monotonic()
    assert "hangs" in n1.agent.lunward("session", "list").stderr and time.monotonic() - begun < 5
    assert len(os.listdir(f"/proc/{n1.agent.process.pid}/task")) < 6  # no thread for each who asked
    os.kill(n1.configfs.pid, signal.SIGCONT)
    wait_until(lambda: n1.agent.lunward("session", "list").returncode == 0, PATIENCE_S, "the kernel answers again")
    storage.check_safe()


HOST_ADDRESS = "10.77.1.99"
SERVER = """
import socket, sys
listener = socket.create_server((sys.argv[1], 3260))
print("ready", flush=True)
served = listener.accept()[0]
served.recv(1)
"""
CLIENT = """
import socket, sys
s = socket.create_connection((sys.argv[1], 3260))
print("connected", flush=True)
try:
    s.recv(1)  # says nothing: nothing is retransmitted, and nobody would tell it
    print("closed", flush=True)
except ConnectionResetError:
    print("reset", flush=True)
"""


@pytest.fixture
def host(storage):
    """A host on the nodes' network."""
    namespaces = Namespaces()
    storage.switch.run(["ip", "link", "add", "h1", "type", "veth", "peer", "name", "eth0", "netns", str(namespaces.holder.pid)])
    storage.switch.run(["ip", "link", "set", "h1", "master", "br0", "up"])
    namespaces.run(["ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", "eth0"])
    namespaces.run(["ip", "link", "set", "eth0", "up"])
    yield namespaces
    namespaces.close()


def has_told(node, text):
    with open(node.agent.traces[-1][0], encoding="utf-8") as f:
        return any(line.startswith('{"info"') and text.encode().hex() in line for line in f)


@pytest.mark.parametrize("storage", [3], indirect=True)
def test_the_hosts_of_a_dead_node_are_told_at_once(storage, host):
    n1, n2, _ = storage.up()
    server = n1.popen(["/usr/bin/python3", "-c", SERVER, "10.77.1.1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "ready\n"
    client = host.popen(["/usr/bin/python3", "-c", CLIENT, "10.77.1.1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert client.stdout.readline() == "connected\n"
        wait_until(lambda: has_told(n1, HOST_ADDRESS), PATIENCE_S, "n1 to tell of the connection")
        storage.cut_off(n1)  # before its end: nothing that says goodbye comes through
        storage.wait_fenced("n1")
        wait_until(lambda: n2.agent.member("n1").get("portals_at") in ("n2", "n3"), PATIENCE_S, "portals of n1 adopted")
        said, _, _ = select.select([client.stdout], [], [], PATIENCE_S)
        assert said and client.stdout.readline() == "reset\n"
    finally:
        client.kill()
        client.wait()
    storage.heal()
    storage.boot(n1)
    storage.settle(g1="n2", g2="n2")

# SPDX-License-Identifier: GPL-2.0-or-later
"""Lunward beside LIO alone, on the same machine: how long PERSISTENT RESERVE OUT takes, and which of libiscsi's tests pass."""
import statistics
from typing import Dict, List, Tuple

import deployment as site
import libiscsi_tests
from pr_driver import PORTALS, Storm, extend, parse, switch_back_on
from lab.api import Node

BARE = "iqn.2026-11.lab.lunward:bare"
BARE_PORTAL = "10.78.0.1:3261"
ROUNDS = 60
PORT_TWO_DISKS = 7900
GOAL = 5  # times LIO's own latency; a figure, not a check: it is the machine's as much as ours
# A RAM disk, and APTPL into a plain file: the least that LIO does for a reservation that is to outlive it.
BUILD_BARE = f"""
set -e
modprobe -a target_core_mod iscsi_target_mod
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
cd /sys/kernel/config/target
mkdir -p "$(cat dbroot)/pr" "$(cat dbroot)/alua"
mkdir -p core/rd_mcp_0/bare
echo rd_pages=16384 >core/rd_mcp_0/bare/control
echo 6a0d3c5e-00ba-4222-8333-1c6de04c7a11 >core/rd_mcp_0/bare/wwn/vpd_unit_serial
echo 1 >core/rd_mcp_0/bare/enable
echo 1 >core/rd_mcp_0/bare/attrib/force_pr_aptpl
t=iscsi/{BARE}/tpgt_1
mkdir -p $t/lun/lun_0 $t/np/{BARE_PORTAL}
ln -s /sys/kernel/config/target/core/rd_mcp_0/bare $t/lun/lun_0/bare
echo 0 >$t/attrib/authentication
echo 0 >$t/attrib/demo_mode_write_protect
echo 1 >$t/attrib/generate_node_acls
echo 1 >$t/enable
"""
REMOVE_BARE = f"""
set -e
cd /sys/kernel/config/target
t=iscsi/{BARE}/tpgt_1
echo 0 >$t/enable
rm $t/lun/lun_0/bare
rmdir $t/np/{BARE_PORTAL} $t/lun/lun_0 $t iscsi/{BARE} iscsi core/rd_mcp_0/bare core/rd_mcp_0
rm -rf "$(cat dbroot)/pr"
"""


def latencies(host: Node, portal: str, target: str, initiator: str) -> List[float]:
    """ms of each REGISTER, RESERVE and RELEASE, the first rounds left out."""
    script = [f"w x login {portal} {target} {initiator} 0", "w x prout register-ignore 0 0 1", "w x prout clear 0 1 0"]  # others may have left some
    for i in range(ROUNDS):
        script += [f"w x prout register-ignore 0 0 {i + 1:x}", f"w x prout reserve 5 {i + 1:x} 0", f"w x prout release 5 {i + 1:x} 0"]
    script.append(f"w x prout clear 0 {ROUNDS:x} 0")
    done = host.run("/host/tools/pr-driver --strict", timeout_s=300, stdin=("\n".join(script) + "\n").encode())
    sent, found = {}, []
    for text in done.out.splitlines():
        said = parse(text, 0)
        if said and said.status == "sent":
            sent[said.line] = said.ns
        elif said and said.status == "GOOD" and said.line > 18 and said.verb in ("register-ignore", "reserve", "release"):
            found.append((said.ns - sent[said.line]) / 1e6)
    if len(found) < 3 * ROUNDS - 20:
        raise RuntimeError(f"only {len(found)} commands: {done.out[-300:]}")
    return found


def run_suites(host: Node, portal: str, target: str, names: str) -> Dict[str, str]:
    """Each of libiscsi's tests of PERSISTENT RESERVE: passed, failed or skipped."""
    said = libiscsi_tests.run(host, [f"iscsi://{portal}/{target}/0"], names, lambda family: family.startswith(("Prin", "Prout")))
    return {test: s.verdict for test, s in said.items()}


def measure(r) -> None:
    """Before Lunward is there: its kernel target serves only what is in its own folder."""
    lab = r.lab
    r.say("LIO alone, on n1")
    lab.n1.run(BUILD_BARE, timeout_s=120)
    try:
        r.result["latency_ms"] = {"bare": latencies(lab.h1, BARE_PORTAL, BARE, "iqn.2026-11.lab.lunward:t0a")}
        r.result["suites"] = {"bare": run_suites(lab.h1, BARE_PORTAL, BARE, "iqn.2026-11.lab.lunward:t0")}
    finally:
        lab.n1.run(REMOVE_BARE, timeout_s=60)
    said = r.result["suites"]["bare"]
    r.say(f"       PROUT takes {statistics.median(r.result['latency_ms']['bare']):.1f} ms; of {len(said)} tests "
          f"{sum(x == 'passed' for x in said.values())} pass: not {[t for t, x in said.items() if x != 'passed']}")


def two_disks(asker: Node, other: Node) -> Tuple[float, float]:
    """ms of a datagram to the other node and back, alone, and with a block written and flushed on both: the least for any agreement."""
    file = "/var/lib/lunward/two-disks"
    server = other.start(f"echo $$; exec /host/tools/two-disks serve {PORT_TWO_DISKS} {file}")
    pid = server.stdout.readline().strip()
    try:
        if server.stdout.readline().strip() != "ready":
            raise RuntimeError(f"two-disks on {other.name}: {server.stderr.read()[-300:]}")
        text = asker.out(f"/host/tools/two-disks ask {other.cluster_address} {PORT_TWO_DISKS} {file} 100", timeout_s=120)
    finally:
        other.run(f"kill {pid}", check=False)
        server.wait(60)
        for node in (asker, other):
            node.run(f"rm -f {file}")
    times = [[int(ns) / 1e6 for ns in line.split()] for line in text.splitlines()]
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)


def latency(r) -> None:
    Storm.prepare(r, 1)
    owner = site.group(r.lab.n3)["owner"]
    if owner != "n1":
        r.lab.n3.run("lunward move g1 n1", timeout_s=120)
    times = r.result["latency_ms"]
    times["lunward"] = latencies(r.lab.h1, PORTALS["n1"], site.TARGET, Storm.iqn(0, "a"))
    middle = {k: statistics.median(v) for k, v in times.items()}
    most = {k: statistics.quantiles(v, n=20)[-1] for k, v in times.items()}
    ratio = middle["lunward"] / middle["bare"]
    network, agreed = two_disks(r.lab.n1, r.lab.n2)
    r.result["latency"] = {"lunward_ms": middle["lunward"], "bare_ms": middle["bare"], "ratio": ratio, "goal": GOAL,
                           "network_ms": network, "two_disks_ms": agreed, "least_ratio": (middle["bare"] + agreed) / middle["bare"]}
    r.say(f"       PROUT takes {middle['lunward']:.1f} ms, with LIO alone {middle['bare']:.1f} ms: {ratio:.1f} times, the goal is {GOAL}; "
          f"95 of 100 within {most['lunward']:.1f} and {most['bare']:.1f} ms")
    r.say(f"       a block on the disks of both nodes takes {agreed:.1f} ms at the least, {network:.1f} of them the network: with LIO's own "
          f"{r.result['latency']['least_ratio']:.1f} times")


def suites(r) -> None:
    names, bare = "iqn.2026-11.lab.lunward:t0", r.result["suites"]["bare"]
    extend(r, {"t0": {"size": "64MiB"}}, {"t0": [names + "a", names + "b"]}, [("t0", "t0", 0)])

    def compare(when: str, node: str) -> None:
        said = run_suites(r.lab.h1, PORTALS[node], site.TARGET, names)
        r.result["suites"][when] = said
        other = {t: (said[t], bare[t]) for t in bare if said[t] != bare[t]}
        passed = sum(x == "passed" for x in said.values())
        r.check(f"libiscsi's Prin and Prout tests {when}", not other and passed, "; ".join(f"{t}: {a}, LIO alone: {b}" for t, (a, b) in
                other.items()) or f"{passed} of {len(said)} pass, the same ones as on LIO alone")
    owner = site.group(r.lab.n3)["owner"]
    heir = "n2" if owner == "n1" else "n1"
    compare("on the owner", owner)
    r.lab.nodes[owner].power_cut()
    site.wait_owner(r.lab.n3, heir)
    compare("right after a failover", heir)
    switch_back_on(r)

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""doctor, report, metrics and resource of the command, against the daemon that only talks and tools that only pretend. Run as a program it is
pytest with TAP lines, which tests/run-unit counts.
"""
import copy
import json
import os
import re
import subprocess
import sys
import tarfile
import time

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from test_cli import LUNWARD, Fake, state  # noqa: E402


@pytest.fixture
def fake(tmp_path):
    made = Fake(tmp_path)
    yield made
    made.close()


# --- doctor ----------------------------------------------------------------------------------------------------------------

GOOD = {
    "node": "n1", "role": "storage", "status": {"quorate": True, "active": True, "nodes": [{"name": "n1", "health": []}]},
    "document": {"fencing": {"agent": "fence_ipmilan"}, "nodes": {"n1": {}, "n2": {}, "w": {"role": "witness"}},
                 "groups": {"g1": {"backend": "drbd"}}, "hosts": {"h1": {"initiators": ["iqn.a", "iqn.b"]}}},
    "cmap": {"totem.crypto_cipher": "aes256", "totem.crypto_hash": "sha256", "runtime.config.totem.token": "3000",
             "nodelist.node.0.nodeid": "1", "nodelist.node.1.nodeid": "2", "nodelist.node.2.nodeid": "3",
             "nodelist.node.0.ring1_addr": "10.1.0.1"},
    "links_down": [], "fence_agents": {"fence_ipmilan": True}, "fenced_s_ago": {"n2": 3600}, "watchdogs": ["iTCO_wdt"], "clock_synchronised": True,
    "cpu_pressure": 1.0, "virtual": "none", "modules": {"dm_mod": True}, "drbd": "8.4.11", "rival_units": [], "reservations_kept": True,
    "iser_interfaces": [], "rdma_gids": {}, "mtu": [{"node": "n2", "address": "10.0.0.2", "mtu": 9000, "reachable": True, "full_size": True}],
    "state_free_bytes": 1e9, "pools": [{"vg": "vg0", "size_bytes": 1e12, "free_bytes": 5e11}],
    "thin_pools": [{"name": "vg0/t", "data_percent": 50.0, "metadata_percent": 10.0}], "initiators": {"iqn.b": True},
}


LEVELS = {"document": {"fencing": {"levels": [{"name": "bmc", "agent": "fence_ipmilan"}, {"name": "cluster", "agent": "pacemaker"}]},
                       "nodes": {}}}


DOG = {"document": {"fencing": {"levels": [{"name": "dog", "agent": "watchdog"}]}, "nodes": {}}}


THIN_DOCUMENT = {"document": {"pools": {"data": {"vg": "vg0"}, "thin": {"vg": "vg0", "thin_pool": "t", "warn_percent": 60, "error_percent": 70}}}}


SLOW_RING = {"cmap": {"runtime.config.totem.token": "5000", "runtime.config.totem.consensus": "7000"}}


def judge(fake, facts):
    path = os.path.join(fake.folder, "facts.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(facts, f)
    done = fake.run("doctor", "--facts", path, "--format", "json")
    findings = {f["name"]: f for f in json.loads(done.stdout)["findings"]}
    assert done.returncode == (1 if any(f["result"] == "error" for f in findings.values()) else 0)
    for finding in findings.values():
        assert bool(finding["remedy"]) == (finding["result"] in ("error", "warning")), finding
        assert finding["detail"]
    return findings


def test_doctor_finds_nothing_where_all_is_well(fake):
    findings = judge(fake, GOOD)
    assert {f["result"] for f in findings.values()} == {"ok"} and len(findings) == 19


@pytest.mark.parametrize("change, name, result, text", [
    ({"status": None}, "agent", "error", "does not answer"),
    ({"status": {"quorate": False}}, "agent", "error", "no quorum"),
    ({"status": {"quorate": True, "active": False}}, "agent", "error", "too few"),
    ({"cmap": {"totem.crypto_cipher": "none", "totem.crypto_hash": "none"}}, "corosync encryption", "error", "not encrypted"),
    ({"cmap": {"totem.crypto_cipher": "aes256", "totem.crypto_hash": "none"}}, "corosync encryption", "error", "not encrypted"),
    ({"cmap": {}}, "corosync encryption", "error", "not encrypted"),
    ({"cmap": {"totem.secauth": "on"}}, "corosync encryption", "ok", "aes256 with sha256"),
    ({"cmap": None}, "corosync encryption", "unknown", "Corosync does not answer"),
    ({"cmap": {"runtime.config.totem.token": "500"}}, "corosync token", "error", "500 ms"),
    ({"cmap": {"runtime.config.totem.token": "1000"}, "virtual": "kvm"}, "corosync token", "warning", "kvm"),
    ({"cpu_pressure": 60.0}, "corosync token", "warning", "60 %"),
    ({"cmap": {"quorum.two_node": "1", "nodelist.node.0.nodeid": "1", "nodelist.node.1.nodeid": "2"}}, "corosync quorum", "error", "two_node"),
    ({"cmap": {"nodelist.node.0.nodeid": "1", "nodelist.node.1.nodeid": "2"}}, "corosync quorum", "warning", "2 votes"),
    ({"cmap": {"nodelist.node.0.nodeid": "1", "nodelist.node.1.nodeid": "2", "quorum.device.model": "net"}}, "corosync quorum", "ok", "qdevice"),
    ({"cmap": {"nodelist.node.0.nodeid": "1"}}, "corosync links", "warning", "one link"),
    ({"links_down": ["link 1 to node 2"]}, "corosync links", "error", "link 1 to node 2"),
    ({"document": {"nodes": {}}}, "fence agent", "error", "no fence agent"),
    ({"fence_agents": {"fence_ipmilan": False}}, "fence agent", "error", "fence_ipmilan is not"),
    (LEVELS | {"fence_agents": {"fence_ipmilan": True, "pacemaker": True}}, "fence agent", "ok",
     "level 1: bmc (fence_ipmilan); level 2: cluster (pacemaker)"),
    (LEVELS | {"fence_agents": {"fence_ipmilan": True, "pacemaker": False}}, "fence agent", "error", "Pacemaker's fencer does not answer"),
    (LEVELS | {"fence_agents": {"fence_ipmilan": False, "pacemaker": True}}, "fence agent", "error", "fence_ipmilan is not"),
    ({"fenced_s_ago": {}}, "fence drill", "warning", "never fenced n2"),
    ({"fenced_s_ago": {"n2": 300 * 86400}}, "fence drill", "warning", "300 days"),
    ({"fenced_s_ago": None}, "fence drill", "unknown", "only root"),
    ({"watchdogs": []}, "watchdog", "warning", "no watchdog"),
    (DOG, "watchdog", "error", "level dog waits"),
    (DOG | {"role": "witness"}, "watchdog", "ok", "iTCO_wdt"),
    (DOG | {"document": {"fencing": {"agent": "watchdog"}, "nodes": {}}}, "watchdog", "error", "level watchdog waits"),
    (DOG | {"status": {"quorate": True, "active": True, "nodes": [{"name": "n2", "watchdog_ms": 9}]}}, "watchdog", "error", "none armed"),
    (DOG | {"status": {"quorate": True, "active": True, "nodes": [{"name": "n1", "watchdog_ms": 33066}]}}, "watchdog", "ok", "within 33.1 s"),
    (SLOW_RING | {"status": {"quorate": True, "active": True, "nodes": [{"name": "n1", "watchdog_ms": 33066}]}}, "watchdog", "warning", "takes 12.0 s"),
    ({"clock_synchronised": False}, "clock", "warning", "not synchronised"),
    ({"modules": {"dm_mod": True, "drbd": False}}, "kernel modules", "error", "module drbd"),
    ({"drbd": None}, "DRBD version", "error", "not loaded"),
    ({"drbd": None, "document": {"groups": {}}}, "DRBD version", "ok", "not used"),
    ({"drbd": "9.1.4"}, "DRBD version", "error", "9.1.4"),
    ({"drbd": "9.2.18"}, "DRBD version", "error", "9.2.18"),
    ({"drbd": "9.2.19"}, "DRBD version", "ok", "9.2.19"),
    ({"drbd": "9.3.2"}, "DRBD version", "error", "9.3.2"),
    ({"drbd": "9.3.3"}, "DRBD version", "ok", "9.3.3"),
    ({"rival_units": ["drbd.service"]}, "rival units", "error", "drbd.service"),
    ({"reservations_kept": False}, "reservations", "warning", "stay behind"),
    ({"iser_interfaces": ["san0"], "rdma_gids": {"san0": True}}, "reservations", "warning", "iSER"),
    ({"reservations_kept": None}, "reservations", "unknown", "systemd"),
    ({"document": {"mappings": [{"host": "h1", "lun": 1}, {"host_group": "hg", "lun": 0}]}}, "reservations", "warning", "hg has a LUN 0"),
    ({"document": {"mappings": [{"host": "h1", "lun": 1}]}}, "reservations", "ok", "kept"),
    ({"iser_interfaces": ["san0"], "rdma_gids": {"san0": True}}, "fabric ports", "ok", ""),
    ({"iser_interfaces": ["san0"], "rdma_gids": {}}, "fabric ports", "error", "san0"),
    ({"fabric_ports": {"srp.fe80:0000:0000:0000:5054:00ff:fe12:0101": True}}, "fabric ports", "ok", "each port of another fabric"),
    ({"fabric_ports": {"srp.fe80:0000:0000:0000:5054:00ff:fe12:0101": False}}, "fabric ports", "error",
     "no RDMA port of this node has GID fe80:0000:0000:0000:5054:00ff:fe12:0101"),
    ({"fabric_ports": {"fcoe.20:00:52:54:00:12:01:01": False}}, "fabric ports", "error", "no FCoE port of this node has WWPN 20:00:52:54:00:12:01:01"),
    ({"fabric_ports": {"fc.21:00:00:24:ff:4a:01:01": False}}, "fabric ports", "error", "no QLogic port of this node has WWPN 21:00:00:24:ff:4a:01:01"),
    ({"mtu": [{"node": "n2", "address": "a", "mtu": 9000, "reachable": True, "full_size": False}]}, "MTU", "error", "MTU 9000"),
    ({"mtu": [{"node": "n2", "address": "a", "mtu": 9000, "reachable": False, "full_size": False}]}, "MTU", "error", "does not answer"),
    ({"state_free_bytes": 1e6}, "free space", "error", "1 MiB"),
    ({"pools": [{"vg": "vg0", "size_bytes": 1e12, "free_bytes": 1e9}]}, "free space", "warning", "vg0"),
    ({"thin_pools": [{"name": "vg0/t", "data_percent": 10.0, "metadata_percent": 85.0}]}, "thin pools", "warning", "85 %"),
    ({"thin_pools": [{"name": "vg0/t", "data_percent": 97.0, "metadata_percent": 1.0}]}, "thin pools", "error", "97 %"),
    ({"thin_pools": [{"name": "vg0/t", "data_percent": 80.0, "metadata_percent": 1.0}]}, "thin pools", "warning", "80 %"),
    ({**THIN_DOCUMENT, "thin_pools": [{"name": "vg0/t", "data_percent": 61.0, "metadata_percent": 1.0}]}, "thin pools", "warning", "61 %"),
    ({**THIN_DOCUMENT, "thin_pools": [{"name": "vg0/t", "data_percent": 1.0, "metadata_percent": 71.0}]}, "thin pools", "error", "71 %"),
    ({**THIN_DOCUMENT, "thin_pools": [{"name": "vg0/t2", "data_percent": 71.0, "metadata_percent": 1.0}]}, "thin pools", "ok", "1 thin"),
    ({"initiators": {}}, "hosts", "warning", "host h1"),
    ({"role": "witness", "initiators": None, "modules": {}}, "hosts", "ok", "witness"),
    ({"status": {"nodes": [{"name": "n1", "portals_at": "n1", "health": None}, {"name": "n2", "health": []}]}}, "own portals", "warning",
     "does not look"),
    ({"status": {"nodes": [{"name": "n1", "portals_at": "n2", "health": None}]}}, "own portals", "ok", "none"),
    ({"status": {"nodes": [{"name": "n1", "health": [{"portal": "10.0.0.1:3260", "group": "g1", "text": "READ: no"}]}]}}, "own portals", "error",
     "10.0.0.1:3260 g1: READ: no"),
    ({"status": None}, "own portals", "unknown", "does not answer"),
])
def test_doctor_finds(fake, change, name, result, text):
    finding = judge(fake, {**copy.deepcopy(GOOD), **change})[name]
    assert finding["result"] == result and text in finding["detail"], finding


def test_doctor_knows_nothing_and_says_so(fake):
    findings = judge(fake, {})
    assert {f["result"] for f in findings.values()} <= {"error", "unknown", "ok", "warning"}
    assert findings["hosts"]["result"] == "unknown" and findings["agent"]["result"] == "error"


def tools(fake, **texts):
    """A PATH of programs that only print."""
    folder = os.path.join(fake.folder, "bin")
    os.makedirs(folder, exist_ok=True)
    for name, text in texts.items():
        path = os.path.join(folder, name.replace("_", "-"))
        with open(path + ".out", "w", encoding="utf-8") as f:
            f.write(text)
        with open(path, "w", encoding="utf-8") as f:
            f.write('#!/bin/sh\ncat "$0.out"\n')
        os.chmod(path, 0o755)
    return f"{folder}:{os.environ['PATH']}"


def run_with(fake, path, *args):
    return subprocess.run([LUNWARD, "--socket", fake.socket, *args], env=fake.environ(PATH=path, TMPDIR=fake.folder), capture_output=True,
                          timeout=120, check=False)


def test_doctor_reads_what_the_tools_say(fake):
    path = tools(fake, corosync_cmapctl="totem.crypto_cipher (str) = aes256\ntotem.key (str) = top\nruntime.config.totem.token (u32) = 3000\n",
                 corosync_cfgtool="LINK ID 0 udp\n\tstatus:\n\t\tnodeid:          1:\tlocalhost\n\t\tnodeid:          2:\tdisconnected\n",
                 systemd_detect_virt="kvm\n", timedatectl="no\n",
                 vgs='{"report": [{"vg": [{"vg_name": "vg0", "vg_size": "1000", "vg_free": "10"}, {"vg_name": "other", "vg_size": "1", "vg_free": "0"}]}]}',
                 lvs='{"report": [{"lv": [{"vg_name": "vg0", "lv_name": "t", "data_percent": "90.1", "metadata_percent": "3.0"}]}]}',
                 ping="", ip='[{"dev": "lo"}]')
    fake.start(status={"result": {"node": "n1", "quorate": True, "active": True}},
               config_show={"result": {"document": {"nodes": {"n1": {}, "n2": {"replication_address": "192.0.2.1"}},
                                                    "pools": {"data": {"vg": "vg0"}, "thin": {"vg": "other", "thin_pool": "t"}}}}})
    facts = json.loads(run_with(fake, path, "doctor", "--format", "json").stdout)["facts"]
    assert facts["cmap"] == {"totem.crypto_cipher": "aes256", "runtime.config.totem.token": "3000"}
    assert facts["links_down"] == ["link 0 to node 2"] and facts["virtual"] == "kvm" and facts["clock_synchronised"] is False
    assert facts["pools"] == [{"vg": "vg0", "size_bytes": 1000.0, "free_bytes": 10.0}]
    assert facts["thin_pools"] == [{"name": "vg0/t", "data_percent": 90.1, "metadata_percent": 3.0}]
    assert facts["mtu"] == [{"node": "n2", "address": "192.0.2.1", "mtu": 65536, "reachable": True, "full_size": True}]


# --- report ----------------------------------------------------------------------------------------------------------------

SECRETS = ["h1-secret-0123", "t1-secret-4567", "fence-pw-89", "node-pw-77", "snmp-community-x", "cib-password-z", "drbd-shared-y", "plain-pw-1", "totem-k-1"]
DOCUMENT = {"hosts": {"h1": {"chap": {"user": "h1-user", "password": "h1-secret-0123"},
                             "mutual_chap": {"user": "t", "password": "t1-secret-4567"}}},
            "nodes": {"n1": {"id": 1, "fence": {"bmc": {"ip": "10.79.0.1", "password": "node-pw-77"}}}},
            "fencing": {"levels": [{"name": "bmc", "agent": "fence_x", "options": {"passwd": "fence-pw-89", "lanplus": "1"}},
                                   {"name": "bar", "agent": "fence_y", "options": {"snmp_community": "snmp-community-x"}}]}}


def make_report(fake, *args):
    """Unpacked: {name: text}."""
    path = tools(fake, journalctl="lunwardd: a line with h1-secret-0123 in it\nnode-pw-77\nfence: passwd=unknown-pw other\nordinary line\n",
                 cibadmin='<nvpair id="a" name="passwd" value="cib-password-z"/>\n<nvpair id="b" name="plug" value="n1"/>\n',
                 drbdadm='net {\n  shared-secret "drbd-shared-y";\n  protocol C;\n}\n', ps="fence_x -p fence-pw-89 --password=plain-pw-1\n",
                 corosync_cmapctl="totem.key_secret (str) = totem-k-1\n", lsmod="target_core_mod 1 0\n", crm_mon="t1-secret-4567snmp-community-x\n")
    target = os.path.join(fake.folder, "r.tar.gz")
    done = run_with(fake, path, "report", target, *args)
    if done.returncode:
        return done, {}
    with tarfile.open(target) as tar:
        return done, {m.name.split("/", 1)[1]: tar.extractfile(m).read().decode() for m in tar.getmembers() if m.isfile()}


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@needs_root
def test_report_has_no_secret_in_it(fake):
    hidden = json.loads(re.sub("|".join(map(re.escape, SECRETS)), "********", json.dumps(DOCUMENT)))
    fake.start(status={"result": {**state("healthy"), "leak": "h1-secret-0123"}},  # and config-show hides nothing, whatever is asked for
               config_show={"result": {"document": DOCUMENT}}, check={"result": {"steps": [], "writes": 0, "objects": 3}})
    done, files = make_report(fake)
    assert done.returncode == 0, done.stderr
    everything = "\n".join(files.values())
    for secret in SECRETS + ["unknown-pw"]:
        assert secret not in everything, secret
    # And what is no secret is there.
    assert "ordinary line" in files["journal"] and "a line with ******** in it" in files["journal"]
    assert 'value="n1"' in files["cib"] and "protocol C" in files["drbd-resources"] and "target_core_mod" in files["modules"]
    assert json.loads(files["document.json"])["hosts"] == hidden["hosts"] and json.loads(files["status.json"])["cluster"] == "demo"
    assert {"doctor.json", "doctor-facts.json", "check.json", "configfs", "missing"} <= set(files)
    assert os.stat(os.path.join(fake.folder, "r.tar.gz")).st_mode & 0o777 == 0o600


@needs_root
def test_report_without_a_daemon(fake):
    done, files = make_report(fake)
    assert done.returncode == 0 and "lunwardd" in files["missing"]
    assert "cib-password-z" not in files["cib"] and "unknown-pw" not in files["journal"] and "drbd-shared-y" not in files["drbd-resources"]


@needs_root
def test_report_overwrites_nothing_and_leaves_nothing(fake):
    with open(os.path.join(fake.folder, "r.tar.gz"), "w", encoding="utf-8") as f:
        f.write("precious")
    done, _ = make_report(fake)
    assert done.returncode == 4 and b"exists" in done.stderr
    with open(os.path.join(fake.folder, "r.tar.gz"), encoding="utf-8") as f:
        assert f.read() == "precious"
    assert not [n for n in os.listdir(fake.folder) if n.startswith("lunward-report-")]


@needs_root
def test_report_is_refused_if_secrets_cannot_be_known(fake):
    fake.start(status={"result": state("healthy")}, config_show={"error": [13, "only root may see secrets"]})
    done, _ = make_report(fake)
    assert done.returncode == 5 and not os.path.exists(os.path.join(fake.folder, "r.tar.gz"))


# --- metrics ---------------------------------------------------------------------------------------------------------------

def parse(text):
    """{family: {"type":, "samples": {labels: value}}}, as strictly as the format allows."""
    families = {}
    for line in text.splitlines():
        match = re.fullmatch(r"# (HELP|TYPE) (lunward_[a-z_]+) (.+)", line)
        if match:
            families.setdefault(match[2], {"samples": {}})[match[1]] = match[3]
            continue
        match = re.fullmatch(r'(lunward_[a-z_]+)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)+\})? (\S+)', line)
        assert match, line
        assert "TYPE" in families[match[1]] and "HELP" in families[match[1]]
        labels = tuple(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
        assert labels not in families[match[1]]["samples"], line
        families[match[1]]["samples"][labels] = float(match[3])
    return families


def metrics(fake):
    done = fake.run("metrics")
    assert done.returncode == 0
    return parse(done.stdout)


@pytest.mark.parametrize("name", ["healthy", "node-down-fenced", "fencing-failing", "no-quorum", "hostile-text", "moving", "split-brain"])
def test_metrics_of(fake, name):
    status = state(name)
    families = metrics(fake.start(status={"result": status}))
    assert families["lunward_up"]["samples"] == {(): 1}
    assert families["lunward_quorate"]["samples"] == {(): float(status["quorate"])}
    phases = families["lunward_group_phase"]["samples"]
    for group in status["groups"]:
        mine = {dict(l)["phase"]: v for l, v in phases.items() if dict(l)["group"] == group["name"]}
        assert sum(mine.values()) == 1 and mine[group["phase"]] == 1 and len(mine) == 5
    assert sum(families["lunward_problems"]["samples"].values()) == len(status["problems"])
    for family in families.values():
        assert family["TYPE"] in ("gauge", "counter") and family["HELP"].endswith(".")
    assert all(n.endswith("_total") == (f["TYPE"] == "counter") for n, f in families.items())


def test_metrics_values(fake):
    families = metrics(fake.start(status={"result": state("node-down-fenced")}))
    status = state("node-down-fenced")
    for group in status["groups"]:
        spares = [n for n in group["current"] if n in group["ready"] and n != group["owner"]]
        assert families["lunward_group_spares"]["samples"][(("group", group["name"]),)] == len(spares)
        assert families["lunward_group_epoch_total"]["samples"][(("group", group["name"]),)] == group["epoch"]
    status = state("healthy")
    status["groups"][0].update(owner="n1", current=["n1", "n2"], ready=["n1"])
    fake.close()
    assert metrics(fake.start(status={"result": status}))["lunward_group_spares"]["samples"][(("group", status["groups"][0]["name"]),)] == 0
    failing = state("fencing-failing")
    fake.close()
    families = metrics(fake.start(status={"result": failing}))
    unproven = {dict(l)["node"] for l, v in families["lunward_node_down_unproven"]["samples"].items() if v}
    assert unproven == {n["name"] for n in failing["nodes"] if n["state"] == "down" and n["evidence"] == "none"} != set()


def test_a_node_that_does_not_look_is_not_called_healthy(fake):
    status = state("healthy")
    fault = {"portal": "10.0.0.1:3260", "target": "iqn.t", "group": "g1", "result": "read", "text": "READ: CHECK CONDITION 02/08/00"}
    for node, health in zip(status["nodes"], ([], [fault, fault], None)):
        node["health"] = health
    samples = metrics(fake.start(status={"result": status}))["lunward_health_faults"]["samples"]
    assert samples == {(("node", status["nodes"][0]["name"]),): 0, (("node", status["nodes"][1]["name"]),): 2}


def test_metrics_of_thin_pools(fake):
    status = state("healthy")
    told = {"pool": "data", "thin_pool": "vg0/tp0", "health": "", "error": ""}
    n1, n2, n3 = (n["name"] for n in status["nodes"])
    for node, pools in zip(status["nodes"], (
            [{**told, "data": "warning", "metadata": "good", "data_percent": 81.25, "metadata_percent": 3.5},
             {**told, "pool": "new", "data": "unknown", "metadata": "unknown", "error": "there is none"}],
            [{**told, "data": "good", "metadata": "error"}, {**told, "pool": "bad", "data": "good", "metadata": "good", "health": "failed"}],
            [{**told, "data": "good", "metadata": "good"}])):
        node["pools"] = pools
    families = metrics(fake.start(status={"result": status}))

    def samples(name):
        return {tuple(dict(l).values()): v for l, v in families["lunward_thin_pool_" + name]["samples"].items()}
    assert samples("data_used_ratio") == {(n1, "data"): 0.8125} and samples("metadata_used_ratio") == {(n1, "data"): 0.035}
    assert samples("warning") == {(n1, "data"): 1, (n2, "data"): 1, (n2, "bad"): 1, (n3, "data"): 0}
    assert samples("error") == {(n1, "data"): 0, (n2, "data"): 1, (n2, "bad"): 1, (n3, "data"): 0}


COUNTERS = {"node": "n1", "targets": [{"target": "iqn.a", "sessions": 4, "shown": 2}, {"target": "iqn.b", "sessions": 1, "shown": 1}],
            "volumes": [{"volume": "v1", "group": "g1", "commands": 1300, "read_mib": 35, "written_mib": 57, "resets": 2},
                        {"volume": "v2", "group": "g1", "commands": 0, "read_mib": 0, "written_mib": 0, "resets": 0}]}


def test_metrics_of_what_the_kernel_counts(fake):
    families = metrics(fake.start(status={"result": state("healthy")}, counters={"result": COUNTERS}))
    assert families["lunward_sessions"]["samples"] == {(("node", "n1"),): 5}
    v1, v2 = ((("group", "g1"), ("volume", v)) for v in ("v1", "v2"))
    for name, value in {"commands": 1300, "read_bytes": 35 << 20, "written_bytes": 57 << 20, "resets": 2}.items():
        family = families[f"lunward_volume_{name}_total"]
        assert family["TYPE"] == "counter" and family["samples"] == {v1: value, v2: 0}


def test_metrics_do_not_wait_for_a_kernel_that_hangs(fake):
    begun = time.monotonic()
    families = metrics(fake.start(status={"result": state("healthy")}, counters={"hang": True}))
    assert families["lunward_up"]["samples"] == {(): 1} and "lunward_sessions" not in families
    assert time.monotonic() - begun < 60


def test_series_do_not_come_and_go_with_states(fake):
    def series(name):
        status = state("healthy")
        status["groups"][0].update(phase=name, owner=None if name == "free" else "n2")
        fake.start(status={"result": status})
        found = {(n, l) for n, f in metrics(fake).items() for l in f["samples"]}
        fake.close()
        return found
    assert series("owned") == series("orphaned") == series("free")


def test_metrics_without_a_daemon(fake):
    done = fake.run("metrics")
    assert done.returncode == 0 and parse(done.stdout)["lunward_up"]["samples"] == {(): 0} and "does not run" in done.stderr


@pytest.mark.parametrize("request_text, answer", [
    ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK"),
    ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200 OK"),
    ("GET /metricsx HTTP/1.1\r\n\r\n", "404 Not Found"),
    ("POST /metrics HTTP/1.1\r\n\r\n", "404 Not Found"),
    ("GET /metrics HTTP/1.1\r\n", "400 Bad Request"),
    ("x" * 10000, "400 Bad Request"),
])
def test_metrics_by_http(fake, request_text, answer):
    done = fake.start(status={"result": state("healthy")}).run("metrics", "--http", stdin=request_text)
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    assert head.startswith("HTTP/1.1 " + answer + "\n")
    assert f"Content-Length: {len(body)}" in head
    if answer == "200 OK":
        assert "text/plain; version=0.0.4" in head and parse(body)["lunward_up"]["samples"] == {(): 1}


def test_dashboard_asks_for_what_there_is(fake):
    """It is JSON of the form that Grafana imports, and each metric in it exists."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging/metrics")
    with open(os.path.join(here, "lunward-dashboard.json"), encoding="utf-8") as f:
        dashboard = json.load(f)
    assert dashboard["title"] and dashboard["schemaVersion"] >= 30 and len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"])
    known = set(metrics(fake.start(status={"result": state("resyncing")}, counters={"result": COUNTERS})))
    with open(os.path.join(here, "lunward-alerts.yml"), encoding="utf-8") as f:
        asked = json.dumps(dashboard) + f.read()
    used = set(re.findall(r"lunward_[a-z_]+", asked))
    assert used and used <= known
    for panel in dashboard["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 and all(t["expr"] for t in panel["targets"])


# --- resource --------------------------------------------------------------------------------------------------------------

def group_status(node="n1", **changes):
    group = {"name": "g1", "placement": "pacemaker", "phase": "owned", "owner": "n1", "nodes": ["n1", "n2"], "current": ["n1", "n2"],
             "ready": ["n1", "n2"], "alua": {"n1": "active/optimized", "n2": "standby"}, "volumes": []}
    quorate = changes.pop("quorate", True)
    return {"node": node, "quorate": quorate, "groups": [{**group, **changes}]}


@pytest.mark.parametrize("status, role, reason", [
    (group_status(), "owner", ""),
    (group_status(alua={"n1": "transitioning"}), "broken", "hosts see transitioning"),
    (group_status(alua={}), "broken", "hosts see nothing"),
    (group_status(volumes=[{"name": "no-such-gate"}]), "broken", "lunward-no-such-gate"),
    (group_status(phase="acquiring"), "changing", ""),
    (group_status(phase="releasing"), "changing", ""),
    (group_status("n2"), "spare", ""),
    (group_status("n2", phase="orphaned"), "spare", ""),
    (group_status("n2", current=["n1"]), "stale", "lacks writes"),
    (group_status("n2", ready=["n1"]), "stale", "not ready"),
    (group_status("n3"), "none", ""),
    (group_status(quorate=False), "stale", "no quorum"),
])
def test_role(fake, status, role, reason):
    fake.start(status={"result": status})
    done = fake.run("resource", "role", "g1", "--timeout", "1")
    assert (done.returncode, done.stdout) == (0, f"{role} pacemaker\n") and reason in done.stderr
    answer = json.loads(fake.run("resource", "role", "g1", "--format", "json", "--timeout", "1").stdout)
    assert answer["role"] == role and answer["placement"] == "pacemaker" and reason in answer["reason"]


def test_role_of_what_is_not_there(fake):
    assert fake.run("resource", "role", "g1", "--timeout", "1").returncode == 3
    fake.start(status={"result": group_status()})
    assert fake.run("resource", "role", "g9", "--timeout", "1").returncode == 4


@pytest.mark.parametrize("verb", ["promote", "demote"])
def test_what_passes_is_waited_for_and_what_does_not_is_not(fake, verb):
    fake.start(**{verb: {"result": {}}})
    assert fake.run("resource", verb, "g1").returncode == 0
    assert fake.request() == {"command": verb, "args": {"group": "g1"}}
    fake.close()
    fake.start(**{verb: {"error": [16, "is being released"]}})
    begin = time.monotonic()
    done = fake.run("resource", verb, "g1", "--timeout", "2")
    assert done.returncode == 1 and time.monotonic() - begin > 1.4 and done.stderr.count("is being released") == 2
    fake.close()
    fake.start(**{verb: {"error": [22, "placement is auto"]}})
    begin = time.monotonic()
    assert fake.run("resource", verb, "g1", "--timeout", "30").returncode == 4 and time.monotonic() - begin < 20


if __name__ == "__main__":
    tap.main(__file__)

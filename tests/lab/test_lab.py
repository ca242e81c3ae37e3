# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself: that what its functions say they do happens to the machines."""
import json

import pytest

from lab import acklog, cluster, host, probe
from lab.wait import wait_until

pytestmark = pytest.mark.lab

IQN = "iqn.2026-11.lab.lunward:by-hand"
PROBE = "iqn.2026-11.lab.lunward:probe"
SERIAL = "5ca1ab1e-0000-4000-8000-000000000001"


def pings(source, address):
    return source.run(f"ping -n -q -c 2 -i 0.3 -W 2 {address}", check=False).code == 0


def rx_packets(node, device="clu0"):
    return int(node.out(f"cat /sys/class/net/{device}/statistics/rx_packets"))


def test_cluster_is_quorate(whole):
    cluster.wait_members(whole, ("n1", "n2", "n3"))


def test_journals_come_out_while_the_machines_run(whole):
    for node in whole.nodes.values():
        node.run("logger lab-test-of-the-journal")
        wait_until(lambda n=node: "lab-test-of-the-journal" in n.journal(), 20, f"a line in the journal of {node.name}")


def test_commands_files_and_their_failures(whole):
    whole.n1.put("/run/a dir/file", b"\0\xffbytes\n")
    assert whole.n1.out("od -An -c '/run/a dir/file' | tr -d ' \\n'") == "\\0377bytes\\n"
    assert whole.n1.run("echo said >&2; exit 3", check=False)[::2] == (3, "said\n")


def test_network_cut_both_ways_and_healed(whole):
    n3 = whole.n3
    n3.cut("clu")
    cluster.wait_members(whole, ("n1", "n2"), deadline_s=90)
    wait_until(lambda: not cluster.is_quorate(n3), 90, "n3 to lose quorum")
    n3.heal("clu")
    cluster.wait_members(whole, ("n1", "n2", "n3"), deadline_s=90)


def test_network_cut_one_way(whole):
    n1, n2 = whole.n1, whole.n2
    assert pings(n1, n2.cluster_address)
    whole.cut("clu", "n1", "n2", both=False)
    assert not pings(n1, n2.cluster_address)
    # The other way still carries: n2's requests arrive, only the answers are lost.
    n1.run("nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; "
           "add rule inet t c ip saddr 10.78.0.2 icmp type echo-request counter'")
    assert not pings(n2, n1.cluster_address)
    assert "packets 0" not in n1.out("nft list table inet t")
    n1.run("nft delete table inet t")
    whole.heal()
    wait_until(lambda: pings(n1, n2.cluster_address), 20, "the healed cable")


def test_power_cut_and_return_without_help(whole):
    n2 = whole.n2
    n2.run("lvcreate -qy -L 16M -n survivor lunward && echo kept | dd of=/dev/lunward/survivor conv=fsync status=none "
           "&& echo kept >/var/lib/lab-test && sync -f /var/lib/lab-test")
    n2.power_cut()
    assert not n2.is_on()
    cluster.wait_members(whole, ("n1", "n3"), deadline_s=90)
    n2.power_on()
    cluster.wait_members(whole, ("n1", "n2", "n3"), deadline_s=120)
    assert n2.get("/var/lib/lab-test") == "kept\n"
    wait_until(lambda: n2.run("head -c 4 /dev/lunward/survivor", check=False).out == "kept", 60, "the volume to be active again")
    n2.run("lvremove -qy lunward/survivor")


def test_fence_agent_kills_from_inside(whole):
    """With every network of the asker cut: the fence device has its own way out."""
    n1, n2 = whole.n1, whole.n2
    n1.cut("clu")
    n1.cut("san")
    assert n1.run("echo action=status plug=n2 | tr ' ' '\\n' | fence_lab").code == 0
    n1.run("printf 'action=off\\nport=n2\\n' | fence_lab")
    assert not n2.is_on()
    assert n1.run("fence_lab -o status -n n2", check=False).code == 2
    assert n1.run("fence_lab --action=on --plug n2").code == 0
    assert n2.is_on()
    assert whole.fence.log()[-2]["by"] == "n1"
    n2.wait_ready()


def test_fence_agent_says_when_fencing_fails(whole):
    n1 = whole.n1
    whole.fence.mode = "fail"
    assert n1.run("fence_lab -o off -n n2", check=False).code == 1
    whole.fence.mode = "hang"
    assert n1.run("fence_lab -o off -n n2 --timeout 3", check=False).code == 1
    whole.fence.mode = "lie"
    assert n1.run("fence_lab -o off -n n2", check=False).code == 0
    assert whole.n2.is_on()


def test_pause_and_continue(whole):
    n3 = whole.n3
    n3.run("cat /proc/uptime")
    n3.pause()
    cluster.wait_members(whole, ("n1", "n2"), deadline_s=90)
    n3.resume()
    cluster.wait_members(whole, ("n1", "n2", "n3"), deadline_s=90)


def test_data_disk_fails_hangs_and_heals(whole):
    n1 = whole.n1
    read = "dd if=/dev/disk/by-id/virtio-data of=/dev/null bs=4k count=16 iflag=direct status=none"
    n1.run(read)
    n1.disk_fail()
    assert n1.run(read, check=False).code != 0
    n1.disk_heal()
    n1.run(read)
    n1.disk_hang()
    n1.run(f"nohup sh -c '{read}; {read}; echo $? >/run/hung' >/dev/null 2>&1 </dev/null & sleep 2")
    assert n1.run("test -e /run/hung", check=False).code == 1
    n1.disk_heal()
    wait_until(lambda: n1.run("cat /run/hung", check=False).out == "0\n", 30, "the hung read to end well")
    n1.run("rm /run/hung")


def serve_by_hand(node):
    """A plain LIO target on a logical volume, portals for TCP and iSER: what Lunward will do, in ten lines."""
    host.rxe(node)
    address = node.san_address
    node.run(f"""set -e
ip addr replace {address}/24 dev san0
modprobe -a target_core_mod target_core_iblock iscsi_target_mod ib_isert
lvs lunward/by-hand >/dev/null 2>&1 || lvcreate -qy -Wn -L 64M -n by-hand lunward
cd /sys/kernel/config/target
mkdir -p core/iblock_0/v iscsi/{IQN}/tpgt_1/lun/lun_0
echo udev_path=/dev/lunward/by-hand >core/iblock_0/v/control
echo {SERIAL} >core/iblock_0/v/wwn/vpd_unit_serial
echo 1 >core/iblock_0/v/enable
cd iscsi/{IQN}/tpgt_1
ln -s /sys/kernel/config/target/core/iblock_0/v lun/lun_0/v
echo 0 >attrib/authentication
for i in {host.INITIATOR} {PROBE}; do
	mkdir -p acls/$i/lun_0
	ln -s /sys/kernel/config/target/iscsi/{IQN}/tpgt_1/lun/lun_0 acls/$i/lun_0/m
done
mkdir np/{address}:3260 np/{address}:3261
echo 1 >np/{address}:3261/iser
echo 1 >enable
""", timeout_s=180)


@pytest.fixture(name="device")
def fixture_device(whole):
    """The multipath map on h1 of a volume that n1 serves, over TCP and iSER."""
    n1, h1 = whole.n1, whole.h1
    serve_by_hand(n1)
    host.set_up(h1)
    assert (IQN, "10.77.0.1:3260") in host.discover(h1, "10.77.0.1:3260")
    host.login(h1, IQN, "10.77.0.1:3260")
    host.login(h1, IQN, "10.77.0.1:3261", iface="iser")
    yield host.wait_map(h1, SERIAL, n_paths=2)
    host.logout_all(h1)
    n1.run("targetctl clear && lvremove -qy lunward/by-hand", timeout_s=180)


def test_host_reaches_a_volume_over_tcp_and_iser(whole, device):
    """The two oracles on a volume that nobody moves: nothing to complain of, and the same data above and below."""
    n1, h1 = whole.n1, whole.h1
    assert sorted(s.split(":")[0] for s in host.sessions(h1)) == ["iser", "tcp"]

    probing = h1.start(f"/host/tools/path-probe --log /run/probe --lba 65536 n1=10.77.0.1:3260,{IQN}")
    result = json.loads(h1.out(f"/host/tools/ack-writer --device {device} --log /dev/virtio-ports/acklog --blocks 256 --duration 5",
                               timeout_s=120))
    h1.run("pkill -x path-probe")
    probing.communicate(timeout=60)
    assert result["writes"] > 0 and result["io_errors"] == result["verify_errors"] == 0

    verdict = probe.check(probe.parse(h1.get("/run/probe")), 0)
    assert verdict["ok"], verdict
    log = acklog.parse_log(whole.acklog())
    for node, path in ((h1, device), (n1, "/dev/lunward/by-hand")):
        found = acklog.verify(log, acklog.parse_dump(node.out(f"/host/tools/ack-dump {path} 256")))
        assert found["ok"], f"{node}: {acklog.explain(found)}"


def test_kernels_have_nothing_to_complain_of(lab):
    # "hung" is what test_data_disk_fails_hangs_and_heals asks for; it is too short to be reported.
    assert lab.bad_words() == []

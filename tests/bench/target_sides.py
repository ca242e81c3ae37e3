# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests/bench/target compares: the configurations of both sides, the commands of a node for them, and what fio says. Starts nothing."""
import json
from typing import Iterable, Sequence

from lab import fio

HOSTS = 4
TARGET = "iqn.2026-11.lab.lunward:bench"
SIDES = {  # what builds, what removes
    "lunward": ("/run/target-build build /run/document.json", "/run/target-build remove"),
    "targetctl": ("targetctl restore /run/saveconfig.json", "targetctl clear"),
}


def document(n_volumes: int) -> str:
    """Of two nodes, each with a portal."""
    names = [f"v{i}" for i in range(n_volumes)]
    hosts = [f"h{i}" for i in range(HOSTS)]
    return json.dumps({
        "lunward": 1, "cluster": "bench",
        "nodes": {f"n{i}": {"id": i, "role": "storage"} for i in (1, 2)},
        "groups": {"g1": {"backend": "shared", "nodes": ["n1", "n2"], "placement": "auto"}},
        "volumes": {v: {"group": "g1", "device": f"/dev/bench/{v}", "size": "8MiB", "serial": f"6a0d3c5e-{i:04x}-4222-8333-1c6de04c7a11"}
                    for i, v in enumerate(names)},
        "targets": {TARGET: {"portals": [{"node": f"n{i}", "address": f"10.78.0.{i}", "port": 3260, "transports": ["tcp"]} for i in (1, 2)]}},
        "hosts": {h: {"profile": "linux", "initiators": [f"iqn.2026-11.lab.lunward:{h}"]} for h in hosts},
        "mappings": [{"host": h, "volume": v, "target": TARGET, "lun": i} for h in hosts for i, v in enumerate(names)]})


def saveconfig(first: dict, second: dict) -> str:
    """The exports of two nodes as one: the first's, and the second's portal groups, which the first has too, disabled and without portals. Over
    Lunward's gates: the same devices for both sides."""
    for backstore in first["storage_objects"]:
        backstore["dev"] = f"/dev/mapper/lunward-{backstore['name']}"
    for ours, theirs in zip(first["targets"], second["targets"]):
        ours["tpgs"] += [{**tpg, "enable": False, "portals": []} for tpg in theirs["tpgs"]]
    return json.dumps(first)


def count() -> str:
    """Prints how many backstores, LUNs and mapped LUNs there are."""
    return ("cd /sys/kernel/config/target && echo $(find core -mindepth 2 -maxdepth 2 -type d -path '*/iblock_*/*' | wc -l) "
            "$(find iscsi/*/tpgt_*/lun -mindepth 1 -maxdepth 1 -type d | wc -l) "
            "$(find iscsi/*/tpgt_*/acls -mindepth 2 -maxdepth 2 -type d -name 'lun_*' | wc -l)")


def turns(sides: Sequence[str], rounds: int) -> Iterable[str]:
    """A B, B A, A B, ...: what drifts meets both sides alike."""
    for i in range(rounds):
        yield from sides if i % 2 == 0 else reversed(sides)


# --- what a gate costs ---------------------------------------------------------------------------

PLAIN = "ln -sfn /dev/nullb0 /run/bench-device"
GATED = "{program} open bench $(blockdev --getsz /dev/nullb0) /dev/nullb0 && ln -sfn /dev/mapper/lunward-bench /run/bench-device"
# A disk of this machine, through LIO; prints its name.
LOOP_UP = """
set -e
cd /sys/kernel/config/target
mkdir -p core/iblock_9/bench
echo "udev_path=$(readlink /run/bench-device)" >core/iblock_9/bench/control
echo 1 >core/iblock_9/bench/enable
l=loopback/naa.500140500000beac/tpgt_1
mkdir -p $l
echo naa.500140500000beaf >$l/nexus
mkdir $l/lun/lun_0
ln -s /sys/kernel/config/target/core/iblock_9/bench $l/lun/lun_0/bench
place=/sys/bus/scsi/devices/$(cat $l/address):0/block
for i in $(seq 600); do
	device=$(ls $place 2>/dev/null || true)
	[ -z "$device" ] || [ ! -b /dev/$device ] || break
	sleep 0.1
done
[ -b "/dev/$device" ] && udevadm settle && echo $device
"""
LOOP_DOWN = """
set -e
cd /sys/kernel/config/target
l=loopback/naa.500140500000beac/tpgt_1
rm $l/lun/lun_0/bench
rmdir $l/lun/lun_0
echo NULL >$l/nexus
rmdir $l loopback/naa.500140500000beac core/iblock_9/bench core/iblock_9
! dmsetup info lunward-bench >/dev/null 2>&1 || dmsetup remove --retry lunward-bench
"""


def iops(text: str) -> float:
    """Of fio's JSON."""
    told = fio.job(text)
    if told["error"]:
        raise RuntimeError(f"fio: error {told['error']}")
    return told["read"]["iops"] + told["write"]["iops"]

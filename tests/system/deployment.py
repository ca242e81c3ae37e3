# SPDX-License-Identifier: GPL-2.0-or-later
"""A Lunward site in the lab: the cluster document, the CLI, and what status says."""
import json
import re

from lab.api import Lab, Node
from lab.wait import wait_until

TARGET = "iqn.2026-11.lab.lunward:t1"
HOST_IQN = "iqn.2026-11.lab.lunward:h1"
PROBE_IQN = "iqn.2026-11.lab.lunward:probe"
CHAP = {"user": "h1-user", "password": "h1-secret-0123"}
MUTUAL_CHAP = {"user": "t1-user", "password": "t1-secret-0123"}
SERIALS = {"v1": "6a0d3c5e-0001-4222-8333-1c6de04c7a11", "v2": "6a0d3c5e-0002-4222-8333-52b1f0a9d322"}
PORT_TCP = 3260


def document(volumes=("v1", "v2"), size: str = "64MiB", fence: bool = True, iser: bool = True) -> dict:
    """A two-copy cluster with a witness: one group, one target with a portal on each node, h1 and a probe as hosts."""
    transports = ["tcp", "iser"] if iser else ["tcp"]
    hosts = {
        "h1": {"profile": "linux", "initiators": [HOST_IQN], "chap": dict(CHAP), "mutual_chap": dict(MUTUAL_CHAP)},
        "probe": {"profile": "linux", "initiators": [PROBE_IQN]},
    }
    nodes = {f"n{i}": {"id": i, "role": "storage", "replication_address": f"10.78.0.{i}", "fence": {"plug": f"n{i}"}} for i in (1, 2)}
    nodes["n3"] = {"id": 3, "role": "witness"}
    doc = {
        "lunward": 1,
        "cluster": "lab",
        "nodes": nodes,
        "pools": {"data": {"vg": "lunward"}},
        "groups": {"g1": {"backend": "drbd", "nodes": ["n1", "n2"], "prefer": "n1", "placement": "auto"}},
        "volumes": {v: {"group": "g1", "pool": "data", "size": size, "serial": SERIALS[v]} for v in volumes},
        "targets": {TARGET: {"portals": [
            {"node": f"n{i}", "address": f"10.77.0.{i}/24", "interface": "san0", "port": PORT_TCP, "transports": transports}
            for i in (1, 2)]}},
        "hosts": hosts,
        "mappings": [{"host": h, "volume": v, "target": TARGET, "lun": i} for h in hosts for i, v in enumerate(volumes)],
    }
    if fence:
        doc["fencing"] = {"agent": "fence_lab", "timeout_s": 30}
    else:
        for node in nodes.values():
            node.pop("fence", None)
    return doc


def naa(serial: str) -> str:
    """The WWID a Linux host gives the volume: type 3, NAA-6 with LIO's company id and 25 digits of the serial."""
    digits = re.sub(r"[^0-9a-f]", "", serial.lower())[:25]
    return "3" + "6001405" + digits.ljust(25, "0")


def apply(node: Node, doc: dict, timeout_s: float = 300, check: bool = True):
    node.put("/root/lunward.json", json.dumps(doc, indent=1))
    return node.run("lunward apply /root/lunward.json", timeout_s=timeout_s, check=check)


def status(node: Node) -> dict:
    return json.loads(node.out("lunward status --format json", timeout_s=30))


def group(node: Node, name: str = "g1") -> dict:
    return next(g for g in status(node)["groups"] if g["name"] == name)


def node_of(node: Node, name: str) -> dict:
    return next(n for n in status(node)["nodes"] if n["name"] == name)


def wait_owner(node: Node, owner: str, deadline_s: float = 120, name: str = "g1") -> dict:
    """Waits until `node` says that `owner` serves the group; returns the group's status."""
    seen = {}

    def owned():
        seen.update(group(node, name))
        return seen["phase"] == "owned" and seen["owner"] == owner
    wait_until(owned, deadline_s, f"{owner} to own {name}", 0.3, explain=lambda: seen)
    return seen


def wait_healthy(lab: Lab, node: Node, deadline_s: float = 240, name: str = "g1") -> dict:
    """Waits until both copies are current and ready, and each node has its own portals back."""
    seen = {}

    def healthy():
        seen.update(status(node))
        g = next(x for x in seen["groups"] if x["name"] == name)
        return (g["phase"] == "owned" and sorted(g["current"]) == ["n1", "n2"] and sorted(g["ready"]) == ["n1", "n2"] and
                all(n["portals_at"] == n["name"] for n in seen["nodes"] if n["role"] == "storage") and
                all(n["state"] == "up" for n in seen["nodes"]))
    wait_until(healthy, deadline_s, "a healthy cluster", 0.5, explain=lambda: {k: seen.get(k) for k in ("problems", "groups")})
    return seen


def data_digest(node: Node, volume: str, size_bytes: int) -> str:
    """Digest of the volume's bytes on this node's own disk, below DRBD (its metadata is behind them)."""
    return node.out(f"head -c {size_bytes} /dev/lunward/lunward-{volume} | sha256sum | cut -d' ' -f1", timeout_s=300)


def _load_table(node: Node, disk: str, line: str) -> str:
    before = node.out(f"dmsetup table {disk}")
    node.run(f"dmsetup suspend --noflush {disk} && echo '{line.replace('ALL', before.split()[1])}' | dmsetup load {disk} && dmsetup resume {disk}")
    return before


def fail_disk(node: Node, volume: str) -> str:
    """From now on the logical volume below DRBD answers with errors. Returns what mend_disk() needs."""
    return _load_table(node, f"lunward-lunward--{volume}", "0 ALL error")


def mend_disk(node: Node, volume: str, table: str) -> None:
    _load_table(node, f"lunward-lunward--{volume}", table)


def fail_gate(node: Node, volume: str) -> None:
    """What LIO has answers with errors, and DRBD below knows nothing of it: as a dead path to storage that DRBD is not in front of."""
    _load_table(node, f"lunward-{volume}", "0 ALL error")

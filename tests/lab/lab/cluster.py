# SPDX-License-Identifier: GPL-2.0-or-later
"""Corosync and LVM on the nodes."""
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Iterable, List, Tuple

from . import vm as vm_mod
from .api import Lab, Node
from .wait import wait_until

# See README.md, "Timers", for how it was chosen.
TOKEN_MS = int(os.environ.get("LAB_TOKEN_MS", "3000"))


def corosync_conf(token_ms: int = TOKEN_MS) -> str:
    nodes = "".join(f"""
	node {{
		name: {m.name}
		nodeid: {m.number}
		ring0_addr: 10.78.0.{m.number}
	}}""" for m in vm_mod.MACHINES.values() if m.node)
    return f"""totem {{
	version: 2
	cluster_name: lab
	transport: knet
	crypto_cipher: aes256
	crypto_hash: sha256
	token: {token_ms}
	token_coefficient: 0
}}

nodelist {{{nodes}
}}

quorum {{
	provider: corosync_votequorum
}}

logging {{
	to_stderr: no
	to_logfile: no
	to_syslog: yes
	timestamp: hires
}}
"""


def view(node: Node) -> Tuple[List[str], bool]:
    """The members that `node` sees and whether they are quorate; ([], False) while Corosync does not run there."""
    text = node.run("corosync-quorumtool", check=False).out
    return re.findall(r"^\s+\d+\s+\d+\s+(?:NR\s+)?(\S+)", text, re.M), bool(re.search(r"^Quorate:\s+Yes", text, re.M))


def members(node: Node) -> List[str]:
    return view(node)[0]


def is_quorate(node: Node) -> bool:
    return view(node)[1]


def wait_members(lab: Lab, names: Iterable[str], deadline_s: float = 60) -> None:
    """Waits until each of `names` sees exactly `names` and is quorate."""
    wanted = sorted(names)

    def views() -> dict:
        with ThreadPoolExecutor(len(wanted)) as pool:
            return dict(zip(wanted, pool.map(lambda n: view(lab.nodes[n]), wanted)))
    wait_until(lambda: all(sorted(seen) == wanted and quorate for seen, quorate in views().values()), deadline_s,
               f"a quorate cluster of {' '.join(wanted)}", 0.5, explain=views)


def create(lab: Lab, token_ms: int = TOKEN_MS) -> None:
    """Makes a cluster of n1, n2 and n3 and a volume group `lunward` on each data disk. Both survive a power cut."""
    key = os.urandom(256)
    for name in vm_mod.NODES:
        node = lab.nodes[name]
        node.put("/etc/corosync/authkey", key, mode=0o400)
        node.put("/etc/corosync/corosync.conf", corosync_conf(token_ms))
        node.run("sync -f /etc/corosync/corosync.conf; systemctl start --no-block corosync; "
                 "if systemctl cat -- lunwardd.service >/dev/null 2>&1; then systemctl start --no-block lunwardd; fi")
        if node.machine.data:
            create_volume_group(node)
    wait_members(lab, vm_mod.NODES, deadline_s=180)


def create_volume_group(node: Node) -> None:
    node.run("vgs lunward >/dev/null 2>&1 || vgcreate -q lunward /dev/disk/by-id/virtio-data")

# SPDX-License-Identifier: GPL-2.0-or-later
"""Corosync and LVM on the nodes."""
import os
import re

from . import vm as vm_mod
from .api import Lab, Node
from .wait import wait_until

# See README.md, "Timers", for how it was chosen.
TOKEN_MS = 4000


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


def members(node: Node) -> list:
    """Names of the members that `node` sees, or [] while Corosync does not run there."""
    text = node.run("corosync-quorumtool -l", check=False).out
    return re.findall(r"^\s+\d+\s+\d+\s+(\S+)", text, re.M)


def is_quorate(node: Node) -> bool:
    return bool(re.search(r"^Quorate:\s+Yes", node.run("corosync-quorumtool -s", check=False).out, re.M))


def wait_members(lab: Lab, names, deadline_s: float = 60) -> None:
    """Waits until each of `names` sees exactly `names` and is quorate."""
    wanted = sorted(names)

    def agreed():
        return all(sorted(members(lab.nodes[n])) == wanted and is_quorate(lab.nodes[n]) for n in wanted)
    wait_until(agreed, deadline_s, f"a quorate cluster of {' '.join(wanted)}", 0.5,
               explain=lambda: {n: members(lab.nodes[n]) for n in wanted})


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
    wait_members(lab, vm_mod.NODES)


def create_volume_group(node: Node) -> None:
    node.run("vgs lunward >/dev/null 2>&1 || vgcreate -q lunward /dev/disk/by-id/virtio-data")

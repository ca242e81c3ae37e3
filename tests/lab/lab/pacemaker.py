# SPDX-License-Identifier: GPL-2.0-or-later
"""Pacemaker on the nodes: started by hand, configured by XML, asked whether it has come to rest."""
from .api import Lab, Node
from .vm import NODES
from .wait import wait_until

PROCESSES = "pacemakerd pacemaker-based pacemaker-fenced pacemaker-execd pacemaker-attrd pacemaker-schedulerd pacemaker-controld"
STONITH = '<primitive id="fencing" class="stonith" type="fence_lab"/>'


def start_node(node: Node) -> None:
    """Nothing starts it at a boot."""
    node.run("systemctl start pacemaker", timeout_s=180)


def start(lab: Lab) -> None:
    """On all nodes, and waits until they see each other; fencing is on, no resource is there."""
    for name in NODES:
        start_node(lab.nodes[name])
    wait_until(lambda: "3 nodes configured" in lab.n3.run("crm_mon -1", check=False).out, 240, "three nodes of Pacemaker", 1)
    lab.n3.run("crm_attribute -t crm_config -n stonith-enabled -v true", timeout_s=120)


def configure(node: Node, scope: str, xml: str) -> None:
    """Adds `xml` to a section of the CIB: rsc_defaults, or configuration for several that need each other."""
    node.run(f"cibadmin --modify --allow-create --scope {scope} --xml-pipe", stdin=f"<{scope}>{xml}</{scope}>".encode(), timeout_s=120)


def wait_idle(node: Node, deadline_s: int) -> None:
    """Waits until nothing is left to do, or the deadline has passed: who needs more than that asks for it."""
    node.run(f"crm_resource --wait --timeout {deadline_s}", check=False, timeout_s=deadline_s + 120)


def move(node: Node, resource: str, to: str, options: str = "") -> None:
    """Orders it: a constraint, which stays until settle()."""
    node.run(f"crm_resource --resource {resource} --move {options} --node {to}", timeout_s=120)


def settle(node: Node, resource: str, deadline_s: int) -> None:
    """Takes back what move() has ordered, and waits as wait_idle()."""
    node.run(f"crm_resource --resource {resource} --clear", timeout_s=120, check=False)
    wait_idle(node, deadline_s)

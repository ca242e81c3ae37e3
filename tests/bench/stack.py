# SPDX-License-Identifier: GPL-2.0-or-later
"""What all stacks have in common for the bench: volumes of one group, a host that reaches them, orders, and what is waited for."""
from typing import Callable, List

import timeline
from lab import host
from lab.api import Lab, Node
from lab.vm import NODES

GROUP = "g1"
TARGET = "iqn.2026-11.lab.lunward:t1"
# The host's timers are the same for all, but that a host without multipath has to wait where one with it queues.
MULTIPATH, PLAIN = 5, 120


def sessions_conf(h1: Node, replacement_timeout: int) -> None:
    host.set_up(h1, replacement_timeout=replacement_timeout)
    if replacement_timeout == PLAIN:
        h1.run("systemctl stop multipathd.socket multipathd.service", check=False)


class Stack:
    """One site in the lab. An order returns when the stack says that it has been carried out."""
    packages = True   # Lunward's, on the nodes
    processes = ""    # whose memory is counted

    def __init__(self, lab: Lab, say: Callable[[str], None], n_volumes: int):
        self.lab, self.say, self.n_volumes = lab, say, n_volumes
        self.size_mib = 64 if n_volumes <= 8 else 8

    def ends(self) -> List[int]:
        """The LUNs that are watched: the first and the last."""
        return sorted({0, self.n_volumes - 1})

    def set_up(self) -> float:
        """Makes everything; returns the seconds from the order to serve until the last volume was served."""
        raise NotImplementedError

    def connect(self) -> List[str]:
        """The host logs in; returns the devices of ends()."""
        raise NotImplementedError

    def owner(self) -> str:
        raise NotImplementedError

    def move(self, to: str) -> None:
        raise NotImplementedError

    def settle(self) -> None:
        """After a move: waits until another could follow."""
        raise NotImplementedError

    def wait_taken_over(self, by: str) -> None:
        raise NotImplementedError

    def restore(self, name: str) -> None:
        """Power on; returns when the node is a spare again and its copy is current."""
        raise NotImplementedError

    def steps(self, since_s: float, until_s: float) -> List[dict]:
        """{at_s, node, step} of what the stack did in that time, `at_s` counted from `since_s`: here, what the journals tell."""
        return timeline.from_journals({n: self.lab.nodes[n].journal() for n in NODES}, since_s, until_s)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Lunward: it places the group itself, or Pacemaker does."""
import time
import uuid
from typing import List

import deployment as site
import placed
from lab import cluster, host, pacemaker
from lab.wait import wait_until
from stack import GROUP, MULTIPATH, TARGET, Stack, sessions_conf

NAMESPACE = uuid.UUID("6a0d3c5e-0000-4222-8333-000000000000")


def serial(volume: str) -> str:
    return str(uuid.uuid5(NAMESPACE, volume))


def document(n_volumes: int, size_mib: int) -> dict:
    """The usual site with other volumes, TCP alone, and one host without CHAP: the peer has neither."""
    doc = site.document(volumes=(), iser=False)
    names = [f"v{i}" for i in range(n_volumes)]
    doc["volumes"] = {v: {"group": GROUP, "pool": "data", "size": f"{size_mib}MiB", "serial": serial(v)} for v in names}
    doc["hosts"] = {"h1": {"profile": "linux", "initiators": [site.HOST_IQN]}}
    doc["mappings"] = [{"host": "h1", "volume": v, "target": TARGET, "lun": i} for i, v in enumerate(names)]
    return doc


class Lunward(Stack):
    processes = "corosync lunwardd"

    def set_up(self) -> float:
        lab = self.lab
        lab.align_clocks()
        cluster.create(lab)
        for node in (lab.n1, lab.n2):
            node.enable_unit("lunward-pr")
        began = time.monotonic()
        site.apply(lab.n1, document(self.n_volumes, self.size_mib), timeout_s=600)
        wait_until(lambda: site.group(lab.n3)["phase"] == "owned", 600, "a node to serve", 0.5)
        seconds = time.monotonic() - began
        site.wait_healthy(lab, lab.n3, 600)
        return seconds

    def connect(self) -> List[str]:
        h1 = self.lab.h1
        sessions_conf(h1, MULTIPATH)
        for node in (self.lab.n1, self.lab.n2):
            portal = f"{node.san_address}:{site.PORT_TCP}"
            host.discover(h1, portal)
            host.login(h1, TARGET, portal)
        return [host.wait_map(h1, serial(f"v{i}"), n_paths=2, deadline_s=600) for i in self.ends()]

    def owner(self) -> str:
        return site.group(self.lab.n3)["owner"]

    def move(self, to: str) -> None:
        self.lab.n3.run(f"lunward move {GROUP} {to}", timeout_s=180)

    def settle(self) -> None:
        site.wait_healthy(self.lab, self.lab.n3, 600)

    def wait_taken_over(self, by: str) -> None:
        site.wait_owner(self.lab.n3, by, 300)

    def restore(self, name: str) -> None:
        self.lab.nodes[name].power_on()
        self.settle()

    def steps(self, since_s: float, until_s: float) -> List[dict]:
        found = super().steps(since_s, until_s)
        for s in site.group(self.lab.n3)["last_change"]["steps"]:
            at_s = s["at_ms"] / 1000 - since_s
            if 0 <= at_s <= until_s - since_s:
                found.append({"at_s": round(at_s, 3), "node": s["node"], "step": s["step"]})
        return sorted(found, key=lambda s: s["at_s"])


class LunwardUnderPacemaker(Lunward):
    """The same group, placed by Pacemaker's agents of Lunward."""
    processes = f"{Lunward.processes} {pacemaker.PROCESSES}"

    def set_up(self) -> float:
        seconds = super().set_up()
        lab = self.lab
        placed.hand_over(lab, document(self.n_volumes, self.size_mib))
        self.settle()
        return seconds

    def move(self, to: str) -> None:
        pacemaker.move(self.lab.n3, f"{GROUP}-clone", to, "--promoted")
        site.wait_owner(self.lab.n3, to, 300)

    def settle(self) -> None:
        pacemaker.settle(self.lab.n3, f"{GROUP}-clone", 240)
        super().settle()

    def restore(self, name: str) -> None:
        self.lab.nodes[name].power_on()
        pacemaker.start_node(self.lab.nodes[name])
        self.settle()

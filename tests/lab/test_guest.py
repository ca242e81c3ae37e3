# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests in C of what only a real kernel can answer: gates, thin pools and the target's tree, run on a node that serves nothing."""
import os
import re

import pytest

from lab import host
from lab.api import BUILD

pytestmark = pytest.mark.lab

PROGRAMS = os.path.join(BUILD, "gcc", "tests", "lab", "guest")


@pytest.mark.parametrize("name", ["guest_gate", "guest_lio", "guest_lvm", "guest_watchdog"])
def test_on_a_real_kernel(whole, name):
    node = whole.n1 if name == "guest_lvm" else whole.n3  # it has a disk
    with open(os.path.join(PROGRAMS, name), "rb") as f:
        node.put(f"/run/{name}", f.read(), mode=0o755)
    device = {"guest_watchdog": host.softdog, "guest_lvm": lambda n: n.out("readlink -f /dev/disk/by-id/virtio-data")}.get(name, lambda _: "")(node)
    if name == "guest_lio":
        host.rxe(node)
        node.run("modprobe ib_srpt")
        host.fcoe_on_veth(node)
    done = node.run(f"modprobe -a loop target_core_mod iscsi_target_mod target_core_iblock; /run/{name} {device}", timeout_s=900, check=False)
    text = done.out + done.err
    assert done.code == 0 and not re.search(r"^not ok", text, re.M), text[-3000:]
    assert "# skipped" not in text, text[-3000:]

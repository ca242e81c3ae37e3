# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests in C of what only a real kernel can answer: gates and the target's tree, run on a node that serves nothing."""
import os
import re

import pytest

from lab import host
from lab.api import BUILD

pytestmark = pytest.mark.lab

PROGRAMS = os.path.join(BUILD, "gcc", "tests", "lab", "guest")


@pytest.mark.parametrize("name", ["guest_gate", "guest_lio", "guest_watchdog"])
def test_on_a_real_kernel(whole, name):
    with open(os.path.join(PROGRAMS, name), "rb") as f:
        whole.n3.put(f"/run/{name}", f.read(), mode=0o755)
    device = host.softdog(whole.n3) if name == "guest_watchdog" else ""
    if name == "guest_lio":
        host.rxe(whole.n3)
        whole.n3.run("modprobe ib_srpt")
    done = whole.n3.run(f"modprobe -a loop target_core_mod iscsi_target_mod target_core_iblock; /run/{name} {device}", timeout_s=300, check=False)
    text = done.out + done.err
    assert done.code == 0 and not re.search(r"^not ok", text, re.M), text[-3000:]
    assert "# skipped" not in text, text[-3000:]

# SPDX-License-Identifier: GPL-2.0-or-later
"""What `make bench-target` gives to both sides, and what it reads."""
import json
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "lab")]

import target_sides as sides  # noqa: E402

FIO = """fio: this platform is slow
{"fio version": "fio-3.33", "jobs": [{"jobname": "x", "error": 0, "read": {"iops": 0.0}, "write": {"iops": 5123.5}}]}
"""


def test_iops_are_those_of_the_kind_that_ran():
    assert sides.iops(FIO) == 5123.5
    with pytest.raises(RuntimeError):
        sides.iops(FIO.replace('"error": 0', '"error": 5'))


def test_sides_take_turns():
    assert "".join(sides.turns(("A", "B"), 3)) == "ABBAAB"


def test_the_second_node_has_no_portal_and_both_sides_have_the_same_devices():
    def export(tag):
        return {"storage_objects": [{"name": "v0", "dev": "/dev/bench/v0"}],
                "targets": [{"tpgs": [{"tag": tag, "enable": True, "portals": [{"port": 3260}], "luns": [1]}]}]}
    merged = json.loads(sides.saveconfig(export(1), export(2)))
    assert merged["storage_objects"][0]["dev"] == "/dev/mapper/lunward-v0"
    assert [(t["tag"], t["enable"], len(t["portals"]), t["luns"]) for t in merged["targets"][0]["tpgs"]] == [(1, True, 1, [1]), (2, False, 0, [1])]


def test_what_is_there_is_counted(tmp_path):
    for path in ("core/alua/lu_gps", "core/iblock_0/v0/attrib", "core/iblock_0/v1", "iscsi/t/tpgt_1/lun/lun_0/statistics", "iscsi/t/tpgt_2/lun/lun_0",
                 "iscsi/t/tpgt_1/acls/h0/lun_0/statistics", "iscsi/t/tpgt_1/acls/h0/attrib", "iscsi/t/tpgt_2/acls/h0/lun_7"):
        (tmp_path / path).mkdir(parents=True)
    script = sides.count().replace("/sys/kernel/config/target", str(tmp_path))
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split() == ["2", "2", "2"]

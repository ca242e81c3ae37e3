# SPDX-License-Identifier: GPL-2.0-or-later
"""The oracle of acknowledged writes finds what is planted; writer, dump and oracle agree on a plain file."""
import json
import os
import signal
import subprocess

import pytest

from lab import acklog
from lab.api import Lab
from lab.wait import wait_until

LOG = b"I 1 0 1 10\nA 1 0 1 20\nI 1 5 1 21\nI 1 0 2 30\nA 1 5 1 31\nE 1 0 2 40\nI 1 9 1 50\n"


def verdict(dump, log=LOG):
    return acklog.verify(acklog.parse_log(log), acklog.parse_dump(dump))


@pytest.mark.parametrize("dump", ["0 ok 1 1\n5 ok 1 1\n", "0 ok 2 1\n5 ok 1 1\n9 ok 1 1\n"])
def test_unacknowledged_writes_may_be_there_or_not(dump):
    assert verdict(dump)["ok"], acklog.explain(verdict(dump))


@pytest.mark.parametrize("dump, fault, lba", [
    ("0 ok 1 1\n", "lost_writes", 5),
    ("0 ok 0 1\n5 ok 1 1\n", "lost_writes", 0),
    ("0 ok 3 1\n5 ok 1 1\n", "unknown_writes", 0),
    ("0 ok 1 1\n5 ok 1 1\n7 ok 1 1\n", "unknown_writes", 7),
    ("0 torn 1 1 1 1 2 2 2 -\n5 ok 1 1\n", "torn", 0),
    ("0 foreign\n5 ok 1 1\n", "foreign", 0),
    ("0 unreadable 5\n5 ok 1 1\n", "unreadable", 0),
])
def test_planted_faults_are_found(dump, fault, lba):
    found = verdict(dump)
    assert not found["ok"]
    assert [f["lba"] for f in found[fault]] == [lba]
    assert sum(len(v) for v in found.values() if isinstance(v, list)) == 1
    assert fault in acklog.explain(found)


def test_loss_that_a_later_writer_painted_over_is_found():
    log = LOG + b"I 2 5 1 60\nA 2 5 1 61\nI 2 5 2 70\nA 2 5 2 71\n"
    assert verdict("0 ok 1 1\n5 ok 2 2\n", log)["lost_writes"][0]["seen_by"] == "a later writer"


def test_foreign_data_where_nothing_was_written_is_none_of_ours():
    assert verdict("0 ok 1 1\n5 ok 1 1\n8 foreign\n")["ok"]


def test_an_empty_log_proves_nothing():
    assert not verdict("", b"")["ok"]


def test_half_a_last_line_is_left_out_and_garbage_is_not():
    assert acklog.parse_log(LOG + b"A 1 9 1")[9].acked == 0
    with pytest.raises(ValueError):
        acklog.parse_log(b"A 1 9\n" + LOG)


@pytest.fixture(name="written")
def fixture_written(tmp_path):
    """A file that ack-writer has written for a moment, its log and its result."""
    device, log = tmp_path / "device", tmp_path / "log"
    device.write_bytes(bytes(64 * 4096))
    if subprocess.run(["dd", f"if={device}", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"], capture_output=True, check=False).returncode:
        pytest.skip(f"{tmp_path} is on a file system without O_DIRECT")
    writer = subprocess.Popen([Lab.tool("ack-writer"), "--device", device, "--log", log, "--blocks", "64", "--threads", "3",
                               "--pause-us", "200"], stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: log.exists() and log.stat().st_size > 20000, 20, "some writes")
    finally:
        writer.send_signal(signal.SIGTERM)
        result = json.loads(writer.communicate()[0])
    return device, log, result


def judge(device, log):
    dump = subprocess.run([Lab.tool("ack-dump"), device, "64"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return acklog.verify(acklog.parse_log(log.read_bytes()), acklog.parse_dump(dump))


def patch(device, offset, data):
    with open(device, "r+b") as f:
        f.seek(offset)
        f.write(data)


def test_writer_dump_and_oracle_agree(written):
    device, log, result = written
    assert result["io_errors"] == result["verify_errors"] == result["stuck"] == 0
    found = judge(device, log)
    assert found["ok"], acklog.explain(found)
    assert 0 < found["acked_writes"] <= result["writes"]


def test_a_rolled_back_block_is_a_lost_write(written):
    device, log, _ = written
    old = device.read_bytes()[:4096]
    more = subprocess.run([Lab.tool("ack-writer"), "--device", device, "--log", log, "--blocks", "64", "--duration", "1",
                           "--read-percent", "0"], capture_output=True, check=False)
    assert more.returncode == 0
    patch(device, 0, old)
    assert [f["lba"] for f in judge(device, log)["lost_writes"]] == [0]


def test_half_a_block_is_torn(written):
    device, log, _ = written
    patch(device, 4096 + 2048, bytes(2048))
    assert [f["lba"] for f in judge(device, log)["torn"]] == [1]


def test_a_misdirected_block_is_foreign(written):
    device, log, _ = written
    patch(device, 2 * 4096, device.read_bytes()[3 * 4096:4 * 4096])
    assert [f["lba"] for f in judge(device, log)["foreign"]] == [2]


def test_the_writer_itself_sees_a_rollback(written):
    device, log, _ = written
    writer = subprocess.Popen([Lab.tool("ack-writer"), "--device", device, "--log", log, "--blocks", "8", "--threads", "1",
                               "--read-percent", "95", "--pause-us", "100", "--status", f"{log}.status"], stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: os.path.exists(f"{log}.status"), 20, "the writer to run")
        patch(device, 0, bytes(8 * 4096))
        wait_until(lambda: json.load(open(f"{log}.status", encoding="utf-8"))["verify_errors"], 20, "the writer to complain")
    finally:
        writer.send_signal(signal.SIGTERM)
        writer.communicate()
    assert writer.returncode == 1

# SPDX-License-Identifier: GPL-2.0-or-later
"""What `make lab-suites` makes of libiscsi's words."""
import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "system"), os.path.join(TESTS, "lab")]

from libiscsi_tests import Said, families, parse, unlike, worse  # noqa: E402

# As iscsi-test-cu 1.19 of Debian 12 says it.
OUTPUT = """\
     CUnit - A unit testing framework for C - Version 2.1-3

Suite: ProutReserve
  Test: Simple ...passed
  Test: OwnershipEA ...    [FAILED] PRIN command: failed with sense: SENSE KEY:UNIT_ATTENTION(6) ASCQ:(null)(0x2a04)
FAILED
    1. test_prout_reserve_ownership.c:84  - CU_ASSERT_EQUAL(0,ret)
  Test: Async ...FAILED
    1. test_multipathio_async_caw.c:45  - CU_ASSERT_EQUAL(atask->sense.key,SCSI_SENSE_MISCOMPARE)
    2. test_multipathio_async_caw.c:46  - CU_ASSERT_EQUAL(atask->sense.ascq,0)
  Test: Control-SWP ...    [SKIPPED] Multipath unavailable. Skipping test
passed
  Test: LUNReset ...passed    [FAILED] PRIN command: failed with sense. SENSE KEY:UNIT_ATTENTION(6) ASCQ:BUS_RESET(0x2900)
"""
SUMMARY = "\nRun Summary:    Type  Total    Ran Passed Failed Inactive\n               tests     13     13      9      4        0\n"
CUT_OFF = "  Test: Logout ...    Take out a RESERVE6 from the first initiator\n"


def test_each_test_has_a_verdict():
    said = parse(OUTPUT + SUMMARY)
    assert said["Simple"] == said["LUNReset"] == Said("passed")
    assert said["OwnershipEA"] == Said("failed", "PRIN command: failed with sense: SENSE KEY:UNIT_ATTENTION(6) ASCQ:(null)(0x2a04)")
    assert said["Async"] == Said("failed", "test_multipathio_async_caw.c:45  - CU_ASSERT_EQUAL(atask->sense.key,SCSI_SENSE_MISCOMPARE)")
    assert said["Control-SWP"] == Said("skipped", "Multipath unavailable. Skipping test")
    assert len(said) == 5


def test_what_did_not_end_has_failed():
    said = parse(OUTPUT + CUT_OFF)
    assert said["Logout"].verdict == "failed" and "Take out a RESERVE6" in said["Logout"].why and said["LUNReset"].verdict == "passed"
    assert parse("Failed to connect to SCSI device 1") == {}


def test_each_test_is_listed_once():
    assert families("ALL\nALL.Read10\nALL.Read10.Simple\nALL.ModeSense6.Control-SWP\nSCSI\nSCSI.Read10\nSCSI.Read10.Simple\n") == {
        "Read10": ["Simple"], "ModeSense6": ["Control-SWP"]}


def test_only_what_passes_without_us_counts():
    alone = {"a": Said("passed"), "b": Said("failed", "x"), "c": Said("skipped"), "d": Said("passed")}
    assert worse(alone, {"a": Said("failed"), "b": Said("failed"), "c": Said("failed"), "d": Said("skipped")}) == ["a"]
    assert unlike({"b": "known"}, alone) == []
    assert unlike({"d": "no more", "gone": "was not run"}, alone) == ["new: b: x", "passed: d"]

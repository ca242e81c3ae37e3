# SPDX-License-Identifier: GPL-2.0-or-later
"""libiscsi's tests of a disk (Debian's iscsi-test-cu): a process for each family, and what each test of it said."""
import re
from typing import Callable, Dict, Iterable, List, NamedTuple

from lab.api import Node

DEADLINE_S = 900  # of a family, under emulation
# Those that use a second path where they are given one.
MULTIPATH = ("MultipathIO", "PreventAllow", "ProutPreempt", "ProutReserve", "Reserve6")


class Said(NamedTuple):
    verdict: str  # passed, skipped, failed
    why: str = ""  # not passed


def families(text: str) -> Dict[str, List[str]]:
    """Of `iscsi-test-cu --list`. ALL has each test once; the other groups are parts of it."""
    found: Dict[str, List[str]] = {}
    for family, test in re.findall(r"^ALL\.([^.\s]+)\.(\S+)$", text, re.M):
        found.setdefault(family, []).append(test)
    return found


def parse(text: str) -> Dict[str, Said]:
    """What CUnit says of each test that it has begun; the test's own words are between its name and its verdict."""
    found = {}
    parts = re.split(r"^  Test: (\S+) \.\.\.", text.partition("\nRun Summary:")[0], flags=re.M)
    for name, said in zip(parts[1::2], parts[2::2]):
        verdict = re.search(r"^(passed|FAILED)", said, re.M)
        words = said[:verdict.start()] if verdict else said
        if verdict and verdict.group(1) == "passed":
            skipped = re.search(r"\[SKIPPED\] *(.*)", words)
            found[name] = Said("skipped", skipped.group(1).strip()) if skipped else Said("passed")
        elif verdict:
            why = re.search(r"\[FAILED\] *(.*)", words) or re.search(r"^    1\. (.*)", said, re.M)
            found[name] = Said("failed", why.group(1).strip() if why else "")
        else:
            found[name] = Said("failed", "it did not end: " + " ".join(words.split())[-120:])
    return found


def run(host: Node, urls: Iterable[str], names: str, wanted: Callable[[str], bool]) -> Dict[str, Said]:
    """"FAMILY.TEST" -> what it said, of all families that are `wanted`; all `urls` are paths to the one disk."""
    listed = families(host.out("iscsi-test-cu --list 2>&1", timeout_s=60))
    if not any(map(wanted, listed)):
        raise RuntimeError(f"iscsi-test-cu has no such tests, but {' '.join(listed)}")
    found = {}
    for family in filter(wanted, listed):
        done = host.run(f"timeout -k 10 {DEADLINE_S} iscsi-test-cu -d -i {names}a -I {names}b -t ALL.{family} {' '.join(urls)} 2>&1", check=False,
                        timeout_s=DEADLINE_S + 60)
        said = parse(done.out)
        end = Said("failed", f"it did not run, exit status {done.code}: " + " ".join(done.out.split())[-120:])
        found.update({f"{family}.{test}": said.get(test, end) for test in listed[family]})
    return found


def worse(alone: Dict[str, Said], with_us: Dict[str, Said]) -> List[str]:
    """Tests that pass with LIO alone, and fail."""
    return [t for t, s in with_us.items() if s.verdict == "failed" and alone[t].verdict == "passed"]


def unlike(known: Iterable[str], alone: Dict[str, Said]) -> List[str]:
    """What LIO alone fails at and is not known to, and the reverse."""
    return ([f"new: {t}: {s.why}" for t, s in alone.items() if s.verdict == "failed" and t not in known] +
            [f"{alone[t].verdict}: {t}" for t in known if t in alone and alone[t].verdict != "failed"])

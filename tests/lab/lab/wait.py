# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting without fixed sleeps: for a fact, until a deadline, with words for when it does not come."""
import time
from typing import Callable, Optional, TypeVar

T = TypeVar("T")


class Timeout(AssertionError):
    """The fact did not come true in time. An AssertionError: a test that waits in vain has failed."""


class NeverComes(Exception):
    """Raised by a predicate: waiting longer is of no use. wait_until() lets it through."""


def wait_until(predicate: Callable[[], T], deadline_s: float, what: str, interval_s: float = 0.2,
               explain: Optional[Callable[[], object]] = None) -> T:
    """Calls `predicate` until it returns something true, and returns that.

    `what` completes "waited N s for ...". `explain` is asked at the end for what is the case instead; without it, the last
    value or exception of the predicate is told.
    """
    began = time.monotonic()
    last: object = None
    while True:
        try:
            value = predicate()
            if value:
                return value
            last = value
        except (OSError, ValueError, RuntimeError) as e:
            last = e
        passed = time.monotonic() - began
        if passed >= deadline_s:
            if explain:
                try:
                    last = explain()
                except (OSError, ValueError, RuntimeError) as e:
                    last = e
            raise Timeout(f"waited {passed:.1f} s for {what}; last seen: {last!r}")
        time.sleep(min(interval_s, deadline_s - passed))

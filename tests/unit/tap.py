# SPDX-License-Identifier: GPL-2.0-or-later
"""A file of pytest's as a program of tests/run-unit, which counts TAP lines."""
import os
import sys

import pytest


class Tap:
    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.failed:
            print(f"\n{'ok' if report.passed else 'not ok'} - {report.nodeid}", flush=True)


def main(path, *options):
    sys.exit(pytest.main(["-q", *options, "-p", "no:cacheprovider", os.path.abspath(path), *sys.argv[1:]], plugins=[Tap()]))

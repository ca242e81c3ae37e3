# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/check tells failure from success: what it counts, what it skips, how it ends."""
import importlib.machinery
import importlib.util
import os
import re
import sys

import pytest

PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "check")


@pytest.fixture
def check(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("check", PATH)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check", loader))
    loader.exec_module(module)
    module.LOGS = str(tmp_path / "logs")
    module.ROOT = str(tmp_path)
    return module


@pytest.mark.parametrize("text, expected", [
    ("  PASS  x\n7 passed, 0 failed\n", (7, 0, 0)),
    ("1 passed, 2 failed\nmore output\n", (1, 2, 0)),
    ("=== 3 failed, 5 passed, 2 skipped in 1.2s ===", (5, 3, 2)),
    ("1 passed, 1 error in 0.1s", (1, 1, 0)),
    ("9 passed in 0.12s\n", (9, 0, 0)),
    ("nothing counted", None),
    ("the surpassed, unfailed 3 things", None),
])
def test_counts(check, text, expected):
    assert check.counts(text) == expected


def sh(check, name, script, **kw):
    return check.Stage(name, ["sh", "-c", script], **kw)


def run(check, capsys, *stages, names=()):
    check.STAGES = list(stages)
    status = check.main(list(names))
    return status, capsys.readouterr().out


def last(out):
    return out.rstrip("\n").splitlines()[-1]


def test_all_pass(check, capsys):
    status, out = run(check, capsys, sh(check, "a", "echo 3 passed, 0 failed"), sh(check, "b", "true", counted=False))
    assert (status, last(out)) == (0, "4 passed, 0 failed")


@pytest.mark.parametrize("script, kw, expected", [
    ("echo 3 passed, 1 failed; exit 1", {}, "3 passed, 1 failed"),
    ("echo 3 passed, 1 failed", {}, "3 passed, 1 failed"),  # the status lies
    ("echo 3 passed, 0 failed; exit 1", {}, "3 passed, 1 failed"),  # the counts lie
    ("true", {}, "0 passed, 1 failed"),  # counts nothing
    ("echo 0 passed, 0 failed", {}, "0 passed, 1 failed"),
    ("false", {"counted": False}, "0 passed, 1 failed"),
    ("kill -9 $$", {"counted": False}, "0 passed, 1 failed"),
])
def test_failures(check, capsys, script, kw, expected):
    status, out = run(check, capsys, sh(check, "a", script, **kw))
    assert (status, last(out)) == (1, expected)


def test_goes_on_but_not_with_what_needs_it(check, capsys):
    status, out = run(check, capsys, sh(check, "a", "false", counted=False), sh(check, "b", "echo 1 passed, 0 failed", needs=("a",)),
                      sh(check, "c", "echo 2 passed, 0 failed", needs=("b",)), sh(check, "d", "echo 5 passed, 0 failed"))
    assert (status, last(out)) == (1, "5 passed, 1 failed")
    assert re.search(r"b +NOT RUN: needs a", out) and re.search(r"c +NOT RUN: needs b", out)


@pytest.mark.parametrize("script, expected", [
    ("echo FAILED test_x.py::test_y - assert 1 == 2; echo later", "a: FAILED test_x.py::test_y - assert 1 == 2"),
    ("echo '  FAIL    build/test_core (3)'; echo 2 passed, 1 failed", "a:   FAIL    build/test_core (3)"),
    ("echo 'x.c:1:2: error: no'; echo make: gone", "a: x.c:1:2: error: no"),
    ("echo says nothing telling", "a: says nothing telling"),
])
def test_the_end_names_what_failed(check, capsys, script, expected):
    out = run(check, capsys, sh(check, "a", script + "; exit 1"), sh(check, "b", "yes 1 passed | head -100"))[1]
    assert expected in out.splitlines()[-3:]


def test_nothing_run_is_no_success(check, capsys):
    assert run(check, capsys, sh(check, "a", "echo 2 skipped"))[0] == 1


def test_limit(check, capsys):
    """A stage that hangs is ended with its children."""
    status, out = run(check, capsys, sh(check, "a", "sleep 600 & echo $! >child; wait", limit_s=1, counted=False))
    assert (status, last(out)) == (1, "0 passed, 1 failed")
    assert "not done after 1 s" in out
    with open(os.path.join(check.ROOT, "child"), encoding="ascii") as f:
        assert not is_running(int(f.read()))


def test_limit_with_a_stubborn_child(check, capsys, monkeypatch):
    monkeypatch.setattr(check, "POLITE_S", 1)
    script = "sh -c 'trap \"\" TERM; echo $$ >child; while :; do sleep 1; done' & while [ ! -s child ]; do :; done; wait"
    assert run(check, capsys, sh(check, "a", script, limit_s=2, counted=False))[0] == 1
    with open(os.path.join(check.ROOT, "child"), encoding="ascii") as f:
        assert not is_running(int(f.read()))


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"  # dead, not yet collected by init
    except FileNotFoundError:
        return False


def test_names(check, capsys):
    stages = sh(check, "a", "false", counted=False), sh(check, "b", "echo 1 passed, 0 failed", needs=("a",))
    assert run(check, capsys, *stages, names=["b"])[0] == 0
    assert run(check, capsys, *stages, names=["z"])[0] == 2


def test_variables_of_make_go_on(check, monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", "ks -j4 --jobserver-auth=3,4 -- WERROR=1 CC=clang")
    assert check.environment()["MAKEFLAGS"] == "ks -- WERROR=1 CC=clang"
    monkeypatch.setenv("MAKEFLAGS", " -j2 --jobserver-auth=3,4")
    assert "MAKEFLAGS" not in check.environment()


def test_documented(check):
    """docs/TESTING.md tells of each stage."""
    with open(os.path.join(os.path.dirname(PATH), "../docs/TESTING.md"), encoding="utf-8") as f:
        text = f.read()
    assert [s.name for s in check.STAGES if f"`{s.name}`" not in text] == []

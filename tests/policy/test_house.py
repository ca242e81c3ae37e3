# SPDX-License-Identifier: GPL-2.0-or-later
"""Each house rule finds a planted fault and is quiet about its correct neighbour."""
import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import house  # noqa: E402

TABLE = """
| folder | what is in it | may use | may be used by |
|---|---|---|---|
| `base/` | errors | libc, jansson | all |
| `ha/core/` | decides | `base`, `ha/wire` | `agent/daemon` |
| `ha/wire/` | encodes | `base` | `ha/core` |
| `target-config/lio/` | kernel | `base`, `target-config/model` | `agent/daemon` |
| `agent/daemon/` | wiring | everything above | - |
| `tests/` | tests | everything | - |
"""
SPDX = "/* SPDX-License-Identifier: GPL-2.0-or-later */\n/* What it is for. */\n"


@pytest.fixture
def findings(tmp_path):
    """findings(rule, {path: text}, ...) -> the findings of that rule in a tree of these files."""
    def run(rule, files, **tree):
        for path, text in files.items():
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return list(rule(house.Tree(str(tmp_path), **tree)))
    return run


def included(folder, line):
    return {"docs/ARCHITECTURE.md": TABLE, f"{folder}/a.c": SPDX + line + "\n"}


@pytest.mark.parametrize("folder, line", [
    ("ha/core", '#include "target-config/lio/lio.h"'),
    ("base", '#include "ha/core/core.h"'),
    ("ha/wire", '#include "ha/core/core.h"'),
    ("ha/core", '#include "agent/daemon/agent.h"'),
    ("ha/core", '# include "core.h"'),  # not from the top
    ("ha/unknown", '#include "base/err.h"'),  # not in the table
])
def test_layers_found(findings, folder, line):
    assert len(findings(house.layers, included(folder, line))) == 1


@pytest.mark.parametrize("folder, line", [
    ("ha/core", '#include "ha/wire/wire.h"'),
    ("ha/core", '#include "ha/core/core.h"'),
    ("agent/daemon", '#include "target-config/lio/lio.h"'),
    ("tests/unit", '#include "agent/daemon/agent.h"'),
    ("base", ' * #include "ha/core/core.h"'),  # in a comment
])
def test_layers_quiet(findings, folder, line):
    assert findings(house.layers, included(folder, line)) == []


def test_layers_neighbour_in_tests(findings):
    files = {**included("tests/lab/tools", '#include "block.h"'), "tests/lab/tools/block.h": SPDX}
    assert findings(house.layers, files) == []


def test_pure(findings):
    assert len(findings(house.pure, included("ha/core", '#include "base/clock.h"\n#include <time.h>'))) == 2
    assert findings(house.pure, included("ha/core", "#include <stdint.h>")) == []
    assert findings(house.pure, {"agent/daemon/a.c": "#include <time.h>\n", "ha/core/a.c": ""}) == []


@pytest.mark.parametrize("path, header, n", [
    ("ha/core/a.c", "corosync/cpg.h", 1),
    ("ha/transport/cpg.c", "corosync/cpg.h", 0),
    ("ha/core/a.c", "nobody/knows.h", 1),
    ("ha/core/a.c", "linux/netlink.h", 0),
    ("ha/core/a.c", "stdatomic.h", 0),
])
def test_doors(findings, path, header, n):
    files = {"tests/policy/doors": "# comment\ncorosync/cpg.h ha/transport/cpg.c\n", path: SPDX + f"#include <{header}>\n"}
    assert len(findings(house.doors, files)) == n


@pytest.mark.parametrize("line, n", [
    ('\tsystem("reboot");', 1),
    ("\tstrcpy(a, b);", 1),
    ("\tn = atoi(s);", 1),
    ("\tp = malloc(4);", 1),
    ("\tsprintf(a, b); strcat(a, b);", 2),
    ("\tops->system(x);", 0),  # a member of that name
    ("\tmy_system(x);", 0),
    ('\tprintf("system(");', 0),
    ("\t/* system() is banned */", 0),
    ("\tstrtok_r(a, b, &c);", 0),
])
def test_banned(findings, line, n):
    assert len(findings(house.banned, {"ha/core/a.c": SPDX + line + "\n"})) == n


def test_banned_in_tests(findings):
    text = "\tusleep(5);\n\tstrcpy(a, b);\n\tp = malloc(4);\n"
    assert [f.split(":")[1] for f in findings(house.banned, {"tests/unit/test_a.c": text})] == ["1"]


def test_hidden_clock(findings):
    line = "\tclock_gettime(CLOCK_MONOTONIC, &ts);\n"
    assert len(findings(house.hidden_clock, {"base/clock.c": line, "ha/core/a.c": line, "tests/unit/t.c": line})) == 1


def test_quiet_libraries(findings):
    files = {"ha/core/a.c": '\tlog_info("x");\n\tlog_debug("y");\n', "agent/daemon/a.c": '\tlog_info("x");\n'}
    assert [f.split(":")[:2] for f in findings(house.quiet_libraries, files)] == [["ha/core/a.c", "1"]]


def test_unfinished(findings):
    assert len(findings(house.unfinished, {"ha/a.c": "/* TO" "DO: later */\n", "docs/x.md": "mastodon\n"})) == 1


def test_licence(findings):
    files = {"ha/a.h": "int a;\n", "ha/b.h": SPDX, "ha/c.h": SPDX.splitlines()[0] + "\nint c;\n", "x.sh": "#!/bin/sh\n",
             "tool": "#!/usr/bin/python3\n", "ha/b.c": SPDX.splitlines()[0] + "\n\nint b;\n", "data.txt": "no licence needed"}
    assert sorted(f.split(":")[0] for f in findings(house.licence, files)) == ["ha/a.h", "ha/c.h", "tool", "x.sh"]


@pytest.mark.parametrize("line, n", [
    ("cd /wo" "rk/main", 1),
    ("see https:/" "/mirror.invalid/debian", 1),
    ("see https://www.kernel.org/doc", 0),
    ("the /workers/ folder, ./wo" "rk/x", 0),
])
def test_machine(findings, line, n):
    assert len(findings(house.machine, {"README.md": line + "\n"})) == n


def test_compiled(findings):
    files = {"ha/core/a.c": "", "ha/core/b.c": "", "tests/unit/test_c.c": "", "tests/lab/tool.c": ""}
    found = findings(house.compiled, files, c_sources=["ha/core/a.c"])
    assert [f.split(":")[0] for f in found] == ["ha/core/b.c", "tests/unit/test_c.c"]


def test_versions(findings):
    changelog = "lunward (0.1.0) UNRELEASED; urgency=medium\n"
    assert findings(house.versions, {"VERSION": "0.1.0\n", "packaging/debian/changelog": changelog}) == []
    assert len(findings(house.versions, {"VERSION": "0.2.0\n"})) == 1


def test_exported_variables(findings, tmp_path):
    (tmp_path / "a.c").write_text("int loud = 1; int louder; __thread int own; static int quiet; const int table[2] = {1, 2};\n"
                                  "const char *const names[] = {\"a\"}; int f(void); int f(void) { return quiet++; }\n")
    subprocess.run("gcc -fPIE -c a.c && ar rcs liba.a a.o", shell=True, cwd=tmp_path, check=True)
    found = findings(house.exported_variables, {}, archives=[str(tmp_path / "liba.a")])
    assert sorted(re.search(r"variable (\w+)", f).group(1) for f in found) == ["loud", "louder", "own"]


def test_headers_alone(findings):
    files = {"ha/good.h": "#include <stdint.h>\nuint32_t f(void);\n", "ha/bad.h": "uint32_t g(void);\n"}
    assert [f.split(":")[0] for f in findings(house.headers_alone, files)] == ["ha/bad.h"]


HELP = """#!/bin/sh
echo 'usage: tool [--loud] VERB'
echo '  move GROUP NODE   moves'
echo '  config show       shows'
"""


def test_manual(findings, tmp_path):
    tool = tmp_path / "tool"
    tool.write_text(HELP)
    tool.chmod(0o755)
    good = "*--loud*\n\n*move* _group_\n\n*config show*\n"
    page = "docs/man/tool.8.scd"
    assert findings(house.manual, {page: good}, programs=[str(tool)]) == []
    assert len(findings(house.manual, {page: good.replace("*move*", "*shove*")}, programs=[str(tool)])) == 1
    assert len(findings(house.manual, {page: good + "*--quiet*\n"}, programs=[str(tool)])) == 1
    assert len(findings(house.manual, {page: good.replace("--loud", "loud")}, programs=[str(tool)])) == 1
    os.remove(tmp_path / page)
    assert len(findings(house.manual, {}, programs=[str(tool)])) == 1


def test_scripts():
    """The linters are given this tree's scripts."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for kind, known in (("sh", "packaging/install-build-deps"), ("python", "tests/check")):
        out = subprocess.run(["tests/policy/scripts", kind], cwd=root, capture_output=True, text=True, check=True).stdout
        assert known in out.split()


def test_every_rule_is_tested():
    """A rule without a test of its own is a rule nobody has seen fail."""
    with open(__file__, encoding="utf-8") as f:
        text = f.read()
    assert [c.__name__ for c in house.CHECKS if f"house.{c.__name__}," not in text] == []

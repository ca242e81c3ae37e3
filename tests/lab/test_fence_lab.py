# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_lab's side that Pacemaker and lunwardd see, against a fence device made of a pseudo-terminal."""
import json
import os
import pty
import subprocess
import threading
import tty
import xml.etree.ElementTree as ET

import pytest

AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fence_lab")


def run(arguments=(), stdin="", port="/nonexistent/port", lock="/nonexistent/lock"):
    return subprocess.run(["/usr/bin/python3", "-ISB", AGENT, *arguments], input=stdin, capture_output=True, text=True, check=False,
                          timeout=30, env={**os.environ, "FENCE_LAB_PORT": port, "FENCE_LAB_LOCK": str(lock)})


@pytest.fixture(name="device")
def fixture_device(tmp_path):
    """Runs the agent against a device that answers each request as `answer` says; returns what was asked as well."""
    def fence(answer, *arguments, stdin=""):
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        asked = []

        def serve():
            try:
                request = json.loads(os.read(ours, 4096))
            except OSError:
                return
            asked.append(request)
            for line in answer(request):
                os.write(ours, (json.dumps(line) + "\n").encode())
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        done = run(arguments, stdin, os.ttyname(theirs), tmp_path / "lock")
        os.close(theirs)
        thread.join(5)
        os.close(ours)
        return done, asked[0] if asked else None
    return fence


def done(state):
    return lambda request: [{"id": request["id"], "ok": True, "state": state}]


@pytest.mark.parametrize("arguments, stdin", [
    ((), "# comment\naction=off\nport=n2\nunknown=1\n"),
    ((), "option=off\nnodename=n2\n"),
    (("-o", "off", "-n", "n2"), ""),
    (("--action=off", "--plug=n2"), ""),
    (("--action", "off", "--plug", "n2"), ""),
])
def test_each_way_to_call_it(device, arguments, stdin):
    result, asked = device(done("off"), *arguments, stdin=stdin)
    assert result.returncode == 0, result.stderr
    assert (asked["action"], asked["plug"]) == ("off", "n2")


@pytest.mark.parametrize("state, status", [("on", 0), ("off", 2)])
def test_status(device, state, status):
    assert device(done(state), "-o", "status", "-n", "n2")[0].returncode == status


def test_off_that_left_the_machine_on_is_no_success(device):
    assert device(done("on"), "-o", "off", "-n", "n2")[0].returncode == 1


def test_the_answer_to_somebody_else_is_passed_over(device):
    result, _ = device(lambda r: [{"id": r["id"] + 1, "ok": True, "state": "off"}, {"id": r["id"], "ok": False, "error": "broken"}],
                       "-o", "off", "-n", "n2")
    assert result.returncode == 1 and "broken" in result.stderr


def test_silence_is_a_failure_in_time(device):
    result, _ = device(lambda r: [], "-o", "off", "-n", "n2", "--timeout", "0.3")
    assert result.returncode == 1 and "no answer" in result.stderr


def test_metadata_and_mistakes(tmp_path):
    agent = ET.fromstring(run(("-o", "metadata")).stdout)
    assert {a.get("name") for a in agent.iter("action")} >= {"off", "on", "reboot", "status", "monitor", "metadata"}
    assert run(stdin="action=explode\nplug=n1\n").returncode == 1
    assert run(stdin="action=off\n").returncode == 1
    assert run(stdin="action=off\nplug=n1\n", lock=tmp_path / "lock").returncode == 1  # no device

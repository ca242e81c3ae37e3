#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""lunward drill against the daemon that only talks, with the log of a probe that runs. Run as a program it is pytest with TAP lines, which
tests/run-unit counts.
"""
import json
import os
import signal
import subprocess
import sys
import time

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from test_cli import BUILD, Fake, on_terminal, state  # noqa: E402

MOVE_STEPS = [["n1", "release", 0], ["n1", "gate", 40], ["n2", "promote", 210], ["n2", "ALUA", 390]]
CRASH_STEPS = [["n2", "membership lost", 0], ["n2", "fencing", 10], ["n2", "fence evidence", 5000], ["n2", "ALUA", 5600], ["n2", "portal", 9000]]


def with_steps(steps, owner="n1", **more):
    status = state("healthy")
    begin = time.time_ns() // 1000000
    status["groups"][0].update(owner=owner, last_change={"epoch": 8, "steps": [
        {"node": node, "step": step, "at_ms": begin + at, "took_ms": 0} for node, step, at in steps]}, **more)
    return status


@pytest.fixture
def fake(tmp_path):
    made = Fake(tmp_path)
    made.history = tmp_path / "drills.jsonl"
    made.drill = lambda *args: made.run("drill", "--history-file", str(made.history), *args)
    made.kept = lambda: [json.loads(line) for line in made.history.read_text().splitlines()]
    yield made
    made.close()


class Probe:
    """lunward-probe, or a storage that is slow: probe-faults."""

    def __init__(self, folder, faults=""):
        area, self.log = folder / "area", folder / "probe.log"
        area.write_bytes(bytes(65536))
        program = "tests/unit/probe-faults" if faults else "lunward-probe"
        self.process = subprocess.Popen([os.path.join(BUILD, program), "run", area, "--log", self.log, "--depth", "1", "--read-percent", "0"],
                                        env={**os.environ, "PROBE_FAULTS": faults}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end = time.monotonic() + 60
        while not self.log.exists() or b"\nA " not in self.log.read_bytes():
            if self.process.poll() is not None:
                pytest.skip(f"no probe here: {self.process.communicate()[1].decode()}")
            assert time.monotonic() < end
            time.sleep(0.02)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)


@pytest.fixture(name="start_probe")
def fixture_start_probe(tmp_path):
    started = []

    def start(faults=""):
        started.append(Probe(tmp_path, faults))
        return started[-1]
    yield start
    for probe in started:
        probe.end()


def test_a_move_as_promised(fake):
    fake.start(status={"result": with_steps(MOVE_STEPS)}, move={"result": {}})
    done = fake.drill("g1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "from the first step to the last: 390 ms" in done.stdout and "as promised: 390 ms, at most 2000" in done.stdout
    assert [fake.request() for _ in range(2)][1] == {"command": "move", "args": {"group": "g1", "node": "n2"}}
    kept = fake.kept()
    assert len(kept) == 1
    assert {k: kept[0][k] for k in ("group", "kind", "from", "to", "ok", "reason", "agent_ms", "pause_ms", "measured_ms", "limit_ms")} == {
        "group": "g1", "kind": "move", "from": "n1", "to": "n2", "ok": True, "reason": "", "agent_ms": 390, "pause_ms": None,
        "measured_ms": 390, "limit_ms": 2000}
    assert len(kept[0]["steps"]) == 4


def test_a_move_that_takes_too_long(fake):
    fake.start(status={"result": with_steps(MOVE_STEPS + [["n2", "portal", 2001]])}, move={"result": {}})
    done = fake.drill("g1", "--format", "json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["ok"], said["reason"]) == (1, False, "it took 2001 ms, 2000 ms are promised")
    assert fake.kept() == [said]


def test_a_move_that_fails_is_kept_too(fake):
    fake.start(status={"result": with_steps([])}, move={"error": [5, "n2 could not promote it"]})
    done = fake.drill("g1")
    assert done.returncode == 1 and "NOT AS PROMISED: n2 could not promote it" in done.stdout
    assert [(d["ok"], d["reason"], d["measured_ms"]) for d in fake.kept()] == [(False, "n2 could not promote it", None)]


def test_what_is_refused_is_not_kept(fake):
    fake.start(status={"result": with_steps([])}, move={"error": [13, "only root"]})
    assert fake.drill("g1").returncode == 5
    assert fake.kept() == []


@pytest.mark.parametrize("change, text, code", [
    ({"current": ["n1"]}, "has no spare", 1),
    ({"ready": ["n1"]}, "has no spare", 1),
    ({"phase": "free"}, "is free", 1),
])
def test_nothing_is_moved_without_a_spare(fake, change, text, code):
    fake.start(status={"result": with_steps([], **change)})
    done = fake.drill("g1")
    assert done.returncode == code and text in done.stderr and fake.kept() == []


def test_groups_that_are_none(fake):
    fake.start(status={"result": with_steps([])})
    assert fake.drill("gg").returncode == 4
    assert fake.drill().returncode == 2


def test_a_history_that_cannot_be_written_stops_it_before(fake, tmp_path):
    fake.start(status={"result": with_steps(MOVE_STEPS)}, move={"result": {}})
    fake.history = tmp_path / "none" / "drills.jsonl"
    done = fake.drill("g1")
    assert done.returncode == 4 and str(fake.history) in done.stderr
    fake.run("version")
    assert fake.request()["command"] == "version"  # nothing was asked before


# --- what hosts see ------------------------------------------------------------------------------------------------------------

def test_the_probe_is_asked(fake, start_probe):
    probe = start_probe()
    fake.start(status={"result": with_steps(MOVE_STEPS)}, move={"result": {}})
    done = fake.drill("g1", "--probe-log", str(probe.log))
    kept = fake.kept()[0]
    assert (done.returncode, kept["ok"], kept["failed_writes"]) == (0, True, 0), done
    assert 0 < kept["pause_ms"] <= 2000 and kept["measured_ms"] == kept["pause_ms"]
    assert f"hosts paused for {kept['pause_ms']} ms" in done.stdout


def test_a_pause_that_only_the_probe_sees(fake, start_probe):
    probe = start_probe("delay=0:2:2600,delay=1:2:2600,delay=2:2:2600,delay=3:2:2600")
    fake.start(status={"result": with_steps(MOVE_STEPS)}, move={"result": {}})
    done = fake.drill("g1", "--probe-log", str(probe.log))
    kept = fake.kept()
    if not kept:
        pytest.fail(f"the probe was not heard: {done.stderr}")
    assert done.returncode == 1 and kept[0]["pause_ms"] > 2000 and "are promised" in kept[0]["reason"]


def test_writes_that_fail_are_seen(fake, start_probe):
    probe = start_probe(",".join(f"refuse={b}:2" for b in range(4)))
    fake.start(status={"result": with_steps(MOVE_STEPS)}, move={"result": {}})
    done = fake.drill("g1", "--probe-log", str(probe.log))
    assert done.returncode == 1 and fake.kept()[0]["failed_writes"] > 0, done


def test_a_probe_that_does_not_run(fake, start_probe):
    probe = start_probe()
    probe.end()
    lines = probe.log.read_text().splitlines()
    head = lines[0].split()
    head[5] = str(int(head[5]) - 60000)
    probe.log.write_text("\n".join([" ".join(head), *lines[1:]]) + "\n")
    fake.start(status={"result": with_steps(MOVE_STEPS)}, move={"result": {}})
    done = fake.drill("g1", "--probe-log", str(probe.log))
    assert done.returncode == 4 and "no probe runs, or its clock is wrong" in done.stderr and fake.kept() == []


# --- a crash --------------------------------------------------------------------------------------------------------------------

def test_a_crash_as_promised(fake):
    before, after = with_steps([]), with_steps(CRASH_STEPS, owner="n2")
    fake.start(status={"results": [before, before, after]}, fence_owner={"result": {"node": "n1"}})
    done = fake.drill("g1", "--crash", "--yes")
    assert done.returncode == 0 and "n1 is being fenced" in done.stderr and "as promised: 600 ms, at most 1500" in done.stdout
    assert [fake.request()["command"] for _ in range(4)] == ["status", "fence-owner", "status", "status"]
    assert [(d["kind"], d["from"], d["to"], d["agent_ms"]) for d in fake.kept()] == [("crash", "n1", "n2", 600)]


def test_a_crash_after_which_nobody_serves(fake):
    fake.start(status={"result": with_steps([])}, fence_owner={"result": {"node": "n1"}})
    done = fake.drill("g1", "--crash", "--yes", "--timeout", "1")
    assert done.returncode == 1 and "not served by another node yet" in done.stdout
    assert [d["ok"] for d in fake.kept()] == [False]


def test_a_crash_that_the_daemon_refuses(fake):
    fake.start(status={"result": with_steps([])}, fence_owner={"error": [16, "this node cannot fence itself"]})
    done = fake.drill("g1", "--crash", "--yes")
    assert done.returncode == 1 and "cannot fence itself" in done.stderr and fake.kept() == []


def test_nobody_is_fenced_without_being_asked(fake):
    fake.start(status={"result": with_steps([])}, fence_owner={"result": {"node": "n1"}})
    done = fake.drill("g1", "--crash")
    assert done.returncode == 2 and "needs --yes" in done.stderr
    shown, code = on_terminal(fake, ["drill", "g1", "--crash", "--history-file", str(fake.history)], None, say=("have it so", "n2\n"))
    assert code == 1 and "nothing was done" in shown
    fake.run("version")
    assert [fake.request()["command"] for _ in range(3)] == ["status", "status", "version"]


def test_the_name_is_enough_of_an_answer(fake):
    fake.start(status={"results": [with_steps([]), with_steps(CRASH_STEPS, owner="n2")]}, fence_owner={"result": {"node": "n1"}})
    shown, code = on_terminal(fake, ["drill", "g1", "--crash", "--history-file", str(fake.history)], None, say=("have it so", "n1\n"))
    assert code == 0 and "as promised" in shown


# --- history ----------------------------------------------------------------------------------------------------------------------

def test_history(fake):
    assert fake.drill("--history").stdout == "no drill yet\n"
    for last in (300, 500, 2500):
        fake.close()
        fake.start(status={"result": with_steps([["n1", "release", 0], ["n2", "ALUA", last]])}, move={"result": {}})
        fake.drill("g1")
    done = fake.drill("--history")
    assert done.returncode == 0
    assert "planned moves: 3 drills, 1 not as promised; min 300, median 500, 95% 2500, max 2500 ms" in done.stdout
    assert done.stdout.count(" from n1 to n2: ") == 3
    said = json.loads(fake.drill("--history", "--format", "json").stdout)
    assert len(said["drills"]) == 3 and said["summary"]["move"]["median_ms"] == 500
    assert fake.drill("--history", "other").stdout == "no drill yet\n"


def test_a_history_that_is_none(fake):
    fake.history.write_text("what?\n")
    done = fake.drill("--history")
    assert done.returncode == 4 and f"{fake.history}: line 1" in done.stderr


if __name__ == "__main__":
    tap.main(__file__, "-rs")

#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""lunward-probe as its users run it, on files: what it refuses to overwrite, and that each fault of the storage is found, by the run
itself or by `verify` afterwards. The faults are those of probe_faults.c. Run as a program it is pytest with TAP lines, which
tests/run-unit counts.
"""
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
import tap

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build/gcc"))
PROBE = os.path.join(BUILD, "lunward-probe")
FAULTY = os.path.join(BUILD, "tests/unit/probe-faults")
MAN = os.path.join(ROOT, "docs/man/lunward-probe.8.scd")
COMPLETION = os.path.join(ROOT, "probe/completion/lunward-probe")
LIMIT_S = 120
BLOCK = 4096
BLOCKS = 16


def wait_until(condition, what):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def acks(log, what="A"):
    """How often each block was acknowledged; "I": begun."""
    counts = {}
    for line in log.read_bytes().decode().split("\n")[:-1] if log.exists() else []:  # the last may be on its way
        if line.startswith(what + " "):
            block = int(line.split()[2])
            counts[block] = counts.get(block, 0) + 1
    return counts


def patch(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)


def block_of(path, number):
    return path.read_bytes()[number * BLOCK:(number + 1) * BLOCK]


@pytest.fixture(scope="session", name="direct")
def fixture_direct(tmp_path_factory):
    """Where O_DIRECT works: tmpfs has it since Linux 6.6."""
    folder = tmp_path_factory.mktemp("direct")
    probe = folder / "probe"
    probe.write_bytes(bytes(BLOCK))
    try:
        os.close(os.open(probe, os.O_RDWR | os.O_DIRECT))
    except OSError:
        pytest.skip(f"{folder} is on a file system without O_DIRECT")


class World:
    """An area, a log, and the probe."""

    def __init__(self, folder):
        self.area, self.log = folder / "area", folder / "log"
        self.area.write_bytes(bytes(BLOCKS * BLOCK))
        self.process = None

    def start(self, *options, faults="", log=None):
        self.process = subprocess.Popen(
            [FAULTY if faults else PROBE, "run", self.area, "--log", log or self.log, "--format", "json", "--rate", "0", "--depth", "2",
             *options], env={**os.environ, "PROBE_FAULTS": faults}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, sig=signal.SIGINT):
        self.process.send_signal(sig)
        out, err = self.process.communicate(timeout=LIMIT_S)
        assert "Sanitizer" not in err, err
        return self.process.returncode, json.loads(out) if out else None, err

    def run(self, *options, faults="", until=None):
        """Runs until the log says enough: by default each block was written some times."""
        self.start(*options, faults=faults)
        wait_until(until or (lambda: len(acks(self.log)) == BLOCKS and min(acks(self.log).values()) > 5), "writes")
        return self.end()

    def verify(self, *options, log=None):
        done = subprocess.run([PROBE, "verify", log or self.log, "--format", "json", *options], capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


@pytest.fixture(name="world")
def fixture_world(tmp_path, direct):  # pylint: disable=unused-argument
    world = World(tmp_path)
    yield world
    if world.process and world.process.poll() is None:
        world.process.kill()
        world.process.communicate()


def faults_of(data):
    return {k: v for k, v in data.items() if isinstance(v, int) and v and k not in ("blocks", "complete", "unfinished")}


# --- what is well ------------------------------------------------------------------------------------------------------------

def test_a_clean_run(world):
    code, said, err = world.run("--max-pause", "100000")
    assert (code, said["verdict"], said["reasons"]) == (0, "clean", "")
    assert "file system of the area" in err
    assert said["errors"] == {"reads": 0, "writes": 0} and said["stuck"] == 0
    assert said["writes"] == sum(acks(world.log).values()) and said["reads"] > BLOCKS
    assert said["data"]["blocks"] == BLOCKS and said["data"]["complete"] and not faults_of(said["data"])
    assert sum(b["operations"] for b in said["histogram"]) == said["writes"] + said["reads"]
    code, again, _ = world.verify()
    assert (code, again["verdict"], again["writes"], again["ended"]) == (0, "clean", said["writes"], True)
    assert again["data"]["blocks"] == BLOCKS


def test_text(world):
    subprocess.run([PROBE, "run", world.area, "--log", world.log, "--seconds", "1"], check=True, capture_output=True)
    done = subprocess.run([PROBE, "verify", world.log], check=True, capture_output=True, text=True)
    assert re.search(r"^verdict     clean$", done.stdout, flags=re.M), done.stdout
    other = world.log.with_name("log2")
    done = subprocess.run([FAULTY, "run", world.area, "--log", other, "--seconds", "1", "--rate", "0"], capture_output=True, text=True,
                          env={**os.environ, "PROBE_FAULTS": "lose=3:2,delay=1:2:300"}, check=False)
    assert done.returncode == 1
    assert re.search(r"^verdict     faulty: 1 block lost$", done.stdout, flags=re.M), done.stdout
    assert re.search(r"^            block 3 \(byte 12288\) lost: write \d+ acknowledged", done.stdout, flags=re.M)
    assert re.search(r"^  <=    500 +[1-9]", done.stdout, flags=re.M)


def test_it_ends_when_the_time_is_over(world):
    began = time.monotonic()
    done = subprocess.run([PROBE, "run", world.area, "--log", world.log, "--seconds", "2"], capture_output=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0 and time.monotonic() - began >= 2


def test_a_later_run_makes_an_older_log_undecided(world):
    world.run()
    first = world.log
    world.log = first.with_name("log2")
    assert world.run()[0] == 0
    code, said, _ = world.verify(log=first)
    assert (code, said["verdict"], said["data"]["superseded"]) == (3, "undecided", BLOCKS)
    assert world.verify()[0] == 0


def test_offset_length_and_new_file(world):
    path = world.area.with_name("new")
    subprocess.run([PROBE, "run", path, "--create", "--offset", "8KiB", "--length", "32KiB", "--log", world.log, "--seconds", "1",
                    "--rate", "0"], check=True, capture_output=True)
    data = path.read_bytes()
    assert len(data) == 40960 and not any(data[:8192]) and any(data[8192:12288])
    assert world.verify()[1]["data"]["blocks"] == 8
    patch(path, 8192 + 5 * BLOCK, bytes(BLOCK))
    assert [e["block"] for e in world.verify()[1]["data"]["examples"]] == [5]


def test_another_place_can_be_verified(world):
    """A copy: on the other node, or a snapshot."""
    world.run()
    copy = world.area.with_name("copy")
    shutil.copy(world.area, copy)
    patch(copy, 0, bytes(BLOCK))
    assert world.verify()[0] == 0
    code, said, _ = world.verify("--area", copy)
    assert code == 1 and said["data"]["lost"] == 1


def test_status_while_it_runs(world):
    status = world.area.with_name("status")
    world.start("--status", status)
    wait_until(lambda: status.exists() and json.loads(status.read_text())["writes"] > 50, "the status")
    assert "verdict" not in json.loads(status.read_text())
    assert world.end()[0] == 0


# --- faults that the run finds ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("fault, found, blocks", [
    ("lose=5:3", {"lost": 1}, {5}),
    ("tear=5:3", {"torn": 1}, {5}),
    ("flip=5:1", {"corrupt": 1}, {5}),
    ("revert=5:1", {"lost": 1}, {5}),
    ("misread=5:1", {"misplaced": 1}, {5}),
    ("lose=0:2,lose=7:4", {"lost": 2}, {0, 7}),
])
def test_faults_of_the_storage(world, fault, found, blocks):
    code, said, _ = world.run(faults=fault)
    assert (code, said["verdict"]) == (1, "faulty")
    assert faults_of(said["data"]) == found
    assert {e["block"] for e in said["data"]["examples"]} == blocks
    assert said["errors"] == {"reads": 0, "writes": 0}


def test_old_data_that_is_seen_once(world):
    """One path or node that answers from a stale copy: in the end all is as it should be."""
    code, said, _ = world.run(faults="flash=5:3", until=lambda: acks(world.log).get(5, 0) > 100)
    assert code == 1 and faults_of(said["data"]) == {"lost": 1}
    assert world.verify()[0] == 0


def test_refused_writes_are_errors_but_no_loss(world):
    code, said, _ = world.run(faults="refuse=5:3", until=lambda: b"\nE " in world.log.read_bytes() if world.log.exists() else False)
    assert code == 1 and said["errors"]["writes"] > 0 and not faults_of(said["data"])
    assert "writes failed" in said["reasons"]
    code, said, _ = world.verify()
    assert (code, said["failed_writes"] > 0) == (0, True)


def test_refused_reads_are_errors_and_unreadable_in_the_end(world):
    code, said, _ = world.run(faults="deny=5:1")
    assert code == 1 and said["errors"]["reads"] > 0 and faults_of(said["data"]) == {"unreadable": 1}


def test_a_failed_write_that_lands_later_is_a_loss(world):
    code, said, _ = world.run(faults="ghost=5:3")
    assert code == 1 and said["errors"]["writes"] == 1 and faults_of(said["data"]) == {"lost": 1}
    assert world.verify()[1]["data"]["lost"] == 1


@pytest.mark.parametrize("depth", ["1", "2"])
def test_a_pause(world, depth):
    """A delay of a write is found whatever the other stream does; it is a pause of all if there is no other."""
    code, said, _ = world.run("--max-pause", "1200", "--depth", depth, faults="delay=4:3:1500")
    assert code == 1 and "a pause of 1." in said["reasons"] and said["longest_operation_ms"] >= 1500
    assert not faults_of(said["data"]) and said["errors"] == {"reads": 0, "writes": 0}
    if depth == "1":
        longest = said["longest_pause"]
        assert longest["ms"] >= 1500 and longest in said["pauses"]
        assert sum(b["pauses"] for b in said["histogram"]) == len(said["pauses"])
        assert said["histogram"][10]["up_to_ms"] == 2000 and said["histogram"][10]["pauses"] >= 1


def test_the_same_pause_is_clean_when_it_is_allowed(world):
    code, said, _ = world.run("--max-pause", "100000", faults="delay=4:3:1500")
    assert code == 0 and said["longest_operation_ms"] >= 1500


def third_of_block_4_hangs(world):
    return acks(world.log).get(5, 0) > 20 and acks(world.log, "I").get(4) == 3


def test_a_write_that_does_not_come_back(world):
    code, said, _ = world.run("--patience", "1", faults="hang=4:3", until=lambda: third_of_block_4_hangs(world))
    assert code == 1 and said["stuck"] == 1 and "have not come back" in said["reasons"] and not said["data"]["complete"]
    code, said, _ = world.verify()
    assert code == 0 and not said["ended"]  # nothing that was acknowledged is missing


def test_a_second_signal_ends_the_waiting(world):
    world.start("--patience", "86400", faults="hang=4:3")
    wait_until(lambda: third_of_block_4_hangs(world), "writes")
    world.process.send_signal(signal.SIGTERM)
    # Signals of one kind that wait for the same process are one: the second must be sent when the first was taken.
    pending = f"/proc/{world.process.pid}/status"
    wait_until(lambda: "ShdPnd:\t0000000000000000" in open(pending, encoding="ascii").read(), "the first signal to be taken")
    code, said, _ = world.end(signal.SIGTERM)
    assert code == 1 and said["stuck"] == 1


def test_another_probe_on_the_same_blocks_is_noticed(world):
    """On a file the lock keeps it out; two hosts of one volume have no lock in common."""
    other = world.area.with_name("other")
    shutil.copy(world.area, other)
    world.start()
    wait_until(lambda: len(acks(world.log)) == BLOCKS, "writes")
    subprocess.run([PROBE, "run", other, "--log", world.area.with_name("log2"), "--seconds", "1", "--rate", "0"], check=True, capture_output=True)
    os.kill(world.process.pid, signal.SIGSTOP)
    patch(world.area, 0, other.read_bytes())
    os.kill(world.process.pid, signal.SIGCONT)
    code, said, _ = world.end()
    assert code == 3 and said["verdict"] == "undecided" and said["data"]["superseded"] > 0


# --- faults that only the log can tell ------------------------------------------------------------------------------------------

def test_rolled_back_storage_is_found(world):
    world.start()
    wait_until(lambda: len(acks(world.log)) == BLOCKS, "writes")
    os.kill(world.process.pid, signal.SIGSTOP)
    old = world.area.read_bytes()
    os.kill(world.process.pid, signal.SIGCONT)
    before = acks(world.log)
    wait_until(lambda: all(acks(world.log)[b] > n + 2 for b, n in before.items()), "more writes")
    world.end(signal.SIGKILL)
    assert world.verify()[0] == 0
    world.area.write_bytes(old)
    code, said, _ = world.verify()
    assert code == 1 and faults_of(said["data"]) == {"lost": BLOCKS}
    assert "goes on or was cut off" in subprocess.run([PROBE, "verify", world.log], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("what, found", [
    (lambda area: patch(area, 5 * BLOCK, bytes(BLOCK)), {"lost": 1}),
    (lambda area: patch(area, 5 * BLOCK + 512, bytes(512)), {"torn": 1}),
    (lambda area: patch(area, 5 * BLOCK + 100, b"?"), {"corrupt": 1}),
    (lambda area: patch(area, 5 * BLOCK, block_of(area, 6)), {"misplaced": 1}),
    (lambda area: patch(area, 5 * BLOCK, b"somebody else"), {"foreign": 1}),
    (lambda area: os.truncate(area, 5 * BLOCK), {"unreadable": BLOCKS - 5}),
])
def test_what_happens_to_the_area_afterwards(world, what, found):
    world.run()
    assert world.verify()[0] == 0
    what(world.area)
    code, said, _ = world.verify()
    assert code == 1 and faults_of(said["data"]) == found


def test_a_log_that_lacks_its_end(world):
    """The machine of the log or its line died: what is newer on the device is no fault, unless the log says that it is whole."""
    world.run()
    lines = world.log.read_bytes().splitlines(keepends=True)
    world.log.write_bytes(b"".join(lines[:len(lines) // 2]) + b"A 1 2")
    code, said, _ = world.verify()
    assert code == 0 and said["data"]["unfinished"] > 0
    world.log.write_bytes(b"".join(lines[:len(lines) // 2]) + b"Z 1\n")
    code, said, _ = world.verify()
    assert code == 1 and set(faults_of(said["data"])) == {"unknown"}


@pytest.mark.parametrize("text", ["", "nonsense\n", "I 0 1 1 5\n"])
def test_a_log_that_is_none(world, text):
    world.log.write_text(text)
    code, said, err = world.verify()
    assert code == 3 and said is None and str(world.log) in err


def test_a_log_without_writes_proves_nothing(world):
    world.run()
    world.log.write_bytes(world.log.read_bytes().splitlines(keepends=True)[0])
    code, said, _ = world.verify()
    assert code == 3 and "no write was acknowledged" in said["reasons"]


# --- the log elsewhere --------------------------------------------------------------------------------------------------------

class Collector(threading.Thread):
    """What `socat -u` would be: writes down what it gets; with `limit` it hangs up after that much."""

    def __init__(self, family, address, path, limit=None):
        super().__init__(daemon=True)
        self.server, self.path, self.limit = socket.socket(family), path, limit
        self.server.bind(address)
        self.server.listen()
        self.start()

    def run(self):
        connection, _ = self.server.accept()
        got = 0
        with open(self.path, "wb", buffering=0) as out:
            while data := connection.recv(65536):
                out.write(data)
                got += len(data)
                if self.limit and got >= self.limit:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    break
        connection.close()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_log_over_a_socket(world, kind):
    if kind == "tcp":
        collector = Collector(socket.AF_INET, ("127.0.0.1", 0), world.log)
        where = f"tcp:127.0.0.1:{collector.server.getsockname()[1]}"
    else:
        address = str(world.log.with_name("s"))
        collector, where = Collector(socket.AF_UNIX, address, world.log), f"unix:{address}"
    world.start(log=where)
    wait_until(lambda: len(acks(world.log)) == BLOCKS, "writes")
    code, said, err = world.end()
    collector.join(LIMIT_S)
    assert code == 0 and err == ""
    code, again, _ = world.verify()
    assert (code, again["writes"], again["ended"]) == (0, said["writes"], True)


def test_a_log_that_breaks_ends_the_run(world):
    collector = Collector(socket.AF_INET, ("127.0.0.1", 0), world.log, limit=5000)
    world.start(log=f"tcp:127.0.0.1:{collector.server.getsockname()[1]}")
    out, _ = world.process.communicate(timeout=LIMIT_S)
    said = json.loads(out)
    assert world.process.returncode == 3 and said["verdict"] == "undecided" and "the log could not be kept" in said["reasons"]


def test_a_full_log_ends_the_run(world):
    world.start(log="/dev/full")
    _, err = world.process.communicate(timeout=LIMIT_S)
    assert world.process.returncode == 3 and "No space left" in err


# --- what it will not overwrite -------------------------------------------------------------------------------------------------

def attempt(world, *options, area=None):
    """Tries a run; the area must be as it was if it is refused."""
    area = area or world.area
    before = area.read_bytes() if area.is_file() else None
    done = subprocess.run([PROBE, "run", area, "--log", world.log, "--seconds", "1", *options], capture_output=True, text=True, check=False,
                          timeout=LIMIT_S)
    if done.returncode > 1 and before is not None:
        assert area.read_bytes() == before
    return done.returncode, done.stderr


@pytest.mark.parametrize("at", [0, 510, 40 * BLOCK + 17, (1 << 20) + 3 * BLOCK, (4 << 20) - 512])
def test_data_of_others_is_refused(world, at):
    """At the beginning, where marks are, in the area, and at the end; what is in the middle outside of the area is left alone."""
    world.area.write_bytes(bytes(4 << 20))
    patch(world.area, at, b"U\xaa")
    code, err = attempt(world, "--offset", "1MiB", "--length", "1MiB")
    assert code == 3 and "holds data that is not the probe's" in err and "--force-scratch-of" in err
    assert not world.log.exists()
    code, err = attempt(world, "--offset", "1MiB", "--length", "1MiB", "--force-scratch-of", "5MiB")
    assert code == 3 and "is not its size" in err
    code, err = attempt(world, "--offset", "1MiB", "--length", "1MiB", "--force-scratch-of", "4MiB")
    assert code == 0, err
    assert world.area.read_bytes()[:1 << 20].count(0) >= (1 << 20) - 2  # only the area was written


def test_its_own_data_is_scratch(world):
    assert attempt(world)[0] == 0
    world.log.unlink()
    assert attempt(world)[0] == 0


def test_what_another_probe_uses_is_refused(world):
    with open(world.area, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, err = attempt(world, "--force-scratch-of", str(BLOCKS * BLOCK))
        assert code == 3 and "in use" in err
    assert attempt(world)[0] == 0


def test_a_log_with_something_in_it_is_refused(world):
    world.log.write_text("evidence\n")
    code, err = attempt(world)
    assert code == 3 and "not empty" in err and world.log.read_text() == "evidence\n"


def test_names_that_are_no_areas(world, tmp_path):
    for area, text in ((tmp_path, "neither a block device nor a file"), (tmp_path / "none", "No such file"),
                       (tmp_path / "..", "neither a block device nor a file")):
        code, err = attempt(world, area=area)
        assert code == 3 and text in err
    code, err = attempt(world, "--create", "--length", "1MiB")
    assert code == 3 and "exists" in err
    code, err = attempt(world, "--length", "1MiB")
    assert code == 3 and "it has only 65536" in err
    code, err = attempt(world, "--length", "4KiB", "--depth", "2")
    assert code == 3 and "too small" in err


@pytest.fixture(name="loop")
def fixture_loop(world):
    """A block device of the test's own; it goes when its last user closes it."""
    if os.geteuid() != 0 or not shutil.which("losetup"):
        pytest.skip("no root, or no losetup")
    world.area.write_bytes(bytes(4 << 20))
    made = subprocess.run(["losetup", "--find", "--show", world.area], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop devices here: {made.stderr.strip()}")
    yield made.stdout.strip()
    subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


def test_a_device_in_use_is_refused_whatever_is_said(world, loop):
    def attempt_on_device(*options):
        done = subprocess.run([PROBE, "run", loop, "--log", world.log, "--seconds", "1", *options], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    held = os.open(loop, os.O_RDWR | os.O_EXCL)  # as a mount or a device on top has it
    for options in ((), ("--force-scratch-of", "4MiB")):
        code, err = attempt_on_device(*options)
        assert code == 3 and f"{loop} is in use" in err
    os.close(held)
    patch(world.area, (4 << 20) - 4096 + 1080, b"\x53\xef")
    os.sync()
    with open(loop, "rb") as device:
        fcntl.ioctl(device, 0x1261)  # BLKFLSBUF
    code, err = attempt_on_device()
    assert code == 3 and "holds data" in err
    assert attempt_on_device("--force-scratch-of", "1MiB")[0] == 3
    assert attempt_on_device("--force-scratch-of", "4MiB")[0] == 0
    assert world.verify()[0] == 0


# --- the command line -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("args", [
    [], ["walk"], ["run"], ["run", "a"], ["run", "a", "b", "--log", "l"], ["run", "a", "--log"], ["run", "a", "--lo", "l"],
    ["run", "a", "--log", "l", "--depth", "0"], ["run", "a", "--log", "l", "--depth", "65"], ["run", "a", "--log", "l", "--depth", "x"],
    ["run", "a", "--log", "l", "--depth", "2x"], ["run", "a", "--log", "l", "--depth", "-1"], ["run", "a", "--log", "l", "--seconds", "0"],
    ["run", "a", "--log", "l", "--length", "5000"], ["run", "a", "--log", "l", "--length", "4KB"], ["run", "a", "--log", "l", "--offset", "1"],
    ["run", "a", "--log", "l", "--offset", "99999999999999999999"], ["run", "a", "--log", "l", "--offset", "9999999999TiB"],
    ["run", "a", "--log", "l", "--create"], ["run", "a", "--log", "l", "--format", "xml"], ["run", "a", "--log", "l", "--create=1"],
    ["run", "a", "--log", "l", "--area", "b"], ["verify"], ["verify", "l", "--depth", "2"], ["verify", "l", "m"],
])
def test_usage(args, tmp_path):
    done = subprocess.run([PROBE, *args], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "" and "see `lunward-probe --help`" in done.stderr
    assert not os.listdir(tmp_path)


def help_options():
    shown = subprocess.run([PROBE, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  (--[a-z-]+)", shown, flags=re.M))


def test_help_and_version():
    assert {"--log", "--force-scratch-of", "--max-pause"} <= help_options()
    assert re.match(r"lunward-probe \d", subprocess.run([PROBE, "--version"], capture_output=True, text=True, check=True).stdout)


def complete(line):
    script = (f'source "{COMPLETION}"; COMP_WORDS=({line}); [[ "{line}" == *" " ]] && COMP_WORDS+=(""); '
              'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _lunward_probe lunward-probe "${COMP_WORDS[COMP_CWORD]}"; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=HERE)
    return sorted(w for w in done.stdout.split("\n") if w)


def test_completion_offers_what_there_is():
    assert complete("lunward-probe ") == ["--help", "--version", "run", "verify"]
    offered = set(complete("lunward-probe run x --")) | set(complete("lunward-probe verify x --")) | set(complete("lunward-probe --"))
    assert offered == help_options()
    assert complete("lunward-probe run --format ") == ["json", "text"]
    assert complete("lunward-probe verify test_probe.") == ["test_probe.py"]


if __name__ == "__main__":
    tap.main(__file__, "-rs")

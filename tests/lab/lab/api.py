# SPDX-License-Identifier: GPL-2.0-or-later
"""Lab and Node: what a test does with the machines."""
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from typing import Iterable, NamedTuple, Optional

from . import image as image_mod
from . import vm as vm_mod
from .wait import NeverComes, wait_until

TOP = os.path.dirname(os.path.dirname(image_mod.HERE))
BUILD = os.path.join(TOP, os.environ.get("O", "build"))
# What no kernel should say, whatever we did to it.
BAD_WORDS = re.compile(r"BUG:|WARNING:|Oops|blocked for more than|soft lockup|rcu.*(stall|self-detected)|"
                       r"general protection|Kernel panic|KASAN")
FRAME = re.compile(r"(?:\]|kernel:) +(\w+)(?:\.\w+)*\+0x")  # "[ 985.4]  schedule+0x5a/0xd0"; no "? guesses"
# iSER's initiator releases a connection in a worker that waits until the CM has given up asking its peer for a DREP: iser_release_work()
# waits for ib_completion, which comes with the end of all DREQs (CMA_MAX_CM_RETRIES). A peer without power for a minute shows so.
DEAD_ISER_PEER = r"blocked for more than.* < iser_release_work\b"
# A boot takes 20 s of processor time under emulation; how long that is depends on who else computes here.
BOOT_DEADLINE_S = 600


def complaints(lines: list) -> list:
    """The lines with bad words, each with the functions of the stack that follows it, innermost first: "said: a < b < c"."""
    found = []
    for i, line in enumerate(lines):
        if not BAD_WORDS.search(line):
            continue
        stack = []
        for below in lines[i + 1:i + 50]:
            if "</TASK>" in below or BAD_WORDS.search(below):
                break
            stack += FRAME.findall(below)
        found.append(line + (": " + " < ".join(stack) if stack else ""))
    return found


class LabError(RuntimeError):
    """The lab cannot do what it was asked for."""


class Result(NamedTuple):
    code: int
    out: str
    err: str


class CommandFailed(RuntimeError):
    def __init__(self, node: str, command: str, result: Result):
        super().__init__(f"{node}: {command!r} ended with {result.code}: {(result.err or result.out).strip()[-800:]}")
        self.result = result


class Unreachable(RuntimeError):
    """The machine does not answer: off, paused, or its deadline has passed."""


class Node:
    """A machine, on or off. Commands run as root through one kept ssh connection."""

    def __init__(self, lab: "Lab", name: str):
        self.lab = lab
        self.name = name
        self.machine = vm_mod.MACHINES[name]
        self.cluster_address = f"10.78.0.{self.machine.number}"
        self.san_address = f"10.77.0.{self.machine.number}"

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # --- commands --------------------------------------------------------------------------------

    def ssh_command(self, *options: str) -> list:
        """ssh as an argument list, to be run in the lab's run directory."""
        return ["ssh", "-F", "none", "-i", os.path.join(self.lab.image(), "ssh_key"), "-p", str(self._state()["ssh_port"]),
                "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR", "-o", "ControlMaster=auto", "-o", f"ControlPath={self.name}-{self._state()['boots']}.ssh",
                "-o", "ControlPersist=yes", "-o", "ConnectTimeout=60", *options, "root@127.0.0.1"]

    def run(self, command: str, timeout_s: float = 60, check: bool = True, stdin: Optional[bytes] = None) -> Result:
        """Runs a shell command. Raises CommandFailed (unless not `check`) or Unreachable."""
        try:
            done = subprocess.run(self.ssh_command() + ["--", command], cwd=self.lab.run_dir, timeout=timeout_s,
                                  input=stdin if stdin is not None else b"", capture_output=True, check=False)
        except subprocess.TimeoutExpired as e:
            raise Unreachable(f"{self.name}: {command!r} did not end within {timeout_s} s") from e
        result = Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        if result.code == 255 and re.search(r"^(ssh|mux_client|kex|Connection|Control socket|client_loop)", result.err, re.M):
            raise Unreachable(f"{self.name}: {result.err.strip()[-300:]}")
        if check and result.code:
            raise CommandFailed(self.name, command, result)
        return result

    def out(self, command: str, timeout_s: float = 60) -> str:
        """Standard output of a command that must succeed, without the last newline."""
        return self.run(command, timeout_s).out.rstrip("\n")

    def start(self, command: str) -> subprocess.Popen:
        """Starts a command and returns at once; its output is on the pipes of the process returned."""
        return subprocess.Popen(self.ssh_command() + ["--", command], cwd=self.lab.run_dir, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def put(self, path: str, content, mode: int = 0o644) -> None:
        """Writes a file whole or not at all; `content` is text or bytes."""
        data = content.encode() if isinstance(content, str) else content
        quoted = shlex.quote(path)
        self.run(f"mkdir -p \"$(dirname {quoted})\" && cat >{quoted}.lab && chmod {mode:o} {quoted}.lab && mv {quoted}.lab {quoted}",
                 stdin=data)

    def enable_unit(self, unit: str) -> None:
        """Starts it, now and at each boot."""
        self.run(f"systemctl enable -q --now {unit} && echo {unit} >>/srv/state/enabled && sync -f /srv/state/enabled", timeout_s=60)

    def get(self, path: str) -> str:
        return self.run(f"cat {shlex.quote(path)}").out

    # --- power -----------------------------------------------------------------------------------

    def _state(self) -> dict:
        return self.lab.vm_state(self.name)

    def is_on(self) -> bool:
        return self.lab.status()["vms"][self.name]["on"]

    def power_cut(self) -> None:
        """As if the plug were pulled; returns when it is out."""
        self.lab.ask("power_cut", name=self.name)

    def power_on(self, wait: bool = True) -> None:
        self.lab.ask("power_on", name=self.name)
        if wait:
            self.wait_ready()

    def wait_ready(self, deadline_s: float = BOOT_DEADLINE_S) -> None:
        """Waits until the machine has booted and takes commands."""
        def booted():
            state = self.lab.status()["vms"][self.name]
            if not state["on"]:
                raise NeverComes(f"{self.name} is off")
            with open(self.lab.path(f"{self.name}.console"), "rb") as f:
                f.seek(state["console_start"])
                text = f.read()
            if b"LAB-DPKG-FAILED" in text:
                raise NeverComes(f"{self.name}: the packages did not install: {text[-1500:].decode(errors='replace')}")
            return b"LAB-READY" in text
        try:
            wait_until(booted, deadline_s, f"{self.name} to boot", 0.3, explain=lambda: self.console()[-600:])
        except NeverComes as e:
            raise LabError(str(e)) from e
        wait_until(lambda: self.run("true", timeout_s=60, check=False).code == 0, 90, f"{self.name} to take commands")

    def pause(self) -> None:
        """Stops the processors; the world goes on."""
        self.lab.ask("pause", name=self.name)

    def resume(self) -> None:
        self.lab.ask("resume", name=self.name)

    def panic(self) -> None:
        """Crashes the kernel, which then just sits there: power stays on."""
        self.run("(sleep 0.2; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &", check=False)

    # --- networks --------------------------------------------------------------------------------

    def cut(self, net: str, direction: str = "both") -> None:
        """Takes the machine off a net ("san", "clu"); `direction`: "both", "tx" (what it sends), "rx" (what it gets)."""
        self._cable("cut", net, direction)

    def heal(self, net: str, direction: str = "both") -> None:
        self._cable("heal", net, direction)

    def _cable(self, verb: str, net: str, direction: str) -> None:
        if direction not in ("both", "tx", "rx"):
            raise LabError(f"direction is both, tx or rx, not {direction}")
        if direction != "rx":
            self.lab.switch(f"{verb} {net} {self.name} *")
        if direction != "tx":
            self.lab.switch(f"{verb} {net} * {self.name}")

    # --- data disk -------------------------------------------------------------------------------

    def disk_fail(self, reads: bool = True, writes: bool = True) -> None:
        """From now on the data disk answers with I/O errors, until disk_heal()."""
        iotypes = [t for t, wanted in (("read", reads), ("write", writes), ("flush", writes)) if wanted]
        rules = [{"event": "none", "iotype": t, "errno": 5, "once": False} for t in iotypes]
        self.qmp("blockdev-add", {"driver": "blkdebug", "node-name": "data-bad", "image": "data-file", "inject-error": rules})
        self.qmp("blockdev-reopen", {"options": [self._data_options("data-bad")]})

    def disk_hang(self) -> None:
        """From now on the data disk answers nothing, until disk_heal(): what was asked meanwhile is then done."""
        self._throttle(bps=1)

    def disk_slow(self, iops: int) -> None:
        """From now on the data disk does so many operations per second, until disk_heal()."""
        self._throttle(iops=iops)

    def disk_heal(self) -> None:
        self._throttle()
        nodes = {n["node-name"] for n in self.qmp("query-named-block-nodes", {"flat": True})}
        if "data-bad" in nodes:
            self.qmp("blockdev-reopen", {"options": [self._data_options("data-file")]})
            self.qmp("blockdev-del", {"node-name": "data-bad"})

    # The block backend of a virtio-blk device belongs to its inner device.
    _DATA_DEVICE = "/machine/peripheral/data/virtio-backend"

    @staticmethod
    def _data_options(file: str) -> dict:
        return {"driver": "raw", "node-name": "data", "file": file, "cache": {"direct": False, "no-flush": True}}

    def _throttle(self, bps: int = 0, iops: int = 0) -> None:
        self.qmp("block_set_io_throttle", {"id": self._DATA_DEVICE, "bps": bps, "bps_rd": 0, "bps_wr": 0,
                                           "iops": iops, "iops_rd": 0, "iops_wr": 0})

    def qmp(self, command: str, arguments: Optional[dict] = None):
        return self.lab.ask("qmp", name=self.name, command=command, arguments=arguments)

    # --- looking ---------------------------------------------------------------------------------

    def console(self) -> str:
        """All that all boots of the machine have said on the console."""
        return self.lab.read(f"{self.name}.console")

    def journal(self) -> str:
        """The journal of all boots, as it was streamed out of the machine."""
        return self.lab.read(f"{self.name}.journal")


class Fence:
    """The fence device that fence_lab talks to."""

    def __init__(self, lab: "Lab"):
        self._lab = lab

    @property
    def mode(self) -> str:
        return self._lab.status()["fence_mode"]

    @mode.setter
    def mode(self, mode: str) -> None:
        """ok; fail: answers with an error; hang: never answers; lie: says done and does nothing."""
        self._lab.ask("set_fence_mode", mode=mode)

    def log(self) -> list:
        """The requests to change something so far: time, by, action, plug, mode and, when it was carried out, done."""
        return self._lab.status()["fence_log"]


class Lab:
    """One lab of this checkout; its files are in build/lab."""

    def __init__(self, directory: Optional[str] = None):
        self.dir = directory or os.path.join(BUILD, "lab")
        self.run_dir = self.path()
        self.host_dir = os.path.join(self.dir, "host")
        self.log_dir = os.path.join(self.dir, "logs")
        self.fence = Fence(self)
        self.nodes = {name: Node(self, name) for name in vm_mod.MACHINES}
        self.n1, self.n2, self.n3, self.h1 = (self.nodes[n] for n in ("n1", "n2", "n3", "h1"))
        self._speed: Optional[float] = None

    def path(self, *names: str) -> str:
        return os.path.join(self.dir, "run", *names)

    def read(self, name: str) -> str:
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    # --- life ------------------------------------------------------------------------------------

    def up(self, options: vm_mod.Options = vm_mod.Options(), machines: Iterable[str] = tuple(vm_mod.MACHINES),
           bound: bool = False) -> "Lab":
        """Starts a lab with empty disks and waits until its machines are ready. A `bound` lab goes down with this process."""
        if self.is_up():
            raise LabError(f"a lab is up in {self.dir}; take it down first (make lab-down)")
        if not shutil.which("qemu-system-x86_64"):
            raise LabError("qemu is missing; please run: apt-get install qemu-system-x86")
        image = image_mod.build()
        if vm_mod.accelerator() == "tcg" and not options.tsc_khz:
            options = options._replace(tsc_khz=int(subprocess.run([self.tool("tsc-khz")], stdout=subprocess.PIPE, check=True).stdout))
        for name in ("run", "disks"):
            shutil.rmtree(os.path.join(self.dir, name), ignore_errors=True)
        for name in ("run", "disks", "host", "logs"):
            os.makedirs(os.path.join(self.dir, name), exist_ok=True)
        self.share_files()
        config = {"image": image, "switch": self.tool("lab-switch"), "options": options._asdict(), "machines": list(machines),
                  "owner": os.getpid() if bound else 0}
        with open(self.path("supervisor.log"), "ab") as log:
            process = subprocess.Popen([sys.executable, "-m", "lab.supervisor", self.run_dir], cwd=image_mod.HERE, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        process.stdin.write(json.dumps(config).encode())
        process.stdin.close()
        said = process.stdout.readline()
        process.stdout.close()
        if said.strip() != b"up":
            process.wait()
            raise LabError(f"the supervisor did not start: {self.read('supervisor.log')[-1500:]}")
        # Reaped whenever it ends, or it would stay a zombie of a long test run.
        threading.Thread(target=process.wait, daemon=True).start()
        try:
            for name in machines:
                self.nodes[name].wait_ready()
        except BaseException:
            self.collect_logs("failed-start")
            self.down()
            raise
        return self

    def down(self) -> None:
        """Cuts all power and forgets the lab. Logs that were collected stay."""
        if not self.is_up():
            return
        self.ask("down")
        wait_until(lambda: not os.path.exists(self.path("pid")), 30, "the supervisor to end")

    def is_up(self) -> bool:
        try:
            self.ask("status")
            return True
        except LabError:
            return False

    @staticmethod
    def tool(name: str) -> str:
        path = os.path.join(BUILD, "lab", "tools", name)
        if not os.path.exists(path):
            raise LabError(f"{os.path.relpath(path, TOP)} is not built; please run: make lab-tools")
        return path

    def share_files(self) -> None:
        """Fills /host of the machines: the tools, and the packages that the nodes install at each boot."""
        for name in ("tools", "deb"):
            source = os.path.join(BUILD, "lab", "tools") if name == "tools" else os.path.join(BUILD, "deb")
            target = os.path.join(self.host_dir, name)
            shutil.rmtree(target, ignore_errors=True)
            os.makedirs(target)
            for entry in os.scandir(source) if os.path.isdir(source) else ():
                if entry.is_file() and (name == "tools" or (entry.name.endswith(".deb") and "-dbgsym" not in entry.name)):
                    shutil.copy2(entry.path, target)

    def install(self, names: Iterable[str] = vm_mod.NODES) -> None:
        """Installs the packages of build/deb on running nodes, as an upgrade; later boots start with them too."""
        self.share_files()
        for name in names:
            self.nodes[name].run("DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i /host/deb/*.deb", timeout_s=300)

    def align_clocks(self) -> None:
        """Sets the wall clocks of all machines by this one's, within half of the fastest answer: their logs can be read together."""
        for node in self.nodes.values():
            best = (float("inf"), 0.0)
            for _ in range(5):
                before = time.time()
                theirs = float(node.out("date +%s.%N"))
                after = time.time()
                best = min(best, (after - before, (before + after) / 2 - theirs))
            node.run(f"python3 -c 'import time; time.clock_settime(0, time.clock_gettime(0) + {best[1]:.6f})'")

    # --- asking the supervisor -------------------------------------------------------------------

    def ask(self, op: str, **arguments):
        try:
            directory = os.open(self.run_dir, os.O_PATH)
        except FileNotFoundError:
            raise LabError(f"no lab is up in {self.dir}") from None
        try:
            with socket.socket(socket.AF_UNIX) as s:
                # Through /proc, since the path of a unix socket is limited to 107 bytes.
                s.connect(f"/proc/self/fd/{directory}/ctl")
                s.sendall((json.dumps({"op": op, **arguments}) + "\n").encode())
                answer = json.loads(s.makefile("r", encoding="utf-8").readline() or '{"error": "the supervisor went away"}')
        except OSError as e:
            raise LabError(f"no lab is up in {self.dir}: {e}") from e
        finally:
            os.close(directory)
        if "error" in answer:
            raise LabError(answer["error"])
        return answer["return"]

    def status(self) -> dict:
        return self.ask("status")

    def vm_state(self, name: str) -> dict:
        state = self.status()["vms"][name]
        if not state["on"]:
            raise Unreachable(f"{name} is off")
        return state

    def image(self) -> str:
        return self.status()["image"]

    def switch(self, line: str):
        """A command of lab-switch; see switch/lab-switch.c."""
        return self.ask("switch_command", line=line)

    # --- networks --------------------------------------------------------------------------------

    def cut(self, net: str, source: str, target: str, both: bool = True) -> None:
        """Cuts `source` off from `target` on a net; with both=False only what `source` sends is lost."""
        self.switch(f"cut {net} {source} {target}")
        if both:
            self.switch(f"cut {net} {target} {source}")

    def heal(self) -> None:
        """Restores every cable of every net."""
        for net in vm_mod.NETS:
            for line in (f"heal {net} * *", f"drop {net} * 0", f"delay {net} * 0"):
                self.switch(line)

    def drop(self, net: str, name: str, percent: int) -> None:
        self.switch(f"drop {net} {name} {percent}")

    def delay(self, net: str, name: str, ms: int) -> None:
        self.switch(f"delay {net} {name} {ms}")

    # --- looking ---------------------------------------------------------------------------------

    def speed_factor(self) -> float:
        """How many times slower a VM works than this machine could (near 1 with KVM). Multiply stalls that are promised in seconds.

        Measured once: with all machines up, and whoever else computes here.
        """
        if self._speed is None:
            here = subprocess.run([self.tool("cpu-loop"), "best"], stdout=subprocess.PIPE, check=True).stdout
            self._speed = max(1.0, int(self.n1.out("/host/tools/cpu-loop mean", timeout_s=300)) / int(here))
        return self._speed

    def acklog(self) -> bytes:
        try:
            with open(self.path("acklog"), "rb") as f:
                return f.read()
        except FileNotFoundError:
            return b""

    def bad_words(self, allow: Optional[str] = None) -> list:
        """(machine, line) of all that the kernels said and should not have; `allow` is a pattern of what is expected."""
        found = []
        for node in self.nodes.values():
            journal = [line for line in node.journal().splitlines() if " kernel: " in line]
            # The console shows no stacks, and is all there is of what the journal was too late for.
            console = [said for said in complaints(node.console().splitlines())
                       if not any(said.split("] ", 1)[-1] in line for line in journal)]
            found += [(node.name, said) for said in complaints(journal) + console if not (allow and re.search(allow, said))]
        return found

    def collect_logs(self, name: str = "last") -> str:
        """Copies consoles, journals and the state of what still answers to build/lab/logs/NAME; returns that directory."""
        target = os.path.join(self.log_dir, name)
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        for entry in os.scandir(self.run_dir):
            if entry.is_file() and entry.name.endswith((".console", ".journal", ".log", "acklog")):
                shutil.copy2(entry.path, target)
        if not self.is_up():
            return target
        with open(os.path.join(target, "status.json"), "w", encoding="utf-8") as f:
            json.dump(self.status(), f, indent=1)
        for node in self.nodes.values():
            self._collect_state(node, os.path.join(target, f"{node.name}.state"))
        return target

    @staticmethod
    def _collect_state(node: Node, path: str) -> None:
        commands = ["dmesg", "ip addr", "dmsetup table", "dmsetup info -c"]
        commands += (["corosync-quorumtool -s", "cat /proc/drbd", "lvs -a", "lunward status", "ls -R /sys/kernel/config/target"]
                     if node.machine.node else ["multipath -ll", "iscsiadm -m session -P 3"])
        script = "; ".join(f"echo '$ {c}'; timeout 20 {c} 2>&1" for c in commands)
        try:
            text = node.run(script, timeout_s=90, check=False).out
        except (Unreachable, LabError) as e:
            text = f"{e}\n"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)



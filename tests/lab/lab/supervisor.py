# SPDX-License-Identifier: GPL-2.0-or-later
"""The process that owns a lab: its QEMUs, its switch, its fence device.

It lives from `labctl up` to `labctl down`, so that fencing works and power can be cut while no test runs. It is asked over the unix
socket `ctl` in the run directory, one JSON object per line and request; `op` names a method of Supervisor marked @operation.

It works inside the run directory with relative paths: those of unix sockets are short, and no checkout is too deep for them.
"""
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

from . import image as image_mod
from . import vm as vm_mod

FENCE_MODES = ("ok", "fail", "hang", "lie")
SOCKET_BUFFER = 4 << 20
SO_RCVBUFFORCE, SO_SNDBUFFORCE = 33, 32


class LabError(RuntimeError):
    """What the lab was asked for cannot be had; told to the asker."""


def operation(method):
    method.is_operation = True
    return method


def roomy_udp() -> socket.socket:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for forced, usual in ((SO_RCVBUFFORCE, socket.SO_RCVBUF), (SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            s.setsockopt(socket.SOL_SOCKET, forced, SOCKET_BUFFER)
        except PermissionError:
            s.setsockopt(socket.SOL_SOCKET, usual, SOCKET_BUFFER)
    s.bind(("127.0.0.1", 0))
    return s


def cable() -> tuple:
    """Two UDP sockets connected with each other. The kernel chooses their ports, so labs do not collide."""
    a, b = roomy_udp(), roomy_udp()
    a.connect(b.getsockname())
    b.connect(a.getsockname())
    return a, b


def free_tcp_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Qmp:
    """QEMU's control connection: one command at a time."""

    def __init__(self, path: str):
        self.lock = threading.Lock()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(path)
        self.file = self.sock.makefile("r", encoding="utf-8")
        self.file.readline()
        self.command("qmp_capabilities")

    def command(self, name: str, arguments=None):
        with self.lock:
            self.sock.sendall(json.dumps({"execute": name, "arguments": arguments or {}}).encode())
            while True:
                line = self.file.readline()
                if not line:
                    raise LabError(f"QEMU went away during {name}")
                answer = json.loads(line)
                if "error" in answer:
                    raise LabError(f"QEMU: {name}: {answer['error'].get('desc')}")
                if "return" in answer:
                    return answer["return"]

    def close(self):
        self.sock.close()


class Vm:
    """One machine: on or off, and the plugs of its cables, which stay when the power goes."""

    def __init__(self, machine: vm_mod.Machine, plugs: dict):
        self.machine = machine
        self.plugs = plugs  # net -> our end of its cable, handed to each QEMU
        self.process = None
        self.qmp = None
        self.ssh_port = 0
        self.boots = 0
        self.console_start = 0  # where this boot's console begins
        self.paused = False
        self.lock = threading.RLock()

    @property
    def name(self) -> str:
        return self.machine.name

    def on(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    def __init__(self, options: vm_mod.Options, image: str, switch: str):
        self.options = options
        self.image = image
        self.accel = vm_mod.accelerator()
        self.fence_mode = "ok"
        self.fence_log: list = []
        self.stopping = threading.Event()
        self.vms: dict = {}
        self.switch = self.start_switch(switch)
        # A reply per line; requests from several threads must not mix.
        self.switch_lock = threading.Lock()

    # --- start and end -------------------------------------------------------------------------

    def start_switch(self, program: str) -> subprocess.Popen:
        far_ends = {}
        for machine in vm_mod.MACHINES.values():
            plugs = {}
            for net in vm_mod.NETS:
                far_ends[f"{net}:{machine.name}"], plugs[net] = cable()
            self.vms[machine.name] = Vm(machine, plugs)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("switch")
            listener.listen(8)
            process = subprocess.Popen(
                [program, str(listener.fileno()), *(f"{port}={s.fileno()}" for port, s in far_ends.items())],
                pass_fds=[listener.fileno(), *(s.fileno() for s in far_ends.values())], stdin=subprocess.DEVNULL)
        for s in far_ends.values():
            s.close()
        self.switch_sock = socket.socket(socket.AF_UNIX)
        self.switch_sock.connect("switch")
        self.switch_file = self.switch_sock.makefile("r", encoding="ascii")
        return process

    def end(self):
        for vm in self.vms.values():
            self.kill(vm)
        self.switch.kill()
        self.switch.wait()

    # --- power ---------------------------------------------------------------------------------

    def vm(self, name: str) -> Vm:
        if name not in self.vms:
            raise LabError(f"no machine {name!r}; there are {' '.join(self.vms)}")
        return self.vms[name]

    def start(self, vm: Vm):
        with vm.lock:
            if vm.on():
                return
            for plug in vm.plugs.values():
                drain(plug)
            for stale in (f"{vm.name}.qmp", f"{vm.name}.fence"):
                if os.path.exists(stale):
                    os.unlink(stale)
            vm.ssh_port = free_tcp_port()
            console = f"{vm.name}.console"
            vm.console_start = os.path.getsize(console) if os.path.exists(console) else 0
            fds = {net: s.fileno() for net, s in vm.plugs.items()}
            command = vm_mod.qemu_command(vm.machine, self.options, self.image, fds, vm.ssh_port, self.accel)
            with open(f"{vm.name}.qemu.log", "ab") as log:
                vm.process = subprocess.Popen(command, pass_fds=list(fds.values()), stdin=subprocess.DEVNULL, stdout=log,
                                              stderr=log)
            vm.paused = False
            vm.qmp = self.connect_qmp(vm)
            vm.boots += 1
            fence = socket.socket(socket.AF_UNIX)
            fence.connect(f"{vm.name}.fence")
            threading.Thread(target=self.serve_fence, args=(vm.name, fence), daemon=True).start()

    @staticmethod
    def connect_qmp(vm: Vm) -> Qmp:
        deadline = time.monotonic() + 30
        while True:
            try:
                return Qmp(f"{vm.name}.qmp")
            except OSError as e:
                if vm.process.poll() is not None or time.monotonic() > deadline:
                    with open(f"{vm.name}.qemu.log", errors="replace", encoding="utf-8") as f:
                        raise LabError(f"QEMU of {vm.name} did not start: {f.read()[-500:]}") from e
                time.sleep(0.05)

    @staticmethod
    def kill(vm: Vm):
        """Cuts the power; returns when the process is gone. No lock: it must work whatever the VM is at."""
        process = vm.process
        if process is None:
            return
        if process.poll() is None:
            process.kill()
        process.wait()

    # --- operations ----------------------------------------------------------------------------

    @operation
    def power_on(self, name: str):
        self.start(self.vm(name))

    @operation
    def power_cut(self, name: str):
        self.kill(self.vm(name))

    @operation
    def pause(self, name: str):
        vm = self.vm(name)
        vm.qmp.command("stop")
        vm.paused = True

    @operation
    def resume(self, name: str):
        vm = self.vm(name)
        vm.qmp.command("cont")
        vm.paused = False

    @operation
    def qmp(self, name: str, command: str, arguments=None):
        vm = self.vm(name)
        if not vm.on():
            raise LabError(f"{name} is off")
        return vm.qmp.command(command, arguments)

    @operation
    def switch_command(self, line: str):
        with self.switch_lock:
            self.switch_sock.sendall((line + "\n").encode())
            answer = self.switch_file.readline().strip()
        if answer.startswith("error"):
            raise LabError(f"switch: {line}: {answer}")
        return json.loads(answer) if answer != "ok" else None

    @operation
    def set_fence_mode(self, mode: str):
        if mode not in FENCE_MODES:
            raise LabError(f"fence mode is one of {', '.join(FENCE_MODES)}")
        self.fence_mode = mode

    @operation
    def status(self):
        return {
            "accel": self.accel, "image": self.image, "options": self.options._asdict(), "pid": os.getpid(),
            "fence_mode": self.fence_mode, "fence_log": self.fence_log,
            "vms": {vm.name: {"on": vm.on(), "paused": vm.paused and vm.on(), "pid": vm.process.pid if vm.on() else None,
                              "boots": vm.boots, "ssh_port": vm.ssh_port, "console_start": vm.console_start}
                    for vm in self.vms.values()}}

    @operation
    def down(self):
        self.stopping.set()

    # --- fencing -------------------------------------------------------------------------------

    def serve_fence(self, asker: str, sock: socket.socket):
        """Answers the fence agent of one VM for as long as that VM is on."""
        with sock, sock.makefile("r", encoding="utf-8", errors="replace") as lines:
            try:
                for line in lines:
                    threading.Thread(target=self.fence, args=(asker, line, sock), daemon=True).start()
            except OSError:
                pass

    def fence(self, asker: str, line: str, sock: socket.socket):
        try:
            request = json.loads(line)
            answer = {"id": request["id"], **self.fence_answer(asker, request["action"], request.get("plug"))}
        except (ValueError, KeyError, TypeError):
            return  # noise of a port opened and closed
        except LabError as e:
            answer = {"id": request["id"], "ok": False, "error": str(e)}
        if answer.pop("silent", False):
            return
        try:
            sock.sendall((json.dumps(answer) + "\n").encode())
        except OSError:
            pass  # the asker was the one to go

    def fence_answer(self, asker: str, action: str, plug) -> dict:
        entry = {"time": time.time(), "by": asker, "action": action, "plug": plug, "mode": self.fence_mode}
        changes = action in ("off", "on", "reboot")
        if changes:
            self.fence_log.append(entry)
        if self.fence_mode == "hang":
            return {"silent": True}
        if self.fence_mode == "fail":
            raise LabError("the fence device is broken (as asked for)")
        if action == "list":
            return {"ok": True, "plugs": sorted(self.vms)}
        if action == "monitor":
            return {"ok": True}
        vm = self.vm(plug)
        if changes and self.fence_mode == "lie":
            return {"ok": True, "state": "on" if action == "on" else "off"}
        if action in ("off", "reboot"):
            self.kill(vm)
        if action in ("on", "reboot"):
            self.start(vm)
        if changes:
            entry["done"] = time.time()
        return {"ok": True, "state": "on" if vm.on() else "off"}

    # --- control socket ------------------------------------------------------------------------

    def serve(self, owner_pid: int):
        """Serves until `down`, SIGTERM or, if there is an owner, the owner's end."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("ctl")
            listener.listen(16)
            wake_r, wake_w = os.pipe()
            os.set_blocking(wake_w, False)
            signal.set_wakeup_fd(wake_w)
            signal.signal(signal.SIGTERM, lambda *_: self.stopping.set())
            signal.signal(signal.SIGINT, lambda *_: self.stopping.set())
            watched = [listener.fileno(), wake_r]
            if owner_pid:
                watched.append(os.pidfd_open(owner_pid))
            while not self.stopping.is_set():
                ready, _, _ = select.select(watched, [], [], 1)
                if owner_pid and watched[-1] in ready:
                    break
                if listener.fileno() in ready:
                    threading.Thread(target=self.serve_client, args=(listener.accept()[0],), daemon=True).start()

    def serve_client(self, sock: socket.socket):
        with sock, sock.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                request = json.loads(line)
                method = getattr(self, request.pop("op"), None)
                try:
                    if not getattr(method, "is_operation", False):
                        raise LabError("no such operation")
                    answer = {"return": method(**request)}
                except (LabError, OSError, TypeError) as e:
                    answer = {"error": str(e)}
                try:
                    sock.sendall((json.dumps(answer) + "\n").encode())
                except OSError:
                    return


def drain(sock: socket.socket):
    """Throws away what came while the power was off."""
    try:
        while True:
            sock.recv(65536, socket.MSG_DONTWAIT)
    except OSError:
        pass


def make_disks(options: vm_mod.Options):
    for machine in vm_mod.MACHINES.values():
        if machine.node:
            path = f"../disks/{machine.name}.state"
            sparse(path, 512 << 20)
            subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", path], check=True)
        if machine.data:
            sparse(f"../disks/{machine.name}.data", options.data_mib << 20)


def sparse(path: str, size: int):
    with open(path, "wb") as f:
        f.truncate(size)


def main():
    """supervisor RUN-DIR: configuration as JSON on standard input; says "up" on standard output when it can be asked."""
    config = json.load(sys.stdin)
    os.chdir(sys.argv[1])
    options = vm_mod.Options(**config["options"])
    image_mod.pack_initramfs(config["image"], "initrd")
    make_disks(options)
    supervisor = Supervisor(options, config["image"], config["switch"])
    try:
        with open("pid", "w", encoding="ascii") as f:
            f.write(str(os.getpid()))
        for name in config["machines"]:
            supervisor.start(supervisor.vms[name])
        print("up", flush=True)
        os.dup2(os.open("supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 1)
        supervisor.serve(config.get("owner", 0))
    finally:
        supervisor.end()
        for name in ("ctl", "switch", "pid"):
            if os.path.exists(name):
                os.unlink(name)


if __name__ == "__main__":
    main()

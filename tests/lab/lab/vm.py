# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machines of the lab are, and the QEMU command line of each. Pure: starts nothing, opens nothing but /proc and /dev."""
import os
import re
from typing import NamedTuple


class Machine(NamedTuple):
    name: str
    number: int  # node id and last octet of its addresses
    cpus: int
    memory_mib: int
    node: bool  # runs the agent: has a state disk and gets the packages
    data: bool  # has a data disk


MACHINES = {m.name: m for m in (
    Machine("n1", 1, 2, 1024, True, True),
    Machine("n2", 2, 2, 1024, True, True),
    Machine("n3", 3, 1, 512, True, False),
    Machine("h1", 4, 2, 1024, False, False),
)}
NODES = ("n1", "n2", "n3")
NETS = {"san": "52:54:00:bb:00", "clu": "52:54:00:cc:00"}
# Ports of virtio-serial: name in the guest (/dev/virtio-ports/NAME) and where its other end is.
FILE_PORTS = {"log": "{name}.journal"}
HOST_FILE_PORTS = {"acklog": "acklog"}


class Options(NamedTuple):
    """How a lab differs from the usual one."""
    mtu: int = 1500  # of the SAN
    portal_addresses: bool = False  # give n1 and n2 their 10.77.0.N at boot; else that is the agent's work
    data_mib: int = 2048
    memory_mib: int = 0  # of n1 and n2, if not the usual
    install: bool = True  # install build/deb/*.deb at each boot of a node
    append: str = ""  # more words for the kernel command line
    tsc_khz: int = 0  # of this machine; emulated processors have the same. 0: let the guest measure it


def accelerator() -> str:
    """KVM where the processor has it and we may use it, else emulation. LAB_ACCEL overrides."""
    chosen = os.environ.get("LAB_ACCEL")
    if chosen:
        return chosen
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        virt = re.search(r"^flags\s*:.*\b(vmx|svm)\b", f.read(), re.M)
    if virt and os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "kvm"
    return "tcg"


def san_address(machine: Machine, options: Options) -> str:
    if machine.data and not options.portal_addresses:
        return "none"
    return f"10.77.0.{machine.number}/24"


def kernel_arguments(machine: Machine, options: Options) -> str:
    # A guest that measures it while it is not running gets it wrong by any factor, and runs through hours in minutes.
    tsc = f"tsc_early_khz={options.tsc_khz} " if options.tsc_khz else ""
    return " ".join((
        "console=ttyS0 loglevel=5 net.ifnames=0 mitigations=off nokaslr tsc=reliable no_timer_check random.trust_cpu=on",
        "systemd.show_status=0 systemd.log_target=journal audit=0 panic=0",
        # What a machine without hardware need not do at boot.
        "cryptomgr.notests apparmor=0 mce=off edd=off rcupdate.rcu_expedited=1 rcupdate.rcu_normal_after_boot=1",
        f"lab.name={machine.name} lab.san={san_address(machine, options)} lab.clu=10.78.0.{machine.number}/24",
        f"lab.mtu={options.mtu} lab.debs={int(options.install and machine.node)}",
        tsc + options.append)).strip()


def cpu_model(accel: str) -> list:
    if accel == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    # Features that cost emulation time and that nothing here is about.
    return ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,la57=off,smap=off,smep=off,umip=off,pku=off"]


def disk(node: str, path: str, serial: str, read_only: bool = False) -> list:
    """A virtio disk whose chain is NODE (raw) over NODE-file, so that a test can put a filter between the two."""
    ro = "on" if read_only else "off"
    # The host's page cache outlives QEMU, so flushing to the host's disk would buy nothing.
    return ["-blockdev", f"driver=file,node-name={node}-file,filename={path},read-only={ro},cache.no-flush=on,aio=threads",
            "-blockdev", f"driver=raw,node-name={node},file={node}-file,read-only={ro},cache.no-flush=on",
            "-device", f"virtio-blk-pci,id={serial},drive={node},serial={serial},write-cache=on,"
                       "werror=report,rerror=report"]


def serial_ports(machine: Machine) -> list:
    args = ["-device", "virtio-serial-pci"]
    files = {**FILE_PORTS, **({} if machine.node else HOST_FILE_PORTS)}
    for port, path in files.items():
        args += ["-chardev", f"file,id={port},path={path.format(name=machine.name)},append=on"]
    args += ["-chardev", f"socket,id=fence,path={machine.name}.fence,server=on,wait=off"]
    for port in [*files, "fence"]:
        args += ["-device", f"virtserialport,chardev={port},name={port}"]
    return args


def qemu_command(machine: Machine, options: Options, image: str, net_fds: dict, ssh_port: int, accel: str) -> list:
    """The command that runs `machine`; its working directory is the lab's run directory."""
    n = machine.number
    memory_mib = options.memory_mib if options.memory_mib and machine.data else machine.memory_mib
    # All memory from the start: a processor that waits in the middle for memory which this machine has to get first is a soft lockup to its guest.
    args = ["qemu-system-x86_64", "-name", machine.name, "-machine", "q35,usb=off,vmport=off,smbus=off,memory-backend=ram", *cpu_model(accel),
            "-object", f"memory-backend-ram,id=ram,size={memory_mib}M,prealloc=on", "-smp", str(machine.cpus), "-m", str(memory_mib),
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-kernel", f"{image}/vmlinux", "-initrd", "initrd", "-append", kernel_arguments(machine, options),
            *disk("root", f"{image}/root.sqfs", "root", read_only=True)]
    if machine.node:
        args += disk("state", f"../disks/{machine.name}.state", "state")
    if machine.data:
        args += disk("data", f"../disks/{machine.name}.data", "data")
    args += ["-netdev", f"user,id=ssh,net=10.0.2.0/24,restrict=on,hostfwd=tcp:127.0.0.1:{ssh_port}-10.0.2.15:22",
             "-device", f"virtio-net-pci,netdev=ssh,mac=52:54:00:aa:00:0{n},romfile="]
    for net, fd in net_fds.items():
        args += ["-netdev", f"dgram,id={net},local.type=fd,local.str={fd}",
                 "-device", f"virtio-net-pci,netdev={net},mac={NETS[net]}:0{n},romfile="]
    return args + [
        "-device", "virtio-rng-pci", *serial_ports(machine),
        "-virtfs", "local,path=../host,mount_tag=host,security_model=none,multidevs=remap",
        "-chardev", f"file,id=console,path={machine.name}.console,append=on", "-serial", "chardev:console",
        "-chardev", f"socket,id=qmp,path={machine.name}.qmp,server=on,wait=off", "-mon", "chardev=qmp,mode=control"]

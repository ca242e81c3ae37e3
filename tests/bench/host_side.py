# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host does and sees: it writes, it reserves, and it counts how long it waits; and what the nodes need for it."""
from typing import List, Optional, Tuple

from lab.api import Node
from lab.wait import Timeout, wait_until
from lab.writer import Writer

KEY = "0xabc123"
WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5
BLOCKS = 1000
TICKS_PER_S = 100


class Writers:
    """One on each device; the pause is that of the one that waits longest."""

    def __init__(self, h1: Node, devices: List[str]):
        self.devices = devices
        self.writers = [Writer(h1, f"ack-writer-{i}") for i in range(len(devices))]

    def start(self) -> None:
        for writer, device in zip(self.writers, self.devices):
            writer.start(device, BLOCKS, threads=2)

    def stop(self) -> None:
        for writer in self.writers:
            writer.stop()

    def errors(self) -> int:
        return sum(s["io_errors"] + s["verify_errors"] for s in (w.status() for w in self.writers))

    def clock_ns(self) -> int:
        return self.writers[0].clock_ns()

    def wait_going_on(self, deadline_s: float) -> None:
        for writer in self.writers:
            writer.wait_going_on(deadline_s)

    def pause_since(self, from_ns: int) -> Tuple[float, Optional[int]]:
        """As Writer.pause_since()."""
        return max((w.pause_since(from_ns) for w in self.writers), key=lambda pause: pause[0])


def reserve(h1: Node, device: str) -> None:
    """Registers a key on every path, and takes a reservation of all registrants by the path in use, if it is not there already."""
    if is_reserved(h1, device, 0):
        return
    h1.run(f"d=$(basename $(readlink -f {device})); s=$(ls /sys/block/$d/slaves); for p in ${{s:-$d}}; do "
           f"sg_persist -n -o -I -S {KEY} /dev/$p || exit 1; done; "
           f"sg_persist -n -o -R -K {KEY} -T {WRITE_EXCLUSIVE_REGISTRANTS_ONLY} {device}", timeout_s=120)
    if not is_reserved(h1, device, 10):
        raise RuntimeError(f"{device}: the reservation was not taken")


def is_reserved(h1: Node, device: str, within_s: float = 20) -> bool:
    """Whether the key is registered and holds the reservation. A path that comes back may fail a command of it: asked for a while."""
    def held():
        return all(KEY in h1.run(f"sg_persist -n -i {what} {device}", check=False).out for what in ("-k", "-r"))
    try:
        return bool(wait_until(held, within_s, "the reservation", 0.5))
    except Timeout:
        return False


def processor_s(node: Node) -> float:
    """Processor time of the whole node since its boot but for idling, whoever used it."""
    user, nice, system, _, _, irq, softirq = map(int, node.out("head -n 1 /proc/stat").split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS_PER_S


def resident_mib(node: Node, processes: str) -> float:
    """Memory of the stack's own processes."""
    pids = f"$(pidof {processes})"
    return sum(map(int, node.out(f"for p in {pids}; do awk '$1 == \"VmRSS:\" {{ print $2 }}' /proc/$p/status; done").split())) / 1024

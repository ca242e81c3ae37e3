# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host does and sees: it writes, it reserves, and it counts how long it waits; and what the nodes need for it."""
import json
from typing import List, Optional, Tuple

from lab.api import Node
from lab.wait import Timeout, wait_until

KEY = "0xabc123"
WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5
BLOCKS = 1000
GAP_S = 0.2  # ack-writer tells of no shorter one
TICKS_PER_S = 100


class Writers:
    """One on each device; the pause is that of the one that waits longest."""

    def __init__(self, h1: Node, devices: List[str]):
        self.h1, self.devices = h1, devices

    @staticmethod
    def status(i: int) -> str:
        return f"/run/ack-writer-{i}.json"

    def start(self) -> None:
        for i, device in enumerate(self.devices):
            self.h1.run(f"systemd-run -q --unit=ack-writer-{i} /host/tools/ack-writer --device {device} --log /dev/null --blocks {BLOCKS} "
                        f"--threads 2 --status {self.status(i)}", timeout_s=60)
        self.wait_going_on(120)

    def stop(self) -> None:
        for i in range(len(self.devices)):
            self.h1.run(f"systemctl stop ack-writer-{i}", timeout_s=120, check=False)

    def read(self) -> List[dict]:
        return [json.loads(self.h1.get(self.status(i))) for i in range(len(self.devices))]

    def errors(self) -> int:
        return sum(s["io_errors"] + s["verify_errors"] for s in self.read())

    def now_ns(self) -> int:
        return int(self.h1.out("python3 -c 'import time; print(time.monotonic_ns())'"))

    def wait_going_on(self, deadline_s: float) -> None:
        """Waits until each has got something done since now."""
        def writes():
            return [s["writes"] for s in self.read()]
        before = wait_until(writes, 60, "the writers to write", 0.5)
        wait_until(lambda: all(now > then + 20 for now, then in zip(writes(), before)), deadline_s, "the writers to go on", 0.5)

    def pause_since(self, since_ns: int) -> Tuple[float, Optional[float]]:
        """The longest time in which one of them got nothing done, and the wall clock of its end in seconds; (GAP_S, None) if there was no
        such time."""
        gaps = [g for s in self.read() for g in s["gaps"] if g["from_ns"] + g["ms"] * 10**6 >= since_ns]
        longest = max(gaps, key=lambda g: g["ms"], default=None)
        return (longest["ms"] / 1000, (longest["wall_ms"] + longest["ms"]) / 1000) if longest else (GAP_S, None)


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

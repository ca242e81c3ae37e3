# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's writer (tools/ack-writer), as a unit of systemd on h1: how long it had to wait, and whether what was acknowledged is there."""
import json
from typing import Optional, Tuple

from . import acklog
from .api import Node
from .wait import wait_until

LOG = "/dev/virtio-ports/acklog"  # outside of the machines: Lab.acklog()


class Writer:
    def __init__(self, h1: Node, name: str = "ack-writer"):
        self.h1, self.name = h1, name
        self.device, self.first, self.blocks = "", 0, 0

    def start(self, device: str, blocks: int, first: int = 0, threads: int = 4, log: str = "/dev/null", pause_ms: int = 0) -> None:
        """Writes 4 KiB blocks `first` and on; one that runs already is stopped before. Returns when it has begun to write."""
        self.device, self.first, self.blocks = device, first, blocks
        self.stop()
        self.h1.run(f"rm -f /run/{self.name}.*; systemctl reset-failed {self.name} 2>/dev/null; systemd-run -q --unit={self.name} "
                    f"-p StandardOutput=file:/run/{self.name}.out /host/tools/ack-writer --device {device} --log {log} --first {first} "
                    f"--blocks {blocks} --threads {threads} --pause-us {pause_ms * 1000} --status /run/{self.name}.json", timeout_s=60)
        wait_until(lambda: self.status()["writes"] > 50, 120, "the writer to write")

    def stop(self) -> None:
        """Without effect if it does not run."""
        self.h1.run(f"systemctl stop {self.name}", check=False, timeout_s=120)

    def result(self) -> dict:
        """What it said when it was stopped."""
        return json.loads(self.h1.get(f"/run/{self.name}.out"))

    def status(self) -> dict:
        """What it has done so far, at most a second old."""
        return json.loads(self.h1.get(f"/run/{self.name}.json"))

    def wait_going_on(self, deadline_s: float = 120) -> None:
        """Waits until it has got something done since now."""
        before = self.status()["writes"]
        wait_until(lambda: self.status()["writes"] > before + 20, deadline_s, "the writer to go on", 0.5)

    def clock_ns(self) -> int:
        """Of the host, as pause_since() wants it."""
        return int(self.h1.out("python3 -c 'import time; print(time.monotonic_ns())'"))

    def pause_since(self, from_ns: int) -> Tuple[float, Optional[int]]:
        """The longest time in s without any successful operation that began after `from_ns` (or was under way then), and its end on the wall
        clock in ms; (0, None) if there was none of 200 ms."""
        gaps = [g for g in self.status()["gaps"] if g["from_ns"] + g["ms"] * 10**6 >= from_ns]
        longest = max(gaps, key=lambda g: g["ms"], default=None)
        return (longest["ms"] / 1000, longest["wall_ms"] + longest["ms"]) if longest else (0.0, None)

    def verify(self) -> dict:
        """acklog.verify() over its blocks, for one that was started with LOG and is stopped."""
        end = self.first + self.blocks
        log = {lba: block for lba, block in acklog.parse_log(self.h1.lab.acklog()).items() if self.first <= lba < end}
        dump = self.h1.out(f"/host/tools/ack-dump {self.device} {self.blocks} {self.first}", timeout_s=300)
        return acklog.verify(log, acklog.parse_dump(dump + "\n"))

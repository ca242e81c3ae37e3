# SPDX-License-Identifier: GPL-2.0-or-later
"""fio in a guest: its JSON, and one that writes and reads back over and over, as a unit of systemd."""
import json
from typing import Tuple

from .api import Node
from .wait import wait_until


def job(text: str) -> dict:
    """Of fio's JSON, before which it may warn: its only job."""
    return json.loads(text[text.index("{"):])["jobs"][0]


UNIT = "fio-verify"  # the package has a fio.service of its own
SAID = "/run/fio.out"


class Verifier:
    """Writes 4 KiB blocks all over the device, and reads back what it wrote every 1,024 of them; it ends with the first error."""

    def __init__(self, host: Node, device: str, size_mib: int):
        self.host, self.device, self.size_mib = host, device, size_mib

    def start(self) -> None:
        self.host.run(f"systemctl reset-failed {UNIT} 2>/dev/null; systemd-run -q --unit={UNIT} -p KillMode=mixed -p StandardOutput=file:{SAID} "
                      f"fio --name=v --filename={self.device} --direct=1 --ioengine=libaio --iodepth=4 --bs=4k --rw=randwrite "
                      f"--size={self.size_mib}m --loops=1000000 --verify=crc32c --verify_backlog=1024 --verify_fatal=1 --output-format=json", timeout_s=60)
        self.wait_verified()

    def done(self) -> Tuple[int, int]:
        """Reads and writes of the device so far (Documentation/block/stat)."""
        words = self.host.out(f"cat /sys/block/$(basename $(readlink -f {self.device}))/stat").split()
        return int(words[0]), int(words[4])

    def wait_verified(self, deadline_s: float = 300) -> None:
        """Until it has written and read back since now."""
        reads, writes = self.done()

        def went_on() -> bool:
            now = self.done()
            return now[0] > reads + 1100 and now[1] > writes + 1100
        wait_until(went_on, deadline_s, "fio to write and read back", 0.5,
                   explain=lambda: (self.done(), self.host.run(f"systemctl status {UNIT}", check=False).out[-800:]))

    def stop(self) -> dict:
        """Its job in JSON; also after an error, when it has ended by itself."""
        self.host.run(f"systemctl stop {UNIT}", check=False, timeout_s=120)
        return job(self.host.get(SAID))

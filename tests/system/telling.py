# SPDX-License-Identifier: GPL-2.0-or-later
"""What a story in the lab has in common with others: it says what happens and when, and keeps what was checked."""
import time
from typing import Callable


class Telling:
    def __init__(self, say: Callable[[str], None], **result):
        self._say = say
        self.began = time.monotonic()
        self.result: dict = {**result, "checks": []}

    def say(self, text: str) -> None:
        self._say(f"[{time.monotonic() - self.began:6.1f} s] {text}")

    def check(self, name: str, ok: bool, detail: str) -> bool:
        self.result["checks"].append({"name": name, "ok": bool(ok), "detail": detail})
        self.say(f"{'  ok  ' if ok else 'FAILED'} {name}: {detail}")
        return bool(ok)

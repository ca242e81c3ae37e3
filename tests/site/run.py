# SPDX-License-Identifier: GPL-2.0-or-later
"""What the programs of this folder share: the lab's machines, checks with a name, the result as JSON."""
import json
import os
import sys
from typing import Callable

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [os.path.join(TESTS, "system"), os.path.join(TESTS, "lab")]

from lab.api import BUILD, Lab  # noqa: E402
from story import Story  # noqa: E402


def main(name: str, tell: Callable[[Story], None]) -> int:
    lab = Lab()
    story = Story(lab, lambda text: print(text, flush=True), patience=5)
    try:
        lab.up(bound=True)
        tell(story)
    except Exception as e:  # pylint: disable=broad-except  # whatever it is, it goes into the result
        story.check("told to its end", False, f"{type(e).__name__}: {e}")
    finally:
        logs = lab.collect_logs(name)
        lab.down()
        with open(os.path.join(BUILD, f"{name}.json"), "w", encoding="utf-8") as f:
            json.dump(story.result, f, indent=1)
    failed = [c["name"] for c in story.result["checks"] if not c["ok"]]
    print(f"{len(story.result['checks']) - len(failed)} passed, {len(failed)} failed" +
          (f": {', '.join(failed)} (logs: {os.path.relpath(logs)})" if failed else ""))
    return 0 if story.ok else 1

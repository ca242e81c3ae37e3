# SPDX-License-Identifier: GPL-2.0-or-later
"""What the runs of build/bench.json say, taken together: medians, ratios, and what was promised. Pure."""
import statistics
from typing import Dict, List, NamedTuple, Optional

EVIDENCE = ("fence evidence", " fenced")  # the step from which on a node may be taken for dead; all stacks need it


class Cell(NamedTuple):
    """All runs of one stack with so many volumes in one case."""
    times: int
    pause_s: float   # median
    least_s: float
    most_s: float
    beyond_s: Optional[float]  # median of what is left of the pause after the evidence; None for a move
    errors: int
    kept: int        # reservations


class Promise(NamedTuple):
    what: str
    value: float
    goal: float

    @property
    def ok(self) -> bool:
        return self.value <= self.goal


def evidence_s(run: dict) -> Optional[float]:
    return next((s["at_s"] for s in run["timeline"] if s["step"] == EVIDENCE[0] or s["step"].endswith(EVIDENCE[1])), None)


def cells(runs: List[dict]) -> Dict[tuple, Cell]:
    """By (stack, volumes, case)."""
    groups: Dict[tuple, list] = {}
    for r in runs:
        groups.setdefault((r["stack"], r["volumes"], r["case"]), []).append(r)
    table = {}
    for key, group in groups.items():
        pauses = [r["pause_s"] for r in group]
        beyond = [r["pause_s"] - e for r, e in ((r, evidence_s(r)) for r in group) if e is not None] if key[2] == "crash" else []
        table[key] = Cell(len(group), statistics.median(pauses), min(pauses), max(pauses), statistics.median(beyond) if beyond else None,
                          sum(r["errors"] for r in group), sum(r["reservations_kept"] for r in group))
    return table


def promises(table: Dict[tuple, Cell]) -> List[Promise]:
    """Of those for which there are figures."""
    found = []

    def ratio(what: str, above, below, goal: float) -> None:
        if above is not None and below is not None and below > 0:
            found.append(Promise(what, above / below, goal))

    def pause(stack: str, volumes: int, case: str) -> Optional[float]:
        cell = table.get((stack, volumes, case))
        return None if cell is None else cell.beyond_s if case == "crash" else cell.pause_s

    for case, goals, what in (("move", {1: 40, 32: 200}, "pause of a planned move"),
                              ("crash", {1: 20, 32: 100}, "pause of a crash beyond detection and fencing")):
        for volumes, times in goals.items():
            ratio(f"{what}, {volumes} volume{'s' * (volumes > 1)}: Lunward / peer", pause("lunward", volumes, case), pause("peer", volumes, case),
                  1 / times)
        ratio(f"{what}: 128 volumes / 1", pause("lunward", 128, case), pause("lunward", 1, case), 1.5)
    for (stack, volumes, case), cell in table.items():
        if stack == "lunward" and case == "move":
            found.append(Promise(f"longest pause of a planned move, {volumes} volumes, s", cell.most_s, 1.5))
        if stack.startswith("lunward"):
            found.append(Promise(f"reservations lost, {stack}, {volumes} volumes, {case}", cell.times - cell.kept, 0))
            found.append(Promise(f"I/O errors, {stack}, {volumes} volumes, {case}", cell.errors, 0))
    return found

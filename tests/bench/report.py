#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes what build/bench.json says as Markdown and two plots: `report.py BENCH.json DIRECTORY`. The plots are gnuplot's."""
import json
import os
import shutil
import subprocess
import sys
from typing import Dict, List

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from figures import Cell, cells, promises  # noqa: E402

NAMES = {"peer": "Pacemaker, iSCSITarget", "peer-multipath": "the same, host with dm-multipath", "lunward": "Lunward",
         "lunward-pacemaker": "Lunward, placed by Pacemaker"}
CASES = {"move": "planned move", "crash": "power cut"}
TEXT = """# Lunward beside what people use today

How long a host waits when a group of volumes is moved to the other node, and when the power of the node that serves it is cut.

**The seconds come from emulated machines** ({machine}), in which a shell step costs hundreds of milliseconds: the ratios are the message.
The machines have {versions}.

Made on commit {commit} by `make bench`; `make bench-report` writes this page from build/bench.json, which is [here](bench.json) (back in its place,
`make bench BENCH="--go-on"` measures what is missing).

The peer is the stack of the usual documents: Pacemaker with ocf:linbit:drbd, portblock, IPaddr2, iSCSITarget and iSCSILogicalUnit (lio-t),
one volume of one DRBD resource per LUN. Cluster, token, DRBD timers, disks, host and fence agent are the same for all stacks; a host
without dm-multipath waits 120 s for a lost session before it fails its commands. A writer on the first volume and one on the last; the
pause is that of the one that waits longer. One host holds a write exclusive reservation for registrants on the first volume.

{tables}
## What was promised

| what | measured | at most | |
|---|---|---|---|
{promises}

## At rest, and to set it up

| stack | volumes | from the order to served | processor at rest | memory |
|---|---|---|---|---|
{setup}

![pause against number of volumes](pause.svg)

![a power cut, step by step](crash.svg)
"""


def rows(table: Dict[tuple, Cell], case: str) -> str:
    text = f"## {CASES[case].capitalize()}\n\n| stack | volumes | runs | pause (median) | from .. to | {'beyond the evidence | ' * (case == 'crash')}I/O errors | reservation kept |\n"
    text += "|---" * (8 if case == "crash" else 7) + "|\n"
    for (stack, volumes, of), c in sorted(table.items(), key=lambda kv: (kv[0][1], list(NAMES).index(kv[0][0]))):
        if of == case:
            beyond = (f"{c.beyond_s:.2f} s | " if c.beyond_s is not None else "? | ") if case == "crash" else ""
            text += (f"| {NAMES[stack]} | {volumes} | {c.times} | {c.pause_s:.2f} s | {c.least_s:.2f} .. {c.most_s:.2f} s | {beyond}{c.errors} | "
                     f"{c.kept} of {c.times} |\n")
    return text


def markdown(result: dict) -> str:
    table = cells(result["runs"])
    machine = result["machine"]
    return TEXT.format(
        machine=f"QEMU, {machine['accelerator']}, on {machine['processors']} processors", commit=result["commit"],
        versions=", ".join(f"{name} {version}" for name, version in result["versions"].items()),
        tables="\n".join(rows(table, case) for case in CASES if any(key[2] == case for key in table)),
        promises="\n".join(f"| {p.what} | {p.value:.4g} | {p.goal:.4g} | {'kept' if p.ok else '**not kept**'} |" for p in promises(table)),
        setup="\n".join(f"| {NAMES[s['stack']]} | {s['volumes']} | {s['build_s']} s | {s['rest_percent']} % | {s['resident_mib']} MiB |"
                        for s in result["setup"]))


def pause_plot(table: Dict[tuple, Cell]) -> str:
    """A gnuplot program; the data are in it."""
    lines, blocks = [], []
    for i, stack in enumerate(NAMES):
        for case, dash in (("move", 1), ("crash", 2)):
            points = sorted((k[1], c.pause_s) for k, c in table.items() if (k[0], k[2]) == (stack, case))
            if points:
                blocks.append(f"${stack.replace('-', '_')}_{case} << EOD\n" + "\n".join(f"{v} {p}" for v, p in points) + "\nEOD\n")
                lines.append(f"${stack.replace('-', '_')}_{case} using 1:2 with linespoints lc {i + 1} dt {dash} pt {i + 4} "
                             f"title '{NAMES[stack]}: {CASES[case]}'")
    return ("".join(blocks) + "set terminal svg size 900,560 dynamic font 'sans,13'\nset logscale xy\nset xlabel 'volumes in the group'\n"
            "set ylabel 'pause of the host, s (median)'\nset xtics (1, 8, 32, 128)\nset xrange [0.8:160]\nset key below\nset grid\n"
            f"plot {', '.join(lines)}\n")


def crash_plot(runs: List[dict]) -> str:
    """The median power cut of each stack with the fewest volumes: a row for each step, from the end of the one before to its own."""
    crashes = [r for r in runs if r["case"] == "crash"]
    least = min((r["volumes"] for r in crashes), default=1)
    bars, labels, row, end_s = "", "", 0, 1.0
    for colour, stack in enumerate(NAMES, 1):
        of = sorted((r for r in crashes if (r["stack"], r["volumes"]) == (stack, least)), key=lambda r: r["pause_s"])
        if not of:
            continue
        labels += f"set label '{NAMES[stack]}' at 0,{row} left font ',13'\n"
        row, before = row - 1, 0.0
        for step in of[len(of) // 2]["timeline"]:
            bars += f"{before} {row} {step['at_s'] - before} 0 {colour}\n"
            labels += f"set label ' {step['at_s']:.1f} s  {step['node']}: {step['step']}' at {step['at_s']},{row} left font ',10'\n"
            row, before = row - 1, step["at_s"]
            end_s = max(end_s, before)
        row -= 1
    return (f"$bars << EOD\n{bars}EOD\n{labels}set terminal svg size 900,{80 + 18 * -row} dynamic font 'sans,12'\n"
            f"set xlabel 'seconds since the power cut, {least} volume{'s' * (least > 1)}'\nunset ytics\nset yrange [{row}:1]\n"
            f"set xrange [0:{end_s * 1.35}]\nset grid x\nunset key\nplot $bars using 1:2:3:4:5 with vectors nohead lw 6 lc variable\n")


def main() -> int:
    source, target = sys.argv[1:]
    if not shutil.which("gnuplot"):
        print("gnuplot is missing; please run: apt-get install gnuplot-nox", file=sys.stderr)
        return 1
    with open(source, encoding="utf-8") as f:
        result = json.load(f)
    os.makedirs(target, exist_ok=True)
    shutil.copy(source, os.path.join(target, "bench.json"))
    with open(os.path.join(target, "README.md"), "w", encoding="utf-8") as f:
        f.write(markdown(result))
    for name, program in (("pause", pause_plot(cells(result["runs"]))), ("crash", crash_plot(result["runs"]))):
        svg = subprocess.run(["gnuplot"], input=program, stdout=subprocess.PIPE, text=True, check=True).stdout
        with open(os.path.join(target, f"{name}.svg"), "w", encoding="utf-8") as f:
            f.write(svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-2.0-or-later
"""Was an acknowledged write lost? The oracle over ack-writer's log and what ack-dump found on a device.

For each block: the newest acknowledged write <= what is on the device <= the newest write that was issued.

The lower bound holds for every copy that is up to date. The upper bound of a copy whose writer still runs moves on, so stop the writer
before dumping.
"""
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

EVENTS = ("I", "A", "E")


class Block(NamedTuple):
    """What a log says of one block."""
    issued: int = 0
    acked: int = 0
    acked_ns: int = 0  # when `acked` was acknowledged, by the writer's monotonic clock
    rewound: int = 0  # a later writer found less on the device than had been acknowledged: that much was acknowledged then


class Dumped(NamedTuple):
    state: str  # ok, torn, foreign, unreadable
    seqs: Tuple[Optional[int], ...] = ()
    writer: int = 0


def parse_log(data: bytes) -> Dict[int, Block]:
    """Blocks by number. A last line without end (the host lost its power) is left out; any other bad line is an error."""
    blocks: Dict[int, Block] = {}
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        words = line.decode("ascii", errors="replace").split()
        if len(words) != 5 or words[0] not in EVENTS:
            raise ValueError(f"line {number} of the acknowledgement log: {line[:80]!r}")
        event, (_, lba, seq, ns) = words[0], map(int, words[1:])
        b = blocks.get(lba, Block())
        if event == "I":
            rewound = max(b.rewound, b.acked) if seq <= b.acked else b.rewound
            b = b._replace(issued=max(b.issued, seq), rewound=rewound)
        elif event == "A" and seq > b.acked:
            b = b._replace(acked=seq, acked_ns=ns)
        blocks[lba] = b
    return blocks


def parse_dump(text: str) -> Dict[int, Dumped]:
    found = {}
    for line in text.splitlines():
        lba, state, *rest = line.split()
        if state == "ok":
            found[int(lba)] = Dumped(state, (int(rest[0]),), int(rest[1]))
        else:
            found[int(lba)] = Dumped(state, tuple(None if s == "-" else int(s) for s in rest) if state == "torn" else ())
    return found


def verify(log: Dict[int, Block], dump: Dict[int, Dumped], blocks: Optional[Iterable[int]] = None) -> dict:
    """The verdict as a JSON-able dict; `ok` is true only if every list of faults is empty and something was checked.

    `blocks` are those that were dumped; default: all of the log.
    """
    wanted = set(log if blocks is None else blocks)
    faults: Dict[str, List[dict]] = {"lost_writes": [], "torn": [], "foreign": [], "unreadable": [], "unknown_writes": []}
    for lba in sorted(wanted | set(dump)):
        known, found = log.get(lba, Block()), dump.get(lba)
        told = {"lba": lba, "acked": known.acked, "issued": known.issued}
        if known.rewound:
            faults["lost_writes"].append({**told, "on_disk": None, "acked": known.rewound, "seen_by": "a later writer"})
        if found is None:
            if known.acked:
                faults["lost_writes"].append({**told, "on_disk": 0, "acked_ns": known.acked_ns})
        elif found.state == "ok":
            seq = found.seqs[0]
            if seq < known.acked:
                faults["lost_writes"].append({**told, "on_disk": seq, "acked_ns": known.acked_ns})
            elif seq > known.issued:
                faults["unknown_writes"].append({**told, "on_disk": seq})
        elif found.state == "torn":
            faults["torn"].append({**told, "sectors": list(found.seqs)})
        elif found.state == "foreign" and known.issued == 0:
            continue  # never ours
        else:
            faults[found.state].append(told)
    acked = sum(b.acked for b in log.values())
    return {"ok": not any(faults.values()) and acked > 0, "blocks": len(wanted), "acked_writes": acked,
            "unacked_blocks": sum(b.issued > b.acked for b in log.values()), **faults}


def explain(verdict: dict) -> str:
    """The first faults, one per line, for an assertion message."""
    lines = [f"{name}: {fault}" for name, faults in verdict.items() if isinstance(faults, list) for fault in faults[:5]]
    return "\n".join(lines) or f"nothing wrong in {verdict['acked_writes']} acknowledged writes to {verdict['blocks']} blocks"

"""Documents of `invoke drill --json` as the tables of docs/measured/drills.md, on standard output.

Run from the repository: python docs/make_drills.py qfs.json hdfs.json …
Several of one kind are one table, in the order given.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HEADS = (
    "Fault",
    "Seen after",
    "Healthy after",
    "No write for",
    "Acknowledged",
    "Lost",
    "Wrong reads",
    "What status said first",
)
TITLES = {"qfs": "QFS", "hdfs": "HDFS"}


def seconds(value: float | None) -> str:
    """`never` where there is none."""
    return "never" if value is None else f"{value:.1f} s"


def line(row: dict[str, Any]) -> str:
    """One fault."""
    lost = str(row["lost"])
    if row["lost"]:
        lost += f", the oldest of {row['lost_oldest_s']:.1f} s before"
    said = (row["status_said"] or [""])[0].partition("\n")[0]
    cells = (
        f"`{row['fault']}`: {row['what']}",
        seconds(row["seen_s"]),
        seconds(row["healthy_s"]),
        seconds(row["longest_pause_s"]),
        f"{row['acknowledged']:,}",
        lost,
        str(row["wrong_reads"]),
        said.replace("|", "\\|"),
    )
    return f"| {' | '.join(cells)} |"


def main(paths: list[str]) -> None:
    """Prints a table for each kind of storage."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        by_kind.setdefault(document["kind"], []).extend(document["rows"])
    for kind, rows in by_kind.items():
        print(f"## {TITLES.get(kind, kind)}\n")
        print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
        print("\n".join(map(line, rows)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

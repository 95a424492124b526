"""Result files of `invoke bench.storage` as the tables of docs/measured/comparison.md, on standard output.

Run from the repository: python docs/make_comparison.py results/A.json …
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sparkqfs.jobs.measuring.bench import report
from sparkqfs.plan.measuring.bench import OPERATIONS
from sparkqfs.plan.measuring.bench_results import Comparison, Row, floor_text, ratio_text


def line(*cells: str) -> str:
    """A row of a table."""
    return f"| {' | '.join(cells)} |"


def table(comparison: Comparison, title: str, figure: str) -> list[str]:
    """One figure of all variants, a column for each operation."""

    def cell(row: Row, operation: str) -> str:
        found = row.cells.get(operation)
        if found is None:
            return ""
        if figure == "seconds":
            seconds = found.seconds
            text = f"{seconds.median:.1f} ({seconds.low:.1f}–{seconds.high:.1f})"
            return f"{text} {ratio_text(comparison, row, operation)}"
        spread = found.network if figure == "network" else found.cpu
        return "not seen" if spread is None else f"{spread.median:.{2 if figure == 'network' else 0}f}"

    lines = [line(title, *OPERATIONS), "|---|" + "---|" * len(OPERATIONS)]
    return lines + [line(f"`{row.name}`", *(cell(row, one) for one in OPERATIONS)) for row in comparison.rows]


def main(files: list[str]) -> None:
    """Print all tables."""
    made = report(tuple(Path(name) for name in files), None)
    comparison = made.comparison
    for one in made.documents:
        link = one["link"] or "not shaped"
        size = f"{one['mib']} MiB in {one['files']} files, {one['rounds']} rounds"
        print(f"{one['when'][:10]}, {one['storage']}, {one['nodes']} nodes, {one['cores']} cores, link {link}: {size}.")
    print(f"\nRatios are over `{comparison.baseline.name}`; ~ where it may be chance.\n")
    for title, figure in (("Seconds (least–most) ratio", "seconds"), ("Network/byte", "network"), ("CPU s/GB", "cpu")):
        print("\n".join(table(comparison, title, figure)) + "\n")
    print(line("Disk", "bytes per byte") + "\n|---|---|")
    for row in comparison.rows:
        if row.disk is not None and "write" in row.cells:
            print(line(f"`{row.name}`", f"{row.disk:.2f}"))
    if comparison.floor is not None:
        print(f"\nIn all figures: {floor_text(comparison.floor)}.")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Result files of `bench.storage` → medians, spread and ratios. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparkqfs.errors import ConfigError, Problem
from sparkqfs.plan.measuring.bench import OPERATIONS

SCHEMA = 1
LEAST_ROUNDS = 4
"""By chance alone all values of two variants lie apart in 1 of 35 pairs with four rounds, in 1 of 10 with three."""
NOTHING = "nothing"
"""The operation of a sample that only measures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A median, and how far the rounds lie apart."""

    median: float
    low: float
    high: float
    count: int = 1
    """Rounds."""

    def may_equal(self, other: Spread) -> bool:
        """True where the difference may be chance: one reaches into the other, or there are too few rounds to say."""
        return min(self.count, other.count) < LEAST_ROUNDS or (self.low <= other.high and other.low <= self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One operation of one variant, over all rounds."""

    seconds: Spread
    network: Spread | None
    """Bytes received per byte of data; `None` where the containers do not see them."""
    cpu: Spread
    """CPU seconds of all workers per GB of data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One variant of one result file."""

    name: str
    text: str
    cells: Mapping[str, Cell]
    """By operation; a variant that reads another's table has no write."""
    disk: float | None
    """Bytes on disk per byte of data."""
    local_share: float | None
    """Of the scans' tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All variants of some result files, and the one that they are compared with."""

    rows: tuple[Row, ...]
    baseline: Row
    rounds: int
    floor: Cell | None
    """What measuring nothing at all costs, per byte and GB of the smallest table; in every other cell too."""
    wrong: tuple[str, ...]
    """Operations that gave other data back than was written."""
    replaced: tuple[str, ...] = ()
    """Operations during which a worker was replaced; they are in none of the figures."""

    def ratio(self, row: Row, operation: str) -> tuple[float, bool] | None:
        """(time over the baseline's time, whether the difference may be chance); `None` where one was not measured."""
        cell, base = row.cells.get(operation), self.baseline.cells.get(operation)
        if cell is None or base is None or base.seconds.median == 0:
            return None
        return cell.seconds.median / base.seconds.median, cell.seconds.may_equal(base.seconds)


def spread(values: Iterable[float]) -> Spread:
    """Raises `ValueError` for no values."""
    found = list(values)
    if not found:
        raise ValueError("nothing was measured")
    return Spread(median=statistics.median(found), low=min(found), high=max(found), count=len(found))


def compare(documents: Sequence[Mapping[str, Any]], baseline: str | None = None) -> Comparison:
    """The rows of all files. Raises `ConfigError` for a baseline that none of them has."""
    rows: list[Row] = []
    links = {document["link"] for document in documents}
    clusters = {document["cluster"] for document in documents}
    for document in documents:
        marks = [document["cluster"]] if len(clusters) > 1 else []
        marks += [document["link"] or "unshaped"] if len(links) > 1 else []
        rows += _rows(document, " ".join(marks))
    rows = _kept_apart(rows, [document["storage"] for document in documents for _ in document["variants"]])
    wanted = baseline or documents[0]["baseline"]
    found = [row for row in rows if wanted in (row.name, row.name.split(" ")[0])]
    if not found:
        names = ", ".join(row.name for row in rows)
        raise ConfigError(Problem(what=f"--baseline {wanted}: not measured", hint=f"there are {names}"))
    samples = [one for document in documents for one in document["samples"]]
    wrong = tuple(_sample_text(one) for one in samples if not one["is_right"])
    replaced = tuple(_sample_text(one) for one in samples if one.get("replaced"))
    rounds = min(document["rounds"] for document in documents)
    return Comparison(
        rows=tuple(rows),
        baseline=found[0],
        rounds=rounds,
        floor=_floor(documents),
        wrong=wrong,
        replaced=replaced,
    )


def _kept_apart(rows: Sequence[Row], storages: Sequence[str]) -> list[Row]:
    """Rows of one name, such as `shared`, with the storage that was deployed meanwhile."""
    names = Counter(row.name for row in rows)
    return [
        replace(row, name=f"{row.name} beside {storage}") if names[row.name] > 1 else row
        for row, storage in zip(rows, storages, strict=True)
    ]


def _sample_text(sample: Mapping[str, Any]) -> str:
    return f"{sample['variant']} {sample['operation']} of round {sample['round']}".strip()


def _counting(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The samples whose counters went on from before to after."""
    return [one for one in document["samples"] if not one.get("replaced")]


def _floor(documents: Sequence[Mapping[str, Any]]) -> Cell | None:
    smallest = min(documents, key=lambda document: min(table["bytes"] for table in document["tables"].values()))
    samples = [one for one in _counting(smallest) if one["operation"] == NOTHING]
    size = min(table["bytes"] for table in smallest["tables"].values())
    return _cell(samples, size, True) if samples else None


def _rows(document: Mapping[str, Any], mark: str) -> list[Row]:
    rows = []
    for variant in document["variants"]:
        table = document["tables"][variant["table"]]
        size = table["bytes"]
        mine = [sample for sample in _counting(document) if sample["variant"] == variant["name"]]
        cells = {
            operation: _cell([one for one in mine if one["operation"] == operation], size, variant["is_counted"])
            for operation in OPERATIONS
            if any(one["operation"] == operation for one in mine)
        }
        levels: dict[str, int] = {}
        for one in mine:
            for level, count in one.get("tasks", {}).items():
                levels[level] = levels.get(level, 0) + count
        local = levels.get("NODE_LOCAL", 0) / sum(levels.values()) if levels and variant["is_counted"] else None
        rows.append(
            Row(
                name=f"{variant['name']} {mark}".strip(),
                text=variant["text"],
                cells=cells,
                disk=table["disk_bytes"] / size if table["disk_bytes"] is not None else None,
                local_share=local,
            )
        )
    return rows


def _cell(samples: Sequence[Mapping[str, Any]], size: int, is_counted: bool) -> Cell:
    return Cell(
        seconds=spread(one["seconds"] for one in samples),
        network=spread(one["received_bytes"] / size for one in samples) if is_counted else None,
        cpu=spread(one["cpu_seconds"] / size * 1e9 for one in samples),
    )


def table_lines(comparison: Comparison) -> list[str]:
    """A table for each operation, in plain text."""
    width = max(len(row.name) for row in comparison.rows)
    heads = f"{'seconds (least-most)':>22}  {'ratio':>7}  {'network/byte':>12}  {'CPU s/GB':>8}"
    lines: list[str] = []
    for operation in OPERATIONS:
        lines += ["", f"{operation:{width}}  {heads}"]
        for row in comparison.rows:
            cell = row.cells.get(operation)
            if cell is None:
                continue
            seconds = f"{cell.seconds.median:.1f} ({cell.seconds.low:.1f}-{cell.seconds.high:.1f})"
            network = f"{cell.network.median:.2f}" if cell.network is not None else "-"
            lines.append(
                f"{row.name:{width}}  {seconds:>22}  {ratio_text(comparison, row, operation):>7}  "
                f"{network:>12}  {cell.cpu.median:>8.1f}"
            )
    lines += ["", f"{'disk':{width}}  {'bytes per byte':>22}"]
    for row in comparison.rows:
        if "write" in row.cells:
            lines.append(f"{row.name:{width}}  {f'{row.disk:.2f}' if row.disk is not None else '-':>22}")
    lines += ["", f"ratio: time over that of {comparison.baseline.name}; ~ where it may be chance"]
    if comparison.floor is not None:
        lines.append(floor_text(comparison.floor))
    return lines[1:]


def floor_text(floor: Cell) -> str:
    """What every figure has too much of, about."""
    network = floor.network.median if floor.network is not None else 0.0
    return f"measuring nothing at all shows {network:.3f} network/byte and {floor.cpu.median:.1f} CPU s/GB"


def ratio_text(comparison: Comparison, row: Row, operation: str) -> str:
    """`1.87`, `~1.04` where it may be chance, `-` where there is nothing to compare with."""
    found = comparison.ratio(row, operation)
    if found is None:
        return "-"
    return ("~" if found[1] and row is not comparison.baseline else "") + f"{found[0]:.2f}"

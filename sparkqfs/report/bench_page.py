"""Result files of `bench.storage` → one HTML page that needs nothing else, with its pictures drawn as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from sparkqfs import durable
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.plan.measuring.bench import OPERATIONS, megabytes
from sparkqfs.plan.measuring.bench_results import Cell, Comparison, Spread, floor_text, ratio_text
from sparkqfs.report.locality_page import AMBER, BLUE, GREEN, GREY, LABEL, ROW, STYLE, VALUE, WIDTH

PALETTE = (GREEN, BLUE, AMBER, GREY)
"""One colour a storage, in the order of the rows."""
TITLE = "Storages compared"
MORE_STYLE = "td.n,th.n{text-align:right}"
MEANINGS = {
    "write": "Rows are made in the executors and written as Parquet.",
    "scan": "Every byte of every column is read and summed.",
    "aggregate": "The same, in 1,000 groups.",
    "sort": "All is read twice, first to find the borders, ordered by a hash and thrown away; "
    "the shuffle is on the workers' own disks.",
}

Measured = tuple[str, Spread, str]
"""(label, value, text at the end)."""


def write_bench_page(file: Path, documents: Sequence[dict[str, Any]], comparison: Comparison) -> None:
    """Write the page. Raises `ClusterError` when it cannot be written."""
    try:
        durable.make_directories(file.parent)
        durable.write_file(file, bench_page(documents, comparison).encode())
    except OSError as error:
        raise ClusterError(Problem(what=f"{file} cannot be written: {error.strerror}")) from error


def spread_bars(rows: Sequence[Measured]) -> str:
    """Bars to the median, each with a line from the least to the most, as an SVG element."""
    longest = max((value.high for _, value, _ in rows), default=0) or 1
    scale = (WIDTH - LABEL - VALUE) / longest
    kinds = list(dict.fromkeys(_kind(label) for label, _, _ in rows))
    drawn = []
    for number, (label, value, text) in enumerate(rows):
        top = number * ROW
        middle, low, high = (LABEL + one * scale for one in (value.median, value.low, value.high))
        colour = PALETTE[kinds.index(_kind(label)) % len(PALETTE)]
        drawn.append(
            f'<text x="{LABEL - 8}" y="{top + 17}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{LABEL}" y="{top + 4}" width="{middle - LABEL:.1f}" height="18" fill="{colour}"/>'
            f'<path d="M{low:.1f} {top + 13}H{high:.1f}M{low:.1f} {top + 8}v10M{high:.1f} {top + 8}v10" stroke="#222"/>'
            f'<text x="{max(middle, high) + 6:.1f}" y="{top + 17}">{escape(text)}</text>'
        )
    return f'<svg viewBox="0 0 {WIDTH} {max(1, len(rows)) * ROW}" role="img">{"".join(drawn)}</svg>'


def _kind(label: str) -> str:
    return label.partition(" ")[0].partition("-")[0]


def bench_page(documents: Sequence[dict[str, Any]], comparison: Comparison) -> str:
    """The whole page. Everything that comes from a file is escaped."""
    parts = [_runs(documents)]
    if comparison.wrong:
        parts.append(f"<p><b>Wrong data came back:</b> {escape('; '.join(comparison.wrong))}</p>")
    base = escape(comparison.baseline.name)
    parts.append(
        f"<p>Bars are medians of {comparison.rounds} rounds, lines the least and the most. Ratios are times over that "
        f"of <b>{base}</b>; ~ where it may be chance: the spreads overlap, or there are fewer than four rounds.</p>"
    )
    if comparison.floor is not None:
        parts.append(f"<p>In all figures: {escape(floor_text(comparison.floor))}.</p>")
    for operation in OPERATIONS:
        parts.append(
            f"<h2>{operation.capitalize()}</h2>\n<p>{MEANINGS[operation]}</p>\n{_table(comparison, operation)}"
        )
        parts.append(f"<h3>Seconds</h3>\n{_plot(comparison, operation, lambda cell: cell.seconds, ' s')}")
        parts.append(f"<h3>Bytes over the network per byte of data</h3>\n{_plot(comparison, operation, _network, '')}")
        parts.append(f"<h3>CPU seconds per GB</h3>\n{_plot(comparison, operation, lambda cell: cell.cpu, ' s')}")
    disks = [
        (row.name, Spread(median=row.disk, low=row.disk, high=row.disk), f"{row.disk:.2f}")
        for row in comparison.rows
        if row.disk is not None and "write" in row.cells
    ]
    if disks:
        parts.append(f"<h2>Bytes on disk per byte of data</h2>\n{spread_bars(disks)}")
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>{TITLE}</title><style>{STYLE}{MORE_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body><h1>{TITLE}</h1>\n{body}\n</body></html>\n'


def _network(cell: Cell) -> Spread | None:
    return cell.network


def _plot(comparison: Comparison, operation: str, choose: Callable[[Cell], Spread | None], unit: str) -> str:
    rows = []
    for row in comparison.rows:
        value = choose(row.cells[operation]) if operation in row.cells else None
        if value is not None:
            rows.append((row.name, value, f"{value.median:.2f}{unit} ({value.low:.2f} to {value.high:.2f})"))
    return spread_bars(rows) if rows else "<p>Not seen from the containers.</p>"


def _table(comparison: Comparison, operation: str) -> str:
    heads = ("", "seconds", "least", "most", "ratio", "network per byte", "CPU s per GB")
    lines = ["".join(f'<th class="n">{head}</th>' for head in heads)]
    for row in comparison.rows:
        cell = row.cells.get(operation)
        if cell is None:
            continue
        seconds = cell.seconds
        values = [f"{one:.1f}" for one in (seconds.median, seconds.low, seconds.high)]
        values += [ratio_text(comparison, row, operation)]
        values += [f"{cell.network.median:.2f}" if cell.network is not None else "–", f"{cell.cpu.median:.1f}"]
        name = f'<th title="{escape(row.text)}">{escape(row.name)}</th>'
        lines.append(name + "".join(f'<td class="n">{escape(value)}</td>' for value in values))
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _runs(documents: Sequence[dict[str, Any]]) -> str:
    rows = []
    for one in documents:
        link = f"each worker's link held to {one['link']}" if one["link"] else "link not shaped"
        text = (
            f"{one['nodes']} nodes, {one['cores']} cores in {one['executors']} executors, Spark {one['spark']}, "
            f"network {one['network']}, {link}; {megabytes(one['mib'])} in {one['files']} files, "
            f"{one['rounds']} rounds; CPU time from {one['cpu_source']}"
        )
        name = f"{one['cluster']}, {one['storage']}, {one['when']}"
        rows.append(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>")
    return f"<table>{''.join(rows)}</table>"

"""The document of `verify` → one HTML page that needs nothing else, with its pictures drawn as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from sparkqfs import durable
from sparkqfs.errors import ClusterError, Problem

GREEN, RED, BLUE, GREY, AMBER = "#2e7d32", "#c62828", "#1565c0", "#90a4ae", "#ef6c00"
STATES = {"local": GREEN, "not local": RED}
LEVELS = {"PROCESS_LOCAL": "#1b5e20", "NODE_LOCAL": GREEN, "NO_PREF": GREY, "RACK_LOCAL": AMBER, "ANY": RED}
STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}"
    ".verdict{color:#fff;padding:.6rem 1rem;border-radius:.3rem}"
    "svg{display:block;width:100%;height:auto}svg text{font:13px sans-serif}"
    "table{border-collapse:collapse}td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top}"
    ".key{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}"
)
WIDTH, LABEL, VALUE, ROW = 900, 210, 270, 26

Bar = tuple[str, Sequence[tuple[float, str]], str]
"""(label, (length, colour) of each part, text at the end)."""


def write_page(file: Path, document: dict[str, Any]) -> None:
    """Write the page. Raises `ClusterError` when it cannot be written."""
    try:
        durable.write_file(file, page(document).encode())
    except OSError as error:
        raise ClusterError(Problem(what=f"{file} cannot be written: {error.strerror}")) from error


def bars(rows: Sequence[Bar]) -> str:
    """Horizontal bars of one scale, as an SVG element."""
    longest = max((sum(length for length, _ in parts) for _, parts, _ in rows), default=0) or 1
    scale = (WIDTH - LABEL - VALUE) / longest
    drawn = []
    for number, (label, parts, text) in enumerate(rows):
        top, left = number * ROW, float(LABEL)
        drawn.append(f'<text x="{LABEL - 8}" y="{top + 17}" text-anchor="end">{escape(label)}</text>')
        for length, colour in parts:
            width = length * scale
            drawn.append(
                f'<rect x="{left:.1f}" y="{top + 4}" width="{width:.1f}" height="18" fill="{escape(colour)}"/>'
            )
            left += width
        drawn.append(f'<text x="{left + 6:.1f}" y="{top + 17}">{escape(text)}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {max(1, len(rows)) * ROW}" role="img">{"".join(drawn)}</svg>'


def page(document: dict[str, Any]) -> str:
    """The whole page. Everything that comes from the cluster is escaped."""
    verdict, placed, scan = document["verdict"], document["placement"], document["scan"]
    nodes: dict[str, str] = document["nodes"]
    held: dict[str, int] = placed["bytes_by_host"]
    read: dict[str, int] = document["read_by_host"]
    received: dict[str, int] = document["received_bytes"]
    levels: dict[str, dict[str, int]] = document["levels_by_host"]
    hosts = sorted({*held, *read, *received})

    def named(host: str) -> str:
        return f"{nodes[host]} ({host})" if host in nodes else host

    exchanged: list[Bar] = []
    for host in hosts:
        count, remote = read.get(host, 0), received.get(host, 0)
        own = max(0, count - remote)
        exchanged.append((named(host), ((own, GREEN), (remote, RED)), f"{_mb(own)} own, {_mb(remote)} received"))
    tasks: list[Bar] = [
        (
            named(host),
            [(count, LEVELS.get(level, GREY)) for level, count in sorted(levels.get(host, {}).items())],
            ", ".join(f"{level} {count}" for level, count in sorted(levels.get(host, {}).items())) or "none",
        )
        for host in hosts
    ]
    facts = {
        "path": document["path"],
        "files": f"{document['files']} of {_mb(document['average_file_bytes'])} on average",
        "blocks by copies": ", ".join(f"{number} with {count}" for count, number in placed["copies"].items()),
        "partitions": f"{scan['partitions']} of {_mb(scan['bytes_per_partition'])}, "
        f"{scan['files_per_partition']} files each, {scan['mixed_partitions']} with files mixed",
        "read": f"{_mb(document['bytes_read'])} in {document['read_seconds']} s, {document['reads']} times the files",
        "received": f"{_mb(document['received_total'])}, {document['remote_share']:.1%} of that",
    }
    reader = document["reader"]
    if reader is not None:
        facts["reader"] = (
            f"{_mb(reader['local_bytes'])} from the node's own disks, {_mb(reader['remote_bytes'])} from others, "
            f"{_mb(reader['fallback_bytes'])} fallen back"
        )
    found = [*verdict["problems"], *verdict["notes"]]
    parts = [
        f'<p class="verdict" style="background:{STATES.get(verdict["state"], AMBER)}">{escape(verdict["text"])}</p>',
        _table(facts.items()),
        _section("What was seen", _table((_where(one), one["hint"] or "") for one in found)) if found else "",
        _section("Who holds what", bars([(named(h), ((held[h], BLUE),), _mb(held[h])) for h in sorted(held)]))
        if held
        else _section("Who holds what", "<p>The storage does not say where its data is.</p>"),
        _section(
            "Who read what",
            f"<p>{_key(GREEN, 'read on the own node')}{_key(RED, 'received over the network')}</p>{bars(exchanged)}",
        ),
        _section("Who read what from whom", _matrix(reader, named)) if reader is not None else "",
        _section("Where the tasks ran", bars(tasks)),
    ]
    body = "\n".join(part for part in parts if part)
    title = "How local the reads are"
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n'


def _matrix(reader: dict[str, Any], named: Callable[[str], str]) -> str:
    """What each node read, by the node that has it. What may have come from several is shared out evenly."""
    sources: dict[str, dict[str, int]] = reader.get("sources", {})
    cells: dict[tuple[str, str], float] = {}
    shared: set[tuple[str, str]] = set()
    for host, count in reader.get("local_by_host", {}).items():
        cells[host, host] = count
    for host, found in sources.items():
        for names, count in found.items():
            owners = names.split(",")
            for place in ((host, owner) for owner in owners):
                cells[place] = cells.get(place, 0) + count / len(owners)
                shared |= {place} if len(owners) > 1 else set()
    hosts = sorted({host for place in cells for host in place})
    rows = ["<tr><th>reads ↓ from →</th>" + "".join(f"<th>{escape(named(host))}</th>" for host in hosts) + "</tr>"]
    for host in sorted({host for host, _ in cells}):
        row = ""
        for place in ((host, owner) for owner in hosts):
            colour = GREEN if place[0] == place[1] else RED
            text = ("≈ " if place in shared else "") + _mb(cells[place]) if cells.get(place) else ""
            row += f'<td style="color:{colour}">{text}</td>'
        rows.append(f"<tr><th>{escape(named(host))}</th>{row}</tr>")
    unknown = reader["remote_bytes"] + reader["fallback_bytes"] - sum(sum(one.values()) for one in sources.values())
    return (
        f"<p>{_key(GREEN, 'on the own node')}{_key(RED, 'from another node')}</p><table>{''.join(rows)}</table>"
        + ("<p>≈: it was one of several nodes that have it; shared out evenly.</p>" if shared else "")
        + (f"<p>{_mb(unknown)} came from nodes that are not known.</p>" if unknown > 0 else "")
    )


def _where(problem: dict[str, Any]) -> str:
    return (f"[{problem['node']}] " if problem["node"] else "") + str(problem["what"])


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{content}"


def _table(rows: Any) -> str:
    cells = "".join(f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def _key(colour: str, text: str) -> str:
    return f'<span class="key" style="background:{colour}"></span>{escape(text)}'


def _mb(count: float) -> str:
    return f"{count / 1e6:,.1f} MB"

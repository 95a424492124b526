"""What the pictures of the README and docs show, and those that are drawn of a task's document.

`SHOWS` says what a picture shows, and docs/pictures/shown.json which state of it: tests/unit/test_pictures.py says
which are too old. They are taken by tests/cluster/pictures.py.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from typing import Any

from rich.console import Console

from sparkqfs.plan.steps import JobResult
from sparkqfs.report.locality_page import page
from sparkqfs.report.reporter import Reporter
from sparkqfs.report.terminal import Terminal
from tests.paths import ROOT

PICTURES = ROOT / "docs" / "pictures"
SHOWN = PICTURES / "shown.json"
NOTEBOOK = ROOT / "notebooks" / "primes.ipynb"
SQL_TABLES = ROOT / "runtime" / "sparkqfs_runtime" / "sql" / "show.py"
"""It makes the tables of `invoke sql`."""
JDBC_TOOL = ROOT / "tests" / "cluster" / "java" / "JdbcClient.java"
WIDTH = 110
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
 font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""rich's own has a font from another site."""


def document_of(name: str) -> dict[str, Any]:
    """What a task said when the picture was taken."""
    found: dict[str, Any] = json.loads((PICTURES / f"{name}.json").read_text(encoding="utf-8"))
    return found


class Recorded(Terminal):
    """What would be on a terminal, kept."""

    def __init__(self) -> None:
        Console.__init__(
            self, file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, highlight=False, soft_wrap=False
        )


def drawn_status() -> str:
    """`invoke status` on a terminal, as SVG."""
    reporter = Reporter()
    terminal = Recorded()
    reporter.__dict__["out"] = terminal
    terminal.say("$ invoke status")
    reporter.result(JobResult(task="status", document=document_of("status")))
    return terminal.export_svg(title="", code_format=FORMAT, unique_id="status")


def drawn_words(name: str) -> str:
    """Commands and what they printed, as SVG."""
    terminal = Recorded()
    for command, said in document_of(name)["said"]:
        terminal.say(f"$ {command}")
        for line in said.splitlines():
            terminal.say(line)
    return terminal.export_svg(title="", code_format=FORMAT, unique_id=name)


def page_of_verify() -> str:
    """`invoke verify --report FILE`, as HTML."""
    return page(document_of("verify"))


SHOWS: dict[str, Callable[[], str]] = {
    "status.svg": drawn_status,
    "verify.png": page_of_verify,
    "jupyter.png": lambda: NOTEBOOK.read_text(encoding="utf-8"),
    "sql.svg": lambda: drawn_words("sql") + SQL_TABLES.read_text(encoding="utf-8"),
    "jdbc.svg": lambda: drawn_words("jdbc") + JDBC_TOOL.read_text(encoding="utf-8"),
}
"""Picture → what it shows, as text."""


def state_of(name: str) -> str:
    """What a picture shows, in short."""
    return hashlib.sha256(SHOWS[name]().encode()).hexdigest()

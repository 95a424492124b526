"""Coloured lines and tables for people. The one place that uses rich, and loaded only where something is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text


class Terminal(Console):
    """Standard output or standard error. `NO_COLOR` and pipes get plain text; nothing in a text is markup."""

    def __init__(self, *, stderr: bool, nobody_reads: Callable[[], None]) -> None:
        super().__init__(stderr=stderr, highlight=False, soft_wrap=True)
        self._nobody_reads = nobody_reads

    def on_broken_pipe(self) -> None:
        """The other side is closed, as behind `| head`."""
        self._nobody_reads()

    def say(self, *parts: str | tuple[str, str]) -> None:
        """One line of texts, or of (text, style)."""
        self.print(Text.assemble(*parts))

    def say_rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Names and values below each other."""
        table = Table(show_header=False, box=None, pad_edge=False)
        for name, value in rows:
            table.add_row(Text(name), Text(value))
        self.print(table)

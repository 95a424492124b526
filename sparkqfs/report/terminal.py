"""Coloured lines and tables for people. The one place that uses rich, and loaded only where something is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text

PAGE_WIDTH = 120
"""Columns of a page, at most."""


class Terminal(Console):
    """Standard output or standard error. `NO_COLOR` and pipes get plain text; nothing in a text is markup."""

    def __init__(self, *, stderr: bool, fails: Callable[[OSError], None]) -> None:
        super().__init__(stderr=stderr, highlight=False, soft_wrap=True)
        self._fails = fails

    def on_broken_pipe(self) -> None:
        """The other side is closed, as behind `| head`; rich would end the process."""
        self._fails(BrokenPipeError())

    def print(self, *parts: Any, **options: Any) -> None:
        """As rich's, but the stream's errors go to `fails`."""
        try:
            super().print(*parts, **options)
        except OSError as error:
            self._fails(error)

    def say(self, *parts: str | tuple[str, str]) -> None:
        """One line of texts, or of (text, style)."""
        self.print(Text.assemble(*parts))

    def say_rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Names and values below each other."""
        lines = list(rows)
        width = max((cell_len(name) for name, _ in lines), default=0)
        for name, value in lines:  # no table of rich's: at the edge of a terminal it cuts what is longer, URLs too
            self.say(f"{name}{' ' * (width - cell_len(name))}  {value}".rstrip())


def laid_out(markdown: str) -> str:
    """Markdown as this terminal shows it."""
    console = Console()
    with console.capture() as captured:
        console.print(Markdown(markdown, hyperlinks=False), width=min(PAGE_WIDTH, console.width))
    return captured.get()

"""SQL at a terminal: lines until a semicolon, a history, and Tab for the names of tables."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sparkqfs_runtime.sql import show
from sparkqfs_runtime.sql.engine import Engine, SqlError
from sparkqfs_runtime.sql.statements import is_open, split

HISTORY = ".sparkqfs-sql-history"
HISTORY_LINES = 5000
PROMPTS = "sql> ", "...> "
WELCOME = "A semicolon ends a statement, Tab completes names, Ctrl-C ends a query, Ctrl-D leaves.\n"
CHANGES = re.compile(r"\s*(create|drop|alter|use|refresh|cache|uncache|set|insert|with|replace|begin|execute)\b", re.I)
"""What may change which tables there are."""
LEAVE = re.compile(r"\s*(exit|quit)\s*;?\s*", re.I)
KEYWORDS = tuple(
    """
    SELECT FROM WHERE GROUP ORDER BY HAVING LIMIT JOIN LEFT RIGHT FULL OUTER INNER CROSS ON USING UNION ALL DISTINCT
    INSERT INTO OVERWRITE VALUES CREATE TABLE VIEW TEMPORARY DATABASE OR REPLACE IF NOT EXISTS AS DROP ALTER SHOW TABLES
    DATABASES DESCRIBE EXTENDED EXPLAIN USE CASE WHEN THEN ELSE END WITH CACHE PARTITIONED LOCATION AND NULL IS IN LIKE
    BETWEEN DELETE UPDATE MERGE SET
    """.split()  # noqa: SIM905
)


class Names:
    """What Tab offers: asked for once, and again after a statement that may have changed it."""

    def __init__(self, ask: Callable[[], list[str]]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._known: list[str] | None = None

    def forget(self) -> None:
        """They may have changed; ask in the background, so that Tab need not wait."""
        self._known = None
        threading.Thread(target=self._tables, daemon=True).start()

    def _tables(self) -> list[str]:
        with self._lock:
            if self._known is None:
                self._known = self._ask()
            return self._known

    def complete(self, text: str) -> list[str]:
        """What begins with this, whatever its letters' case; names first."""
        start = text.casefold().replace("`", "")
        if not start:
            return list(self._tables())
        names = [name for name in self._tables() if name.casefold().startswith(start)]
        upper = text.isupper()
        words = [word if upper else word.lower() for word in KEYWORDS if word.casefold().startswith(start)]
        return names + [f"{word} " for word in words if word.casefold() not in map(str.casefold, names)]


def set_up_line(names: Names, history: Path) -> Callable[[], None]:
    """Line editing, where Python has it; what keeps the history."""
    try:
        import readline
    except ImportError:
        return lambda: None
    offered: list[str] = []

    def complete(text: str, state: int) -> str | None:
        if state == 0:
            offered[:] = names.complete(text)
        return offered[state] if state < len(offered) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n,()=<>;+-*/'\"")
    readline.parse_and_bind("tab: complete")
    readline.set_history_length(HISTORY_LINES)
    with contextlib.suppress(OSError):
        readline.read_history_file(history)

    def keep() -> None:
        with contextlib.suppress(OSError):
            history.touch(mode=0o600)
            readline.write_history_file(history)

    return keep


class Shell:
    """Reads and runs until the end of input."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._names = Names(engine.tables)

    def run(self) -> int:
        """Always 0: what went wrong has been said."""
        history = Path(os.environ.get("HOME") or "/tmp") / HISTORY
        keep = set_up_line(self._names, history)
        self._names.forget()
        say(WELCOME)
        typed: str | None = ""
        while typed is not None:
            try:
                typed = self._next(typed)
                if not typed:
                    keep()
            except KeyboardInterrupt:
                say("\n")
                typed = ""
        return 0

    def _next(self, typed: str) -> str | None:
        """Take one more line, and run what is whole then; what is not whole yet, `None` at the end."""
        try:
            typed += input(PROMPTS[bool(typed)]) + "\n"
        except EOFError:
            say("\n")
            return None
        if LEAVE.fullmatch(typed):
            return None
        if is_open(typed):
            return typed
        self._run(typed)
        return ""

    def _run(self, text: str) -> None:
        """Each statement; the first that fails ends it."""
        for statement in split(text):
            began = time.monotonic()
            try:
                result = self._engine.run(statement.text)
                count = None
                if result.names:
                    count = show.as_table(result.names, result.rows, say, widest=self._widest(len(result.names)))
            except SqlError as error:
                say(f"{error}\n")
                return
            except KeyboardInterrupt:
                say("\n")
                self._engine.interrupt()  # a second Ctrl-C is the caller's
                say("interrupted\n")
                return
            finally:
                if CHANGES.match(statement.text):
                    self._names.forget()
            rows = "" if count is None else f"{count} row{'' if count == 1 else 's'}, "
            say(f"({rows}{time.monotonic() - began:.1f} s)\n")

    @staticmethod
    def _widest(columns: int) -> int:
        """Of a column: one alone may have the whole line."""
        return max(show.WIDEST, shutil.get_terminal_size().columns) if columns == 1 else show.WIDEST


def say(text: str) -> None:
    """To the terminal, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()

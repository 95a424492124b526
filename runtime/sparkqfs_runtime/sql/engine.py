"""SQL statements on the Connect server of this container, whose token lies next to it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkqfs_runtime.relay import USED, Uses
from sparkqfs_runtime.sql import values

READY = "server.json"
USED_S = 5.0
"""Between two notes that the server is used, while a statement runs."""
BEYOND = (ValueError, ArithmeticError, NotImplementedError)
"""What Python and Arrow say of values that they have no place for, such as a date after the year 9999."""
HINT = "`cast(… as string)` shows it"
STACK = "\n\nJVM stacktrace:"


class SqlError(Exception):
    """What Spark has against a statement; the text is for the user."""


@dataclass(frozen=True)
class Result:
    """Columns, their types and the rows, which come as they are read. No columns: nothing to show."""

    names: list[str]
    types: list[str]
    rows: Iterator[Any]


class Engine:
    """A session of its own on the server."""

    def __init__(self) -> None:
        run = Path(os.environ.get("SPARKQFS_RUN_DIR") or "/run/sparkqfs")
        self._uses = Uses(run / USED)
        self._uses.note()
        said = json.loads((run / READY).read_text(encoding="utf-8"))
        os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"] = said["token"]
        logging.disable()  # pyspark logs each error with its stack; we say it in its own words
        from pyspark.sql import SparkSession

        with spoken():
            self._spark: Any = SparkSession.builder.remote(f"sc://localhost:{said['connect_port']}").getOrCreate()

    def run(self, statement: str) -> Result:
        """Raises `SqlError`."""
        with self._in_use(), spoken():
            frame = self._spark.sql(statement)
            fields = frame.schema.fields
            rows = values.asked(frame).toLocalIterator() if fields else iter(())
        names, kinds = [one.name for one in fields], [one.dataType for one in fields]
        return Result(names, [kind.simpleString() for kind in kinds], self._read(values.read(kinds, rows)))

    def _read(self, rows: Iterator[Any]) -> Iterator[Any]:
        with self._in_use(), spoken():
            yield from rows

    def interrupt(self) -> None:
        """End what runs."""
        with contextlib.suppress(Exception):
            self._spark.interruptAll()

    def tables(self) -> list[str]:
        """Names of all tables and views, those of the current database without its name; none when that fails."""
        try:
            current = self._texts("select current_database()")[0]
            found = self._tables_of(current)
            for database in self._texts("show databases"):
                found += [f"{database}.{name}" for name in self._tables_of(database)]
            return found
        except SqlError:
            return []

    def _tables_of(self, database: str) -> list[str]:
        return [str(row[1]) for row in self.run(f"show tables in `{database.replace('`', '``')}`").rows]

    def _texts(self, statement: str) -> list[str]:
        return [str(row[0]) for row in self.run(statement).rows]

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        """This way goes past the relay: the server is told that it is used, as long as this takes."""
        over = threading.Event()

        def note() -> None:
            self._uses.note()
            while not over.wait(USED_S):
                self._uses.note()

        threading.Thread(target=note, daemon=True).start()
        try:
            yield
        finally:
            over.set()


@contextlib.contextmanager
def spoken() -> Iterator[None]:
    """Spark's errors as `SqlError`: their own words, without its stack; and values that its client cannot hand over."""
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        text = str(error.getMessage() or error)
        raise SqlError(text.partition(STACK)[0].strip()) from error
    except BEYOND as error:
        raise SqlError(f"Python cannot hold a value of these rows: {error}. {HINT}") from error
    except Exception as error:  # whatever its client has against an answer, a shell goes on
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise SqlError(f"Spark's client cannot read the answer ({said}). {HINT}") from error

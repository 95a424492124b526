"""Lists of names, as runtime/sparkqfs_runtime/names/lists.py writes them: read, and compared with each other."""

from __future__ import annotations

import gzip
import heapq
import json
import re
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from sparkqfs.amounts import amount
from sparkqfs.facts.fsck import shown_name
from sparkqfs.plan.storage.backups import NamesPart, Position

SCHEMA = 1
MOST_LINE = 1 << 20
SHOWN = 10
"""Names of a damage that are told."""
_ROW = re.compile(r"(-|-?\d+) (/[!-~]+)\n")
ABSENT = "absent"


class Row(NamedTuple):
    """A name, in the list's form, and its length as the list has it; `-` for a directory."""

    path: str
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a list says of itself, counted again."""

    kind: str
    identity: str
    before: Position | None
    after: Position | None
    files: int
    directories: int
    bytes: int
    tables: int | None = None
    """Of the catalogue of tables, where one was opened."""

    @property
    def exact(self) -> bool:
        """Nothing was written while the list was made."""
        if self.before is None or self.after is None:
            return False
        same = (self.before.log, self.before.size) == (self.after.log, self.after.size)
        return same or (self.before.operation is not None and self.before.operation == self.after.operation)

    def part(self, tries: int) -> NamesPart:
        """For backup.json. Raises `ValueError` for a list without places of the log."""
        if self.before is None or self.after is None:
            raise ValueError("it does not say where the log stood")
        return NamesPart(
            exact=self.exact,
            tries=tries,
            before=self.before,
            after=self.after,
            files=self.files,
            directories=self.directories,
            bytes=self.bytes,
        )


class Reading:
    """One pass through a list. What it says of itself is known after the last row. Raises `ValueError`, OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head: dict[str, Any] = {}
        self.tail: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[Row]:
        last: list[str] = []
        try:
            with gzip.open(self.path, "rt", encoding="ascii", newline="\n") as file:
                self.head = _document(file.readline(MOST_LINE))
                if self.head.get("schema") != SCHEMA:
                    raise ValueError("it is of another version")
                while line := file.readline(MOST_LINE):
                    if self.tail is not None:
                        raise ValueError("there is something after its end")
                    if line.startswith("{"):
                        self.tail = _document(line)
                        continue
                    row, last = self._row(line, last)
                    yield row
        except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
            raise ValueError(f"it cannot be read to its end: {error}") from error
        if self.tail is None:
            raise ValueError("its last line is missing")

    @staticmethod
    def _row(line: str, last: list[str]) -> tuple[Row, list[str]]:
        found = _ROW.fullmatch(line)
        if found is None:
            raise ValueError("a line of it is not a name with its length")
        key = order(found[2])
        if key <= last:
            raise ValueError("its names are not in order")
        return Row(found[2], found[1]), key


def _document(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError("its first or its last line is not what it should be")
    return found


def counted(found: Summary | NamesPart) -> str:
    """How many files and directories, for a sentence."""
    return f"{amount(found.files, 'file')}, {amount(found.directories, 'directory', 'directories')}"


def order(path: str) -> list[str]:
    """A directory stands before what is in it, and the names of one directory are sorted."""
    return path.split("/")


def read_summary(path: Path) -> Summary:
    """What a whole list says; every line is read. Raises `ValueError`, OSError."""
    reading = Reading(path)
    files = directories = total = 0
    for row in reading:
        if row.size == "-":
            directories += 1
        else:
            files, total = files + 1, total + max(0, int(row.size))
    tail = reading.tail or {}
    if (files, directories, total) != (tail.get("files"), tail.get("directories"), tail.get("bytes")):
        raise ValueError("it does not have as many names as its last line says")
    return Summary(
        kind=str(reading.head.get("kind")),
        identity=str(reading.head.get("identity")),
        before=_position(reading.head.get("position")),
        after=_position(tail.get("position")),
        files=files,
        directories=directories,
        bytes=total,
        tables=_tables(reading.head.get("catalogue")),
    )


def _tables(found: object) -> int | None:
    match found:
        case {"tables": int(count)}:
            return count
        case _:
            return None


def _position(found: object) -> Position | None:
    match found:
        case [str(log), int(size), int() | None as operation]:
            return Position(log=log, size=size, operation=operation)
        case _:
            return None


@dataclass(slots=True)
class Difference:
    """What a list has otherwise than the states that it is compared with. Counts, and the first names."""

    missing: int = 0
    """Names of the list that no state has."""
    added: int = 0
    """Names that each state has and the list has not."""
    changed: int = 0
    """Names with another length, or a file that is a directory."""
    examples: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All of them."""
        return self.missing + self.added + self.changed

    def add(self, path: str, found: str, wanted: set[str]) -> None:
        """One name, as people read it: in the list so, in the states so."""
        if found == ABSENT:
            self.added += 1
            text = f"{path} is not in the list"
        elif wanted == {ABSENT}:
            self.missing += 1
            text = f"{path} is only in the list"
        else:
            self.changed += 1
            lengths = " or ".join(sorted(wanted))
            text = f"{path}: {found} in the list, {lengths} in the metadata"
        if len(self.examples) < SHOWN:
            self.examples.append(text)

    def text(self) -> str:
        """For people."""
        words = [
            f"{count} {what}"
            for count, what in (
                (self.missing, "names that only the list has"),
                (self.added, "names that the list has not"),
                (self.changed, "names with another length"),
            )
            if count
        ]
        more = "" if self.total <= len(self.examples) else ", …"
        return f"{', '.join(words)}: {'; '.join(self.examples)}{more}"


def _shown(path: str) -> str:
    """A name in the list's form, for people."""
    return shown_name(urllib.parse.unquote_to_bytes(path))


def compare(names: Iterable[Row], *states: Iterable[Row]) -> Difference:
    """A name is right when it agrees with one of the states. Memory is that of a line of each. Raises as `Reading`."""
    found = Difference()

    def marked(number: int, rows: Iterable[Row]) -> Iterator[tuple[list[str], int, Row]]:
        for row in rows:
            yield order(row.path), number, row

    merged = heapq.merge(*(marked(number, rows) for number, rows in enumerate((names, *states))))
    for _, group in groupby(merged, key=lambda one: one[0]):
        same = list(group)
        by_list = {number: row.size for _, number, row in same}
        wanted = {by_list.get(number, ABSENT) for number in range(1, len(states) + 1)}
        if by_list.get(0, ABSENT) not in wanted:
            found.add(_shown(same[0][2].path), by_list.get(0, ABSENT), wanted)
    return found

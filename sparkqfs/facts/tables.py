"""What the metastore says of its tables (runtime/java/sparkqfs/catalogue/Contents.java), and the warehouse. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

URI = re.compile(r"[a-z][a-z0-9+.-]*:(//[^/]*)?(?=/)")
KINDS = {"MANAGED_TABLE": "table", "EXTERNAL_TABLE": "external", "VIRTUAL_VIEW": "view"}
DEFAULT = "default"
DATABASE_END = ".db"
FORMATS = re.compile(r"\.(Parquet|Orc|Avro|Text|SequenceFile)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFact:
    """One table or view."""

    database: str
    name: str
    kind: str
    """`table` (its files go with it), `external` (they stay) or `view`."""
    format: str
    """As `USING` has it; empty for a view, and where it is not known."""
    location: str
    """URI of its files; empty for a view."""
    owner: str
    created: int
    """Seconds since the epoch."""
    partitions: int
    rows: int | None
    """As the last `ANALYZE TABLE` has counted; `None` without one."""
    bytes: int | None
    """As whoever wrote it has said; `None` where nobody did."""
    version: str
    """Of the Spark that made it."""

    @property
    def path(self) -> str:
        """On its file system."""
        return path_of(self.location)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFact:
    """One database."""

    name: str
    owner: str
    location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueFact:
    """All of them, by name."""

    databases: tuple[DatabaseFact, ...]
    tables: tuple[TableFact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nameless:
    """A directory in the warehouse that no table has."""

    path: str
    """On its file system."""
    database: str
    name: str
    """As a table's would be there."""


def path_of(uri: str) -> str:
    """A URI's path, without a slash at its end."""
    return URI.sub("", uri, count=1).rstrip("/")


def below_root(uri: str, root: str) -> str:
    """The path below a file system's root, or the whole URI of what is elsewhere."""
    if uri.startswith("file:/") and not uri.startswith("file://"):  # as Hadoop writes it where there is no server
        uri = f"file://{uri.removeprefix('file:')}"
    return uri.removeprefix(root) if f"{uri}/".startswith(f"{root}/") else uri


def parse_catalogue(text: str) -> CatalogueFact:
    """Raises `ValueError` on another shape."""
    try:
        found = json.loads(text.strip().splitlines()[-1])
        if found["schema"] != 1:
            raise ValueError("the metastore is of another version")
        counts = {(row["database"], row["name"]): int(row["count"]) for row in found["partitions"]}
        databases = tuple(
            DatabaseFact(name=str(row["name"]), owner=_text(row["owner"]), location=_text(row["location"]))
            for row in found["databases"]
        )
        return CatalogueFact(databases=databases, tables=tuple(_table(row, counts) for row in found["tables"]))
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(f"the metastore's answer has another shape: {error!r}") from error


def _table(row: Mapping[str, Any], counts: Mapping[tuple[str, str], int]) -> TableFact:
    kind = KINDS.get(_text(row["type"]), "table")
    hive = FORMATS.search(_text(row["input_format"]))
    return TableFact(
        database=str(row["database"]),
        name=str(row["name"]),
        kind=kind,
        format="" if kind == "view" else _text(row["provider"]) or (hive[1].lower() if hive else ""),
        location="" if kind == "view" else _text(row["location"]),
        owner=_text(row["owner"]),
        created=_number(row["created"]) or 0,
        partitions=counts.get((row["database"], row["name"]), 0),
        rows=_number(row["rows"]),
        bytes=_number(row["bytes"]),
        version=_text(row["version"]),
    )


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


def _number(found: object) -> int | None:
    text = str(found)
    return int(text) if text.isdigit() else None


def database_of(directory: str, catalogue: CatalogueFact) -> str | None:
    """The database whose tables are in a directory of the warehouse; `None` where it is none's."""
    known = next((one.name for one in catalogue.databases if path_of(one.location) == directory), None)
    if known is not None and known != DEFAULT:
        return known
    name = directory.rpartition("/")[2]
    return name.removesuffix(DATABASE_END) if name.endswith(DATABASE_END) and name != DATABASE_END else None


def nameless(directories: Iterable[tuple[str, str]], catalogue: CatalogueFact) -> tuple[Nameless, ...]:
    """Of (database, path of a directory that may be a table), those that no table has, in order."""
    places = {table.path for table in catalogue.tables if table.location}
    above = {place[: match.start()] for place in places for match in re.finditer("/", place)}
    found = []
    for database, path in directories:
        name = path.rpartition("/")[2]
        if path not in places and path not in above and not name.startswith((".", "_")):
            found.append(Nameless(path=path, database=database, name=name))
    return tuple(sorted(found, key=lambda one: one.path))

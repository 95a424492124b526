"""invoke tables: which tables there are by name, which directories of the warehouse have none, and names for those."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sparkqfs import topology
from sparkqfs.amounts import amount
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem
from sparkqfs.facts.tables import (
    DEFAULT,
    CatalogueFact,
    Nameless,
    TableFact,
    below_root,
    database_of,
    nameless,
    parse_catalogue,
)
from sparkqfs.files.finding import opened
from sparkqfs.files.places import Place
from sparkqfs.files.results import table as columns
from sparkqfs.files.results import visible
from sparkqfs.files.storage import Storage, StorageError
from sparkqfs.jobs.cluster.deploy import exec_in
from sparkqfs.jobs.files.tasks import access, places
from sparkqfs.jobs.programs import apps
from sparkqfs.jobs.session import Session
from sparkqfs.plan import catalogue as place_of_tables
from sparkqfs.plan.programs.apps import Application
from sparkqfs.plan.programs.makers import Makers, doubts, kept_s, makers_at
from sparkqfs.plan.steps import JobResult, Outcome

ALL = "all"
LOOK_S = 120.0
"""For the metastore's answer, which is as the catalogue is now."""
PROGRAM = ["/opt/venv/bin/python", "/opt/sparkqfs/bin/adopt-tables"]
HEAD = ("TABLE", "KIND", "FORMAT", "PARTITIONS", "ROWS", "BYTES", "OWNER", "CREATED", "MADE BY", "FILES")


@dataclass(slots=True)
class Seen:
    """What the metastore and the storage say."""

    catalogue: CatalogueFact
    nameless: tuple[Nameless, ...]
    sizes: dict[tuple[str, str], int | None]
    """Bytes on the storage, of tables that were measured; `None` where there are no files."""
    unread: dict[tuple[str, str], str]
    """Of tables that were to be measured: why the storage does not say it."""
    makers: tuple[Makers, ...] | None
    """Of each table; `None` when not all of those that know of applications have answered."""


def run(session: Session, *, adopt: tuple[str, ...], sizes: bool, timeout_s: float) -> JobResult:
    """List them; with `adopt` give names to directories: their paths, or `all`. Raises `ClusterError`."""
    if not session.config.has_metastore:
        hint = "its names are not ours: `SHOW TABLES` in a session lists them"
        what = "this cluster has no metastore of its own, as spark.conf says"
        raise ConfigError(Problem(what=what, config_path="spark.conf", hint=hint))
    seen = look(session, sizes=sizes, timeout_s=timeout_s)
    if adopt:
        return _adopt(session, seen, adopt, timeout_s)
    notes = []
    if seen.makers is None:
        notes.append("who made them is not known: `invoke apps` says what does not answer")
    notes += map(visible, doubts(seen.makers or ()))
    notes += [visible(f"{_full(*key)} was not measured: {why}") for key, why in seen.unread.items()]
    if seen.nameless:
        count = amount(len(seen.nameless), "directory", "directories")
        notes.append(f"{count} of the warehouse without a name: `invoke tables --adopt {ALL}`, or --adopt PATH")
        notes += [f"  {_shown(session, one)}" for one in seen.nameless]
    return JobResult(task="tables", text=_text(session, seen), notes=tuple(notes), document=_document(session, seen))


def look(session: Session, *, sizes: bool, timeout_s: float) -> Seen:
    """Raises `ClusterError`."""
    words = ["/opt/sparkqfs/bin/metadata-state", "tables", f"{LOOK_S:.0f}"]
    out = exec_in(session, topology.METASTORE, words, timeout_s=LOOK_S + 10)
    try:
        found = parse_catalogue(out)
    except ValueError as error:
        raise ClusterError(Problem(what=str(error), hint="`invoke deploy`")) from error
    with opened(access(session, timeout_s), "tables") as storage:
        directories = list(_directories(storage, places(session).read(place_of_tables.WAREHOUSE), found))
        measured, unread = _measured(storage, found.tables if sizes else ())
    makers = _makers_of(session, found.tables) if found.tables else ()
    return Seen(found, nameless(directories, found), measured, unread, makers)


def _makers_of(session: Session, tables: Sequence[TableFact]) -> tuple[Makers, ...] | None:
    try:
        seen = apps.gather(session)
    except ClusterError:
        return None
    kept, now = kept_s(dict(session.config.spark.conf)), time.time()
    return None if seen.problems else tuple(makers_at(one.created, seen.rows, kept_s=kept, now_s=now) for one in tables)


def _directories(storage: Storage, top: Place, catalogue: CatalogueFact) -> Iterator[tuple[str, str]]:
    """(database, path) of each directory of the warehouse that may be a table."""
    for path in _inside(storage, top.uri):
        database = database_of(path, catalogue)
        if database is None:
            yield DEFAULT, path
            continue
        for below in _inside(storage, top.at(path).uri):
            yield database, below


def _inside(storage: Storage, uri: str) -> list[str]:
    try:
        found = list(storage.walk(uri))
    except StorageError as error:
        if error.kind == "absent":
            return []
        raise ClusterError(Problem(what=f"{visible(uri)}: {error}")) from error
    return [entry.path.rstrip("/") for entry in found[1:] if entry.kind == "d"]


def _measured(
    storage: Storage, tables: Sequence[TableFact]
) -> tuple[dict[tuple[str, str], int | None], dict[tuple[str, str], str]]:
    """Bytes of their files, `None` where the directory is not there; and why it is not known of the others."""
    sizes: dict[tuple[str, str], int | None] = {}
    unread: dict[tuple[str, str], str] = {}
    for one in tables:
        key = one.database, one.name
        try:
            if one.location:
                sizes[key] = sum(entry.size for entry in storage.walk(one.location, deep=True) if entry.is_file)
        except StorageError as error:  # of this table: it may be anywhere, also where the cluster has no jars for
            if error.kind == "absent":
                sizes[key] = None
            else:
                unread[key] = str(error)
    return sizes, unread


# -- names for directories --------------------------------------------------------------------------------------------


def _adopt(session: Session, seen: Seen, wanted: tuple[str, ...], timeout_s: float) -> JobResult:
    chosen = _chosen(session, seen, wanted)
    if session.dry_run or not chosen:
        outcomes = [Outcome(subject=_shown(session, one), state="planned", changes=(_name(one),)) for one in chosen]
        if not chosen:
            outcomes = [Outcome(subject="warehouse", state="unchanged", changes=("every directory has its name",))]
        return JobResult(task="tables", outcomes=tuple(outcomes), document=_document(session, seen))
    top = places(session).read(place_of_tables.WAREHOUSE)
    words = [word for one in chosen for word in (one.database, one.name, top.at(one.path).uri)]
    out = exec_in(session, topology.JUPYTER_SERVER, [*PROGRAM, *words], timeout_s=timeout_s)
    rows = json.loads(out.strip().splitlines()[-1])
    outcomes, problems = [], []
    for one, row in zip(chosen, rows, strict=True):
        subject = _shown(session, one)
        if "why" in row:
            outcomes.append(Outcome(subject=subject, state="failed"))
            problems.append(Problem(what=f"{subject}: no name: {row['why']}", code=ExitCode.FAILED))
            continue
        parts = f", {amount(row['partitions'], 'partition')}" if row["partitions"] else ""
        outcomes.append(Outcome(subject=subject, state="changed", changes=(f"{_name(one)}, {row['format']}{parts}",)))
    document = {**_document(session, seen), "adopted": _adopted(session, chosen, rows)}
    return JobResult(task="tables", outcomes=tuple(outcomes), problems=tuple(problems), document=document)


def _adopted(session: Session, chosen: list[Nameless], rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [
        {"path": _shown(session, one), "database": one.database, "name": one.name}
        | {key: row.get(key) for key in ("format", "partitions", "why")}
        for one, row in zip(chosen, rows, strict=True)
    ]


def _chosen(session: Session, seen: Seen, wanted: tuple[str, ...]) -> list[Nameless]:
    """Raises `ConfigError` for a path that is none of those without a name."""
    if ALL in wanted:
        return list(seen.nameless)
    by_path = {_shown(session, one): one for one in seen.nameless}
    found = []
    for text in wanted:
        path = str(places(session).read(text)).rstrip("/")
        if path not in by_path:
            hint = (
                f"without a name: {', '.join(by_path)}" if by_path else "every directory of the warehouse has its name"
            )
            raise ConfigError(
                Problem(what=f"--adopt {text}: not a directory of the warehouse without a name", hint=hint)
            )
        found.append(by_path[path])
    return found


def _shown(session: Session, one: Nameless) -> str:
    return visible(str(places(session).read(place_of_tables.WAREHOUSE).at(one.path)))


def _name(one: Nameless) -> str:
    return _full(one.database, one.name)


def _full(database: str, name: str) -> str:
    return name if database == DEFAULT else f"{database}.{name}"


# -- what is told -----------------------------------------------------------------------------------------------------


def _text(session: Session, seen: Seen) -> str:
    """For people."""
    rows: list[tuple[str, ...]] = [HEAD]
    root = session.backend.root_uri(session.config)
    for one, makers in zip(seen.catalogue.tables, _known(seen), strict=True):
        size = _bytes(one, seen)
        lost = _is_missing(one, seen)
        rows.append(
            (
                _full(one.database, one.name),
                one.kind,
                one.format or "-",
                f"{one.partitions:,}" if one.partitions else "-",
                "-" if one.rows is None else f"{one.rows:,}",
                "missing" if lost else "-" if size is None else f"{size:,}",
                one.owner or "-",
                time.strftime("%Y-%m-%d %H:%M", time.localtime(one.created)),
                _maker(makers or ()),
                visible(below_root(one.location, root)) or "-",
            )
        )
    if len(rows) == 1:
        return "there are no tables by name"
    return columns(rows, right={3, 4, 5})


def _bytes(one: TableFact, seen: Seen) -> int | None:
    """As measured; the catalogue's number where nobody was to measure it."""
    key = one.database, one.name
    return None if key in seen.unread else seen.sizes.get(key, one.bytes)


def _is_missing(one: TableFact, seen: Seen) -> bool:
    return seen.sizes.get((one.database, one.name), 0) is None


def _known(seen: Seen) -> list[tuple[Application, ...] | None]:
    """Of each table the applications of which one made it."""
    if seen.makers is None:
        return [None] * len(seen.catalogue.tables)
    return [one.known for one in seen.makers]


def _maker(known: tuple[Application, ...]) -> str:
    """The catalogue does not say it: it can only be an application that ran at that moment."""
    if len(known) > 1:
        return f"one of {len(known)} programs"
    return "".join(visible(f"{row.name} ({row.user})") for row in known) or "-"


def _document(session: Session, seen: Seen) -> dict[str, object]:
    return {
        "schema": 1,
        "databases": [
            {"name": one.name, "owner": one.owner, "location": one.location} for one in seen.catalogue.databases
        ],
        "tables": [
            _described(one, seen, makers) for one, makers in zip(seen.catalogue.tables, _known(seen), strict=True)
        ],
        "without_name": [
            {"path": _shown(session, one), "database": one.database, "name": one.name} for one in seen.nameless
        ],
        "adopted": [],
    }


def _described(one: TableFact, seen: Seen, makers: tuple[Application, ...] | None) -> dict[str, object]:
    return {
        "database": one.database,
        "name": one.name,
        "kind": one.kind,
        "format": one.format,
        "location": one.location,
        "owner": one.owner,
        "created": one.created,
        "version": one.version,
        "made_by": None if makers is None else _makers(makers),
        "partitions": one.partitions,
        "rows": one.rows,
        "bytes": _bytes(one, seen),
        "missing": _is_missing(one, seen),
    }


def _makers(known: tuple[Application, ...]) -> list[dict[str, object]]:
    return [{"application": row.id, "submission": row.submission, "name": row.name, "user": row.user} for row in known]

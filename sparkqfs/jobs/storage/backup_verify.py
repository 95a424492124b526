"""invoke backup.verify: its files are whole; the real storage opens it; it has the names that the storage had."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sparkqfs.amounts import amount
from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import backup_sources as sources
from sparkqfs.jobs.storage import backup_store as store
from sparkqfs.jobs.storage import backup_streams as streams
from sparkqfs.jobs.storage.backup import check_timeout
from sparkqfs.jobs.storage.backup_archive import tables_of
from sparkqfs.jobs.storage.backup_names import Difference, Reading, compare, counted, read_summary
from sparkqfs.jobs.storage.backup_store import Backup
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.plan.storage import backups
from sparkqfs.plan.storage.backups import NamesPart, Position, damage

DEEPEST = 3
MEMORY_SCRIPT = "awk '/^MemAvailable:/ { print $2 }' /proc/meminfo"
TITLES = {1: "its files are whole", 2: "it opens", 3: "it has the names that the storage had"}


@dataclass(slots=True)
class Step:
    """What came of one depth."""

    depth: int
    state: str = "skipped"
    """`ok`, `failed` or `skipped`."""
    text: str = ""
    took_s: float = 0.0


@dataclass(slots=True)
class Report:
    """What came of all."""

    path: Path
    steps: list[Step]
    problems: list[Problem] = field(default_factory=list)
    damages: tuple[Problem, ...] = ()
    """Those that are the backup's own fault: not that it could not be looked at."""
    backup: Backup | None = None
    since: Difference | None = None
    """How the running storage has changed since."""
    unsure: int = 0
    """Names that changed more than once while the list was made."""

    @property
    def depth(self) -> int:
        """The deepest that was found well."""
        return max((step.depth for step in self.steps if step.state == "ok"), default=0)


class NotPossible(Exception):
    """A depth cannot be looked at here; the text says why."""


def depth_of(text: str) -> int:
    """Of `--depth`. Raises `ConfigError`."""
    if text not in map(str, range(1, DEEPEST + 1)):
        raise ConfigError(Problem(what=f"--depth {text}: 1, 2 or 3"))
    return int(text)


def run(session: Session, *, backup: str | None, depth: int | None, timeout_s: float) -> JobResult:
    """Exit code 0 when it is well as far as was looked, 1 when it is damaged, or not looked at as deep as was said."""
    check_timeout(timeout_s)
    path = find(session, backup)
    report = verify(session, path, depth or DEEPEST, timeout_s)
    if depth is not None and not report.problems and report.depth < depth:
        why = next((step.text for step in report.steps if step.state == "skipped" and step.depth <= depth), "")
        report.problems.append(Problem(what=f"{path.name} was not verified to depth {depth}: {why}"))
    return result(session, report)


def find(session: Session, named: str | None) -> Path:
    """The backup that is meant. Raises `ConfigError`."""
    name = session.config.name
    if named is None:
        return store.newest(store.default_place(session.config), name)
    place = Path(named).expanduser().absolute()
    if any((place / part).exists() for part in (backups.ABOUT, backups.SUMS, *backups.PARTS)):
        return place
    if store.found_in(place):
        return store.newest(place, name)
    with contextlib.suppress(ConfigError):
        usual = store.default_place(session.config) / named
        if backups.FOLDER.fullmatch(named) and usual.is_dir():
            return usual
    raise ConfigError(Problem(what=f"{named} is not a backup", hint="`invoke backup.list` names them"))


def verify(session: Session, path: Path, depth: int, timeout_s: float) -> Report:
    """Each depth in its turn; the first damage ends it."""
    report = Report(path, [Step(number) for number in range(1, depth + 1)])
    with tempfile.TemporaryDirectory(prefix="sparkqfs-verify-") as folder:
        looks: list[Callable[[], str]] = [
            partial(_whole, session, report),
            partial(_opens, session, report, Path(folder), timeout_s),
            partial(_same_names, session, report, Path(folder), timeout_s),
        ]
        for step, look in zip(report.steps, looks, strict=False):
            begun = time.monotonic()
            try:
                step.text, step.state = look(), "ok"
            except NotPossible as error:
                step.text = str(error)
            except ClusterError as error:
                report.damages = error.problems
                report.problems += error.problems
                step.state, step.text = "failed", error.problems[0].what
            except OSError as error:
                step.state, step.text = "failed", f"this computer: {error}"
                report.problems.append(Problem(what=step.text))
            step.took_s = round(time.monotonic() - begun, 2)
            if step.state != "ok":
                break
    for step in report.steps:
        step.text = step.text or "not looked at: what stands before it says why"
    return report


def _whole(session: Session, report: Report) -> str:
    """Depth 1. Raises `ClusterError` with each damage."""
    backup, problems = store.check(report.path, session.on_event)
    if backup is None:
        raise ClusterError(*problems)
    report.backup = backup
    manifest = backup.manifest
    return f"{amount(len(manifest.files) + 2, 'file')}, {amount(manifest.bytes, 'byte')}"


def _opens(session: Session, report: Report, folder: Path, timeout_s: float) -> str:
    """Depth 2: opens all that a restore lays out, and the state at each place that the list of names belongs to."""
    backup = report.backup
    assert backup is not None
    if backup.bundle is None:
        raise NotPossible(f"{session.backend.words.storage} keeps its metadata itself: there is nothing to open")
    if not session.backend.opens(backup.manifest.kind):
        raise NotPossible(f"it is of {backup.manifest.kind}, and this cluster has no program that opens that")
    found = places(backup.manifest.names)
    listed = ""
    for number, place in enumerate(found):
        listed = _open_somewhere(session, backup, place, folder / str(number), timeout_s)
    if None not in found:
        _open_somewhere(session, backup, None, folder / "whole", timeout_s)
    return listed


def places(names: NamesPart | None) -> list[Position | None]:
    """Where the log stood before and after the list was made; the end of it without a list."""
    if names is None:
        return [None]
    return [names.before] if names.exact else [names.before, names.after]


def _open_somewhere(session: Session, backup: Backup, place: Position | None, target: Path, timeout_s: float) -> str:
    """On the machine with most memory that has the image. Raises `ClusterError` for a state that does not open."""
    opening = session.backend.opening
    assert opening is not None
    heap, memory = opening.memory_mib(backup.manifest.files[backups.METADATA].bytes)
    words = ["state", f"{timeout_s * 0.9:.0f}", str(heap), *([place.log, str(place.size)] if place is not None else [])]
    said = []
    for name, free in _machines(session):
        if free < memory:
            said.append(f"{name} has {free} MiB of memory free, {memory} are needed")
            continue
        run = streams.thrown_away(
            session, name, streams.NAMES, words, what="opening the backup", seconds=timeout_s, memory_mib=memory
        )
        session.on_event(f"[{name}] opening the backup in a container without a network")
        target.unlink(missing_ok=True)
        try:
            streams.fetch(session, run, target, source=backup.bundle)
            summary = read_summary(target)
        except streams.StreamError as error:
            if error.program_code == streams.NO_STATE:
                what = f"{backups.METADATA}: {error.problems[0].what}"
                raise ClusterError(Problem(node=name, what=what)) from error
            said.append(f"{name}: {error.problems[0].what}")
            continue
        except ClusterError as error:
            said.append(f"{name}: {error.problems[0].what}")
            continue
        except ValueError as error:
            said.append(f"{name}: its answer is damaged: {error}")
            continue
        return f"on {name}: {counted(summary)}{_tables(backup, summary.tables)}"
    raise NotPossible("; ".join(said) or "no machine of the cluster answers")


def _tables(backup: Backup, opened: int | None) -> str:
    """Raises `ClusterError` where the catalogue of tables has not as many as the archive says."""
    said = tables_of(backup.index)
    if (said.tables if said is not None else None) != opened:
        what = f"its catalogue of tables opens with {opened} tables, it says {said.tables if said else None}"
        raise ClusterError(damage(backups.METADATA, what))
    return "" if opened is None else f", {amount(opened, 'table')} by name"


def _machines(session: Session) -> list[tuple[str, int]]:
    """Machines that answer, with their free memory in MiB, most first."""

    def free(name: str) -> int:
        text = session.clients.node(name).run(["sh", "-c", MEMORY_SCRIPT]).stdout.strip()
        return int(text) >> 10 if text.isdigit() else 0

    found = session.clients.on(tuple(node.name for node in session.config.nodes), free)
    for problem in found.problems:
        session.on_event(f"[{problem.node}] {problem.what}")
    return sorted(found.values.items(), key=lambda item: -item[1])


def _same_names(session: Session, report: Report, folder: Path, timeout_s: float) -> str:
    """Depth 3. Raises `ClusterError` for names that differ."""
    backup = report.backup
    assert backup is not None
    names = backup.manifest.names
    if names is None or backup.names is None:
        raise NotPossible("it has no list of names: the storage did not run, or did not answer, when it was made")
    states = [Reading(folder / str(number)) for number in range(len(places(names)))]
    found = compare(Reading(backup.names), *states)
    allowed = 0 if names.exact else max(0, (names.after.operation or 0) - (names.before.operation or 0))
    if found.total > allowed:
        what = f"the names of the state and of the list differ: {found.text()}"
        raise ClusterError(damage(f"{backups.METADATA} or {backups.NAMES}", what))
    report.unsure = found.total
    report.since = _since(session, backup.names, folder / "now", timeout_s)
    exact = "" if names.exact else f"; {found.total} names changed more than once while they were listed"
    return f"{counted(names)}, all the same{exact}"


def _since(session: Session, names: Path, target: Path, timeout_s: float) -> Difference | None:
    """How the running storage differs now; `None` where it does not run. No difference is an error."""
    master = session.backend.master
    task = next((one for one in sources.running_tasks(session) if master and one.service == master.name), None)
    if task is None:
        return None
    try:
        sources.list_names(session, task, target, timeout_s, tries=1)
        return compare(Reading(names), Reading(target))
    except (ClusterError, ValueError) as error:
        session.on_event(f"how the storage has changed since is not known: {error}")
        return None


def result(session: Session, report: Report) -> JobResult:
    """What people and programs read; written down beside the backup too."""
    document = _document(session, report)
    notes = []
    if report.since is not None:
        one = report.since
        notes.append(f"names since then: {one.added} new, {one.missing} gone, {one.changed} with another length")
    try:
        if report.depth or report.damages:
            store.note_verified(report.path, _verdict(report))
    except OSError as error:
        notes.append(f"the result could not be written beside it: {error}")
    outcomes = [Outcome(subject=str(report.path), state="failed" if report.problems else "ok")]
    for step in report.steps:
        changes = (step.text,) if step.text else ()
        outcomes.append(Outcome(subject=f"depth {step.depth}: {TITLES[step.depth]}", state=step.state, changes=changes))
    return JobResult(
        task="backup.verify",
        outcomes=tuple(outcomes),
        problems=tuple(report.problems),
        document=document,
        notes=tuple(notes),
    )


def _verdict(report: Report) -> dict[str, object]:
    return {
        "schema": backups.SCHEMA,
        "time": time.time(),
        "depth": report.depth,
        "ok": not report.damages,
        "problems": [problem.what for problem in report.damages],
    }


def _document(session: Session, report: Report) -> dict[str, object]:
    manifest = report.backup.manifest if report.backup is not None else None
    names = manifest.names if manifest is not None else None
    since = report.since
    index = report.backup.index if report.backup is not None else None
    return {
        "schema": backups.SCHEMA,
        "backup": str(report.path),
        "cluster": manifest.cluster if manifest is not None else session.config.name,
        "time": manifest.time if manifest is not None else None,
        "ok": not report.problems,
        "depth": report.depth,
        "depths": [
            {"depth": one.depth, "state": one.state, "text": one.text, "took_s": one.took_s} for one in report.steps
        ],
        "files": names.files if names is not None else None,
        "directories": names.directories if names is not None else None,
        "exact": names.exact if names is not None else None,
        "tables": tables.tables if (tables := tables_of(index)) is not None else None,
        "unsure": report.unsure,
        "since": {"new": since.added, "gone": since.missing, "changed": since.changed} if since is not None else None,
    }

"""Where the parts of a backup are from: the running master, a copy on another node, a disk; the manager's secrets."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkqfs import topology
from sparkqfs.clients.ssh import Output
from sparkqfs.config.copies import copy_nodes
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.copies import AHEAD_S
from sparkqfs.facts.nodes import StorageLayout
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.gather.nodes import gather_tasks
from sparkqfs.jobs.cluster.deploy import ENDING_S
from sparkqfs.jobs.cluster.recovery import newest_recovery, read_material
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import backup_streams as streams
from sparkqfs.jobs.storage.backup_archive import TablesPart, check_archive, read_index, tables_of
from sparkqfs.jobs.storage.backup_names import Summary, read_summary
from sparkqfs.jobs.storage.backup_store import write_private
from sparkqfs.plan import catalogue
from sparkqfs.plan.cluster.recovery import recovery_text
from sparkqfs.plan.cluster.restore import SAME_S
from sparkqfs.plan.storage.backups import METADATA, NAMES, RECOVERY, MetadataPart, NamesPart
from sparkqfs.plan.storage.seam import COPIES, Master

TRIES = 5
"""Lists of names that are made at most until nothing is written meanwhile."""
TAKES = 2
"""The storage may remove an old log while it is read."""
LIST_S = 60.0
FRESH_S = 60.0
"""For a copy of the catalogue of tables."""
NO_ID = "none"


@dataclass(slots=True)
class Taken:
    """What was to be had of the metadata."""

    metadata: MetadataPart
    names: NamesPart | None = None
    tables: TablesPart | None = None
    lacks: list[str] = field(default_factory=list)


def inside(layout: StorageLayout) -> str:
    """Where the storage's directory is in a container."""
    return f"/data/{layout.top}"


def running_tasks(session: Session) -> tuple[TaskFact, ...]:
    """The stack's tasks that run; none, with a word about it, where Swarm does not say."""
    try:
        return tuple(task for task in gather_tasks(session.config, session.clients) if task.is_up)
    except ClusterError as error:
        session.on_event(f"what runs is not known: {error.problems[0].what}")
        return ()


def take_metadata(session: Session, folder: Path, timeout_s: float) -> Taken:
    """The metadata and the list of names, in `folder`. Raises `ClusterError`, OSError of this computer's disk."""
    master = session.backend.master
    assert master is not None
    tasks = running_tasks(session)
    running = next((task for task in tasks if task.service == master.name), None)
    if running is not None:
        try:
            return _of_master(session, master, running, folder, timeout_s)
        except streams.StreamError as error:
            found = _in_its_place(session, tasks, folder, timeout_s, error)
        return _with_tables(session, found, folder)
    lacks = [f"no list of names: the {session.backend.words.master} does not run"]
    metadata = _of_copies(session, tasks, folder, timeout_s)
    if metadata is None:
        metadata, said = _of_disks(session, folder, timeout_s)
        lacks += said
    return _with_tables(session, Taken(metadata=metadata, lacks=lacks), folder)


def _in_its_place(
    session: Session, tasks: tuple[TaskFact, ...], folder: Path, timeout_s: float, error: streams.StreamError
) -> Taken:
    """A copy where the running master's own metadata is damaged on its disk. Raises `error` without one."""
    for name in (METADATA, NAMES):
        (folder / name).unlink(missing_ok=True)
    metadata = _of_copies(session, tasks, folder, timeout_s) if error.program_code == streams.NO_STATE else None
    if metadata is None:
        raise error
    return Taken(metadata=metadata, lacks=["no list of names: it would be of another state", _damaged(error)])


def _damaged(error: ClusterError) -> str:
    """For `lacks`: what is wrong with the metadata on the master's own disk."""
    problem = error.problems[0]
    return f"{problem.what} (on {problem.node}); this backup has the state of a copy"


def _with_tables(session: Session, taken: Taken, folder: Path, why: str | None = None) -> Taken:
    """What the archive has of the catalogue of tables is told, or that it has none; `why` it has not the newest.

    So is what of the source is damaged, and was passed over.
    """
    index = read_index(folder / METADATA)
    taken.tables = tables_of(index)
    if passed := index.get("passed_over"):
        what = f"damaged on {taken.metadata.node}: {', '.join(map(str, passed))}"
        taken.lacks.append(f"{what}; an earlier one takes its place here")
    if taken.tables is None and session.config.has_metastore:
        runs = any(task.service == topology.METASTORE for task in running_tasks(session))
        why = why or ("no copy of it was found" if runs else "the metastore does not run")
        taken.lacks.append(f"no catalogue of tables: {why}")
    elif why is not None:
        taken.lacks.append(f"the catalogue of tables as it is now: {why}; an earlier copy of it is here")
    return taken


def _of_master(session: Session, master: Master, task: TaskFact, folder: Path, timeout_s: float) -> Taken:
    names, lacks = None, []
    try:
        names = list_names(session, task, folder / NAMES, timeout_s)
    except ClusterError as error:
        (folder / NAMES).unlink(missing_ok=True)
        lacks.append(f"no list of names: {error.problems[0].what}")
    why = _make_fresh_catalogue(session)
    words = ["take-master", session.backend.kind, _top(session), *([names.before.log] if names is not None else [])]
    run = streams.in_task(
        task, streams.STATE, words, what=f"the state of the {session.backend.words.master}", seconds=timeout_s
    )
    metadata = _take(session, run, folder / METADATA, "master")
    return _with_tables(session, Taken(metadata=metadata, names=names, lacks=lacks), folder, why)


def _make_fresh_catalogue(session: Session) -> str | None:
    """The metastore makes a copy of the catalogue as it is now; why it does not, and the last one is taken."""
    if not session.config.has_metastore:
        return None
    task = next((one for one in running_tasks(session) if one.service == topology.METASTORE), None)
    if task is None:
        return "the metastore does not run"
    words = ["fresh-catalogue", f"{FRESH_S:.0f}"]
    run = streams.in_task(task, streams.STATE, words, what="the catalogue of tables", seconds=2 * FRESH_S)
    output = session.clients.node(run.node).run(run.argv, timeout_s=run.seconds + ENDING_S, check=False, attend=True)
    return None if output.exit_code == 0 else output.last_lines(1) or f"exit {output.exit_code}"


def _top(session: Session) -> str:
    layout = session.backend.layout
    assert layout is not None
    return inside(layout)


def _take(session: Session, run: streams.Run, target: Path, source: str) -> MetadataPart:
    """One archive, whole."""
    for left in reversed(range(TAKES)):
        session.on_event(f"[{run.node}] reading {run.what}")
        target.unlink(missing_ok=True)
        try:
            streams.fetch(session, run, target)
            index = check_archive(target)
        except (streams.StreamError, ValueError) as error:
            if left and not (isinstance(error, streams.StreamError) and error.program_code == streams.NO_IMAGE):
                continue
            raise error if isinstance(error, streams.StreamError) else streams.failed(run, f"{error}") from error
        return MetadataPart(
            source=source,
            node=run.node,
            file_system=str(index["identity"]),
            at=float(index["at"]),
            operation=index["operation"],
        )
    raise AssertionError("not reached")


def list_names(session: Session, task: TaskFact, target: Path, timeout_s: float, tries: int = TRIES) -> NamesPart:
    """The names of the running storage: those of one state where nothing is written for as long as that takes.

    Raises `ClusterError`, OSError of this computer's disk.
    """
    backend = session.backend
    words = ["running", backend.kind, _top(session), "127.0.0.1", str(backend.check_port), f"{timeout_s * 0.9:.0f}"]
    run = streams.in_task(task, streams.NAMES, words, what=f"the names on {backend.words.storage}", seconds=timeout_s)
    made: tuple[Summary, int] | None = None
    for number in range(1, tries + 1):
        again = "" if number == 1 else f", try {number} of {tries}: something was written meanwhile"
        session.on_event(f"[{task.node}] listing {run.what}{again}")
        target.unlink(missing_ok=True)
        streams.fetch(session, run, target)
        try:
            made = read_summary(target), number
            if made[0].exact:
                break
        except ValueError as error:
            raise streams.failed(run, str(error)) from error
    assert made is not None
    try:
        return made[0].part(made[1])
    except ValueError as error:
        raise streams.failed(run, str(error)) from error


def _of_copies(session: Session, tasks: tuple[TaskFact, ...], folder: Path, timeout_s: float) -> MetadataPart | None:
    """Of the service that keeps the freshest copy; `None` where none runs, or its copy is damaged."""
    running = keepers(tasks)
    told = session.clients.on(tuple(running), lambda name: ask_keeper(session, running[name]))
    for problem in told.problems:
        session.on_event(f"[{problem.node}] no copy from there: {problem.what}")
    node = freshest(told.values)
    if node is None:
        return None
    run = streams.in_task(
        running[node], streams.STATE, ["take", f"{_top(session)}/{COPIES}"], what="the copy", seconds=timeout_s
    )
    try:
        return _take(session, run, folder / METADATA, "copy")
    except ClusterError as error:
        session.on_event(f"[{node}] {error.problems[0].what}")
        (folder / METADATA).unlink(missing_ok=True)
        return None


def keepers(tasks: tuple[TaskFact, ...]) -> dict[str, TaskFact]:
    """Node → its task that keeps a copy of the metadata."""
    return {task.node: task for task in tasks if task.service.startswith(topology.METADATA_COPY)}


def ask_keeper(session: Session, task: TaskFact) -> list[dict[str, Any]]:
    """The histories of a running keeper. Raises `ClusterError`."""
    run = streams.in_task(
        task, streams.STATE, ["list", f"{_top(session)}/{COPIES}"], what="the list of its states", seconds=LIST_S
    )
    return _histories(session, run)


def ask_disk(session: Session, name: str) -> list[dict[str, Any]]:
    """The histories on a keeper's disk, by a container of its own. Raises `ClusterError`."""
    layout = session.backend.layout
    assert layout is not None
    source = str(session.config.node(name).data_dirs[0] / layout.top / COPIES)
    mount = (source, f"{inside(layout)}/{COPIES}")
    run = streams.thrown_away(
        session, name, streams.STATE, ["list", mount[1]], what="the list of its states", seconds=LIST_S, mount=mount
    )
    return _histories(session, run)


def _histories(session: Session, run: streams.Run) -> list[dict[str, Any]]:
    client = session.clients.node(run.node)
    output: Output = client.run(run.argv, timeout_s=run.seconds + ENDING_S, check=False, attend=True)
    try:
        if output.exit_code != 0:
            raise ValueError(output.last_lines(3))
        found = json.loads(output.stdout)["histories"]
        return [dict(row) for row in found]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise streams.failed(run, str(error)) from error


def freshest(told: dict[str, list[dict[str, Any]]]) -> str | None:
    """The node whose copy has most: operations of the same file system in the same minute, else the latest moment.

    An older copy may have more of them, of a history that was given up. Where a moment is yet to come, a clock was
    wrong, and operations count.
    """
    rows = {name: histories[-1] for name, histories in told.items() if histories and histories[-1].get("images")}
    if not rows:
        return None
    latest = max(float(row.get("last") or 0.0) for row in rows.values())
    if latest <= time.time() + AHEAD_S:
        rows = {name: row for name, row in rows.items() if latest - float(row.get("last") or 0.0) < SAME_S}
    is_same = len({row.get("identity") for row in rows.values()}) == 1

    def worth(name: str) -> tuple[float, float]:
        row = rows[name]
        operation = row.get("operation") if is_same else None
        return (float(operation) if operation is not None else -1.0, float(row.get("last") or 0.0))

    return max(rows, key=worth)


def _of_disks(session: Session, folder: Path, timeout_s: float) -> tuple[MetadataPart, list[str]]:
    """Of the manager's disk, else of the freshest copy on another one, and what is damaged on the manager's.

    Raises `ClusterError` with what each said.
    """
    config, layout = session.config, session.backend.layout
    assert layout is not None
    source, target = str(config.manager.data_dirs[0] / layout.top), inside(layout)
    said: list[Problem] = []
    lacks: list[str] = []
    words = ["take-master", session.backend.kind, target]
    try:
        run = streams.thrown_away(
            session,
            config.manager.name,
            streams.STATE,
            words,
            what="the metadata on its disk",
            seconds=timeout_s,
            mount=(source, target),
            names=str(catalogue.place(config)) if config.has_metastore else "",
        )
        return _take(session, run, folder / METADATA, "disk"), lacks
    except ClusterError as error:
        said += error.problems
        if isinstance(error, streams.StreamError) and error.program_code == streams.NO_STATE:
            lacks.append(_damaged(error))
        (folder / METADATA).unlink(missing_ok=True)
    names = tuple(node.name for node in copy_nodes(config))
    told = session.clients.on(names, lambda name: ask_disk(session, name))
    node = freshest(told.values)
    if node is None:
        what = "there is no metadata that a backup could be made of"
        raise ClusterError(*said, *told.problems, Problem(what=what, hint="`invoke status` says what runs"))
    mount = (str(config.node(node).data_dirs[0] / layout.top / COPIES), f"{target}/{COPIES}")
    run = streams.thrown_away(
        session, node, streams.STATE, ["take", mount[1]], what="the copy on its disk", seconds=timeout_s, mount=mount
    )
    return _take(session, run, folder / METADATA, "copy"), lacks


def cluster_id(session: Session) -> str:
    """As the disks have it, the manager's first; `none` where they have none. Raises `ClusterError`."""
    facts, problems = session.facts()
    if not facts:
        raise ClusterError(*problems)
    manager = facts.get(session.config.manager.name)
    found = [disk.marker for fact in (manager, *facts.values()) if fact is not None for disk in fact.disks]
    return next((marker for marker in found if marker), NO_ID)


def take_recovery(session: Session, identity: str, folder: Path) -> tuple[str, str]:
    """recovery.json in `folder`: from which node, and the cluster's id in it. Raises `ClusterError`, OSError."""
    config = session.config
    try:
        files = read_material(session)
        text = recovery_text(config, identity, int(time.time()), files)
        write_private(folder / RECOVERY, text)
        return config.manager.name, identity
    except ClusterError as error:
        others = tuple(node.name for node in config.nodes if not node.manager)
        copy = newest_recovery(session, others)
        if copy is None:
            raise
        session.on_event(f"[{copy.node}] its copy of the secrets is taken: {error.problems[0].what}")
    identity = copy.cluster_id if identity == NO_ID else identity
    write_private(folder / RECOVERY, recovery_text(config, identity, copy.written, copy.files))
    return copy.node, identity

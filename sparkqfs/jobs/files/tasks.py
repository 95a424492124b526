"""invoke put, get, ls, rm and du: the storage's files from here, through file servers in the worker-node containers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import BinaryIO

from sparkqfs.clients.pipe import NodePipe
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.files import looking, moving
from sparkqfs.files.places import Place, Places
from sparkqfs.files.results import Result
from sparkqfs.files.storage import Storage
from sparkqfs.files.transfer import Access
from sparkqfs.files.wire import STALL_S
from sparkqfs.gather.nodes import gather_tasks
from sparkqfs.jobs.session import Session
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.plan.storage.seam import SHARED_TARGET
from sparkqfs.plan.watching.cluster_status import is_worker

SERVERS = 4
"""At most; each is a JVM on a machine of its own."""


def places(session: Session) -> Places:
    """What names mean on this cluster."""
    shared = f"file://{SHARED_TARGET}" if session.config.shared_directory is not None else None
    root = session.backend.root_uri(session.config)
    return Places(root=root, shared=shared, user=session.config.owner.user)


def access(session: Session, timeout_s: float, *, stall_s: float = STALL_S, only: str | None = None) -> Access:
    """File servers in the worker-node containers that run, in any order. Raises `ClusterError` without one.

    A server that says nothing for `stall_s` seconds is given up; `only` names the one machine that may serve.
    """
    names = {node.name for node in session.config.nodes if only in (None, node.name)}
    found = gather_tasks(session.config, session.clients)
    workers = [task for task in found if is_worker(task.service) and task.is_up and task.node in names]
    if not workers:
        hint = "`invoke status` says why; `invoke deploy` starts it"
        raise ClusterError(Problem(what="worker-node is not running on any machine", hint=hint))
    random.shuffle(workers)  # so that what lands on the writer's own disk is spread

    def connect(number: int) -> Storage:
        problems: list[Problem] = []
        for step in range(len(workers)):
            try:
                return _open(session, workers[(number + step) % len(workers)], timeout_s, stall_s)
            except ClusterError as error:
                problems += error.problems
        raise ClusterError(*problems)

    return Access(
        connect=connect,
        width=min(SERVERS, len(workers)),
        on_event=session.on_event,
        confirm=session.confirm,
        timeout_s=timeout_s,
        dry_run=session.dry_run,
    )


def _open(session: Session, task: TaskFact, timeout_s: float, stall_s: float) -> Storage:
    program = ["/opt/sparkqfs/bin/with-env", "/opt/sparkqfs/bin/file-server", str(max(1, int(timeout_s)))]
    argv = ["docker", "exec", "-i", task.container_id, *program]
    return Storage(NodePipe(session.clients.node(task.node), argv, stall_s=stall_s))


def _result(name: str, found: Result) -> JobResult:
    outcome = Outcome(subject=found.subject, state=found.state, changes=found.changes)
    return JobResult(task=name, outcomes=(outcome,), problems=found.problems, text=found.text, document=found.document)


def _run(session: Session, name: str, path: str, timeout_s: float, job: Callable[[Access, Place], Result]) -> JobResult:
    place = places(session).read(path)  # a fault in it is found before any machine is asked
    return _result(name, job(access(session, timeout_s), place))


def put(session: Session, source: str, path: str, *, overwrite: bool, stdin: int, timeout_s: float) -> JobResult:
    """Files of this machine, or the stream `stdin` for `-`, to the storage."""
    moving.check_source(source)

    def job(access: Access, place: Place) -> Result:
        return moving.put(access, source, place, overwrite=overwrite, stdin=stdin)

    return _run(session, "put", path, timeout_s, job)


def get(session: Session, path: str, target: str, *, overwrite: bool, out: BinaryIO, timeout_s: float) -> JobResult:
    """Files of the storage to this machine, or one to the stream `out` for `-`; then nothing else is said there."""

    def job(access: Access, place: Place) -> Result:
        if target != moving.STREAM:
            return moving.get(access, place, target, overwrite=overwrite)
        return moving.get_stream(access, place, out)

    result = _run(session, "get", path, timeout_s, job)
    return result if target != moving.STREAM else JobResult(task="get", problems=result.problems)


def ls(session: Session, path: str, *, recursive: bool, timeout_s: float) -> JobResult:
    """What is there."""
    return _run(session, "ls", path, timeout_s, lambda access, place: looking.ls(access, place, recursive=recursive))


def du(session: Session, path: str, *, timeout_s: float) -> JobResult:
    """How much is there."""
    return _run(session, "du", path, timeout_s, looking.du)


def rm(session: Session, path: str, *, recursive: bool, if_there: bool, timeout_s: float) -> JobResult:
    """Remove it, for good."""
    known = places(session)

    def job(access: Access, place: Place) -> Result:
        return looking.rm(access, known, place, recursive=recursive, if_there=if_there)

    return _run(session, "rm", path, timeout_s, job)

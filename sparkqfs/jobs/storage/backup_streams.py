"""The programs `metadata-state` and `list-names` on machines: in a service's container, or in one of their own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparkqfs import durable, topology
from sparkqfs.clients.pipe import NodePipe
from sparkqfs.errors import ClusterError, DeadlineError, ExitCode, Problem
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.jobs.cluster import images
from sparkqfs.jobs.cluster.deploy import ENDING_S, in_container
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage.backup_store import new_file
from sparkqfs.remote import script

PROGRAMS = "/opt/sparkqfs/bin"
STATE, NAMES = "metadata-state", "list-names"
THROW_AWAY_SCRIPT = script("throw_away")
READ_MIB = 256
"""Memory of a container that only reads a state: it goes through it piece by piece."""
READ_BYTES = 1 << 18
PROGRESS_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A program on a machine."""

    node: str
    argv: tuple[str, ...]
    what: str
    """For messages."""
    seconds: float
    """It ends by itself then."""


def in_task(task: TaskFact, program: str, words: list[str], *, what: str, seconds: float) -> Run:
    """A program of ours in a service's container."""
    argv = (*in_container(task.container_id, seconds), f"{PROGRAMS}/{program}", *words)
    return Run(node=task.node, argv=argv, what=what, seconds=seconds)


def thrown_away(
    session: Session,
    node: str,
    program: str,
    words: list[str],
    *,
    what: str,
    seconds: float,
    memory_mib: int = READ_MIB,
    mount: tuple[str, str] = ("", ""),
    names: str = "",
) -> Run:
    """A program of ours in a container of the worker's image that is gone afterwards, without a network.

    `mount` is a directory of the machine, and where it is to be read in the container; `names` the metastore's there.
    """
    config = session.config
    try:
        reference = images.references(session)[topology.WORKER_NODE].reference
    except ClusterError:  # without the manager its architecture is not known: any image of this cluster
        reference = "none"
    user = f"{config.owner.uid}:{config.owner.gid}"
    limits = (user, str(max(1, int(seconds))), str(memory_mib))
    argv = (
        *("sh", "-c", THROW_AWAY_SCRIPT, "sh", config.name, reference),
        *(*limits, *mount, names, f"{PROGRAMS}/{program}", *words),
    )
    return Run(node=node, argv=argv, what=what, seconds=seconds)


def fetch(session: Session, run: Run, target: Path, *, source: Path | None = None) -> int:
    """The program's standard output in a new file; how many bytes. `source` is its standard input.

    Raises `StreamError` for a program that did not end well, `ClusterError`, OSError of this computer's disk.
    """
    end = time.monotonic() + run.seconds + ENDING_S
    pipe = NodePipe(session.clients.node(run.node), run.argv, stall_s=run.seconds + ENDING_S)
    total, told = 0, time.monotonic()
    try:
        with _feeding(pipe, source), new_file(target) as file:
            while data := _read(run, pipe, end):
                file.write(data)
                total += len(data)
                if time.monotonic() - told > PROGRESS_S:
                    told = time.monotonic()
                    session.on_event(f"[{run.node}] {run.what}: {total:,} bytes so far")
            file.flush()
            durable.sync(file.fileno())
        code = pipe.exit_code()
        if code != 0 or total == 0:
            raise failed(run, pipe.last_words(), code)
    finally:
        pipe.close(at_once=True)
    return total


class StreamError(ClusterError):
    """A program did not end well."""

    def __init__(self, problem: Problem, program_code: int | None) -> None:
        super().__init__(problem)
        self.program_code = program_code
        """Its exit code; 1 says that there is no such state, or that it is damaged."""


NO_STATE = 1
NO_IMAGE = 69
ENDED = {124: "its time was up", 125: "nobody waited for it any more", 137: "it was killed: too little memory?"}


def failed(run: Run, said: str, code: int | None = NO_STATE) -> StreamError:
    """It did not do what it should."""
    said = said or (ENDED.get(code, f"exit {code}") if code is not None else "")
    words = said.strip() or "it said nothing"
    hint = None
    if "No such file" in words or "not found" in words or "usage: " in words:
        hint = "the stack is of an older version, which makes no backups: `invoke deploy`"
    return StreamError(Problem(node=run.node, what=f"{run.what}: {words}", hint=hint), code)


def _read(run: Run, pipe: NodePipe, end: float) -> bytes:
    if time.monotonic() > end:
        raise _late(run)
    try:
        return pipe.read(READ_BYTES)
    except TimeoutError as error:
        raise _late(run) from error
    except OSError as error:
        raise ClusterError(Problem(node=run.node, what=f"{run.what}: the connection broke: {error}")) from error


def _late(run: Run) -> DeadlineError:
    what = f"{run.what} did not end within {run.seconds:.0f} s"
    hint = "--timeout SECONDS gives it longer"
    return DeadlineError(Problem(node=run.node, what=what, hint=hint, code=ExitCode.TIMEOUT))


@contextlib.contextmanager
def _feeding(pipe: NodePipe, source: Path | None) -> Iterator[None]:
    """Sends a file to the program while its output is read. One that does not want all of it says why itself."""
    if source is None:
        yield
        return

    def feed() -> None:
        with contextlib.suppress(OSError), source.open("rb") as file:
            while data := file.read(READ_BYTES):
                pipe.write(data)
            pipe.end()

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    yield
    thread.join(ENDING_S)

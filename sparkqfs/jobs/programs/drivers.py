"""Drivers of submissions on the manager: their files, their services, their end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from sparkqfs.clients.ssh import Output
from sparkqfs.clients.wait import wait_until
from sparkqfs.errors import ClusterError
from sparkqfs.facts.pages import SparkFact
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.programs.apps import APP_LABEL, FOLDER, GRACE_S, Piece, has_ended, parse_piece, service_name
from sparkqfs.plan.programs.fits import Room, parse_memory
from sparkqfs.plan.programs.server import SERVER_LABEL
from sparkqfs.plan.stack import CLUSTER_LABEL
from sparkqfs.remote import script

ENTER = (
    'cd -P -- "$1" && uid=$2 gid=$3 && shift 3 && '
    'exec setpriv --reuid "$uid" --regid "$gid" --clear-groups -- sh -c "$@"'
)
"""What users' programs write is read and made as the service user, never as root: it may be a link to anywhere."""
PIECE_BYTES = 1_000_000
"""Of a driver's output, read at once."""
KNOWN_BYTES = 8 << 20
"""Of an `app.json`: more than a command line of 2 MiB, Linux's most, takes as JSON; a longer one is not ours."""
READ_SCRIPT = script("read_output", FOLDER=FOLDER, PIECE_BYTES=PIECE_BYTES, KNOWN_BYTES=KNOWN_BYTES)
"""Output is in pieces, named after where they begin, as runtime/sparkqfs_runtime/kept_output.py says.

Its words are the submission, the first bytes to read of stdout and stderr, from 1, and the id of a reader for whom the
driver is to keep what is not read yet. `exit` is looked for before the output: nothing is written after it.
"""
MARK_SCRIPT = script("mark_end", FOLDER=FOLDER)
ENDING_SCRIPT = script("mark_ending", FOLDER=FOLDER)
"""Its words are submissions whose stop is for good: runtime/sparkqfs_runtime/supervise/restarts.py looks for it."""
TIDY_SCRIPT = script("tidy_submissions", FOLDER=FOLDER)
"""Its words are the submissions that live. One that wrote no end gets the time of its last output for it; of one that
is younger than an hour the service may not be made yet."""
MEMORY_SCRIPT = "grep -E '^Mem(Total|Available):' /proc/meminfo"
STOP_S = GRACE_S + 30.0
MASTER_S = 30.0


def on_manager(session: Session, script: str, *words: str, stdin: bytes = b"", timeout_s: float = 60.0) -> Output:
    """Run a shell script in the manager's `spark` directory, as the service user."""
    return in_spark_directory(session, session.config.manager.name, script, *words, stdin=stdin, timeout_s=timeout_s)


def in_spark_directory(
    session: Session, node: str, script: str, *words: str, stdin: bytes = b"", timeout_s: float = 60.0
) -> Output:
    """The same on any node. Raises `ClusterError` when the script fails."""
    owner = session.config.owner
    folder = str(session.config.node(node).data_dirs[0] / "spark")
    argv = ["sh", "-c", ENTER, "sh", folder, str(owner.uid), str(owner.gid), script, "sh", *words]
    return session.clients.node(node).run(argv, stdin=stdin, timeout_s=timeout_s)


# --- services ---


def services(session: Session) -> dict[str, str]:
    """Submissions that have a service still → its name."""
    found = session.clients.engine().labelled_services(f"{CLUSTER_LABEL}={session.config.name}")
    labels = {one["Spec"]["Name"]: one["Spec"].get("Labels") or {} for one in found}
    return {label[APP_LABEL]: name for name, label in labels.items() if APP_LABEL in label}


def task_of(session: Session, submission: str) -> dict[str, Any] | None:
    """The driver's task as the engine tells it; `None` when there is no such service."""
    tasks = session.clients.engine().service_tasks(service_name(session.config.name, submission))
    return tasks[-1] if tasks else None


def living(session: Session) -> frozenset[str]:
    """Submissions whose driver still runs, or will."""
    return _living_of(session, services(session))


def _living_of(session: Session, there: Iterable[str]) -> frozenset[str]:
    tasks = {submission: task_of(session, submission) for submission in there}
    return frozenset(submission for submission, task in tasks.items() if task is None or not has_ended(task))


def clear_ended(session: Session) -> None:
    """Remove the services of drivers that have ended; their files stay for `logs.days`.

    Services that somebody else makes meanwhile are none of those that are looked at.
    """
    there = services(session)
    alive = _living_of(session, there)
    on_manager(session, f"days={session.config.logs.days}\n{TIDY_SCRIPT}", *sorted(alive))
    for submission, name in there.items():
        if submission not in alive:
            session.clients.engine().remove_service(name)


def room(session: Session) -> Room:
    """What the manager's memory still holds, beside the drivers that live, that of the Connect server among them."""
    engine = session.clients.engine()
    total, available = parse_memory(on_manager(session, MEMORY_SCRIPT).stdout)
    alive, promised, count = living(session), 0, 0
    for one in engine.labelled_services(f"{CLUSTER_LABEL}={session.config.name}"):
        labels = one["Spec"].get("Labels") or {}
        mark = next((name for name in (APP_LABEL, SERVER_LABEL) if name in labels), None)
        if mark is None or (mark == APP_LABEL and labels[mark] not in alive):
            continue
        containers = engine.containers(f"{mark}={labels[mark]}")
        if mark == SERVER_LABEL and not any(each.get("State") == "running" for each in containers):
            continue
        limits = (one["Spec"]["TaskTemplate"].get("Resources") or {}).get("Limits") or {}
        used = sum(engine.memory_used_mib(each["Id"]) for each in containers)
        promised += max(0, int(limits.get("MemoryBytes", 0)) // 2**20 - used)
        count += 1
    return Room(total_mib=total, available_mib=available, promised_mib=promised, drivers=count)


# --- output and end ---


def read(session: Session, submission: str, out: int, err: int, reader: str = "") -> Piece:
    """What the driver wrote after so many bytes; for a `reader` it keeps what comes next until that has been read."""
    return parse_piece(on_manager(session, READ_SCRIPT, submission, str(out + 1), str(err + 1), reader).stdout)


def stop(session: Session, submission: str, app_id: str | None) -> bool:
    """End a driver and see that its application is gone from the master; False when the driver was gone already."""
    engine = session.clients.engine()
    name = services(session).get(submission)
    if name is not None:
        _mark_ending(session, submission)
        engine.remove_service(name)
        wait_until(
            lambda: not _running(session, submission),
            what=f"the driver of {submission} to end",
            timeout_s=STOP_S,
            interval_s=0.5,
        )
    app_id = app_id or read(session, submission, 0, 0).app_id
    on_manager(session, MARK_SCRIPT, submission, "143 stopped")
    if app_id is not None:
        wait_until_gone(session, app_id)
    return name is not None


def _running(session: Session, submission: str) -> bool:
    """Whether its driver's container runs; one that runs again may leave others that have ended."""
    found = session.clients.engine().containers(f"{APP_LABEL}={submission}")
    return any(one.get("State") not in ("exited", "dead") for one in found)


def _mark_ending(session: Session, *submissions: str) -> None:
    """A full or broken disk does not keep them from being ended."""
    if submissions:
        with contextlib.suppress(ClusterError):
            on_manager(session, ENDING_SCRIPT, *submissions)


def wait_until_gone(session: Session, app_id: str) -> None:
    """Until the master says that no such application runs, or there is no master in the stack."""
    last = {"why": ""}

    def gone() -> bool:
        spark = status.ask_spark(session)
        if isinstance(spark, SparkFact):
            last["why"] = "the master still has it"
            return app_id not in {app.id for app in spark.active}
        last["why"] = spark
        return not status.has_master(session)

    wait_until(
        gone,
        what=f"{app_id} to leave the Spark master",
        timeout_s=MASTER_S,
        interval_s=0.5,
        hint="its driver is ended; `invoke apps` shows when its cores are free",
        detail=lambda: last["why"],
    )


def end_all(session: Session) -> list[str]:
    """Remove the service of every driver, without waiting; the names of those that still ran."""
    alive, engine = living(session), session.clients.engine()
    _mark_ending(session, *sorted(alive))
    for name in services(session).values():
        engine.remove_service(name)
    for submission in sorted(alive):
        with contextlib.suppress(ClusterError):
            if not _running(session, submission):  # nothing else of it says its end: it was between two runs
                on_manager(session, MARK_SCRIPT, submission, "143 stopped")
    return sorted(alive)

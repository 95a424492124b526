"""invoke submit: a user's program in a driver's container of its own, its output here, its exit code ours."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sparkqfs import topology
from sparkqfs.amounts import amount
from sparkqfs.errors import ClusterError, DeadlineError, Problem
from sparkqfs.facts.pages import SparkFact
from sparkqfs.jobs.programs.drivers import MARK_SCRIPT, clear_ended, on_manager, read, room, stop, wait_until_gone
from sparkqfs.jobs.programs.follow import Ended, OnOutput, follow, new_reader, result_of
from sparkqfs.jobs.programs.local_look import check_files as check_files
from sparkqfs.jobs.programs.local_look import here, hints, look_here
from sparkqfs.jobs.programs.local_look import tar_of as tar_of
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.programs.apps import driver_labels, driver_task, service_name
from sparkqfs.plan.programs.fits import check_driver, driver_size, fit_executors, parse_defaults
from sparkqfs.plan.programs.parcel import FOLDER, Parcel, pack
from sparkqfs.plan.programs.settings import masked
from sparkqfs.plan.programs.user import Program
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.remote import script
from sparkqfs.streams import CannotWrite

SEND_SCRIPT = script("take_submission", FOLDER=FOLDER)


# --- sending ---


def ask_master(session: Session) -> SparkFact:
    """The master's answer. Raises `ClusterError` when there is none."""
    found = status.ask_spark(session)
    if not isinstance(found, SparkFact):
        hint = "`invoke status` says more; `invoke deploy` starts the stack"
        raise ClusterError(Problem(what=f"Spark master: {found}", hint=hint))
    return found


def deployed_settings(session: Session, jupyter: Mapping[str, Any]) -> dict[str, str]:
    """The spark-defaults.conf of the stack that runs, from what the engine says of its jupyter-server."""
    configs = jupyter["Spec"]["TaskTemplate"]["ContainerSpec"].get("Configs") or []
    ids = [one["ConfigID"] for one in configs if one["File"]["Name"].endswith("/spark-defaults.conf")]
    return parse_defaults(session.clients.engine().config_text(ids[0])) if ids else {}


def new_id() -> str:
    """Ids sort by time."""
    return f"submit-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A program that was looked at and can be sent."""

    parcel: Parcel
    content: bytes
    task: dict[str, Any]
    """Of the driver's service."""


def look(session: Session, program: Program, submission: str) -> Ready:
    """The rest that can be wrong, before anything is sent: the stack, sizes, the files' bytes, the manager's room."""
    config, engine = session.config, session.clients.engine()
    name = f"{config.name}_{topology.JUPYTER_SERVER}"
    found = [one for one in engine.services(config.name) if one["Spec"]["Name"] == name]
    if not found:
        raise ClusterError(Problem(what=f"stack {config.name} is not deployed", hint="`invoke deploy`, or `invoke up`"))
    defaults = deployed_settings(session, found[0])
    program, notes = fit_executors(program, defaults, ask_master(session).workers)
    for note in notes:
        session.on_event(note)
    size = driver_size(program, defaults)
    parcel = pack(program, submission, here)
    content = tar_of(parcel)
    clear_ended(session)
    check_driver(size, room(session), config.manager.name)
    where = (config.name, config.manager.name)
    task = driver_task(found[0], *where, submission, size.memory_mib, restart=program.restart)
    return Ready(parcel=parcel, content=content, task=task)


def send(session: Session, ready: Ready, submission: str, reader: str = "") -> None:
    """Copy the program to the manager and start its driver, which keeps its output for a `reader` from the start."""
    config = session.config
    on_manager(session, SEND_SCRIPT, submission, stdin=ready.content, timeout_s=config.timeouts.build_s)
    if reader:
        read(session, submission, 0, 0, reader)
    try:
        session.clients.engine().create_service(
            service_name(config.name, submission), ready.task, driver_labels(config.name, submission)
        )
    except ClusterError as error:
        hint = f"`invoke kill {submission}` ends it, if it was started all the same"
        raise type(error)(*[replace(one, hint=one.hint or hint) for one in error.problems]) from error


# --- the task ---


def submit(
    session: Session, program: Program, *, output: OnOutput, detach: bool, take_all: bool, timeout_s: float
) -> JobResult:
    """Run the program; its exit code is the result's. Ctrl-C, and the end of the time, end it on the cluster too."""
    submission = "submit-ID" if session.dry_run else new_id()
    program, _ = look_here(program, submission)
    for hint in hints(program, f"/user/{session.config.owner.user}"):
        session.on_event(hint)
    if take_all:
        program = replace(program, cores=max(1, ask_master(session).cores))
    if session.dry_run:
        parcel = pack(program, submission, here)
        count = program.num_executors
        executors = (f"{amount(count, 'executor')}: their cores are known on the cluster",) if count else ()
        changes = (
            amount(len(parcel.files), "file"),
            *executors,
            f"spark-submit {shlex.join(map(masked, parcel.argv))}",
        )
        return JobResult(task="submit", outcomes=(Outcome(subject=parcel.name, state="planned", changes=changes),))
    ready = look(session, program, submission)
    session.on_event(f"{submission}: sending {ready.parcel.name}")
    try:
        reader = "" if detach else new_reader()
        send(session, ready, submission, reader)
        if detach:
            session.on_event(f"`invoke app.logs {submission}` shows its output, `invoke kill {submission}` ends it")
            return JobResult(task="submit", text=submission, document={"schema": 1, "submission": submission})
        ended = follow(session, submission, output, timeout_s, reader=reader)
    except (KeyboardInterrupt, DeadlineError, BrokenPipeError, CannotWrite) as error:
        session.on_event(f"ending {submission}")
        stop(session, submission, None)
        session.on_event(f"{submission} is ended")
        if isinstance(error, BrokenPipeError):
            raise ClusterError(Problem(what=f"nobody reads the output any more; {submission} was ended")) from error
        raise
    left = clean_up(session, submission, ended)
    result = result_of(session, submission, ended)
    return replace(result, problems=(*result.problems, *left))


def clean_up(session: Session, submission: str, ended: Ended) -> list[Problem]:
    """Remove what a driver that has ended leaves. What fails is told: the program's own end is known and counts."""
    service, app_id = service_name(session.config.name, submission), ended.app_id
    steps: list[Callable[[], object]] = [lambda: session.clients.engine().remove_service(service)]
    if ended.word == "lost":
        steps.append(lambda: on_manager(session, MARK_SCRIPT, submission, "1 lost"))
        if app_id is not None:
            steps.append(lambda: wait_until_gone(session, app_id))
    problems: list[Problem] = []
    for step in steps:
        try:
            step()
        except ClusterError as error:
            problems += [replace(one, what=f"{submission} has ended, but {one.what}") for one in error.problems]
    return problems

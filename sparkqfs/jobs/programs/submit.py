"""invoke submit: a user's program in a driver's container of its own, its output here, its exit code ours."""

from __future__ import annotations

import getpass
import io
import json
import secrets
import shlex
import socket
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparkqfs import topology
from sparkqfs.errors import ClusterError, ConfigError, DeadlineError, Problem
from sparkqfs.facts.pages import SparkFact
from sparkqfs.jobs.programs.drivers import MARK_SCRIPT, clear_ended, on_manager, read, room, stop, wait_until_gone
from sparkqfs.jobs.programs.follow import Ended, OnOutput, follow, new_reader, result_of
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.programs.apps import FOLDER, Parcel, Program, driver_labels, driver_task, is_uri, pack, service_name
from sparkqfs.plan.programs.fits import check_driver, driver_size, fit_executors, parse_defaults
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.remote import script
from sparkqfs.streams import CannotWrite

SEND_SCRIPT = script("take_submission", FOLDER=FOLDER)


# --- sending ---


def check_files(program: Program) -> None:
    """Raises `ConfigError` naming every file that is not there."""
    texts = (program.program, *program.py_files, *program.jars, *program.files, *program.beside)
    missing = [text for text in texts if not is_uri(text) and not Path(text).is_file()]
    if missing:
        raise ConfigError(*[Problem(what=f"{text}: no such file on this computer") for text in missing])


def tar_of(parcel: Parcel) -> bytes:
    """`app.json` and the files, as the driver expects them."""
    known = {
        "name": parcel.name,
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "submitted": round(time.time(), 1),
        "argv": list(parcel.argv),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        contents = {"app.json": json.dumps(known).encode()}
        contents |= {f"files/{name}": Path(path).read_bytes() for name, path in parcel.files.items()}
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), 0o640, int(time.time())
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


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


def send(session: Session, program: Program, submission: str, reader: str = "") -> None:
    """Copy the program to the manager and start its driver, which keeps its output for a `reader` from the start."""
    pack(program, submission)
    check_files(program)
    config, engine = session.config, session.clients.engine()
    name = f"{config.name}_{topology.JUPYTER_SERVER}"
    found = [one for one in engine.services(config.name) if one["Spec"]["Name"] == name]
    if not found:
        raise ClusterError(Problem(what=f"stack {config.name} is not deployed", hint="`invoke deploy`, or `invoke up`"))
    defaults = deployed_settings(session, found[0])
    program, notes = fit_executors(program, defaults, ask_master(session).workers)
    for note in notes:
        session.on_event(note)
    clear_ended(session)
    size = driver_size(program, defaults)
    check_driver(size, room(session), config.manager.name)
    parcel = pack(program, submission)
    on_manager(session, SEND_SCRIPT, submission, stdin=tar_of(parcel), timeout_s=config.timeouts.build_s)
    if reader:
        read(session, submission, 0, 0, reader)
    try:
        engine.create_service(
            service_name(config.name, submission),
            driver_task(found[0], config.name, config.manager.name, submission, size.memory_mib),
            driver_labels(config.name, submission),
        )
    except ClusterError as error:
        hint = f"`invoke kill {submission}` ends it, if it was started all the same"
        raise type(error)(*[replace(one, hint=one.hint or hint) for one in error.problems]) from error


# --- the task ---


def submit(
    session: Session, program: Program, *, output: OnOutput, detach: bool, take_all: bool, timeout_s: float
) -> JobResult:
    """Run the program; its exit code is the result's. Ctrl-C, and the end of the time, end it on the cluster too."""
    if take_all:
        program = replace(program, cores=max(1, ask_master(session).cores))
    if session.dry_run:
        parcel = pack(program, "submit-ID")
        check_files(program)
        changes = (f"{len(parcel.files)} files", f"spark-submit {shlex.join(parcel.argv)}")
        return JobResult(task="submit", outcomes=(Outcome(subject=parcel.name, state="planned", changes=changes),))
    submission = new_id()
    session.on_event(f"{submission}: sending {program.name or program.program}")
    try:
        reader = "" if detach else new_reader()
        send(session, program, submission, reader)
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

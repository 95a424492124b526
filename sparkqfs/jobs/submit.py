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
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparkqfs import topology
from sparkqfs.clients.ssh import Output
from sparkqfs.clients.wait import wait_until
from sparkqfs.errors import ClusterError, ConfigError, DeadlineError, ExitCode, Problem
from sparkqfs.facts import SparkFact
from sparkqfs.jobs import status
from sparkqfs.jobs.base import Session
from sparkqfs.plan.apps import (
    APP_LABEL,
    ENDED_STATES,
    FOLDER,
    GRACE_S,
    Parcel,
    Piece,
    Program,
    driver_labels,
    driver_task,
    is_uri,
    pack,
    parse_piece,
    service_name,
)
from sparkqfs.plan.stack import CLUSTER_LABEL
from sparkqfs.plan.steps import JobResult, Outcome

OnOutput = Callable[[str, bytes], None]
"""(`stdout` or `stderr`, bytes as the program wrote them)."""
ENTER = (
    'cd -P -- "$1" && uid=$2 gid=$3 && shift 3 && '
    'exec setpriv --reuid "$uid" --regid "$gid" --clear-groups -- sh -c "$@"'
)
"""What users' programs write is read and made as the service user, never as root: it may be a link to anywhere."""
SEND_SCRIPT = rf"""
set -eu
umask 027
mkdir -p {FOLDER}
for old in {FOLDER}/submit-*; do
  [ ! -f "$old/exit" ] || [ -z "$(find "$old/exit" -mtime +6)" ] || rm -rf -- "$old"
done
mkdir "{FOLDER}/$1"
tar -x -f - -C "{FOLDER}/$1"
"""
PIECE_BYTES = 400_000
"""Of a driver's output, read at once."""
READ_SCRIPT = rf"""
cd "{FOLDER}/$1" 2>/dev/null || exit 0
[ ! -f exit ] || printf 'exit\t%s\n' "$(head -c 40 exit)"
[ ! -f spark.log ] || printf 'app\t%s\n' "$(grep -m 1 'app ID app-' spark.log)"
piece() {{ [ ! -f "$1" ] || printf '%s\t%s\n' "$1" "$(tail -c "+$2" "$1" | head -c {PIECE_BYTES} | base64 -w 0)"; }}
piece stdout "$2"
piece stderr "$3"
"""
"""`exit` is looked for first: nothing is written after it."""
MARK_SCRIPT = rf'cd "{FOLDER}/$1" 2>/dev/null || exit 0; [ -f exit ] || printf "%s\n" "$2" > exit'
QUICK_S, CALM_S = 0.3, 1.0
"""Between two looks at the output, while there is some and while there is none."""
TASK_S = 2.0
"""Between two looks at the container."""
START_S = 120.0
"""Until the container runs."""
PATIENCE_S = 60.0
"""For a connection that broke to come back."""
FOLLOW_S = 7 * 86400.0
STOP_S = GRACE_S + 30.0
MASTER_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a driver ended. `word` is `ended`, `stopped` or `lost`."""

    code: int
    word: str
    app_id: str | None
    why: str = ""


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


def all_cores(session: Session) -> int:
    """Cores that the live workers offer. Raises `ClusterError` when the master does not answer."""
    seen = status.gather_status(session)
    if not isinstance(seen.spark, SparkFact):
        hint = "`invoke status` says more; `invoke deploy` starts the stack"
        raise ClusterError(Problem(what=f"Spark master: {seen.spark}", hint=hint))
    return max(1, seen.spark.cores)


def new_id() -> str:
    """Ids sort by time."""
    return f"submit-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def send(session: Session, program: Program, submission: str) -> None:
    """Copy the program to the manager and start its driver."""
    parcel = pack(program, submission)
    check_files(program)
    config, engine = session.config, session.clients.engine()
    name = f"{config.name}_{topology.JUPYTER_SERVER}"
    found = [one for one in engine.services(config.name) if one["Spec"]["Name"] == name]
    if not found:
        raise ClusterError(Problem(what=f"stack {config.name} is not deployed", hint="`invoke deploy`, or `invoke up`"))
    clear_ended(session)
    on_manager(session, SEND_SCRIPT, submission, stdin=tar_of(parcel), timeout_s=config.timeouts.build_s)
    engine.create_service(
        service_name(config.name, submission),
        driver_task(found[0], config.name, config.manager.name, submission),
        driver_labels(config.name, submission),
    )


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
    tasks = {submission: task_of(session, submission) for submission in services(session)}
    return frozenset(
        submission for submission, task in tasks.items() if task is None or task["Status"]["State"] not in ENDED_STATES
    )


def clear_ended(session: Session) -> None:
    """Remove the services of drivers that have ended; their files stay."""
    alive = living(session)
    for submission, name in services(session).items():
        if submission not in alive:
            session.clients.engine().remove_service(name)


# --- following ---


def read(session: Session, submission: str, out: int, err: int) -> Piece:
    """What the driver wrote after so many bytes."""
    return parse_piece(on_manager(session, READ_SCRIPT, submission, str(out + 1), str(err + 1)).stdout)


def follow(session: Session, submission: str, output: OnOutput, timeout_s: float) -> Ended:
    """Pass the driver's output on until its end. Raises `DeadlineError`, or when the manager stays out of reach."""
    deadline = time.monotonic() + timeout_s
    out = err = 0
    app_id: str | None = None
    patience = _Patience(session)
    watch = _Watch(session, submission)
    while True:
        try:
            piece = read(session, submission, out, err)
            gone = None if piece.ended is not None else watch.gone()
            patience.renew()
        except ClusterError as error:  # a connection that breaks in the middle of something has many faces
            patience.wait(error, submission)
            continue
        for name, data in (("stdout", piece.stdout), ("stderr", piece.stderr)):
            if data:
                output(name, data)
        out, err = out + len(piece.stdout), err + len(piece.stderr)
        if piece.app_id != app_id:
            app_id = piece.app_id
            session.on_event(f"application {app_id}")
        if not piece.stdout and not piece.stderr:
            if piece.ended is not None:
                return Ended(code=piece.ended[0], word=piece.ended[1], app_id=app_id)
            if gone is not None:
                return Ended(code=1, word="lost", app_id=app_id, why=gone)
        if time.monotonic() > deadline:
            what = f"{submission} did not end within {timeout_s:.0f} s"
            raise DeadlineError(Problem(what=what, code=ExitCode.TIMEOUT, hint="`--timeout SECONDS`, or `--detach`"))
        most = max(len(piece.stdout), len(piece.stderr))
        time.sleep(0 if most >= PIECE_BYTES else QUICK_S if most else CALM_S)


class _Patience:
    """A connection that breaks is tried again for a while: the program goes on without us."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._since: float | None = None

    def renew(self) -> None:
        """It answered."""
        self._since = None

    def wait(self, error: ClusterError, submission: str) -> None:
        """A pause; raises the error when it has been too long."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._session.on_event(f"[{self._session.config.manager.name}] no answer; trying again")
        if now - self._since > PATIENCE_S:
            hint = f"{submission} goes on there: `invoke apps`, `invoke app.logs {submission}`"
            raise type(error)(*[replace(one, hint=hint) for one in error.problems]) from error
        time.sleep(2.0)


class _Watch:
    """Looks at the driver's container now and then: one that is gone writes no exit code."""

    def __init__(self, session: Session, submission: str) -> None:
        self._session = session
        self._submission = submission
        self._next = 0.0
        self._start_by = time.monotonic() + START_S
        self._said = ""
        self._suspected: str | None = None

    def gone(self) -> str | None:
        """Why the container is no more, seen twice; `None` while it lives."""
        now = time.monotonic()
        if now < self._next:
            return None
        self._next = now + TASK_S
        task = task_of(self._session, self._submission)
        if task is None:
            why: str | None = "its service was removed"
        else:
            state, error = str(task["Status"]["State"]), str(task["Status"].get("Err") or "")
            why = (error or f"its task is {state}") if state in ENDED_STATES else self._starting(state, error)
        before, self._suspected = self._suspected, why
        return why if before is not None else None

    def _starting(self, state: str, error: str) -> str | None:
        if state == "running":
            self._start_by = float("inf")
        elif time.monotonic() > self._start_by:
            return f"it did not start within {START_S:.0f} s: {state} {error}".rstrip()
        if state != "running" and error and error != self._said:
            self._said = error
            self._session.on_event(f"waiting: {error}")
        return None


# --- ending ---


def stop(session: Session, submission: str, app_id: str | None) -> bool:
    """End a driver and see that its application is gone from the master; False when the driver was gone already."""
    engine = session.clients.engine()
    name = services(session).get(submission)
    if name is not None:
        engine.remove_service(name)
        wait_until(
            lambda: not engine.containers(f"{APP_LABEL}={submission}"),
            what=f"the driver of {submission} to end",
            timeout_s=STOP_S,
            interval_s=0.5,
        )
    app_id = app_id or read(session, submission, 0, 0).app_id
    if app_id is not None:
        wait_until_gone(session, app_id)
    on_manager(session, MARK_SCRIPT, submission, "143 stopped")
    return name is not None


def wait_until_gone(session: Session, app_id: str) -> None:
    """Until the master knows of no such running application; a master that does not answer knows of none."""

    def gone() -> bool:
        spark = status.ask_spark(session)
        return not isinstance(spark, SparkFact) or app_id not in {app.id for app in spark.active}

    wait_until(gone, what=f"{app_id} to leave the Spark master", timeout_s=MASTER_S, interval_s=0.5)


def end_all(session: Session) -> list[str]:
    """Remove the service of every driver, without waiting; the names of those that still ran."""
    alive, engine = living(session), session.clients.engine()
    for name in services(session).values():
        engine.remove_service(name)
    return sorted(alive)


# --- the task ---


def submit(
    session: Session, program: Program, *, output: OnOutput, detach: bool, take_all: bool, timeout_s: float
) -> JobResult:
    """Run the program; its exit code is the result's. Ctrl-C, and the end of the time, end it on the cluster too."""
    if take_all:
        program = replace(program, cores=all_cores(session))
    if session.dry_run:
        parcel = pack(program, "submit-ID")
        check_files(program)
        changes = (f"{len(parcel.files)} files", f"spark-submit {shlex.join(parcel.argv)}")
        return JobResult(task="submit", outcomes=(Outcome(subject=parcel.name, state="planned", changes=changes),))
    submission = new_id()
    session.on_event(f"{submission}: sending {program.name or program.program}")
    if detach:
        send(session, program, submission)
        session.on_event(f"`invoke app.logs {submission}` shows its output, `invoke kill {submission}` ends it")
        return JobResult(task="submit", text=submission, document={"schema": 1, "submission": submission})
    try:
        send(session, program, submission)
        ended = follow(session, submission, output, timeout_s)
    except (KeyboardInterrupt, DeadlineError, BrokenPipeError) as error:
        session.on_event(f"ending {submission}")
        stop(session, submission, None)
        session.on_event(f"{submission} is ended")
        if isinstance(error, BrokenPipeError):
            raise ClusterError(Problem(what=f"nobody reads the output any more; {submission} was ended")) from error
        raise
    session.clients.engine().remove_service(service_name(session.config.name, submission))
    if ended.word == "lost":
        on_manager(session, MARK_SCRIPT, submission, "1 lost")
        if ended.app_id is not None:
            wait_until_gone(session, ended.app_id)
    return result_of(session, submission, ended)


def result_of(session: Session, submission: str, ended: Ended, task: str = "submit") -> JobResult:
    """What is said of a driver's end."""
    problems: tuple[Problem, ...] = ()
    if ended.word == "lost":
        what = f"the driver of {submission} was lost: {ended.why}"
        hint = f"its machine, its memory or its container failed; `invoke app.logs {submission}` shows what it said"
        problems = (Problem(node=session.config.manager.name, what=what, hint=hint),)
    elif ended.word == "stopped":
        what = f"{submission} was ended from outside: `invoke kill`, `invoke down`, or its machine went down"
        problems = (Problem(what=what),)
    document: dict[str, object] = {
        "schema": 1,
        "submission": submission,
        "application": ended.app_id,
        "ended": ended.word,
    }
    code = None if ended.word == "lost" else ended.code
    return JobResult(task=task, document=document, problems=problems, program_code=code)

"""Following a driver: its output as it is written, and how it ended."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sparkqfs.errors import ClusterError, DeadlineError, ExitCode, Problem
from sparkqfs.facts.pages import SparkFact
from sparkqfs.jobs.programs.drivers import PIECE_BYTES, read, task_of
from sparkqfs.jobs.programs.patience import Patience
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.programs.apps import has_ended, runs_again, unused, used_cluster, waiting_for
from sparkqfs.plan.steps import JobResult

OnOutput = Callable[[str, bytes], None]
"""(`stdout` or `stderr`, bytes as the program wrote them)."""
QUICK_S, CALM_S = 0.3, 1.0
"""Between two looks at the output, while there is some and while there is none."""
TASK_S = 2.0
"""Between two looks at the container."""
QUEUE_S = 10.0
"""Until somebody whose application waits for cores is told."""
START_S = 120.0
"""Until the container runs."""
PATIENCE_S = 60.0
"""For a connection that broke to come back."""
FOLLOW_S = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a driver ended. `word` is `ended`, `stopped` or `lost`."""

    code: int
    word: str
    app_id: str | None
    executors: int | None = None
    runs: int | None = None
    why: str = ""


def new_reader() -> str:
    """A name under which the driver knows who still has to read its output."""
    return secrets.token_hex(4)


def follow(
    session: Session, submission: str, output: OnOutput, timeout_s: float, *, reader: str | None = None
) -> Ended:
    """Pass the driver's output on until its end. Raises `DeadlineError`, or when the manager stays out of reach.

    The driver waits before it drops what this `reader` has not read; what was dropped earlier is told, in bytes.
    """
    reader = reader or new_reader()
    deadline = time.monotonic() + timeout_s
    out = err = 0
    app_id: str | None = None
    patience = Patience(session, PATIENCE_S)
    watch, queue = _Watch(session, submission), _Queue(session)
    while True:
        try:
            piece = read(session, submission, out, err, reader)
            lost = None if piece.ended is not None else watch.gone()
            queue.look(piece.app_id)
            patience.renew()
        except ClusterError as error:  # a connection that breaks in the middle of something has many faces
            _wait(patience, error, submission)
            continue
        for name, data, gone in (
            ("stdout", piece.stdout, piece.stdout_gone),
            ("stderr", piece.stderr, piece.stderr_gone),
        ):
            if gone:
                session.on_event(f"{name}: {gone} bytes are no longer kept; what follows comes after them")
            if data:
                output(name, data)
        out, err = out + piece.stdout_gone + len(piece.stdout), err + piece.stderr_gone + len(piece.stderr)
        if piece.app_id != app_id:
            app_id = piece.app_id
            session.on_event(f"application {app_id}")
        if not piece.stdout and not piece.stderr:
            if piece.ended is not None:
                code, word = piece.ended
                return Ended(code=code, word=word, app_id=app_id, executors=piece.executors, runs=piece.runs)
            if lost is not None:
                return Ended(code=1, word="lost", app_id=app_id, why=lost)
        if time.monotonic() > deadline:
            what = f"{submission} did not end within {timeout_s:.0f} s"
            raise DeadlineError(Problem(what=what, code=ExitCode.TIMEOUT, hint="`--timeout SECONDS`, or `--detach`"))
        most = max(len(piece.stdout), len(piece.stderr))
        time.sleep(0 if piece.more or most >= PIECE_BYTES else QUICK_S if most else CALM_S)


def _wait(patience: Patience, error: ClusterError, submission: str) -> None:
    """A pause; raises the error when the manager has been silent for too long."""
    if patience.is_over():
        hint = f"{submission} goes on there: `invoke apps`, `invoke app.logs {submission}`"
        raise type(error)(*[replace(one, hint=hint) for one in error.problems]) from error
    time.sleep(2.0)


class _Queue:
    """Looks once, a while after the start, whether the application waits for cores, and says who has them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._next: float | None = None

    def look(self, app_id: str | None) -> None:
        """Says it when the time has come; a master that does not answer is asked again later."""
        if app_id is None:
            return
        now = time.monotonic()
        if self._next is None:
            self._next = now + QUEUE_S
        if now < self._next:
            return
        spark = status.ask_spark(self._session)
        self._next = float("inf") if isinstance(spark, SparkFact) else now + QUEUE_S
        text = waiting_for(app_id, spark) if isinstance(spark, SparkFact) else None
        if text is not None:
            self._session.on_event(text)


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
            why = (error or f"its task is {state}") if has_ended(task) else self._starting(task, state, error)
        before, self._suspected = self._suspected, why
        return why if before is not None else None

    def _starting(self, task: Mapping[str, Any], state: str, error: str) -> str | None:
        if state == "running" or runs_again(task):
            self._start_by = float("inf")
        if time.monotonic() > self._start_by:
            return f"it did not start within {START_S:.0f} s: {state} {error}".rstrip()
        if state != "running" and error and error != self._said:
            self._said = error
            self._session.on_event(f"waiting: {error}")
        return None


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
    used = used_cluster((ended.code, ended.word), ended.app_id, ended.executors)
    if used is False:
        session.on_event(unused(submission, ended.app_id))
    document: dict[str, object] = {
        "schema": 1,
        "submission": submission,
        "application": ended.app_id,
        "ended": ended.word,
        "used_cluster": used,
        "runs": ended.runs,
    }
    code = None if ended.word == "lost" else ended.code
    return JobResult(task=task, document=document, problems=problems, program_code=code)

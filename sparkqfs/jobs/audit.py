"""A line on the manager for each task that changes something: who called it, when, and how it ended."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from sparkqfs.clients.wait import in_time
from sparkqfs.errors import ClusterError, ExitCode
from sparkqfs.facts.runs import BEGAN, ENDED, Run, line_of
from sparkqfs.jobs.session import Session, caller
from sparkqfs.plan.cluster.record_paths import AUDIT
from sparkqfs.remote import script
from sparkqfs.streams import CannotWrite, NobodyReads

RECORD_SCRIPT = script("record_run")
"""Its words are the directory, the cluster's name, the bytes after which another file begins, and the line."""
FILE_BYTES = 1 << 20
"""Of a file; there are two at most, the older one with `.1`."""
WAIT_S = 5.0
"""What a line may take; the task goes on without it after that."""
LAST_S = 2.0
"""The same after Ctrl-C."""


class Recording:
    """One run of a task. Nothing here raises: a line that cannot be written is said once, and the task goes on."""

    def __init__(self, session: Session, task: str) -> None:
        self.code = int(ExitCode.OK)
        """The exit code, once there is one."""
        self.has_begun = False
        self._session = session
        self._id = secrets.token_hex(8)
        self._run = Run(began="", who=caller(), cluster=session.config.name, task=task)
        self._started = time.monotonic()
        self._is_told = False
        self._lock = threading.Lock()
        self._has_ended = False
        self._is_attached = False

    def attach(self, session: Session) -> None:
        """Write over the connections of this session from now on; the first line when it opens one to any machine."""
        self._session, self._is_attached = session, True
        if not self.has_begun:
            session.clients.on_open(self._begin)

    def _begin(self) -> None:
        """Nothing has been done over the connection yet. Who opens another one meanwhile waits for the line too."""
        with self._lock:
            if not self.has_begun:
                self.has_begun = True
                self._session.clients.on_open(None)  # the manager's, which the line needs, may be still to open
                self._write(BEGAN, self._run, WAIT_S)

    def end(self, code: int) -> None:
        """The exit code and the seconds. A task that came to no machine has changed nothing, and leaves no line."""
        if self._has_ended or not self.has_begun:
            return
        self._has_ended = True
        ended = replace(self._run, code=code, seconds=time.monotonic() - self._started)
        self._write(ENDED, ended, LAST_S if code == ExitCode.INTERRUPTED else WAIT_S)

    @contextlib.contextmanager
    def ended_first(self) -> Iterator[None]:
        """Within the cluster's lock: after Ctrl-C programs end, and the line is written, before the lock is free."""
        try:
            yield
        except KeyboardInterrupt:
            self._session.clients.end_programs()
            if self._is_attached:
                self.end(int(ExitCode.INTERRUPTED))
            raise

    def _write(self, kind: str, run: Run, limit_s: float) -> None:
        said: list[str] = []
        words = [str(AUDIT), run.cluster, str(FILE_BYTES), line_of(kind, self._id, run)]

        def write() -> None:
            try:
                argv = ["sh", "-c", RECORD_SCRIPT, "sh", *words]
                manager = self._session.clients.manager
                output = manager.run(argv, check=False, timeout_s=limit_s, is_last_word=kind == ENDED)
            except ClusterError as error:
                said.append(error.problems[0].what)
            else:
                said.append("" if output.exit_code == 0 else output.last_lines(1) or f"exit code {output.exit_code}")

        in_time(write, limit_s + 0.5)
        why = said[0] if said else f"no answer within {limit_s:.0f} s"
        if why and not self._is_told:
            self._is_told = True
            manager = self._session.config.manager.name
            self._session.on_event(f"{manager} did not record this run for the history: {why}")


@contextlib.contextmanager
def recorded(session: Session, task: str) -> Iterator[Recording]:
    """Record that the block runs, and how it ended: with `code`, or with the exit code of what it raises.

    The first line is written when the block's own work opens its first connection: a task that is refused before that
    asks no machine for it. A dry run leaves no line.
    """
    recording = Recording(session, task)
    if session.dry_run:
        yield recording
        return
    recording.attach(session)
    try:
        yield recording
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            session.clients.end_programs()  # the line may take its time
        recording.end(code_of(error))
        raise
    recording.end(recording.code)


class Series:
    """The same for a task that opens one session after the other."""

    def __init__(self, task: str) -> None:
        self.code = int(ExitCode.OK)
        self._task = task
        self._recording: Recording | None = None

    def attach(self, session: Session) -> None:
        """For each session, before anything is done in it."""
        if not session.dry_run:
            self._recording = self._recording or Recording(session, self._task)
            self._recording.attach(session)

    @contextlib.contextmanager
    def ended(self, open_session: Callable[[], contextlib.AbstractContextManager[Session]]) -> Iterator[None]:
        """Around all of them. The end is written in a session of its own."""
        try:
            yield
        except BaseException as error:
            self._end(open_session, code_of(error))
            raise
        self._end(open_session, self.code)

    def _end(self, open_session: Callable[[], contextlib.AbstractContextManager[Session]], code: int) -> None:
        if self._recording is not None and self._recording.has_begun:
            with contextlib.suppress(ClusterError), open_session():
                self._recording.end(code)


def code_of(error: BaseException) -> int:
    """The exit code with which the command line ends after this."""
    if isinstance(error, ClusterError):
        return int(error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return int(ExitCode.INTERRUPTED)
    if isinstance(error, NobodyReads):
        return int(ExitCode.OK)
    code = getattr(error, "code", None)
    return code if isinstance(code, int) and not isinstance(error, CannotWrite) else int(ExitCode.FAILED)

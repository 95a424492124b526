"""invoke connect: the Connect server through a tunnel that this command holds, for a person or for one program."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sparkqfs.clients import own_python
from sparkqfs.clients.tunnel import Tunnel, usual_or_any
from sparkqfs.clients.wait import in_time
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem, UnreachableError
from sparkqfs.files.local import expanded
from sparkqfs.jobs.programs import server
from sparkqfs.jobs.programs.patience import Patience
from sparkqfs.jobs.session import Session
from sparkqfs.plan.programs.server import (
    TITLE,
    USUAL_PORT,
    Life,
    LocalPython,
    Ready,
    Wishes,
    address,
    check_client,
    install_line,
    lines_to_paste,
    parse_local,
    python_note,
)
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.plan.times import about
from sparkqfs.remote import program
from sparkqfs.shortening import shortened
from sparkqfs.topology import SPARK_VERSION

FIND_CLIENT = program("find_client")
LOOK_S = 5.0
"""Between two looks at the server while the tunnel is held."""
PATIENCE_S = 120.0
"""For a connection that broke, as of a computer that slept, to come back."""
SAY_S = 30.0
"""Between two complaints of the same content."""
SHOWN = 200
"""Letters of `--exec` in a message."""
PROBE_S = 10.0
"""For an answer over a connection that may be dead: one that slept does not say so."""
Show = Callable[[JobResult], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What runs on this computer while the tunnel is open."""

    words: tuple[str, ...] = ()
    """A program and its arguments; without them a person has the tunnel."""
    python: str | None = None
    """The Python that was named."""
    port: int = 0
    """0 is Spark's own where it is free, else any."""
    stdout: int | None = None
    """Where the program's standard output goes instead of to ours."""


def program_words(text: str) -> tuple[str, ...]:
    """`--exec` as words: a file as it is named, or a file with arguments as a shell would read them.

    Raises `ConfigError` where the first is not a file.
    """
    try:
        program, *more = (text,) if _is_file(_at_home(text)) else shlex.split(text) or [""]
    except ValueError as error:
        raise ConfigError(Problem(what=f"--exec {text}: {error}")) from error
    words = _at_home(program), *more
    if not _is_file(words[0]):
        hint = "a Python program of this computer, with its arguments in the same quotes"
        raise ConfigError(Problem(what=f"--exec {shortened(text, SHOWN)}: no such file on this computer", hint=hint))
    return words


def _at_home(name: str) -> str:
    """With a `~` that no shell has expanded, because it is in quotes or behind `=`."""
    return str(expanded(name)) if name.startswith("~") else name


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # no name that a file can have, or a directory that we may not look into
        return False


def connect(session: Session, wishes: Wishes, local: Local, show: Show) -> JobResult:
    """Hold the tunnel until Ctrl-C, or until the one program ends, whose exit code is the result's.

    `show` gets what a person types, as soon as it is true.
    """
    client = find_client(local.python) if local.words else None
    if session.dry_run:
        return planned(session)
    found = server.provide(session, wishes)
    ready = found.ready
    if client is not None:
        check_client(client, ready.spark)
        if note := python_note(client, ready):
            session.on_event(note)
    with tunnel_to(session, found, ready.connect_port, local.port, USUAL_PORT) as tunnel:
        if client is None:
            show(opened(found, tunnel.port))
            return hold(session, found, tunnel.port)
        more = {"SPARK_REMOTE": f"sc://localhost:{tunnel.port}", "SPARK_CONNECT_AUTHENTICATE_TOKEN": ready.token}
        code = own_python.run([client.path, *local.words], more, stdout=local.stdout)
    return JobResult(task="connect", program_code=code, document=document(found, None))


def planned(session: Session, task: str = "connect") -> JobResult:
    """A dry run: whether a server would be started."""
    life = server.look(session)
    changes = ("it runs",) if life.is_there else ("would be started on " + session.config.manager.name,)
    state = "unchanged" if life.is_there else "planned"
    return JobResult(task=task, outcomes=(Outcome(subject=TITLE, state=state, changes=changes),))


def end(session: Session) -> JobResult:
    """`--stop`: the server, now."""
    if session.dry_run:
        is_there = server.look(session).is_there
        outcome = Outcome(subject=TITLE, state="planned" if is_there else "unchanged", changes=("end it",) * is_there)
    else:
        state = "changed" if server.stop(session) else "unchanged"
        outcome = Outcome(subject=TITLE, state=state, changes=("ended",) if state == "changed" else ("none runs",))
    return JobResult(task="connect", outcomes=(outcome,))


def find_client(named: str | None) -> LocalPython:
    """The Python of this computer that has a client of Spark. Raises `ConfigError` where none has."""
    seen = []
    for path in own_python.pythons(named):
        found = parse_local(path, own_python.answer(path, FIND_CLIENT))
        if found is None:
            continue
        if found.package:
            return found
        seen.append(found)
    if not seen:
        raise ConfigError(Problem(what="no Python of this computer answers", hint="name one with `--python`"))
    what = f"{', '.join(one.path for one in seen)}: no client of Spark is installed"
    raise ConfigError(Problem(what=what, hint=f"{install_line(SPARK_VERSION)}, or name another Python with `--python`"))


def tunnel_to(session: Session, found: server.Server, there: int, port: int, usual: int) -> Tunnel:
    """To a port of the server's container, at `port`; at the usual one where that is free and none was asked for."""
    return usual_or_any(found.way(session, there), port, usual, failed=Complaints(session).tell)


def opened(found: server.Server, port: int) -> JobResult:
    """What is said when the tunnel is open."""
    text = "\n".join(lines_to_paste(port, found.ready))
    return JobResult(task="connect", text=text, document=document(found, port))


def document(found: server.Server, port: int | None) -> dict[str, object]:
    """The token is in it where a person is to have it: this is what `connect` prints."""
    ready: Ready = found.ready
    return {
        "schema": 1,
        "remote": None if port is None else address(port, ready.token),
        "port": port,
        "spark": ready.spark,
        "python": ready.python,
        "install": install_line(ready.spark),
        "application": ready.app_id,
        "started": found.was_started,
        "idle_s": ready.idle_s,
    }


# --- holding ---


class Complaints:
    """Connections that did not come about, said once in a while."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._said: dict[str, float] = {}

    def tell(self, problem: Problem) -> None:
        """From a thread of the tunnel."""
        now = time.monotonic()
        if now - self._said.get(problem.what, -SAY_S) >= SAY_S:
            self._said[problem.what] = now
            self._session.on_event(f"a connection came to nothing: {problem.what}")


def hold(session: Session, found: server.Server, port: int, task: str = "connect") -> JobResult:
    """Says what is open, and waits until the server has ended; Ctrl-C is the usual end.

    Raises `UnreachableError` when the manager stays away.
    """
    said = f"the {TITLE} ends after {about(found.ready.idle_s)} without use"
    session.on_event(f"localhost:{port} is open until Ctrl-C; {said}")
    patience = Patience(session, PATIENCE_S)
    while True:
        try:
            life = server.look(session)
            patience.renew()
        except ClusterError as error:
            if patience.is_over():
                raise UnreachableError(*error.problems) from error
            drop_if_dead(session)
        else:
            if life.container_id != found.container_id or not life.is_there:
                return _ended(session, found, life, task)
        time.sleep(LOOK_S)


def drop_if_dead(session: Session) -> None:
    """So that whoever comes next dials: after a sleep the old connection waits for ever. One that answers stays."""
    manager = session.clients.manager
    try:
        manager.run(["true"], timeout_s=PROBE_S, check=False)
    except ClusterError:
        in_time(manager.close)


def _ended(session: Session, found: server.Server, life: Life, task: str) -> JobResult:
    """What is said of a server that has ended while we held the tunnel."""
    if life.container_id == found.container_id and life.is_idle_end:
        session.on_event(f"the {TITLE} has ended: nobody used it for {about(found.ready.idle_s)}")
        return JobResult(task=task, code=ExitCode.OK)
    if not life.state or life.container_id != found.container_id:
        why = "it was ended from outside: `invoke connect --stop`, `invoke kill`, or `invoke down`"
    else:
        why = life.error or f"its task is {life.state}"
    hint = f"`invoke {task}` starts another one; what sessions held in memory is gone"
    problem = Problem(node=session.config.manager.name, what=f"the {TITLE} has ended: {why}", hint=hint)
    return JobResult(task=task, problems=(problem,))

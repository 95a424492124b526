"""invoke sql: statements on the Connect server, at a terminal or from a text."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal

from sparkqfs.clients import pipe, terminal
from sparkqfs.clients.broken import close
from sparkqfs.errors import ClusterError, ExitCode, Problem, UnreachableError
from sparkqfs.jobs.programs import server
from sparkqfs.jobs.programs.follow import OnOutput
from sparkqfs.jobs.session import Session
from sparkqfs.plan.programs.server import Wishes
from sparkqfs.plan.steps import JobResult

PROGRAM = "/opt/sparkqfs/bin/sql"
WITH_ENV = "/opt/sparkqfs/bin/with-env"
ALONE = 125
"""The program's exit code when it sees that nobody waits."""


@dataclass(frozen=True, slots=True)
class Text:
    """Statements, and what errors call the text that they are in; nothing for a single line."""

    statements: str
    name: str = ""


def shell(session: Session, output: OnOutput) -> JobResult:
    """At a terminal, until Ctrl-D. Raises `UnreachableError` when the connection breaks."""
    found = server.provide(session, Wishes())
    rows, columns = terminal.size()
    inside = [WITH_ENV, "/opt/sparkqfs/bin/terminal", str(rows), str(columns), PROGRAM, "shell"]
    argv = ["docker", "exec", "-i", "-e", "TERM=xterm", found.container_id, *inside]
    channel = session.clients.manager.exec_channel(argv)
    try:
        code = terminal.talk(channel, output)
    finally:
        close(channel)
    if code is None:
        raise UnreachableError(_broken(session))
    return JobResult(task="sql", program_code=code)


def run(session: Session, text: Text, form: str, output: OnOutput, timeout_s: float) -> JobResult:
    """Statements of a text; its exit code is 1 when one fails, and those behind it are not run.

    `form` is `table` or `csv`, which go to `output`, or `records`, which become the document.
    """
    found = server.provide(session, Wishes())
    argv = ["docker", "exec", "-i", found.container_id, WITH_ENV, PROGRAM, "run", form]
    question = json.dumps({"text": text.statements, "name": text.name}).encode() + b"\n"
    results = _Results()
    taken = results.take if form == "records" else output

    def take(stream: str, data: bytes) -> None:
        if stream == "stderr":
            results.errors += data
        else:
            taken(stream, data)

    code = pipe.pass_on(session.clients.manager, argv, question, take, timeout_s=timeout_s)
    if code is None or code == ALONE:
        raise UnreachableError(_broken(session))
    document: dict[str, object] = {"schema": 1, "results": results.done()} if form == "records" else {}
    if not code:
        return JobResult(task="sql", document=document)
    said = results.errors.decode(errors="replace").strip()
    if code != 1:
        raise ClusterError(Problem(node=session.config.manager.name, what=said or f"it ended with exit code {code}"))
    return JobResult(task="sql", document=document, problems=(Problem(what=said or "no words", code=ExitCode.FAILED),))


def _broken(session: Session) -> Problem:
    what = "the connection broke; what ran is ended"
    return Problem(node=session.config.manager.name, what=what, code=ExitCode.UNREACHABLE)


def _number(text: str) -> float | Decimal:
    """With all its digits, which a float has not; what has an exponent was one."""
    return float(text) if "e" in text.lower() else Decimal(text)


@dataclass(slots=True)
class _Results:
    """Records as they come, put together."""

    errors: bytes = b""
    _rest: bytes = b""
    _found: list[dict[str, object]] = field(default_factory=list)
    _rows: list[object] = field(default_factory=list)

    def take(self, _stream: str, data: bytes) -> None:
        """Whole lines count; a line that is not whole yet waits."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            record = json.loads(line, parse_float=_number)
            if "columns" in record:
                self._rows = []
                self._found.append({"columns": record["columns"], "rows": self._rows})
            else:
                self._rows.append(record["row"])

    def done(self) -> list[dict[str, object]]:
        """One for each statement that ran."""
        return self._found

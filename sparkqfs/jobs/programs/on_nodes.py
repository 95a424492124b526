"""invoke exec: one command on one machine or on all of them, over the connections that there are."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Sequence

from sparkqfs.clients.ssh import TooLongError
from sparkqfs.errors import ClusterError, DeadlineError, ExitCode, Problem, UnreachableError
from sparkqfs.jobs.session import Session
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.streams import CannotWrite, NobodyReads

KEPT_BYTES = 1 << 20
"""Of each output of a machine, the end of it, for the document."""
LINE_BYTES = 1 << 16
"""A line that is longer is passed on in pieces."""
SCRIPT = '"$@"; exit $?'
"""A shell waits for the command: sshd says nothing of one that a signal ended, a shell says 128 + its number."""
Say = Callable[[str, str, str], None]
"""(node, `stdout` or `stderr`, a line)."""


class _Stream:
    """One output of a command: passed on in whole lines, or the end of it kept."""

    def __init__(self, say: Callable[[str], None] | None) -> None:
        self._say = say
        self._rest = b""
        self.omitted = 0
        """Bytes that are not kept."""

    def take(self, data: bytes) -> None:
        """What has come."""
        self._rest += data
        if self._say is None:
            too_many = max(0, len(self._rest) - KEPT_BYTES)
            self.omitted += too_many
            self._rest = self._rest[too_many:]
            return
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            self._say(line.decode(errors="replace"))
        while len(self._rest) > LINE_BYTES:
            self._say(self._rest[:LINE_BYTES].decode(errors="replace"))
            self._rest = self._rest[LINE_BYTES:]

    def end(self) -> str:
        """What was kept; where nothing is, a last line without its end is passed on."""
        if self._say is None:
            return self._rest.decode(errors="replace")
        if self._rest:
            self._say(self._rest.decode(errors="replace"))
            self._rest = b""
        return ""


class _Writing:
    """The outputs of one machine's command."""

    def __init__(self, node: str, say: Say | None, lock: threading.Lock) -> None:
        def line_of(stream: str) -> Callable[[str], None] | None:
            if say is None:
                return None

            def line(text: str) -> None:
                with lock:
                    say(node, stream, text)

            return line

        self.node = node
        self._streams = {stream: _Stream(line_of(stream)) for stream in ("stdout", "stderr")}

    def take(self, stream: str, data: bytes) -> None:
        """As `NodeClient.run` gives it."""
        self._streams[stream].take(data)

    def entry(self, code: int | None) -> dict[str, object]:
        """Of the document; the texts are empty where they were passed on."""
        texts = {stream: one.end() for stream, one in self._streams.items()}
        omitted = sum(one.omitted for one in self._streams.values())
        return {"node": self.node, "exit_code": code, **texts, "omitted_bytes": omitted}


def command_of(words: Sequence[str]) -> list[str]:
    """The command line on a machine. A single word with a space in it is a line for a shell, as ssh takes it."""
    is_line = len(words) == 1 and any(letter.isspace() for letter in words[0].strip())
    return ["sh", "-c", SCRIPT, "sh", *(["sh", "-c", words[0]] if is_line else words)]


def _without_command(node: str, error: ClusterError, timeout_s: float) -> ClusterError:
    """The error of a command that took too long without its words: they are the user's own."""
    if not isinstance(error, TooLongError):
        return error
    then = ", and was ended" if error.is_gone else "; whether it goes on there is not known"
    what = f"the command did not end within {timeout_s:g} s{then}"
    return DeadlineError(Problem(node=node, what=what, code=ExitCode.TIMEOUT))


def run(
    session: Session, words: Sequence[str], names: tuple[str, ...], *, say: Say | None, timeout_s: float
) -> JobResult:
    """Run a command as root on each of these machines, `ssh.parallel` at a time.

    `say` gets its lines as they come, one at a time; without it they are kept for the document. The exit code is the
    highest of the commands', or that of a machine on which it did not come to its end. A dry run asks no machine.
    """
    if session.dry_run:
        line = shlex.join(words)
        return JobResult(
            task="exec", outcomes=tuple(Outcome(subject=name, state="planned", changes=(line,)) for name in names)
        )
    lock = threading.Lock()
    writing = {name: _Writing(name, say, lock) for name in names}
    argv = command_of(words)

    def one(name: str) -> int:
        client = session.clients.node(name)
        try:
            output = client.run(argv, timeout_s=timeout_s, check=False, output=writing[name].take, must_end=True)
        except ClusterError as error:
            raise _without_command(name, error, timeout_s) from error
        if (code := output.exit_code) < 0:
            what = "the connection broke; whether the command goes on there is not known"
            raise UnreachableError(Problem(node=name, what=what, code=ExitCode.UNREACHABLE))
        return code

    try:
        ended = session.clients.on(names, one)
        entries = [writing[name].entry(ended.values.get(name)) for name in names]
    except (NobodyReads, CannotWrite):
        session.clients.cancel()  # the commands of the other machines would go on
        raise
    wrong = [
        Problem(node=name, what=f"the command ended with exit code {code}")
        for name, code in ended.values.items()
        if code
    ]
    return JobResult(
        task="exec",
        problems=(*ended.problems, *wrong),
        program_code=None if ended.failures else max(ended.values.values()),
        document={"schema": 1, "nodes": entries},
    )

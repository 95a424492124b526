"""Programs on a machine, whatever its login shell is and does: they begin after a mark of ours, in a shell of ours."""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import threading
import time
import weakref
from collections.abc import Iterator, Sequence

import paramiko

from sparkqfs.clients.broken import BROKEN, close
from sparkqfs.clients.wait import in_time
from sparkqfs.errors import ClusterError, Problem

LAUNCHER = (
    'read -r a b c d g r </proc/$$/stat; echo "$0-begins-$1" >&2; echo "$0-begins-$1 ${g:-$$}"; '
    'l=; until [ "$l" = "$1" ]; do IFS= read -r l || exit 3; done; '
    'n=$(printf "\\n."); c=; IFS= read -r l || exit 3; '
    'until [ "$l" = "$1" ]; do c="$c$l${n%.}"; IFS= read -r l || exit 3; done; eval "$c"'
)
"""For `sh -c`, with a token. It says its mark on both outputs and its process group, skips its input up to the token,
and runs what comes up to the token's second line: a text of which only a part arrives is not run.

The login shell reads it as one word in single quotes, so it has no single quote, no line end, no `!` (csh) and neither
`\\'` nor `\\\\` (fish). The mark is not in it as it is printed: a shell that prints its command prints no mark.
"""
FORMS = ("exec /bin/sh -c '{}' sparkqfs {}", "sh -c '{}' sparkqfs {}")
"""The first leaves nothing of the login shell behind, what it does at its end included; a restricted shell takes the
second only."""
BESIDE = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for after the login's own PATH."""
KEPT = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSH_CONNECTION")
_KEPT = "".join(f' ${{{name}:+"{name}=${name}"}}' for name in KEPT)
CLEAN = (
    f'cd /; umask 022; PATH="${{PATH:+$PATH:}}{BESIDE}"; exec env -i PATH="$PATH" HOME="$HOME" USER="$USER"'
    f' LOGNAME="$LOGNAME" SHELL=/bin/sh LC_ALL=C{_KEPT} '
)
"""What stands before a program: nothing that start-up files have set reaches it, but PATH and what is KEPT."""
NUDGES_S = (0.7, 1.4, 3.0, 6.0, 12.0, 24.0)
"""After so long without a mark a line is sent: start-up files may ask for one, or have replaced the shell by another
one, which reads its commands from there. The launcher skips such lines."""
AGAIN_S = 5.0
"""A login shell that ends sooner is tried with the other form, too."""
ERRORS_S = 1.0
"""The mark on standard error may come after that on standard output, or not at all where errors are thrown away."""
ASKING_S = 5.0
SHOWN = 300
"""Characters of what a login shell printed that go into a message."""
SPOKEN = (("account is currently not available", "nologin"), ("allows sftp connections only", "internal-sftp"))
"""What programs say that take the place of a shell, and their names."""


class LoginShell:
    """How programs are started over the connections to one machine. For many threads."""

    def __init__(self, node: str, limit_s: float) -> None:
        """`limit_s` is how long the start-up files may take."""
        self._node = node
        self._limit_s = limit_s
        self._form: str | None = None
        self._groups: weakref.WeakKeyDictionary[paramiko.Channel, int] = weakref.WeakKeyDictionary()
        self.start_s = 0.0
        """What the last start took."""

    def start(
        self,
        transport: paramiko.Transport,
        argv: Sequence[str],
        *,
        window_bytes: int | None = None,
        limit_s: float | None = None,
    ) -> paramiko.Channel:
        """A channel on which `argv` runs as the login user; what comes on it is from there, errors too.

        Raises `ClusterError` where the login shell does not get so far, else what a broken connection raises.
        """
        limit = self._limit_s if limit_s is None else limit_s
        forms = FORMS if self._form is None else (self._form,)
        first: _NotBegun | None = None
        for form in forms:
            began = time.monotonic()
            channel = transport.open_session(window_size=window_bytes, timeout=limit)
            try:
                self._groups[channel] = _Beginning(channel, form).wait(argv, limit)
            except _NotBegun as failed:
                close(channel)
                first = first or failed
                if failed.is_over and time.monotonic() - began < AGAIN_S:
                    continue
                break
            except BaseException:
                in_time(channel.close)
                raise
            self._form, self.start_s = form, time.monotonic() - began
            return channel
        assert first is not None
        raise ClusterError(self._problem(transport, first)) from first

    def group(self, channel: paramiko.Channel) -> int:
        """The process group of a program; 0 where it is not known."""
        return self._groups.get(channel, 0)

    def _problem(self, transport: paramiko.Transport, failed: _NotBegun) -> Problem:
        user = transport.get_username() or "the login user"
        shell = next((name for words, name in SPOKEN if words in failed.text), None) or _asked(transport, user)
        said = f"it printed “{failed.text}”" if failed.text else "it printed nothing"
        what = f"the login shell of {user} ({shell or 'its name is not known'}) {failed.why}; {said}"
        hint = f"`ssh {user}@… true` must print nothing and end with 0: look at the start-up files of this shell"
        if failed.is_over:
            hint = f"set ssh.user or the node's user to one whose shell runs commands, or: chsh -s /bin/bash {user}"
        return Problem(node=self._node, what=what, hint=hint)


class _NotBegun(Exception):
    """The launcher did not run, or not so that we can talk to it."""

    def __init__(self, why: str, printed: bytes, *, is_over: bool = False) -> None:
        super().__init__(why)
        self.why, self.is_over = why, is_over
        """Whether the login shell has ended."""
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\uffff\n]", "", printed.decode(errors="replace")).split("\n")
        self.text = "; ".join(line.strip() for line in lines if line.strip())[-SHOWN:]


class _Beginning:
    """One program that is about to begin."""

    def __init__(self, channel: paramiko.Channel, form: str) -> None:
        self._channel = channel
        token = secrets.token_hex(8)
        self._command = form.format(LAUNCHER, token)
        self._token = token.encode()
        self._mark = b"sparkqfs-begins-" + self._token
        self._numbered = re.compile(re.escape(self._mark) + rb" (\d+)\n")
        self._out = self._err = b""

    def wait(self, argv: Sequence[str], limit_s: float) -> int:
        """Starts it, waits for the mark and hands over the program; its process group."""
        channel = self._channel
        deadline = time.monotonic() + limit_s
        execute(channel, self._command, limit_s)
        nudges = iter([time.monotonic() + after for after in NUDGES_S])
        due, line = next(nudges), b"\n"
        while (found := self._numbered.search(self._out)) is None:
            self._check(deadline, limit_s)
            if time.monotonic() > due:
                with contextlib.suppress(*BROKEN):
                    channel.sendall(line)
                due, line = next(nudges, deadline + 1.0), f"{self._command}\n".encode()
            self._take(0.05)
        if self._mark + b"\n" in self._out:
            raise self._failed("sends the errors of programs to the same place as their output")
        late = time.monotonic() + ERRORS_S
        while self._mark + b"\n" not in self._err and time.monotonic() < late:
            self._take(0.01)
        channel.settimeout(limit_s)
        channel.sendall(self._token + b"\n" + f"{CLEAN}{shlex.join(argv)}\n".encode() + self._token + b"\n")
        channel.settimeout(None)
        return int(found[1])

    def _take(self, wait_s: float) -> None:
        """What the login shell has printed; it is thrown away but for its end."""
        channel = self._channel
        channel.settimeout(wait_s)
        with contextlib.suppress(TimeoutError):
            self._out = (self._out + channel.recv(65536))[-65536:]
        while channel.recv_stderr_ready():
            self._err = (self._err + channel.recv_stderr(65536))[-65536:]
        if channel.eof_received:
            time.sleep(wait_s)  # `recv` does not wait any more

    def _check(self, deadline: float, limit_s: float) -> None:
        channel = self._channel
        if self._numbered.search(self._err):
            raise self._failed("sends the output of programs to where errors go")
        if channel.closed or (channel.eof_received and channel.exit_status_ready()):
            self._take(0.0)
            if self._numbered.search(self._out):
                return
            if not channel.exit_status_ready() and not channel.get_transport().is_active():
                raise EOFError("the connection ended")
            code = channel.recv_exit_status() if channel.exit_status_ready() else -1
            raise self._failed(f"ended before our program began (exit code {code})", is_over=True)
        if time.monotonic() > deadline:
            raise self._failed(f"did not get to our program within {limit_s:g} s")

    def _failed(self, why: str, *, is_over: bool = False) -> _NotBegun:
        printed = b"\n".join((self._out, self._err))
        printed = b"\n".join(line for line in printed.split(b"\n") if self._mark not in line)
        return _NotBegun(why, printed, is_over=is_over)


def execute(channel: paramiko.Channel, command: str, timeout_s: float) -> None:
    """Hand a command to the login shell."""
    with closed_after(channel, timeout_s):
        channel.exec_command(command)


@contextlib.contextmanager
def closed_after(channel: paramiko.Channel, timeout_s: float, late: threading.Event | None = None) -> Iterator[None]:
    """Ends what the block waits for: paramiko itself would wait for ever for a machine that does not answer.

    `late` is set then, before the channel is closed.
    """

    def end() -> None:
        if late is not None:
            late.set()
        close(channel)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


# -- which shell it is ------------------------------------------------------------------------------------------------

QUESTION = "echo sparkqfs-shell=$SHELL"
"""Any shell that runs commands answers it; one that has taken its place finds it on its input."""


def _asked(transport: paramiko.Transport, user: str) -> str | None:
    """The login shell by its own answer, or by the list of accounts where files can be read without a shell."""
    with contextlib.suppress(*BROKEN, ValueError), _short_channel(transport) as channel:
        channel.exec_command(QUESTION)
        channel.sendall(f"{QUESTION}\n".encode())
        channel.shutdown_write()
        said = b""
        while len(said) < 65536 and (more := channel.recv(65536)):
            said += more
            if found := re.search(rb"sparkqfs-shell=(/\S+)\s", said):
                return found[1].decode(errors="replace")
    with contextlib.suppress(*BROKEN, ValueError), _short_channel(transport) as channel:
        channel.invoke_subsystem("sftp")
        with paramiko.SFTPClient(channel).open("/etc/passwd") as accounts:
            for line in accounts.read(1 << 20).decode(errors="replace").splitlines():
                if line.startswith(f"{user}:"):
                    return line.rpartition(":")[2]
    return None


@contextlib.contextmanager
def _short_channel(transport: paramiko.Transport) -> Iterator[paramiko.Channel]:
    """Closed after a few seconds, whoever waits for it."""
    channel = transport.open_session(timeout=ASKING_S)
    try:
        with closed_after(channel, ASKING_S):
            yield channel
    finally:
        close(channel)

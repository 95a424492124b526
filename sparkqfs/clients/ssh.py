"""One machine over one Fabric connection: commands, standard input, streams."""

from __future__ import annotations

import contextlib
import shlex
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import paramiko
from fabric import Connection

from sparkqfs.clients.alive import has_answered, is_connected
from sparkqfs.clients.broken import BROKEN, close
from sparkqfs.clients.login import close_connection, open_connection, unreachable, way_to
from sparkqfs.clients.login_shell import LoginShell, closed_after
from sparkqfs.clients.openssh import OpenSsh
from sparkqfs.clients.wait import in_time
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ClusterError, ExitCode, Problem, RefusedError, UnreachableError
from sparkqfs.remote import script
from sparkqfs.shortening import shortened

FORBIDDEN = 1
"""RFC 4254: a channel that is administratively prohibited."""
NOT_FOUND = 127
"""env(1) of a program that is not there."""
STARTS = 3
"""A login shell may take so many times `timeouts.connect` before our program begins."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a command left behind."""

    exit_code: int
    stdout: str
    stderr: str

    def last_lines(self, count: int = 10) -> str:
        """The end of what it said, errors first."""
        text = self.stderr.strip() or self.stdout.strip()
        return "\n".join(text.splitlines()[-count:])


class TooLongError(ClusterError):
    """A command that did not end in time; `is_gone` where it is known that it was ended."""

    def __init__(self, problem: Problem, *, is_gone: bool) -> None:
        super().__init__(problem)
        self.is_gone = is_gone


class NodeClient:
    """One machine. Opens its connection at first use; every command has a deadline.

    Errors are `UnreachableError` (no connection) or `ClusterError` (a command that failed), with the node's name.
    """

    def __init__(
        self,
        config: ClusterConfig,
        node: NodeConfig,
        sudo_password: str | None = None,
        openssh: OpenSsh | None = None,
    ) -> None:
        self.node = node
        self._config = config
        self._openssh = openssh if openssh is not None else OpenSsh(config.timeouts.connect_s)
        self._sudo_password = sudo_password
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._programs_lock = threading.Lock()
        self._readers: list[_Reader] = []
        self._is_ending = False
        self._sudo_asks: bool | None = None
        self._shell = LoginShell(node.name, STARTS * config.timeouts.connect_s)
        self.refusal: Problem | None = None
        """Why nothing more is begun there; what runs goes on."""
        self.on_open: Callable[[], None] | None = None
        """Called once, when a connection was opened, by who opened it."""

    # -- connection -------------------------------------------------------------------------------------------------

    def open(self) -> Connection:
        """The open connection. Raises `UnreachableError` naming the node and the cause, or `RefusedError`."""
        if self.refusal is not None:
            raise RefusedError(self.refusal)
        told: Callable[[], None] | None = None
        with self._lock:
            if self._connection is None or not self._connection.is_connected:
                self._connection = open_connection(self._config, self.node, self._openssh)
                told, self.on_open = self.on_open, None
            connection = self._connection
        if told is not None:
            told()
        return connection

    def check_login(self) -> None:
        """Asks ssh how it would log in, before anything else is done: `ConfigError` for a fault in its files."""
        with contextlib.suppress(UnreachableError):
            way_to(self._config, self.node, self._openssh)

    def _unreachable(self, error: BaseException) -> UnreachableError:
        return unreachable(self._config, self.node, error)

    @property
    def needs_sudo(self) -> bool:
        """True where the login user is not root."""
        return bool(self.open().user != "root")

    def close(self) -> None:
        """Close the connection; safe to call twice. One that is still being opened is left to its time limit."""
        if not self._lock.acquire(timeout=0.5):
            return
        try:
            if self._connection is not None:
                close_connection(self._connection)
                self._connection = None
        finally:
            self._lock.release()

    def end_programs(self) -> None:
        """Kill what is still running there (Ctrl-C), each once. The connection stays, for last words alone."""
        with self._programs_lock:
            self._is_ending = True
            readers = list(self._readers)
        groups = {must: [one.pid for one in readers if one.must_end is must] for must in (False, True)}
        for reader in readers:
            reader.pid = 0
        for must_end, pids in groups.items():
            self._kill(*pids, must_end=must_end)

    def cancel(self) -> None:
        """Kill what is still running there (Ctrl-C), then close."""
        self.end_programs()
        self.close()

    def _kill(self, *pids: int, must_end: bool = False) -> bool:
        """End these process groups over a channel of its own; what else runs on the machine goes on.

        With `must_end` those that SIGTERM does not end in time are killed; True when it is known that all are gone.
        """
        groups = [f"-{pid}" for pid in pids if pid > 0]
        if self._connection is None or not groups:
            return False
        text = END_SCRIPT if must_end else 'kill -s TERM -- "$@"'
        password = self._sudo_password if self._sudo_asks else None
        command = self._as_root(self._connection, ["sh", "-c", text, "sh", *groups], password)
        limit = KILL_S + 2 * self._shell.start_s
        with contextlib.suppress(ClusterError, *BROKEN):
            channel = self._shell.start(self._connection.transport, command, limit_s=limit)
            if password is not None and command[0] == "sudo":
                channel.sendall(password.encode() + b"\n")
            has_ended = channel.status_event.wait(limit)
            is_gone = must_end and has_ended and channel.recv_exit_status() == 0
            close(channel)
            return is_gone
        return False

    # -- channels ---------------------------------------------------------------------------------------------------

    def exec_channel(
        self, argv: Sequence[str], *, window_bytes: int | None = None, is_last_word: bool = False
    ) -> paramiko.Channel:
        """A channel on which `argv` runs as root: nothing of what the login shell prints is on it. For byte streams.

        So many bytes may be on their way to us; paramiko's own number without. Raises `ClusterError` naming the login
        shell that does not get to our program; once programs have been ended here, for all but a last word, with the
        code of Ctrl-C.
        """
        self.check_begins(is_last_word=is_last_word)
        connection = self.open()
        try:
            password = self._password(connection)
            command = self._as_root(connection, argv, password)
            channel = self._shell.start(connection.transport, command, window_bytes=window_bytes)
            if password is not None:
                channel.sendall(password.encode() + b"\n")
        except paramiko.ChannelException as error:
            raise self._no_session() from error
        except BROKEN as error:
            raise self._unreachable(error) from error
        if self._is_ending and not is_last_word:  # it began meanwhile
            raise self._given_up(channel)
        return channel

    def check_begins(self, *, is_last_word: bool = False) -> None:
        """Raises `ClusterError` with the code of Ctrl-C once programs have been ended here, but for a last word."""
        if self._is_ending and not is_last_word:
            raise self._interrupted()

    def _interrupted(self) -> ClusterError:
        return ClusterError(Problem(node=self.node.name, what="interrupted", code=ExitCode.INTERRUPTED))

    def _given_up(self, channel: paramiko.Channel, *, must_end: bool = False) -> ClusterError:
        """Ends what has begun on it, and closes it."""
        self._kill(self._shell.group(channel), must_end=must_end)
        in_time(channel.close)
        return self._interrupted()

    def _no_session(self) -> ClusterError:
        what = "its sshd takes no further session over this connection (MaxSessions)"
        return ClusterError(Problem(node=self.node.name, what=what, hint=SESSIONS_HINT))

    def _as_root(self, connection: Connection, argv: Sequence[str], password: str | None) -> list[str]:
        if connection.user == "root":
            return list(argv)
        return ["sudo", *(("-n",) if password is None else ("-k", "-S")), "-p", "", "--", *argv]

    def _password(self, connection: Connection) -> str | None:
        """What sudo reads from a program's input, where it asks: what it does not read would be read by the program.

        sudo is asked until it works, once: what runs through one that refuses looks like a program that is not there.
        Raises `ClusterError` with its own words where it asks and we have no password, or where it is not there.
        """
        if connection.user == "root":
            return None
        if self._sudo_asks is None:
            self._sudo_asks = self._ask_sudo(connection)
        return self._sudo_password if self._sudo_asks else None

    def _ask_sudo(self, connection: Connection) -> bool:
        """Whether it asks. Every task needs a shell as root: that is what is tried where we have no password."""
        has_password = self._sudo_password is not None
        probe = ["-k", "-n", "true"] if has_password else ["-n", "--", "sh", "-c", ":"]
        channel = self._shell.start(connection.transport, ["sudo", *probe])
        words = b""
        try:
            answered = channel.status_event.wait(self._config.timeouts.connect_s)
            code = channel.recv_exit_status() if answered else None
            if code == 0:
                return False
            if code == NOT_FOUND:
                what = f"{connection.user} is not root there, and sudo is not installed"
                hint = f"as root there: apt-get install sudo && usermod -aG sudo {connection.user}; or log in as root"
                raise ClusterError(Problem(node=self.node.name, what=what, hint=hint))
            if has_password:
                return True
            channel.settimeout(QUIET_S)  # a process that start-up files left behind may hold it open
            with contextlib.suppress(OSError):
                while answered and len(words) < MOST_WORDS and (more := channel.recv_stderr(4096)):
                    words += more  # it comes in pieces
        finally:
            close(channel)
        lines = words.decode(errors="replace").splitlines()
        said = next((line.strip() for line in lines if line.strip()), "sudo does not answer")
        raise ClusterError(Problem(node=self.node.name, what=said, hint=SUDO_HINT))

    def shell_channel(self, rows: int, columns: int, term: str) -> paramiko.Channel:
        """The login user's own shell at a terminal of that size, as `ssh` without a command starts it.

        Raises `ClusterError` where sshd does not give one.
        """
        transport: paramiko.Transport = self.open().transport
        limit = self._config.timeouts.connect_s
        late = threading.Event()
        try:
            channel = transport.open_session(timeout=limit)
            with closed_after(channel, limit, late):
                channel.get_pty(term, columns, rows)
                channel.invoke_shell()
        except paramiko.ChannelException as error:
            raise self._no_session() from error
        except BROKEN as error:
            if not late.is_set() and is_connected(transport):
                what = "its sshd allows this user no terminal (PermitTTY no)"
                raise ClusterError(Problem(node=self.node.name, what=what, hint=TERMINAL_HINT)) from error
            raise self._unreachable(TimeoutError() if late.is_set() else error) from error
        return channel

    def tcp_channel(self, host: str, port: int, timeout_s: float) -> paramiko.Channel:
        """A TCP connection that this machine opens to `host:port`.

        Raises `OSError` when it is refused, or when the connection to the machine itself breaks.
        """
        transport: paramiko.Transport = self.open().transport
        try:
            return transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=timeout_s)
        except (paramiko.SSHException, EOFError) as error:
            said = str(error) or "the connection to the machine broke"
            raise ConnectionError(f"{host}:{port}: {said}") from error

    def forwards_to(self, host: str, port: int, timeout_s: float) -> bool:
        """False when sshd here forbids TCP connections to `host:port`, whether or not anything listens there."""
        try:
            close(self.tcp_channel(host, port, timeout_s))
        except OSError as error:
            return not is_forbidden(error)
        return True

    def count_sessions(self, most: int) -> int:
        """How many sessions the connection may have at once, `most` at most."""
        transport: paramiko.Transport = self.open().transport
        with contextlib.ExitStack() as stack:
            for count in range(most):
                try:
                    stack.callback(close, transport.open_session(timeout=self._config.timeouts.connect_s))
                except BROKEN:
                    return count
        return most

    # -- commands ---------------------------------------------------------------------------------------------------

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | bytes = b"",
        timeout_s: float | None = None,
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        attend: bool = False,
        output: Callable[[str, bytes], None] | None = None,
        must_end: bool = False,
        is_last_word: bool = False,
    ) -> Output:
        """Run `argv` as root, feed it `stdin`, wait for its end.

        With `attend` its standard input stays open until then: its end says that nobody waits any more. `on_line` gets
        each line of standard error as it comes; `output` gets all that it writes, and nothing of that is kept. Raises
        `ClusterError` with the last lines when `check` and the exit code is not 0, `TooLongError` when it takes longer
        than `timeout_s` seconds: it gets SIGTERM then, as at Ctrl-C, and with `must_end` SIGKILL after that.
        """
        limit = timeout_s if timeout_s is not None else self._config.timeouts.command_s
        channel = self.exec_channel(argv, is_last_word=is_last_word)
        reader = _Reader(channel, on_line, output)
        reader.pid, reader.must_end = self._shell.group(channel), must_end
        with self._programs_lock:
            is_late = self._is_ending and not is_last_word
            if not is_late:
                self._readers.append(reader)
        if is_late:  # nothing was fed to it yet
            raise self._given_up(channel, must_end=must_end)
        feeder = threading.Thread(target=_feed, args=(channel, stdin, not attend), daemon=True)
        feeder.start()
        finished = is_gone = False
        try:
            finished = reader.read_to_end(limit)
        except (EOFError, paramiko.SSHException) as error:  # an OSError may be that of whoever takes its output
            raise self._unreachable(error) from error
        finally:
            if not finished:  # the time limit, or Ctrl-C
                is_gone = self._kill(reader.pid, must_end=must_end)
            self._readers.remove(reader)
            if finished:
                close(channel)
            else:
                in_time(channel.close)
        if not finished:
            what = f"`{_shown(argv)}` did not end within {limit:.0f} s"
            problem = Problem(node=self.node.name, what=what, code=ExitCode.TIMEOUT)
            raise TooLongError(problem, is_gone=is_gone)
        ended = Output(reader.exit_code, reader.stdout, reader.stderr)
        if check and ended.exit_code != 0:
            raise self.failure(argv, ended)
        return ended

    def script(self, text: str, *args: str, timeout_s: float | None = None, check: bool = True) -> Output:
        """Run a POSIX shell script given on standard input, as root: one exchange, nothing in argv but `args`."""
        return self.run(["sh", "-s", "--", *args], stdin=whole(text), timeout_s=timeout_s, check=check)

    def failure(self, argv: Sequence[str], output: Output) -> ClusterError:
        """The error for a command that ended badly."""
        hint = None
        if "sudo:" in output.stderr:
            hint = SUDO_HINT
        what = output.last_lines() or "no output"
        return ClusterError(
            Problem(node=self.node.name, what=f"{what} (`{_shown(argv)}`, exit {output.exit_code})", hint=hint)
        )


KILL_S = 4.0
END_SCRIPT = script("end_groups")
"""Ends process groups, its words; its exit code is 0 when all are gone."""
QUIET_S = 1.0
MOST_WORDS = 1 << 16
SESSIONS_HINT = "MaxSessions 10 in /etc/ssh/sshd_config, then systemctl reload ssh"
TERMINAL_HINT = "PermitTTY yes in /etc/ssh/sshd_config, then systemctl reload ssh; `invoke exec` needs no terminal"
FORWARDING_HINT = "AllowTcpForwarding yes in /etc/ssh/sshd_config (and no PermitOpen), then systemctl reload ssh"
SUDO_HINT = "`--sudo-password-file -` asks you for the password; or let sudo ask this user for none (docs/ssh.md)"


def is_forbidden(error: BaseException) -> bool:
    """True for a TCP channel that sshd's own settings forbid."""
    cause = error.__cause__
    return isinstance(cause, paramiko.ChannelException) and cause.code == FORBIDDEN


def whole(script: str) -> str:
    """The script as one compound command: a shell that gets only a part of it, because we died, does nothing at all."""
    return f"{{\n{script}\n}}\n"


def _shown(argv: Sequence[str]) -> str:
    if list(argv[:2]) == ["sh", "-c"]:  # a script of ours: its text says nothing to the user
        argv = ["sh", "-c", "…", *argv[4:]]
    text = shlex.join(argv)
    return shortened(text, 120)


def _feed(channel: paramiko.Channel, stdin: str | bytes, close: bool) -> None:
    with contextlib.suppress(*BROKEN):
        payload = stdin.encode() if isinstance(stdin, str) else stdin
        if payload:
            channel.sendall(payload)
        if close:
            channel.shutdown_write()


class _Reader:
    """Reads both streams of a channel to the end, within a deadline."""

    def __init__(
        self,
        channel: paramiko.Channel,
        on_line: Callable[[str], None] | None,
        output: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._channel = channel
        self._on_line = on_line
        self._output = output
        self._out: list[bytes] = []
        self._err = b""
        self._err_kept: list[str] = []
        self.pid = 0
        """The process group of the program; 0 where it is not known."""
        self.must_end = False
        self.exit_code = -1

    @property
    def stdout(self) -> str:
        return b"".join(self._out).decode(errors="replace")

    @property
    def stderr(self) -> str:
        return "\n".join(self._err_kept)

    def _take_error_bytes(self, more: bytes) -> None:
        self._err += more
        *lines, self._err = self._err.split(b"\n")
        for line in lines:
            self._take_error_line(line)

    def _take_error_line(self, line: bytes) -> None:
        text = line.decode(errors="replace")
        self._err_kept.append(text)
        if self._on_line is not None:
            self._on_line(text)

    def _take(self, stream: str, data: bytes) -> None:
        if self._output is not None:
            self._output(stream, data)
        elif stream == "stdout":
            self._out.append(data)
        else:
            self._take_error_bytes(data)

    def _drain(self) -> bool:
        """Take a piece of what is there; True when there was something."""
        found = False
        if self._channel.recv_ready():
            self._take("stdout", self._channel.recv(65536))
            found = True
        if self._channel.recv_stderr_ready():
            self._take("stderr", self._channel.recv_stderr(65536))
            found = True
        return found

    def _is_all(self, quiet_since: float) -> bool:
        """Whether a program that has ended has said all, although its output is still open: a process that start-up
        files left behind may hold it. sshd answers after what it has read from there; twice, as it may be reading.
        """
        if time.monotonic() - quiet_since < QUIET_S:
            return False
        return all(self._has_answered() and not self._drain() for _ in range(2))

    def _has_answered(self) -> bool:
        """Whether the machine answers now."""
        return has_answered(self._channel.get_transport(), QUIET_S)

    def read_to_end(self, timeout_s: float) -> bool:
        """False when the deadline passed first."""
        quiet_since = time.monotonic()
        deadline = quiet_since + timeout_s
        channel = self._channel
        while True:
            ended = (channel.exit_status_ready() and channel.eof_received) or channel.closed
            if self._drain():
                quiet_since = time.monotonic()
                if quiet_since > deadline and not ended:  # one that never stops writing
                    return False
                continue
            if ended or (channel.exit_status_ready() and self._is_all(quiet_since)):
                break
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        if self._err:
            self._take_error_line(self._err)
        self.exit_code = channel.recv_exit_status() if channel.exit_status_ready() else -1
        return True

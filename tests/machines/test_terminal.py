"""What goes over SSH to users' programs: the terminal, and scripts as the service user; a real server, a real pty."""

from __future__ import annotations

import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path, PurePosixPath

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import OwnerConfig
from sparkqfs.errors import ClusterError
from sparkqfs.jobs.programs.drivers import in_spark_directory
from sparkqfs.jobs.session import Session
from tests.builders.clusters import a_node_config
from tests.doubles.servers import Sshd, sshd
from tests.paths import PROGRAMS, ROOT

TALK = """\
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.doubles.servers import Sshd
from sparkqfs.clients import alive, terminal
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.report.reporter import Reporter
{first}
config = Sshd(port={port}, key=Path({key!r}), host_key="").cluster(Path({known!r}))
rows, columns = terminal.size()
argv = [sys.executable, "-I", {program!r}, str(rows), str(columns), "sh"]
channel = NodeClient(config, config.nodes[0]).exec_channel(argv)
code = terminal.talk(channel, Reporter().passed_on)
sys.exit(77 if code is None else code)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


class Window:
    """A terminal window of the user's with `talk` in it."""

    def __init__(self, server: Sshd, folder: Path, first: str = "") -> None:
        self.master, slave = pty.openpty()
        self.resize(24, 80)
        script = TALK.format(
            root=str(ROOT),
            first=first,
            port=server.port,
            key=str(server.key),
            known=str(folder / "known_hosts"),
            program=str(PROGRAMS / "terminal"),
        )
        env = {key: value for key, value in os.environ.items() if key != "SSH_AUTH_SOCK"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
        )
        self.before = termios.tcgetattr(slave)
        self.slave = slave

    def resize(self, rows: int, columns: int) -> None:
        ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, wanted: str) -> None:
        found, end = b"", time.monotonic() + 30
        while wanted.encode() not in found:
            assert time.monotonic() < end, found
            if select.select([self.master], [], [], 0.2)[0]:
                found += os.read(self.master, 4096)


def test_keys_the_windows_size_and_the_exit_code_go_through(server: Sshd, tmp_path: Path) -> None:
    window = Window(server, tmp_path)
    try:
        window.until("# ")
        window.type("stty size\r")
        window.until("24 80")
        window.resize(50, 132)
        window.process.send_signal(28)  # SIGWINCH: this process is not the window's
        window.type("until [ \"$(stty size)\" = '50 132' ]; do sleep 0.1; done; echo wide$((1+1))\r")
        window.until("wide2")
        window.type("echo begun$((1+1)); sleep 60; echo over$((1+1))\r")
        window.until("begun2")
        window.type("\x03")
        window.type("echo next$((1+1))\r")
        window.until("next2")
        window.type("exit 6\r")
        assert window.process.wait(30) == 6
        assert termios.tcgetattr(window.slave) == window.before
    finally:
        window.process.kill()
        window.process.wait()
        os.close(window.master)
        os.close(window.slave)


def test_a_connection_that_breaks_is_not_an_exit_code(server: Sshd, tmp_path: Path) -> None:
    window = Window(server, tmp_path)
    try:
        window.until("# ")
        window.type("kill -9 $(cut -d ' ' -f 4 /proc/$PPID/stat)\r")
        assert window.process.wait(30) == 77
        assert termios.tcgetattr(window.slave) == window.before
    finally:
        window.process.kill()
        window.process.wait()
        os.close(window.master)
        os.close(window.slave)


def state_of(pid: str) -> str:
    """`T` of a process that is stopped."""
    text = Path(f"/proc/{pid.strip()}/stat").read_text() if pid.strip() else ")  "
    return text.rpartition(")")[2].split(" ")[1]


def test_a_machine_that_says_nothing_any_more_ends_it(server: Sshd, tmp_path: Path) -> None:
    window = Window(server, tmp_path, "alive.ASK_S = alive.SILENT_S = 1.0")
    session = tmp_path / "session"
    try:
        window.until("# ")
        window.type("sleep 4; echo late$((1+1))\r")  # it answers meanwhile
        window.until("late2")
        window.type(f"cut -d ' ' -f 4 /proc/$PPID/stat >{session}; kill -STOP $(cat {session})\r")
        end = time.monotonic() + 30
        while not (session.exists() and state_of(session.read_text()) == "T"):
            assert time.monotonic() < end
            time.sleep(0.05)
        window.type("x" * 100 + "\x03")
        assert window.process.wait(30) == 77
        assert termios.tcgetattr(window.slave) == window.before
    finally:
        window.process.kill()
        window.process.wait()
        if session.exists():
            os.kill(int(session.read_text()), signal.SIGCONT)
        os.close(window.master)
        os.close(window.slave)


ECHO = """
import os, sys, tty
tty.setraw(0)
os.write(1, b"ready")
left = int(sys.argv[1])
while left:
    data = os.read(0, 100)
    os.write(1, data)
    left -= len(data)
"""


@contextmanager
def without_hangup() -> Iterator[None]:
    """What starts in here ignores SIGHUP, as everything below `nohup` does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def paste(size: int, *program: str) -> tuple[subprocess.Popen[bytes], bytes]:
    """`terminal` with a program in it, and what it said within 20 s of so many bytes pasted at once."""
    argv = [sys.executable, "-I", str(PROGRAMS / "terminal"), "24", "80", *program]
    with without_hangup():
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    said, end = b"", time.monotonic() + 20
    while b"ready" not in said:
        said += os.read(process.stdout.fileno(), 65536)
    said = said.partition(b"ready")[2]
    thread = threading.Thread(target=process.stdin.write, args=(b"d" + struct.pack(">I", size) + b"x" * size,))
    thread.start()
    while len(said) < size and time.monotonic() < end:
        if select.select([process.stdout], [], [], 0.2)[0]:
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                break
            said += data
        elif "sleep" in program[-1]:
            break
    thread.join(30)
    return process, said


def test_a_paste_that_is_larger_than_the_terminals_memory_goes_through() -> None:
    process, said = paste(200_000, sys.executable, "-c", ECHO, "200000")
    assert said == b"x" * 200_000
    assert process.wait(30) == 0


def test_the_end_of_the_connection_is_noticed_while_a_paste_waits() -> None:
    process, _ = paste(200_000, "sh", "-c", "echo ready; sleep 60")
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 128 + 1


def test_a_program_has_the_default_signals_whatever_started_it() -> None:
    process, _ = paste(1, "sh", "-c", "echo ready; grep -q '^SigIgn:[[:space:]]*0*$' /proc/self/status")
    assert process.wait(30) == 0


def test_scripts_run_as_the_service_user_where_others_may_not_even_look(server: Sshd, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "data" / "spark").mkdir(parents=True)
    closed.chmod(0o700)
    os.chown(closed / "data" / "spark", 6700, 6701)
    node = a_node_config("node1", address="127.0.0.1", port=server.port, data_dirs=(PurePosixPath(closed / "data"),))
    config = server.cluster(tmp_path / "known_hosts", nodes=(node,), owner=OwnerConfig(uid=6700, gid=6701))
    clients = Clients(config)
    try:
        session = Session(config, clients, lambda _text: None)
        words = ('$1; echo made by "$(id -u):$(id -G)" > file; cat - file', "echo two words")
        found = in_spark_directory(session, "node1", *words, stdin=b"input\n")
        assert found.stdout == "two words\ninput\nmade by 6700:6701\n"
        assert (closed / "data" / "spark" / "file").stat().st_uid == 6700
        (closed / "data" / "spark" / "link").symlink_to("/etc/shadow")
        with pytest.raises(ClusterError, match="Permission denied"):
            in_spark_directory(session, "node1", "cat link")
    finally:
        clients.close()

"""The relay between a machine's `docker exec` and a port on the container's loopback, as a process."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.servers import closed_port
from tests.paths import PROGRAMS

RELAY = str(PROGRAMS / "relay")


def shout(connection: socket.socket) -> None:
    """Answers each line in capitals; at the end of the question says goodbye."""
    with connection, connection.makefile("rwb") as lines:
        for line in lines:
            lines.write(line.upper())
            lines.flush()
        lines.write(b"goodbye\n")


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=shout, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def relay(port: object, folder: Path) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "SPARKQFS_RUN_DIR": str(folder)}
    pipe = subprocess.PIPE
    return subprocess.Popen([RELAY, str(port)], env=environ, stdin=pipe, stdout=pipe, stderr=pipe)


def test_bytes_go_both_ways_and_the_end_of_one_way_does_not_end_the_other(port: int, tmp_path: Path) -> None:
    process = relay(port, tmp_path)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"a question\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"A QUESTION\n"
    process.stdin.close()
    assert process.stdout.read() == b"goodbye\n"
    assert process.wait(30) == 0


def test_more_than_any_buffer_holds_comes_through_whole(port: int, tmp_path: Path) -> None:
    text = b"".join(b"%07d\n" % number for number in range(200_000))
    done = subprocess.run(
        [RELAY, str(port)], input=text, capture_output=True, timeout=30, env={"SPARKQFS_RUN_DIR": str(tmp_path)}
    )
    assert done.stdout == text.upper() + b"goodbye\n"


def test_a_connection_notes_that_the_service_is_used_and_a_silent_one_does_not(port: int, tmp_path: Path) -> None:
    process = relay(port, tmp_path)
    assert process.stdin is not None and process.stdout is not None
    time.sleep(0.2)
    assert not (tmp_path / "used").exists()
    process.stdin.write(b"x\n")
    process.stdin.flush()
    process.stdout.readline()
    assert abs((tmp_path / "used").stat().st_mtime - time.time()) < 5
    process.stdin.close()
    process.wait(30)


def test_where_nobody_listens_it_says_which_port(tmp_path: Path) -> None:
    port = closed_port()
    done = subprocess.run([RELAY, str(port)], input=b"", capture_output=True, text=False, timeout=30)
    assert done.returncode == 111
    assert done.stderr.decode() == f"relay: port {port} of this container: Connection refused\n"


@pytest.mark.parametrize("words", [[], ["x"], ["0"], ["65536"], ["1", "2"]])
def test_a_wrong_command_line(words: list[str]) -> None:
    done = subprocess.run([RELAY, *words], capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (64, b"usage: relay PORT\n")

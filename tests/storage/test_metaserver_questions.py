"""How long our reader waits for a metaserver, which here is a server of ours that is silent, slow or closes early."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.storage.qfs_reader import Driver

LIMIT_S = 3.0
SLACK_S = 1.5
"""For a busy machine; a second wait would take three more."""
ANSWER = b"OK\r\nCseq: %d\r\nStatus: 0\r\nChunk-handle: 7\r\nChunk-version: 1\r\nReplicas: 127.0.0.2 1\r\n\r\n"


class Server:
    """A metaserver; `behave` gets the connection and the number of the question on it, and goes on while it is true."""

    def __init__(self, behave: Callable[[socket.socket, int], bool]) -> None:
        self.behave = behave
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.connections = 0
        self.open: list[socket.socket] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        number = 0
        got = b""
        while piece := connection.recv(4096):
            got += piece
            if got.endswith(b"\r\n\r\n"):
                number += 1
                got = b""
                if not self.behave(connection, number):
                    break
        connection.close()
        self.open.remove(connection)

    def close(self) -> None:
        self.listener.close()


def answer(connection: socket.socket, number: int) -> bool:
    """As a metaserver."""
    connection.sendall(ANSWER % number)
    return True


def be_silent_after_the_first(connection: socket.socket, number: int) -> bool:
    """Nothing comes, and the connection stays."""
    return number > 1 or answer(connection, number)


def trickle(connection: socket.socket, number: int) -> bool:
    """A byte a second."""
    for byte in ANSWER % number:
        try:
            connection.sendall(bytes([byte]))
        except OSError:
            return False
        time.sleep(1)
    return True


def answer_once(connection: socket.socket, number: int) -> bool:
    """As one that ends idle connections."""
    answer(connection, number)
    return False


def timed(inside: Driver) -> tuple[str, float]:
    """The outcome of one question, and its seconds."""
    start = time.monotonic()
    return inside("locate", 5).split()[0], time.monotonic() - start


@pytest.fixture
def serve(inside: Driver) -> Iterator[Callable[[Callable[[socket.socket, int], bool]], Server]]:
    """Starts a server and has it asked from now on."""
    servers: list[Server] = []

    def start(behave: Callable[[socket.socket, int], bool]) -> Server:
        servers.append(Server(behave))
        inside("metaserver", "127.0.0.1", servers[-1].port)
        return servers[-1]

    yield start
    for server in servers:
        server.close()


Serve = Callable[[Callable[[socket.socket, int], bool]], Server]


def test_a_connection_that_falls_silent_is_waited_for_once_and_then_nothing_is_asked(
    inside: Driver, serve: Serve
) -> None:
    server = serve(be_silent_after_the_first)
    assert timed(inside)[0] == "7"
    outcome, seconds = timed(inside)
    assert outcome == "METASERVER"
    assert seconds < LIMIT_S + SLACK_S
    assert server.connections == 1
    outcome, seconds = timed(inside)
    assert (outcome, seconds < SLACK_S) == ("METASERVER", True)


def test_an_answer_that_trickles_in_has_three_seconds_altogether(inside: Driver, serve: Serve) -> None:
    serve(trickle)
    outcome, seconds = timed(inside)
    assert outcome == "METASERVER"
    assert seconds < LIMIT_S + SLACK_S


def test_a_connection_that_was_closed_meanwhile_is_made_anew(inside: Driver, serve: Serve) -> None:
    server = serve(answer_once)
    for number in range(1, 4):
        assert timed(inside)[0] == "7"
        assert server.connections == number


def test_an_address_that_nobody_finds_is_not_waited_for(inside: Driver) -> None:
    inside("metaserver", "nobody.invalid", 20000)
    outcome, seconds = timed(inside)
    assert outcome == "METASERVER"
    assert seconds < LIMIT_S + SLACK_S


def test_no_connection_stays_open_after_the_end(inside: Driver, serve: Serve) -> None:
    server = serve(answer)
    assert timed(inside)[0] == "7"
    inside("close")
    assert timed(inside)[0] == "7"
    end = time.monotonic() + 30
    while server.open and time.monotonic() < end:
        time.sleep(0.05)
    assert server.open == []


GOOD = (
    "s=127.0.0.2, p=1, free=30, total=100, numDrives=2, numWritableDrives=2, overloaded=0, replay=0, connected=1, "
    "stopped=0"
)
SERVERS = {
    "good": (GOOD, 1),
    "seems full until its next heartbeat": (
        GOOD.replace("numWritableDrives=2, overloaded=0", "numWritableDrives=0, overloaded=1"),
        1,
    ),
    "full": (GOOD.replace("free=30", "free=19"), 0),
    "retiring": (GOOD.replace("numWritableDrives=2", "numWritableDrives=0"), 0),
    "without a disk": (GOOD.replace("numDrives=2", "numDrives=0"), 0),
    "gone": (GOOD.replace("connected=1", "connected=0"), 0),
    "known from the log only": (GOOD.replace("replay=0", "replay=1"), 0),
    "stopped": (GOOD.replace("stopped=0", "stopped=1"), 0),
}


@pytest.mark.parametrize(("server", "able"), SERVERS.values(), ids=SERVERS.keys())
def test_who_could_take_a_copy(inside: Driver, serve: Serve, server: str, able: int) -> None:
    """The names are those of a real answer; a test with real QFS would need a full disk."""

    def ping(connection: socket.socket, number: int) -> bool:
        config = "metaServer.clientPort=1;metaServer.maxSpaceUtilizationThreshold=0.80;"
        info = "System Info: Up since= x\tHibernated servers= 3\tFree space= 1"
        servers = f"Servers: {GOOD}\t{server}\t"
        lines = ("OK", f"Cseq: {number}", "Status: 0", info, servers, f"Config: {config}", "", "")
        connection.sendall("\r\n".join(lines).encode())
        return True

    serve(ping)
    assert inside("chunkservers") == f"{1 + able} 3"

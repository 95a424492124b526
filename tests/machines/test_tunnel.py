"""clients/tunnel.py over a real SSH server: what connects here, what answers there, what is said when nothing does."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from sparkqfs.clients import tunnel
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.clients.tunnel import Tunnel, to_address
from sparkqfs.errors import ConfigError, Problem
from tests.doubles.servers import Answer, Sshd, closed_port, serve, sshd
from tests.paths import PROGRAMS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def client(server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeClient]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    config = server.cluster(tmp_path / "known_hosts")
    opened = NodeClient(config, config.nodes[0])
    yield opened
    opened.close()


@pytest.fixture
def page() -> Iterator[int]:
    with serve({"/": Answer(body=b"a page" * 100_000)}) as port:
        yield port


def relayed(client: NodeClient, port: int) -> tunnel.Way:
    """As `into_container`, with this computer for the container."""
    return lambda: client.exec_channel([str(PROGRAMS / "relay"), str(port)])


def get(host: str, port: int) -> bytes:
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("way", [lambda client, port: to_address(client, "127.0.0.1", port), relayed])
def test_a_page_is_read_through_the_port_by_several_at_once(
    client: NodeClient, page: int, way: Callable[[NodeClient, int], tunnel.Way]
) -> None:
    found: list[bytes] = []
    with Tunnel(way(client, page)) as opened:
        readers = [threading.Thread(target=lambda: found.append(get("localhost", opened.port))) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(30)
        wait(lambda: opened.connections == 0)
    assert found == [b"a page" * 100_000] * 4


def test_localhost_is_ours_under_both_of_its_addresses_and_nothing_else_is(client: NodeClient, page: int) -> None:
    with Tunnel(to_address(client, "127.0.0.1", page)) as opened:
        for host in ("127.0.0.1", "::1")[: len(opened._listening)]:
            assert get(host, opened.port)[:6] == b"a page"
        with pytest.raises(OSError):
            get("127.0.0.2", opened.port)
        own = socket.gethostbyname(socket.gethostname())
        if not own.startswith("127."):
            with pytest.raises(OSError):
                get(own, opened.port)


def test_a_port_that_is_taken_is_refused_before_anything_is_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of this computer: Address already in use"):
            Tunnel(lambda: pytest.fail("nothing is opened"), port)


def test_a_port_that_somebody_has_under_the_other_address_is_not_ours() -> None:
    """They would be given the token of whoever says `localhost`."""
    with socket.create_server(("127.0.0.1", 0)) as free:  # a test beside this one may have any other port there
        port = free.getsockname()[1]
    try:
        taken = socket.create_server(("::1", port), family=socket.AF_INET6)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with taken:
        with pytest.raises(ConfigError, match="Address already in use"):
            Tunnel(lambda: pytest.fail("nothing is opened"), port)
        socket.create_server(("127.0.0.1", port)).close()


def test_a_way_that_leads_nowhere_is_told_and_the_next_connection_is_tried_again(client: NodeClient) -> None:
    told: list[Problem] = []
    port = closed_port()
    with Tunnel(relayed(client, port), failed=told.append) as opened:
        with socket.create_connection(("127.0.0.1", opened.port), 10) as link:
            assert link.recv(1) == b""
        wait(lambda: bool(told))
        assert told[0].what == f"relay: port {port} of this container: Connection refused"
        with serve({"/": Answer(body=b"here now")}) as there:
            opened._way = relayed(client, there)
            assert get("127.0.0.1", opened.port) == b"here now"


def test_a_machine_that_is_gone_is_told(client: NodeClient) -> None:
    told: list[Problem] = []

    def gone() -> paramiko.Channel:
        raise ConnectionError("127.0.0.1:9: refused")

    with Tunnel(gone, failed=told.append) as opened, socket.create_connection(("127.0.0.1", opened.port), 10) as link:
        assert link.recv(1) == b""
        wait(lambda: bool(told))
    assert told == [Problem(what="no way through: 127.0.0.1:9: refused")]


def test_the_end_of_the_tunnel_ends_what_is_open_and_the_programs_there(client: NodeClient, tmp_path: Path) -> None:
    def shell() -> paramiko.Channel:
        return client.exec_channel(["sh", "-c", f"echo $$ > {tmp_path}/pid; cat; echo done > {tmp_path}/end"])

    with Tunnel(shell) as opened:
        link = socket.create_connection(("127.0.0.1", opened.port), 10)
        link.sendall(b"x")
        assert link.recv(1) == b"x"
    assert link.recv(1) == b""
    link.close()
    wait((tmp_path / "end").exists)
    pid = int((tmp_path / "pid").read_text())
    wait(lambda: not Path(f"/proc/{pid}").exists())
    with pytest.raises(OSError):
        os.kill(pid, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", opened.port), 1)

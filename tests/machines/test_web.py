"""clients/web.py: JSON of a real HTTP server, through a real SSH connection."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkqfs.clients.ssh import NodeClient
from sparkqfs.clients.web import WebError, get_json
from sparkqfs.facts.pages import parse_qfs, parse_spark
from tests.doubles.servers import Answer, Sshd, closed_port, payload, serve, sshd

ANSWERS = {
    "/json/": Answer(body=payload("spark-4.1-master.json")),
    "/query/meta": Answer(body=payload("qfs-2.2-meta.json")),
    "/broken": Answer(body=b'{"workers": [', headers=(("Content-Type", "application/json"),)),
    "/html": Answer(body=b"<html>starting</html>"),
    "/fault": Answer(body=b"{}", status=500),
    "/short": Answer(body=b"{}", length=500),
    "/slow": Answer(body=b"{}", pause_s=60),
    "/big": Answer(body=b"[" + b"1," * 500_000 + b"1]"),
}


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeClient]:
    folder = tmp_path_factory.mktemp("sshd")
    with sshd(folder) as server:
        client = _client(server, folder)
        yield client
        client.close()


def _client(server: Sshd, folder: Path) -> NodeClient:
    config = server.cluster(folder / "known_hosts")
    return NodeClient(config, config.nodes[0])


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serve(ANSWERS) as found:
        yield found


def test_the_spark_masters_and_the_status_servers_pages_arrive(manager: NodeClient, port: int) -> None:
    assert parse_spark(get_json(manager, "127.0.0.1", port, "/json/")).cores == 16
    assert parse_qfs(get_json(manager, "127.0.0.1", port, "/query/meta")).files == 9


def test_a_large_answer_arrives_whole(manager: NodeClient, port: int) -> None:
    assert len(get_json(manager, "127.0.0.1", port, "/big")) == 500_001


def test_a_proxy_of_this_computer_is_not_asked(manager: NodeClient, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    assert get_json(manager, "127.0.0.1", port, "/json/")["status"] == "ALIVE"


@pytest.mark.parametrize("path", ["/broken", "/html"])
def test_a_page_that_is_no_json_says_so(manager: NodeClient, port: int, path: str) -> None:
    with pytest.raises(WebError, match="did not answer with JSON"):
        get_json(manager, "127.0.0.1", port, path)


def test_a_page_that_is_not_there_gives_its_status(manager: NodeClient, port: int) -> None:
    with pytest.raises(WebError, match="404"):
        get_json(manager, "127.0.0.1", port, "/none")


@pytest.mark.parametrize("path", ["/fault", "/short"])
def test_a_faulty_answer_is_an_error_that_names_the_page(manager: NodeClient, port: int, path: str) -> None:
    with pytest.raises(WebError, match=re.escape(f"http://127.0.0.1:{port}{path}")):
        get_json(manager, "127.0.0.1", port, path)


def test_a_closed_port_is_a_refused_connection(manager: NodeClient) -> None:
    with pytest.raises(WebError, match="connection refused"):
        get_json(manager, "127.0.0.1", closed_port(), "/json/")


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        (("AllowTcpForwarding no",), False),
        (("AllowTcpForwarding remote",), False),
        (("PermitOpen none",), False),
        ((), True),
    ],
)
def test_doctor_finds_an_sshd_that_forwards_nothing(
    tmp_path: Path, port: int, settings: tuple[str, ...], allowed: bool
) -> None:
    with sshd(tmp_path, *settings) as server:
        client = _client(server, tmp_path)
        assert client.forwards_to("127.0.0.1", closed_port(), 5) is allowed
        assert client.forwards_to("127.0.0.1", port, 5) is allowed
        with pytest.raises(WebError, match="404" if allowed else "AllowTcpForwarding"):
            get_json(client, "127.0.0.1", port, "/none")
        client.close()


def test_a_slow_page_is_given_up_within_its_time_limit(manager: NodeClient, port: int) -> None:
    started = time.monotonic()
    with pytest.raises(WebError, match="no answer in time"):
        get_json(manager, "127.0.0.1", port, "/slow", timeout_s=0.5)
    assert time.monotonic() - started < 30

"""clients/engine.py: the Docker SDK over a real SSH connection, against a server that notes what it is sent."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.clients.engine import Engine, build_hint
from sparkqfs.clients.ssh import NodeClient
from tests.doubles.servers import engine_machine

Requests = list[tuple[str, dict[str, str]]]
oldest: list[str] = []
"""The oldest version of the API that the engine takes, if it minds."""


@contextlib.contextmanager
def noting() -> Iterator[tuple[int, Requests]]:
    """An engine that says yes to everything; its port, and the path and headers of each request."""
    seen: Requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append((self.path, dict(self.headers)))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b'{"stream": "done"}\n'
            fits = not oldest or self.path.startswith(f"/v{oldest[0]}/")
            if not fits:
                why = f"client version 1.41 is too old. Minimum supported API version is {oldest[0]}, please upgrade"
                body = json.dumps({"message": why}).encode()
            self.send_response(200 if fits else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeClient, Requests]]:
    """A machine whose `docker system dial-stdio` leads to that server."""
    folder = tmp_path_factory.mktemp("sshd")
    with noting() as (port, seen), engine_machine(folder, port) as server:
        config = server.cluster(folder / "known_hosts")
        client = NodeClient(config, config.nodes[0])
        yield client, seen
        client.close()


def build_of(machine: tuple[NodeClient, Requests]) -> tuple[str, dict[str, str]]:
    """What the engine is sent for a build."""
    client, seen = machine
    seen.clear()
    engine = Engine(client, timeout_s=20)
    try:
        engine.build(
            io.BytesIO(b"tar"), tag="x:1", buildargs={}, labels={}, timeout_s=20, network=None, on_line=lambda _: None
        )
    finally:
        engine.close()
    (request,) = seen
    return request


def users_config(monkeypatch: pytest.MonkeyPatch, folder: Path, content: dict[str, object]) -> None:
    (folder / "config.json").write_text(json.dumps(content))
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))


def test_the_users_registry_logins_and_proxies_stay_on_his_computer(
    machine: tuple[NodeClient, Requests], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    login = base64.b64encode(b"me:hunter2").decode()
    proxies = {"default": {"httpProxy": "http://me:hunter2@proxy:3128"}}
    users_config(monkeypatch, tmp_path, {"auths": {"registry.example.org": {"auth": login}}, "proxies": proxies})
    path, headers = build_of(machine)
    assert "X-Registry-Config" not in headers
    assert "hunter2" not in path


@pytest.mark.parametrize("content", [{"credsStore": "no-such-store"}, {"auths": {"registry.example.org": "broken"}}])
def test_a_login_store_that_is_gone_does_not_stop_a_build(
    machine: tuple[NodeClient, Requests],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: dict[str, object],
) -> None:
    users_config(monkeypatch, tmp_path, content)
    assert "/build" in build_of(machine)[0]


def test_a_login_that_appears_later_is_not_taken_up_either(
    machine: tuple[NodeClient, Requests], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    login = base64.b64encode(b"me:hunter2").decode()
    client, seen = machine
    seen.clear()
    engine = Engine(client, timeout_s=20)
    users_config(monkeypatch, tmp_path, {"auths": {"registry.example.org": {"auth": login}}})
    engine.push("registry.example.org/x:1", None)
    engine.close()
    assert "X-Registry-Auth" not in seen[0][1]


def test_an_engine_that_no_longer_knows_our_version_is_asked_in_its_oldest(
    machine: tuple[NodeClient, Requests], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, seen = machine
    seen.clear()
    monkeypatch.setitem(globals(), "oldest", ["1.44"])
    engine = Engine(client, timeout_s=20)
    engine.push("registry.example.org/x:1", None)
    engine.push("registry.example.org/x:1", None)
    engine.close()
    assert [path.split("/")[1] for path, _ in seen] == ["v1.41", "v1.44", "v1.44"]


def test_an_image_gets_one_more_name_with_the_port_of_its_registry(machine: tuple[NodeClient, Requests]) -> None:
    client, seen = machine
    seen.clear()
    engine = Engine(client, timeout_s=20)
    try:
        engine.name_image("sha256:0", "192.168.1.11:5000/spark/worker-node:0123")
    finally:
        engine.close()
    ((path, _),) = seen
    assert "/images/sha256:0/tag?" in path and "tag=0123" in path
    assert "repo=192.168.1.11%3A5000%2Fspark%2Fworker-node" in path


@pytest.mark.parametrize(
    ("error", "lines", "said"),
    [
        (
            'Get "https://index.example.org/v2/": no such host',
            ["Step 1/11 : ARG BASE", "Step 2/11 : FROM ${BASE}"],
            "build.base",
        ),
        (
            "non-zero code: 1",
            [
                "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]",
                "ERROR: No matching distribution found for pip==26.3",
            ],
            "build.ca_certificates",
        ),
        (
            "non-zero code: 100",
            ["Step 9/11 : RUN apt-get update", "W: Temporary failure resolving 'mirror'"],
            "build.proxy",
        ),
        ("non-zero code: 2", ["Step 9/11 : RUN make", "make: *** [all] Error 2"], None),
    ],
)
def test_a_build_that_fails_says_what_helps(error: str, lines: list[str], said: str | None) -> None:
    hint = build_hint(error, lines)
    assert hint is None if said is None else hint is not None and said in hint

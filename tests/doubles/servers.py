"""Real servers on free loopback ports: HTTP with given answers, and an SSH server with throw-away keys."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.config.model import ClusterConfig, SshConfig, TimeoutsConfig
from tests.builders.clusters import a_cluster, a_node_config
from tests.paths import DATA

PAYLOADS = DATA / "payloads"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a path gives. `pause_s` passes before the answer, `length` is announced instead of the true one."""

    body: bytes
    status: int = 200
    pause_s: float = 0.0
    length: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


API = "/v1.41"


def body(value: object) -> Answer:
    """JSON."""
    return Answer(body=json.dumps(value).encode(), headers=(("Content-Type", "application/json"),))


SYSTEM_TIME = "2026-01-31T13:10:00.123456789+01:00"
"""The clock of an engine's `/info`, local time."""
CREATED_AT, RUNS_SINCE = "2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:40.987654321Z"
"""Of a task: when Swarm made it, and when its container's health check first succeeded."""


def an_engine(service: str = "spark-master", **swarm: object) -> dict[str, Answer]:
    """The API of a manager on which a stack of one service runs."""
    task = {
        "ServiceID": "s1",
        "NodeID": "n1",
        "CreatedAt": CREATED_AT,
        "DesiredState": "running",
        "Status": {"Timestamp": RUNS_SINCE, "State": "running", "ContainerStatus": {"ContainerID": "c1"}},
    }
    node = {"ID": "n1", "Spec": {"Labels": {"sparkqfs.node": "node1"}, "Role": "manager"}}
    state = {"LocalNodeState": "active", "ControlAvailable": True} | swarm
    return {
        f"{API}/info": body({"Swarm": state, "SystemTime": SYSTEM_TIME}),
        f"{API}/services": body([{"ID": "s1", "Spec": {"Name": f"spark_{service}"}}]),
        f"{API}/nodes": body([node]),
        f"{API}/tasks": body([task]),
    }


@contextlib.contextmanager
def serve(answers: dict[str, Answer], *, keep_alive: bool = False, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """An HTTP server with these answers by path, with or without its query, 404 for others; its port."""
    stopping = threading.Event()
    connections: list[socket.socket] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"

        def setup(self) -> None:
            super().setup()
            connections.append(self.connection)

        def do_GET(self) -> None:
            missing = Answer(body=b"no such page", status=404)
            answer = answers.get(self.path) or answers.get(self.path.partition("?")[0]) or missing
            stopping.wait(answer.pause_s)
            with contextlib.suppress(OSError):
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

        def log_message(self, *_args: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(30)


PASSED_ON = """\
def back():
    while more := there.recv(65536):
        os.write(1, more)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while more := os.read(0, 65536):
    there.sendall(more)
"""
"""Standard input to the socket `there`, and what comes from it to standard output."""

BRIDGE = (
    """#!{python} -I
import os, socket, sys, threading
if sys.argv[1] != "system":
    os.execvp("sh", ["sh", {other!r}, *sys.argv[1:]])
there = socket.create_connection(("127.0.0.1", int(open({port_file!r}).read())))
"""
    + PASSED_ON
)


OTHER = """
case $1:$4 in
  exec:sh) shift 3; exec "$@";;
  exec:*) shift 6; exec "$@";;
esac
echo "Error: No such container: $4" >&2
exit 1
"""


@contextlib.contextmanager
def engine_machine(folder: Path, port: int, *settings: str, through: Sequence[str] = ()) -> Iterator[Sshd]:
    """An SSH server on whose machine `docker system dial-stdio` leads to the HTTP server at `port`.

    What is to be run in a container runs on the machine itself, and all logs are gone: `folder`/docker.sh. Another port
    in `folder`/engine-port is another engine from then on.
    """
    (folder / "engine-port").write_text(str(port))
    program = folder / "bin" / "docker"
    program.parent.mkdir()
    (folder / "docker.sh").write_text(OTHER)
    files = {"port_file": str(folder / "engine-port"), "other": str(folder / "docker.sh")}
    program.write_text(BRIDGE.format(python=sys.executable, **files))
    program.chmod(0o755)
    with sshd(folder, f"SetEnv PATH={program.parent}:{os.environ['PATH']}", *settings, through=through) as server:
        yield server


def closed_port() -> int:
    """A loopback port on which nothing listens.

    Below those that the kernel gives to whoever asks for any port: other tests, at the same time, do so all the time.
    """
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", random.randrange(23_000, 30_000)))
            return int(probe.getsockname()[1])


def payload(name: str) -> bytes:
    """A recorded answer."""
    return (PAYLOADS / name).read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sshd:
    """A running SSH server: its port, the client's key, and its host key as known_hosts writes it."""

    port: int
    key: Path
    host_key: str

    def cluster(self, known_hosts: Path, **overrides: Any) -> ClusterConfig:
        """A cluster of one machine, this server."""
        node = a_node_config("node1", address="127.0.0.1", port=self.port)
        ssh = SshConfig(user="root", key=self.key, known_hosts=known_hosts)
        timeouts = TimeoutsConfig(connect_s=5, command_s=20)
        values: dict[str, Any] = {"nodes": (node,), "ssh": ssh, "timeouts": timeouts}
        return a_cluster("node1", **(values | overrides))

    def strict(self, known_hosts: Path) -> ClusterConfig:
        """The same, which accepts known host keys only."""
        config = self.cluster(known_hosts)
        return replace(config, ssh=replace(config.ssh, host_keys="strict"))


def make_key(path: Path, kind: str = "ed25519") -> str:
    """A key pair, new where there is none; the public half as `type base64`."""
    if not path.exists():
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", str(path)]
        subprocess.run(command, check=True, timeout=30)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


@contextlib.contextmanager
def sshd(folder: Path, *settings: str, through: Sequence[str] = ()) -> Iterator[Sshd]:
    """OpenSSH's server in the foreground, its files in `folder`; skips the test where it cannot run.

    `settings` are more lines of its configuration. `through` is a command that runs the one given to it, for example
    in a mount namespace of its own.
    """
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("no sshd on this machine (Debian: apt-get install openssh-server)")
    if os.geteuid() != 0:
        pytest.skip("sshd must run as root here: commands on a node are run as root")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its privilege separation directory
    host_key = make_key(folder / "host")
    make_key(folder / "client")
    shutil.copy(folder / "client.pub", folder / "authorized_keys")
    port = closed_port()
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized_keys\n"
        f"PidFile {folder}/pid\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nMaxStartups 100:30:200\nMaxSessions 50\nPrintMotd no\n"
        + "".join(f"{line}\n" for line in settings)
    )
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*through, program, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        _wait_for_banner(port, server, folder / "log")
        yield Sshd(port=port, key=folder / "client", host_key=host_key)
    finally:
        server.terminate()
        server.wait(30)


def _wait_for_banner(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
            if probe.recv(4) == b"SSH-":
                return
        time.sleep(0.02)
    pytest.skip(f"sshd does not start here: {log.read_text(errors='replace')[-300:]}")

"""clients/authentication.py: machines that take no RSA signatures, agents that ask their user for each signature."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL

from sparkqfs.clients import authentication
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import UnreachableError
from tests.doubles.openssh import agent
from tests.doubles.servers import Sshd, make_key, sshd

SIGN_REQUEST = 13
RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the keys `rsa`, `good` and `host`."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("rsa", "good", "host"):
        make_key(folder / name, "rsa" if name == "rsa" else "ed25519")
    return folder


def opened(config: ClusterConfig) -> None:
    client = NodeClient(config, config.nodes[0])
    try:
        client.open()
    finally:
        client.close()


class Door(paramiko.ServerInterface):
    """Lets in who has one of the keys; `offered` has the types in their order."""

    def __init__(self, *keys: str) -> None:
        self._keys = keys
        self.offered: list[str] = []

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.offered.append(key.get_name())
        is_known = f"{key.get_name()} {key.get_base64()}" in self._keys
        return AUTH_SUCCESSFUL if is_known else AUTH_FAILED


class Silent(Door):
    """Says nothing to somebody who asks for a terminal."""

    def __init__(self, *keys: str) -> None:
        super().__init__(*keys)
        self.over = threading.Event()

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_pty_request(self, *_terminal: object) -> bool:
        return self.over.wait(30)


@contextlib.contextmanager
def server_without(algorithms: tuple[str, ...], door: Door, host: Path) -> Iterator[int]:
    """An SSH server that says in server-sig-algs that it takes none of these; its port. OpenSSH's always says all."""
    transports: list[paramiko.Transport] = []

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError, paramiko.SSHException, EOFError):
            while True:
                transport = paramiko.Transport(listener.accept()[0], disabled_algorithms={"pubkeys": algorithms})
                transports.append(transport)
                transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(host)))
                transport.start_server(server=door)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            for transport in transports:
                transport.close()


def at(port: int, key: Path | None, home: Path) -> ClusterConfig:
    config = Sshd(port=port, key=key or home, host_key="").cluster(home / "known_hosts")
    return replace(config, ssh=replace(config.ssh, key=key))


@pytest.mark.parametrize("algorithms", [RSA, RSA[:2]])
def test_a_machine_that_takes_no_rsa_key_is_offered_the_next_one(
    home: Path, keys: Path, algorithms: tuple[str, ...]
) -> None:
    (home / ".ssh" / "config").write_text(f"IdentityFile {keys}/good\n")
    door = Door(make_key(keys / "good"))
    with server_without(algorithms, door, keys / "host") as port:
        opened(at(port, keys / "rsa", home))
    assert door.offered == ["ssh-ed25519"]


def test_an_rsa_key_that_a_machine_does_not_take_is_named(home: Path, keys: Path) -> None:
    with server_without(RSA, Door(), keys / "host") as port, pytest.raises(UnreachableError) as caught:
        opened(at(port, keys / "rsa", home))
    assert f"tried {keys}/rsa (the machine takes no signatures of RSA keys)" in str(caught.value)
    assert "`ssh-keygen -t ed25519` makes a key" in str(caught.value)


def refusal(config: ClusterConfig) -> tuple[str, str]:
    """(what is wrong, the hint) of a login."""
    with pytest.raises(UnreachableError) as caught:
        opened(config)
    (problem,) = caught.value.problems
    return problem.what, problem.hint or ""


def test_a_key_that_is_refused_is_told_how_it_comes_to_the_machine(home: Path, keys: Path) -> None:
    with server_without((), Door(), keys / "host") as port:
        what, hint = refusal(at(port, keys / "good", home))
        assert what.endswith(f"tried {keys}/good")
        assert hint.startswith(
            f"`ssh-copy-id -i {keys}/good -p {port} root@127.0.0.1` lets your key in, or set ssh.user"
        )
        (home / ".ssh" / "id_rsa").symlink_to(keys / "good")
        _, hint = refusal(at(port, None, home))
        assert hint.startswith(f"`ssh-copy-id -p {port} root@127.0.0.1` lets your key in")


def test_where_there_is_no_key_one_is_made(home: Path, keys: Path) -> None:
    (home / ".ssh" / "config").write_text("Host 127.0.0.1\n  IdentityFile ~/.ssh/gone\n")
    with server_without((), Door(), keys / "host") as port:
        what, hint = refusal(at(port, None, home))
        assert what.endswith(f"tried {home}/.ssh/gone (is not there)")
        assert hint.startswith("`ssh-keygen -t ed25519` makes a key, `ssh-copy-id -p ")
        (home / ".ssh" / "config").unlink()
        what, hint = refusal(at(port, None, home))
        assert what.endswith("there is no key to offer") and hint.startswith("`ssh-keygen")


def test_the_public_half_of_a_key_is_told_from_one_that_others_may_read(home: Path, keys: Path) -> None:
    (home / "id.pub").write_text((keys / "good.pub").read_text())
    (home / "id.pub").chmod(0o644)
    with server_without((), Door(), keys / "host") as port:
        what, _ = refusal(at(port, home / "id.pub", home))
        assert what.endswith(f"tried {home}/id.pub (is the public half of a key: write {home}/id)")
        (home / "open").write_text((keys / "good").read_text())
        (home / "open").chmod(0o644)
        assert "others may read it: chmod 600" in refusal(at(port, home / "open", home))[0]


def test_a_key_of_putty_is_told_with_what_makes_one_of_ssh(home: Path, keys: Path) -> None:
    (home / "a.ppk").write_text("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n")
    with server_without((), Door(), keys / "host") as port:
        what, _ = refusal(at(port, home / "a.ppk", home))
    assert f"is a key of PuTTY: puttygen {home}/a.ppk -O private-openssh-new -o OTHER makes one of ssh" in what


def test_a_proxy_command_that_ends_says_so_in_words(home: Path, keys: Path) -> None:
    for command in ("true", "echo no way >&2; false"):
        (home / ".ssh" / "config").write_text(f"Host 127.0.0.1\n  ProxyCommand sh -c '{command}'\n")
        what, _ = refusal(at(1, keys / "good", home))
        assert "EOFError" not in what and "ProxyCommand" in what, what


def test_an_rsa_key_is_offered_to_a_machine_that_takes_it(home: Path, keys: Path) -> None:
    door = Door(make_key(keys / "rsa"))
    with server_without(RSA[1:], door, keys / "host") as port:
        opened(at(port, keys / "rsa", home))
    assert door.offered == ["ssh-rsa"]


def test_a_terminal_that_does_not_come_is_not_waited_for(home: Path, keys: Path) -> None:
    door = Silent(make_key(keys / "good"))
    with server_without((), door, keys / "host") as port:
        config = at(port, keys / "good", home)
        client = NodeClient(replace(config, timeouts=replace(config.timeouts, connect_s=1.0)), config.nodes[0])
        began = time.monotonic()
        try:
            with pytest.raises(UnreachableError, match=r"no answer from 127.0.0.1:[0-9]+ within 1 s"):
                client.shell_channel(24, 80, "xterm")
            assert time.monotonic() - began < 10
        finally:
            door.over.set()
            client.close()


# -- an agent that asks its user ------------------------------------------------------------------------------------


@contextlib.contextmanager
def slow_agent(folder: Path, waits_s: float, *keys: Path) -> Iterator[list[float]]:
    """SSH_AUTH_SOCK's agent, which waits before each signature; when it was asked for one."""
    asked: list[float] = []
    ending = threading.Event()

    def relay(client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as there, contextlib.suppress(OSError):
            there.connect(str(folder / "real"))
            while (request := message(client)) is not None:
                if request[4] == SIGN_REQUEST:
                    asked.append(time.monotonic())
                    ending.wait(waits_s)
                there.sendall(request)
                client.sendall(message(there) or b"")

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=relay, args=(listener.accept()[0],), daemon=True).start()

    with agent(folder, "real", *keys), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "slow"))
        listener.listen()
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        try:
            yield asked
        finally:
            ending.set()


def message(stream: socket.socket) -> bytes | None:
    """One message of the agent's protocol, with its length; none at the end."""
    head = stream.recv(4, socket.MSG_WAITALL)
    return head + stream.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL) if len(head) == 4 else None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


def asking(server: Sshd, home: Path, connect_s: float) -> ClusterConfig:
    (home / ".ssh" / "config").write_text(f"IdentityAgent {home}/slow\nIdentityFile none\n")
    config = server.cluster(home / "known_hosts")
    timeouts = replace(config.timeouts, connect_s=connect_s)
    return replace(config, ssh=replace(config.ssh, key=None), timeouts=timeouts)


def test_an_agent_is_given_the_time_to_ask_its_user(server: Sshd, home: Path) -> None:
    with slow_agent(home, 2.5, server.key) as asked:
        opened(asking(server, home, 2))
    assert len(asked) == 1


def test_an_agent_that_does_not_sign_ends_the_login(server: Sshd, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "SIGNATURE_S", 0.3)
    make_key(home / "other")
    with slow_agent(home, 60, home / "other", server.key) as asked, pytest.raises(UnreachableError) as caught:
        opened(asking(server, home, 1))
    assert len(asked) == 1 and "(no answer within 1 s)" in str(caught.value)
    assert "cannot log in" in str(caught.value) and "the agent's key" in str(caught.value)

"""clients/login.py: the user's ssh config and jump hosts, against real OpenSSH servers on this machine."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.clients.openssh import OpenSsh
from sparkqfs.config.model import ClusterConfig, SshConfig, TimeoutsConfig
from sparkqfs.errors import ConfigError, UnreachableError
from tests.builders.clusters import a_cluster, a_node_config
from tests.doubles.servers import Sshd, closed_port, make_key, sshd
from tests.paths import ROOT


@dataclass(frozen=True, slots=True)
class Servers:
    """Two jump hosts, each of which lets only through to the next, and a machine."""

    first: Sshd
    second: Sshd
    machine: Sshd


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folders = [tmp_path_factory.mktemp(name) for name in ("machine", "second", "first")]
    with (
        sshd(folders[0]) as machine,
        sshd(folders[1], f"PermitOpen 127.0.0.1:{machine.port}") as second,
        sshd(folders[2], f"PermitOpen 127.0.0.1:{second.port} 127.0.0.1:{machine.port}") as first,
    ):
        yield Servers(first, second, machine)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, servers: Servers) -> Path:
    """A home directory whose ssh config knows the servers by names, without any jump host yet."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    text = "".join(
        f"Host {name}\n  HostName 127.0.0.1\n  Port {server.port}\n  IdentityFile {server.key}\n"
        for name, server in (("first", servers.first), ("second", servers.second), ("machine-*", servers.machine))
    )
    (tmp_path / ".ssh" / "names.conf").write_text(text)
    return tmp_path


def write(home: Path, *lines: str) -> None:
    """The user's ssh config: these lines, the names from another file, and a user for all."""
    (home / ".ssh" / "config").write_text("\n".join([*lines, "Include names.conf", "User root"]) + "\n")


def cluster(home: Path, *names: str, strict: bool = False) -> ClusterConfig:
    nodes = tuple(a_node_config(name, index, address=f"machine-{index}") for index, name in enumerate(names))
    ssh = SshConfig(known_hosts=home / "known", host_keys="strict" if strict else "accept-new")
    return a_cluster(*names, nodes=nodes, ssh=ssh, timeouts=TimeoutsConfig(connect_s=3, command_s=20))


def connected_from(config: ClusterConfig) -> str:
    """The peer's port as the machine sees it."""
    clients = Clients(config)
    try:
        return clients.manager.run(["sh", "-c", "echo $SSH_CONNECTION"]).stdout.split()[1]
    finally:
        clients.close()


def refused(config: ClusterConfig) -> str:
    clients = Clients(config)
    with pytest.raises(UnreachableError) as caught:
        clients.manager.open()
    clients.close()
    assert caught.value.exit_code == 3
    (problem,) = caught.value.problems
    assert problem.hint
    return str(problem)


def key_of(server: Sshd) -> str:
    return f"[127.0.0.1]:{server.port} {server.host_key}"


# --- what ssh config says -------------------------------------------------------------------------


def test_host_patterns_port_user_identity_file_and_include_count(home: Path, servers: Servers) -> None:
    write(home)
    assert connected_from(cluster(home, "node1"))
    assert (home / "known").read_text().splitlines() == [key_of(servers.machine)]


def test_a_file_that_a_block_includes_counts_for_that_block_which_goes_on_after_it(home: Path) -> None:
    (home / ".ssh" / "more.conf").write_text("Host other\n  User other\n")
    (home / ".ssh" / "config").write_text("Host mine\n  Include more.conf\n  User me\nHost *\n  Port 77\n")
    logins = [OpenSsh().login(name) for name in ("mine", "other", "third")]
    assert [login.user for login in logins] == ["me", *[pwd.getpwuid(os.getuid()).pw_name] * 2]
    assert {login.port for login in logins} == {77}


def test_included_files_are_found_by_pattern_in_order_and_what_comes_first_counts(home: Path) -> None:
    (home / ".ssh" / "d").mkdir()
    for name, port in (("b.conf", 2), ("a.conf", 1)):
        (home / ".ssh" / "d" / name).write_text(f"Host x\n  Port {port}\n")
    (home / ".ssh" / "config").write_text('Include "~/.ssh/d/*.conf" none.conf\nHost x\n  Port 3\n')
    assert OpenSsh().login("x").port == 1


@pytest.mark.parametrize("text", ["\nInclude config\n", "\nMatch\n", "\nPort x\n", "\nHost x\nNoSuchWord yes\n"])
def test_a_config_that_cannot_be_read_is_bad_input_and_names_the_file(home: Path, text: str) -> None:
    (home / ".ssh" / "config").write_text(text)
    with pytest.raises(ConfigError) as caught:
        OpenSsh().login("y")
    assert caught.value.exit_code == 2 and str(caught.value).startswith(f"{home}/.ssh/config:")


# --- jump hosts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", ["first", "second", "first,second"])
def test_a_machine_is_reached_through_its_jump_hosts_in_their_order(home: Path, servers: Servers, jump: str) -> None:
    write(home, "Host machine-*", f"  ProxyJump {jump}", "Host *")
    connected_from(cluster(home, "node1"))
    ways = {"first": servers.first, "second": servers.second}
    wanted = [key_of(ways[name]) for name in jump.split(",")] + [key_of(servers.machine)]
    assert (home / "known").read_text().splitlines() == wanted


def test_proxyjump_none_goes_straight(home: Path, servers: Servers) -> None:
    write(home, "Host machine-0", "  ProxyJump none", "Host machine-*", "  ProxyJump first", "Host *")
    connected_from(cluster(home, "node1"))
    assert (home / "known").read_text().splitlines() == [key_of(servers.machine)]


def test_machines_that_meet_a_new_jump_host_at_the_same_time_write_its_key_once(home: Path, servers: Servers) -> None:
    write(home, "Host machine-*", "  ProxyJump first", "Host *")
    names = tuple(f"node{number}" for number in range(1, 7))
    clients = Clients(cluster(home, *names))
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: clients.node(name).open(), names))
    clients.close()
    assert sorted((home / "known").read_text().splitlines()) == sorted([key_of(servers.first), key_of(servers.machine)])


@pytest.mark.parametrize("strict", [False, True])
def test_a_changed_key_of_the_jump_host_is_refused(home: Path, servers: Servers, strict: bool) -> None:
    write(home, "Host machine-*", "  ProxyJump first", "Host *")
    line = f"[127.0.0.1]:{servers.first.port} {make_key(home / 'other')}\n"
    (home / "known").write_text(line)
    text = refused(cluster(home, "node1", strict=strict))
    assert text.startswith(f"[node1] the host key of the jump host 127.0.0.1:{servers.first.port} has changed")
    assert (home / "known").read_text() == line


def test_strict_refuses_an_unknown_jump_host_even_where_the_machine_is_known(home: Path, servers: Servers) -> None:
    write(home, "Host machine-*", "  ProxyJump first", "Host *")
    (home / "known").write_text(key_of(servers.machine) + "\n")
    text = refused(cluster(home, "node1", strict=True))
    assert f"the jump host 127.0.0.1:{servers.first.port} is not known (ssh.host_keys: strict)" in text
    (home / "known").write_text(key_of(servers.first) + "\n" + key_of(servers.machine) + "\n")
    connected_from(cluster(home, "node1", strict=True))


def test_a_jump_host_that_is_down_is_named_and_not_the_machine(home: Path) -> None:
    port = closed_port()
    write(home, f"Host gate\n  HostName 127.0.0.1\n  Port {port}", "Host machine-*", "  ProxyJump gate", "Host *")
    assert refused(cluster(home, "node1")).startswith(f"[node1] cannot connect to the jump host 127.0.0.1:{port}: ")


def test_a_jump_host_that_says_nothing_is_given_up_within_the_time_limit(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        write(home, f"Host gate\n  HostName 127.0.0.1\n  Port {port}", "Host machine-*", "  ProxyJump gate", "Host *")
        started = time.monotonic()
        assert "the jump host" in refused(cluster(home, "node1"))
        assert time.monotonic() - started < 8


def test_a_jump_host_that_knows_another_key_says_where_to_set_it(home: Path, servers: Servers) -> None:
    write(
        home,
        "Host machine-*",
        "  ProxyJump gate",
        f"Host gate\n  HostName 127.0.0.1\n  Port {servers.first.port}\nHost *",
    )
    text = refused(cluster(home, "node1"))
    assert "cannot log in to the jump host" in text and "IdentityFile" in text


def test_a_machine_that_the_jump_host_does_not_reach_says_through_which(home: Path) -> None:
    port = closed_port()
    write(home, f"Host machine-0\n  HostName 127.0.0.1\n  Port {port}\n  ProxyJump first", "Host *")
    text = refused(cluster(home, "node1"))
    assert text.startswith(f"[node1] cannot connect to 127.0.0.1:{port}: ")
    assert "through the jump host 127.0.0.1" in text


def test_closing_closes_the_jump_hosts_too(home: Path) -> None:
    write(home, "Host machine-*", "  ProxyJump first", "Host *")
    clients = Clients(cluster(home, "node1"))
    gateway = clients.manager.open().gateway
    assert gateway.is_connected
    clients.close()
    assert not gateway.is_connected


def test_doctor_through_a_dead_jump_host_is_one_error_for_each_machine_and_exit_code_3(home: Path) -> None:
    port = closed_port()
    write(home, f"Host gate\n  HostName 127.0.0.1\n  Port {port}", "Host machine-*", "  ProxyJump gate", "Host *")
    (home / "hosts.yml").write_text(
        f"nodes: {{node1: machine-0}}\nssh: {{known_hosts: {home}/known}}\ntimeouts: {{connect: 3s}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "doctor", "--hosts", "hosts.yml"],
        cwd=home,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    assert done.returncode == 3 and "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("[node1]")]
    assert len(errors) == 1 and "jump host" in errors[0]


def test_the_key_of_the_cluster_file_is_for_the_machines_and_not_for_jump_hosts(home: Path, servers: Servers) -> None:
    write(
        home,
        "Host machine-*",
        "  ProxyJump gate",
        f"Host gate\n  HostName 127.0.0.1\n  Port {servers.first.port}\nHost *",
    )
    config = cluster(home, "node1")
    assert "jump host" in refused(replace(config, ssh=replace(config.ssh, key=servers.first.key)))

"""clients/openssh.py: the program that is asked, where it is missing, hangs, says too much or something else."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparkqfs.clients import keys, openssh
from sparkqfs.clients.openssh import OpenSsh
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ConfigError
from tests.builders.clusters import a_cluster, a_node_config
from tests.doubles.servers import Sshd, closed_port, sshd
from tests.paths import ROOT


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def program(home: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """An `ssh` before all others on PATH."""
    (home / "bin").mkdir()
    (home / "bin" / "ssh").write_text(f"#!/bin/sh\n{script}\n")
    (home / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'bin'}:{os.environ['PATH']}")


def fault(address: str = "machine") -> str:
    with pytest.raises(ConfigError) as caught:
        OpenSsh().login(address)
    (problem,) = caught.value.problems
    assert caught.value.exit_code == 2 and problem.hint
    return str(problem)


def test_without_an_ssh_program_its_defaults_count(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))
    login = OpenSsh().login("Machine", user="me", port=2222)
    assert (login.host, login.port, login.user) == ("machine", 2222, "me")
    assert (login.identities[0], login.known_hosts[0]) == (home / ".ssh/id_rsa", home / ".ssh/known_hosts")
    assert OpenSsh().login("machine").port == 22


def test_without_an_ssh_program_a_config_is_not_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".ssh" / "config").write_text("Host machine\n  Port 1\n")
    monkeypatch.setenv("PATH", str(home))
    assert fault().startswith(f"{home}/.ssh/config: there is no ssh program on this computer")


def test_a_machine_lets_in_without_an_ssh_program_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sshd(home) as server:
        (home / ".ssh" / "id_ed25519").write_bytes(server.key.read_bytes())
        (home / ".ssh" / "id_ed25519").chmod(0o600)
        monkeypatch.setenv("PATH", str(home))
        client = NodeClient(*one_machine(server))
        assert client.run(["echo", "here"]).stdout == "here\n"
        client.close()
    assert (home / ".ssh" / "known_hosts").read_text() == f"[127.0.0.1]:{server.port} {server.host_key}\n"


def one_machine(server: Sshd) -> tuple[ClusterConfig, NodeConfig]:
    node = a_node_config("node1", address="127.0.0.1", port=server.port)
    return a_cluster("node1", nodes=(node,)), node


def test_a_program_that_hangs_is_ended_with_what_it_has_started(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(home, monkeypatch, f"sleep 60 & echo $! > {home}/pid; wait")
    monkeypatch.setattr(openssh, "LEAST_WAIT_S", 0.5)
    started = time.monotonic()
    with pytest.raises(ConfigError, match=r"`ssh -G machine` did not end within 0\.5 s"):
        OpenSsh(wait_s=0.5).login("machine")
    assert time.monotonic() - started < 10
    pid = (home / "pid").read_text().strip()
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() - started < 10
        time.sleep(0.02)


def test_what_a_config_starts_and_leaves_running_is_not_waited_for(home: Path) -> None:
    (home / ".ssh" / "config").write_text('Match exec "sleep 30 & true"\n  Port 7\n')
    started = time.monotonic()
    assert OpenSsh().login("machine").port == 7
    assert time.monotonic() - started < 10


def test_a_program_that_says_too_much_is_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(home, monkeypatch, "exec yes")
    assert "says more than 1048576 bytes" in fault()


@pytest.mark.parametrize("script", ["echo hello", "exit 0", "printf 'hostname a\\nport many\\nuser b\\n'"])
def test_a_program_that_is_another_one_is_a_fault_of_its_own(
    home: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    program(home, monkeypatch, script)
    assert "machine" in fault()


def test_a_program_that_fails_without_a_word_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(home, monkeypatch, "exit 255")
    assert "it does not say why" in fault()


def test_ssh_is_asked_once_for_a_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(home, monkeypatch, f"echo x >> {home}/count; printf 'hostname a\\nport 1\\nuser b\\n'")
    asked = OpenSsh()
    logins = [asked.login("machine") for _ in range(3)]
    assert logins[0] is logins[2] and (home / "count").read_text() == "x\n"


NEWER = """real=$(PATH={path}; command -v ssh)
"$real" "$@" | sed -E "s#^revokedhostkeys (~|%d)/#revokedhostkeys {account}/#"
"""
"""What `ssh -G` of newer versions says: the home of the account in RevokedHostKeys."""


@pytest.mark.parametrize("named", ["~/revoked", '"~/revoked"', "%d/revoked"])
def test_revoked_keys_are_those_of_this_home_where_ssh_replaces_its_sign(
    home: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    (home / ".ssh" / "config").write_text(f"RevokedHostKeys {named}\nUserKnownHostsFile ~/known\n")
    assert OpenSsh().login("machine").revoked_keys == Path(named.strip('"'))  # this one takes it as it is
    account = pwd.getpwuid(os.getuid()).pw_dir
    program(home, monkeypatch, NEWER.format(path=os.environ["PATH"], account=account))
    assert OpenSsh().login("machine").revoked_keys == home / "revoked"


def test_an_empty_home_is_as_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Path(pwd.getpwuid(os.getuid()).pw_dir)
    monkeypatch.setenv("HOME", "")
    login = OpenSsh().login("machine")
    monkeypatch.delenv("HOME")
    assert login == OpenSsh().login("machine")
    monkeypatch.setenv("PATH", str(home))
    assert openssh._without_ssh(("--", "machine"), "machine").known_hosts[0] == account / ".ssh" / "known_hosts"


def task(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words, "--hosts", "hosts.yml"],
        cwd=home,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


TWO = "nodes: {node1: {address: alpha, manager: true}, node2: beta}\ntimeouts: {connect: 3s}\n"


def test_a_fault_of_the_config_is_said_once_for_all_machines_and_before_anything_is_done(home: Path) -> None:
    (home / "hosts.yml").write_text(TWO)
    (home / ".ssh" / "config").write_text("Host other\n  NoSuchWord yes\n")
    for words in (["doctor"], ["status"], ["up", "--dry-run"]):
        done = task(home, *words)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        (line,) = (line for line in done.stderr.splitlines() if "NoSuchWord".lower() in line.lower())
        assert line == f"{home}/.ssh/config:2: Bad configuration option: nosuchword"


def test_a_distributions_own_block_does_not_end_a_task(home: Path) -> None:
    (home / "hosts.yml").write_text(TWO)
    (home / ".ssh" / "distro.conf").write_text("Match final all\n    GSSAPIAuthentication yes\n")
    reached = f"Host alpha beta\n  HostName 127.0.0.1\n  Port {closed_port()}\n"
    (home / ".ssh" / "config").write_text(f"Include distro.conf\n{reached}")
    done = task(home, "doctor")
    assert done.returncode == 3 and done.stderr.count("Connection refused") == 2 and "config" not in done.stderr


def test_what_a_shell_says_of_a_match_is_not_taken_for_a_fault_of_a_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/bin/bash")
    text = 'Match exec "no-such-program-here"\n  Port 7\nHost machine\n  HostName %z\n'
    (home / ".ssh" / "config").write_text(text)
    assert fault().startswith("ssh cannot log in to machine with your ssh config: ")


def test_an_agent_that_says_nothing_is_passed_over(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "AGENT_S", 0.3)
    with sshd(home) as server, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(home / "agent"))
        silent.listen()
        (home / ".ssh" / "config").write_text(f"IdentityAgent {home}/agent\nIdentityFile {server.key}\nUser root\n")
        client = NodeClient(*one_machine(server))
        assert client.run(["echo", "here"]).stdout == "here\n"
        client.close()

"""With each config and known_hosts file of tests/builders/ssh_cases.py our login ends as one of this computer's ssh."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
import pytest

from sparkqfs.clients import login
from sparkqfs.clients.openssh import OpenSsh
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.config.model import ClusterConfig, SshConfig, TimeoutsConfig
from sparkqfs.errors import ClusterError, ConfigError, Problem, UnreachableError
from tests.builders.clusters import a_cluster, a_node_config
from tests.builders.ssh_cases import BROKEN, CASES, CONFIGS, KNOWN_HOSTS, Case
from tests.doubles.openssh import AS_ACCOUNT, NAMESPACE, Seen, World, known_files, login_text, world
from tests.paths import ROOT


@dataclass(frozen=True, slots=True)
class Compared:
    """What ssh does in each case, and what we do."""

    home: Mapping[str, Path]
    by_ssh: Mapping[str, Future[Seen]]
    by_us: Mapping[str, Future[Seen]]
    environment: Mapping[str, Mapping[str, str]]
    login: Mapping[str, str]
    """What `ssh -G` says of files in `$HOME` that is not the account's home."""


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    """All logins, several at a time; what is asked of `ssh -G` goes by the environment, and so one after the other."""
    folder = tmp_path_factory.mktemp("ssh")
    (folder / "world").mkdir()
    by_ssh, by_us, homes, environments, logins = {}, {}, {}, {}, {}
    with (
        world(folder / "world") as made,
        ThreadPoolExecutor(6) as pool,
        pytest.MonkeyPatch.context() as patch,
    ):
        ports = noted_ports(patch)
        for number, (name, case) in enumerate(CASES.items()):
            by_ssh[name] = pool.submit(made.ssh, case, made.home(case, folder / f"ssh{number}"))
            homes[name] = made.home(case, folder / f"ours{number}")
            patch.delenv("SSH_AUTH_SOCK", raising=False)
            environments[name] = made.environment(homes[name], case)
            for variable, value in environments[name].items():
                patch.setenv(variable, value)
            logins[name] = login_text(case.address)
            by_us[name] = pool.submit(ours, asked(case), made, homes[name], ports)
        yield Compared(homes, by_ssh, by_us, environments, logins)


def noted_ports(patch: pytest.MonkeyPatch) -> dict[int, list[int]]:
    """Thread → the ports from which our connections come, as the machines log them."""
    ports: dict[int, list[int]] = {}
    transport = login._transport

    def noted(judge: Any, sock: Any, **options: Any) -> paramiko.Transport:
        if isinstance(sock, socket.socket) and sock.family == socket.AF_INET:
            ports.setdefault(threading.get_ident(), []).append(sock.getsockname()[1])
        return transport(judge, sock, **options)

    patch.setattr(login, "_transport", noted)
    return ports


def cluster(case: Case) -> ClusterConfig:
    ssh = SshConfig(host_keys=case.policy)  # type: ignore[arg-type]
    node = a_node_config("node1", address=case.address)
    return a_cluster("node1", nodes=(node,), ssh=ssh, timeouts=TimeoutsConfig(connect_s=10, command_s=20))


def asked(case: Case) -> NodeClient | ClusterError:
    """A client that knows of `ssh -G` how it logs in, on the whole way; or what ssh has against it."""
    config = cluster(case)
    openssh = OpenSsh()
    try:
        login.way_to(config, config.nodes[0], openssh)
    except ClusterError as error:
        return error
    return NodeClient(config, config.nodes[0], openssh=openssh)


def ours(client: NodeClient | ClusterError, world: World, home: Path, ports: dict[int, list[int]]) -> Seen:
    """A login of ours."""
    if isinstance(client, ClusterError):
        return Seen(ended(client), problems=client.problems)
    mine: list[int] = []
    ports[threading.get_ident()] = mine
    before = [len(text) for text in world.logged()]
    end = "in"
    problems: tuple[Problem, ...] = ()
    try:
        client.open()
    except ClusterError as error:
        end, problems = ended(error), error.problems
    finally:
        client.close()
    said = said_of(mine, world, before)
    tried = re.findall(r"(?m)^(?:Failed|Accepted) publickey for .* port (\d+) ssh2: \S+ (SHA256:\S+)", said)
    return Seen(end, tuple(key for port, key in tried if int(port) in mine), known_files(home), problems=problems)


def said_of(ports: list[int], world: World, since: list[int]) -> str:
    """What the machines log of connections, to their last word: it may come after the answer that a client has."""
    last = r"(?m)^(?:Accepted|Disconnect\w+|Connection (?:closed|reset)|Received disconnect)\b.* port %d\b"
    end = time.monotonic() + 30
    while True:
        said = "".join(world.logged(since))
        heard = [port for port in ports if re.search(rf"port {port}\b", said)]
        if all(re.search(last % port, said) for port in heard) or time.monotonic() > end:
            return said
        time.sleep(0.05)


def ended(error: ClusterError) -> str:
    if isinstance(error, ConfigError):
        return "config"
    assert isinstance(error, UnreachableError) and error.problems[0].hint and error.problems[0].node == "node1"
    reasons = {"is revoked": "revoked", "has changed": "changed", "is not known": "new", "cannot log in": "refused"}
    return next((reason for words, reason in reasons.items() if words in str(error)), "no connection")


@pytest.mark.parametrize("name", [*CONFIGS, *KNOWN_HOSTS])
def test_a_login_ends_as_one_of_ssh_itself(compared: Compared, name: str) -> None:
    mine, its = compared.by_us[name].result(60), compared.by_ssh[name].result(60)
    assert (mine.end, mine.known) == (its.end, its.known), f"{mine.problems}\n{its.said}"
    if CASES[name].offers:
        assert mine.offered == its.offered, f"{mine.problems}\n{its.said}"


@pytest.mark.parametrize("name", BROKEN)
def test_what_ssh_cannot_read_is_told_with_its_file_and_line(compared: Compared, name: str) -> None:
    mine, its = compared.by_us[name].result(60), compared.by_ssh[name].result(60)
    assert mine.end == its.end == "config", its.said
    theirs = re.findall(r"(?m)^/\S+/ssh\d+/(\S+?):? line (\d+): (?!Deprecated|Unsupported)", its.said)
    told = [(problem.file or "", problem.line) for problem in mine.problems if problem.line is not None]
    assert told == [(str(compared.home[name] / file), int(line)) for file, line in theirs]
    assert all("\n" not in problem.what and problem.hint for problem in mine.problems)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("RevokedHostKeys that is no list of keys", "line 1 of {home}/revoked is not a public key"),
        ("RevokedHostKeys with a damaged line", "line 2 of {home}/revoked is not a public key"),
        ("RevokedHostKeys that is not there", "there is no file {home}/revoked"),
        ("RevokedHostKeys in OpenSSH's own form, damaged", "ssh-keygen cannot read {home}/revoked: "),
        ("KnownHostsCommand without its directory", "'echo' is not an absolute path"),
    ],
)
def test_what_keeps_host_keys_from_being_known_is_told(compared: Compared, name: str, fault: str) -> None:
    (problem,) = compared.by_us[name].result(60).problems
    assert fault.format(home=compared.home[name]) in str(problem) + (problem.hint or "")


AT_HOME = """\
import json, os, shutil, sys
from tests.doubles.openssh import login_text
found = {}
for name, (address, environment) in json.load(sys.stdin).items():
    os.environ.pop("SSH_AUTH_SOCK", None)
    shutil.copyfile(environment["HOME"] + "/passwd", "/etc/passwd")
    os.environ.update(environment if sys.argv[1] == "whole" else environment | {"HOME": ""})
    found[name] = login_text(address)
print(json.dumps(found))
"""


@pytest.mark.parametrize("home", ["whole", "empty"])
def test_what_is_in_home_counts_alike_where_that_is_the_home_of_the_account(
    compared: Compared, tmp_path: Path, home: str
) -> None:
    """There ssh reads the files themselves; elsewhere it gets copies, in which a home is another."""
    (tmp_path / "passwd").write_bytes(Path("/etc/passwd").read_bytes())
    names = list(CASES)
    if home == "empty":  # of Include ssh itself goes by $HOME
        names = [name for name in CASES if "Include" not in CASES[name].config][::8]
    asked_for = {name: (CASES[name].address, compared.environment[name]) for name in names}
    done = subprocess.run(
        [*NAMESPACE, AS_ACCOUNT, "sh", str(tmp_path), sys.executable, "-c", AT_HOME, home],
        input=json.dumps(asked_for),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert json.loads(done.stdout) == {name: compared.login[name] for name in names}

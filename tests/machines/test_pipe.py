"""clients/pipe.py over a real SSH server: bytes both ways, noise, and what is left when we are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparkqfs.clients.pipe import feed, pass_on, relay
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.errors import ClusterError, DeadlineError, ExitCode
from sparkqfs.files import moving
from tests.doubles.far_files import access, place
from tests.doubles.servers import Sshd, sshd
from tests.paths import ROOT

KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.doubles.servers import Sshd
from tests.doubles.far_files import access, place
from sparkqfs.files import moving
server = Sshd(port={port}, key=Path({key!r}), host_key="")
moving.put(access(server, Path({home!r})), "-", place(Path({home!r}), "/x"), overwrite=False, stdin=0)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def test_many_files_go_over_several_channels_and_come_back(server: Sshd, tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(12):
        (tree / str(number)).write_bytes(os.urandom(400_000 * number))
    opened = access(server, tmp_path)
    assert moving.put(opened, str(tree), place(tmp_path, "/t"), overwrite=False).state == "changed"
    assert moving.put(opened, str(tree), place(tmp_path, "/t"), overwrite=False).state == "unchanged"
    assert moving.get(opened, place(tmp_path, "/t"), str(tmp_path / "back"), overwrite=False).state == "changed"
    for number in range(12):
        assert (tree / str(number)).read_bytes() == (tmp_path / "back" / str(number)).read_bytes()


def test_three_megabytes_on_standard_error_hold_up_nothing(server: Sshd, tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    (tmp_path / "file").write_bytes(os.urandom(5_000_000))
    opened = access(server, tmp_path, "noisy")
    assert moving.put(opened, str(tmp_path / "file"), place(tmp_path, "/x"), overwrite=False).state == "changed"


def test_a_server_that_says_nothing_is_given_up(server: Sshd, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    opened = access(server, tmp_path, "hangs", stall_s=1)
    with pytest.raises(ClusterError, match=r"\[node1\] .*no answer in time") as caught:
        moving.put(opened, str(tmp_path / "file"), place(tmp_path, "/x"), overwrite=False)
    assert caught.value.exit_code == ExitCode.FAILED


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_of_a_put_that_was_ended_nothing_is_left_and_the_next_one_does_it(
    server: Sshd, tmp_path: Path, sent: signal.Signals
) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    values = {"root": str(ROOT), "port": server.port, "key": str(server.key)}
    program = KILLED.format(**values, home=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(os.urandom(2_000_000))
        process.stdin.flush()
        wait(lambda: any(path.stat().st_size > 1_000_000 for path in storage.iterdir()))
        process.send_signal(sent)
        process.wait(30)  # before its standard input ends: an end is the end of the file
    wait(lambda: not list(storage.iterdir()))
    (tmp_path / "file").write_bytes(os.urandom(2_000_000))
    assert moving.put(
        access(server, tmp_path), str(tmp_path / "file"), place(tmp_path, "/x"), overwrite=False
    ).state == ("changed")


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def client(server: Sshd, tmp_path: Path) -> Iterator[NodeClient]:
    config = server.cluster(tmp_path / "known_hosts")
    opened = NodeClient(config, config.manager)
    yield opened
    opened.close()


def test_what_one_program_prints_is_read_by_another_whole(client: NodeClient) -> None:
    give = ["sh", "-c", "seq 3000000; seq 200000 >&2"]  # more on standard error than a channel holds
    wanted = subprocess.check_output(["sh", "-c", "seq 3000000 | sha256sum"], text=True)
    assert relay(client, give, client, ["sha256sum"], timeout_s=60) == wanted


@pytest.mark.parametrize(
    ("give", "take", "said"),
    [
        ("echo half; echo no more >&2; exit 3", "cat >/dev/null; echo cut off >&2; exit 1", "no more"),
        ("seq 3000000", "head -c 10 >/dev/null; echo disk full >&2; exit 74", "disk full"),
    ],
)
def test_whoever_of_the_two_fails_first_is_quoted(client: NodeClient, give: str, take: str, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        relay(client, ["sh", "-c", give], client, ["sh", "-c", take], timeout_s=60)


def test_a_file_of_this_computer_is_read_there_and_a_program_that_never_ends_is_not_waited_for(
    client: NodeClient,
) -> None:
    assert feed([b"some ", b"bytes"], client, ["cat"], timeout_s=30) == "some bytes"
    with pytest.raises(ClusterError) as caught:
        feed([b"x"], client, ["sh", "-c", "exec >&-; sleep 30"], timeout_s=2)
    assert caught.value.exit_code == ExitCode.TIMEOUT


@pytest.mark.parametrize(("script", "code"), [("echo a; exit 3", 3), ("echo a; kill -9 $PPID; sleep 20", None)])
def test_a_connection_that_breaks_is_not_an_exit_code(client: NodeClient, script: str, code: int | None) -> None:
    """Its parent is this connection's sshd."""
    out: list[tuple[str, bytes]] = []
    found = pass_on(client, ["sh", "-c", script], b"", lambda *some: out.append(some), timeout_s=30)
    assert found == code
    assert code is None or out == [("stdout", b"a\n")]  # what is on its way when a connection breaks may be lost


@pytest.mark.parametrize(("argv", "stdin"), [(["yes"], b""), (["sleep", "60"], bytes(64 << 20))])
def test_the_time_is_over_for_a_program_that_writes_or_does_not_read(
    client: NodeClient, argv: list[str], stdin: bytes
) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineError, match="did not end within 1 s"):
        pass_on(client, argv, stdin, lambda *_some: None, timeout_s=1)
    assert time.monotonic() - began < 20

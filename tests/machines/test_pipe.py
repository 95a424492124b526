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

from sparkqfs.errors import ClusterError, ExitCode
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
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)

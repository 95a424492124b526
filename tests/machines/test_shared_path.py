"""jobs/storage/shared_path.py against real OpenSSH servers; a second machine is a mount namespace of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import SharedConfig, StorageConfig
from sparkqfs.errors import ClusterError, ExitCode
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import shared_path
from sparkqfs.jobs.storage.shared_path import check_shared_path, shared_path_problems
from tests.builders.clusters import a_cluster
from tests.doubles.servers import Sshd, sshd

OWNER = 6700
TMPFS = "mount -t tmpfs -o mode=755 elsewhere {}; install -d -o 6700 {}/spark"
READ_ONLY = "mount --bind {} {}; mount -o remount,bind,ro {}"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory that the owner can reach, with the cluster's own directory in it."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(shared_path, "CACHE_S", 1)
    path = Path(tempfile.mkdtemp(prefix="sparkqfs-shared-"))
    path.chmod(0o755)
    (path / "spark").mkdir()
    os.chown(path / "spark", OWNER, OWNER)
    yield path
    shutil.rmtree(path)


@contextlib.contextmanager
def a_session(path: Path, *servers: Sshd) -> Iterator[Session]:
    """A cluster with a machine on each of the servers, the first the manager."""
    with tempfile.TemporaryDirectory() as folder:
        base = servers[0].cluster(Path(folder) / "known_hosts")
        nodes = tuple(
            replace(base.nodes[0], name=f"node{number}", port=server.port, manager=number == 1)
            for number, server in enumerate(servers, 1)
        )
        storage = StorageConfig(kind="shared", shared=SharedConfig(path=PurePosixPath(path)))
        config = replace(base, nodes=nodes, storage=storage)
        clients = Clients(config)
        try:
            yield Session(config, clients, lambda _text: None)
        finally:
            clients.close()


@contextlib.contextmanager
def elsewhere(key_of: Sshd, path: Path, mounts: str) -> Iterator[Sshd]:
    """A server that sees `path` with other mounts than this machine does, and takes the same key."""
    script = f'set -e; {mounts.replace("{}", str(path))}; exec "$@"'
    folder = Path(tempfile.mkdtemp())
    try:
        with sshd(
            folder, through=["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
        ) as running:
            shutil.copy(key_of.key.with_suffix(".pub"), folder / "authorized_keys")
            yield running
    finally:
        shutil.rmtree(folder)


def faults(session: Session) -> list[str]:
    with pytest.raises(ClusterError) as caught:
        check_shared_path(session)
    assert caught.value.exit_code == ExitCode.FAILED
    assert all(problem.hint for problem in caught.value.problems)
    return [str(problem).splitlines()[0] for problem in caught.value.problems]


def left(path: Path) -> list[str]:
    return [entry.name for entry in (path / "spark").iterdir()]


def test_one_directory_on_all_machines_passes_and_nothing_is_left_in_it(here: Sshd, shared: Path) -> None:
    with a_session(shared, here, here, here) as session:
        check_shared_path(session)
    assert left(shared) == []


def test_a_single_machine_passes(here: Sshd, shared: Path) -> None:
    with a_session(shared, here) as session:
        check_shared_path(session)
    assert left(shared) == []


def test_directories_that_only_look_alike_are_refused_with_what_each_is_on(here: Sshd, shared: Path) -> None:
    with elsewhere(here, shared, TMPFS) as other, a_session(shared, here, other, here) as session:
        (fault,) = faults(session)
        output = session.clients.node("node2").run(["ls", "-A", f"{shared}/spark"]).stdout
    assert fault.startswith(
        f"[node2] {shared} is not the directory that node1 has under that name: a token written there is not seen here"
    )
    assert re.search(r"\(node1: \S+ on \S+, node2: tmpfs on elsewhere\)$", fault)
    assert (left(shared), output) == ([], "")


def test_a_machine_that_may_only_read_is_named(here: Sshd, shared: Path) -> None:
    with elsewhere(here, shared, READ_ONLY) as other, a_session(shared, here, other) as session:
        assert faults(session) == [f"[node2] {shared}: cannot be written by uid 6700: Read-only file system"]
    assert left(shared) == []


def test_a_directory_that_the_owner_may_not_write_is_named(here: Sshd, shared: Path) -> None:
    os.chown(shared / "spark", 0, 0)
    with a_session(shared, here, here) as session:
        assert faults(session) == [f"[node1] {shared}: cannot be written by uid 6700: Permission denied"]


def test_a_path_that_is_missing_is_named_on_every_machine(here: Sshd, shared: Path) -> None:
    with a_session(shared / "none", here, here) as session:
        assert faults(session) == [f"[node{n}] {shared}/none: No such file or directory" for n in (1, 2)]


def test_a_file_is_no_mount_point(here: Sshd, shared: Path) -> None:
    (shared / "file").write_text("x")
    with a_session(shared / "file", here) as session:
        assert faults(session) == [f"[node1] {shared}/file: a regular file, not a directory"]


def test_the_clusters_own_directory_is_wanted_only_once_it_is_prepared(here: Sshd, shared: Path) -> None:
    (shared / "spark").rmdir()
    with a_session(shared, here, here) as session:
        assert shared_path_problems(session, prepared=False) == ()
        assert faults(session) == [f"[node1] {shared}/spark is missing"]


def test_a_token_that_a_cache_hides_at_first_is_waited_for(here: Sshd, shared: Path) -> None:
    def write_late() -> None:
        time.sleep(0.6)
        (shared / "spark" / ".sparkqfs-token-late").write_text("late")

    writer = threading.Thread(target=write_late)
    with a_session(shared, here, here) as session:
        session.clients.node("node2").open()
        writer.start()
        assert shared_path._look(session, "node2", "read", "late").state == "seen"
    writer.join()


def test_a_machine_whose_file_system_does_not_answer_is_named(
    here: Sshd, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_path, "CACHE_S", 60)  # it looks for longer than it is given
    monkeypatch.setattr(shared_path, "ANSWER_S", 1.0)
    with elsewhere(here, shared, TMPFS) as other, a_session(shared, here, other) as session:
        assert faults(session) == [f"[node2] {shared} does not answer within 1 s"]
    assert left(shared) == []


@pytest.mark.parametrize("ending", [KeyboardInterrupt, RuntimeError])
def test_the_token_goes_away_however_the_look_ends(here: Sshd, shared: Path, ending: type[BaseException]) -> None:
    with a_session(shared, here) as session:
        with pytest.raises(ending), shared_path._written(session, "abc"):
            assert left(shared) == [".sparkqfs-token-abc"]
            raise ending
        assert left(shared) == []


def test_the_token_goes_away_when_the_connection_is_lost(here: Sshd, shared: Path) -> None:
    with a_session(shared, here) as session, shared_path._written(session, "abc"):
        session.clients.manager.close()
        deadline = time.monotonic() + 30
        while left(shared) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left(shared) == []


def test_a_cluster_without_a_shared_directory_is_not_asked() -> None:
    config = a_cluster()
    check_shared_path(Session(config, Clients(config), lambda _text: None))

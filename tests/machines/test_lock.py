"""jobs/session.py: the cluster's lock on a real SSH server, while its holder lives, falls silent and dies."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.errors import ClusterError, RefusedError
from sparkqfs.jobs import session as base
from sparkqfs.jobs.session import Session, cluster_lock
from tests.doubles.servers import Sshd, sshd

NAME = f"lock-{os.getpid()}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running
    for file in Path("/run/lock").glob(f"sparkqfs-*{NAME}.lock"):
        file.unlink()


def clients_of(server: Sshd, folder: Path) -> Clients:
    """Of a cluster whose name and data directory no other on this machine has."""
    config = server.cluster(folder / "known_hosts")
    nodes = tuple(replace(node, data_dirs=(PurePosixPath(f"/mnt/{NAME}"),)) for node in config.nodes)
    return Clients(replace(config, name=NAME, nodes=nodes))


@pytest.fixture
def session(server: Sshd, tmp_path: Path) -> Iterator[Session]:
    clients = clients_of(server, tmp_path)
    yield Session(clients.config, clients, lambda _: None)
    clients.close()


@pytest.fixture
def other(server: Sshd, tmp_path: Path) -> Iterator[Session]:
    """Another run."""
    clients = clients_of(server, tmp_path)
    yield Session(clients.config, clients, lambda _: None)
    clients.close()


def rhythm(monkeypatch: pytest.MonkeyPatch, beat_s: float, silence_s: int) -> None:
    monkeypatch.setattr(base, "BEAT_S", beat_s)
    monkeypatch.setattr(base, "SILENCE_S", silence_s)


def is_taken(run: Session) -> bool:
    try:
        with cluster_lock(run, "prep"):
            return False
    except RefusedError:
        return True


def test_a_run_that_works_longer_than_the_silence_it_is_allowed_keeps_the_lock(
    session: Session, other: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    rhythm(monkeypatch, 0.3, 6)
    with cluster_lock(session, "deploy"):
        time.sleep(8)
        assert is_taken(other)
        assert session.clients.manager.run(["echo", "on"]).stdout == "on\n"
    assert not is_taken(other)


def test_the_lock_of_a_run_that_fell_silent_is_free_and_that_run_does_nothing_more(
    session: Session, other: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    rhythm(monkeypatch, 4, 1)
    with cluster_lock(session, "deploy"):
        assert session.clients.manager.run(["echo", "on"]).stdout == "on\n"
        time.sleep(2)
        assert not is_taken(other)
        time.sleep(3)
        with pytest.raises(RefusedError, match="lost the lock"):
            session.clients.manager.run(["echo", "on"])
        assert not is_taken(other)


def test_a_run_that_is_gone_leaves_no_lock(session: Session, other: Session) -> None:
    lock = cluster_lock(session, "deploy")
    lock.__enter__()
    assert is_taken(other)
    session.clients.close()
    assert not is_taken(other)


@pytest.mark.parametrize(
    ("said", "hint"), [("sudo: a password is required", "--sudo-password-file"), ("flock: not found", None)]
)
def test_what_the_machine_says_instead_of_the_lock_is_told(
    session: Session, monkeypatch: pytest.MonkeyPatch, said: str, hint: str | None
) -> None:
    monkeypatch.setattr(base, "LOCK_SCRIPT", f"echo '{said}' >&2; exit 1")
    with pytest.raises(ClusterError) as refused, base.cluster_lock(session, "up"):
        pass
    (problem,) = refused.value.problems
    assert problem.what == f"cannot take the lock: {said}"
    assert (hint or "") in (problem.hint or "") and bool(hint) is bool(problem.hint)

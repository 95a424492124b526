"""Storage `shared` on container machines with a real shared file system over them; made once for this module."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from sparkqfs.clients.connect import open_clients
from sparkqfs.config.loading import load_config
from sparkqfs.config.model import ClusterConfig, SharedConfig, StorageConfig
from sparkqfs.errors import ClusterError
from sparkqfs.jobs.cluster import prep
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage.shared_path import check_shared_path
from sparkqfs.local.cluster import local_down, local_up
from tests import phases

pytestmark = pytest.mark.cluster

NAME = f"shared-{os.getpid()}"


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, timeout=120).stdout.strip()


def on_node(number: int, *argv: str) -> str:
    return docker("exec", f"{NAME}-node{number}", *argv)


def up(file: Path) -> list[str]:
    events: list[str] = []
    with phases.counted_as(phases.MACHINES):
        local_up(name=NAME, nodes=2, file=file, storage="shared", on_event=events.append)
    return events


def check(config: ClusterConfig, here: str | None = None) -> None:
    """As `invoke prep` and `invoke deploy` do; `here` says that the files are at the path that is named now."""
    with open_clients(config) as clients:
        session = Session(config, clients, lambda _text: None)
        assert prep.run(session, here=here).problems == ()
        check_shared_path(session)


@pytest.fixture(scope="class")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    file = tmp_path_factory.mktemp("shared") / "hosts.yml"
    try:
        up(file)
        yield file
    finally:
        with phases.counted_as(phases.MACHINES):
            local_down(name=NAME, file=file, on_event=lambda _text: None)
    mine = f"label=sparkqfs.local={NAME}"
    assert docker("ps", "-aq", "--filter", mine) + docker("volume", "ls", "-q", "--filter", mine) == ""


class TestGlusterfs:
    """One file system over two machines."""

    def test_the_token_of_one_machine_is_seen_on_the_other_and_goes_away(self, machines: Path) -> None:
        check(load_config(machines))
        for number in (1, 2):
            assert on_node(number, "findmnt", "-nro", "FSTYPE", "/mnt/shared") == "fuse.glusterfs"
            assert on_node(number, "find", "/mnt/shared/spark", "-mindepth", "1") == ""

    def test_containers_on_both_machines_write_and_read_as_the_owner(self, machines: Path) -> None:
        image = "sparkqfs-local/debian:bookworm"
        owner = ("run", "--rm", "--user", "6700:6700", "-v", "/mnt/shared/spark:/data", image)
        on_node(1, "docker", *owner, "sh", "-c", "mkdir -m 750 /data/kept; echo first >/data/kept/file")
        archive = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
        subprocess.run(
            ["docker", "exec", "-i", f"{NAME}-node2", "docker", "load"], stdin=archive.stdout, check=True, timeout=120
        )
        assert archive.wait(60) == 0
        on_node(2, "docker", *owner, "sh", "-c", "echo second >>/data/kept/file; mv /data/kept/file /data/kept/moved")
        assert on_node(1, "cat", "/mnt/shared/spark/kept/moved") == "first\nsecond"

    def test_a_machine_that_was_stopped_mounts_it_again(self, machines: Path) -> None:
        docker("stop", f"{NAME}-node2")
        assert up(machines) == ["[node2] started"]
        assert on_node(2, "cat", "/mnt/shared/spark/kept/moved") == "first\nsecond"
        check(load_config(machines))

    def test_local_directories_of_the_same_name_are_refused(self, machines: Path) -> None:
        for number in (1, 2):
            on_node(number, "install", "-d", "-o", "6700", "/mnt/alike/spark")
        storage = StorageConfig(kind="shared", shared=SharedConfig(path=PurePosixPath("/mnt/alike")))
        moved = replace(load_config(machines), storage=storage)
        with pytest.raises(ClusterError) as caught:
            check(moved, here=moved.name)
        (problem,) = caught.value.problems
        assert problem.node == "node2"
        assert problem.what.startswith("/mnt/alike is not the directory that node1 has under that name: a token")
        assert re.search(r"\(node1: (\S+) on \S+, node2: \1 on \S+\)$", problem.what)
        check(load_config(machines), here=moved.name)

    def test_a_mount_that_is_there_is_not_changed_for_another(self, machines: Path) -> None:
        with pytest.raises(ClusterError, match="has glusterfs at /mnt/shared, not bind"):
            local_up(
                name=NAME, nodes=2, file=machines, storage="shared", shared_mount="bind", on_event=lambda _text: None
            )

"""Tables that are updated: one of several writers commits, all others are told in the words that Delta goes on by."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.commit_race import Writer, race, settings, writers
from tests.storage.hdfs_cluster import HdfsCluster
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import Kit, node_environment

ROUNDS = 100
HDFS_ROUNDS = 40
"""A file is made in a tenth of the time on QFS."""
WRITERS = 8
HADOOP = "org.apache.hadoop.fs."


@pytest.fixture(scope="module")
def qfs_writers(kit: Kit, cluster: QfsCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Writer]]:
    """As many processes as race in the bench."""
    environment, home = node_environment(cluster), tmp_path_factory.mktemp("writers")
    with writers(cluster.uri, WRITERS, kit.class_path, settings("qfs"), environment, home) as running:
        yield running


@pytest.fixture(scope="module")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    """A namenode and a datanode."""
    home = tmp_path_factory.mktemp("hdfs")
    for name in ("name", "data"):
        (home / name).mkdir()
    with HdfsCluster(HdfsCluster.find_class_path(), home, home / "name", home / "data", "true") as cluster:
        yield cluster


def test_one_of_the_writers_wins_each_race_on_qfs(qfs_writers: list[Writer]) -> None:
    assert race(qfs_writers, "/log", ROUNDS) == {"one winner": ROUNDS}


def test_one_of_the_writers_wins_each_race_on_hdfs(kit: Kit, hdfs: HdfsCluster, tmp_path: Path) -> None:
    with writers(hdfs.uri, WRITERS, kit.class_path, settings("hdfs"), os.environ, tmp_path) as running:
        assert race(running, "/log", HDFS_ROUNDS) == {"one winner": HDFS_ROUNDS}


def test_a_rename_says_what_is_in_its_way(qfs_writers: list[Writer]) -> None:
    writer = qfs_writers[0]
    for name in (
        "mkdir /way/full",
        "create /way/full/file 1",
        "mkdir /way/empty",
        "create /way/ü 1",
        "create /way/b 2",
    ):
        assert writer(*name.split()) == "done"
    for source, target, options, error in (
        ("/way/ü", "/way/b", "none", f"{HADOOP}FileAlreadyExistsException"),
        ("/way/ü", "/way/ü", "none", f"{HADOOP}FileAlreadyExistsException"),
        ("/way/ü", "/way/ü", "overwrite", f"{HADOOP}FileAlreadyExistsException"),
        ("/way/ü", "/way/empty", "none", f"{HADOOP}FileAlreadyExistsException"),
        ("/way/empty", "/way/full", "none", f"{HADOOP}FileAlreadyExistsException"),
        ("/way/absent", "/way/b", "none", "java.io.FileNotFoundException"),
        ("/way/absent", "/way/absent", "none", "java.io.FileNotFoundException"),
        ("/way/ü", "/absent/b", "none", "java.io.FileNotFoundException"),
        ("/way/ü", "/way/b/c", "none", f"{HADOOP}ParentNotDirectoryException"),
        ("/way/ü", "/way/empty", "overwrite", "java.io.IOException"),
        ("/way/empty", "/way/b", "overwrite", "java.io.IOException"),
        ("/way/empty", "/way/full", "overwrite", "java.io.IOException"),
        ("/way/full", "/way/full/below", "none", "java.io.IOException"),
    ):
        said = writer("rename", source, target, options)
        assert said.startswith(f"{error}: ") and (source in said or target in said), (source, target, options, said)
    assert writer("rename", "/way/ü", "/way/b", "overwrite") == "done"
    assert writer("rename", "/way/b", "/way/c", "overwrite") == "done"
    assert writer("lengths", "/way") == "1 0 0"


@pytest.mark.parametrize("way", ["create", "create-as-spark"])
def test_a_file_that_is_there_is_not_made(qfs_writers: list[Writer], way: str) -> None:
    writer = qfs_writers[0]
    assert writer(way, f"/made-by-{way}", 1) == "done"
    assert writer(way, f"/made-by-{way}", 2).startswith(f"{HADOOP}FileAlreadyExistsException: ")


def test_each_commit_asks_for_a_file_context_and_no_client_stays_behind(qfs_writers: list[Writer]) -> None:
    writer = qfs_writers[0]
    tasks = Path(f"/proc/{writer.process.pid}/task")
    assert writer("contexts", 5) == "done"
    before = len(list(tasks.iterdir()))
    assert writer("contexts", 50) == "done"
    assert len(list(tasks.iterdir())) < before + 10


def test_a_directory_that_is_there_is_said_so_too(qfs_writers: list[Writer]) -> None:
    writer = qfs_writers[0]
    assert writer("mkdir", "/twice") == "done" == writer("mkdir", "/twice")
    assert writer("mkdir-alone", "/twice").startswith(f"{HADOOP}FileAlreadyExistsException: ")
    assert writer("mkdir-alone", "/absent/twice").startswith("java.io.FileNotFoundException: ")

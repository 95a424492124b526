"""A file that is closed through our Hadoop file system is finished on every node that has a copy, in real QFS."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage import shipped_syncs
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import NODE, Kit, node_environment
from tests.storage.shipped_syncs import CORE_SITE

NODES = (NODE, "127.0.0.3")
FILES = 40


@pytest.fixture(scope="module")
def cluster(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QfsCluster]:
    """Two nodes with the shipped settings."""
    home = tmp_path_factory.mktemp("closes")
    extra: dict[str, Any] = {"meta_extra": shipped_syncs.meta(), "server_extra": shipped_syncs.chunk()}
    with QfsCluster(kit.qfs_home, home, addresses=NODES, **extra) as running:
        yield running


def unfinished(kit: Kit, cluster: QfsCluster, conf: Path, *, waits: bool) -> int:
    """Of so many files, one after the other, those that lacked a finished copy on a node when their close returned."""
    conf.mkdir()
    (conf / "core-site.xml").write_text(CORE_SITE.format(waits="true" if waits else "false"), encoding="utf-8")
    words = ("Acknowledged", "write", cluster.uri, str(FILES), "2000")
    before = {node: len(cluster.chunk_files(node)) for node in NODES}
    argv = ("java", "-XX:TieredStopAtLevel=1", "-cp", f"{conf}:{kit.class_path}", *words)
    late = 0
    with subprocess.Popen(argv, env=node_environment(cluster), stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for number, line in enumerate(writer.stdout, start=1):
            late += any(len(cluster.chunk_files(node)) - before[node] < number for node in NODES)
            assert line == "done\n"
    assert writer.returncode == 0
    cluster.wait(lambda: all(len(cluster.chunk_files(n)) == before[n] + FILES for n in NODES), "finished chunks")
    cluster.run("-rm", "-skipTrash", *(f"/f{number}" for number in range(FILES)))
    return late


def test_a_close_returns_when_every_copy_is_finished(kit: Kit, cluster: QfsCluster, tmp_path: Path) -> None:
    assert unfinished(kit, cluster, tmp_path / "waits", waits=True) == 0


def test_without_waiting_it_returns_before_that(kit: Kit, cluster: QfsCluster, tmp_path: Path) -> None:
    """Else the test above could not fail."""
    assert unfinished(kit, cluster, tmp_path / "not", waits=False) > 0

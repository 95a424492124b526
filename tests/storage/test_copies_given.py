"""A closed file has the copies that were asked for, when so many chunkservers could take one; in real QFS.

QFS 2.2.8 counts every chunk that it gives to a chunkserver as one that is being written there, until that server's
next heartbeat or hello (src/cc/meta/ChunkServer.cc, NewChunkInTier). The first to report seems idle, the others busy.
"""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.storage import shipped_syncs
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import NODE, SIZE, Kit, Reader

OTHERS = ("127.0.0.3", "127.0.0.4")
FILES = 30
NO_HEARTBEAT = "metaServer.chunkServer.heartbeatInterval = 300\nmetaServer.chunkServer.heartbeatTimeout = 600\n"
"""So that a test decides who reports when."""

MISSED_LATE = "metaServer.serverDownReplicationDelay = 300\n"
"""As shipped; the tests' own clusters wait for two seconds."""


def put(cluster: QfsCluster, directory: str, source: Path) -> None:
    """Small files with three copies, one after the other."""
    cluster.run("-mkdir", directory)
    source.mkdir()
    files = [source / f"{directory[1:]}{number}" for number in range(FILES)]
    for file in files:
        file.write_bytes(b"x" * 2_000)
    cluster.run("-D", "fs.createParams=3", "-put", *map(str, files), directory)


def allocated(cluster: QfsCluster) -> list[int]:
    """How many chunkservers the metaserver gave each chunk to."""
    return [len(servers) for servers in allocated_to(cluster)]


def allocated_to(cluster: QfsCluster) -> list[list[str]]:
    """Their addresses, by the metaserver's transaction log."""
    logs = sorted((cluster.home / "logs").glob("log.[0-9]*"))
    lines = "".join(log.read_text(encoding="utf-8") for log in logs)
    found = re.findall(r"^a/LA=.*;S=([^;]*);", lines, re.MULTILINE)
    return [[server.partition("p")[0] for server in servers.split(",")] for servers in found]


@pytest.mark.parametrize("is_shipped", [True, False])
def test_a_server_that_has_just_reported_is_not_given_chunks_alone(kit: Kit, tmp_path: Path, is_shipped: bool) -> None:
    """Without the shipped lines it is, else the test could not fail."""
    lines = shipped_syncs.meta() + NO_HEARTBEAT + (shipped_syncs.placement() if is_shipped else "")
    with QfsCluster(kit.qfs_home, tmp_path / "qfs", addresses=(NODE, *OTHERS), meta_extra=lines) as cluster:
        put(cluster, "/before", tmp_path / "before")
        assert Counter(allocated(cluster)) == {3: FILES}
        cluster.stop_server(OTHERS[0])
        cluster.wait(lambda: cluster.up_servers() == 2, "2 chunkservers")
        cluster.start_server(OTHERS[0])
        cluster.wait_for_servers(3)
        put(cluster, "/after", tmp_path / "after")
        after = Counter(allocated(cluster)[FILES:])
        assert after.total() == FILES
        assert (after == {3: FILES}) if is_shipped else (after[1] > 0)


def test_a_close_waits_for_the_copies_that_the_servers_can_take(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a server that is not there it expects none; one that has just died is replaced at once."""
    monkeypatch.setenv("QFS_CLIENT_CONFIG", "client.retryDelaySec=1")
    lines = shipped_syncs.meta() + shipped_syncs.placement() + MISSED_LATE
    with QfsCluster(kit.qfs_home, tmp_path / "qfs", addresses=(NODE,), meta_extra=lines) as cluster:
        reader = Reader(kit, cluster)
        try:
            reader("hold", "/alone", SIZE, 2)
            began = time.monotonic()
            reader("release", "/alone")
            assert time.monotonic() - began < 5, "it waited for a server that is not there"
            reader("hold", "/late", SIZE, 2)
            cluster.wait(lambda: allocated(cluster) == [1, 1], "chunk of one server")
            cluster.start_server(OTHERS[0])
            cluster.wait_for_servers(2)
            reader("release", "/late")
            assert sorted(cluster.locations("/late", SIZE)[-1]) == [NODE, OTHERS[0]]
            cluster.start_server(OTHERS[1])
            cluster.wait_for_servers(3)
            reader("hold", "/died", SIZE, 2)
            cluster.wait(lambda: allocated(cluster) == [1, 1, 2], "chunk of two servers")
            died = next(server for server in OTHERS if server in allocated_to(cluster)[-1])
            cluster.stop_server(died, signal.SIGKILL)
            reader("release", "/died")
            assert set(cluster.locations("/died", SIZE)[-1]) == {NODE, *OTHERS} - {died}
            assert cluster.run("-stat", "%r", "/died").strip() == "2"
        finally:
            reader.close()

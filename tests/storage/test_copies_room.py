"""Copies that are made again take the room that they need, soon after; in real QFS.

QFS 2.2.8 reserves a chunk's 64 MiB for each copy that it makes, and gives the rest back when the file is closed. A
copy's file stays open until it was not used for `chunkServer.inactiveFdsCleanupIntervalSecs`, five minutes unless set,
and until somebody looks, every `chunkServer.checkpointIntervalSecs` (src/cc/chunk/ChunkManager.cc, ReplicationDone:
the replicator still holds it).
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import NODE, Kit
from tests.storage.shipped_syncs import qfs_lines

OTHER = "127.0.0.3"
FILES = 12
RESERVED = 64 << 20
KEYS = ("chunkServer.inactiveFdsCleanupIntervalSecs", "chunkServer.checkpointIntervalSecs")


def room(cluster: QfsCluster, address: str) -> int:
    """Bytes on the disks of one node."""
    return sum(file.stat().st_blocks * 512 for file in cluster.chunk_files(address))


@pytest.mark.parametrize("is_shipped", [True, False])
def test_copies_of_small_files_do_not_fill_the_disk(kit: Kit, tmp_path: Path, is_shipped: bool) -> None:
    """Without the shipped lines they do, else the test could not fail."""
    files = [tmp_path / f"file{number}" for number in range(FILES)]
    for file in files:
        file.write_bytes(b"x" * 2_000)
    extra = qfs_lines("ChunkServer.prp", KEYS) if is_shipped else ""
    with QfsCluster(kit.qfs_home, tmp_path / "qfs", addresses=(NODE,), server_extra=extra) as cluster:
        cluster.run("-mkdir", "/few")
        cluster.run("-D", "fs.createParams=2", "-put", *map(str, files), "/few")
        cluster.start_server(OTHER)
        cluster.wait_for_servers(2)
        cluster.wait(lambda: len(cluster.chunk_files(OTHER)) == FILES, "second copies")
        if is_shipped:
            cluster.wait(lambda: room(cluster, OTHER) < RESERVED, "room that is given back", 10)
        else:
            time.sleep(6)
            assert room(cluster, OTHER) > (FILES - 2) * RESERVED

"""What keeps one file system's chunks from another's daemons: real QFS daemons, with the guards of stack/*.prp."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import STACK
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import Kit

NODE, OTHER = "127.0.0.2", "127.0.0.3"
GUARDS = ("createEmptyFs", "fileSystemIdRequired", "deleteChunkOnFsIdMismatch")
LOOK_S = 3.0
"""For what must not happen: a chunkserver is accepted, and told what to delete, within a second."""


def guards() -> str:
    """The guards' lines as they are deployed."""
    lines = (STACK / "MetaServer.prp").read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if line.split(" ")[0].removeprefix("metaServer.") in GUARDS]
    assert len(found) == len(GUARDS)
    return "\n".join(found) + "\n"


@pytest.fixture(scope="module")
def running(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QfsCluster]:
    """A file system with one file on one node."""
    folder = tmp_path_factory.mktemp("guards")
    with QfsCluster(kit.qfs_home, folder / "qfs", addresses=(NODE,), meta_extra=guards()) as cluster:
        (folder / "file").write_bytes(b"x" * 100_000)
        cluster.run("-D", "fs.createParams=1", "-copyFromLocal", str(folder / "file"), "/file")
        cluster.wait(lambda: cluster.chunk_files(NODE), "a chunk file")
        yield cluster


def chunks(cluster: QfsCluster) -> dict[str, bytes]:
    """Every chunk of the node, wherever the chunkserver may have put it below its directories."""
    paths = [path for top in cluster.chunk_dirs(NODE) for path in top.rglob("*") if path.name.count(".") == 2]
    return {path.name: path.read_bytes() for path in paths if path.name[0].isdigit()}


def test_a_chunkserver_with_another_key_is_not_taken_in(running: QfsCluster) -> None:
    running.start_server(OTHER, "chunkServer.clusterKey = another\n")
    time.sleep(LOOK_S)
    assert running.up_servers() == 1
    running.stop_server(OTHER)


def put_back(cluster: QfsCluster, copy: Path, *options: str) -> None:
    for name in ("checkpoint", "logs"):
        shutil.rmtree(cluster.home / name, ignore_errors=True)
        subprocess.run(("cp", *options, str(copy / name), str(cluster.home / name)), check=True)


def test_a_copy_of_the_metadata_does_where_it_keeps_hard_links(running: QfsCluster, tmp_path: Path) -> None:
    running.stop_server("meta")
    for name in ("checkpoint", "logs"):
        subprocess.run(("cp", "-a", str(running.home / name), str(tmp_path / name)), check=True)
    program, config = str(running.qfs_home / "bin" / "metaserver"), running.home / "meta.prp"
    put_back(running, tmp_path, "-r")
    running.start("meta", program, config)
    assert running.processes.pop("meta").wait(30) != 0
    put_back(running, tmp_path, "-a")
    running.start("meta", program, config)
    running.wait_for_servers(1)
    assert running.run("-cat", "/file") == "x" * 100_000


def test_where_the_metadata_is_gone_none_are_made_and_chunks_outlive_another_file_system(running: QfsCluster) -> None:
    before = chunks(running)
    running.stop_server("meta")
    for name in ("checkpoint", "logs"):
        shutil.move(running.home / name, running.home / f"old-{name}")
        (running.home / name).mkdir()
    program, config = str(running.qfs_home / "bin" / "metaserver"), running.home / "meta.prp"
    running.start("meta", program, config)
    assert running.processes.pop("meta").wait(30) != 0
    assert [path for path in (running.home / "checkpoint").iterdir() if path.name.startswith("chkpt")] == []
    subprocess.run((program, "-c", str(config)), check=True, env=running.environment, capture_output=True)
    running.start("meta", program, config)
    running.stop_server(NODE)  # it reports its chunks when it starts
    running.start_server(NODE)
    log = running.home / "meta.log"
    running.wait(lambda: b"file system id" in log.read_bytes(), "word about chunks of another file system")
    time.sleep(LOOK_S)
    assert running.processes[NODE].poll() is None
    assert chunks(running) == before != {}

"""Blocks of files that a restore gave up, on a disk that comes back: nobody takes them for those of newer files."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

from sparkqfs_runtime.metadata import bundle, states
from sparkqfs_runtime.metadata.kinds import KINDS
from tests.storage.hdfs_cluster import HdfsCluster
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import unpack_qfs

BEYOND = 1 << 50
SIZE = 300_000
SHELL = "org.apache.hadoop.fs.FsShell"
ADMIN = "org.apache.hadoop.hdfs.tools.DFSAdmin"


def state_of(kind: str, top: Path) -> io.BytesIO:
    archive = io.BytesIO()
    bundle.write(states.state_of_master(KINDS[kind], top), archive)
    archive.seek(0)
    return archive


def test_qfs(tmp_path: Path) -> None:
    away, stays = addresses = ("127.0.0.2", "127.0.0.3")
    data = {name: os.urandom(SIZE) for name in ("old", "given-up", "new", "last")}
    for name, content in data.items():
        (tmp_path / name).write_bytes(content)
    home = tmp_path / "home"
    with QfsCluster(unpack_qfs(tmp_path / "qfs"), home, addresses=addresses) as qfs:

        def chunks(address: str) -> set[int]:
            return {int(path.name.split(".")[1]) for path in qfs.chunk_files(address)}

        def put(name: str, copies: int) -> int:
            """The number of its chunk."""
            before = chunks(stays)
            qfs.run("-D", f"fs.createParams={copies}", "-put", str(tmp_path / name), f"/{name}")
            QfsCluster.wait(lambda: len(chunks(stays) - before) == 1, f"the chunk of {name}")
            return max(chunks(stays) - before)

        old = put("old", 2)
        archive = state_of("qfs", home)
        given_up = put("given-up", 2)
        QfsCluster.wait(lambda: chunks(away) == {old, given_up}, "both chunks")
        qfs.stop_server(away)
        qfs.stop_server("meta")
        bundle.lay_out(archive, home, "before", beyond=BEYOND)
        qfs.start_meta()
        qfs.wait_for_servers(1)
        QfsCluster.wait(lambda: chunks(stays) == {old}, "the end of what has no name")
        new = put("new", 1)
        assert BEYOND < new < BEYOND + (1 << 24)
        qfs.start_server(away)
        qfs.wait_for_servers(2)
        QfsCluster.wait(lambda: given_up not in chunks(away), "the end of what has no name")
        qfs.restart_meta()
        qfs.wait_for_servers(2)
        assert new < put("last", 2) < BEYOND + (1 << 24)
        for name in ("old", "new", "last"):
            assert qfs.read(f"/{name}", 60) == data[name], name
        assert qfs.read("/given-up", 60) is None


def test_hdfs(tmp_path: Path) -> None:
    data = {name: os.urandom(SIZE) for name in ("old", "given-up", "new", "last")}
    for name, content in data.items():
        (tmp_path / name).write_bytes(content)
    home, names, disk = (tmp_path / name for name in ("home", "names", "disk"))
    for folder in (home, names, disk):
        folder.mkdir()
    with HdfsCluster(HdfsCluster.find_class_path(), home, names, disk, "true") as hdfs:

        def blocks() -> set[int]:
            return {int(path.name.split("_")[1]) for path in disk.rglob("blk_*.meta")}

        def run(*words: str) -> bytes:
            done = subprocess.run(hdfs.java(*words), capture_output=True, timeout=120, check=False)
            assert done.returncode == 0, done.stderr.decode()[-3000:]
            return done.stdout

        def put(name: str) -> int:
            """The number of its block."""
            before = blocks()
            run(SHELL, "-put", str(tmp_path / name), f"/{name}")
            return max(blocks() - before)

        old = put("old")
        archive = state_of("hdfs", names)
        given_up = put("given-up")
        hdfs.kill()
        bundle.lay_out(archive, names, "before", beyond=BEYOND)
        hdfs.start()
        run(ADMIN, "-safemode", "forceExit")  # as `restore` does: its disk has what is younger than the names
        new = put("new")
        assert BEYOND < new < BEYOND + 100
        run(ADMIN, "-triggerBlockReport", f"127.0.0.1:{hdfs.port_of('datanode.ipc.address')}")
        QfsCluster.wait(lambda: given_up not in blocks(), "the end of what has no name")
        assert blocks() == {old, new}
        hdfs.kill()
        hdfs.start()
        run(ADMIN, "-safemode", "wait")
        assert new < put("last") < BEYOND + 100
        for name in ("old", "new", "last"):
            assert run(SHELL, "-cat", f"/{name}") == data[name], name

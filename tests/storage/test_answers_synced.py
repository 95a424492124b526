"""What QFS has on its disks when it answers: the system calls of real daemons with the settings that are shipped."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage import shipped_syncs
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import find_tarball, unpack_programs

CALLS = "trace=fsync,fdatasync,rename,openat,read,readv,recvfrom,write,writev,sendto"
NODES = ("127.0.0.2", "127.0.0.3")


@pytest.fixture(scope="module")
def qfs_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tarball = find_tarball()
    if tarball is None:
        pytest.skip("no QFS tarball in the download cache or SPARKQFS_QFS_TARBALL")
    home = tmp_path_factory.mktemp("programs")
    unpack_programs(tarball, home)
    return home


@pytest.fixture(scope="module")
def cluster(qfs_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QfsCluster]:
    """Two nodes with the shipped settings."""
    home = tmp_path_factory.mktemp("synced")
    often = "metaServer.checkpoint.interval = 3\n"
    extra: dict[str, Any] = {"meta_extra": shipped_syncs.meta() + often, "server_extra": shipped_syncs.chunk()}
    with QfsCluster(qfs_home, home, addresses=NODES, **extra) as running:
        yield running


class Trace:
    """The system calls of a daemon in the order of their ends, while the context lasts."""

    def __init__(self, cluster: QfsCluster, name: str, out: Path) -> None:
        if shutil.which("strace") is None:
            pytest.skip("no strace")
        pid = str(cluster.processes[name].pid)
        argv = ("strace", "-f", "-y", "-s", "400", "-e", CALLS, "-o", str(out), "-p", pid)
        self.out = out
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        if "attached" not in said:
            self.process.wait(30)
            pytest.skip(f"strace may not attach here: {said.strip()}")

    def lines(self) -> list[str]:
        """Ends it. A call that others came in between of is put together, where it ends."""
        time.sleep(0.2)
        self.process.terminate()
        self.process.wait(30)
        assert self.process.stderr is not None
        self.process.stderr.close()
        begun: dict[str, str] = {}
        whole = []
        for line in self.out.read_text(errors="replace").splitlines():
            pid = line.split(" ", 1)[0]
            if line.endswith("<unfinished ...>"):
                begun[pid] = line.removesuffix("<unfinished ...>").rstrip()
            else:
                whole.append(re.sub(r"^\d+ +<\.\.\. \w+ resumed>", lambda _: begun.pop(pid, ""), line))  # noqa: B023
        return whole


def first(lines: list[str], pattern: str, start: int = 0) -> int:
    """The place of the first line from `start` on that matches."""
    found = (number for number in range(start, len(lines)) if re.search(pattern, lines[number]))
    place = next(found, -1)
    assert place >= 0, f"no {pattern} in\n" + "\n".join(lines[start : start + 60])
    return place


def test_the_transaction_log_is_synced_before_a_directory_is_answered_for(cluster: QfsCluster, tmp_path: Path) -> None:
    trace = Trace(cluster, "meta", tmp_path / "meta.trace")
    cluster.run("-mkdir", "/a")
    lines = trace.lines()
    asked = first(lines, r"MKDIR")
    synced = first(lines, r"fsync\(\d+<[^>]*/logs/log[^>]*>\) += 0", asked)
    answered = first(lines, r"write(v)?\(\d+<(TCP|socket).*OK\\r\\n", asked)
    assert asked < synced < answered, "\n".join(lines[asked : answered + 1])


def test_a_finished_chunk_is_synced_before_it_gets_its_name(cluster: QfsCluster, tmp_path: Path) -> None:
    trace = Trace(cluster, NODES[0], tmp_path / "chunk.trace")
    local = tmp_path / "local"
    local.write_bytes(b"x" * 200_000)
    cluster.run("-D", "fs.createParams=2", "-put", str(local), "/chunk")
    assert cluster.run("-cat", "/chunk") == "x" * 200_000
    lines = trace.lines()
    renamed = first(lines, r'rename\("[^"]*/dirty/[^"]*", "[^"]*/chunk[12]/\d+\.\d+\.\d+"')
    synced = first(lines, r"fsync\(\d+<[^>]*/dirty/[^>]*>\) += 0")
    assert synced < renamed, "\n".join(lines[: renamed + 1])


def test_a_checkpoint_is_written_synchronously(cluster: QfsCluster, tmp_path: Path) -> None:
    """QFS turns its own default round: without the line it is off (2.2.8, MetaRequest.cc, checkpointWriteSyncFlag)."""
    trace = Trace(cluster, "meta", tmp_path / "checkpoint.trace")
    before = set((cluster.home / "checkpoint").glob("chkpt.*"))
    cluster.run("-mkdir", "/for-a-checkpoint")
    cluster.wait(lambda: set((cluster.home / "checkpoint").glob("chkpt.*[0-9]")) - before, "a checkpoint", 20.0)
    lines = trace.lines()
    opened = lines[first(lines, r'openat\(.*/checkpoint/chkpt[^"]*\.tmp"')]
    assert "O_SYNC" in opened, opened


def test_chunks_of_the_old_settings_are_read_with_the_new_ones(qfs_home: Path, tmp_path: Path) -> None:
    with QfsCluster(qfs_home, tmp_path / "qfs", addresses=NODES) as cluster:
        local = tmp_path / "local"
        for number in range(3):
            local.write_bytes(bytes([65 + number]) * 150_000)
            cluster.run("-D", "fs.createParams=2", "-put", str(local), f"/old{number}")
        cluster.wait(lambda: all(len(cluster.chunk_files(node)) == 3 for node in NODES), "finished chunks")
        (cluster.home / "meta.prp").open("a").write(shipped_syncs.meta())
        cluster.restart_meta()
        for node in NODES:
            cluster.stop_server(node)
            cluster.start_server(node, shipped_syncs.chunk())
        cluster.wait_for_servers(len(NODES))
        assert [cluster.run("-cat", f"/old{number}") for number in range(3)] == [x * 150_000 for x in "ABC"]
        assert all(len(cluster.chunk_files(node)) == 3 for node in NODES)

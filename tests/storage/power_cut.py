"""A drill: files that a storage has answered for, then the power goes on all its disks at once. What is left?

    sudo .venv/bin/python -m tests.storage.power_cut [--storage qfs|hdfs] [--files 100] [--file-system ext4|xfs]

Real daemons on loopback with the settings of stack/, each on a disk of its own (loop_disk.py), and once more with the
syncs off: that run must lose files, or the drill proves nothing. Prints a line for each run; exit code 0 when nothing
was lost with the syncs and something without. Takes a minute for a storage. QFS's tarball: as for the other tests.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.paths import PROGRAMS
from tests.storage import shipped_syncs
from tests.storage.hdfs_cluster import HdfsCluster
from tests.storage.loop_disk import LoopDisk, why_not
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import find_tarball, unpack_programs

NODES = ("127.0.0.2", "127.0.0.3")
LARGEST = 200_000
"""Bytes of a file: from 1 to this."""
READ_S = 8.0
"""After that a file whose chunks are all gone counts as lost: QFS's client waits for them."""
DISK_MIB = 16_384
"""Sparse. A chunkserver reserves 64 MiB a chunk; on a small disk the kernel commits early to get that room back."""
FINISHED = PROGRAMS / "finished_chunks.py"


@dataclass
class Outcome:
    """Of a run: how many files were answered for, still had their names, and had all their bytes."""

    acknowledged: int
    named: int
    good: int

    @property
    def lost(self) -> int:
        return self.acknowledged - self.good


@dataclass
class Disks:
    """All disks of a run."""

    home: Path
    kind: str
    disks: list[LoopDisk] = field(default_factory=list)

    def add(self, name: str) -> Path:
        """A new disk; where it is mounted."""
        disk = LoopDisk(self.home / f"{name}.img", self.home / name, self.kind, DISK_MIB)
        self.disks.append(disk)
        return disk.place

    def sync(self) -> None:
        """What was there before the drill is not in question."""
        for disk in self.disks:
            disk.sync()

    def cut(self) -> None:
        """The power, on all of them."""
        for disk in self.disks:
            disk.cut()

    def come_back(self) -> None:
        """The power is back; the daemons have ended."""
        for disk in self.disks:
            disk.unmount()
        for disk in self.disks:
            disk.mount()


@contextmanager
def disks_for(home: Path, kind: str) -> Iterator[Disks]:
    """Unmounted at the end, whatever happens."""
    disks = Disks(home, kind)
    try:
        yield disks
    finally:
        for disk in disks.disks:
            disk.remove()


# --- QFS -------------------------------------------------------------------------------------------------------------


def cut_qfs(
    programs: Path, home: Path, files: int, *, is_off: bool, kind: str = "ext4", reads_back: bool = True
) -> Outcome:
    """A run on QFS: a metaserver, two chunkservers, two copies. A file counts when `qfs -put` has ended, with
    `reads_back` when it was also read, as `invoke put` and `invoke copy` do."""
    with disks_for(home, kind) as disks:
        meta = disks.add("meta")
        for name in ("logs", "checkpoint"):
            (meta / name).mkdir()
            (home / name).symlink_to(meta / name)
        for node in NODES:
            disks.add(node)
        syncs: dict[str, Any] = {
            "meta_extra": shipped_syncs.meta(is_off=is_off),
            "server_extra": shipped_syncs.chunk(is_off=is_off),
        }
        with QfsCluster(programs, home, addresses=NODES, **syncs) as cluster:
            disks.sync()
            written = _put_files(cluster, home / "source", files, reads_back)
            disks.cut()
            cluster.kill()
            disks.come_back()
            _start_qfs_again(cluster)
            try:
                return _look_qfs(cluster, written)
            finally:
                cluster.stop()


def _put_files(cluster: QfsCluster, source: Path, files: int, reads_back: bool) -> dict[str, bytes]:
    source.mkdir()
    numbers = random.Random(1)
    written = {}
    for number in range(files):
        content = numbers.randbytes(numbers.randint(1, LARGEST))
        (source / str(number)).write_bytes(content)
        cluster.run("-D", f"fs.createParams={len(NODES)}", "-put", str(source / str(number)), f"/f{number}")
        if reads_back:
            assert cluster.read(f"/f{number}", READ_S) == content
        written[f"/f{number}"] = content
    return written


def _start_qfs_again(cluster: QfsCluster) -> None:
    """As the containers do."""
    cluster.start_meta()
    for node in cluster.addresses:
        dirs = map(str, cluster.chunk_dirs(node))
        subprocess.run((sys.executable, "-I", str(FINISHED), *dirs), check=True, capture_output=True)
        cluster.start_server(node)
    cluster.wait_for_servers(len(cluster.addresses))


def _look_qfs(cluster: QfsCluster, written: dict[str, bytes]) -> Outcome:
    named = {line.split()[-1] for line in cluster.run("-ls", "/").splitlines()} & written.keys()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        read = dict(zip(named, pool.map(lambda name: cluster.read(name, READ_S), named), strict=True))
    return Outcome(len(written), len(named), sum(read[name] == written[name] for name in named))


# --- HDFS ------------------------------------------------------------------------------------------------------------


def cut_hdfs(class_path: str, home: Path, files: int, *, is_off: bool, kind: str = "ext4") -> Outcome:
    """A run on HDFS: a namenode, a datanode, one copy. A file counts when its stream is closed."""
    with disks_for(home, kind) as disks:
        cluster = HdfsCluster(class_path, home, disks.add("name"), disks.add("data"), shipped_syncs.hdfs(is_off=is_off))
        with cluster:
            disks.sync()
            done = cluster.files("write", files, LARGEST).count("done")
            disks.cut()
            cluster.kill()
            disks.come_back()
            cluster.start()
            found = cluster.files("read", files, LARGEST)
        return Outcome(done, files - found.count("absent"), found.count("good"))


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", choices=("qfs", "hdfs"), default="qfs")
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--file-system", choices=("ext4", "xfs"), default="ext4")
    parser.add_argument("--answer-only", action="store_true", help="qfs: do not read a file back before it counts")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="power-cut-") as folder:
        if why := why_not(Path(folder), given.file_system):
            sys.exit(why)
        lost = {}
        for is_off in (False, True):
            home = Path(folder) / ("off" if is_off else "on")
            home.mkdir()
            outcome = run(given, home, is_off)
            word = "without" if is_off else "with"
            print(f"{word} the syncs: {outcome.acknowledged} answered for, {outcome.named} named, {outcome.good} whole")
            lost[is_off] = outcome.lost
    return 0 if lost[False] == 0 < lost[True] else 1


def run(given: argparse.Namespace, home: Path, is_off: bool) -> Outcome:
    """One run as the command line says."""
    if given.storage == "hdfs":
        return cut_hdfs(HdfsCluster.find_class_path(), home, given.files, is_off=is_off, kind=given.file_system)
    tarball = find_tarball()
    if tarball is None:
        sys.exit("no QFS tarball in the download cache or SPARKQFS_QFS_TARBALL")
    unpack_programs(tarball, home / "programs")
    how = {"is_off": is_off, "kind": given.file_system, "reads_back": not given.answer_only}
    return cut_qfs(home / "programs", home, given.files, **how)


if __name__ == "__main__":
    sys.exit(main())

"""An init that was killed: what it has left is known for what it is, removed, and never taken for more or less.

The states are those after each operation of `metaserver -c` (QFS 2.2.8) and `namenode -format` (Hadoop 3.5.0) on their
directories, in the order in which strace showed them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkqfs.config.model import StorageConfig, StorageKind
from sparkqfs.facts.nodes import StorageLayout
from sparkqfs.jobs.storage.file_system import undo_script
from sparkqfs.plan.storage import backend_of
from tests.builders.clusters import a_cluster
from tests.storage.qfs_reader import find_tarball

LOG = (
    b"version/1\nchecksum/last-line\nsetintbase/16\ntime/2026-11-29T01:33:13.054400Z\n"
    b"c/0 0 0/4/0/0/0 0 0/0/0/44661b48\n"
)
CHECKPOINT = (
    b"checkpoint/0/0/0/0\nchecksum/last-line\nversion/1\nfilesysteminfo/fsid/231989150076042763/crtime/1\n" * 10
)
ZERO = "0" * 19
IMAGE = b"HDFSIMG1" + bytes(391)
MD5 = f"{hashlib.md5(IMAGE).hexdigest()} *fsimage_{ZERO}\n".encode()
VERSION = (
    b"namespaceID=17\nclusterID=c\ncTime=0\nstorageType=NAME_NODE\nblockpoolID=BP-1-127.0.0.1-1\nlayoutVersion=-67\n"
)
Operation = Callable[[Path], None]


def write(name: str, content: bytes = b"") -> Operation:
    """The file with this content; its directory is there."""
    return lambda base: void((base / name).write_bytes(content))


def rename(name: str, to: str) -> Operation:
    """One name for another; what had it goes."""
    return lambda base: void((base / name).replace(base / to))


def unlink(name: str) -> Operation:
    return lambda base: (base / name).unlink()


def link(name: str, to: str) -> Operation:
    return lambda base: os.link(base / name, base / to)


def void(_result: object) -> None:
    """For an operation that answers something."""


def tried(directory: str) -> tuple[Operation, ...]:
    """Whether it can be written to."""
    probe = f"{directory}/.dirtest"
    return write(probe), write(probe, b"0"), unlink(probe)


CP, FIRST = "checkpoint", "checkpoint/chkpt.0.0.0"
CURRENT, SAVED = "name/current", f"name/current/fsimage_{ZERO}"
OPERATIONS: dict[StorageKind, tuple[Operation, ...]] = {
    "qfs": (
        *tried("logs"),
        *tried(CP),
        write("logs/log.0.0.0.0"),
        write("logs/log.0.0.0.0", LOG[:60]),
        write("logs/log.0.0.0.0", LOG),
        write(f"{FIRST}.577DFBEAF3C2EC4F.tmp"),
        write(f"{FIRST}.577DFBEAF3C2EC4F.tmp", CHECKPOINT[:500]),
        write(f"{FIRST}.577DFBEAF3C2EC4F.tmp", CHECKPOINT),
        rename(f"{FIRST}.577DFBEAF3C2EC4F.tmp", FIRST),
        link(FIRST, f"{FIRST} 30FB95BC45AAD94C.tmp"),
        rename(f"{FIRST} 30FB95BC45AAD94C.tmp", f"{CP}/latest"),
    ),
    "hdfs": (
        lambda base: (base / CURRENT).mkdir(),
        write(f"{CURRENT}/VERSION"),
        write(f"{CURRENT}/VERSION", VERSION[:50]),
        write(f"{CURRENT}/VERSION", VERSION),
        write(f"{CURRENT}/seen_txid.tmp"),
        write(f"{CURRENT}/seen_txid.tmp", b"0"),
        write(f"{CURRENT}/seen_txid.tmp", b"0\n"),
        rename(f"{CURRENT}/seen_txid.tmp", f"{CURRENT}/seen_txid"),
        write(f"{CURRENT}/fsimage.ckpt_{ZERO}"),
        write(f"{CURRENT}/fsimage.ckpt_{ZERO}", IMAGE[:100]),
        write(f"{CURRENT}/fsimage.ckpt_{ZERO}", IMAGE),
        write(f"{SAVED}.md5.tmp"),
        write(f"{SAVED}.md5.tmp", MD5[:7]),
        write(f"{SAVED}.md5.tmp", MD5),
        rename(f"{SAVED}.md5.tmp", f"{SAVED}.md5"),
        rename(f"{CURRENT}/fsimage.ckpt_{ZERO}", SAVED),
    ),
}
DIRECTORIES: dict[StorageKind, tuple[str, ...]] = {"qfs": (CP, "logs"), "hdfs": ("name",)}
KINDS: tuple[StorageKind, ...] = ("qfs", "hdfs")


@dataclass(frozen=True)
class Disk:
    """The manager's first directory of a storage, for example DATA_DIR/qfs."""

    base: Path
    kind: StorageKind

    @property
    def layout(self) -> StorageLayout:
        layout = backend_of(a_cluster(storage=StorageConfig(kind=self.kind))).layout
        assert layout is not None
        return layout

    def look(self) -> str:
        """`MetaFact.init`, from the lines that the machine is asked with."""
        start = f"set -u; base='{self.base}' n=0 l=0 latest=no when= fsid= kib=0 init=\n"
        script = f'{start}{self.layout.metadata_script}\nprintf %s "$init"'
        return subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout

    def undo(self) -> int:
        """Exit code of the lines that init sends before it begins again."""
        command = ["/bin/sh", "-s", "--", str(self.base)]
        return subprocess.run(command, input=undo_script(self.layout), capture_output=True, text=True).returncode

    def files(self) -> set[str]:
        return {str(path.relative_to(self.base)) for path in self.base.rglob("*")}

    def after(self, number: int) -> Disk:
        """As it is when that many operations are done."""
        shutil.rmtree(self.base, ignore_errors=True)
        for name in DIRECTORIES[self.kind]:
            (self.base / name).mkdir(parents=True)
        for operation in OPERATIONS[self.kind][:number]:
            operation(self.base)
        return self


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    """Its path has characters that a shell or find(1) could take for more than they are."""
    return Disk(tmp_path / "it is [a] disk *" / "top", request.param)


def test_what_is_left_after_each_operation_is_known_and_removed(disk: Disk) -> None:
    last = len(OPERATIONS[disk.kind])
    wrong = []
    for number in range(last + 1):
        found = disk.after(number).look()
        nothing = disk.files() == set(DIRECTORIES[disk.kind])
        wanted = "" if nothing else "unused" if number == last else "begun"
        if found != wanted:
            wrong.append((number, found))
        elif found == "begun" and (disk.undo() != 0 or disk.files() != set(DIRECTORIES[disk.kind])):
            wrong.append((number, "not removed"))
    assert wrong == []


MORE: dict[StorageKind, tuple[Operation, ...]] = {
    "qfs": (
        write("logs/log.0.0.1.1", LOG),
        write("logs/log.0.0.0.0", LOG + b"mkdir/dir/5/2026-11-29T01:33:14Z\nc/0 0 1/4/0/0/0\n"),
        write(f"{CP}/chkpt.0.0.7", CHECKPOINT),
        write(f"{CP}/chkpt.0.0.7.00FB95BC45AAD94C.tmp", CHECKPOINT),
        write(f"{CP}/notes.txt", b"precious"),
        lambda base: (base / CP / "chkpt.gone").symlink_to("nowhere"),
        lambda base: (base / CP / ".dirtest").symlink_to("/etc/passwd"),
        lambda base: (base / "logs" / "chkpt.0.0.0").mkdir(),
    ),
    "hdfs": (
        write(f"{CURRENT}/edits_inprogress_0000000000000000001", b"x"),
        write(f"{CURRENT}/edits_0000000000000000001-0000000000000000002", b"x"),
        write(f"{CURRENT}/fsimage_0000000000000000042", IMAGE),
        write(f"{CURRENT}/seen_txid", b"42\n"),
        write("name/notes.txt", b"precious"),
        lambda base: (base / "name" / "previous").mkdir(),
        lambda base: (base / CURRENT / "in_use.lock").symlink_to("/etc/passwd"),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_with_anything_else_there_it_is_left_alone_after_whichever_operation(kind: StorageKind, tmp_path: Path) -> None:
    disk = Disk(tmp_path / "top", kind)
    for more in MORE[kind]:
        for number in (1, len(OPERATIONS[kind]) - 1, len(OPERATIONS[kind])):
            disk.after(number)
            more(disk.base)
            before = disk.files()
            assert disk.look() == "", (more, number)
            assert disk.undo() != 0 and disk.files() == before, (more, number)


def test_a_directory_that_is_a_file_system_of_its_own_may_have_its_lost_and_found(disk: Disk) -> None:
    found = disk.base / DIRECTORIES[disk.kind][0] / "lost+found"
    disk.after(0)
    found.mkdir()
    assert disk.look() == ""
    OPERATIONS[disk.kind][0](disk.base)
    assert disk.look() == "begun" and disk.undo() == 0
    assert disk.files() == {*DIRECTORIES[disk.kind], str(found.relative_to(disk.base))}
    disk.after(len(OPERATIONS[disk.kind]) - 1)
    found.mkdir()
    (found / "#1234").write_bytes(b"a part of what was there")
    assert disk.look() == "" and disk.undo() != 0


def test_what_ended_is_not_undone(disk: Disk) -> None:
    before = disk.after(len(OPERATIONS[disk.kind])).files()
    assert disk.look() == "unused" and disk.undo() != 0 and disk.files() == before


def test_a_last_checkpoint_that_is_not_the_first_one_is_no_file_system_without_use(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "top", "qfs").after(len(OPERATIONS["qfs"]))
    (disk.base / CP / "latest").unlink()
    (disk.base / CP / "latest").write_bytes(CHECKPOINT[1:])
    assert disk.look() == "" and disk.undo() != 0


def test_an_image_that_is_not_what_was_written_is_what_an_init_has_left(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "top", "hdfs").after(len(OPERATIONS["hdfs"]))
    (disk.base / SAVED).write_bytes(IMAGE[:-1])  # as after a power cut
    assert disk.look() == "begun" and disk.undo() == 0 and disk.files() == {"name"}


# --- the metaserver itself, killed --------------------------------------------------------------------------------

CALLS = "openat,write,close,rename,link,unlink"
CONFIG = """
metaServer.clientIp = 127.0.0.1
metaServer.clientPort = {port}
metaServer.chunkServerIp = 127.0.0.1
metaServer.chunkServerPort = {next}
metaServer.logDir = {base}/logs
metaServer.cpDir = {base}/checkpoint
metaServer.checkpoint.lockFileName = {base}/checkpoint/ckpt.lock
metaServer.createEmptyFs = 0
metaServer.fileSystemIdRequired = 1
metaServer.log.sync = 1
metaServer.clusterKey = test
metaServer.bufferPool.partitionBuffers = 4096
"""
PORT = 21771
"""Below those that outgoing connections take."""


@dataclass(frozen=True)
class Metaserver:
    """QFS's own program, that makes a file system on a disk."""

    home: Path
    disk: Disk
    config: Path

    def make(self, *wrapped_in: str) -> int:
        """Its exit code."""
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self.home / "lib")}
        command = [*wrapped_in, str(self.home / "bin" / "metaserver"), "-c", str(self.config)]
        return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False).returncode

    def calls(self, trace: Path) -> list[tuple[str, int]]:
        """Its system calls on the disk: name, and the how manyth of that name it is."""
        self.make("strace", "-f", "-y", "-o", str(trace), "-e", f"trace={CALLS}")
        counted: dict[str, int] = {}
        found = []
        for line in trace.read_text().splitlines():
            match = re.match(r"\d+ +(\w+)\(", line)
            if match is not None:
                counted[match[1]] = counted.get(match[1], 0) + 1
                if str(self.disk.base) in line:
                    found.append((match[1], counted[match[1]]))
        return found


@pytest.fixture
def metaserver(tmp_path: Path) -> Metaserver:
    tarball = find_tarball()
    if tarball is None or shutil.which("strace") is None:
        pytest.skip("no QFS tarball, or no strace")
    with tarfile.open(tarball) as archive:
        for member in archive:
            if re.fullmatch(r"[^/]+/(lib/[^/]*\.so[.0-9]*|bin/metaserver)", member.name):
                member.name = member.name.split("/", 1)[1]
                archive.extract(member, tmp_path / "home", filter="data")
    disk = Disk(tmp_path / "top", "qfs").after(0)
    config = tmp_path / "meta.prp"
    config.write_text(CONFIG.format(base=disk.base, port=PORT, next=PORT + 1))
    return Metaserver(tmp_path / "home", disk, config)


def test_the_metaserver_killed_at_each_of_its_operations_makes_a_file_system_when_asked_again(
    metaserver: Metaserver, tmp_path: Path
) -> None:
    disk, ends = metaserver.disk, []
    calls = metaserver.calls(tmp_path / "trace")
    assert disk.look() == "unused" and len(calls) > 15
    for name, number in calls:
        disk.after(0)
        kill = f"inject={name}:signal=KILL:when={number}"
        metaserver.make("strace", "-f", "-o", "/dev/null", "-e", f"trace={CALLS}", "-e", kill)
        left = disk.look()
        assert left != "begun" or disk.undo() == 0
        code = 0 if left == "unused" else metaserver.make()
        ends.append((name, number, left, code, disk.look()))
    assert [end for end in ends if end[3:] != (0, "unused")] == []
    assert {left for _, _, left, _, _ in ends} >= {"begun", "unused"}

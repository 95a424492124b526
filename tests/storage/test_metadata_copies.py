"""Copies of a real metaserver's metadata: seconds behind, enough to start from, and newer than an older disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sparkqfs_runtime.metadata import accepted, guard
from sparkqfs_runtime.metadata.checking import check, to_check
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.sender import Keeper, Sender
from sparkqfs_runtime.metadata.store import Store
from tests.paths import PROGRAMS
from tests.storage.qfs_cluster import QfsCluster, free_port
from tests.storage.qfs_reader import Kit

KEY = b"key-of-the-copies"
QFS = KINDS["qfs"]
STATE = (sys.executable, str(PROGRAMS / "metadata-state"))


@dataclass
class Copies:
    """One keeper, a process, and the sender of a cluster's metadata to it."""

    root: Path
    top: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    sender: Sender | None = None

    @property
    def keeper(self) -> Keeper:
        return Keeper("127.0.0.1", "node2", self.port)

    @property
    def store(self) -> Path:
        return self.root / "store"

    def start(self) -> None:
        """The keeper, and the sender."""
        self.store.mkdir(parents=True, exist_ok=True)
        secrets = self.root / "secrets"
        secrets.mkdir(exist_ok=True)
        (secrets / "metadata-key").write_bytes(KEY + b"\n")
        (self.root / ".cluster-id").write_text("the-cluster\n")
        environment = {
            **os.environ,
            "SPARKQFS_SECRETS_DIR": str(secrets),
            "SPARKQFS_CLUSTER_ID": "the-cluster",
            "SPARKQFS_RUN_DIR": str(self.root / "run"),
            "SPARKQFS_COPIES_DIR": str(self.store),
            "SPARKQFS_COPIES_PORT": str(self.port),
            "SPARKQFS_STORAGE": "qfs",
            "SPARKQFS_SELF": "localhost",
        }
        argv = (sys.executable, str(PROGRAMS / "supervise"), "metadata-copy")
        self.process = subprocess.Popen(argv, env=environment)
        self.send()

    def send(self) -> None:
        self.sender = Sender(QFS, self.top, self.keeper, KEY)
        self.sender.every_s = 0.1
        self.sender.start()

    def stop_sending(self) -> None:
        assert self.sender is not None
        self.sender.stopping.set()
        time.sleep(0.3)

    def settle(self) -> None:
        """Until a whole round began after this moment."""
        assert self.sender is not None
        now, end = time.monotonic(), time.monotonic() + 30
        while self.sender.state.whole is None or self.sender.state.whole < now + 0.3:
            assert time.monotonic() < end, self.sender.state
            time.sleep(0.05)

    def stop(self) -> None:
        if self.sender is not None:
            self.sender.stopping.set()
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def objections(self) -> list[str]:
        """What stands against a start of the metaserver with what is in `top`."""
        asked = guard.ask_keepers(QFS, self.top, [self.keeper], KEY, lambda _text: None, 20.0)
        assert not asked.silent
        return guard.objections(asked, self.top, QFS.identity(self.top))

    def put_back(self, at: float | None = None) -> dict[str, Any]:
        """The newest state of the copy, or that of a time, in the place of the metaserver's; what `lay-out` says."""
        take = [*STATE, "take", str(self.store), *([] if at is None else [f"{at:.3f}"])]
        with subprocess.Popen(take, stdout=subprocess.PIPE) as taking:
            done = subprocess.check_output([*STATE, "lay-out", str(self.top), "before"], stdin=taking.stdout)
        assert taking.returncode == 0
        return dict(json.loads(done))


@pytest.fixture
def meta(kit: Kit, tmp_path: Path) -> Iterator[QfsCluster]:
    """A metaserver alone, which makes a checkpoint every few seconds."""
    extra = "metaServer.log.sync = 1\nmetaServer.checkpoint.interval = 3\nmetaServer.log.rotateIntervalSec = 2\n"
    with QfsCluster(kit.qfs_home, tmp_path / "fs", addresses=(), meta_extra=extra) as cluster:
        yield cluster


@pytest.fixture
def copies(meta: QfsCluster, tmp_path: Path) -> Iterator[Copies]:
    made = Copies(tmp_path / "copies", meta.home)
    made.start()
    yield made
    made.stop()


def names(meta: QfsCluster) -> set[str]:
    """What is in the root, as the metaserver says."""
    return {line.split()[-1] for line in meta.run("-ls", "/").splitlines()[1:]} - {"/dumpster"}


def make(meta: QfsCluster, *paths: str) -> None:
    for path in paths:
        meta.run("-mkdir", path)


def test_a_metaserver_starts_from_the_copy_with_every_name_that_was_answered_for(
    meta: QfsCluster, copies: Copies
) -> None:
    for number in range(30):  # across checkpoints and several logs
        make(meta, f"/d{number}")
        time.sleep(0.2)
    copies.settle()
    wanted = names(meta)
    assert len(wanted) == 30
    meta.kill()
    for folder in ("checkpoint", "logs"):
        shutil.rmtree(meta.home / folder)
    copies.stop_sending()
    assert len(copies.objections()) == 1, "nothing is here, and the copy has names"
    copies.put_back()
    assert copies.objections() == []
    files = to_check(Store(copies.store, KINDS))
    assert len([file for file in files if file.is_log]) > 1 and len(files) > 3
    assert check(QFS, files, lambda _count: None, time.time, lambda _key: True).damaged == (), (
        "every block has the checksum that is known"
    )
    meta.start_meta()
    meta.wait(meta.is_writable, "a writable file system")
    assert names(meta) == wanted


def test_the_state_of_a_time_is_put_back_and_what_was_there_is_kept(meta: QfsCluster, copies: Copies) -> None:
    for number in range(16):  # across checkpoints and several logs
        make(meta, f"/d{number}")
        if number == 8:
            copies.settle()
            time.sleep(0.2)
            then = time.time()
            time.sleep(0.2)
        time.sleep(0.4)
    copies.settle()
    meta.kill()
    copies.stop_sending()
    listed = json.loads(subprocess.check_output([*STATE, "list", str(copies.store)]))
    (row,) = listed["histories"]
    assert row["first"] < then < row["last"] and row["images"] > 1
    before = sorted(path.name for path in (meta.home / "logs").iterdir())
    assert copies.put_back(then)["at"] <= then
    assert sorted(path.name for path in (meta.home / "before" / "1" / "logs").iterdir()) == before
    (objection,) = copies.objections()
    assert row["mark"] in objection, "the names that the copy has beyond that time are given up by its mark"
    meta.start_meta()
    meta.wait(meta.is_writable, "a writable file system")
    assert names(meta) == {f"/d{number}" for number in range(9)}


def test_older_metadata_is_not_taken_for_the_file_system(meta: QfsCluster, copies: Copies, tmp_path: Path) -> None:
    make(meta, "/first")
    copies.settle()
    meta.kill()
    assert copies.objections() == []
    older = tmp_path / "older"
    for folder in ("checkpoint", "logs"):
        shutil.copytree(meta.home / folder, older / folder)
    meta.start_meta()
    meta.wait(meta.is_writable, "a writable file system")
    make(meta, "/second")
    copies.settle()
    meta.kill()
    assert copies.objections() == []
    for folder in ("checkpoint", "logs"):
        shutil.rmtree(meta.home / folder)
        (older / folder).rename(meta.home / folder)
    QFS.repair(meta.home)  # cp -a has made files of the links
    (said,) = copies.objections()
    assert "older than its copy on node2" in said and "the copy ends with operation" in said
    # It started all the same: the copy is left as it is, and that is said.
    before = {path: path.read_bytes() for path in copies.store.rglob("*") if path.is_file()}
    meta.start_meta()
    meta.wait(meta.is_writable, "a writable file system")
    make(meta, "/third")
    time.sleep(1)
    assert {path: path.read_bytes() for path in copies.store.rglob("*") if path.is_file()} == before
    # Somebody accepts the loss: a new history begins, the old one stays.
    mark = copies.objections()[0].partition("(mark ")[2].partition(")")[0]
    (meta.home / accepted.FILE).write_text(mark + "\n")
    assert copies.objections() == []
    copies.stop_sending()
    copies.send()
    copies.settle()
    assert copies.objections() == [] and sorted(path.name for path in copies.store.iterdir()) == ["000001", "000002"]
    for path, content in before.items():
        assert path.read_bytes() == content


def test_what_a_power_cut_tore_is_taken_away_and_every_start_works(meta: QfsCluster, copies: Copies) -> None:
    """Without that the metaserver starts once, writes behind it, and never starts again."""
    make(meta, "/kept")
    copies.settle()
    copies.stop_sending()
    meta.kill()
    for torn in (b"a/MD=G=0;M=1ed;N=half", b"a/MD=N=x;z=0 0 9;\nc/0 0 8/c", b"time/2026-11-29T08:45:08Z\nchecksum/17c"):
        QFS.repair(meta.home)
        newest = QFS.logs(meta.home)[-1].path
        whole = newest.read_bytes()
        newest.write_bytes(whole + torn)
        assert QFS.repair(meta.home) and newest.read_bytes() == whole
        for _ in range(2):
            meta.start_meta()
            meta.wait(meta.is_writable, "a writable file system")
            meta.kill()
        assert names_after(meta) >= {"/kept"}
        assert copies.objections() == []


def names_after(meta: QfsCluster) -> set[str]:
    meta.start_meta()
    meta.wait(meta.is_writable, "a writable file system")
    found = names(meta)
    meta.kill()
    return found


def test_a_log_that_was_only_just_being_made_and_a_missing_link_stop_no_start(meta: QfsCluster) -> None:
    make(meta, "/kept")
    meta.kill()
    for cut in (0, 50, 108):
        newest = QFS.logs(meta.home)[-1].path
        made = newest.with_name(f"log.0.0.{999999}.{int(newest.name.rpartition('.')[2]) + 1}")
        if QFS.repair(meta.home) is not None and not newest.read_bytes().endswith(b"\n"):
            raise AssertionError(newest)
        made.write_bytes(newest.read_bytes()[:cut])
        (meta.home / "logs" / "last").unlink(missing_ok=True)
        (meta.home / "checkpoint" / "latest").unlink()
        assert QFS.repair(meta.home)
        assert not made.exists()
        assert names_after(meta) >= {"/kept"}

"""`invoke backup`, `backup.list` and `backup.verify` with a real metaserver: made, opened, compared, and each damage."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import StorageConfig
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import backup, backup_list, backup_sources, backup_store, backup_streams, backup_verify
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.storage import backups
from sparkqfs.plan.storage.backups import ABOUT, METADATA, NAMES, RECOVERY, SUMS
from sparkqfs.plan.storage.qfs import Qfs
from tests.builders.clusters import a_node_config
from tests.doubles.servers import closed_port, engine_machine, serve
from tests.doubles.stack_pages import SERVICES, engine_of
from tests.paths import PROGRAMS
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import unpack_qfs

DOCKER = """
case $1 in
  exec) shift 6; exec "$@";;
  image) exit 0;;
  run) while [ "$1" != --entrypoint ]; do shift; done; shift 3; exec env QFS_HOME={qfs} LD_LIBRARY_PATH={qfs}/lib timeout "$@";;
esac
exit 1
"""
ADDRESS = "127.0.0.2"


@dataclass
class World:
    """A cluster of one machine, this one: its storage, its disk, and where backups go."""

    qfs: QfsCluster
    folder: Path
    services: tuple[str, ...] = (*SERVICES, "qfs-master")

    @property
    def place(self) -> Path:
        return self.folder / "backups"

    def session(self, do: Callable[[Session], JobResult]) -> JobResult:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with serve(engine_of(*self.services, address=ADDRESS)) as port, engine_machine(folder, port) as server:
            (folder / "docker.sh").write_text(DOCKER.format(qfs=self.qfs.qfs_home))
            node = a_node_config("node1", address="127.0.0.1", port=server.port, data_dirs=(PurePosixPath(self.disk),))
            storage = StorageConfig(kind="qfs", replication=1)
            config = server.cluster(folder / "known_hosts", storage=storage, nodes=(node,))
            clients = Clients(config)
            try:
                return do(Session(config, clients, lambda _text: None))
            finally:
                clients.close()

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

    def back_up(self) -> Path:
        made = self.session(lambda session: backup.run(session, to=str(self.place), timeout_s=60))
        assert made.exit_code == 0, made.problems
        return Path(str(made.document["backup"]))

    def verify(self, path: Path, depth: int | None = None) -> Any:
        return self.session(lambda session: backup_verify.run(session, backup=str(path), depth=depth, timeout_s=60))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home, folder = unpack_qfs(tmp_path_factory.mktemp("qfs")), tmp_path_factory.mktemp("world")
    private = folder / "disk" / "sparkqfs"
    private.mkdir(parents=True, mode=0o700)
    (private / "secrets").write_text(json.dumps({"cluster_key": "hidden"}))
    extra = "metaServer.log.sync = 1\nmetaServer.checkpoint.interval = 86400\n"
    with QfsCluster(home, folder / "disk" / "qfs", addresses=(ADDRESS,), meta_extra=extra) as running:
        (folder / "disk" / "qfs" / ".cluster-id").write_text("the-cluster\n")
        (running.home / "data").write_bytes(os.urandom(10_000))
        for path in ("/dir", "/dir/a b", "/empty"):
            running.run("-mkdir", path)
        for path in ("/dir/one", "/dir/50%", "/two"):
            running.run("-put", str(running.home / "data"), path)
        running.run("-chmod", "0700", "/dir")
        running.run("-chown", "1234:1234", "/dir")  # of somebody else, who lets nobody look
        program = folder / "metadata-state"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {PROGRAMS / "metadata-state"} "$@"\n')
        program.chmod(0o755)
        with pytest.MonkeyPatch.context() as patch:  # containers are this computer
            patch.setattr(backup_streams, "STATE", str(program))
            patch.setattr(backup_sources, "inside", lambda _layout: str(running.home))
            patch.setattr(Qfs, "check_port", running.client_port)
            yield World(running, folder)


@pytest.fixture(scope="module")
def made(world: World) -> Path:
    """A backup that nobody changes."""
    return world.back_up()


def test_x(world: World, made: Path) -> None:
    print(subprocess.check_output(["ls", "-la", str(made)], text=True))
    print((made / ABOUT).read_text())
    seen = world.verify(made)
    print(seen)
    assert 0

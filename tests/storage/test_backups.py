"""`invoke backup`, `backup.list`, `backup.verify` with a real metaserver: made, opened, compared, and each damage."""

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
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import StorageConfig
from sparkqfs.errors import ClusterError
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import backup, backup_list, backup_sources, backup_store, backup_streams, backup_verify
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.storage import backups
from sparkqfs.plan.storage.backups import ABOUT, METADATA, NAMES
from sparkqfs.plan.storage.qfs import Qfs
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.store import Store
from tests.builders.backups import archive_of, reseal
from tests.builders.clusters import a_cluster, a_node_config
from tests.doubles.real_metastore import make_spark_home
from tests.doubles.servers import closed_port, engine_machine, serve
from tests.doubles.stack_pages import SERVICES, engine_of
from tests.paths import PROGRAMS
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import unpack_qfs

DOCKER = """
case $1 in
  exec) shift 6; exec env SPARKQFS_CATALOGUE={names} SPARKQFS_METASTORE_DIR={names} "$@";;
  image) exit 0;;
  run)
    names=
    while [ "$1" != --entrypoint ]; do
      case $1 in -e) names=SPARKQFS_CATALOGUE={names};; esac
      shift
    done
    shift 3
    exec env $names SPARK_HOME={spark} QFS_HOME={qfs} LD_LIBRARY_PATH={qfs}/lib timeout "$@";;
esac
exit 1
"""
ADDRESS = "127.0.0.2"


@dataclass
class World:
    """A cluster of one machine, this one: its storage, its disk, and where backups go."""

    qfs: QfsCluster
    folder: Path
    spark_home: Path
    services: tuple[str, ...] = (*SERVICES, "qfs-master")

    @property
    def place(self) -> Path:
        return self.folder / "backups"

    def session(self, do: Callable[[Session], JobResult]) -> JobResult:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with serve(engine_of(*self.services, address=ADDRESS)) as port, engine_machine(folder, port) as server:
            (folder / "docker.sh").write_text(
                DOCKER.format(qfs=self.qfs.qfs_home, names=self.names, spark=self.spark_home)
            )
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

    @property
    def names(self) -> Path:
        """The metastore's directory."""
        return self.disk / "metastore" / "qfs"

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
        for name in (backup_streams.STATE, backup_streams.NAMES):
            program = folder / name
            program.write_text(f'#!/bin/sh\nexec {sys.executable} {PROGRAMS / name} "$@"\n')
            program.chmod(0o755)
        with pytest.MonkeyPatch.context() as patch:  # containers are this computer
            patch.setattr(backup_streams, "PROGRAMS", str(folder))
            patch.setattr(backup_sources, "inside", lambda _layout: str(running.home))
            patch.setattr(Qfs, "check_port", running.client_port)
            world = World(running, folder, make_spark_home(folder / "spark"))
            make_catalogue_copy(world)
            yield world


def make_catalogue_copy(world: World) -> None:
    """A real database of Derby without a table, as the metastore packs it."""
    copies, database = world.names / "copies", world.folder / "catalogue"
    copies.mkdir(parents=True)
    environ = {**os.environ, "SPARK_HOME": str(world.spark_home)}
    subprocess.run((str(PROGRAMS / "metastore"), "make", str(database)), env=environ, check=True, capture_output=True)
    key = f"catalogue.{time.time() * 1000:013.0f}.zip"
    with zipfile.ZipFile(copies / key, "w") as archive:
        archive.writestr(
            "catalogue.json",
            json.dumps({"schema": 1, "at": time.time(), "databases": [], "tables": [], "partitions": []}),
        )
        for path in database.rglob("*"):
            if path.is_file():
                archive.write(path, f"files/{path.relative_to(database)}")
    looked = {"schema": 1, "at": time.time() + 1e6, "copy": key, "error": ""}
    (copies / "looked.json").write_text(json.dumps(looked))


@pytest.fixture(scope="module")
def made(world: World) -> Path:
    """A backup that nobody changes."""
    return world.back_up()


def names_in(path: Path) -> list[str]:
    """The names of a backup's list."""
    return [line.split()[1] for line in gzip.decompress((path / NAMES).read_bytes()).decode().splitlines()[1:-1]]


def test_a_backup_has_every_name_and_the_storage_opens_it(world: World, made: Path) -> None:
    assert names_in(made) == ["/dir", "/dir/50%25", "/dir/a%20b", "/dir/one", "/empty", "/two"]
    assert [path.name for path in world.place.iterdir()] == [made.name], "nothing half done is left"
    assert {path.stat().st_mode & 0o777 for path in made.iterdir()} == {0o600} and made.stat().st_mode & 0o777 == 0o700
    seen = world.verify(made)
    assert (seen.exit_code, seen.document["depth"]) == (0, 3), seen.problems
    assert [step["state"] for step in seen.document["depths"]] == ["ok", "ok", "ok"]
    assert seen.document["since"] == {"new": 0, "gone": 0, "changed": 0}
    assert json.loads((made / backups.VERIFIED).read_text())["depth"] == 3
    recovery = backup_store.open_backup(made).recovery
    assert recovery is not None and recovery.cluster_id == "the-cluster"
    assert seen.document["tables"] == 0 and "0 tables by name" in seen.document["depths"][1]["text"]


def test_a_catalogue_that_does_not_open_is_found_and_one_that_is_missing_is_told(world: World, made: Path) -> None:
    bad = world.folder / "bad" / made.name
    shutil.copytree(made, bad)
    index, pieces = unpacked(bad)
    key = next(one for one in pieces if one.startswith("catalogue."))
    source, target = io.BytesIO(pieces[key]), io.BytesIO()
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as changed:
        for name in archive.namelist():
            data = archive.read(name)
            changed.writestr(name, os.urandom(len(data)) if name.startswith("files/seg0/c") else data)
    packed(bad, index, {**pieces, key: target.getvalue()})
    reseal(bad)
    seen = world.verify(bad)
    assert seen.exit_code == 1 and "the catalogue of tables does not open" in seen.problems[0].what
    copies = world.names / "copies"
    copies.rename(world.folder / "away")
    lacking = world.session(lambda session: backup.run(session, to=str(world.place), timeout_s=60))
    (world.folder / "away").rename(copies)
    assert lacking.exit_code == 1 and "no catalogue of tables" in lacking.problems[0].what
    document: Any = lacking.document
    assert document["tables"] is None and world.verify(Path(str(document["backup"]))).exit_code == 0


def test_how_the_storage_has_changed_since_is_told_and_is_no_error(world: World, made: Path) -> None:
    world.qfs.run("-mkdir", "/later")
    seen = world.verify(made)
    assert (seen.exit_code, seen.document["since"]) == (0, {"new": 1, "gone": 0, "changed": 0})


def test_a_list_that_was_made_while_somebody_wrote_is_verified_too(world: World) -> None:
    stopping = threading.Event()

    def write() -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            world.qfs.run("-mkdir", f"/busy{number}")
            world.qfs.run("-rm", "-skipTrash", f"/busy{number - 1}") if number % 3 == 0 else None

    writer = threading.Thread(target=write)
    writer.start()
    try:
        path = world.back_up()
    finally:
        stopping.set()
        writer.join()
    manifest = backup_store.open_backup(path).manifest
    assert manifest.names is not None and not manifest.names.exact and manifest.names.tries == backup_sources.TRIES
    seen = world.verify(path)
    assert (seen.exit_code, seen.document["depth"], seen.document["exact"]) == (0, 3, False), seen.problems


# --- damages whose checksums somebody has made to fit again ---


def unpacked(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The index, and the pieces by name."""
    with tarfile.open(path / METADATA) as archive:
        found = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    index = json.loads(found.pop("state.json"))
    return index, {name.removeprefix("pieces/"): data for name, data in found.items()}


def packed(path: Path, index: dict[str, Any], pieces: dict[str, bytes]) -> None:
    kept = {key: index[key] for key in ("kind", "identity", "at", "operation", "catalogue")}
    (path / METADATA).write_bytes(archive_of(pieces, kept))
    reseal(path)


def a_checkpoint_that_does_not_open(path: Path, _other: Path) -> None:
    index, pieces = unpacked(path)
    name = next(key for key in pieces if key.startswith("chkpt"))
    pieces[name] = pieces[name].replace(b"\nsetintbase/16\n", b"\nsetintbase/17\n").replace(b"dentry", b"dantry")
    packed(path, index, pieces)


def a_name_changed_in_the_log(path: Path, _other: Path) -> None:
    index, pieces = unpacked(path)
    name = next(key for key in pieces if key.startswith("log"))
    assert b"two" in pieces[name]
    packed(path, index, pieces | {name: pieces[name].replace(b"two", b"twa")})


def a_log_cut_at_a_block(path: Path, _other: Path) -> None:
    index, pieces = unpacked(path)
    name = next(key for key in pieces if key.startswith("log"))
    lines = pieces[name].splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if line.startswith(b"c/")]
    packed(path, index, pieces | {name: b"".join(lines[: ends[-3] + 1])})


def a_log_that_is_missing(path: Path, _other: Path) -> None:
    index, pieces = unpacked(path)
    packed(path, index, {key: data for key, data in pieces.items() if not key.startswith("log")})


def the_state_of_an_older_backup(path: Path, other: Path) -> None:
    shutil.copy(other / METADATA, path / METADATA)
    older = json.loads((other / ABOUT).read_text())["metadata"]
    reseal(path, lambda about: about.update(metadata=older))


def a_name_taken_out_of_the_list(path: Path, _other: Path) -> None:
    rewrite(path, [row for row in rows(path) if not row.endswith(" /two")])


def a_name_added_to_the_list(path: Path, _other: Path) -> None:
    rewrite(path, [*rows(path), "5 /zzz"])


def a_length_changed_in_the_list(path: Path, _other: Path) -> None:
    rewrite(path, [row.replace("10000 /two", "10001 /two") for row in rows(path)])


def rows(path: Path) -> list[str]:
    return gzip.decompress((path / NAMES).read_bytes()).decode().splitlines()[1:-1]


def rewrite(path: Path, changed: list[str]) -> None:
    """Another list of names, counts and all."""
    first, *_, last = gzip.decompress((path / NAMES).read_bytes()).decode().splitlines()
    sizes = [int(row.split()[0]) for row in changed if row[0] != "-"]
    counts = {"files": len(sizes), "directories": len(changed) - len(sizes), "bytes": sum(sizes)}
    lines = [first, *changed, json.dumps(json.loads(last) | counts)]
    (path / NAMES).write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    reseal(path, lambda about: about["names"].update(counts))


@pytest.mark.parametrize(
    ("spoil", "depth", "said"),
    [
        (a_checkpoint_that_does_not_open, 2, "it does not open"),
        (a_name_changed_in_the_log, 2, "it does not open"),
        (a_log_cut_at_a_block, 2, "does not reach as far as the list of names"),
        (a_log_that_is_missing, 2, "is missing"),
        (the_state_of_an_older_backup, 2, "does not reach as far as the list of names"),
        (a_name_taken_out_of_the_list, 3, "/two is not in the list"),
        (a_name_added_to_the_list, 3, "/zzz is only in the list"),
        (a_length_changed_in_the_list, 3, "/two: 10001 in the list, 10000 in the metadata"),
    ],
)
def test_a_damage_whose_checksums_fit_is_found_where_the_storage_opens_it(
    world: World, made: Path, tmp_path: Path, spoil: Callable[[Path, Path], None], depth: int, said: str
) -> None:
    path, other = tmp_path / made.name, made
    if spoil is the_state_of_an_older_backup:
        world.qfs.run("-touchz", f"/newer{os.urandom(4).hex()}")
        made = world.back_up()
    shutil.copytree(made, path)
    spoil(path, other)
    seen = world.verify(path)
    (problem,) = seen.problems
    assert (seen.exit_code, seen.document["depth"], seen.document["ok"]) == (1, depth - 1, False)
    assert said in problem.what and METADATA in problem.what
    assert json.loads((path / backups.VERIFIED).read_text())["ok"] is False


def test_a_damaged_file_is_found_without_the_cluster_and_ends_the_check(
    made: Path, tmp_path: Path, world: World
) -> None:
    path = tmp_path / made.name
    shutil.copytree(made, path)
    os.truncate(path / METADATA, 100)
    seen = world.verify(path, 1)
    assert seen.exit_code == 1 and seen.problems[0].what.startswith(METADATA)


# --- where it is from ---


def test_without_the_metaserver_the_copy_of_a_running_keeper_is_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_copy(world)
    quiet = replace(world, services=(*SERVICES, "metadata-copy-1"))
    path = quiet.back_up()
    manifest = backup_store.open_backup(path).manifest
    assert manifest.metadata is not None and manifest.metadata.source == "copy"
    assert manifest.names is None and "the metaserver does not run" in manifest.lacks[0]
    seen = quiet.verify(path)
    assert (seen.exit_code, seen.document["depth"]) == (0, 2)
    assert "has no list of names" in seen.document["depths"][2]["text"]
    deep = quiet.verify(path, 3)
    assert deep.exit_code == 1 and "was not verified to depth 3" in deep.problems[0].what


def test_with_the_stack_down_the_managers_disk_is_read(world: World) -> None:
    path = replace(world, services=()).back_up()
    manifest = backup_store.open_backup(path).manifest
    assert manifest.metadata is not None and manifest.metadata.source == "disk"
    assert backup.tables_in(path, manifest) is not None, "the names of tables are read from the disk too"


def keep_copy(world: World) -> None:
    """What a keeper would have."""
    top = world.qfs.home / "copies"
    shutil.rmtree(top, ignore_errors=True)
    top.mkdir()
    kind, copy = KINDS["qfs"], Store(top, KINDS)
    copy.begin("qfs", kind.identity(world.qfs.home), "")
    for piece in (*kind.logs(world.qfs.home), *kind.images(world.qfs.home)):
        body = piece.path.read_bytes()
        body = body[: kind.whole(body, 0)] if piece.is_log else body
        copy.append(piece.key, 0, body)
        if not piece.is_log:
            copy.finish(piece.key, len(body), hashlib.sha256(body).hexdigest())
    names = next((world.names / "copies").glob("catalogue.*")).read_bytes()
    key = next((world.names / "copies").glob("catalogue.*")).name
    copy.append(key, 0, names)
    copy.finish(key, len(names), hashlib.sha256(names).hexdigest())
    copy.sync()


def test_the_copies_states_are_listed_beside_the_backups(world: World, made: Path) -> None:
    listed = world.session(lambda session: backup_list.run(session, to=str(world.place)))
    document: Any = listed.document
    assert listed.exit_code == 0 and str(made) in [row["backup"] for row in document["backups"]]
    assert document["copies"] == [], "one machine keeps none"
    assert f"{made.name}  spark  qfs" in listed.text


def test_without_a_machine_that_answers_the_files_are_verified_and_that_is_said(made: Path, tmp_path: Path) -> None:
    config = a_cluster("node1", nodes=(a_node_config("node1", address="127.0.0.1", port=closed_port()),))
    session = Session(config, Clients(config), lambda _text: None)
    seen: Any = backup_verify.run(session, backup=str(made), depth=None, timeout_s=60)
    assert (seen.exit_code, seen.document["depth"]) == (0, 1)
    assert "no machine of the cluster answers" in seen.document["depths"][1]["text"]
    with pytest.raises(ClusterError):
        backup.run(session, to=str(tmp_path / "none"), timeout_s=60)
    assert not list((tmp_path / "none").glob("*")) if (tmp_path / "none").exists() else True
    listed: Any = backup_list.run(session, to=str(made.parent))
    assert listed.document["backups"]

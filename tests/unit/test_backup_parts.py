"""jobs/storage/backup.py: what a backup has where a part is not to be had, and of a storage that is not ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.clients.parallel import run_on
from sparkqfs.config.model import SharedConfig, StorageConfig
from sparkqfs.errors import ClusterError, ConfigError, Problem, RefusedError
from sparkqfs.jobs.cluster import images
from sparkqfs.jobs.session import Session, check_cluster_name
from sparkqfs.jobs.storage import backup, backup_list, backup_sources, backup_store, backup_verify
from sparkqfs.jobs.storage.backup_sources import Taken, freshest
from sparkqfs.jobs.storage.backup_streams import NO_STATE, StreamError
from sparkqfs.plan.cluster.recovery import parse_recovery, recovery_text
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.storage.backups import ABOUT, RECOVERY, SUMS, MetadataPart
from tests.builders.backups import FSID, ID, PIECES, archive_of
from tests.builders.clusters import a_cluster
from tests.builders.facts import a_record, copies_on, prepared

SECRETS = {"secrets": '{"cluster_key": "hidden"}'}
SHARED = StorageConfig(kind="shared", shared=SharedConfig(path=PurePosixPath("/mnt/nfs")))
SILENT = ClusterError(Problem(node="node1", what="no answer"))


def a_session(config: Any) -> Session:
    clients: Any = SimpleNamespace(on=lambda names, function: run_on(names, function, limit=1))
    return Session(config, clients, lambda _text: None, _facts=prepared(config))


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The manager's secrets, and a state of the metadata from the manager's disk."""

    def take(_session: Session, folder: Path, _timeout_s: float) -> Taken:
        (folder / "metadata.tar").write_bytes(archive_of(PIECES))
        (folder / "metadata.tar").chmod(0o600)
        part = MetadataPart(source="disk", node="node1", file_system=FSID, at=1.0, operation=1)
        return Taken(metadata=part, lacks=["no list of names: the metaserver does not run"])

    patched = SimpleNamespace(material=SECRETS, copy=None)

    def material(_session: Session) -> dict[str, str]:
        if patched.material is None:
            raise SILENT
        return dict(patched.material)

    monkeypatch.setattr(backup_sources, "take_metadata", take)
    monkeypatch.setattr(backup_sources, "read_material", material)
    monkeypatch.setattr(backup_sources, "newest_recovery", lambda _session, _names: patched.copy)
    return patched


def made(config: Any, tmp_path: Path) -> JobResult:
    return backup.run(a_session(config), to=str(tmp_path), timeout_s=60)


def test_of_a_shared_storage_a_backup_has_the_secrets_and_says_so(sources: Any, tmp_path: Path) -> None:
    result = made(a_cluster(storage=SHARED), tmp_path)
    path = Path(str(result.document["backup"]))
    assert result.exit_code == 0 and {one.name for one in path.iterdir()} == {RECOVERY, ABOUT, SUMS}
    assert any("keeps its metadata itself" in text for text in result.outcomes[0].changes)
    backup_of = backup_store.open_backup(path)
    assert backup_of.bundle is None and backup_of.recovery is not None
    seen: Any = backup_verify.run(a_session(a_cluster(storage=SHARED)), backup=str(path), depth=None, timeout_s=60)
    assert (seen.exit_code, seen.document["depth"]) == (0, 1)
    assert "nothing to open" in seen.document["depths"][1]["text"]


def test_a_backup_that_could_not_be_looked_at_as_deep_as_was_said_is_not_called_damaged(
    sources: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = a_cluster(storage=SHARED)
    path = Path(str(made(config, tmp_path).document["backup"]))
    seen = backup_verify.run(a_session(config), backup=str(path), depth=2, timeout_s=60)
    assert seen.exit_code == 1 and "was not verified to depth 2" in seen.problems[0].what
    assert backup_list.row_of(path)["verified"]["ok"] is True and backup_store.verified(path)["depth"] == 1

    def full(*_args: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup_verify, "_opens", full)
    seen = backup_verify.run(a_session(config), backup=str(path), depth=None, timeout_s=60)
    assert seen.exit_code == 1 and backup_store.verified(path)["ok"] is True
    (path / RECOVERY).write_text("changed")
    seen = backup_verify.run(a_session(config), backup=str(path), depth=2, timeout_s=60)
    assert seen.exit_code == 1 and backup_store.verified(path)["ok"] is False
    assert "DAMAGED" in backup_list.text_of(tmp_path, [backup_list.row_of(path)], [], 0.0)


def test_a_backup_of_the_copies_is_made_also_where_the_manager_has_lost_its_metadata(
    sources: Any, tmp_path: Path
) -> None:
    config = a_cluster()
    record = a_record(config, initialised=True, file_system_id=FSID)
    facts = {name: replace(fact, records=copies_on(config, name, record)) for name, fact in prepared(config).items()}
    session = replace(a_session(config), _facts=facts)
    with pytest.raises(RefusedError, match="its metadata is not in"):
        check_cluster_name(session, facts)
    assert backup.run(session, to=str(tmp_path), timeout_s=60).exit_code == 0


def test_without_the_manager_the_copy_of_the_secrets_on_another_node_is_taken(sources: Any, tmp_path: Path) -> None:
    sources.material = None
    sources.copy = parse_recovery("node2", recovery_text(a_cluster(), ID, 7, SECRETS).encode())
    result = made(a_cluster(), tmp_path)
    assert (result.exit_code, result.document["secrets_from"]) == (0, "node2")
    recovery = backup_store.open_backup(Path(str(result.document["backup"]))).recovery
    assert recovery is not None and recovery.written == 7


def test_a_backup_without_secrets_is_kept_and_is_a_failure(sources: Any, tmp_path: Path) -> None:
    sources.material = None
    result = made(a_cluster(), tmp_path)
    assert result.exit_code == 1 and "no secrets: [node1] no answer" in result.problems[0].what
    path = Path(str(result.document["backup"]))
    assert backup_store.open_backup(path).recovery is None and backup_store.open_backup(path).bundle is not None


def test_where_nothing_at_all_was_to_be_had_there_is_no_backup(sources: Any, tmp_path: Path) -> None:
    sources.material = None
    with pytest.raises(ClusterError, match="no answer"):
        made(a_cluster(storage=SHARED), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(sources: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup_store, "write_private", full)
    with pytest.raises(ClusterError, match="No space left on device"):
        made(a_cluster(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_others_can_read_is_said(sources: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made(a_cluster(), tmp_path).notes == ()
    monkeypatch.setattr(backup_store, "finish", lambda *args, finish=backup_store.finish: opened(*finish(*args)))
    (note,) = made(a_cluster(), tmp_path).notes
    assert "others can read" in note and "the cluster's secrets" in note


def opened(path: Path, manifest: Any) -> tuple[Path, Any]:
    """As on a file system without modes."""
    for one in path.iterdir():
        one.chmod(0o755)
    return path, manifest


def test_what_is_no_directory_and_no_time_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for values in ({"to": str(tmp_path / "file"), "timeout_s": 60}, {"to": str(tmp_path), "timeout_s": 1}):
        with pytest.raises(ConfigError):
            backup.run(a_session(a_cluster()), **values)  # type: ignore[arg-type]


DAMAGED = Problem(node="node1", what="the metadata: log.1 is damaged")
TOLD = "the metadata: log.1 is damaged (on node1); this backup has the state of a copy"


@pytest.mark.parametrize("runs", [True, False])
def test_where_the_masters_own_metadata_is_damaged_a_copy_is_taken_and_that_is_a_fault(
    runs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(_session: Session, run: Any, target: Path, source: str) -> MetadataPart:
        if source != "copy":
            raise StreamError(DAMAGED, NO_STATE)
        target.write_bytes(archive_of(PIECES, {"passed_over": ["chkpt.2"]}))
        return MetadataPart(source=source, node=run.node, file_system=FSID, at=1.0, operation=1)

    def listed(_session: Session, _task: object, target: Path, _timeout_s: float) -> Any:
        target.write_text("names")
        return SimpleNamespace(before=SimpleNamespace(log="log.1"))

    config = a_cluster()
    services = {"qfs-master": "node1", "metadata-copy-1": "node2"} if runs else {}
    tasks = tuple(SimpleNamespace(service=name, node=node, container_id="c") for name, node in services.items())
    for name, value in {
        "_take": take,
        "running_tasks": lambda _session: tasks,
        "list_names": listed,
        "_make_fresh_catalogue": lambda _session: None,
        "ask_keeper": lambda _session, _task: row(),
        "ask_disk": lambda _session, name: row() if name == "node2" else [],
    }.items():
        monkeypatch.setattr(backup_sources, name, value)
    monkeypatch.setattr(backup_sources, "tables_of", lambda _index: True)
    monkeypatch.setattr(images, "references", lambda _session: {"worker-node": SimpleNamespace(reference="none")})
    taken = backup_sources.take_metadata(a_session(config), tmp_path, 60)
    assert (taken.metadata.source, taken.metadata.node, taken.names) == ("copy", "node2", None)
    passed = "damaged on node2: chkpt.2; an earlier one takes its place here"
    assert taken.lacks[1:] == [TOLD, passed] and taken.lacks[0].startswith("no list of names")
    assert not (tmp_path / "names.gz").exists()


def row(**more: Any) -> list[dict[str, Any]]:
    return [{"identity": "1", "images": 1, "last": 10.0, "operation": 5} | more]


def test_the_freshest_copy_is_the_one_with_most_operations_in_the_same_minute_whatever_its_clock_says() -> None:
    assert freshest({"node2": row(operation=6), "node3": row(last=60.0)}) == "node2"
    assert freshest({"node2": row(operation=600), "node3": row(last=500_000.0)}) == "node3", "of a given up history"
    assert freshest({"node2": row(identity="2", operation=6), "node3": row(last=99.0)}) == "node3"
    assert freshest({"node2": row(images=0, operation=9), "node3": row()}) == "node3"
    assert freshest({"node2": [], "node3": []}) is None

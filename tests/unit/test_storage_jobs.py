"""jobs/storage/file_system.py: what stands against a new file system, and what is erased."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.clients.parallel import Results
from sparkqfs.config.model import NotebooksConfig, SharedConfig, StorageConfig, StorageKind
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem, RefusedError
from sparkqfs.facts.nodes import MetaFact, NodeFacts
from sparkqfs.facts.record import ClusterRecord, DiskName, RecordFact
from sparkqfs.jobs import session as base
from sparkqfs.jobs.cluster import deploy, images, record
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import backup, backup_store, file_system
from sparkqfs.jobs.storage.file_system import data_directories, init, refusals
from sparkqfs.plan.cluster.markers import is_initialised
from sparkqfs.plan.cluster.nodes import plan_prep
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.storage.backups import Manifest
from tests.builders.backups import a_backup
from tests.builders.clusters import a_cluster
from tests.builders.facts import INITIALISED, a_node, fresh, prepared, with_path

HDFS = a_cluster(storage=StorageConfig(kind="hdfs", replication=2))


def a_session(facts: dict[str, NodeFacts], **more: Any) -> Session:
    return Session(more.pop("config", HDFS), None, lambda _text: None, _facts=facts, **more)  # type: ignore[arg-type]


def test_a_prepared_cluster_has_nothing_against_a_file_system() -> None:
    facts = {name: with_path(fact, "/mnt/data/hdfs/name", empty=True) for name, fact in prepared(HDFS).items()}
    assert refusals(a_session(facts)) == ()


def test_a_name_directory_with_something_unknown_in_it_is_refused_and_not_offered_to_be_erased() -> None:
    facts = prepared(HDFS, node1=with_path(a_node("node1", HDFS), "/mnt/data/hdfs/name", empty=False))
    (problem,) = refusals(a_session(facts))
    assert (problem.node, problem.code) == ("node1", ExitCode.REFUSED)
    assert "/mnt/data/hdfs/name is not empty" in problem.what and "move it" in str(problem.hint)


@pytest.mark.parametrize("path", ["/mnt/data/spark-master", "/mnt/data/metastore/qfs", "/mnt/data/spark"])
def test_deploy_ends_nothing_while_a_directory_of_the_new_stack_is_missing(path: str) -> None:
    config = a_cluster()
    whole = a_node("node1", config, meta=INITIALISED)
    deploy._check_storage(a_session(prepared(config, node1=whole), config=config))
    facts = prepared(config, node1=with_path(whole, path, kind="missing"))
    with pytest.raises(ClusterError) as caught:
        deploy._check_storage(a_session(facts, config=config))
    (problem,) = caught.value.problems
    assert (problem.node, problem.what) == ("node1", f"{path} is missing")
    assert "invoke prep" in str(problem.hint)


def left_by_an_init(state: str) -> dict[str, NodeFacts]:
    """The manager's name directory as an init has left it."""
    meta = MetaFact(checkpoints=1, latest=True, file_system_id="BP-1", init=state)
    node = with_path(a_node("node1", HDFS, meta=meta), "/mnt/data/hdfs/name", empty=False)
    return prepared(HDFS, node1=node)


def test_an_init_that_did_not_end_is_undone_and_done_again() -> None:
    facts = left_by_an_init("begun")
    assert refusals(a_session(facts)) == () and not is_initialised(HDFS, facts)
    (outcome,) = init(a_session(facts, dry_run=True)).outcomes
    assert (outcome.state, outcome.changes) == ("planned", ("undo an init that did not end", "create"))
    (outcome,) = init(a_session(facts, dry_run=True), erase_name="spark").outcomes
    assert outcome.changes == ("erase what is there", "create")


def test_blocks_anywhere_stand_against_undoing_an_init() -> None:
    facts = left_by_an_init("begun") | {"node3": a_node("node3", HDFS, blocks=1)}
    with pytest.raises(RefusedError, match="holds 1 block, "):
        init(a_session(facts, _is_counted=True))


def test_a_disk_without_its_marker_stands_against_undoing_an_init() -> None:
    facts = left_by_an_init("begun") | {"node3": a_node("node3", HDFS, marker=None)}
    with pytest.raises(RefusedError, match="missing"):
        init(a_session(facts))
    plan = plan_prep(HDFS, facts, fresh(), only=tuple(facts))
    assert [problem.node for problem in plan.problems] == ["node3"] and "mounted?" in plan.problems[0].what


def test_an_init_after_which_nothing_was_written_has_nothing_left_to_do_but_its_erasure() -> None:
    facts = left_by_an_init("unused")
    assert is_initialised(HDFS, facts)
    (outcome,) = init(a_session(facts)).outcomes
    assert outcome.state == "unchanged" and "BP-1" in outcome.changes[0]
    (outcome,) = init(a_session(facts, dry_run=True), erase_name="spark").outcomes
    assert outcome.changes == ("erase what is there", "create")


NOTEBOOKS = PurePosixPath("/mnt/nfs/notebooks")
SHARED = SharedConfig(path=PurePosixPath("/mnt/nfs"))


@pytest.mark.parametrize("path", [str(NOTEBOOKS), "/mnt/nfs", "/mnt/nfs/spark"])
def test_a_link_to_what_no_task_erases_is_no_reason_to_refuse(path: str) -> None:
    config = a_cluster(
        notebooks=NotebooksConfig(path=NOTEBOOKS, shared=True), storage=StorageConfig(kind="hdfs", shared=SHARED)
    )
    facts = prepared(config, node1=with_path(a_node("node1", config), path, kind="link"))
    assert refusals(a_session(facts, config=config)) == ()


@pytest.mark.parametrize("path", ["/mnt/data", "/mnt/data/hdfs", "/mnt/data/hdfs/data"])
def test_a_link_on_the_way_to_the_data_is_refused_past_the_name_too(path: str) -> None:
    facts = prepared(HDFS, node2=with_path(a_node("node2", HDFS), path, kind="link"))
    for name in (None, "spark"):
        with pytest.raises(RefusedError, match=f"{path} is a symbolic link"):
            init(a_session(facts), erase_name=name)


def test_blocks_are_counted_for_a_refusal_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def gather(_config: Any, _clients: Any, _layout: Any, *, counted: bool) -> Results[NodeFacts]:
        asked.append(counted)
        return Results(prepared(HDFS, node3=a_node("node3", HDFS, blocks=7 if counted else 0)), {})

    monkeypatch.setattr(base, "gather_nodes", gather)
    assert refusals(a_session(prepared(HDFS))) == () and asked == []
    (disk,) = a_node("node3", HDFS).disks
    unknown = prepared(HDFS, node3=a_node("node3", HDFS, disks=(replace(disk, has_blocks=True),)))
    (problem,) = refusals(a_session(unknown))
    assert asked == [True] and "/mnt/data/hdfs/data holds 7 blocks, 7,340,032 bytes" in problem.what


@pytest.mark.parametrize("kind", ["qfs", "hdfs", "shared"])
def test_a_wrong_name_is_bad_input_whatever_the_storage(kind: Any) -> None:
    config = a_cluster(storage=StorageConfig(kind=kind))
    with pytest.raises(ConfigError, match="this cluster is called spark"):
        init(a_session(prepared(config), config=config), erase_name="other")


@pytest.mark.parametrize(("kind", "erased"), [("qfs", True), ("hdfs", True), ("shared", False)])
def test_the_names_of_tables_go_with_their_files(kind: StorageKind, erased: bool) -> None:
    config = a_cluster(storage=StorageConfig(kind=kind, shared=SHARED))
    session = a_session(prepared(config), config=config)
    names = f"/mnt/data/metastore/{kind}"
    assert (names in data_directories(session, "node1", everything=True)) is erased
    assert (names in data_directories(session, "node1", everything=False)) is erased
    assert not any("metastore" in path for path in data_directories(session, "node2", everything=True))


@pytest.mark.parametrize(
    ("kind", "tops", "managers"),
    [
        ("qfs", {"qfs", "spark"}, {"spark-master", "metastore"}),
        ("hdfs", {"hdfs", "spark"}, {"spark-master", "metastore"}),
        ("shared", {"spark"}, {"spark-master"}),
    ],
)
def test_purge_erases_nothing_but_this_storages_data_and_sparks_work(
    kind: StorageKind, tops: set[str], managers: set[str]
) -> None:
    config = a_cluster(storage=StorageConfig(kind=kind, shared=SharedConfig(path=PurePosixPath("/mnt/data/shared"))))
    for node in config.nodes:  # what is beside it: notebooks, sparkqfs, another kind's data, the shared path
        found = data_directories(a_session({}, config=config), node.name, everything=True)
        assert {str(PurePosixPath(path).relative_to("/mnt/data").parts[0]) for path in found} == (
            tops | managers if node.manager else tops
        )


def a_whole_file_system() -> dict[str, NodeFacts]:
    """The stack is down."""
    meta = MetaFact(checkpoints=1, latest=True, logs=1, file_system_id="BP-1")
    node = replace(a_node("node1", HDFS, meta=meta), containers=())
    return prepared(HDFS, node1=with_path(node, "/mnt/data/hdfs/name", empty=False))


def erased(monkeypatch: pytest.MonkeyPatch, outcome: object) -> list[str]:
    """What was done, in order; a backup gives this, or fails with it."""
    done: list[str] = []

    def make(_session: Session, _place: Path, _timeout_s: float) -> tuple[Path, Manifest]:
        done.append("backup")
        if isinstance(outcome, Exception):
            raise outcome
        return Path(str(outcome)), backup_store.read_manifest(Path(str(outcome)))

    monkeypatch.setattr(backup, "make", make)

    def erase(*_args: object, **_more: object) -> tuple[()]:
        done.append("erase")
        return ()

    for name in ("erase", "_make"):
        monkeypatch.setattr(file_system, name, erase)
    monkeypatch.setattr(file_system, "remove_copies", lambda _session: {})
    monkeypatch.setattr(file_system, "check_erasable", lambda _session, *, everything=False: None)
    monkeypatch.setattr(record, "forget", lambda _session: None)
    monkeypatch.setattr(record, "write", lambda _session, *, erasing=False: done.append(f"{erasing=}"))
    monkeypatch.setattr(file_system, "_refuse_while_running", lambda _session: None)
    return done


PURGED = ["erasing=True", "erase"]
ERASING: dict[str, Callable[..., JobResult]] = {
    "purge": lambda session, **more: file_system.purge(session, erase_name="spark", **more),
    "init-storage": lambda session, **more: init(session, erase_name="spark", **more),
}


@pytest.mark.parametrize("task", ERASING)
def test_what_is_erased_is_backed_up_first_and_it_is_said_where(
    task: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    made = a_backup(tmp_path / "others")
    done = erased(monkeypatch, made)
    session = a_session(a_whole_file_system(), _is_counted=True)
    first = ERASING[task](session).outcomes[0]
    assert done == ["backup", *PURGED[task != "purge" :]]
    assert (first.subject, first.changes[0]) == ("backup", str(made))
    done.clear()
    planned = ERASING[task](replace(session, dry_run=True)).outcomes[0]
    assert (planned.subject, planned.state, done) == ("backup", "planned", [])


@pytest.mark.parametrize("task", ERASING)
def test_nothing_is_erased_where_the_backup_cannot_be_read_again(
    task: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = a_backup(tmp_path)
    (made / "metadata.tar").write_bytes((made / "metadata.tar").read_bytes()[:-1])
    done = erased(monkeypatch, made)
    with pytest.raises(RefusedError, match="nothing was erased") as caught:
        ERASING[task](a_session(a_whole_file_system(), _is_counted=True))
    assert done == ["backup"] and "metadata.tar" in caught.value.problems[0].what


@pytest.mark.parametrize("task", ERASING)
def test_nothing_is_erased_without_a_backup_unless_that_is_said(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = erased(monkeypatch, ClusterError(Problem(node="node1", what="no image")))
    session = a_session(a_whole_file_system(), _is_counted=True)
    with pytest.raises(RefusedError, match="nothing was erased") as caught:
        ERASING[task](session)
    assert caught.value.problems[0].what == "no image" and done == ["backup"]
    assert "--no-backup" in str(caught.value.problems[-1].hint) and caught.value.exit_code == ExitCode.REFUSED
    done.clear()
    ERASING[task](session, no_backup=True)
    assert done == PURGED[task != "purge" :]


@pytest.mark.parametrize("task", ["purge", "init-storage"])
def test_nothing_is_erased_by_a_run_that_has_lost_its_lock_while_it_made_the_backup(
    task: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    make = file_system._make
    done = erased(monkeypatch, a_backup(tmp_path / "others"))
    monkeypatch.setattr(file_system, "_make", make)
    monkeypatch.setattr(file_system, "_init_files", lambda *_args: "")
    monkeypatch.setattr(images, "references", lambda _session: {"hdfs-namenode": SimpleNamespace(reference="")})

    def run(argv: list[str], **_more: object) -> SimpleNamespace:
        done.append("asked")
        return SimpleNamespace(exit_code=9)

    clients: Any = SimpleNamespace(
        manager=SimpleNamespace(run=run), engine=lambda: SimpleNamespace(image_labels=lambda _reference: {})
    )
    session = Session(HDFS, clients, lambda _text: None, _facts=a_whole_file_system(), _is_counted=True, locked=True)
    with pytest.raises(RefusedError, match="lost the lock"):
        ERASING[task](session)
    assert done == ["backup", "asked"]


def test_where_there_is_no_file_system_nothing_is_backed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    done = erased(monkeypatch, ClusterError())
    file_system.purge(a_session(prepared(HDFS)), erase_name="spark")
    assert done == PURGED


def without_its_metadata(*, is_made: bool | None) -> dict[str, NodeFacts]:
    """Blocks on a node, and nothing on the manager. `is_made`: what the record says; `None` without one."""
    facts = {name: replace(fact, records=()) for name, fact in prepared(HDFS).items()}
    facts["node2"] = a_node("node2", HDFS, blocks=5, records=())
    if is_made is None:
        return facts
    known = ClusterRecord(cluster="spark", id="x", storage="hdfs", initialised=True, metadata=DiskName("node1", 0))
    erasing = replace(known, initialised=False, confirmed=True, serial=2)
    path = PurePosixPath("/var/lib/sparkqfs/spark.hdfs.json")
    records = [RecordFact(path=path, record=one, node="node3") for one in (known, *(() if is_made else (erasing,)))]
    return facts | {"node3": replace(facts["node3"], records=tuple(records))}


@pytest.mark.parametrize("is_made", [None, True])
@pytest.mark.parametrize("task", ERASING)
def test_a_file_system_whose_metadata_the_manager_has_not_is_backed_up_from_a_copy_or_kept(
    task: str, is_made: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = erased(monkeypatch, ClusterError(Problem(what="there is no metadata that a backup could be made of")))
    monkeypatch.setattr(file_system, "check_cluster_name", lambda *_args, **_more: None)
    with pytest.raises(RefusedError, match="nothing was erased"):
        ERASING[task](a_session(without_its_metadata(is_made=is_made), _is_counted=True))
    assert done == ["backup"]


@pytest.mark.parametrize("task", ERASING)
def test_an_erasure_that_was_cut_off_goes_on_without_another_backup(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = erased(monkeypatch, ClusterError())
    monkeypatch.setattr(file_system, "check_cluster_name", lambda *_args, **_more: None)
    ERASING[task](a_session(without_its_metadata(is_made=False), _is_counted=True))
    assert done == PURGED[task != "purge" :]

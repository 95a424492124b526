"""jobs/storage/file_system.py: what stands against a new file system, and what is erased."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from sparkqfs.clients.parallel import Results
from sparkqfs.config.model import NotebooksConfig, SharedConfig, StorageConfig, StorageKind
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, RefusedError
from sparkqfs.facts.nodes import MetaFact, NodeFacts
from sparkqfs.jobs import session as base
from sparkqfs.jobs.cluster import deploy
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage.file_system import data_directories, init, refusals
from sparkqfs.plan.cluster.markers import is_initialised
from sparkqfs.plan.cluster.nodes import plan_prep
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
    with pytest.raises(RefusedError, match="holds 1 blocks"):
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
    assert asked == [True] and "/mnt/data/hdfs/data holds 7 blocks, 7340032 bytes" in problem.what


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

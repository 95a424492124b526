"""plan/cluster/secret_copies.py: who gets a copy of the manager's secrets, who keeps none, and who is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from sparkqfs.checks.machines import check_nodes
from sparkqfs.config.model import ClusterConfig, CopiesConfig, SharedConfig, StorageConfig
from sparkqfs.errors import ExitCode
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.cluster.secret_copies import CopyStep, RemoveCopyStep, removal_steps
from sparkqfs.plan.steps import Plan
from tests.builders.clusters import a_cluster
from tests.builders.facts import CLUSTER_ID, FRESH_ID, a_copy, a_fresh_node, a_node, fresh_ca, prepared, with_path
from tests.builders.plans import planned

NAMES = ("node1", "node2", "node3", "node4")
CLUSTER = a_cluster(*NAMES)
FILE = "/mnt/data/sparkqfs/recovery.json"


def whys(plan: Plan) -> list[tuple[str, str]]:
    return [(step.node, step.why) for step in plan.steps if isinstance(step, CopyStep)]


def removed(plan: Plan) -> list[str]:
    return [step.node for step in plan.steps if isinstance(step, RemoveCopyStep)]


def with_copy(name: str, **changes: Any) -> NodeFacts:
    return replace(a_node(name, CLUSTER), recovery=a_copy(CLUSTER, **changes))


# --- what is written ------------------------------------------------------------------------------


def test_a_first_prep_places_a_copy_on_two_nodes_and_says_where() -> None:
    plan = planned(CLUSTER, {name: a_fresh_node(name, CLUSTER) for name in NAMES}, fresh=fresh_ca())
    copies = [step for step in plan.steps if isinstance(step, CopyStep)]
    assert [(step.node, step.what, step.why) for step in copies] == [
        (name, f"copy of the secrets {FILE}", "missing") for name in ("node2", "node3")
    ]
    assert {step.cluster_id for step in copies} == {FRESH_ID}
    assert plan.of("node2")[-2].what == "directory /mnt/data/sparkqfs (0:0, 700)"


def test_a_cluster_with_its_copies_needs_nothing_and_doctor_finds_nothing() -> None:
    facts = prepared(CLUSTER)
    assert planned(CLUSTER, facts) == Plan(unchanged=NAMES) and check_nodes(CLUSTER, facts) == ()


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (with_path(with_copy("node2"), FILE, kind="missing"), "missing"),
        (replace(with_copy("node2"), recovery=None), "missing"),
        (with_copy("node2", state="0" * 64), "differs"),
        (with_copy("node2", whole=False), "damaged"),
        (with_copy("node2", whole=False, cluster="", cluster_id=""), "damaged"),
        (with_path(with_copy("node2"), FILE, mode=0o640), "mode is 640, want 600"),
        (with_path(with_copy("node2"), FILE, uid=6700), "owner is 6700:0, want 0:0"),
    ],
)
def test_a_copy_is_written_where_it_is_not_as_it_should_be_and_doctor_says_so(odd: NodeFacts, why: str) -> None:
    facts = prepared(CLUSTER, node2=odd)
    assert whys(planned(CLUSTER, facts)) == [("node2", why)]
    (problem,) = check_nodes(CLUSTER, facts)
    assert (problem.node, problem.hint) == ("node2", "invoke prep")
    assert problem.what == f"copy of the secrets {FILE}: {why}"


MANAGER = CLUSTER.manager
OTHER_SETTINGS = {
    "address": replace(CLUSTER, nodes=(replace(MANAGER, advertise="192.168.1.99"), *CLUSTER.nodes[1:])),
    "owner": replace(CLUSTER, owner=replace(CLUSTER.owner, uid=7)),
    "group": replace(CLUSTER, owner=replace(CLUSTER.owner, gid=7)),
}


@pytest.mark.parametrize("config", OTHER_SETTINGS.values(), ids=OTHER_SETTINGS)
def test_a_copy_that_tells_of_other_settings_differs(config: ClusterConfig) -> None:
    facts = {
        node.name: replace(a_node(node.name, config), recovery=a_node(node.name, CLUSTER).recovery)
        for node in config.nodes
    }
    assert whys(planned(config, facts)) == [("node2", "differs"), ("node3", "differs")]


def test_new_files_on_the_manager_are_copied_in_the_same_run() -> None:
    facts = prepared(CLUSTER)
    assert whys(planned(CLUSTER, facts, fresh=fresh_ca())) == [("node2", "differs"), ("node3", "differs")]
    lacking = replace(facts["node1"], secret_names=("jupyter_token",))
    plan = planned(CLUSTER, {**facts, "node1": lacking})
    assert whys(plan) == [("node2", "differs"), ("node3", "differs")]
    without = planned(CLUSTER, {**facts, "node1": lacking}, only=("node2", "node3"))
    assert without == Plan(unchanged=("node2", "node3"))


def test_a_copy_gets_a_higher_number_than_any_that_was_seen_and_than_a_clock_that_runs_behind() -> None:
    def number(**facts: NodeFacts) -> int:
        plan = planned(CLUSTER, prepared(CLUSTER, node3=with_copy("node3", state="", written=7), **facts))
        (step,) = [step for step in plan.steps if isinstance(step, CopyStep)]
        return step.written

    assert number() == 8
    assert number(node4=replace(a_node("node4", CLUSTER), recovery=a_copy(CLUSTER, written=99))) == 100
    assert number(node4=replace(a_node("node4", CLUSTER), recovery=a_copy(CLUSTER, written=99, whole=False))) == 8
    assert number(node1=replace(a_node("node1", CLUSTER), clock_s=1.8e9)) == 1_800_000_000


NOBODY = {
    "one machine": a_cluster("node1"),
    "none wanted": a_cluster(*NAMES, storage=StorageConfig(copies=CopiesConfig(nodes=0))),
    "a shared path": a_cluster(
        *NAMES, storage=StorageConfig(kind="shared", shared=SharedConfig(path=PurePosixPath("/s")))
    ),
}


@pytest.mark.parametrize("config", NOBODY.values(), ids=NOBODY)
def test_no_node_gets_a_copy_where_none_keeps_the_metadatas(config: ClusterConfig) -> None:
    facts = {node.name: a_fresh_node(node.name, config) for node in config.nodes}
    assert whys(planned(config, facts, fresh=fresh_ca())) == []


def test_nothing_is_copied_from_a_manager_that_has_nothing_or_is_silent() -> None:
    bare = {name: replace(a_node(name, CLUSTER), recovery=None, material=None) for name in NAMES}
    assert planned(CLUSTER, bare) == Plan(unchanged=NAMES) and check_nodes(CLUSTER, bare) == ()
    silent = {name: replace(fact, recovery=None) for name, fact in prepared(CLUSTER).items() if name != "node1"}
    assert whys(planned(CLUSTER, silent)) == [] and check_nodes(CLUSTER, silent) == ()


def test_a_silent_node_is_not_planned_for_and_the_others_are() -> None:
    facts = {name: fact for name, fact in prepared(CLUSTER).items() if name != "node2"}
    facts["node3"] = with_copy("node3", state="")
    assert whys(planned(CLUSTER, facts)) == [("node3", "differs")]
    assert whys(planned(CLUSTER, facts, only=("node1", "node4"))) == []


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"cluster": "lab"}, {"cluster_id": FRESH_ID}, {"cluster": "lab", "whole": False}])
def test_another_clusters_copy_is_a_problem_of_its_node_which_is_left_alone(changes: dict[str, Any]) -> None:
    odd = with_path(with_copy("node2", state="", **changes), "/mnt/data/spark", mode=0o777)
    facts = prepared(CLUSTER, node2=odd, node3=with_copy("node3", state=""))
    plan = planned(CLUSTER, facts)
    (problem,) = plan.problems
    assert (problem.node, problem.code) == ("node2", ExitCode.REFUSED) and FILE in problem.what
    assert {step.node for step in plan.steps} == {"node3"} and plan.unchanged == ("node1", "node4")
    assert [problem.node for problem in check_nodes(CLUSTER, facts)] == ["node3"]


@pytest.mark.parametrize("name", ["node2", "node4"])
def test_another_kind_of_storage_has_another_id_and_the_same_secrets(name: str) -> None:
    of_hdfs = {"storage": "hdfs", "cluster_id": FRESH_ID, "state": ""}
    plan = planned(CLUSTER, prepared(CLUSTER, **{name: with_copy(name, **of_hdfs)}))
    assert plan.problems == () and {step.node for step in plan.steps} == {name}
    assert (whys(plan), removed(plan)) == (([("node2", "differs")], []) if name == "node2" else ([], ["node4"]))
    other = planned(CLUSTER, prepared(CLUSTER, **{name: with_copy(name, **of_hdfs, material="0" * 64)}))
    assert other.steps == () and [problem.node for problem in other.problems] == ["node2"] * (name == "node2")


@pytest.mark.parametrize("kind", ["link", "directory", "other"])
def test_what_is_not_a_file_is_not_replaced(kind: str) -> None:
    plan = planned(CLUSTER, prepared(CLUSTER, node2=with_path(a_node("node2", CLUSTER), FILE, kind=kind)))
    assert [problem.node for problem in plan.problems] == ["node2"] and plan.steps == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kind": "link"}, "symbolic link"),
        ({"kind": "file"}, "a file, expected a directory"),
        ({"uid": 1000, "empty": False}, "belongs to user number 1000"),
        ({"uid": 0, "mode": 0o755, "empty": False}, "belongs to root"),
    ],
)
def test_a_directory_that_may_be_somebody_elses_is_not_taken(changes: dict[str, Any], told: str) -> None:
    node = replace(a_node("node2", CLUSTER), recovery=None)
    plan = planned(CLUSTER, prepared(CLUSTER, node2=with_path(node, "/mnt/data/sparkqfs", **changes)))
    assert [problem.node for problem in plan.problems] == ["node2"] and plan.steps == ()
    assert told in plan.problems[0].what
    other = with_path(a_node("node4", CLUSTER), "/mnt/data/sparkqfs", **changes)
    assert planned(CLUSTER, prepared(CLUSTER, node4=other)).problems == ()


def test_the_directory_of_a_copy_is_closed_again() -> None:
    plan = planned(CLUSTER, prepared(CLUSTER, node2=with_path(with_copy("node2"), "/mnt/data/sparkqfs", mode=0o755)))
    assert [(step.node, step.what, step.why) for step in plan.steps] == [
        ("node2", "directory /mnt/data/sparkqfs (0:0, 700)", "mode is 755, want 700")
    ]


# --- what is removed ------------------------------------------------------------------------------


def test_a_node_that_keeps_no_copies_any_more_loses_its_own_last() -> None:
    plan = planned(CLUSTER, prepared(CLUSTER, node4=with_copy("node4"), node2=with_copy("node2", state="")))
    assert removed(plan) == ["node4"] and isinstance(plan.steps[-1], RemoveCopyStep)
    assert plan.steps[-1].what == f"remove the copy of the secrets {FILE}"
    none = replace(CLUSTER, storage=StorageConfig(copies=CopiesConfig(nodes=0)))
    facts = {name: replace(a_node(name, none), recovery=a_copy(none)) for name in NAMES}
    assert removed(planned(none, facts)) == ["node2", "node3", "node4"]


@pytest.mark.parametrize(
    "odd",
    [
        with_copy("node4", cluster="lab"),
        with_copy("node4", cluster_id=FRESH_ID),
        with_copy("node4", cluster="", cluster_id="", whole=False),
        with_copy("node4", cluster_id="", whole=False),
        with_copy("node1"),
    ],
)
def test_what_is_not_ours_or_on_the_manager_is_not_removed(odd: NodeFacts) -> None:
    assert planned(CLUSTER, prepared(CLUSTER, **{odd.name: odd})) == Plan(unchanged=NAMES)


def test_nothing_is_removed_while_a_node_that_should_have_a_copy_may_have_none() -> None:
    facts = prepared(CLUSTER, node4=with_copy("node4"))
    assert removed(planned(CLUSTER, facts)) == ["node4"]
    assert removed(planned(CLUSTER, facts, only=("node4",))) == ["node4"]
    assert removed(planned(CLUSTER, facts, only=("node1", "node2", "node3"))) == []
    assert removed(planned(CLUSTER, {name: fact for name, fact in facts.items() if name != "node2"})) == []
    behind = {**facts, "node2": with_copy("node2", state="")}
    assert removed(planned(CLUSTER, behind)) == ["node4"]
    assert removed(planned(CLUSTER, behind, only=("node3", "node4"))) == []
    assert removed(planned(CLUSTER, {**facts, "node2": with_copy("node2", cluster="lab")})) == []


def test_purge_removes_this_clusters_copies_wherever_they_are() -> None:
    facts = prepared(CLUSTER, node1=with_copy("node1"), node4=with_copy("node4", cluster="lab"))
    assert sorted(removal_steps(CLUSTER, facts)) == ["node1", "node2", "node3"]
    again = {**facts, "node1": a_node("node1", CLUSTER, marker=None), "node3": with_copy("node3", cluster_id=FRESH_ID)}
    assert sorted(removal_steps(CLUSTER, again)) == ["node2", "node3"]
    facts["node3"] = with_copy("node3", cluster_id=FRESH_ID)
    assert sorted(removal_steps(CLUSTER, facts)) == ["node1", "node2"]
    assert CLUSTER_ID in "".join(removal_steps(CLUSTER, facts)["node2"].lines)

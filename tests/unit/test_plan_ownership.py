"""plan/cluster/ownership.py: whose data is in a data directory, by the name beside the id and by what runs there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from sparkqfs.config.model import ClusterConfig, SharedConfig, StorageConfig, StorageKind
from sparkqfs.errors import ClusterError, ExitCode, RefusedError
from sparkqfs.facts.nodes import ContainerFact, NodeFacts
from sparkqfs.jobs.cluster import deploy, swarm
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import file_system as storage
from sparkqfs.plan.cluster.nodes import plan_prep
from sparkqfs.plan.cluster.ownership import name_problems, users_of
from sparkqfs.plan.steps import Plan
from tests.builders.clusters import a_cluster, a_node_config
from tests.builders.facts import a_fresh_node, a_node, fresh, fresh_ca, prepared

ALL = ("node1", "node2", "node3")
SPARK = a_cluster()
TEST = a_cluster(name="test")


def planned(config: ClusterConfig, facts: dict[str, NodeFacts], **more: Any) -> Plan:
    return plan_prep(config, facts, more.pop("fresh", fresh()), only=ALL, **more)


def a_session(config: ClusterConfig, facts: dict[str, NodeFacts]) -> Session:
    return Session(config, None, lambda _text: None, _facts=facts)  # type: ignore[arg-type]


def unnamed(fact: NodeFacts) -> NodeFacts:
    """The machine as a prep left it that knew no names."""
    return replace(fact, disks=tuple(replace(disk, cluster=None) for disk in fact.disks))


def running(fact: NodeFacts, stack: str, *sources: str, name: str = "worker") -> NodeFacts:
    container = ContainerFact(name=name, stack=stack, sources=tuple(map(PurePosixPath, sources)))
    return replace(fact, containers=(*(fact.containers or ()), container))


# --- the name -------------------------------------------------------------------------------------


def test_a_new_cluster_gets_its_name_beside_every_id() -> None:
    disks = (PurePosixPath("/d1"), PurePosixPath("/d2"))
    config = a_cluster(nodes=(a_node_config("node1", data_dirs=disks),), name="lab")
    plan = plan_prep(config, {"node1": a_fresh_node("node1", config)}, fresh_ca(), only=("node1",))
    assert [step.what for step in plan.steps if step.what.startswith("name")] == [
        "name /d1/qfs/.cluster-name",
        "name /d2/qfs/.cluster-name",
    ]


def test_an_older_cluster_without_a_name_is_adopted() -> None:
    plan = planned(SPARK, {name: unnamed(fact) for name, fact in prepared(SPARK).items()})
    assert not plan.problems
    assert [(step.node, step.what, step.why) for step in plan.steps] == [
        (name, "name /mnt/data/qfs/.cluster-name", "missing") for name in ALL
    ]


def test_no_name_is_written_while_the_id_is_not_settled() -> None:
    facts = {name: a_fresh_node(name) for name in ("node1", "node2")}  # node3 does not answer
    assert not any(step.what.startswith("name") for step in planned(SPARK, facts, fresh=fresh_ca()).steps)


def test_a_storage_without_ids_keeps_the_name_with_sparks_work() -> None:
    config = a_cluster(storage=StorageConfig(kind="shared", shared=SharedConfig(path=PurePosixPath("/mnt/nfs"))))
    plan = planned(config, {name: a_fresh_node(name, config) for name in ALL}, fresh=fresh_ca())
    whats = [step.what for step in plan.of("node2")]
    assert whats.index("name /mnt/data/spark/.cluster-name") > whats.index("directory /mnt/data/spark (6700:6700, 750)")


def test_another_name_in_hosts_yml_stops_prep_on_every_machine_and_both_are_named() -> None:
    plan = planned(TEST, prepared(SPARK))
    assert (plan.steps, plan.unchanged) == ((), ())
    assert [(one.node, one.code, one.config_path) for one in plan.problems] == [
        (name, ExitCode.REFUSED, "cluster") for name in ALL
    ]
    assert plan.problems[0].what == "/mnt/data/qfs/.cluster-name says spark, hosts.yml says test"
    assert "`cluster: spark`" in (plan.problems[0].hint or "")


def test_a_single_disk_of_another_cluster_does_not_hold_up_the_others() -> None:
    odd = a_node("node2")
    odd = replace(odd, disks=(replace(odd.disks[0], cluster="other", marker="another-id"),))
    plan = planned(SPARK, prepared(SPARK, node2=odd))
    assert {one.node for one in plan.problems} == {"node2"} and plan.unchanged == ("node1", "node3")


def test_a_name_on_any_machine_stops_one_whose_manager_has_none() -> None:
    facts = {**prepared(SPARK), "node1": unnamed(a_node("node1"))}
    assert planned(TEST, facts).steps == ()


def test_a_data_directory_of_its_own_is_a_cluster_of_its_own() -> None:
    nodes = tuple(a_node_config(name, i, data_dirs=(PurePosixPath("/mnt/data/plain"),)) for i, name in enumerate(ALL))
    plain = a_cluster(name="plain", nodes=nodes)
    facts = {name: running(a_fresh_node(name, plain), "spark", "/mnt/data/qfs", "/mnt/data/spark") for name in ALL}
    plan = planned(plain, facts, fresh=fresh_ca())
    assert not plan.problems and plan.steps


# --- what runs there ------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["/mnt/data/qfs", "/mnt/data/qfs/chunk", "/mnt/data/spark", "/mnt/data"])
def test_a_container_that_has_our_directories_uses_them(source: str) -> None:
    ((container, path),) = users_of(SPARK, SPARK.manager, running(a_node("node1"), "", source, name="backup"))
    assert (container.name, str(path)) == ("backup", source)


@pytest.mark.parametrize(
    "source", ["/", "/mnt", "/mnt/data/sparkqfs/registry", "/mnt/data/notebooks", "/mnt/data/hdfs"]
)
def test_a_container_with_other_directories_does_not(source: str) -> None:
    assert users_of(SPARK, SPARK.manager, running(a_node("node1"), "", source)) == ()


def test_data_without_a_name_that_another_stack_uses_is_not_adopted() -> None:
    facts = {name: running(unnamed(a_node(name)), "spark", "/mnt/data/qfs") for name in ALL}
    plan = planned(TEST, facts)
    assert plan.steps == () and {one.code for one in plan.problems} == {ExitCode.REFUSED}
    assert plan.problems[0].what == "/mnt/data/qfs is in use by stack spark (worker), hosts.yml says test"
    assert name_problems(SPARK, facts) == ()


# --- the tasks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["qfs", "hdfs", "shared"])
def test_no_task_that_changes_data_works_under_another_name(kind: StorageKind) -> None:
    shared = SharedConfig(path=PurePosixPath("/mnt/nfs"))
    spark = a_cluster(storage=StorageConfig(kind=kind, shared=shared))
    session = a_session(replace(spark, name="test"), prepared(spark))
    tries: tuple[Callable[[], object], ...] = (
        lambda: storage.purge(session, erase_name="test"),
        lambda: storage.init(session),
        lambda: storage.init(session, erase_name="test"),
        lambda: deploy.run(session),
    )
    for refused in tries:
        with pytest.raises(RefusedError, match=r"says spark, hosts\.yml says test") as caught:
            refused()
        assert caught.value.exit_code == ExitCode.REFUSED
    result = swarm.run(session)
    assert result.exit_code == ExitCode.REFUSED and not result.outcomes


@pytest.mark.parametrize(
    ("stack", "source", "said"),
    [
        ("spark", "/somewhere", "stack spark is running"),
        ("other", "/mnt/data/spark", "container backup has /mnt/data/spark mounted"),
        ("", "/mnt/data/qfs", "container backup has /mnt/data/qfs mounted"),
    ],
)
def test_nothing_is_erased_under_a_running_container(stack: str, source: str, said: str) -> None:
    facts = prepared(SPARK, node2=running(a_node("node2"), stack, source, name="backup"))
    for refused in (storage.purge, storage.init):
        with pytest.raises(RefusedError, match=said) as caught:
            refused(a_session(SPARK, facts), erase_name="spark")
        assert caught.value.problems[0].node == "node2"


def test_nothing_is_erased_where_the_containers_cannot_be_listed() -> None:
    facts = prepared(SPARK, node3=a_node("node3", containers=None))
    with pytest.raises(ClusterError, match="cannot be seen"):
        storage.purge(a_session(SPARK, facts), erase_name="spark")

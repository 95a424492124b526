"""A task that has put the metadata back says where the manager is now: nothing is asked, and no question is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from sparkqfs.config.model import ClusterConfig, SharedConfig, StorageConfig
from sparkqfs.errors import RefusedError
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.facts.record import DiskName
from sparkqfs.jobs.session import Session, check_cluster_name
from sparkqfs.plan.cluster.copies import is_record
from sparkqfs.plan.cluster.nodes import plan_prep
from sparkqfs.plan.cluster.takeover import plan_takeover
from sparkqfs.plan.steps import Plan
from tests.builders import worlds
from tests.builders.clusters import a_cluster, a_node_config
from tests.builders.facts import fresh
from tests.builders.identity_changes import D1, D2, OLDER, a_config, foreign, managed_by, nodes_with, without
from tests.builders.worlds import World, a_grown_world, carry_out, facts_of, prep, world_of

CONFIG = a_config()
CHECKPOINT = "qfs/checkpoint/chkpt.0.0.1"
ID = "99999999-0000-0000-0000-000000000000"


def put_back(world: World, config: ClusterConfig) -> None:
    world.at(config, config.manager.name).write(f"{config.manager.data_dirs[0]}/{CHECKPOINT}", "7")


def disk_replaced(world: World) -> ClusterConfig:
    """The manager's first disk is a new one."""
    world.shelf.append(world.at(CONFIG, "node1").disks[D1])
    world.at(CONFIG, "node1").disks[D1] = {}
    return CONFIG


def machine_replaced(world: World) -> ClusterConfig:
    """The manager is a new machine of the same name and other disks."""
    world.machines[CONFIG.node("node1").address] = worlds.Machine(disks={"/srv/a": {}, "/srv/b": {}})
    return nodes_with(CONFIG, "node1", data_dirs=("/srv/a", "/srv/b"))


def other_node(world: World) -> ClusterConfig:
    """The manager is gone, and a worker takes its place."""
    world.machines.pop(CONFIG.node("node1").address)
    return managed_by("node2")(world, CONFIG)


def other_node_alone(world: World) -> ClusterConfig:
    """The same, and hosts.yml does not have the manager any more."""
    return managed_by("node2")(world, without("node1")(world, CONFIG))


def new_machine(world: World) -> ClusterConfig:
    """The manager is gone, and a new machine takes its place."""
    node = a_node_config("node4", 3, manager=True, data_dirs=(PurePosixPath(D1), PurePosixPath(D2)))
    world.machines[node.address] = worlds.Machine(disks={D1: {}, D2: {}})
    return replace(CONFIG, nodes=(node, *(one for one in CONFIG.nodes if one.name != "node1")))


def old_metadata_elsewhere(world: World) -> ClusterConfig:
    """The old manager is there, with its metadata."""
    return managed_by("node3")(world, CONFIG)


CASES = [disk_replaced, machine_replaced, other_node, other_node_alone, new_machine, old_metadata_elsewhere]
each_case = pytest.mark.parametrize("case", CASES, ids=[one.__name__ for one in CASES])


def answering(world: World, config: ClusterConfig) -> dict[str, NodeFacts]:
    """Facts of the machines that are there."""
    there = [node.name for node in config.nodes if node.address in world.machines]
    return {name: fact for name, fact in facts_of(world.again(), config).items() if name in there}


def left_to_ask(world: World, config: ClusterConfig) -> list[str]:
    """What prep asks with the machines that are there; a node that is no more is expected to be given up."""
    nodes = tuple(node for node in config.nodes if node.address in world.machines)
    plan, _ = prep(world, replace(config, nodes=nodes))
    return [one.what for one in plan.problems if not one.what.startswith("hosts.yml does not have ")]


@each_case
@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("version", ["this", "an earlier one"])
def test_the_manager_is_where_the_task_says_and_prep_asks_nothing(
    case: Callable[[World], ClusterConfig], is_before: bool, version: str
) -> None:
    world = a_grown_world(CONFIG)
    if version != "this":
        OLDER(world, CONFIG)
    config = case(world)
    if is_before:
        put_back(world, config)
    files = world.all_files()
    plan = plan_takeover(config, answering(world, config))
    assert not plan.problems
    carry_out(world, config, plan)
    if not is_before:
        put_back(world, config)
    assert left_to_ask(world, config) == []
    records = [copy.record for fact in answering(world, config).values() for copy in fact.records if copy.record]
    newest = max(records, key=lambda one: one.serial)
    assert newest.initialised and newest.id == ID and newest.metadata.node == config.manager.name
    assert newest.disks[newest.metadata] == config.manager.data_dirs[0]
    assert [one for one in files if one not in world.all_files()] == []


@each_case
def test_one_that_was_killed_at_any_step_is_finished_when_it_is_done_again(
    case: Callable[[World], ClusterConfig],
) -> None:
    world = a_grown_world(CONFIG)
    config = case(world)
    put_back(world, config)
    plan = plan_takeover(config, answering(world, config))
    steps = sorted(plan.steps, key=lambda step: (is_record(step), step.node != config.manager.name))
    for count in range(len(steps) + 1):
        killed = world.again()
        carry_out(killed, config, Plan(steps=tuple(steps[:count])))
        again = plan_takeover(config, answering(killed, config))
        assert not again.problems
        carry_out(killed, config, again)
        assert left_to_ask(killed, config) == []
        last = plan_takeover(config, answering(killed, config))
        assert [step for step in last.steps if not step.what.startswith("directory")] == []


def test_the_hosts_file_of_before_is_told_where_the_manager_is() -> None:
    world = a_grown_world(CONFIG)
    config = other_node(world)
    put_back(world, config)
    carry_out(world, config, plan_takeover(config, answering(world, config)))
    world.machines[CONFIG.node("node1").address] = a_grown_world(CONFIG).at(CONFIG, "node1")  # it is back
    plan, _ = prep(world, CONFIG)
    assert [problem.what.partition(";")[0] for problem in plan.problems] == [
        "the file system's metadata is in /mnt/d1 on node2"
    ]
    assert "`manager: true` for node2" in str(plan.problems[0].hint) and plan.steps == ()
    plan, _ = prep(world, config)
    assert not plan.problems


def test_a_manager_of_before_stays_a_part_of_the_cluster_until_it_is_forgotten() -> None:
    world = a_grown_world(CONFIG)
    config = other_node_alone(world)
    put_back(world, config)
    carry_out(world, config, plan_takeover(config, answering(world, config)))
    plan, _ = prep(world, config)
    (problem,) = plan.problems
    assert "hosts.yml does not have node1" in problem.what and "`invoke prep --forget node1`" in str(problem.hint)
    plan, _ = prep(world, config, forget=("node1",))
    assert not plan.problems


def test_a_new_disk_in_the_place_of_the_old_one_takes_its_name_and_an_id_that_is_given_counts() -> None:
    world = world_of(CONFIG)
    put_back(world, CONFIG)
    unknown = plan_takeover(CONFIG, facts_of(world, CONFIG))
    assert unknown.steps == () and "nobody remembers cluster spark" in unknown.problems[0].what
    carry_out(world, CONFIG, plan_takeover(CONFIG, facts_of(world, CONFIG), cluster_id=ID))
    fact = facts_of(world, CONFIG)["node1"]
    assert [disk.marker for disk in fact.disks] == [ID, ID]
    assert {copy.disk for copy in fact.records if copy.disk} == {DiskName("node1", 0), DiskName("node1", 1)}


def test_a_disk_of_another_cluster_is_not_taken() -> None:
    world = a_grown_world(CONFIG)
    foreign("node1", D2)(world, CONFIG)
    plan = plan_takeover(CONFIG, facts_of(world, CONFIG))
    (problem,) = plan.problems
    assert plan.steps == () and "beef, this cluster is " in problem.what and "`data_dir`" in str(problem.hint)
    assert plan_takeover(CONFIG, facts_of(world, CONFIG), cluster_id="0-1").steps == ()


def test_a_shared_storage_is_written_down_with_its_path() -> None:
    shared = SharedConfig(path=PurePosixPath("/mnt/nfs"))
    config = a_cluster(storage=StorageConfig(kind="shared", shared=shared))
    world = world_of(config)
    carry_out(world, config, plan_takeover(config, facts_of(world, config)))
    (record,) = {
        copy.record.serial: copy.record for copy in facts_of(world, config)["node1"].records if copy.record
    }.values()
    assert record.initialised and record.shared_path == PurePosixPath("/mnt/nfs/spark")


@each_case
def test_a_restore_goes_on_before_and_after_the_metadata_is_there(case: Callable[[World], ClusterConfig]) -> None:
    """prep, swarm and deploy ask nothing of a restore, which has said where the manager is; contradictions remain."""
    world = a_grown_world(CONFIG)
    config = case(world)
    nodes = tuple(node for node in config.nodes if node.address in world.machines)
    config = replace(config, nodes=nodes)
    carry_out(world, config, plan_takeover(config, answering(world, config)))
    for is_there in (False, True):
        if is_there:
            put_back(world, config)
        facts = answering(world, config)
        plan = plan_prep(config, facts, fresh(), only=tuple(facts), restoring=True)
        assert not plan.problems
        carry_out(world, config, plan)
        session = Session(config, None, lambda _text: None, is_restoring=True, _facts=facts)  # type: ignore[arg-type]
        check_cluster_name(session, facts)
    wrong = replace(config, nodes=tuple(replace(node, data_dirs=(PurePosixPath("/mnt/x"),)) for node in nodes))
    facts = answering(world, wrong)
    session = Session(wrong, None, lambda _text: None, is_restoring=True, _facts=facts)  # type: ignore[arg-type]
    with pytest.raises(RefusedError):
        check_cluster_name(session, facts)

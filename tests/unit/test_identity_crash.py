"""A prep that was killed at any step goes on when it is run again: no step is before what it stands on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from sparkqfs.config.model import ClusterConfig
from sparkqfs.plan.cluster.copies import is_record
from sparkqfs.plan.cluster.record import plan_record
from sparkqfs.plan.steps import Plan
from tests.builders import worlds
from tests.builders.clusters import a_node_config
from tests.builders.identity_changes import (
    D1,
    D2,
    Change,
    a_config,
    kind_is,
    managed_by,
    renamed,
    swapped,
    with_dirs,
    without,
)
from tests.builders.identity_shapes import HERE, MOUNTED
from tests.builders.worlds import World, a_grown_world, carry_out, facts_of, world_of


def _joined(world: World, config: ClusterConfig, *dirs: str) -> ClusterConfig:
    dirs = dirs or (D1,)
    node = a_node_config("node4", 3, manager=False, data_dirs=tuple(map(PurePosixPath, dirs)))
    world.machines[node.address] = worlds.Machine(disks={path: {} for path in dirs})
    return replace(config, nodes=(*config.nodes, node))


def _metadata_moved(world: World, config: ClusterConfig) -> ClusterConfig:
    files, first = world.at(config, "node2").disks[D1], world.at(config, "node1").disks[D1]
    for name in [name for name in first if "checkpoint" in name]:
        files[name] = first.pop(name)
    return managed_by("node2")(world, config)


CASES: dict[str, tuple[Change, dict[str, Any]]] = {
    "a node joins": (_joined, {"add": ("node4",)}),
    "a node with several disks joins": (lambda *to: _joined(*to, D1, D2, "/mnt/d3"), {"add": ("node4",)}),
    "the metadata has another place": (_metadata_moved, HERE),
    "a node is given up": (without("node3"), {"forget": ("node3",)}),
    "a node has another name": (renamed("node2", "rack1"), {"add": ("rack1",)}),
    "two disks were swapped": (swapped("node2", "node3", D1), {"add": ("node2:0", "node3:0")}),
    "a new cluster in other directories": (with_dirs("/mnt/x1", "/mnt/x2"), HERE),
    "another kind of storage": (kind_is("hdfs"), HERE),
}


def in_order(config: ClusterConfig, plan: Plan) -> list[Plan]:
    """The plan cut off after each of its steps, in the order of jobs/cluster/prep.py: the record is the last, and the
    manager's steps are before the others' in both parts.
    """
    first = config.manager.name
    steps = sorted(plan.steps, key=lambda step: (is_record(step), step.node != first))
    return [Plan(steps=tuple(steps[:count])) for count in range(len(steps) + 1)]


@pytest.mark.parametrize("name", CASES)
def test_what_was_killed_at_any_step_is_finished_by_the_same_command(name: str) -> None:
    change, words = CASES[name]
    config = a_config()
    world = a_grown_world(config)
    config = change(world, config)
    plan, _ = worlds.prep(world.again(), config, **words)
    assert not plan.problems and plan.steps
    for cut in in_order(config, plan):
        killed = world.again()
        files = killed.all_files()
        carry_out(killed, config, cut)
        again, _ = worlds.prep(killed, config, **words)
        assert not again.problems, (len(cut.steps), again.problems)
        last, _ = worlds.prep(killed, config)
        assert (last.problems, last.steps) == ((), ())
        assert killed.all_files() == files


def test_a_first_prep_that_was_killed_at_any_step_is_finished_by_the_next_one() -> None:
    config = a_config()
    plan, _ = worlds.prep(world_of(config), config)
    for cut in in_order(config, plan):
        world = world_of(config)
        carry_out(world, config, cut)
        again, _ = worlds.prep(world, config)
        assert not again.problems
        ids = {world.at(config, node.name).read(f"{D1}/qfs/.cluster-id") for node in config.nodes}
        assert len(ids) == 1 and None not in ids


def _erasing(world: World, config: ClusterConfig) -> Plan:
    return plan_record(config, facts_of(world, config), erasing=True)


def _made(world: World, config: ClusterConfig) -> Plan:
    world.at(config, "node1").write(f"{D1}/qfs/checkpoint/chkpt.0.0.0", "8")
    return plan_record(config, facts_of(world, config))


@pytest.mark.parametrize("step", [_erasing, _made])
def test_an_init_that_was_killed_while_it_is_written_down_leaves_no_question(
    step: Callable[[World, ClusterConfig], Plan],
) -> None:
    config = a_config()
    world = a_grown_world(config) if step is _erasing else world_of(config)
    worlds.prep(world, config)
    plan = step(world, config)
    assert len(plan.steps) == 10
    for cut in in_order(config, plan):
        killed = world.again()
        carry_out(killed, config, cut)
        again, _ = worlds.prep(killed, config)
        assert not again.problems
        assert not worlds.prep(killed, config)[0].steps


def test_a_file_system_that_is_erased_and_made_again_has_its_new_id_everywhere() -> None:
    config = a_config()
    world = a_grown_world(config)
    carry_out(world, config, _erasing(world, config))
    for machine in world.machines.values():
        for path in [path for path in machine.names("") if worlds.is_data(path)]:
            files, name = machine._of(path)
            del files[name]
    carry_out(world, config, _made(world, config))
    plan, _ = worlds.prep(world, config)
    assert (plan.problems, plan.steps) == ((), ())
    records = [copy.record for fact in facts_of(world, config).values() for copy in fact.records]
    assert {(one.file_system_id, one.initialised) for one in records if one} == {("8", True)}


def test_a_disk_that_lost_its_marker_while_a_node_was_joining_is_still_a_question() -> None:
    config = a_config()
    world = a_grown_world(config)
    config = _joined(world, config)
    world.shelf.append(world.at(config, "node2").disks.pop(D1))
    plan, marked = worlds.prep(world, config, add=("node4",))
    assert [problem.node for problem in plan.problems] == ["node2"] and MOUNTED in plan.problems[0].what
    assert marked == [f"node4:{D1}/qfs/.cluster-id"]

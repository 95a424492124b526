"""Every question about what a cluster is has a way out: the command or the edit in its hint leads there."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from sparkqfs.config.model import ClusterConfig, NodeConfig, SharedConfig, StorageConfig
from sparkqfs.errors import ExitCode, Problem, RefusedError
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.facts.record import ClusterRecord, DiskName
from sparkqfs.jobs.session import Session, check_cluster_name
from sparkqfs.jobs.storage.file_system import init as init_job
from sparkqfs.plan.cluster.identity import identify
from sparkqfs.plan.cluster.nodes import plan_prep
from sparkqfs.plan.cluster.record import plan_record
from sparkqfs.plan.steps import Plan
from tests.builders import worlds
from tests.builders.clusters import a_cluster, a_node_config
from tests.builders.facts import a_node, a_record, copies_on, fresh, with_path
from tests.builders.identity_changes import (
    D1,
    D2,
    D3,
    OLDER,
    Change,
    a_config,
    combined,
    joining,
    kind_is,
    managed_by,
    metadata_to,
    new_manager,
    nodes_with,
    other_metadata,
    renamed,
    swapped,
    third_disk,
    unmounted,
    with_dirs,
    without,
)
from tests.builders.identity_runs import words_of
from tests.builders.identity_shapes import SHAPES, Shape
from tests.builders.worlds import World, a_grown_world, carry_out, facts_of, prep, world_of

CONFIG = a_config()


def planned(world: World, config: ClusterConfig, **words: Any) -> Plan:
    return prep(world, config, **words)[0]


def whats(plan: Plan) -> list[str]:
    return [problem.what for problem in plan.problems]


def hints(plan: Plan) -> str:
    return "\n".join(str(problem.hint) for problem in plan.problems)


def record_of(world: World, config: ClusterConfig) -> ClusterRecord:
    record = max(
        (copy.record for fact in facts_of(world, config).values() for copy in fact.records if copy.record),
        key=lambda one: (one.storage == config.storage.kind, one.serial),
    )
    assert (record.cluster, record.storage) == (config.name, config.storage.kind)
    return record


def may_erase(world: World, config: ClusterConfig) -> bool:
    """Whether purge, and init with the cluster's name, go on."""
    facts = facts_of(world, config)
    session = Session(config, None, lambda _text: None, _facts=facts)  # type: ignore[arg-type]
    try:
        check_cluster_name(session, facts, erases=True)
    except RefusedError:
        return False
    return True


def without_metadata(world: World, config: ClusterConfig) -> ClusterConfig:
    files = world.at(config, "node1").disks[D1]
    for name in [name for name in files if "checkpoint" in name]:
        del files[name]
    return config


def grown(change: Change) -> tuple[World, ClusterConfig]:
    world = a_grown_world(CONFIG)
    return world, change(world, CONFIG)


def is_at_rest(world: World, config: ClusterConfig) -> bool:
    return planned(world, config) == Plan(unchanged=tuple(node.name for node in config.nodes))


# --- metadata that has another place --------------------------------------------------------------


MOVED = {
    "to another node": combined(metadata_to("node2", D1), managed_by("node2")),
    "to another disk of the manager": combined(
        metadata_to("node1", D2), lambda _world, config: nodes_with(config, "node1", data_dirs=(D2, D1))
    ),
    "and the old ones are still there": combined(metadata_to("node2", D1, copied=True), managed_by("node2")),
}


@pytest.mark.parametrize("name", MOVED)
def test_metadata_that_was_moved_while_its_old_disk_stays_is_taken_at_a_word(name: str) -> None:
    world, config = grown(MOVED[name])
    (problem,) = planned(world, config).problems
    assert problem.what.startswith("the file system's metadata is in /mnt/d1 on node1") and problem.code == 5
    assert "`invoke prep --here spark`" in str(problem.hint)
    files = world.all_files()
    assert not planned(world, config, here=True).problems
    assert is_at_rest(world, config) and world.all_files() == files


def test_a_word_does_not_hide_metadata_that_is_in_another_directory() -> None:
    world, config = grown(managed_by("node2"))
    plan = planned(world, config, here=True)
    assert whats(plan)[0] == "the file system's metadata is in /mnt/d1 on node1; hosts.yml says /mnt/d1 on node2"
    assert plan.steps == () and "`invoke prep --here" not in str(plan.problems[0].hint)


def test_metadata_of_a_node_that_gives_no_answer_is_not_taken_for_lost() -> None:
    world, config = grown(managed_by("node2"))
    facts = facts_of(world, config)
    del facts["node1"]
    for here in (False, True):
        plan = plan_prep(config, facts, fresh(), only=("node2", "node3"), here=here)
        assert plan.steps == () and "take it out of hosts.yml" in hints(plan)


# --- metadata that is lost ------------------------------------------------------------------------


LOST: dict[str, Change] = {
    "the manager is gone, and another node is it": combined(without("node1"), managed_by("node2")),
    "the manager is gone, and a new machine is it": new_manager(D1, D2),
    "the manager and another node are gone": combined(without("node1"), without("node3"), managed_by("node2")),
    "another node is it, and the metadata is nowhere": combined(without_metadata, managed_by("node2")),
}


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("end", ["restored", "erased"])
def test_a_manager_that_is_lost_together_with_the_metadata_is_not_the_end(name: str, end: str) -> None:
    world, config = grown(LOST[name])
    if "nowhere" not in name:
        assert not may_erase(world, config)
        assert "`invoke prep --here spark`" in hints(planned(world, config))
        said = planned(world, config, here=True)
    else:
        config = CONFIG  # as the hint says
        said = planned(world, config)
    manager, gone = config.manager.name, sorted({"node1", "node3"} - {node.name for node in config.nodes})
    assert "and its metadata is not in /mnt/d1" in "\n".join(whats(said))
    assert planned(world, config).steps == ()
    assert may_erase(world, config)
    if end == "erased":
        return
    if gone:
        assert all(f"`invoke prep --forget {name}`" in hints(said) for name in gone)
        assert len(planned(world, config, forget=tuple(gone)).problems) == 1
    world.at(config, manager).write(f"{D1}/qfs/checkpoint/chkpt.0.0.1", "7")
    plan = planned(world, config)
    if "new machine" in name:  # its other disks are new, too
        assert "`invoke prep --add node4:/mnt/d2`" in hints(plan)
        plan = planned(world, config, add=("node4:/mnt/d2",))
    assert not plan.problems and is_at_rest(world, config)
    assert record_of(world, config).metadata.node == manager and record_of(world, config).initialised


def test_a_node_that_left_is_given_up_while_the_metadata_is_lost() -> None:
    world, config = grown(combined(without_metadata, without("node3")))
    assert len(planned(world, config).problems) == 2 and may_erase(world, config)
    plan = planned(world, config, forget=("node3",))
    assert [problem.what for problem in planned(world, config).problems] == [
        "cluster spark has a file system (id 7), and its metadata is not in /mnt/d1"
    ]
    assert {step.what.split()[0] for step in plan.steps} == {"record"}
    assert "node3" not in record_of(world, config).nodes


@pytest.mark.parametrize(
    ("change", "words"), [(combined(), {"add": ("node2",)}), (without("node3"), {"forget": ("node3",)})]
)
def test_a_word_about_a_node_is_no_word_about_metadata_of_another_file_system(
    change: Change, words: dict[str, Any]
) -> None:
    world = a_grown_world(CONFIG)
    config = change(world, other_metadata(world, CONFIG))
    said = [f"the metadata in {D1} is of file system 4711, this cluster's is 7"]
    assert whats(planned(world, config, **words)) == said
    assert whats(planned(world, config)) == said, "still"
    assert whats(planned(world, config, here=True)) == []
    assert whats(planned(world, config)) == []


def test_what_left_is_given_up_and_the_managers_place_is_changed_in_one_command() -> None:
    world, config = grown(combined(without("node1"), managed_by("node2")))
    plan = planned(world, config, here=True, forget=("node1",))
    assert len(plan.problems) == 1 and "its metadata is not in /mnt/d1" in plan.problems[0].what
    assert record_of(world, config).nodes == ("node2", "node3")


def test_the_same_without_a_record_as_in_a_cluster_of_an_earlier_version() -> None:
    world, config = grown(combined(OLDER, new_manager(D1)))
    (problem,) = planned(world, config).problems
    assert "looks like this" in problem.what and "`invoke prep --here spark`" in str(problem.hint)
    assert "its metadata is not in /mnt/d1" in "\n".join(whats(planned(world, config, here=True)))
    world.at(config, "node4").write(f"{D1}/qfs/checkpoint/chkpt.0.0.1", "7")
    assert not planned(world, config).problems and is_at_rest(world, config)


@pytest.mark.parametrize("by", ["the edit in the hint", "a word"])
def test_metadata_that_was_put_back_without_its_marker_gets_it(by: str) -> None:
    world = a_grown_world(CONFIG)
    files = world.at(CONFIG, "node1").disks[D1]
    metadata = {name: text for name, text in files.items() if "checkpoint" in name}
    world.at(CONFIG, "node1").disks[D1] = metadata
    (problem,) = planned(world, CONFIG).problems
    text, path = re.findall(r"`echo (\S+) > (\S+)` there", str(problem.hint))[0]
    if by == "a word":
        assert not planned(world, CONFIG, here=True).problems
    else:
        world.at(CONFIG, "node1").write(path, f"{text}\n")
        assert not planned(world, CONFIG).problems
    assert is_at_rest(world, CONFIG) and world.at(CONFIG, "node1").read(path) == f"{text}\n"


def test_a_manager_that_gives_no_answer_and_is_no_longer_the_manager_is_said() -> None:
    world, config = grown(MOVED["to another node"])
    planned(world, config, here=True)
    facts = facts_of(world, CONFIG)
    del facts["node1"]
    (problem,) = plan_prep(CONFIG, facts, fresh(), only=("node2", "node3")).problems
    assert "has its file system's metadata on node2" in problem.what and "for node2" in str(problem.hint)
    del facts["node2"]
    plan = plan_prep(CONFIG, facts_of(a_grown_world(CONFIG), CONFIG) | {}, fresh(), only=("node2", "node3"))
    assert not plan.problems


# --- new nodes and disks --------------------------------------------------------------------------


def command_of(problem: Problem, word: str) -> tuple[str, ...]:
    found = re.findall(rf"`invoke prep --{word} (\S+)`", str(problem.hint))
    assert found, problem
    return tuple(found[-1].split(","))


@pytest.mark.parametrize("change", [joining(D1, D2), combined(third_disk("node2"), joining(D1, D2, D3))])
def test_the_hint_for_several_new_disks_of_a_node_is_one_command_that_adds_them(change: Change) -> None:
    world, config = grown(change)
    for problem in planned(world, config).problems:
        planned(world, config, add=command_of(problem, "add"))
    assert is_at_rest(world, config)


def test_the_hint_of_a_word_that_means_several_disks_has_one_command_for_all_of_them() -> None:
    world = a_grown_world(CONFIG)
    config = nodes_with(CONFIG, "node2", data_dirs=(D1, D2, D3, "/mnt/d4"))
    world.at(config, "node2").disks |= {D3: {}, "/mnt/d4": {}}
    (problem,) = planned(world, config, add=("node2",)).problems
    assert command_of(problem, "add") == ("node2:/mnt/d3", "node2:/mnt/d4")
    assert not planned(world, config, add=command_of(problem, "add")).problems and is_at_rest(world, config)


def test_a_node_whose_disks_are_all_unmounted_is_not_taken_for_a_new_one() -> None:
    world, config = grown(unmounted("node2", D1, D2))
    plan = planned(world, config, add=("node2",))
    assert "2 of its disks are not the cluster's" in whats(plan)[0] and plan.steps == ()


def test_data_without_a_marker_gets_it_by_the_edit_in_the_hint() -> None:
    world = a_grown_world(CONFIG)
    files = world.at(CONFIG, "node2").disks[D1]
    for name in [name for name in files if "/.cluster" in name]:
        del files[name]
    (problem,) = planned(world, CONFIG, add=("node2:0",)).problems
    text, path = re.findall(r"`echo (\S+) > (\S+)` there", str(problem.hint))[0]
    world.at(CONFIG, "node2").write(path, f"{text}\n")
    assert not planned(world, CONFIG).problems and is_at_rest(world, CONFIG)


# --- words without the manager --------------------------------------------------------------------


@pytest.mark.parametrize("words", [{"adopt": ("node2:2",)}, {"forget": ("node3",)}, {"here": True}])
def test_what_must_be_written_down_first_is_refused_without_the_manager(words: dict[str, Any]) -> None:
    world, config = grown(combined(third_disk("node2"), without("node3")))
    plan = plan_prep(config, facts_of(world, config), fresh(), only=("node2",), **words)
    assert plan.steps == () and [problem.code for problem in plan.problems] == [ExitCode.USAGE]
    assert "leave --only out" in hints(plan)


def test_a_node_does_not_join_while_something_stands_against_the_manager() -> None:
    world, config = grown(joining(D1))
    facts = facts_of(world, config)
    facts["node1"] = with_path(facts["node1"], D2, kind="file")
    plan = plan_prep(config, facts, fresh(), only=tuple(facts), adopt=("node4",))
    assert {problem.node for problem in plan.problems} == {"node1", "node4"}
    assert not [step for step in plan.steps if step.node == "node4"]


# --- forgetting -----------------------------------------------------------------------------------


def test_a_node_of_hosts_yml_that_gives_no_answer_is_not_forgotten() -> None:
    world, config = grown(without("node3"))
    config = replace(config, nodes=(*config.nodes, CONFIG.node("node3")))
    facts = facts_of(world, config)
    del facts["node3"]
    (problem,) = plan_prep(config, facts, fresh(), only=("node1", "node2"), forget=("node3",)).problems
    assert problem.what == "--forget: node3 is in hosts.yml, and node3 gives no answer"
    assert problem.code == ExitCode.USAGE and "take it out of hosts.yml" in str(problem.hint)


def test_a_disk_of_hosts_yml_that_is_not_mounted_is_not_forgotten() -> None:
    world, config = grown(unmounted("node2", D2))
    plan = planned(world, config, forget=("node2:/mnt/d2",))
    assert whats(plan) == ["--forget: node2:/mnt/d2 is in hosts.yml, and not mounted"] and plan.steps == ()


def test_the_hint_names_a_disk_by_its_number_where_its_path_is_anothers_now() -> None:
    world = a_grown_world(CONFIG)
    world.shelf.append(world.at(CONFIG, "node2").disks.pop(D1))
    world.at(CONFIG, "node2").disks[D1] = world.at(CONFIG, "node3").disks.pop(D2)
    config = nodes_with(CONFIG, "node3", data_dirs=(D1,))
    plan = planned(world, config, add=("node2:/mnt/d1",))
    gone = [problem for problem in plan.problems if "does not have" in problem.what]
    for problem in gone:
        planned(world, config, forget=command_of(problem, "forget"))
    assert is_at_rest(world, config)


# --- kinds of storage -----------------------------------------------------------------------------


def test_a_word_for_another_kind_is_over_when_the_first_kind_is_used_again() -> None:
    world = a_grown_world(CONFIG)
    other = kind_is("hdfs")(world, CONFIG)
    assert planned(world, other).problems
    assert not planned(world, other, here=True).problems and not planned(world, other).problems
    assert not planned(world, CONFIG).problems and is_at_rest(world, CONFIG)
    (problem,) = planned(world, other).problems
    assert "keeps its files in qfs" in problem.what


def test_a_word_for_another_kind_is_over_when_there_is_a_file_system() -> None:
    world = a_grown_world(CONFIG)
    other = kind_is("hdfs")(world, CONFIG)
    planned(world, other, here=True)
    assert record_of(world, other).confirmed
    worlds.init(world, other, "BP-1")
    records = [copy.record for copy in facts_of(world, other)["node1"].records if copy.record]
    assert {(one.storage, one.confirmed) for one in records} == {("hdfs", False), ("qfs", False)}


def test_an_erasing_that_was_killed_goes_on_where_the_cluster_has_files_of_another_kind() -> None:
    first = kind_is("hdfs")(world_of(CONFIG), CONFIG)
    world = a_grown_world(first)
    planned(world, CONFIG, here=True)
    worlds.init(world, CONFIG, "8")
    carry_out(world, first, plan_record(first, facts_of(world, first), erasing=True))
    for machine in world.machines.values():
        for path in [path for path in machine.names("") if worlds.is_data(path) and "/hdfs/" in path]:
            files, name = machine._of(path)
            del files[name]
    assert may_erase(world, first) and not planned(world, first).problems
    worlds.init(world, first, "BP-2")
    assert record_of(world, first).initialised and not record_of(world, first).confirmed


# --- a shared path --------------------------------------------------------------------------------


def shared_facts(world: World, config: ClusterConfig, **path: Any) -> dict[str, NodeFacts]:
    facts = facts_of(world, config)
    facts["node1"] = with_path(facts["node1"], "/mnt/nfs/spark", uid=6700, **path)
    return facts


@pytest.mark.parametrize("kind", ["directory", "missing"])
def test_a_shared_file_system_that_is_not_mounted_is_not_a_beginning(kind: str) -> None:
    shared = SharedConfig(path=PurePosixPath("/mnt/nfs"))
    config = a_cluster(storage=StorageConfig(kind="shared", shared=shared))
    world = world_of(config)
    made = shared_facts(world, config, empty=False)
    carry_out(world, config, plan_prep(config, made, fresh(), only=tuple(made)))
    facts = shared_facts(world, config, empty=True, kind=kind)
    (problem,) = plan_prep(config, facts, fresh(), only=tuple(facts)).problems
    assert "has its files in /mnt/nfs/spark, and nothing is there" in problem.what and problem.code == 5
    session = Session(config, None, lambda _text: None, _facts=facts)  # type: ignore[arg-type]
    with pytest.raises(RefusedError):
        check_cluster_name(session, facts)
    assert "`invoke prep --here spark`" in str(problem.hint)
    carry_out(world, config, plan_prep(config, facts, fresh(), only=tuple(facts), here=True))
    facts = shared_facts(world, config, empty=True)
    assert not plan_prep(config, facts, fresh(), only=tuple(facts)).problems


# --- clusters of earlier versions -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["qfs", "hdfs"])
def test_a_cluster_of_an_earlier_version_is_written_down_without_a_question(kind: Any) -> None:
    config = replace(CONFIG, storage=StorageConfig(kind=kind))
    world = a_grown_world(config)
    for machine in world.machines.values():
        for path in [path for path in machine.names("") if path.endswith(".json")]:
            files, name = machine._of(path)
            del files[name]
    assert not planned(world, config).problems and is_at_rest(world, config)


def test_the_first_record_has_the_disks_that_are_not_mounted() -> None:
    world, config = grown(combined(OLDER, unmounted("node3", D2)))
    assert [problem.node for problem in planned(world, config).problems] == ["node3"]
    assert record_of(world, config).disks[DiskName("node3", 1)] == PurePosixPath(D2)
    plan = planned(world, nodes_with(config, "node3", data_dirs=(D1,)))
    assert whats(plan) == ["hosts.yml does not have /mnt/d2 of node3, a part of the cluster that has data"]
    world.at(config, "node3").disks[D2] = world.shelf.pop()
    assert not planned(world, config).problems and is_at_rest(world, config)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", ["node1", "node2"])
def test_a_node_that_is_renamed_before_there_is_a_file_system_is_no_question(old: str) -> None:
    world = world_of(CONFIG)
    planned(world, CONFIG)
    config = renamed(old, "rack1")(world, CONFIG)
    assert not planned(world, config).problems and is_at_rest(world, config)
    worlds.init(world, config, "7")
    assert record_of(world, config).nodes == tuple(sorted(node.name for node in config.nodes))


def test_disks_that_are_swapped_before_there_is_a_file_system_are_no_question() -> None:
    world = world_of(CONFIG)
    planned(world, CONFIG)
    config = swapped("node2", "node3", D1)(world, CONFIG)
    assert not planned(world, config).problems and is_at_rest(world, config)


def test_a_machine_that_was_in_an_earlier_cluster_of_this_name_joins_with_the_word_for_new_ones() -> None:
    old = a_grown_world(CONFIG)
    world, config = grown(joining(D1))
    memory = "/var/lib/sparkqfs/spark.qfs.json"
    text = str(old.at(CONFIG, "node3").read(memory)).replace("000000000000", "00000000beef")
    world.at(config, "node4").write(memory, text)
    asked = [problem for problem in planned(world, config).problems if "remembers" in problem.what]
    assert [problem.node for problem in asked] == ["node4"]
    assert not planned(world, config, add=command_of(asked[0], "add")).problems and is_at_rest(world, config)


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
def test_every_command_in_a_hint_ends_the_question_that_it_is_for(shape: Shape) -> None:
    """Carried out alone; what is said afterwards is not what was said before, and no data went away."""
    world = a_grown_world(CONFIG)
    config = shape.change(world, CONFIG)
    for problem in planned(world.again(), config, add=shape.add).problems:
        for command in re.findall(r"`invoke prep ([^`]+)`", str(problem.hint)):
            then, files = world.again(), world.all_files()
            planned(then, config, **words_of(command))
            assert then.all_files() == files
            assert problem not in planned(then, config).problems


@pytest.mark.parametrize(
    ("name", "first", "words"),
    [
        ("other", f"{D1}/qfs", {}),
        ("other", f"{D1}/qfs/chunk", {}),
        ("other", f"{D1}/spark/mine", {}),
        ("spark", f"{D1}/qfs", {"here": True}),
    ],
)
def test_a_data_directory_among_what_another_cluster_has_made_is_a_question(
    name: str, first: str, words: dict[str, Any]
) -> None:
    world = a_grown_world(CONFIG)
    config = with_dirs(first, "/mnt/y2")(world, replace(CONFIG, name=name))
    plan = planned(world, config, **words)
    what = f"{first} and {D1}, which is a data directory of cluster spark: one is inside the other"
    assert what in whats(plan) and not plan.steps
    beside = with_dirs(f"{D1}/mine", "/mnt/y2")(world, replace(CONFIG, name="other"))
    assert whats(planned(world.again(), beside)) == []


def test_a_data_directory_in_which_another_cluster_is_among_what_would_be_made_is_a_question() -> None:
    inside = with_dirs(f"{D1}/spark", "/mnt/y2")(world_of(CONFIG), CONFIG)
    world = a_grown_world(inside)
    said = whats(planned(world, replace(with_dirs(D1, D2)(world, CONFIG), name="other")))
    assert said[:1] == [f"{D1} and {D1}/spark, which is a data directory of cluster spark: one is inside the other"]


@pytest.mark.parametrize("erase_name", [None, "spark"])
@pytest.mark.parametrize(("node", "other"), [("node1", "node1"), ("node2", "node2"), ("node2", "node3")])
def test_one_directory_under_two_names_is_a_question_before_there_is_a_file_system(
    node: str, other: str, erase_name: str | None
) -> None:
    world = world_of(CONFIG)
    world.at(CONFIG, other).disks[D2] = world.at(CONFIG, node).disks[D1]  # mounted twice, or shared
    assert whats(planned(world, CONFIG)) == []
    session = Session(CONFIG, None, lambda _text: None, dry_run=True, _facts=facts_of(world, CONFIG))  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match=f"{D1} says that it is disk 1 of {other}, which is {D2} there") as caught:
        init_job(session, erase_name=erase_name)
    (problem,) = caught.value.problems
    assert (problem.node, problem.code) == (node, ExitCode.REFUSED) and "take one out" in str(problem.hint)


def test_a_machine_that_cannot_remember_has_the_other_copies() -> None:
    world = world_of(CONFIG)
    for _ in range(2):
        facts = {name: replace(fact, has_memory=name != "node2") for name, fact in facts_of(world, CONFIG).items()}
        plan = plan_prep(CONFIG, facts, fresh(), only=tuple(facts))
        carry_out(world, CONFIG, plan)
    assert not plan.problems and plan.unchanged == ("node1", "node2", "node3")
    assert [path for path in world.at(CONFIG, "node2").names("/var")] == []
    assert world.at(CONFIG, "node2").read(f"{D1}/qfs/.cluster.json")


def test_three_hundred_nodes_are_compared_and_written_in_seconds() -> None:
    dirs = tuple(PurePosixPath(f"/mnt/d{number}") for number in range(10))
    nodes: list[NodeConfig] = [a_node_config(f"node{at}", at, address="10.0.0.1", data_dirs=dirs) for at in range(300)]
    config = a_cluster(nodes=tuple(nodes))
    record = a_record(config)
    facts = {node.name: a_node(node.name, config, records=copies_on(config, node.name, record)) for node in nodes}
    none = {name: replace(fact, records=()) for name, fact in facts.items()}
    began = time.process_time()
    assert (plan_record(config, facts).steps, identify(config, facts).problems) == ((), ())
    assert len(plan_record(config, none).steps) == 300 * 11 + 1
    assert time.process_time() - began < 8


def test_the_directories_of_a_cluster_in_other_places_are_a_question_for_an_erasing_too() -> None:
    world, config = grown(with_dirs("/mnt/x1", "/mnt/x2"))
    assert not may_erase(world, config)


ALL_GONE = combined(*(unmounted(f"node{number}", D1, D2) for number in (1, 2, 3)))


@pytest.mark.parametrize("is_mounted_again", [True, False])
def test_a_word_begins_nothing_in_the_directories_of_a_file_system_that_is_written_down(is_mounted_again: bool) -> None:
    world, config = grown(ALL_GONE)
    disks = [disk for disk in world.shelf]
    assert "`invoke prep --here spark`" in hints(planned(world, config))
    plan = planned(world, config, here=True)
    assert "its metadata is not in /mnt/d1" in "\n".join(whats(plan))
    assert may_erase(world, config) and record_of(world, config).initialised
    if is_mounted_again:
        for at, disk in enumerate(disks):
            world.at(config, f"node{at // 2 + 1}").disks[(D1, D2)[at % 2]] = disk
        assert not planned(world, config).problems and is_at_rest(world, config)

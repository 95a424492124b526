"""Copies of the record as they are read and written, and the questions beside the table of shapes."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from sparkqfs.config.model import ClusterConfig, SharedConfig, StorageConfig
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, RefusedError
from sparkqfs.facts.nodes import ContainerFact, parse_records
from sparkqfs.facts.record import (
    MAX_BYTES,
    MAX_NUMBER,
    DiskName,
    RecordFact,
    Remembered,
    next_serial,
    parse_record,
    text_of,
)
from sparkqfs.jobs.cluster import prep as prep_job
from sparkqfs.jobs.session import Session, check_cluster_name
from sparkqfs.jobs.storage.file_system import init
from sparkqfs.plan.cluster.nodes import plan_prep
from sparkqfs.plan.steps import Plan
from sparkqfs.plan.watching.remembered import remembered_problems
from tests.builders import worlds
from tests.builders.clusters import a_cluster, a_node_config
from tests.builders.facts import a_record, fresh, with_path
from tests.builders.identity_changes import D1, D2, D3, a_config, nodes_with
from tests.builders.worlds import World, a_grown_world, copies_of, facts_of, world_of

CONFIG = a_config()
RECORD = a_record(CONFIG, initialised=True, file_system_id="4611686018427387905")


def read(text: str) -> RecordFact:
    """Parsed as one copy, cut where the script cuts it."""
    data = text.encode()
    line = data.partition(b"\n")[0][:4096]
    return parse_record(
        "/x/cluster.json", base64.b64encode(line).decode(), base64.b64encode(data[len(line) :]).decode()
    )


# --- reading and writing --------------------------------------------------------------------------


@pytest.mark.parametrize("disk", [None, DiskName("node2", 1)])
def test_what_is_written_is_read_as_it_was(disk: DiskName | None) -> None:
    found = read(text_of(RECORD, "node2", disk))
    assert found == RecordFact(path=PurePosixPath("/x/cluster.json"), record=RECORD, node="node2", disk=disk)


def test_a_record_of_a_thousand_nodes_is_within_the_limit() -> None:
    nodes = tuple(
        a_node_config(
            f"node{at}", at, address="10.0.0.1", data_dirs=tuple(PurePosixPath(f"/mnt/d{n}") for n in range(20))
        )
        for at in range(1000)
    )
    text = text_of(a_record(a_cluster(nodes=nodes)), "node1")
    assert len(text) < MAX_BYTES and read(text).record is not None


GOOD = text_of(RECORD, "node1")
BAD = {
    "nothing": "",
    "deep": "[" * 200_000,
    "a long number": GOOD.replace('"serial": 1', f'"serial": {"9" * 5000}'),
    "a large number": GOOD.replace('"serial": 1', '"serial": 1e300'),
    "a negative number": GOOD.replace('"serial": 1', '"serial": -1'),
    "no number": GOOD.replace('"serial": 1', '"serial": true'),
    "not a number": GOOD.replace('"serial": 1', '"serial": NaN'),
    "a list": "[1]",
    "a control character": GOOD.replace("/mnt/d1", "/mnt/\\u001b[31m"),
    "a relative path": GOOD.replace('"/mnt/d1"', '"mnt/d1"'),
    "a node's name that is none": GOOD.replace('"node": "node1"', '"node": "../../etc"'),
    "half of an emoji": GOOD.replace("/mnt/d1", "/mnt/\\ud800"),
    "too large": GOOD.replace('"/mnt/d1"', '"/' + "x" * MAX_BYTES + '"'),
    "not UTF-8": GOOD.replace("spark", "sp\udcffrk"),
    "cut off": GOOD[:200],
}


@pytest.mark.parametrize("name", BAD)
def test_a_copy_that_is_not_a_record_is_said_to_be_none(name: str) -> None:
    data = BAD[name].encode("utf-8", "surrogateescape")
    found = parse_record("/x/cluster.json", "", base64.b64encode(data).decode())
    assert found.record is None and found.fault and not found.is_newer


def test_what_the_machine_could_not_read_is_said_to_be_none() -> None:
    assert parse_record("/x", "", None).fault == "it is not a regular file"
    assert parse_record("/x", "%%%", "").fault == "the machine's answer is garbled"


def test_no_change_of_a_copy_ends_the_reading() -> None:
    dice = random.Random(15)
    outcomes = set()
    for _ in range(3000):
        data = bytearray(GOOD.encode())
        for _ in range(dice.randint(1, 8)):
            at = dice.randrange(len(data))
            data[at : at + dice.randint(0, 5)] = bytes(dice.randrange(256) for _ in range(dice.randint(0, 5)))
        found = parse_record("/x", base64.b64encode(bytes(data)).decode(), "")
        outcomes.add(found.record is None)
        assert (found.record is None) == bool(found.fault)
    assert outcomes == {True, False}


def test_the_part_that_copies_share_is_sent_once() -> None:
    head, rest = (base64.b64encode(part).decode() for part in (b'{"here": {"node": "node1"},', GOOD.encode()[27:]))
    rows = {
        "record": [["/a", head, "s1"], ["/b", head, "s1"], ["/c", "", ""], ["x"]],
        "record_rest": [["s1", rest], ["y"]],
    }
    found = parse_records(rows)
    assert [copy.record == RECORD for copy in found] == [True, True, False]


def test_a_copy_that_was_put_into_other_lines_by_hand_is_read() -> None:
    for indent in (None, 4):
        assert read(json.dumps(json.loads(GOOD), indent=indent)) == read(GOOD)
    newer = json.dumps(json.loads(GOOD.replace('"schema": 1', '"schema": 2')))
    assert read(newer).is_newer


def test_the_part_that_all_machines_share_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = a_cluster(
        nodes=tuple(a_node_config(f"n{at}", at, data_dirs=tuple(map(PurePosixPath, (D1, D2, D3)))) for at in range(100))
    )
    made = replace(a_record(config), file_system_id="parsed-once")
    parsed = 0

    def count(text: bytes) -> Any:
        nonlocal parsed
        parsed += len(text) > 4096
        return json.loads(text)

    monkeypatch.setattr(
        "sparkqfs.facts.record._json", lambda text: count(text) if len(text) > 4096 else json.loads(text)
    )
    records = set()
    for node in config.nodes:
        texts = [text_of(made, node.name, disk) for disk in (None, DiskName(node.name, 0), DiskName(node.name, 1))]
        rows: dict[str, list[list[str]]] = {"record": [], "record_rest": []}
        for text in texts:
            line, _, rest = text.partition("\n")
            rows["record"].append(["/x/cluster.json", base64.b64encode(f"{line}\n".encode()).decode(), "sum"])
            rows["record_rest"] = [["sum", base64.b64encode(rest.encode()).decode()]]
        records |= {id(copy.record) for copy in parse_records(rows) if copy.record == made}
    assert (parsed, len(records)) == (1, 1)


def test_a_serial_number_at_its_end_can_still_be_read_and_written() -> None:
    last = replace(RECORD, serial=MAX_NUMBER - 1)
    assert read(text_of(replace(last, serial=next_serial(last.serial)), "node1")).record is not None
    assert next_serial(1) == 2
    assert read(text_of(replace(RECORD, serial=MAX_NUMBER), "node1")).fault


# --- flags ----------------------------------------------------------------------------------------


def planned(world: World, config: ClusterConfig, **words: Any) -> Plan:
    return worlds.prep(world, config, **words)[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"add": ("node2:/mnt/d9",)}, "--add: node2 has no disk /mnt/d9 in hosts.yml"),
        ({"add": ("node2:2",)}, "--add: node2 has no disk 2 in hosts.yml"),
        ({"add": ("node9",)}, "--add: no node node9 in hosts.yml: did you mean node3?"),
        ({"forget": ("node2",)}, "--forget: node2 is in hosts.yml, and in use"),
        ({"forget": ("node2:/mnt/d1",)}, "--forget: node2:/mnt/d1 is in hosts.yml, and in use"),
    ],
)
def test_a_disk_that_is_not_meant_stops_everything(words: dict[str, Any], said: str) -> None:
    world = a_grown_world(CONFIG)
    config = nodes_with(CONFIG, "node3", data_dirs=(D1,))
    plan = planned(world, config, **words)
    assert [(problem.what, problem.code) for problem in plan.problems] == [(said, ExitCode.USAGE)]
    assert plan.steps == () and all(problem.hint for problem in plan.problems)


def test_a_word_that_forget_does_not_know_says_what_there_is() -> None:
    config = nodes_with(CONFIG, "node3", data_dirs=(D1,))
    (problem,) = planned(a_grown_world(CONFIG), config, forget=("node8",)).problems
    assert "node3:/mnt/d2" in str(problem.hint)


def test_forget_twice_is_forget_once() -> None:
    world, config = a_grown_world(CONFIG), nodes_with(CONFIG, "node3", data_dirs=(D1,))
    assert not planned(world, config, forget=("node3:/mnt/d2/",)).problems
    assert planned(world, config, forget=("node3:1",)) == Plan(unchanged=("node1", "node2", "node3"))


def test_a_node_that_is_new_altogether_is_named_without_its_disks() -> None:
    world = a_grown_world(CONFIG)
    node = a_node_config("node4", 3, manager=False, data_dirs=(PurePosixPath(D1), PurePosixPath(D2)))
    world.machines[node.address] = worlds.Machine(disks={D1: {}, D2: {}})
    config = replace(CONFIG, nodes=(*CONFIG.nodes, node))
    assert [problem.node for problem in planned(world, config).problems] == ["node4", "node4"]
    plan = planned(world, config, add=("node4",))
    assert not plan.problems and [step.node for step in plan.steps if step.what.startswith("marker")] == [
        "node4",
        "node4",
    ]


def test_here_needs_the_clusters_name() -> None:
    session = Session(CONFIG, None, lambda _text: None, _facts=facts_of(a_grown_world(CONFIG), CONFIG))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="--here other: this cluster is called spark; nothing was changed"):
        prep_job.plan(session, here="other")


# --- beside the table -----------------------------------------------------------------------------


def elsewhere(config: ClusterConfig) -> ClusterConfig:
    for node in config.nodes:
        config = nodes_with(config, node.name, data_dirs=("/mnt/x1", "/mnt/x2"))
    return config


def test_before_there_is_a_file_system_another_data_dir_is_no_question() -> None:
    world = world_of(CONFIG)
    assert not planned(world, CONFIG).problems
    plan = planned(world, elsewhere(CONFIG))
    assert not plan.problems and len([step for step in plan.steps if step.what.startswith("marker")]) == 6


@pytest.mark.parametrize("name", ["node1", "node2"])
def test_a_directory_of_another_cluster_whose_disk_is_not_mounted_is_not_taken(name: str) -> None:
    lab = replace(CONFIG, name="lab")
    world = a_grown_world(lab)
    world.shelf.append(world.at(lab, name).disks.pop(D1))
    fresh_dirs = nodes_with(elsewhere(CONFIG), name, data_dirs=(D1, "/mnt/x2"))
    plan = planned(world, fresh_dirs)
    (problem,) = plan.problems
    marked = {step.node for step in plan.steps if step.what.startswith("marker")}
    assert marked == (set() if name == "node1" else {"node1", "node3"})
    assert problem.what == "/mnt/d1 is a data directory of cluster lab, and its disk is not mounted"
    assert "`rm /var/lib/sparkqfs/lab.qfs.json` there" in str(problem.hint) and problem.code == ExitCode.REFUSED


def test_a_cluster_that_gets_another_name_as_the_page_says_keeps_its_files() -> None:
    world = a_grown_world(CONFIG)
    for machine in world.machines.values():
        for path in [path for path in machine.names("") if path.endswith((".cluster-name", "/spark.qfs.json"))]:
            files, name = machine._of(path)
            del files[name]
    renamed = replace(CONFIG, name="lab")
    assert not planned(world, renamed).problems
    assert planned(world, renamed) == Plan(unchanged=("node1", "node2", "node3"))
    assert facts_of(world, renamed)["node1"].meta.file_system_id == "7"


def test_two_clusters_may_share_machines() -> None:
    world = a_grown_world(replace(CONFIG, name="lab"))
    assert not planned(world, elsewhere(CONFIG)).problems
    assert not planned(world, replace(CONFIG, name="lab")).steps


@pytest.mark.parametrize(
    ("container", "path"),
    [("sparkqfs-registry-spark", "/mnt/old/sparkqfs/registry"), ("spark_worker-node.x.1", "/mnt/old/qfs/chunk")],
)
def test_a_cluster_of_an_earlier_version_is_known_by_what_runs(container: str, path: str) -> None:
    stack = "spark" if container.startswith("spark_") else ""
    runs = ContainerFact(name=container, stack=stack, sources=(PurePosixPath(path),))
    facts = facts_of(world_of(CONFIG), CONFIG)
    facts["node1"] = replace(facts["node1"], containers=(runs,))
    plan = plan_prep(CONFIG, facts, fresh(), only=tuple(facts))
    (problem,) = plan.problems
    assert plan.steps == () and "cluster spark is in /mnt/old" in problem.what
    assert f"`docker rm -f {container}`" in str(problem.hint) and problem.code == ExitCode.REFUSED
    assert not plan_prep(CONFIG, facts, fresh(), only=tuple(facts), here=True).problems


def test_the_containers_of_the_cluster_itself_are_no_question() -> None:
    runs = ContainerFact(name="sparkqfs-registry-spark", stack="", sources=(PurePosixPath(f"{D1}/sparkqfs/registry"),))
    facts = facts_of(world_of(CONFIG), CONFIG)
    facts["node1"] = replace(facts["node1"], containers=(runs,))
    assert not plan_prep(CONFIG, facts, fresh(), only=tuple(facts)).problems


def shared(path: str) -> ClusterConfig:
    return a_cluster(storage=StorageConfig(kind="shared", shared=SharedConfig(path=PurePosixPath(path))))


def test_another_path_of_a_shared_file_system_is_a_question_once_there_are_files() -> None:
    config, other = shared("/mnt/nfs"), shared("/mnt/nfs2")
    world = world_of(config)
    for is_empty in (True, False):
        facts = facts_of(world, config)
        facts["node1"] = with_path(facts["node1"], "/mnt/nfs/spark", empty=is_empty, uid=6700)
        worlds.carry_out(world, config, plan_prep(config, facts, fresh(), only=tuple(facts)))
        plan = planned(world.again(), other)
        assert bool(plan.problems) != is_empty
    (problem,) = plan.problems
    assert problem.what == "cluster spark keeps its files in /mnt/nfs/spark, hosts.yml says /mnt/nfs2/spark"
    assert "`invoke prep --here spark`" in str(problem.hint)
    assert not planned(world, other, here=True).problems
    assert not planned(world, other).steps


def test_a_machine_that_does_not_answer_holds_up_no_other_and_stays_in_the_record() -> None:
    world = a_grown_world(CONFIG)
    facts = facts_of(world, CONFIG)
    del facts["node3"]
    plan = plan_prep(CONFIG, facts, fresh(), only=("node1", "node2", "node3"))
    assert (plan.problems, plan.steps) == ((), ())


def test_a_cluster_of_an_earlier_version_is_written_down_with_the_machines_that_do_not_answer() -> None:
    world = a_grown_world(CONFIG)
    for machine in world.machines.values():
        for path in [path for path in machine.names("") if path.endswith(".json")]:
            files, name = machine._of(path)
            del files[name]
    facts = facts_of(world, CONFIG)
    del facts["node3"]
    worlds.carry_out(world, CONFIG, plan_prep(CONFIG, facts, fresh(), only=("node1", "node2")))
    found = [copy.record for copy in facts_of(world, CONFIG)["node1"].records]
    assert {record.nodes for record in found if record} == {("node1", "node2", "node3")}


def test_a_run_without_the_manager_writes_nothing_new() -> None:
    world = a_grown_world(CONFIG)
    world.at(CONFIG, "node2").disks = {path: {} for path in (D1, D2)}
    world.at(CONFIG, "node2").system.clear()
    text = world.at(CONFIG, "node3").read("/var/lib/sparkqfs/spark.qfs.json")
    config = nodes_with(CONFIG, "node3", data_dirs=(D2, D1))
    plan = plan_prep(config, facts_of(world, config), fresh(), only=("node2", "node3"))
    worlds.carry_out(world, config, plan)
    assert world.at(CONFIG, "node3").read("/var/lib/sparkqfs/spark.qfs.json") == text


def test_status_compares_the_page_with_the_record() -> None:
    world = a_grown_world(CONFIG)
    copies = Remembered(copies=copies_of(world.at(CONFIG, "node1"), CONFIG, "node1"))
    assert remembered_problems(CONFIG, copies, "7") == remembered_problems(CONFIG, copies, None) == ()
    (problem,) = remembered_problems(CONFIG, copies, "8")
    assert "of file system 8, this cluster's is 7" in problem.what
    assert remembered_problems(CONFIG, Remembered(), "8") == ()
    (problem,) = remembered_problems(CONFIG, replace(copies, is_restoring=True), "7")
    assert (problem.node, problem.what, problem.code) == ("node1", "a restore has not ended", ExitCode.FAILED)
    assert "`invoke restore` goes on with it" in (problem.hint or "")


def refused(world: World, config: ClusterConfig, **words: Any) -> tuple[str, ...]:
    """What init says; nothing where it would go on."""
    session = session_of(world, config)
    session.dry_run = session._is_counted = True
    try:
        init(session, **words)
    except ClusterError as error:
        return tuple(problem.what for problem in error.problems)
    return ()


def session_of(world: World, config: ClusterConfig) -> Session:
    return Session(config, None, lambda _text: None, _facts=facts_of(world, config))  # type: ignore[arg-type]


def without_metadata(world: World) -> None:
    files = world.at(CONFIG, "node1").disks[D1]
    for name in [name for name in files if "checkpoint" in name]:
        del files[name]


def test_only_the_name_makes_a_file_system_where_one_is_written_down_and_gone() -> None:
    world = a_grown_world(CONFIG)
    without_metadata(world)
    said = "cluster spark has a file system (id 7), and its metadata is not in /mnt/d1"
    assert said in refused(world, CONFIG)
    assert refused(world, CONFIG, erase_name="spark") == ()
    (what,) = refused(world, nodes_with(CONFIG, "node1", data_dirs=("/mnt/x1", "/mnt/x2")), erase_name="spark")
    assert "has its file system's metadata on node1 in /mnt/d1" in what


def test_a_cluster_whose_managers_disk_is_gone_can_be_purged_and_one_in_other_directories_not() -> None:
    world = a_grown_world(CONFIG)
    world.shelf.append(world.at(CONFIG, "node1").disks.pop(D1))
    session = session_of(world, CONFIG)
    check_cluster_name(session, session.all_facts(), erases=True)
    with pytest.raises(RefusedError):
        check_cluster_name(session, session.all_facts())
    session = session_of(world, elsewhere(CONFIG))
    with pytest.raises(RefusedError):
        check_cluster_name(session, session.all_facts(), erases=True)


def test_metadata_that_was_put_on_another_machine_from_a_copy_is_taken_at_a_word() -> None:
    world = a_grown_world(CONFIG)
    node = a_node_config("node4", 3, manager=True, data_dirs=(PurePosixPath(D1),))
    config = replace(CONFIG, nodes=(node, *(one for one in CONFIG.nodes if not one.manager)))
    lost = world.machines.pop(CONFIG.node("node1").address).disks[D1]
    kept = {name: text for name, text in lost.items() if name != "qfs/.cluster.json" and "chunk" not in name}
    world.machines[node.address] = worlds.Machine(disks={D1: kept})
    (asked,) = planned(world, config).problems
    assert "/mnt/d1 is not the disk with the metadata: that is disk 0 of node1" in asked.what
    assert "was put there from a copy of it: `invoke prep --here spark`" in str(asked.hint)
    assert [problem.node for problem in planned(world, config, here=True).problems] == ["node1"]
    assert not planned(world, config, forget=("node1",)).problems
    assert planned(world, config) == Plan(unchanged=("node4", "node2", "node3"))
    assert facts_of(world, config)["node4"].meta.file_system_id == "7"


@pytest.mark.parametrize("kind", ["qfs", "hdfs"])
def test_older_disks_of_the_manager_are_used_at_a_word(kind: Any) -> None:
    config = replace(CONFIG, storage=StorageConfig(kind=kind))
    world = a_grown_world(config)
    old = world.again()
    grown = nodes_with(config, "node2", data_dirs=(D1, D2, D3))
    world.at(config, "node2").disks[D3] = {}
    assert not planned(world, grown, add=("node2:2",)).problems
    world.machines[config.manager.address] = old.at(config, "node1")
    (problem,) = planned(world, grown).problems
    assert "the manager's record is older (2) than the other nodes' (3)" in problem.what
    assert not planned(world, grown, here=True).problems
    assert not planned(world, grown).steps


@pytest.mark.parametrize("kind", ["qfs", "hdfs"])
def test_the_guards_are_those_of_each_storage(kind: Any) -> None:
    config = replace(CONFIG, storage=StorageConfig(kind=kind))
    world = a_grown_world(config)
    for other in (elsewhere(config), nodes_with(config, "node1", data_dirs=(D2, D1))):
        (problem,) = planned(world, other).problems
        assert problem.code == ExitCode.REFUSED and "/mnt/d1" in problem.what
    assert planned(world, config) == Plan(unchanged=("node1", "node2", "node3"))

"""What can become of a cluster's directories, a row each: what changed, what the tasks say to it, what is typed then.

Run as a program it writes the table of docs/measured/identity.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from sparkqfs.config.model import ClusterConfig, SharedConfig, StorageConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.jobs.cluster import deploy
from sparkqfs.jobs.session import Session, check_cluster_name
from sparkqfs.jobs.storage.file_system import init as init_job
from sparkqfs.plan.steps import Plan
from sparkqfs.plan.watching.remembered import remembered_problems
from tests.builders.clusters import a_cluster, a_node_config
from tests.builders.worlds import World, a_grown_world, copies_of, facts_of, prep, put_blocks, world_of
from tests.builders.worlds import init as init_world
from tests.paths import ROOT

D1, D2, D3 = "/mnt/d1", "/mnt/d2", "/mnt/d3"
PAGE = ROOT / "docs" / "measured" / "identity.md"
Change = Callable[[World, ClusterConfig], ClusterConfig]


def a_config(**overrides: Any) -> ClusterConfig:
    """Three nodes with two disks each."""
    dirs = (PurePosixPath(D1), PurePosixPath(D2))
    nodes = tuple(a_node_config(f"node{number + 1}", number, data_dirs=dirs) for number in range(3))
    return a_cluster(**({"nodes": nodes} | overrides))


def nodes_with(config: ClusterConfig, node: str, /, **changes: Any) -> ClusterConfig:
    """The same with one node changed."""
    if "data_dirs" in changes:
        changes["data_dirs"] = tuple(map(PurePosixPath, changes["data_dirs"]))
    return replace(config, nodes=tuple(replace(one, **changes) if one.name == node else one for one in config.nodes))


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One row. Words without a code mean that the task goes on."""

    name: str
    change: Change
    prep: str = ""
    """What prep says; empty: it goes on."""
    typed: str = ""
    """What the hint names to be typed."""
    deploy: int = 5
    """Its exit code."""
    status: str = ""
    """What status says while the stack runs; empty: it does not see this."""
    add: tuple[str, ...] = ()
    """With what prep was run in the first place."""
    answer: dict[str, Any] = field(default_factory=dict)
    """Prep's flags that are the answer; `undo`: hosts.yml as it was."""
    begins: bool = False
    """The answer asks for a new, empty file system."""
    new_disks: int = 0
    """Disks that are new and get their marker."""


def _unmounted(name: str, *paths: str) -> Change:
    """Disks of a node that are not mounted."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        for path in paths:
            world.shelf.append(world.at(config, name).disks.pop(path))
        return config

    return change


def _all(*changes: Change) -> Change:
    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        for one in changes:
            config = one(world, config)
        return config

    return change


def _node(node: str, /, **changes: Any) -> Change:
    return lambda _world, config: nodes_with(config, node, **changes)


def _dirs(*paths: str) -> Change:
    """Other data directories for all nodes."""

    def change(_world: World, config: ClusterConfig) -> ClusterConfig:
        for node in config.nodes:
            config = nodes_with(config, node.name, data_dirs=paths)
        return config

    return change


def _without(name: str) -> Change:
    return lambda _world, config: replace(config, nodes=tuple(one for one in config.nodes if one.name != name))


def _manager(name: str) -> Change:
    def change(_world: World, config: ClusterConfig) -> ClusterConfig:
        return replace(config, nodes=tuple(replace(one, manager=one.name == name) for one in config.nodes))

    return change


def _swapped(one: str, other: str, path: str) -> Change:
    """The disks of two nodes, each in the other's place."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        first, second = world.at(config, one).disks, world.at(config, other).disks
        first[path], second[path] = second[path], first[path]
        return config

    return change


def _addresses_swapped(world: World, config: ClusterConfig) -> ClusterConfig:
    two, three = config.node("node2"), config.node("node3")
    config = nodes_with(config, "node2", address=three.address, advertise=three.address)
    return nodes_with(config, "node3", address=two.address, advertise=two.address)


def _moved_disk(world: World, config: ClusterConfig) -> ClusterConfig:
    """node2's second disk is now a third of node3."""
    world.at(config, "node3").disks[D3] = world.at(config, "node2").disks.pop(D2)
    config = nodes_with(config, "node2", data_dirs=(D1,))
    return nodes_with(config, "node3", data_dirs=(D1, D2, D3))


def _mounted_elsewhere(world: World, config: ClusterConfig) -> ClusterConfig:
    """All disks under other paths, hosts.yml too."""
    for machine in world.machines.values():
        machine.disks = {path.replace("/mnt/d", "/srv/d"): files for path, files in machine.disks.items()}
    return _dirs("/srv/d1", "/srv/d2")(world, config)


def _kind(kind: str) -> Change:
    def change(_world: World, config: ClusterConfig) -> ClusterConfig:
        shared = SharedConfig(path=PurePosixPath("/mnt/nfs") if kind == "shared" else None)
        return replace(config, storage=StorageConfig(kind=kind, shared=shared))  # type: ignore[arg-type]

    return change


def _prepared_first(kind: str) -> Change:
    """Before QFS was begun, prep had run with another kind."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        other, first = _kind(kind)(world, config), world_of(config)
        plan, _ = prep(first, other)
        assert not plan.problems
        for machine, old in zip(world.machines.values(), first.machines.values(), strict=True):
            for path in old.names(""):
                if machine.read(path) is None:
                    machine.write(path, str(old.read(path)))
        return other

    return change


def _other_and_back(world: World, config: ClusterConfig) -> ClusterConfig:
    """HDFS was begun beside QFS, and used; then the kind is changed back."""
    other = _kind("hdfs")(world, config)
    plan, _ = prep(world, other, here=True)
    assert not plan.problems
    init_world(world, other, "BP-1")
    put_blocks(world, other)
    return config


def _snapshot(name: str, *, grown: bool) -> Change:
    """A node's whole machine as it was; `grown`: since then a node has joined."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        old = world.again()
        if grown:
            node = a_node_config("node4", 3, manager=False, data_dirs=(PurePosixPath(D1),))
            config = replace(config, nodes=(*config.nodes, node))
            world.at(config, "node4").disks[D1] = {}
            plan, _ = prep(world, config, add=("node4",))
            assert not plan.problems
            world.at(config, "node4").write(f"{D1}/qfs/chunk/2.2.2", "block of node4")
        world.machines[config.node(name).address] = old.at(config, name)
        return config

    return change


def _foreign(name: str, path: str) -> Change:
    """A disk of a cluster of another id and the same name."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        other = a_grown_world(config)
        files = dict(other.at(config, name).disks[path])
        files["qfs/.cluster-id"] = "99999999-0000-0000-0000-00000000beef\n"
        files["qfs/.cluster.json"] = files["qfs/.cluster.json"].replace("000000000000", "00000000beef")
        world.shelf.append(world.at(config, name).disks[path])
        world.at(config, name).disks[path] = files
        return config

    return change


def _copied(world: World, config: ClusterConfig) -> ClusterConfig:
    """A disk of node2 was copied, and the copy is in hosts.yml too."""
    disks = world.at(config, "node2").disks
    disks[D3] = dict(disks[D2])
    return nodes_with(config, "node2", data_dirs=(D1, D2, D3))


def _records(change_text: Callable[[str], str | None], *places: str) -> Change:
    """Every copy whose path ends like this becomes something else, or goes."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        for node in config.nodes:
            machine = world.at(config, node.name)
            for path in machine.names(""):
                if path.endswith(places):
                    files, name = machine._of(path)
                    text = change_text(files.pop(name))
                    if text is not None:
                        files[name] = text
        return config

    return change


def _gone(_text: str) -> None:
    return None


RECORDS = (".cluster.json", ".qfs.json")
_OLDER = _records(_gone, *RECORDS)


def _empty_metadata(world: World, config: ClusterConfig) -> ClusterConfig:
    files = world.at(config, "node1").disks[D1]
    world.shelf.append({name: files.pop(name) for name in list(files) if "checkpoint" in name})
    return config


def _other_metadata(world: World, config: ClusterConfig) -> ClusterConfig:
    _empty_metadata(world, config)
    world.at(config, "node1").write(f"{D1}/qfs/checkpoint/chkpt.0.0.9", "4711")
    return config


def _new_disk(name: str, path: str) -> Change:
    """A disk is dead, and there is a new one at its place."""

    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        disks = world.at(config, name).disks
        world.shelf.append(disks[path])
        disks[path] = {}
        return config

    return change


def _third_disk(name: str) -> Change:
    def change(world: World, config: ClusterConfig) -> ClusterConfig:
        world.at(config, name).disks[D3] = {}
        return nodes_with(config, name, data_dirs=(D1, D2, D3))

    return change


def _renamed(old: str, new: str) -> Change:
    return _node(old, name=new)


UNDO = {"undo": True}
HERE = {"here": True}
MOUNTED = "is missing although the cluster is initialised"
METADATA_ELSEWHERE = "the file system's metadata is in /mnt/d1 on node1"
WHERE = "has its file system's metadata on node1 in /mnt/d1"
SHAPES = (
    Shape(name="nothing changed", change=_all(), deploy=0),
    Shape(
        name="the manager's data_dir in another order",
        change=_node("node1", data_dirs=(D2, D1)),
        prep=METADATA_ELSEWHERE,
        typed="write /mnt/d1 first in `data_dir` of node1",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(
        name="the same, and a disk of node3 is not mounted",
        change=_all(_node("node1", data_dirs=(D2, D1)), _unmounted("node3", D2)),
        prep=METADATA_ELSEWHERE,
        typed="write /mnt/d1 first",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(
        name="the same in a cluster of an earlier version",
        change=_all(_OLDER, _node("node1", data_dirs=(D2, D1)), _unmounted("node3", D2)),
        prep=METADATA_ELSEWHERE,
        typed="write /mnt/d1 first",
        answer=UNDO,
    ),
    Shape(name="a worker's data_dir in another order", change=_node("node2", data_dirs=(D2, D1)), deploy=0),
    Shape(
        name="the metadata directory is gone, and a disk of node3 is not mounted",
        change=_all(_empty_metadata, _unmounted("node3", D2)),
        prep="cluster spark has a file system (id 7), and its metadata is not in /mnt/d1",
        typed="or put the metadata back from a copy",
    ),
    Shape(
        name="metadata of another file system in its place",
        change=_other_metadata,
        prep="the metadata in /mnt/d1 is of file system 4711, this cluster's is 7",
        typed="put back the metadata that belongs there",
        status="is of file system 4711",
    ),
    Shape(
        name="a disk of node3 is not mounted",
        change=_unmounted("node3", D2),
        prep=MOUNTED,
        typed="`invoke prep --add node3:/mnt/d2`",
        deploy=1,
    ),
    Shape(
        name="the manager's first disk is not mounted",
        change=_unmounted("node1", D1),
        prep="/mnt/d1 has no .cluster-id, and cluster spark",
        typed="mount the disk that belongs at /mnt/d1",
    ),
    Shape(
        name="no disk of any machine is mounted",
        change=_all(*(_unmounted(f"node{number}", D1, D2) for number in (1, 2, 3))),
        prep="/mnt/d1 has no .cluster-id, and cluster spark",
        typed="mount the disk that belongs at /mnt/d1",
    ),
    Shape(
        name="`--add node2` for a new disk, another disk of node2 is not mounted",
        change=_all(_third_disk("node2"), _unmounted("node2", D2)),
        add=("node2",),
        prep="--add node2: 2 of its disks are not the cluster's",
        typed="`invoke prep --add node2:/mnt/d2` or `invoke prep --add node2:/mnt/d3`",
        deploy=1,
    ),
    Shape(
        name="`--add node2:/mnt/d3` for a new disk, another disk of node2 is not mounted",
        change=_all(_third_disk("node2"), _unmounted("node2", D2)),
        add=("node2:/mnt/d3",),
        prep=MOUNTED,
        typed="`invoke prep --add node2:/mnt/d2`",
        deploy=1,
    ),
    Shape(
        name="`--add node2:2` for a new third disk",
        change=_third_disk("node2"),
        add=("node2:2",),
        new_disks=1,
        deploy=1,
    ),
    Shape(
        name="a new disk in place of a dead one",
        change=_new_disk("node2", D1),
        prep=MOUNTED,
        typed="`invoke prep --add node2:/mnt/d1`",
        deploy=1,
        answer={"add": ("node2:/mnt/d1",)},
        new_disks=1,
    ),
    Shape(
        name="data_dir mistyped for all nodes",
        change=_dirs("/mnt/x1", "/mnt/x2"),
        prep=WHERE,
        typed="`invoke prep --here spark`",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(
        name="the same, and a new cluster was meant",
        change=_dirs("/mnt/x1", "/mnt/x2"),
        prep=WHERE,
        typed="`invoke prep --here spark`",
        status=WHERE,
        answer=HERE,
        begins=True,
        new_disks=6,
    ),
    Shape(
        name="data_dir mistyped for one worker",
        change=_node("node2", data_dirs=("/mnt/x1", D2)),
        prep="/mnt/x1/qfs/.cluster-id is missing",
        typed="this node's disk was in /mnt/d1: set `data_dir` back",
        deploy=1,
        answer=UNDO,
    ),
    Shape(
        name="data_dir mistyped for the manager",
        change=_node("node1", data_dirs=("/mnt/x1", "/mnt/x2")),
        prep=WHERE,
        typed="set `data_dir` of node1 back",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(name="all disks mounted under other paths, hosts.yml too", change=_mounted_elsewhere, deploy=0),
    Shape(
        name="a node taken out of hosts.yml",
        change=_without("node3"),
        prep="hosts.yml does not have node3, which is a part of the cluster and has data in /mnt/d1, /mnt/d2",
        typed="`invoke prep --forget node3`",
        status="hosts.yml does not have node3",
        answer={"forget": ("node3",)},
    ),
    Shape(
        name="a disk taken out of data_dir",
        change=_node("node2", data_dirs=(D1,)),
        prep="hosts.yml does not have /mnt/d2 of node2",
        typed="`invoke prep --forget node2:/mnt/d2`",
        status="hosts.yml does not have /mnt/d2 of node2",
        answer={"forget": ("node2:/mnt/d2",)},
    ),
    Shape(
        name="storage.kind changed",
        change=_kind("hdfs"),
        prep="cluster spark keeps its files in qfs (/mnt/d1 on node1); hosts.yml says hdfs, which has none",
        typed="set storage.kind back to qfs",
        status="keeps its files in qfs",
        answer=UNDO,
    ),
    Shape(
        name="the same, and an empty HDFS was meant",
        change=_kind("hdfs"),
        prep="cluster spark keeps its files in qfs",
        typed="`invoke prep --here spark`",
        status="keeps its files in qfs",
        answer=HERE,
        begins=True,
        new_disks=6,
    ),
    Shape(
        name="storage.kind changed to shared",
        change=_kind("shared"),
        prep="cluster spark keeps its files in qfs",
        typed="set storage.kind back to qfs",
        status="keeps its files in qfs",
        answer=UNDO,
    ),
    Shape(
        name="storage.kind changed to one that was prepared once and never used",
        change=_prepared_first("hdfs"),
        prep="cluster spark keeps its files in qfs",
        typed="set storage.kind back to qfs",
        status="keeps its files in qfs",
        answer=UNDO,
    ),
    Shape(name="storage.kind changed, used, and changed back", change=_other_and_back, deploy=0),
    Shape(
        name="another manager named in a second file",
        change=_manager("node2"),
        prep=METADATA_ELSEWHERE,
        typed="set `manager: true` for node1",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(
        name="the same, and the second file does not have the manager",
        change=_all(_without("node1"), _manager("node2")),
        prep="/mnt/d1 is not the disk with the metadata: that is disk 0 of node1",
        typed="set `manager: true` for node1",
        status=WHERE,
        answer=UNDO,
    ),
    Shape(
        name="the same in a cluster of an earlier version",
        change=_all(_OLDER, _manager("node2")),
        prep=METADATA_ELSEWHERE,
        typed="set `manager: true` for node1",
        answer=UNDO,
    ),
    Shape(
        name="a node renamed",
        change=_renamed("node2", "rack1"),
        prep="/mnt/d1 is disk 0 of node2, /mnt/d2 is disk 1 of node2, and hosts.yml has no node2",
        typed="`invoke prep --add rack1`",
        status="hosts.yml does not have node2",
        answer={"add": ("rack1",)},
    ),
    Shape(
        name="the manager renamed",
        change=_renamed("node1", "head"),
        prep="/mnt/d1 is disk 0 of node1, /mnt/d2 is disk 1 of node1, and hosts.yml has no node1",
        typed="`invoke prep --add head`",
        status="hosts.yml does not have node1",
        answer={"add": ("head",)},
    ),
    Shape(
        name="a disk moved to another node",
        change=_moved_disk,
        prep="/mnt/d3 is disk 1 of node2",
        typed="`invoke prep --add node3:/mnt/d3`",
        status="hosts.yml does not have /mnt/d2 of node2",
        answer={"add": ("node3:/mnt/d3",)},
    ),
    Shape(
        name="two nodes' disks swapped",
        change=_swapped("node2", "node3", D1),
        prep="/mnt/d1 is disk 0 of node3",
        typed="`invoke prep --add node2:/mnt/d1`",
        answer={"add": ("node2:/mnt/d1", "node3:/mnt/d1")},
    ),
    Shape(
        name="the manager's first disk and a worker's swapped",
        change=_swapped("node1", "node3", D1),
        prep="the file system's metadata is in /mnt/d1 on node3; hosts.yml says /mnt/d1 on node1",
        typed="set `manager: true` for node3",
    ),
    Shape(
        name="two nodes' addresses swapped in hosts.yml",
        change=_addresses_swapped,
        prep="/mnt/d1 is disk 0 of node3, /mnt/d2 is disk 1 of node3",
        typed="`invoke prep --add node2:/mnt/d1,node2:/mnt/d2`",
        answer=UNDO,
    ),
    Shape(
        name="a snapshot of the manager from before a node joined",
        change=_snapshot("node1", grown=True),
        prep="the manager's record is older",
        typed="bring the newer disks back",
    ),
    Shape(name="a snapshot of a worker from before a node joined", change=_snapshot("node2", grown=True), deploy=0),
    Shape(
        name="a snapshot of a worker since which no disk came or went",
        change=_snapshot("node2", grown=False),
        deploy=0,
    ),
    Shape(
        name="a disk of another cluster in a worker",
        change=_foreign("node2", D1),
        prep="/mnt/d1/qfs/.cluster-id says 99999999-0000-0000-0000-00000000beef, this cluster is",
        typed="this disk belongs to another cluster; it is not touched",
        deploy=1,
    ),
    Shape(
        name="a disk of another cluster as the manager's first",
        change=_foreign("node1", D1),
        prep="this machine remembers cluster spark as 99999999-0000-0000-0000-000000000000",
        typed="correct `data_dir` or the machine in hosts.yml",
        status="this machine remembers cluster spark as 99999999-0000-0000-0000-000000000000",
    ),
    Shape(
        name="a copy of a disk next to it",
        change=_copied,
        prep="/mnt/d2 says that it is disk 1 of node2, and so does /mnt/d3 on node2",
        typed="take the copy out of `data_dir`",
        answer=UNDO,
    ),
    Shape(
        name="systems installed again: no machine remembers",
        change=_records(_gone, "lib/sparkqfs/spark.qfs.json"),
        deploy=0,
    ),
    Shape(name="the copies on the disks are gone", change=_records(_gone, ".cluster.json"), deploy=0),
    Shape(name="all copies are gone, as in a cluster of an earlier version", change=_OLDER, deploy=0),
    Shape(
        name="copies on the disks are cut off",
        change=_records(lambda text: text[:90], ".cluster.json"),
        deploy=0,
        status="/mnt/d1/qfs/.cluster.json cannot be read",
    ),
    Shape(
        name="copies are 200,000 brackets",
        change=_records(lambda _: "[" * 200_000, "lib/sparkqfs/spark.qfs.json"),
        deploy=0,
        status="/var/lib/sparkqfs/spark.qfs.json cannot be read",
    ),
    Shape(
        name="all copies are cut off, and a disk is not mounted",
        change=_all(_records(lambda text: text[:90], *RECORDS), _unmounted("node3", D2)),
        prep=MOUNTED,
        typed="`invoke prep --add node3:/mnt/d2`",
        status="cannot be read: it is not a record of a cluster, or it is damaged",
        deploy=1,
    ),
    Shape(
        name="a newer version has written the copies",
        change=_records(lambda text: text.replace('"schema": 1', '"schema": 2'), *RECORDS),
        prep="a newer version has written it (schema 2)",
        typed="use that version, or a newer one",
        status="a newer version has written it",
    ),
)
"""The facts of a cluster of three nodes with two disks each, files in it, and one thing changed."""


def answer(shape: Shape, world: World, config: ClusterConfig, before: ClusterConfig) -> tuple[ClusterConfig, list[str]]:
    """Do what the hint says; where it put a marker."""
    words = dict(shape.answer)
    config = before if words.pop("undo", False) else config
    plan, marked = prep(world, config, **words)
    assert [problem for problem in plan.problems if MOUNTED not in problem.what] == [], plan.problems
    return config, marked


def deployed(world: World, config: ClusterConfig) -> tuple[Problem, ...]:
    """What deploy says before it starts anything."""
    session = Session(config, None, lambda _text: None, _facts=facts_of(world, config))  # type: ignore[arg-type]
    try:
        check_cluster_name(session, session.all_facts())
        if session.backend.layout is not None:
            deploy._check_disks(session)
    except ClusterError as error:
        return error.problems
    return ()


def made_new(world: World, config: ClusterConfig) -> bool:
    """Whether init would make an empty file system here."""
    session = Session(config, None, lambda _text: None, dry_run=True, _facts=facts_of(world, config))  # type: ignore[arg-type]
    session._is_counted = True
    try:
        return any("create" in outcome.changes for outcome in init_job(session).outcomes)
    except ClusterError:
        return False


def seen(world: World, config: ClusterConfig) -> tuple[Problem, ...]:
    """What status says from the manager's copies; the page answers with what its metadata say."""
    name = config.manager.name
    meta = facts_of(world, config)[name].meta
    return remembered_problems(config, copies_of(world.at(config, name), config, name), meta.file_system_id)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of a shape: first what the tasks say, then the answer."""

    plan: Plan
    marked: list[str]
    deployed: tuple[Problem, ...]
    status: tuple[Problem, ...]
    after: Plan | None
    """Of one more prep after the answer."""
    answer_marked: list[str]
    file_system_id: str | None
    """On the manager at the end."""
    lost_bytes: int
    """Of blocks and metadata, on disks in machines and out of them."""
    is_empty_and_healthy: bool
    """An init would make a new file system, or prep and status are content where the metadata is not."""


def run(shape: Shape) -> Run:
    """Go through a shape."""
    before = a_config()
    world = a_grown_world(before)
    config = shape.change(world, before)
    files = world.all_files()
    status, said, is_new = seen(world, config), deployed(world, config), made_new(world, config)
    plan, marked = prep(world, config, add=shape.add)
    is_content = not plan.problems and not status and fsid_of(world, config) != "7"
    after, answered = None, list[str]()
    if shape.answer:
        config, answered = answer(shape, world, config, before)
        after, _ = prep(world, config)
    return Run(
        plan=plan,
        marked=marked,
        deployed=said,
        status=status,
        after=after,
        answer_marked=answered,
        file_system_id=fsid_of(world, config),
        lost_bytes=sum(map(len, files)) - sum(map(len, world.all_files())),
        is_empty_and_healthy=is_content or is_new,
    )


def fsid_of(world: World, config: ClusterConfig) -> str | None:
    """What the manager's metadata are of."""
    return facts_of(world, config)[config.manager.name].meta.file_system_id


def row_of(shape: Shape) -> str:
    """The shape's line in the page."""
    done = run(shape)
    code = max((problem.code for problem in done.plan.problems), default=0)
    deploy_code = max((problem.code for problem in done.deployed), default=0)
    texts = {"undo": "hosts.yml as it was", "here": "`--here spark`"}
    words = [texts.get(key) or f"`--{key} {','.join(value)}`" for key, value in shape.answer.items()]
    given = ", ".join(words) or ("–" if not shape.prep else "the disk, or the file, put back")
    says = f"{int(code)}: {shape.prep}" if shape.prep else "goes on"
    cells = [shape.name, says, str(int(deploy_code)), shape.status or "–", given, str(done.lost_bytes)]
    return f"| {' | '.join([*cells, str(int(done.is_empty_and_healthy))])} |"


def page(text: str) -> str:
    """The page with this table."""
    head, _, rest = text.partition("| What changed |")
    _, _, tail = rest.partition("\n\n")
    titles = ("What changed", "`prep` says", "`deploy` ends with", "`status` says", "the answer", "bytes lost")
    first = f"| {' | '.join(titles)} | empty and called healthy |\n{'|---' * (len(titles) + 1)}|\n"
    return head + first + "\n".join(map(row_of, SHAPES)) + "\n\n" + tail


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""Machines as data: disks, mounted or not, with their files; what they would say, and what plans write on them."""

from __future__ import annotations

import base64
import copy
import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig
from sparkqfs.facts.nodes import MetaFact, NodeFacts, PathFact
from sparkqfs.facts.record import RecordFact, parse_record
from sparkqfs.plan.cluster.nodes import plan_prep
from sparkqfs.plan.cluster.record import plan_record
from sparkqfs.plan.steps import Plan, ShellStep
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.seam import COPIES
from tests.builders.facts import a_node, fresh

MEMORY = "/var/lib/sparkqfs"
WRITTEN = re.compile(r"printf %s (\S*) \| base64 -d")


@dataclass
class Machine:
    """One computer. What no mounted disk covers is on its system disk."""

    system: dict[str, str] = field(default_factory=dict)
    disks: dict[str, dict[str, str]] = field(default_factory=dict)
    """Mount point → the files of the disk there, by path below it."""

    def _of(self, path: str) -> tuple[dict[str, str], str]:
        for mount, files in self.disks.items():
            if path.startswith(mount + "/"):
                return files, path[len(mount) + 1 :]
        return self.system, path

    def read(self, path: object) -> str | None:
        """A file's text."""
        files, name = self._of(str(path))
        return files.get(name)

    def write(self, path: object, text: str) -> None:
        """The file with this text."""
        files, name = self._of(str(path))
        files[name] = text

    def names(self, folder: object) -> list[str]:
        """All files below a directory, by path."""
        top = f"{folder}/"
        found = [f"{mount}/{name}" for mount, files in self.disks.items() for name in files]
        found += [name for name in self.system if self._of(name)[0] is self.system]
        return sorted(name for name in found if name.startswith(top))


@dataclass
class World:
    """Machines by address, and disks that are in no machine."""

    machines: dict[str, Machine]
    shelf: list[dict[str, str]] = field(default_factory=list)

    def again(self) -> World:
        """A copy."""
        return copy.deepcopy(self)

    def at(self, config: ClusterConfig, name: str) -> Machine:
        """The machine of a node."""
        return self.machines.setdefault(config.node(name).address, Machine())

    def all_files(self) -> list[str]:
        """The text of every file that holds data, wherever it is."""
        found = [*self.shelf, *(one.system for one in self.machines.values())]
        found += [disk for one in self.machines.values() for disk in one.disks.values()]
        return sorted(text for files in found for name, text in files.items() if is_data(name))


def is_data(name: str) -> bool:
    """A block, or metadata."""
    return bool(re.search(r"(chunk|data/current|checkpoint|name/current)/", name))


def world_of(config: ClusterConfig) -> World:
    """New machines with a disk at each data directory."""
    found = World({})
    for node in config.nodes:
        found.machines[node.address] = Machine(disks={str(path): {} for path in node.data_dirs})
    return found


def facts_of(world: World, config: ClusterConfig) -> dict[str, NodeFacts]:
    """What the machines of hosts.yml would say."""
    return {node.name: _fact(world.at(config, node.name), config, node.name) for node in config.nodes}


def _fact(machine: Machine, config: ClusterConfig, name: str) -> NodeFacts:
    node, layout = config.node(name), backend_of(config).layout
    fact = a_node(name, config, marker=None, material=None)  # copies of the secrets are another matter
    if layout is None:
        named = replace(fact.disks[0], cluster=_line(machine, node.data_dirs[0] / "spark" / ".cluster-name"))
        return replace(fact, disks=(named, *fact.disks[1:]), records=copies_of(machine, config, name))
    disks = []
    for path, disk in zip(node.data_dirs, fact.disks, strict=True):
        top = path / layout.top
        blocks = machine.names(top / layout.blocks)
        disks.append(
            replace(
                disk,
                marker=_line(machine, top / ".cluster-id"),
                cluster=_line(machine, top / ".cluster-name"),
                has_blocks=bool(blocks),
                blocks=len(blocks),
            )
        )
    copies = [path / layout.top / COPIES for path in node.data_dirs if machine.names(path / layout.top / COPIES)]
    filled = PathFact(path=node.data_dirs[0], kind="directory", uid=config.owner.uid, gid=config.owner.gid, mode=0o750)
    fact = replace(fact, paths=fact.paths | {one: replace(filled, path=one, empty=False) for one in copies})
    others = node.data_dirs[1:] if node.manager else node.data_dirs
    with_metadata = tuple(path for path in others if _meta(machine, path / layout.top).exists)
    return replace(
        fact,
        disks=tuple(disks),
        records=copies_of(machine, config, name),
        metadata_in=with_metadata,
        meta=_meta(machine, node.data_dirs[0] / layout.top) if node.manager else MetaFact(),
    )


def _line(machine: Machine, path: PurePosixPath) -> str | None:
    text = machine.read(path)
    return text.strip() if text else None


def _meta(machine: Machine, top: PurePosixPath) -> MetaFact:
    names = [*machine.names(top / "checkpoint"), *machine.names(top / "name")]
    if not names:
        return MetaFact()
    return MetaFact(checkpoints=1, logs=1, latest=True, file_system_id=machine.read(names[0]))


def copies_of(machine: Machine, config: ClusterConfig, name: str) -> tuple[RecordFact, ...]:
    """The copies of records that a machine shows, read by the real parser."""
    node, kind = config.node(name), config.storage.kind
    paths = [name for name in machine.names(MEMORY) if name.endswith(".json")]
    private = machine.names(f"{node.data_dirs[0]}/sparkqfs") if node.manager else []
    paths += [name for name in private if name.endswith(".json")]
    paths += [f"{path}/{kind}/.cluster.json" for path in node.data_dirs]
    found = []
    for path in paths:
        text = machine.read(path)
        if text is not None:
            found.append(parse_record(path, base64.b64encode(text.encode()).decode(), ""))
    return tuple(found)


def carry_out(world: World, config: ClusterConfig, plan: Plan) -> list[str]:
    """Write what a plan's steps write: the paths that got a marker."""
    marked = []
    for step in plan.steps:
        assert isinstance(step, ShellStep)
        found = WRITTEN.search("\n".join(step.lines))
        path = step.what.partition(" ")[2]
        if found is None or step.what.partition(" ")[0] not in ("marker", "name", "record"):
            continue
        text = base64.b64decode(found[1]).decode()
        world.at(config, step.node).write(path, text)
        if step.what.startswith("marker"):
            marked.append(f"{step.node}:{path}")
    return marked


def prep(
    world: World, config: ClusterConfig, *, add: tuple[str, ...] = (), forget: tuple[str, ...] = (), here: bool = False
) -> tuple[Plan, list[str]]:
    """The real plan of prep, carried out, and where it has put a marker."""
    facts = facts_of(world, config)
    only = tuple(node.name for node in config.nodes)
    material = fresh(cluster_id=f"99999999-0000-0000-0000-{len(world.all_files()):012d}")
    plan = plan_prep(config, facts, material, only=only, adopt=add, forget=forget, here=here)
    return plan, carry_out(world, config, plan)


def init(world: World, config: ClusterConfig, file_system_id: str) -> None:
    """What an init leaves: metadata on the manager, and that it is written down."""
    folder = {"qfs": "checkpoint/chkpt.0.0.0", "hdfs": "name/current/fsimage_0"}[config.storage.kind]
    first = config.manager.data_dirs[0]
    world.at(config, config.manager.name).write(f"{first}/{config.storage.kind}/{folder}", file_system_id)
    plan = plan_record(config, facts_of(world, config))
    assert not plan.problems
    carry_out(world, config, plan)


def put_blocks(world: World, config: ClusterConfig) -> None:
    """A block on every disk."""
    layout = backend_of(config).layout
    assert layout is not None
    folder = "chunk" if layout.top == "qfs" else "data/current"
    for node in config.nodes:
        for path in node.data_dirs:
            world.at(config, node.name).write(f"{path}/{layout.top}/{folder}/1.1.1", f"block of {node.name}:{path}")


def a_grown_world(config: ClusterConfig) -> World:
    """A cluster with files, as prep and init have left it."""
    world = world_of(config)
    plan, _ = prep(world, config)
    assert not plan.problems
    init(world, config, "7")
    put_blocks(world, config)
    again, _ = prep(world, config)
    assert not again.problems and not again.steps, again
    return world

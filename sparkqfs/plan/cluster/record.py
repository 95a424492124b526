"""What is written down of a cluster: which disks `--add` and `--forget` mean, and the copies that differ. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.facts.record import ClusterRecord, DiskName, text_of
from sparkqfs.plan.cluster.identity import Identity, Place, disk_path, identify, memory_path, next_name, private_path
from sparkqfs.plan.steps import Plan, Step, write_file
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.metadata import LOST_METADATA


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What words of the command line mean, and what is wrong with them."""

    places: frozenset[Place] = frozenset()
    disks: frozenset[DiskName] = frozenset()
    problems: tuple[Problem, ...] = ()


def added(config: ClusterConfig, facts: dict[str, NodeFacts], identity: Identity, words: tuple[str, ...]) -> Choice:
    """The data directories that `--add` means: `NODE:DISK` one, by its path or its number in `data_dir`, from 0.

    `NODE` alone is one that is new altogether, or of whose disks a single one is not the cluster's.
    """
    places: set[Place] = set()
    problems: list[Problem] = []
    for word in words:
        name, _, disk = word.partition(":")
        node = next((node for node in config.nodes if node.name == name), None)
        if node is None:
            known = ", ".join(one.name for one in config.nodes)
            problems.append(_usage(f"--add: no node {name} in hosts.yml", f"nodes: {known}"))
        elif disk:
            numbers = [at for at, path in enumerate(node.data_dirs) if disk == str(at) or PurePosixPath(disk) == path]
            places |= {(name, at) for at in numbers}
            if not numbers:
                known = ", ".join(f"{at} is {path}" for at, path in enumerate(node.data_dirs))
                problems.append(_usage(f"--add: {name} has no disk {disk} in hosts.yml", f"its disks: {known}"))
        elif name in facts:
            open_ = [at for at in range(len(node.data_dirs)) if _is_open(identity, (name, at))]
            places |= {(name, at) for at in open_}
            if len(open_) > 1 and not _is_new(identity, name):
                places -= {(name, at) for at in open_}
                exact = " or ".join(f"`invoke prep --add {name}:{node.data_dirs[at]}`" for at in open_)
                what = f"--add {name}: {len(open_)} of its disks are not the cluster's; is one of them not mounted?"
                problems.append(Problem(node=name, what=what, hint=f"name the new one: {exact}", code=ExitCode.REFUSED))
    return Choice(places=frozenset(places), problems=tuple(problems))


def _is_open(identity: Identity, place: Place) -> bool:
    return place not in identity.disks or place in identity.moved


def _is_new(identity: Identity, name: str) -> bool:
    """Nothing is known of the node."""
    recorded = identity.record.nodes if identity.record is not None else ()
    return name not in recorded and name not in {node for node, _ in settled(identity)}


def forgotten(config: ClusterConfig, identity: Identity, words: tuple[str, ...]) -> Choice:
    """The disks that `--forget` means: `NODE`, or `NODE:DISK` with the number or the path that is written down."""
    disks: set[DiskName] = set()
    problems: list[Problem] = []
    recorded = identity.record.disks if identity.record is not None else {}
    for word in words:
        name, _, disk = word.partition(":")
        typed = {disk, str(PurePosixPath(disk))}
        meant = {
            one
            for one, path in recorded.items()
            if one.node == name and (not disk or typed & {str(one.number), str(path)})
        }
        if not meant and not identity.gone:
            continue  # an earlier run has done it
        if not meant:
            known = ", ".join(f"{one.node}:{path}" for one, path in sorted(recorded.items()))
            problems.append(_usage(f"--forget: the cluster has no {word}", f"what it has: {known or 'nothing'}"))
        elif identity.record is not None and identity.record.metadata in meant:
            what = f"--forget: {identity.record.metadata.node} has the file system's metadata"
            problems.append(_usage(what, f"if it is lost: {LOST_METADATA}"))
        elif meant & set(identity.disks.values()):
            problems.append(_usage(f"--forget: {word} is in hosts.yml, and in use", "take it out of hosts.yml first"))
        else:
            disks |= meant
    return Choice(disks=frozenset(disks), problems=tuple(problems))


def _usage(what: str, hint: str) -> Problem:
    return Problem(what=what, hint=hint, code=ExitCode.USAGE)


def settled(identity: Identity) -> dict[Place, DiskName]:
    """The disks that are where they were written down, by name."""
    return {place: disk for place, disk in identity.disks.items() if place not in identity.moved}


def names_of_disks(
    config: ClusterConfig, identity: Identity, marked: frozenset[Place], accepted: frozenset[Place]
) -> dict[Place, DiskName]:
    """Which disk each directory with the marker is from now on; `marked` get theirs in this run.

    A new disk in the directory of one that is missing takes its name; in another directory it gets a name of its own.
    One that comes from another node gets a number that was not used before: until its own copy is written again,
    which a killed run leaves to the next one, nothing else has its name.
    """
    moved = identity.moved & accepted
    named = settled(identity)
    old = identity.record
    recorded = dict(old.disks) if old is not None and old.initialised else {}
    for name, at in sorted(moved | marked - set(identity.disks)):
        path = config.node(name).data_dirs[at]
        replaced = [
            disk
            for disk, was in recorded.items()
            if (disk.node, was) == (name, path) and (name, at) not in moved and disk not in named.values()
        ]
        named[name, at] = (replaced or [next_name(name, at, {*recorded, *named.values()})])[0]
    return named


def wanted_record(
    config: ClusterConfig, facts: dict[str, NodeFacts], identity: Identity, id_: str, names: dict[Place, DiskName]
) -> ClusterRecord:
    """What is to be written down. What it was keeps its serial number; anything else gets the next one."""
    old, manager = identity.record, facts[config.manager.name]
    has_disks = backend_of(config).layout is not None
    shared = manager.paths.get(config.shared_directory) if config.shared_directory is not None else None
    blocks = any(disk.has_blocks for fact in facts.values() for disk in fact.disks)
    is_made = manager.meta.exists or blocks if has_disks else shared is not None and not shared.empty
    made_id = manager.meta.file_system_id if manager.meta.exists else None
    record = ClusterRecord(
        cluster=config.name,
        id=id_,
        storage=config.storage.kind,
        serial=old.serial if old is not None else 1,
        initialised=is_made or (old is not None and old.initialised),
        confirmed=(identity.is_confirmed and not is_made) or (old is not None and old.confirmed),
        file_system_id=made_id if made_id is not None or old is None else old.file_system_id,
        metadata=names.get((config.manager.name, 0), DiskName(config.manager.name, 0)),
        disks=_disks(config, facts, identity, names) if has_disks else {},
        shared_path=None if has_disks else config.shared_directory,
    )
    return record if record == identity.written or old is None else replace(record, serial=old.serial + 1)


def _disks(
    config: ClusterConfig, facts: dict[str, NodeFacts], identity: Identity, names: dict[Place, DiskName]
) -> dict[DiskName, PurePosixPath]:
    """The disks by name. Once there is data none is left out by itself; before, those of nodes that were looked at are
    what hosts.yml says. The first record has also the disks of nodes that do not answer.
    """
    old = identity.record
    found: dict[DiskName, PurePosixPath] = {}
    if old is not None:
        renamed = {disk: names[place] for place, disk in identity.disks.items() if place in names}
        silent = {node.name for node in config.nodes} - {name for name, _ in names}
        found = {
            renamed.get(disk, disk): path for disk, path in old.disks.items() if old.initialised or disk.node in silent
        }
    else:
        silent_nodes = [node for node in config.nodes if node.name not in facts]
        found = {DiskName(node.name, at): path for node in silent_nodes for at, path in enumerate(node.data_dirs)}
    return found | {disk: config.node(name).data_dirs[at] for (name, at), disk in names.items()}


def plan_record(config: ClusterConfig, facts: dict[str, NodeFacts], *, erasing: bool = False) -> Plan:
    """The copies that differ, on every node that answered. `erasing`: the file system is about to be erased; a run that
    is killed meanwhile leaves none, or the one of before, and both may be written down again.
    """
    identity = identify(config, facts)
    if identity.id is None or identity.contradictions or identity.of_nodes:
        return Plan(problems=(*identity.contradictions, *identity.of_nodes))
    names = names_of_disks(config, identity, frozenset(), frozenset())
    record = wanted_record(config, facts, identity, identity.id, names)
    if erasing and record.initialised:
        serial = (identity.written.serial if identity.written is not None else 0) + 1
        record = replace(record, serial=serial, initialised=False, file_system_id=None)
    steps: list[Step] = []
    for node in config.nodes:
        if node.name in facts:
            steps += record_steps(config, node, facts[node.name], record, names)
    return Plan(steps=tuple(steps))


def copies(
    config: ClusterConfig, node: NodeConfig, fact: NodeFacts, record: ClusterRecord, names: dict[Place, DiskName]
) -> Iterator[tuple[PurePosixPath, str, int]]:
    """Every copy that a node has: path, text, mode."""
    if node.manager:
        yield private_path(config), text_of(record, node.name), 0o600
    for at, disk in enumerate(fact.disks):
        if (node.name, at) in names and backend_of(config).layout is not None:
            yield disk_path(config, disk), text_of(record, node.name, names[node.name, at]), 0o444
    yield memory_path(config), text_of(record, node.name), 0o644


def record_steps(
    config: ClusterConfig, node: NodeConfig, fact: NodeFacts, record: ClusterRecord, names: dict[Place, DiskName]
) -> list[Step]:
    """The copies of a node that are missing or differ."""
    there = {copy.path: copy for copy in fact.records}
    steps: list[Step] = []
    for path, text, mode in copies(config, node, fact, record, names):
        copy = there.get(path)
        if copy is None:
            why = "missing"
        elif copy.record is None:
            why = f"it cannot be read: {copy.fault}"
        elif text == text_of(copy.record, copy.node, copy.disk):
            continue
        else:
            why = f"it says {copy.record.id}, serial {copy.record.serial}; now {record.id}, serial {record.serial}"
        steps.append(write_file(node.name, path, text, uid=0, gid=0, mode=mode, what=f"record {path}", why=why))
    return steps

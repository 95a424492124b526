"""What is written down of a cluster: which disks `--add` and `--forget` mean, and the copies that differ. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig
from sparkqfs.config.names import unknown_nodes
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.facts.record import ClusterRecord, DiskName, next_serial
from sparkqfs.plan.cluster.copies import Copies, withdrawal_steps
from sparkqfs.plan.cluster.disk_names import Numbers, Place
from sparkqfs.plan.cluster.identity import Identity, identify
from sparkqfs.plan.steps import Plan, Step
from sparkqfs.plan.storage import backend_of


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
            problems += unknown_nodes(config, "--add", (name,))
        elif disk:
            numbers = [at for at, path in enumerate(node.data_dirs) if disk == str(at) or PurePosixPath(disk) == path]
            places |= {(name, at) for at in numbers}
            if not numbers:
                known = ", ".join(f"{at} is {path}" for at, path in enumerate(node.data_dirs))
                problems.append(_usage(f"--add: {name} has no disk {disk} in hosts.yml", f"its disks: {known}"))
        elif name in facts:
            open_ = [at for at in range(len(node.data_dirs)) if _is_open(identity, (name, at))]
            if len(open_) > 1 and not _is_new(identity, name):
                words_ = [f"{name}:{node.data_dirs[at]}" for at in open_]
                exact = " or ".join(f"`invoke prep --add {one}`" for one in (*words_, ",".join(words_)))
                what = f"--add {name}: {len(open_)} of its disks are not the cluster's; is one of them not mounted?"
                hint = f"mount what is not, and name what is new: {exact}"
                problems.append(Problem(node=name, what=what, hint=hint, code=ExitCode.REFUSED))
            else:
                places |= {(name, at) for at in open_}
    return Choice(places=frozenset(places), problems=tuple(problems))


def _is_open(identity: Identity, place: Place) -> bool:
    return place not in identity.disks or place in identity.moved


def _is_new(identity: Identity, name: str) -> bool:
    """Nothing is written down of the node; one that has a marker was left so by a run that was killed."""
    if identity.written is not None:
        return name not in identity.written.nodes
    return name not in {node for node, _ in settled(identity)}


def forgotten(config: ClusterConfig, facts: dict[str, NodeFacts], identity: Identity, words: tuple[str, ...]) -> Choice:
    """The disks that `--forget` means: `NODE`, or `NODE:DISK` with the number or the path that is written down."""
    disks: set[DiskName] = set()
    problems: list[Problem] = []
    recorded = identity.record.disks if identity.record is not None else {}
    for word in words:
        name, _, disk = word.partition(":")
        mine = {one: path for one, path in recorded.items() if one.node == name}
        meant = _meant(identity, mine, disk)
        if not meant and not identity.gone:
            continue  # an earlier run has done it
        if not meant:
            known = ", ".join(f"{one.node}:{path}" for one, path in sorted(recorded.items()))
            problems.append(_usage(f"--forget: the cluster has no {word}", f"what it has: {known or 'nothing'}"))
        elif identity.record is not None and identity.record.metadata in meant and not identity.is_confirmed:
            what = f"--forget: {identity.record.metadata.node} has the file system's metadata"
            hint = f"bring it back; if it is lost, the manager of hosts.yml gets it: `invoke prep --here {config.name}`"
            problems.append(_usage(what, f"{hint}, with the same --forget"))
        elif used := [one for one in sorted(meant) if _is_in_hosts_yml(config, facts, identity, one, mine[one])]:
            is_used = "in use" if set(used) & set(identity.disks.values()) else "not mounted"
            why = is_used if used[0].node in facts else f"{used[0].node} gives no answer"
            hint = "take it out of hosts.yml first"
            problems.append(_usage(f"--forget: {word} is in hosts.yml, and {why}", hint))
        else:
            disks |= meant
    return Choice(disks=frozenset(disks), problems=tuple(problems))


def _meant(identity: Identity, mine: dict[DiskName, PurePosixPath], word: str) -> set[DiskName]:
    """The disks of a node that a word is for; of several with one path those that are not there any more."""
    found = {one for one, path in mine.items() if word in ("", str(one.number)) or PurePosixPath(word) == path}
    if word:
        return found - set(identity.disks.values()) or found
    return found


def _is_in_hosts_yml(
    config: ClusterConfig, facts: dict[str, NodeFacts], identity: Identity, disk: DiskName, path: PurePosixPath
) -> bool:
    """A directory of hosts.yml holds the disk, or would if it were mounted, or its node gave an answer."""
    if disk in identity.disks.values():
        return True
    node = next((one for one in config.nodes if one.name == disk.node), None)
    if node is None:
        return False
    if node.name not in facts:
        return True
    return path in node.data_dirs and (node.name, node.data_dirs.index(path)) not in identity.disks


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
    taken, numbers = {*named.values(), *identity.disks.values()}, Numbers((*recorded, *identity.disks.values()))
    free = {(disk.node, path): disk for disk, path in sorted(recorded.items(), reverse=True) if disk not in taken}
    for place in sorted(moved | marked - set(identity.disks)):
        path = config.node(place[0]).data_dirs[place[1]]
        replaced = free.pop((place[0], path), None) if place not in moved else None
        named[place] = replaced or numbers.next(place)
    return named


def wanted_record(
    config: ClusterConfig,
    facts: dict[str, NodeFacts],
    identity: Identity,
    id_: str,
    names: dict[Place, DiskName],
    *,
    is_asked: bool = False,
) -> ClusterRecord:
    """What is to be written down. What it was keeps its serial number; anything else gets the next one.

    `is_asked`: whose the metadata is that was found is still a question, so the file system's id stays as it is.
    """
    old, manager = identity.record, facts[config.manager.name]
    has_disks = backend_of(config).layout is not None
    shared = manager.paths.get(config.shared_directory) if config.shared_directory is not None else None
    blocks = any(disk.has_blocks for fact in facts.values() for disk in fact.disks)
    is_found = manager.meta.exists or blocks if has_disks else shared is not None and not shared.empty
    begins_again = identity.is_confirmed and not has_disks  # with an empty directory
    is_made = is_found or (old is not None and old.initialised and not begins_again)
    made_id = manager.meta.file_system_id if manager.meta.exists else None
    if old is not None and (made_id is None or (is_asked and old.file_system_id and not identity.is_confirmed)):
        made_id = old.file_system_id
    record = ClusterRecord(
        cluster=config.name,
        id=id_,
        storage=config.storage.kind,
        serial=old.serial if old is not None else 1,
        initialised=is_made,
        confirmed=not is_made and (identity.is_confirmed or (old is not None and old.confirmed)),
        file_system_id=made_id,
        metadata=names.get((config.manager.name, 0), DiskName(config.manager.name, 0)),
        disks=_disks(config, facts, identity, names, is_made=is_made) if has_disks else {},
        shared_path=None if has_disks else config.shared_directory,
    )
    return record if record == identity.written or old is None else replace(record, serial=next_serial(old.serial))


def _disks(
    config: ClusterConfig,
    facts: dict[str, NodeFacts],
    identity: Identity,
    names: dict[Place, DiskName],
    *,
    is_made: bool,
) -> dict[DiskName, PurePosixPath]:
    """The disks by name. Once there is data none is left out by itself; before, those of nodes that were looked at are
    what hosts.yml says. The first record of a cluster with data has all of hosts.yml: also the disks that are not
    mounted, and those of nodes that do not answer.
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
        nodes = [node for node in config.nodes if is_made or node.name not in facts]
        places = {(node.name, at): path for node in nodes for at, path in enumerate(node.data_dirs)}
        found = {DiskName(*place): path for place, path in places.items() if place not in names}
    return found | {disk: config.node(name).data_dirs[at] for (name, at), disk in names.items()}


def plan_record(config: ClusterConfig, facts: dict[str, NodeFacts], *, erasing: bool = False) -> Plan:
    """The copies that differ, on every node that answered. `erasing`: the file system is about to be erased, and a new
    one may be made, whatever the cluster has in other kinds of storage; a run that is killed meanwhile leaves none, or
    the one of before, and both may be written down again.
    """
    identity = identify(config, facts)
    if identity.id is None or identity.contradictions or identity.of_nodes:
        return Plan(problems=(*identity.contradictions, *identity.of_nodes))
    names = names_of_disks(config, identity, frozenset(), frozenset())
    record = wanted_record(config, facts, identity, identity.id, names)
    if erasing and record.initialised:
        serial = next_serial(identity.written.serial) if identity.written is not None else 1
        record = replace(record, serial=serial, initialised=False, confirmed=True, file_system_id=None)
    return Plan(steps=copy_steps(config, facts, identity, record, names))


def copy_steps(
    config: ClusterConfig,
    facts: dict[str, NodeFacts],
    identity: Identity,
    record: ClusterRecord,
    names: dict[Place, DiskName],
) -> tuple[Step, ...]:
    """The copies that differ on the nodes in `facts`. Other kinds of storage may not begin any more without a word."""
    copies = Copies(config, record, names)
    nodes = [node for node in config.nodes if node.name in facts]
    steps = [step for node in nodes for step in copies.steps(node, facts[node.name])]
    steps += [step for node in nodes for step in withdrawal_steps(config, node, facts[node.name], identity.withdrawn)]
    return tuple(steps)

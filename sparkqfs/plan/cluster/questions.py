"""The questions that a contradiction raises: what is there, what is written down, and what to type for each answer."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.nodes import DiskFact, NodeFacts
from sparkqfs.facts.record import ClusterRecord, DiskName, RecordFact
from sparkqfs.plan.cluster.directories import private_directory
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.metadata import LOST_METADATA

REGISTRY = "sparkqfs-registry-"
"""What the registry's container is called, with the cluster's name after it: it has the private directory mounted."""


def _refusal(node: str | None, what: str, hint: str, setting: str | None = None) -> Problem:
    return Problem(node=node, what=what, hint=hint, config_path=setting, code=ExitCode.REFUSED)


def _here(config: ClusterConfig) -> str:
    return f"`invoke prep --here {config.name}`"


def _to_put_back(config: ClusterConfig) -> str:
    manager, first = config.manager.name, config.manager.data_dirs[0]
    return f"{LOST_METADATA}; or by hand: {_here(config)} makes {first} on {manager} the one for the metadata"


def _manages(config: ClusterConfig, node: str) -> str:
    if node in {one.name for one in config.nodes}:
        return f"set `manager: true` for {node}"
    return f"set `manager: true` for {node}, back in hosts.yml, or give {config.manager.name} the name that it had"


def _new(config: ClusterConfig) -> str:
    return f"to begin a new, empty cluster in the directories of hosts.yml and leave those files alone: {_here(config)}"


def newer(node: str, copy: RecordFact) -> Problem:
    """A record of a later version."""
    return _refusal(node, f"{copy.path}: {copy.fault}", "use that version, or a newer one; nothing was changed")


def unreadable(config: ClusterConfig, node: str, copy: RecordFact) -> Problem:
    """A record that may say where the data is, and nothing else does."""
    what = f"{copy.path} cannot be read: {copy.fault}; it may say where the data of cluster {config.name} is"
    return _refusal(node, what, f"mount all disks and run prep again; {_new(config)}")


def elsewhere(config: ClusterConfig, record: ClusterRecord, *, is_bare: bool) -> Problem:
    """The cluster has its files in other directories than those of hosts.yml."""
    manager, first = config.manager.name, config.manager.data_dirs[0]
    node, path = record.metadata.node, record.disks.get(record.metadata)
    what = f"cluster {config.name} ({record.id}) has its file system's metadata on {node} in {path}"
    if node != manager:
        hint = _manages(config, node)
        setting = f"nodes.{manager}.manager"
    else:
        hint = f"set `data_dir` of {manager} back, with {path} as its first directory"
        setting = f"nodes.{manager}.data_dir"
    what += f"; hosts.yml says {manager} and {first}, where nothing of it is"
    other = _new(config) if is_bare else f"if that disk is lost: {_to_put_back(config)}"
    return _refusal(manager, what, f"{hint}; {other}", setting)


def not_mounted(config: ClusterConfig, record: ClusterRecord) -> Problem:
    """The directory is the one that is written down, and nothing of the cluster is in it."""
    manager, first = config.manager.name, config.manager.data_dirs[0]
    what = f"{first} has no .cluster-id, and cluster {config.name} ({record.id}) has its file system's metadata there"
    hint = f"mount the disk that belongs at {first}; if it is lost: {_to_put_back(config)}"
    return _refusal(manager, f"{what}: is the disk mounted?", hint)


def without_marker(config: ClusterConfig, node: str, disk: DiskFact, blocks: str) -> Problem:
    """Other disks have data or a marker, and the manager's first has none; nobody remembers the cluster."""
    first, top = config.manager.data_dirs[0], config.storage.kind
    has = blocks if disk.has_blocks else f"no {blocks}"
    what = f"no .cluster-id under {first}/{top}, but {node} has {has} and the marker {disk.marker or 'none'} in "
    what += f"{disk.path}: a disk of the manager that is not mounted looks like this"
    hint = f"mount the disk that belongs at {first}; if it is lost: {_to_put_back(config)}"
    return _refusal(config.manager.name, what, hint)


def managed_elsewhere(config: ClusterConfig, record: ClusterRecord) -> Problem:
    """The manager of hosts.yml gives no answer, and it is not the machine with the metadata."""
    manager, node = config.manager.name, record.metadata.node
    what = f"cluster {config.name} ({record.id}) has its file system's metadata on {node} in "
    what += f"{record.disks.get(record.metadata)}; hosts.yml says {manager}, which gives no answer"
    return _refusal(manager, what, _manages(config, node), f"nodes.{manager}.manager")


def no_marker(config: ClusterConfig, record: ClusterRecord) -> Problem:
    """There is metadata, as it was put back from a copy, and nothing that says whose it is."""
    manager, first = config.manager.name, config.manager.data_dirs[0]
    top = first / record.storage
    what = f"{top} holds a file system's metadata but no .cluster-id; cluster {config.name} is {record.id}"
    hint = f"if it is this cluster's: `echo {record.id} > {top}/.cluster-id` there"
    return _refusal(manager, what, f"{hint}; if not, mount the disk that belongs at {first}")


def shared_files_gone(config: ClusterConfig, record: ClusterRecord) -> Problem:
    """The cluster's directory on the shared file system is empty, or not there, as when it is not mounted."""
    manager, path = config.manager.name, config.shared_directory
    what = f"cluster {config.name} has its files in {path}, and nothing is there: is the shared file system mounted?"
    hint = f"mount it at {config.storage.shared.path}; if the files are gone, to begin with an empty directory: "
    hint += _here(config)
    return _refusal(manager, what, hint, "storage.shared.path")


def other_kind(config: ClusterConfig, record: ClusterRecord) -> Problem:
    """`storage.kind` was changed, and nothing of the new kind is there yet."""
    kind, path = config.storage.kind, record.disks.get(record.metadata) or record.shared_path
    what = f"cluster {config.name} keeps its files in {record.storage} ({path} on {record.metadata.node})"
    hint = f"set storage.kind back to {record.storage}; to begin with an empty {kind} next to it: {_here(config)}"
    return _refusal(None, f"{what}; hosts.yml says {kind}, which has none", hint, "storage.kind")


def other_shared_path(config: ClusterConfig, record: ClusterRecord) -> Problem:
    """`storage.shared.path` was changed."""
    what = f"cluster {config.name} keeps its files in {record.shared_path}, hosts.yml says {config.shared_directory}"
    hint = f"set the path back; if the files were moved, or new ones are to begin there: {_here(config)}"
    return _refusal(None, what, hint, "storage.shared.path")


def running_elsewhere(config: ClusterConfig, facts: dict[str, NodeFacts]) -> Problem | None:
    """Containers of this cluster have other directories than those of hosts.yml: they began before records did."""
    private = private_directory(config)
    layout = backend_of(config).layout
    for name, fact in facts.items():
        dirs = config.node(name).data_dirs
        for container in fact.containers or ():
            is_registry = container.name == f"{REGISTRY}{config.name}"
            for source in container.sources:
                is_other = is_registry and not source.is_relative_to(private) and source.parent.name == private.name
                if layout is not None and container.stack == config.name and source.parent.name == layout.top:
                    is_other = not any(map(source.is_relative_to, dirs))
                if is_other:
                    what = f"container {container.name} has {source}: cluster {config.name} is in {source.parents[1]}"
                    hint = f"set `data_dir` back; if that cluster is not needed: `docker rm -f {container.name}` there"
                    return _refusal(name, what, hint, f"nodes.{name}.data_dir")
    return None


def metadata_at(
    config: ClusterConfig, node: str, path: PurePosixPath, *, exists: bool = False, is_there: bool = True
) -> Problem:
    """The metadata is in another directory than the manager's first, or is written down as being there: then
    `is_there` says whether it was seen. `exists`: there is metadata in the manager's first directory too.
    """
    manager, first = config.manager.name, config.manager.data_dirs[0]
    back, setting = f"write {path} first in `data_dir` of {manager}", f"nodes.{manager}.data_dir"
    if node != manager:
        back, setting = f"{_manages(config, node)}, and {path} first in its `data_dir`", f"nodes.{manager}.manager"
    place = f"{path} on {node}" if is_there else f"{path} on {node}, as it is written down, and is not there"
    what = f"the file system's metadata is in {place}; hosts.yml says {first} on {manager}"
    if exists:
        what += ", where there is some too" if is_there else ", where there is some"
        back += f"; if it was moved to {manager}, or put there from a copy: {_here(config)}"
        return _refusal(manager, what, back, setting)
    if is_there:
        return _refusal(manager, what, back, setting)
    what += ", where there is none either"
    return _refusal(manager, what, f"{back}, and mount its disk; if it is lost: {_to_put_back(config)}", setting)


def metadata_missing(config: ClusterConfig, record: ClusterRecord, *, exists: bool, is_silent: bool) -> Problem:
    """The disk with the metadata is not among those that were found; `exists`: there is metadata in its place.
    `is_silent`: its node is in hosts.yml and gives no answer.
    """
    manager, first = config.manager.name, config.manager.data_dirs[0]
    disk, path = record.metadata, record.disks.get(record.metadata)
    what = f"{first} is not the disk with the metadata: that is disk {disk.number} of {disk.node}, last in {path}"
    if disk.node == manager:
        hint, setting = f"mount it, and write its directory first in `data_dir` of {manager}", "data_dir"
    else:
        hint, setting = _manages(config, disk.node), "manager"
        hint += ", and bring it back; if it is gone for good, take it out of hosts.yml" if is_silent else ""
    if exists:
        hint += f"; if what is in {first} was put there from a copy of it: {_here(config)}"
    elif not is_silent:
        hint += f"; if it is lost: {_to_put_back(config)}"
    return _refusal(manager, what, hint, f"nodes.{manager}.{setting}")


def metadata_gone(config: ClusterConfig, record: ClusterRecord | None) -> Problem:
    """The disk is there, and what was on it is not."""
    manager, first = config.manager.name, config.manager.data_dirs[0]
    id_ = f" (id {record.file_system_id})" if record is not None and record.file_system_id else ""
    what = f"cluster {config.name} has a file system{id_}, and its metadata is not in {first}"
    hint = f"mount the disk that belongs at {first}, or put the metadata back from a copy: {LOST_METADATA}"
    return _refusal(manager, what, hint)


def other_file_system(config: ClusterConfig, record: ClusterRecord, found: str) -> Problem:
    """Metadata of another file system."""
    manager, first = config.manager.name, config.manager.data_dirs[0]
    what = f"the metadata in {first} is of file system {found}, this cluster's is {record.file_system_id}"
    hint = f"put back the metadata that belongs there: {LOST_METADATA}; if the other is right: {_here(config)}"
    return _refusal(manager, what, hint)


def older_manager(config: ClusterConfig, on: ClusterRecord, off: ClusterRecord) -> Problem:
    """The manager's disks are of an earlier time than the others."""
    what = f"the manager's record is older ({on.serial}) than the other nodes' ({off.serial}): its disks are of an"
    what += " earlier time, as those of a snapshot are, and newer files may have no name there"
    hint = f"bring the newer disks back; if these are to be used all the same: {_here(config)}"
    return _refusal(config.manager.name, what, hint)


def other_id(
    config: ClusterConfig, node: str, record: ClusterRecord, id_: str, *, is_new: bool, is_mixed: bool
) -> Problem:
    """A machine remembers a cluster of this name and another id. `is_new`: it is not a part of this one yet;
    `is_mixed`: there are disks of both.
    """
    manager, first = config.manager.name, config.manager.data_dirs[0]
    path = next((path for disk, path in record.disks.items() if disk.node == node), "a directory of its own")
    what = f"this machine remembers cluster {config.name} as {record.id or 'another'} in {path}; the manager has {id_}"
    hint = f"correct `data_dir` or the machine in hosts.yml; to go on with what the manager has: {_here(config)}"
    if is_mixed:
        hint = f"there are disks of both: put the one that belongs at {first} on {manager} back, or take those of the "
        hint += "other cluster out of hosts.yml"
    elif is_new:
        hint = f"if it joins from a cluster that is no more: `invoke prep --add {node}`; if not, correct hosts.yml"
    return _refusal(node, what, hint)


def another_clusters(
    config: ClusterConfig, node: str, file: PurePosixPath, record: ClusterRecord, path: PurePosixPath
) -> Problem:
    """A directory that is remembered as another cluster's, whose disk is not mounted."""
    what = f"{path} is a data directory of cluster {record.cluster}, and its disk is not mounted"
    hint = f"use another `data_dir`; if cluster {record.cluster} does not exist any more: `rm {file}` there"
    return _refusal(node, what, hint, f"nodes.{node}.data_dir")


def copies_elsewhere(config: ClusterConfig, node: str, path: PurePosixPath) -> Problem:
    """The copies of the metadata that this node keeps are not on its first disk."""
    first, disk = config.node(node).data_dirs[0], path.parent.parent
    what = f"the copies of the metadata that {node} keeps are in {path}; hosts.yml says {first} first, which has none"
    hint = f"write {disk} first in `data_dir` of {node}; or move {path} to {first / path.relative_to(disk)}"
    return _refusal(node, what, hint, f"nodes.{node}.data_dir")


def mixed_up(
    config: ClusterConfig,
    node: str,
    file: PurePosixPath,
    record: ClusterRecord,
    paths: tuple[PurePosixPath, PurePosixPath],
) -> Problem:
    """A data directory of hosts.yml, and one of a cluster that this machine remembers: one is inside the other."""
    what = f"{paths[0]} and {paths[1]}, which is a data directory of cluster {record.cluster}: one is inside the other"
    hint = f"use another `data_dir`; if what is in {paths[1]} does not exist any more: `rm {file}` there"
    return _refusal(node, what, hint, f"nodes.{node}.data_dir")


def moved(config: ClusterConfig, node: str, disks: dict[int, DiskName], record: ClusterRecord) -> Problem:
    """Disks of this cluster that were another node's."""
    dirs = config.node(node).data_dirs
    olds = dict.fromkeys(disk.node for disk in disks.values())
    what = ", ".join(f"{dirs[at]} is disk {disk.number} of {disk.node}" for at, disk in disks.items())
    known = {one.name for one in config.nodes}
    renamed = [old for old in olds if old not in known]
    if renamed:
        what += f", and hosts.yml has no {', '.join(renamed)}"
    is_all = len(disks) == len(dirs) and node not in record.nodes
    words = node if is_all else ",".join(f"{node}:{dirs[at]}" for at in disks)
    why = f"if {renamed[0]} is now called {node}, or the disk" if renamed else "if the disk"
    return _refusal(node, what, f"{why} is to stay there: `invoke prep --add {words}`; if not, put it back")


def copied(config: ClusterConfig, place: tuple[str, int], twin: tuple[str, int], disk: DiskName) -> Problem:
    """Two directories say that they are the same disk."""
    here, there = (config.node(name).data_dirs[at] for name, at in (place, twin))
    what = f"{here} says that it is disk {disk.number} of {disk.node}, and so does {there} on {twin[0]}: one is a copy"
    return _refusal(place[0], what, "take the copy out of `data_dir`", f"nodes.{place[0]}.data_dir")


def same_directory(config: ClusterConfig, place: tuple[str, int], own: DiskName) -> Problem:
    """A disk that prep has given a name says the name of another one."""
    name, at = place
    path = config.node(name).data_dirs[at]
    dirs = next((node.data_dirs for node in config.nodes if node.name == own.node), ())
    where = f", which is {dirs[own.number]} there" if own.number < len(dirs) else ""
    what = f"{path} says that it is disk {own.number} of {own.node}{where}"
    hint = "run `invoke prep`; if it ran before, one directory is there twice, or one machine has two names: "
    hint += "take one out of hosts.yml"
    return _refusal(name, what, hint, f"nodes.{name}.data_dir")


def gone(
    config: ClusterConfig, record: ClusterRecord, missing: list[DiskName], *, here: bool = False
) -> tuple[Problem, ...]:
    """Nodes and disks of the cluster that hosts.yml does not have. `here`: the metadata has another place now."""
    known = {node.name for node in config.nodes}
    by_node = record.disks_by_node
    counts = Counter((disk.node, path) for disk, path in record.disks.items())
    problems = []
    for node in dict.fromkeys(disk.node for disk in missing):
        mine = [disk for disk in missing if disk.node == node]
        paths = ", ".join(str(record.disks[disk]) for disk in mine)
        what = f"hosts.yml does not have {paths} of {node}, a part of the cluster that has data"
        words = ",".join(f"{node}:{_word(record, disk, counts)}" for disk in mine)
        setting = f"nodes.{node}.data_dir"
        if node not in known:
            what = f"hosts.yml does not have {node}, which is a part of the cluster and has data in {paths}"
            setting, is_all = "nodes", len(mine) == len(by_node[node])
            words = node if is_all else words
        if record.metadata in mine and not here:
            hint = "put it back into hosts.yml: it has the file system's metadata; if they are lost: "
            hint += f"`invoke prep --here {config.name} --forget {words}`"
        else:
            hint = "put it back into hosts.yml; if all of its data is on other nodes, or is given up: "
            hint += f"`invoke prep --forget {words}`"
        problems.append(_refusal(node, what, hint, setting))
    return tuple(problems)


def _word(record: ClusterRecord, disk: DiskName, counts: Counter[tuple[str, PurePosixPath]]) -> str:
    """A disk in the words of `--forget`: its path, or its number where another one had this path too."""
    path = record.disks[disk]
    return str(path) if counts[disk.node, path] == 1 else str(disk.number)

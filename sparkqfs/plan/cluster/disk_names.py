"""Which disk each directory holds: what it says itself, then where it was last, then its place in hosts.yml. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.facts.record import ClusterRecord, DiskName

Place = tuple[str, int]
"""A data directory of hosts.yml: the node's name and the number in its `data_dir`, from 0."""


def disks_at(
    record: ClusterRecord, paths: dict[Place, PurePosixPath], own: dict[Place, DiskName]
) -> dict[Place, DiskName]:
    """The disk at each of `paths`, which have the cluster's marker; `own` is what they say of themselves.

    What a disk says does not count where the record has its directory under another name, and that name no more: a
    prep that wrote down where it belongs now was killed before it came to the disk.
    """
    here = {(disk.node, path) for disk, path in record.disks.items()}
    found = {
        place: own[place]
        for place, path in paths.items()
        if place in own and (own[place] in record.disks or (place[0], path) not in here)
    }
    taken, numbers = set(found.values()), Numbers((*record.disks, *found.values()))
    by_node = record.disks_by_node
    for place, path in paths.items():
        if place in found:
            continue
        name = place[0]
        free = [one for one in by_node.get(name, ()) if one not in taken]
        same = [one for one in free if record.disks[one] == path]
        found[place] = same[0] if same else free[0] if free else numbers.next(place)
        taken.add(found[place])
    return found


def missing_disks(
    config: ClusterConfig, facts: dict[str, NodeFacts], record: ClusterRecord, disks: dict[Place, DiskName]
) -> tuple[list[DiskName], dict[Place, PurePosixPath]]:
    """Recorded disks that nothing in hosts.yml can be, and where the disk was of a directory without a marker."""
    missing: list[DiskName] = []
    was_at: dict[Place, PurePosixPath] = {}
    known, taken = {one.name for one in config.nodes}, set(disks.values())
    for node, names in record.disks_by_node.items():
        lacking = [name for name in names if name not in taken]
        if node not in known:
            missing += lacking
            continue
        if node not in facts:
            continue
        dirs = enumerate(facts[node].disks)
        free = {disk.path: (node, at) for at, disk in dirs if (node, at) not in disks}
        for name in [name for name in lacking if record.disks[name] in free]:
            if free.pop(record.disks[name], None) is not None:
                lacking.remove(name)
        for name, place in zip(lacking, free.values(), strict=False):
            was_at[place] = record.disks[name]
        missing += lacking[len(free) :]
    return missing, was_at


def twins(disks: dict[Place, DiskName]) -> list[tuple[Place, Place]]:
    """Places that hold the same disk, each with another one: one of them is a copy."""
    places: dict[DiskName, list[Place]] = defaultdict(list)
    for place, disk in disks.items():
        places[disk].append(place)
    return [
        (place, next(other for other in same if other != place))
        for same in places.values()
        if same[1:]
        for place in same
    ]


class Numbers:
    """The numbers that disks have had, for the names of new ones."""

    def __init__(self, names: Iterable[DiskName]) -> None:
        self._used: dict[str, set[int]] = defaultdict(set)
        for name in names:
            self._used[name.node].add(name.number)

    def next(self, place: Place) -> DiskName:
        """A name that no disk has had: its place in hosts.yml, or the next number."""
        node, at = place
        used = self._used[node]
        number = at if at not in used else max(used) + 1
        used.add(number)
        return DiskName(node, number)

"""What a cluster is, as the copies of its record say, compared with what was found on the machines. Pure.

A directory that contradicts the record is a question, never a beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import Problem
from sparkqfs.facts.nodes import DiskFact, NodeFacts
from sparkqfs.facts.record import ClusterRecord, DiskName, RecordFact
from sparkqfs.plan.cluster import questions
from sparkqfs.plan.cluster.directories import private_directory
from sparkqfs.plan.storage import backend_of

MEMORY = PurePosixPath("/var/lib/sparkqfs")
"""What a machine remembers of its clusters, away from the data: a mistyped `data_dir` does not hide it."""
RECORD = ".cluster.json"
"""The copy on a data disk, next to the marker."""
Place = tuple[str, int]
"""A data directory of hosts.yml: the node's name and the number in its `data_dir`, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the cluster is, and what contradicts it."""

    id: str | None = None
    """The manager's marker; empty for a storage without markers."""
    record: ClusterRecord | None = None
    """The newest copy of the cluster with this id, without the disks that were given up."""
    written: ClusterRecord | None = None
    """The same with them."""
    disks: dict[Place, DiskName] = field(default_factory=dict)
    """Which disk it is that a directory with the marker holds."""
    moved: frozenset[Place] = frozenset()
    """Those of them that were another node's when they were last written down."""
    was_at: dict[Place, PurePosixPath] = field(default_factory=dict)
    """Where the disk was that should be at this place, which has no marker."""
    contradictions: tuple[Problem, ...] = ()
    """What stands against every task: each has a question's answer in its hint."""
    of_nodes: tuple[Problem, ...] = ()
    """The same for single nodes."""
    gone: tuple[Problem, ...] = ()
    """Nodes and disks with data that hosts.yml does not have any more."""
    lost: tuple[Problem, ...] = ()
    """A file system was made, and it is not there: only erasing it by the cluster's name goes on."""
    is_confirmed: bool = False
    """The directories of hosts.yml count, whatever is remembered elsewhere: the user has said so."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them."""
        return (*self.contradictions, *self.of_nodes, *self.gone, *self.lost)


def memory_path(config: ClusterConfig) -> PurePosixPath:
    """The copy that every machine of a cluster has, one for each kind of storage."""
    return MEMORY / f"{config.name}.{config.storage.kind}.json"


def private_path(config: ClusterConfig) -> PurePosixPath:
    """The manager's copy next to the secrets; clusters that use one directory after the other have their own."""
    return private_directory(config) / memory_path(config).name


def disk_path(config: ClusterConfig, disk: DiskFact) -> PurePosixPath:
    """The copy on a data disk."""
    layout = backend_of(config).layout
    assert layout is not None
    return disk.path / layout.top / RECORD


def identify(
    config: ClusterConfig,
    facts: dict[str, NodeFacts],
    *,
    here: bool = False,
    accepted: frozenset[Place] = frozenset(),
    forgotten: frozenset[DiskName] = frozenset(),
) -> Identity:
    """Compare. `here`: the directories of hosts.yml count, whatever is remembered elsewhere. `accepted` disks may come
    from another node, and `forgotten` ones are no longer the cluster's.
    """
    manager = facts.get(config.manager.name)
    if manager is None:
        return Identity()
    look = _Look(config, facts, here)
    newer = [questions.newer(node, copy) for node, copy in look.faulty if copy.is_newer]
    if newer:
        return Identity(contradictions=tuple(newer))
    marker = manager.disks[0].marker if manager.disks else None
    id_ = "" if backend_of(config).layout is None else marker
    if id_ is None:
        return look.begun()
    record = look.newest(id_)
    unused = look.unused(record)
    if unused is not None:
        return Identity(contradictions=(unused,))
    if record is None:
        return Identity(
            id=id_,
            is_confirmed=here,
            disks={(node, number): DiskName(node, number) for node, number, _ in look.marked(id_)},
            contradictions=tuple(look.other_ids(id_) + look.stray_metadata()),
            of_nodes=tuple(look.foreign()),
            lost=tuple(look.unreadable()),
        )
    kept = replace(record, disks={name: path for name, path in record.disks.items() if name not in forgotten})
    return replace(look.compared(id_, kept, accepted), written=record, is_confirmed=here)


class _Look:
    """One comparison."""

    def __init__(self, config: ClusterConfig, facts: dict[str, NodeFacts], here: bool) -> None:
        self.config, self.facts, self.here = config, facts, here
        self.manager = facts[config.manager.name]
        self.backend, self.kind = backend_of(config), config.storage.kind
        copies = [(name, copy) for name, fact in facts.items() for copy in fact.records]
        ours = [(name, copy) for name, copy in copies if copy.record and copy.record.cluster == config.name]
        self.mine = [(name, copy) for name, copy in ours if copy.record and copy.record.storage == self.kind]
        self.others = [(name, copy) for name, copy in ours if (name, copy) not in self.mine]
        self.faulty = [(name, copy) for name, copy in copies if copy.fault and self._may_be_ours(copy)]

    def _may_be_ours(self, copy: RecordFact) -> bool:
        return copy.path.name in (RECORD, memory_path(self.config).name)

    def newest(self, id_: str, *, on: str | None = None, off: str | None = None) -> ClusterRecord | None:
        """The record of the highest serial among the copies with this id, on one node only, or on all but one."""
        found = [
            copy.record
            for name, copy in self.mine
            if copy.record and copy.record.id == id_ and on in (None, name) and off != name
        ]
        return max(found, key=lambda record: record.serial, default=None)

    def unused(self, record: ClusterRecord | None) -> Problem | None:
        """Why a kind of storage that has no files yet is not to be begun: the cluster has files in another kind."""
        if self.here or (record is not None and (record.initialised or record.confirmed)):
            return None
        shared = self.manager.paths.get(self.config.shared_directory) if self.config.shared_directory else None
        blocks = any(disk.has_blocks for fact in self.facts.values() for disk in fact.disks)
        is_shared = self.backend.layout is None
        if not (shared is None or shared.empty) if is_shared else blocks or self.manager.meta.exists:
            return None
        if is_shared and record is None and self.faulty:
            return questions.unreadable(self.config, *self.faulty[0])
        return self._other_kind()

    def unreadable(self) -> list[Problem]:
        """No copy can be read, and there is no metadata: whether there was a file system is not known."""
        if not self.faulty or self.here or self.backend.layout is None or self.manager.meta.exists:
            return []
        return [questions.unreadable(self.config, *self.faulty[0])]

    def _other_kind(self) -> Problem | None:
        made = [copy.record for _, copy in self.others if copy.record and copy.record.initialised]
        return questions.other_kind(self.config, max(made, key=lambda record: record.serial)) if made else None

    def begun(self) -> Identity:
        """A cluster without a marker: a new one, where nothing says that there is one."""
        made = [copy.record for _, copy in self.mine if copy.record and copy.record.initialised]
        if made and not self.here:
            record, first = (
                max(made, key=lambda one: one.serial),
                (self.config.manager.name, self.config.manager.data_dirs[0]),
            )
            if (record.metadata.node, record.disks.get(record.metadata)) == first:
                return Identity(lost=(questions.not_mounted(self.config, record),))
            found: Problem | None = questions.elsewhere(self.config, record, is_bare=self._is_bare())
        else:
            found = None if self.here else self._beginning()
        asked = (found,) if found else ()
        return Identity(
            contradictions=asked,
            of_nodes=tuple(self.foreign()),
            is_confirmed=self.here,
        )

    def _is_bare(self) -> bool:
        disks = [disk for fact in self.facts.values() for disk in fact.disks]
        return not any(disk.marker or disk.has_blocks for disk in disks)

    def _beginning(self) -> Problem | None:
        """Why there can be no new cluster in directories without a marker, where no copy of its record says so."""
        config, facts = self.config, self.facts
        if self.faulty:
            return questions.unreadable(config, *self.faulty[0])
        stray = self.stray_metadata()
        if stray:
            return stray[0]
        other = self._other_kind()
        if other is not None:
            return other
        return questions.running_elsewhere(config, facts) if self._is_bare() else None

    def stray_metadata(self) -> list[Problem]:
        """Metadata in another data directory than the manager's first, which has none."""
        if self.manager.meta.exists or self.backend.layout is None:
            return []
        first = self.config.manager.data_dirs[0]
        for name, fact in self.facts.items():
            for path in fact.metadata_in:
                if (name, path) != (self.manager.name, first):
                    return [questions.metadata_at(self.config, name, path)]
        return []

    def other_ids(self, id_: str) -> list[Problem]:
        """Machines that remember another cluster of this name, with files of its own."""
        if self.here:
            return []
        found = {
            name: questions.other_id(self.config, name, copy.record, id_)
            for name, copy in self.mine
            if copy.record and copy.record.id != id_ and copy.record.initialised and copy.disk is None
        }
        return list(found.values())

    def marked(self, id_: str) -> Iterator[tuple[str, int, DiskFact]]:
        """Every data directory of hosts.yml that carries the marker."""
        if self.backend.layout is None:
            return
        for name, fact in self.facts.items():
            for number, disk in enumerate(fact.disks):
                if disk.marker == id_:
                    yield name, number, disk

    def compared(self, id_: str, record: ClusterRecord, accepted: frozenset[Place]) -> Identity:
        """Record and machines."""
        disks = self._disks(id_, record)
        moved = frozenset(place for place, disk in disks.items() if disk.node != place[0])
        missing, was_at = self._missing(record, disks)
        found = [*self.other_ids(id_), *self._against(id_, record, disks)]
        of_nodes = [*self._moved(record, disks, moved - accepted), *self._copied(disks), *self.foreign()]
        return Identity(
            id=id_,
            record=record,
            disks=disks,
            moved=moved,
            was_at=was_at,
            contradictions=tuple(found),
            of_nodes=tuple(of_nodes),
            gone=questions.gone(self.config, record, missing) if record.initialised else (),
            lost=() if found else tuple(self._lost(record)),
        )

    def _own(self, name: str, disk: DiskFact, id_: str) -> DiskName | None:
        """What a disk says of itself."""
        path = disk_path(self.config, disk)
        for copy in self.facts[name].records:
            if copy.path == path and copy.record and copy.record.id == id_:
                return copy.disk
        return None

    def _disks(self, id_: str, record: ClusterRecord) -> dict[Place, DiskName]:
        """Each disk by what it says; one that says nothing by its path, then by its place.

        What a disk says does not count where the record has its directory under another name, and that name no more: a
        prep that wrote down where it belongs now was killed before it came to the disk.
        """
        places = list(self.marked(id_))
        here = {(disk.node, path) for disk, path in record.disks.items()}
        found = {
            (name, at): own
            for name, at, disk in places
            if (own := self._own(name, disk, id_)) is not None
            and (own in record.disks or (name, disk.path) not in here)
        }
        for name, at, disk in places:
            if (name, at) in found:
                continue
            taken = set(found.values())
            free = [one for one in sorted(record.disks) if one.node == name and one not in taken]
            same = [one for one in free if record.disks[one] == disk.path]
            found[name, at] = (same or free or [next_name(name, at, taken | set(record.disks))])[0]
        return found

    def _missing(
        self, record: ClusterRecord, disks: dict[Place, DiskName]
    ) -> tuple[list[DiskName], dict[Place, PurePosixPath]]:
        """Recorded disks that nothing in hosts.yml can be, and where the disk was of a directory without a marker."""
        missing: list[DiskName] = []
        was_at: dict[Place, PurePosixPath] = {}
        for node in record.nodes:
            lacking = [name for name in sorted(record.disks) if name.node == node and name not in disks.values()]
            if node not in {one.name for one in self.config.nodes}:
                missing += lacking
                continue
            if node not in self.facts:
                continue
            dirs = enumerate(self.facts[node].disks)
            free = {disk.path: (node, at) for at, disk in dirs if (node, at) not in disks}
            for name in [name for name in lacking if record.disks[name] in free]:
                del free[record.disks[name]]
                lacking.remove(name)
            for name, place in zip(lacking, free.values(), strict=False):
                was_at[place] = record.disks[name]
            missing += lacking[len(free) :]
        return missing, was_at

    def _against(self, id_: str, record: ClusterRecord, disks: dict[Place, DiskName]) -> list[Problem]:
        """The manager's part: its age, its disk with the metadata, the path of a shared file system."""
        config, first = self.config, (self.config.manager.name, 0)
        if self.backend.layout is None:
            is_moved = record.initialised and record.shared_path != config.shared_directory
            return [questions.other_shared_path(config, record)] if is_moved and not self.here else []
        on, off = self.newest(id_, on=first[0]), self.newest(id_, off=first[0])
        if on is not None and off is not None and off.serial > on.serial and not self.here:
            return [questions.older_manager(config, on, off)]
        if not record.initialised or disks.get(first) == record.metadata:
            return []
        at = [place for place, disk in disks.items() if disk == record.metadata]
        if at:
            name, number = at[0]
            return [questions.metadata_at(config, name, self.facts[name].disks[number].path)]
        is_restored = self.here and self.manager.meta.exists
        return [] if is_restored else [questions.metadata_missing(config, record, exists=self.manager.meta.exists)]

    def _moved(self, record: ClusterRecord, disks: dict[Place, DiskName], moved: frozenset[Place]) -> list[Problem]:
        nodes = dict.fromkeys(name for name, _ in sorted(moved))
        return [
            questions.moved(self.config, name, {at: disks[one, at] for one, at in sorted(moved) if one == name}, record)
            for name in nodes
        ]

    def _copied(self, disks: dict[Place, DiskName]) -> list[Problem]:
        """Two directories that are the same disk: one is a copy."""
        found = []
        for place, disk in disks.items():
            twins = [other for other, same in disks.items() if same == disk and other != place]
            if twins:
                found.append(questions.copied(self.config, place, twins[0], disk))
        return found

    def foreign(self) -> list[Problem]:
        """Directories without a marker that a machine remembers as another cluster's."""
        found = []
        for name, fact in self.facts.items():
            bare = {disk.path for disk in fact.disks if disk.marker is None}
            for copy in fact.records:
                record = copy.record
                if record is None or record.cluster == self.config.name or record.storage != self.kind:
                    continue
                paths = [path for disk, path in record.disks.items() if disk.node == copy.node and path in bare]
                if copy.disk is None and record.initialised and paths:
                    found.append(questions.another_clusters(self.config, name, copy.path, record, paths[0]))
        return found

    def _lost(self, record: ClusterRecord) -> list[Problem]:
        if self.backend.layout is None or not record.initialised:
            return []
        meta = self.manager.meta
        if not meta.exists:
            return self.stray_metadata() or [questions.metadata_gone(self.config, record)]
        found = meta.file_system_id
        if None not in (found, record.file_system_id) and found != record.file_system_id and not self.here:
            return [questions.other_file_system(self.config, record, str(found))]
        return []


def next_name(node: str, number: int, taken: set[DiskName]) -> DiskName:
    """The name of a disk that is new: its place in hosts.yml, or the next number that the node has not used."""
    wanted = DiskName(node, number)
    if wanted not in taken:
        return wanted
    return DiskName(node, max(disk.number for disk in taken if disk.node == node) + 1)

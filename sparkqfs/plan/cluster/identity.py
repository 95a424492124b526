"""What a cluster is, as the copies of its record say, compared with what was found on the machines. Pure.

A directory that contradicts the record is a question, never a beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from sparkqfs.config.between import IN_DATA_DIR
from sparkqfs.config.copies import copy_nodes
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import Problem
from sparkqfs.facts.nodes import NodeFacts, PathFact
from sparkqfs.facts.record import ClusterRecord, DiskName, RecordFact
from sparkqfs.plan.cluster import questions
from sparkqfs.plan.cluster.disk_names import Place, disks_at, missing_disks, twins
from sparkqfs.plan.cluster.record_paths import RECORD, disk_path, memory_path
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.seam import COPIES


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
    """A file system was made, and it is not there: nothing begins before it is back, or erased by the cluster's name.
    What is given up or has another place meanwhile can be written down.
    """
    withdrawn: tuple[ClusterRecord, ...] = ()
    """Other kinds of storage that may be begun, as somebody said and did not do: this one is used instead."""
    is_confirmed: bool = False
    """The directories of hosts.yml count, whatever is remembered elsewhere: the user has said so."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them."""
        return (*self.contradictions, *self.of_nodes, *self.gone, *self.lost)


def identify(
    config: ClusterConfig,
    facts: dict[str, NodeFacts],
    *,
    here: bool = False,
    accepted: frozenset[Place] = frozenset(),
    forgotten: frozenset[DiskName] = frozenset(),
    adopted: str | None = None,
) -> Identity:
    """Compare. `here`: the directories of hosts.yml count, whatever is remembered elsewhere. `accepted` disks may come
    from another node, and `forgotten` ones are no longer the cluster's. `adopted` is the id of a manager whose disks
    are new; with `here` it is that of the other disks.
    """
    manager = facts.get(config.manager.name)
    if manager is None:
        return Identity(contradictions=_another_manager(config, facts))
    look = _Look(config, facts, here, accepted)
    newer = [questions.newer(node, copy) for node, copy in look.faulty if copy.is_newer]
    if newer:
        return Identity(contradictions=tuple(newer))
    marker = manager.disks[0].marker if manager.disks else None
    id_ = "" if backend_of(config).layout is None else marker or adopted or look.id_of_others()
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
            disks={place: DiskName(*place) for place in look.marked(id_)},
            contradictions=tuple(look.other_ids(id_) + look.stray_metadata()),
            of_nodes=tuple(look.astray()),
            lost=tuple(look.unreadable() or look.unrecorded(marker)),
            withdrawn=look.withdrawn(),
        )
    kept = replace(record, disks={name: path for name, path in record.disks.items() if name not in forgotten})
    return replace(look.compared(id_, kept), written=record, is_confirmed=here, withdrawn=look.withdrawn())


def newest_record(config: ClusterConfig, facts: dict[str, NodeFacts]) -> ClusterRecord | None:
    """The record of the highest serial of a cluster with files and this name and kind, whatever its id."""
    mine = [record for record in _records(config, facts) if record.initialised]
    return max(mine, key=lambda record: record.serial, default=None)


def was_made(config: ClusterConfig, facts: dict[str, NodeFacts]) -> bool:
    """Whether there was a file system that nobody has begun to erase since: the newest record says so, whatever its id,
    or there are blocks.
    """
    found = max(_records(config, facts), key=lambda record: record.serial, default=None)
    if found is not None and (found.initialised or found.confirmed):
        return found.initialised
    return any(disk.has_blocks for fact in facts.values() for disk in fact.disks)


def _records(config: ClusterConfig, facts: dict[str, NodeFacts]) -> list[ClusterRecord]:
    """Of this name and kind of storage."""
    name = memory_path(config).name
    found = [copy.record for fact in facts.values() for copy in fact.records if copy.record]
    return [record for record in found if f"{record.cluster}.{record.storage}.json" == name]


def same_directories(config: ClusterConfig, facts: dict[str, NodeFacts]) -> tuple[Problem, ...]:
    """Disks that say another name than prep has written on them: what is written on one is read on another.

    So it is with a directory that is mounted or shared twice, and with one machine under two names.
    """
    if backend_of(config).layout is None:
        return ()
    found = []
    for place, disk in identify(config, facts).disks.items():
        fact = facts[place[0]]
        path = disk_path(config, fact.disks[place[1]])
        said = [copy.disk for copy in fact.records if copy.path == path and copy.disk is not None]
        found += [questions.same_directory(config, place, own) for own in said if own != disk]
    return tuple(found)


def _another_manager(config: ClusterConfig, facts: dict[str, NodeFacts]) -> tuple[Problem, ...]:
    """The manager gives no answer, and the others remember another one, as after a restore to another machine."""
    record = newest_record(config, facts)
    if record is None or record.metadata.node == config.manager.name or record.shared_path is not None:
        return ()
    return (questions.managed_elsewhere(config, record),)


def _is_filled(found: PathFact | None) -> bool:
    return found is not None and found.kind == "directory" and not found.empty


def _is_mixed(one: PurePosixPath, other: PurePosixPath) -> bool:
    """Whether a data directory is among what a cluster makes in another one, and goes with it when that is erased."""
    pairs = ((one, other), (other, one))
    return any(inner.is_relative_to(outer / name) for inner, outer in pairs for name in IN_DATA_DIR)


class _Look:
    """One comparison."""

    def __init__(
        self, config: ClusterConfig, facts: dict[str, NodeFacts], here: bool, accepted: frozenset[Place]
    ) -> None:
        self.config, self.facts, self.here, self.accepted = config, facts, here, accepted
        self.manager = facts[config.manager.name]
        self.backend, self.kind = backend_of(config), config.storage.kind
        copies = [(name, copy) for name, fact in facts.items() for copy in fact.records]
        ours = [(name, copy) for name, copy in copies if copy.record and copy.record.cluster == config.name]
        self.mine = [(name, copy) for name, copy in ours if copy.record and copy.record.storage == self.kind]
        self.others = [copy.record for _, copy in ours if copy.record and copy.record.storage != self.kind]
        self.faulty = [(name, copy) for name, copy in copies if copy.fault and self._may_be_ours(copy)]
        self.has_blocks = any(disk.has_blocks for fact in facts.values() for disk in fact.disks)

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
        is_shared = self.backend.layout is None
        if not self._is_shared_empty() if is_shared else self.has_blocks or self.manager.meta.exists:
            return None
        if is_shared and record is None and self.faulty:
            return questions.unreadable(self.config, *self.faulty[0])
        return self._other_kind()

    def _is_shared_empty(self) -> bool:
        """Nothing is in the cluster's directory on the shared file system, or it is not there."""
        directory = self.config.shared_directory
        found = self.manager.paths.get(directory) if directory is not None else None
        return found is None or found.empty

    def unreadable(self) -> list[Problem]:
        """No copy can be read, and there is no metadata: whether there was a file system is not known."""
        if not self.faulty or self.here or self.backend.layout is None or self.manager.meta.exists:
            return []
        return [questions.unreadable(self.config, *self.faulty[0])]

    def unrecorded(self, marker: str | None) -> list[Problem]:
        """Nothing is written down, and there is no metadata: for the data, or where the manager gets the id of other
        disks. What an init has left that did not end is its own matter.
        """
        meta = self.manager.meta
        if self.backend.layout is None or meta.exists or meta.init or (marker is not None and not self.has_blocks):
            return []
        return self.stray_metadata() or [questions.metadata_gone(self.config, None)]

    def id_of_others(self) -> str | None:
        """With `here`: the id of this cluster, where the manager's first disk is new: that of the other disks, if there
        is one and no other, and it is the one that is remembered, if any is. Where no disk has one, that of the
        cluster whose metadata was in this very directory: what begins in its place is begun by erasing it.
        """
        if not self.here:
            return None
        disks = [disk for fact in self.facts.values() for disk in fact.disks]
        found = {disk.marker for disk in disks if disk.marker and disk.cluster in (None, self.config.name)}
        known = {copy.record.id for _, copy in self.mine if copy.record and copy.record.initialised}
        ids = found & known if known else found
        if found:
            return ids.pop() if len(ids) == 1 else None
        record = newest_record(self.config, self.facts)
        if record is None or self.backend.layout is None or self._place_of_metadata(record) != self._first():
            return None
        return record.id

    def _first(self) -> tuple[str, PurePosixPath]:
        return self.manager.name, self.config.manager.data_dirs[0]

    def _place_of_metadata(self, record: ClusterRecord) -> tuple[str, PurePosixPath | None]:
        return record.metadata.node, record.disks.get(record.metadata)

    def _other_kind(self) -> Problem | None:
        made = [record for record in self.others if record.initialised]
        return questions.other_kind(self.config, max(made, key=lambda record: record.serial)) if made else None

    def withdrawn(self) -> tuple[ClusterRecord, ...]:
        """Other kinds that may be begun, and were not: the newest record of each."""
        newest = {record.storage: record for record in sorted(self.others, key=lambda record: record.serial)}
        return tuple(record for record in newest.values() if record.confirmed and not record.initialised)

    def begun(self) -> Identity:
        """A cluster without a marker: a new one, where nothing says that there is one."""
        config = self.config
        made = [copy.record for _, copy in self.mine if copy.record and copy.record.initialised]
        found: Problem | None = None
        if made and not self.here:
            record, exists = max(made, key=lambda one: one.serial), self.manager.meta.exists
            stray = self.stray_metadata()
            if stray:
                return Identity(contradictions=tuple(stray))
            if self._place_of_metadata(record) == self._first():
                ask = questions.no_marker if exists else questions.not_mounted
                return Identity(lost=(ask(config, record),))
            bare = questions.elsewhere(config, record, is_bare=self._is_bare())
            found = questions.no_marker(config, record) if exists else bare
        elif not self.here:
            found = self._beginning()
        return Identity(
            contradictions=(found,) if found else (),
            of_nodes=tuple(self.astray()),
            is_confirmed=self.here,
            withdrawn=self.withdrawn(),
        )

    def _is_bare(self) -> bool:
        return not self.has_blocks and not any(disk.marker for fact in self.facts.values() for disk in fact.disks)

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

    def _metadata_elsewhere(self) -> list[tuple[str, PurePosixPath]]:
        """Where there is metadata besides the manager's first data directory."""
        found = [(name, path) for name, fact in self.facts.items() for path in fact.metadata_in]
        return [place for place in found if place != self._first()]

    def stray_metadata(self) -> list[Problem]:
        """Metadata in another data directory than the manager's first, which has none."""
        if self.manager.meta.exists or self.backend.layout is None:
            return []
        return [questions.metadata_at(self.config, *place) for place in self._metadata_elsewhere()[:1]]

    def other_ids(self, id_: str) -> list[Problem]:
        """Machines that remember another cluster of this name, with files of its own; not those that are added."""
        if self.here:
            return []
        added, current = {name for name, _ in self.accepted}, self.newest(id_)
        known = set(current.nodes) if current is not None else {name for name, _ in self.mine}
        markers = {disk.marker for fact in self.facts.values() for disk in fact.disks}
        found = {
            name: questions.other_id(
                self.config, name, copy.record, id_, is_new=name not in known, is_mixed=copy.record.id in markers
            )
            for name, copy in self.mine
            if copy.record
            and copy.record.id != id_
            and copy.record.initialised
            and copy.disk is None
            and name not in added
        }
        return list(found.values())

    def marked(self, id_: str) -> Iterator[Place]:
        """Every data directory of hosts.yml that carries the marker."""
        if self.backend.layout is None:
            return
        for name, fact in self.facts.items():
            for number, disk in enumerate(fact.disks):
                if disk.marker == id_:
                    yield name, number

    def compared(self, id_: str, record: ClusterRecord) -> Identity:
        """Record and machines. As long as there is no file system, hosts.yml says which disk is which."""
        is_made = record.initialised or self.manager.meta.exists or self.has_blocks
        places = {(name, at): self.facts[name].disks[at].path for name, at in self.marked(id_)}
        disks = disks_at(record, places, self._own(places, id_)) if is_made else {at: DiskName(*at) for at in places}
        moved = frozenset(place for place, disk in disks.items() if disk.node != place[0])
        missing, was_at = missing_disks(self.config, self.facts, record, disks)
        found = [*self.other_ids(id_), *self._against(id_, record, disks)]
        copied = self._copied(disks)
        asked = moved - self.accepted - {place for place in moved if place[0] in {one.node for one in copied}}
        if found:  # one after the other: these wait for the manager's
            asked, missing = frozenset(), []
        of_nodes = [*self._moved(record, disks, asked), *copied, *self.astray()]
        return Identity(
            id=id_,
            record=record,
            disks=disks,
            moved=moved,
            was_at=was_at,
            contradictions=tuple(found),
            of_nodes=tuple(of_nodes),
            gone=questions.gone(self.config, record, missing, here=self.here) if record.initialised else (),
            lost=() if found else tuple(self._lost(record)),
        )

    def _own(self, places: dict[Place, PurePosixPath], id_: str) -> dict[Place, DiskName]:
        """What the disks say of themselves."""
        found: dict[Place, DiskName] = {}
        for name, fact in self.facts.items():
            said = {copy.path: copy.disk for copy in fact.records if copy.record and copy.record.id == id_}
            for at, disk in enumerate(fact.disks):
                own = said.get(disk_path(self.config, disk)) if (name, at) in places else None
                if own is not None:
                    found[name, at] = own
        return found

    def _against(self, id_: str, record: ClusterRecord, disks: dict[Place, DiskName]) -> list[Problem]:
        """The manager's part: its disk with the metadata, its age, the path of a shared file system."""
        config, name = self.config, self.config.manager.name
        if self.backend.layout is None:
            is_moved = record.initialised and record.shared_path != config.shared_directory
            return [questions.other_shared_path(config, record)] if is_moved and not self.here else []
        found = self._metadata(record, disks)
        on, off = self.newest(id_, on=name), self.newest(id_, off=name)
        if not found and on is not None and off is not None and off.serial > on.serial and not self.here:
            return [questions.older_manager(config, on, off)]
        return found

    def _metadata(self, record: ClusterRecord, disks: dict[Place, DiskName]) -> list[Problem]:
        """The manager's first disk is not the one with the metadata. `here` makes it that one, where metadata was put
        there, and where there is none at all any more; never while it is seen in another directory.
        """
        config, first = self.config, (self.config.manager.name, 0)
        if not record.initialised or disks.get(first) == record.metadata:
            return []
        exists, elsewhere, owner = self.manager.meta.exists, self._metadata_elsewhere(), record.metadata.node
        is_silent = owner not in self.facts and owner in {node.name for node in config.nodes}
        if self.here and (exists or not (elsewhere or is_silent)):
            return []
        at = [place for place, disk in disks.items() if disk == record.metadata]
        old = [(name, self.facts[name].disks[number].path) for name, number in at]
        for name, path in old[:1]:
            is_there = (name, path) in elsewhere
            if exists or is_there or not elsewhere:
                return [questions.metadata_at(config, name, path, exists=exists, is_there=is_there)]
        if elsewhere and not exists:
            return [questions.metadata_at(config, *elsewhere[0])]
        return [questions.metadata_missing(config, record, exists=exists, is_silent=is_silent)]

    def _moved(self, record: ClusterRecord, disks: dict[Place, DiskName], moved: frozenset[Place]) -> list[Problem]:
        nodes = dict.fromkeys(name for name, _ in sorted(moved))
        return [
            questions.moved(self.config, name, {at: disks[one, at] for one, at in sorted(moved) if one == name}, record)
            for name in nodes
        ]

    def _copied(self, disks: dict[Place, DiskName]) -> list[Problem]:
        """Two directories that are the same disk: one is a copy."""
        return [questions.copied(self.config, place, other, disks[place]) for place, other in twins(disks)]

    def astray(self) -> list[Problem]:
        """What lies in a directory in which something else is to be, whatever the record says."""
        return [*self.displaced(), *self.foreign()]

    def displaced(self) -> list[Problem]:
        """Copies of the metadata on another disk of their node than the first, where one without a past would begin."""
        found: list[Problem] = []
        layout = self.backend.layout
        for node in copy_nodes(self.config) if layout is not None else ():
            fact = self.facts.get(node.name)
            if fact is None or layout is None:
                continue
            has = [path for path in node.data_dirs if _is_filled(fact.paths.get(path / layout.top / COPIES))]
            if has and node.data_dirs[0] not in has:
                found.append(questions.copies_elsewhere(self.config, node.name, has[0] / layout.top / COPIES))
        return found

    def foreign(self) -> list[Problem]:
        """Directories without a marker that a machine remembers as another cluster's, or that are mixed up with one."""
        found: list[Problem] = []
        for name, fact in self.facts.items():
            bare = {disk.path for disk in fact.disks if disk.marker is None}
            for copy in fact.records:
                record = copy.record
                if record is None or copy.disk is not None or not record.initialised:
                    continue
                theirs = [path for disk, path in record.disks.items() if disk.node == copy.node]
                mixed = [(ours, path) for ours in sorted(bare) for path in theirs if _is_mixed(ours, path)]
                if mixed:
                    found.append(questions.mixed_up(self.config, name, copy.path, record, mixed[0]))
                    continue
                if record.cluster == self.config.name or record.storage != self.kind:
                    continue
                paths = [path for path in theirs if path in bare]
                if paths:
                    found.append(questions.another_clusters(self.config, name, copy.path, record, paths[0]))
        return found

    def _lost(self, record: ClusterRecord) -> list[Problem]:
        if not record.initialised:
            return []
        if self.backend.layout is None:
            is_empty = self._is_shared_empty() and not self.here
            return [questions.shared_files_gone(self.config, record)] if is_empty else []
        meta = self.manager.meta
        if not meta.exists:
            return self.stray_metadata() or [questions.metadata_gone(self.config, record)]
        found = meta.file_system_id
        if None not in (found, record.file_system_id) and found != record.file_system_id and not self.here:
            return [questions.other_file_system(self.config, record, str(found))]
        return []

"""The marker of a disk, and whether the cluster holds data. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import NamedTuple

from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.nodes import DiskFact, NodeFacts
from sparkqfs.plan.cluster import questions
from sparkqfs.plan.cluster.disk_names import Place
from sparkqfs.plan.cluster.identity import Identity
from sparkqfs.plan.cluster.ownership import name_steps
from sparkqfs.plan.steps import Step, write_file
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.seam import MARKER


def is_initialised(config: ClusterConfig, facts: dict[str, NodeFacts]) -> bool:
    """True when the manager holds a file system's metadata."""
    manager = facts.get(config.manager.name)
    return manager is not None and manager.meta.exists


def holds_data(config: ClusterConfig, facts: dict[str, NodeFacts]) -> bool:
    """True when a disk without a marker may be one that is not mounted: there is metadata, or a block on any machine.

    So it is too with what an init has left that did not end: it began when every disk had its marker.
    """
    manager = facts.get(config.manager.name)
    began = manager is not None and manager.meta.init == "begun"
    blocks = any(disk.has_blocks for fact in facts.values() for disk in fact.disks)
    return is_initialised(config, facts) or began or blocks


def _first_marker(fact: NodeFacts) -> str | None:
    return fact.disks[0].marker if fact.disks else None


def cluster_id_of(
    config: ClusterConfig, facts: dict[str, NodeFacts], fresh_id: str, identity: Identity
) -> tuple[str | None, list[Problem]]:
    """The cluster's id is the manager's marker; a new one only where nothing at all stands against it."""
    manager = facts.get(config.manager.name)
    layout = backend_of(config).layout
    if manager is None or layout is None:
        return None, [*identity.contradictions, *identity.lost]
    if identity.contradictions or identity.lost:
        return None, [*identity.contradictions, *identity.lost]
    marker = _first_marker(manager) or identity.id
    if marker is not None:
        return marker, []
    first = config.manager.data_dirs[0]
    if manager.meta.exists or manager.meta.init:
        what = f"{first}/{layout.top} holds a file system but no .cluster-id"
        known = next((disk.marker for fact in facts.values() for disk in fact.disks if disk.marker), fresh_id)
        hint = f"mount the disk that belongs at {first}; if these are this cluster's files: "
        hint += f"`echo {known} > {first}/{layout.top}/{MARKER}` there"
        return None, [Problem(node=manager.name, what=what, hint=hint, code=ExitCode.REFUSED)]
    for fact in facts.values():
        for disk in fact.disks:
            if disk.marker is not None or disk.has_blocks:
                return None, [questions.without_marker(config, fact.name, disk, backend_of(config).words.blocks)]
    silent = [node.name for node in config.nodes if node.name not in facts]
    if silent:
        return None, []  # one of them may hold the marker of a cluster whose manager has lost a disk
    return fresh_id, []


def marker_path(config: ClusterConfig, disk: DiskFact) -> PurePosixPath:
    """The marker of a disk: beside the data, so that it goes away with the disk."""
    layout = backend_of(config).layout
    assert layout is not None
    return disk.path / layout.top / MARKER


def mark_step(config: ClusterConfig, node: str, disk: DiskFact, cluster_id: str) -> Step:
    """Write the marker of a disk."""
    path, owner = marker_path(config, disk), config.owner
    return write_file(
        node,
        path,
        cluster_id + "\n",
        uid=owner.uid,
        gid=owner.gid,
        mode=0o444,
        what=f"marker {path}",
        why="missing",
    )


def new_disk_steps(config: ClusterConfig, fact: NodeFacts, cluster_id: str, places: frozenset[Place]) -> list[Step]:
    """Marker and name on these disks of a machine, and on no other."""
    disks = tuple(disk for at, disk in enumerate(fact.disks) if (fact.name, at) in places)
    if not disks:
        return []
    marks = [mark_step(config, fact.name, disk, cluster_id) for disk in disks if disk.marker is None]
    return [*marks, *name_steps(config, replace(fact, disks=disks))]


class Marks(NamedTuple):
    """What becomes of the disks of a node that have no marker."""

    steps: tuple[Step, ...] = ()
    stops: tuple[Problem, ...] = ()
    """Nothing is changed on the node before these are answered."""
    asks: tuple[Problem, ...] = ()
    """Disks that may not be mounted: no directory is made on the node; a new disk that was named gets its marker."""


def marks_of(
    config: ClusterConfig,
    node: NodeConfig,
    facts: dict[str, NodeFacts],
    cluster_id: str,
    identity: Identity,
    accepted: frozenset[Place],
) -> Marks:
    """The marker on every disk of a node that lacks it, and what stands against that."""
    guarded = holds_data(config, facts)
    steps: list[Step] = []
    stops: list[Problem] = []
    asked: list[int] = []
    disks = facts[node.name].disks
    for at, disk in enumerate(disks):
        if disk.marker == cluster_id:
            continue
        if disk.marker is not None:
            stops.append(_other_marker(config, node, disk, cluster_id))
        elif guarded and (node.name, at) not in accepted:
            asked.append(at)
        elif disk.has_blocks:
            stops.append(_unmarked_blocks(config, node, disk, cluster_id))
        else:
            steps.append(mark_step(config, node.name, disk, cluster_id))
    asks = [_not_marked(config, node, disks[at], asked, identity.was_at.get((node.name, at))) for at in asked]
    return Marks(tuple(steps), tuple(stops), tuple(asks))


def _other_marker(config: ClusterConfig, node: NodeConfig, disk: DiskFact, cluster_id: str) -> Problem:
    what = f"{marker_path(config, disk)} says {disk.marker}, this cluster is {cluster_id}"
    hint = f"this disk belongs to another cluster; it is not touched: take {disk.path} out of `data_dir`, or put the "
    return _refused(node, what, hint + "disk there that belongs there")


def _unmarked_blocks(config: ClusterConfig, node: NodeConfig, disk: DiskFact, cluster_id: str) -> Problem:
    """Data of which nothing says whose it is; it is not taken over by a word that is meant for new disks."""
    path = marker_path(config, disk)
    what = f"{path} is missing, and {disk.path} has {backend_of(config).words.blocks}"
    hint = f"if they are this cluster's: `echo {cluster_id} > {path}` there; if not, take {disk.path} out of `data_dir`"
    return _refused(node, what, hint)


def _not_marked(
    config: ClusterConfig, node: NodeConfig, disk: DiskFact, asked: Sequence[int], was: PurePosixPath | None
) -> Problem:
    """A disk without a marker in a cluster with data; `asked` are all of the node, which one command marks."""
    what = f"{marker_path(config, disk)} is missing although the cluster is initialised: is the disk at "
    what += f"{disk.path} mounted?"
    hint = f"mount it; for a machine or disk that is new, `invoke prep --add {node.name}:{disk.path}`"
    if asked[1:]:
        every = ",".join(f"{node.name}:{node.data_dirs[at]}" for at in asked)
        hint = f"mount it; if all {len(asked)} without one on {node.name} are new, `invoke prep --add {every}`"
    if was is not None:
        hint = f"this node's disk was in {was}: set `data_dir` back; or {hint}"
    return _refused(node, what, hint)


def _refused(node: NodeConfig, what: str, hint: str) -> Problem:
    return Problem(node=node.name, what=what, hint=hint, code=ExitCode.REFUSED)

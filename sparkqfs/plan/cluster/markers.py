"""The marker of a disk, and whether the cluster holds data. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.nodes import DiskFact, NodeFacts
from sparkqfs.plan.cluster.identity import Identity, Place
from sparkqfs.plan.steps import Step, write_file
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.metadata import LOST_METADATA
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
        return None, [*identity.contradictions]
    if identity.contradictions or identity.lost:
        return None, [*identity.contradictions, *identity.lost]
    marker = _first_marker(manager)
    if marker is not None:
        return marker, []
    first = config.manager.data_dirs[0]
    blocks = backend_of(config).words.blocks
    hint = f"mount the disk that belongs at {first}; if it is lost: {LOST_METADATA}"
    if manager.meta.exists or manager.meta.init:
        what = f"{first}/{layout.top} holds a file system but no .cluster-id"
        return None, [Problem(node=manager.name, what=what, hint=hint, code=ExitCode.REFUSED)]
    found = [
        (fact.name, disk)
        for fact in facts.values()
        for disk in fact.disks
        if disk.marker is not None or disk.has_blocks
    ]
    if found:
        name, disk = found[0]
        has = blocks if disk.has_blocks else f"no {blocks}"
        what = (
            f"no .cluster-id under {first}/{layout.top}, but {name} has {has} and the marker "
            f"{disk.marker or 'none'} in {disk.path}: a disk of the manager that is not mounted looks like this"
        )
        return None, [Problem(node=manager.name, what=what, hint=hint, code=ExitCode.REFUSED)]
    silent = [node.name for node in config.nodes if node.name not in facts]
    if silent:
        return None, []  # one of them may hold the marker of a cluster whose manager has lost a disk
    return fresh_id, []


def marker_path(config: ClusterConfig, disk: DiskFact) -> PurePosixPath:
    """The marker of a disk: beside the data, so that it goes away with the disk."""
    layout = backend_of(config).layout
    assert layout is not None
    return disk.path / layout.top / MARKER


def marker_steps(
    config: ClusterConfig,
    node: NodeConfig,
    facts: dict[str, NodeFacts],
    cluster_id: str,
    identity: Identity,
    accepted: frozenset[Place],
) -> tuple[list[Step], list[Problem]]:
    """The marker on every disk of a node that lacks it, and what stands against that."""
    guarded = holds_data(config, facts)
    steps: list[Step] = []
    problems: list[Problem] = []
    owner = config.owner
    for at, disk in enumerate(facts[node.name].disks):
        path = marker_path(config, disk)
        if disk.marker == cluster_id:
            continue
        if disk.marker is not None:
            what = f"{path} says {disk.marker}, this cluster is {cluster_id}"
            hint = "this disk belongs to another cluster; it is not touched"
            problems.append(Problem(node=node.name, what=what, hint=hint, code=ExitCode.REFUSED))
        elif (guarded and (node.name, at) not in accepted) or disk.has_blocks:
            what = f"{path} is missing although the cluster is initialised: is the disk at {disk.path} mounted?"
            hint = f"mount it; for a machine or disk that is new, `invoke prep --add {node.name}:{disk.path}`"
            if (was := identity.was_at.get((node.name, at))) is not None:
                hint = f"this node's disk was in {was}: set `data_dir` back; or {hint}"
            problems.append(Problem(node=node.name, what=what, hint=hint, code=ExitCode.REFUSED))
        else:
            steps.append(
                write_file(
                    node.name,
                    path,
                    cluster_id + "\n",
                    uid=owner.uid,
                    gid=owner.gid,
                    mode=0o444,
                    what=f"marker {path}",
                    why="missing",
                )
            )
    return steps, problems

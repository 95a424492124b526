"""Another manager, or other disks of it, by a task that has put the metadata there: written down, not asked. Pure."""

from __future__ import annotations

from dataclasses import replace

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.facts.record import next_serial
from sparkqfs.plan.cluster.directories import private_directory
from sparkqfs.plan.cluster.identity import Identity, identify, newest_record
from sparkqfs.plan.cluster.markers import marker_path, new_disk_steps
from sparkqfs.plan.cluster.record import copy_steps, names_of_disks, wanted_record
from sparkqfs.plan.cluster.recovery import PRIVATE_MODE
from sparkqfs.plan.steps import Plan, Step, make_directory
from sparkqfs.plan.storage import backend_of


def plan_takeover(config: ClusterConfig, facts: dict[str, NodeFacts], *, cluster_id: str | None = None) -> Plan:
    """Write down that the manager is that of `config`, and that its disks are those of its `data_dir`, whatever the
    copies say: on every node in `facts`. Disks of it that are new get marker and name, before they are written down.

    Nothing is asked. A disk of another cluster, and a record of a later version, are problems: then nothing is written.
    `cluster_id` is that of `.cluster-id`; without it that of the manager's first disk, or the one that is remembered.
    Other nodes keep their disks; a manager of before stays a part of the cluster until it is forgotten.
    """
    manager, fact = config.manager, facts[config.manager.name]
    disks = fact.disks if backend_of(config).layout is not None else ()
    places = frozenset((manager.name, at) for at in range(len(disks)))
    id_ = cluster_id or next((disk.marker for disk in disks[:1] if disk.marker), None) or _remembered(config, facts)
    identity = identify(config, facts, here=True, accepted=places, adopted=id_)
    problems = _problems(config, facts, identity, id_)
    if problems or identity.id is None:
        return Plan(problems=problems)
    marked = frozenset(place for place in places if disks[place[1]].marker is None)
    names = names_of_disks(config, identity, marked, places)
    old = identity.written
    record = wanted_record(config, facts, identity, identity.id, names)
    record = replace(record, initialised=True, confirmed=False, serial=old.serial if old is not None else 1)
    if old is not None and record != old:
        record = replace(record, serial=next_serial(old.serial))
    private = private_directory(config)
    steps: list[Step] = []
    if fact.paths.get(private) is None or fact.paths[private].kind == "missing":
        steps.append(make_directory(manager.name, private, uid=0, gid=0, mode=PRIVATE_MODE, why="missing"))
    steps += new_disk_steps(config, fact, identity.id, marked)
    return Plan(steps=(*steps, *copy_steps(config, facts, identity, record, names)))


def _remembered(config: ClusterConfig, facts: dict[str, NodeFacts]) -> str | None:
    """The id of the newest record of a cluster with files, or of the disks of the other nodes."""
    record = newest_record(config, facts)
    if record is not None:
        return record.id
    markers = {disk.marker for fact in facts.values() for disk in fact.disks if disk.marker is not None}
    return markers.pop() if len(markers) == 1 else None


def _problems(
    config: ClusterConfig, facts: dict[str, NodeFacts], identity: Identity, id_: str | None
) -> tuple[Problem, ...]:
    if identity.id is None:
        what = f"nobody remembers cluster {config.name}, and no disk has its .cluster-id"
        unknown = Problem(
            node=config.manager.name, what=what, hint="mount the disks that are left", code=ExitCode.REFUSED
        )
        return identity.contradictions or (unknown,)
    if backend_of(config).layout is None:
        return ()
    return tuple(
        Problem(
            node=config.manager.name,
            what=f"{marker_path(config, disk)} says {disk.marker}, this cluster is {id_}",
            hint="this disk belongs to another cluster; it is not touched: take it out of `data_dir`",
            code=ExitCode.REFUSED,
        )
        for disk in facts[config.manager.name].disks
        if disk.marker not in (None, id_)
    )

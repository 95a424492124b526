"""Whose data lies in the data directories: the name beside the id, and the containers that use them. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.nodes import ContainerFact, DiskFact, NodeFacts, PathFact
from sparkqfs.plan import catalogue
from sparkqfs.plan.steps import Step, write_file
from sparkqfs.plan.storage import backend_of
from sparkqfs.topology import RECOVERY_TOP

WORK = "spark"
"""Spark's work, under the first data directory."""
RECOVERY = RECOVERY_TOP
"""What the Spark master finds its workers and applications by, under the manager's first data directory. It is read as
Java objects: apart from `WORK`, which user programs write."""


def ownership_fault(found: PathFact | None, uid: int, gid: int, mode: int) -> str | None:
    """Why a path must be made or corrected; `None` when it is as it should be."""
    if found is None or found.kind == "missing":
        return "missing"
    if (found.uid, found.gid) != (uid, gid):
        return f"owner is {found.uid}:{found.gid}, want {uid}:{gid}"
    if found.mode != mode:
        return f"mode is {found.mode:o}, want {mode:o}"
    return None


def name_path(config: ClusterConfig, disk: DiskFact) -> PurePosixPath:
    """The cluster's name on a disk: beside the id, or in Spark's directory for a storage without one."""
    layout = backend_of(config).layout
    return disk.path / (layout.top if layout is not None else WORK) / ".cluster-name"


def named_disks(config: ClusterConfig, fact: NodeFacts) -> tuple[DiskFact, ...]:
    """The disks that carry the name: those with an id, or the first for a storage without one."""
    return fact.disks if backend_of(config).layout is not None else fact.disks[:1]


def name_steps(config: ClusterConfig, fact: NodeFacts) -> list[Step]:
    """The name on every disk that lacks it."""
    owner = config.owner
    return [
        write_file(
            fact.name,
            path,
            config.name + "\n",
            uid=owner.uid,
            gid=owner.gid,
            mode=0o444,
            what=f"name {path}",
            why="missing",
        )
        for disk in named_disks(config, fact)
        if disk.cluster is None and (path := name_path(config, disk))
    ]


def name_problems(config: ClusterConfig, facts: dict[str, NodeFacts]) -> tuple[Problem, ...]:
    """Machines whose data directories are another cluster's than the one that hosts.yml names, one problem a machine.

    Data without a name (older than names, or none yet) is another's while containers of another stack use it.
    """
    found = [
        _named_otherwise(config, fact) or _used_by_another(config, config.node(name), fact)
        for name, fact in facts.items()
    ]
    return tuple(problem for problem in found if problem is not None)


def _named_otherwise(config: ClusterConfig, fact: NodeFacts) -> Problem | None:
    for disk in named_disks(config, fact):
        if disk.cluster not in (None, config.name):
            what = f"{name_path(config, disk)} says {disk.cluster}, hosts.yml says {config.name}"
            return _problem(fact, what, disk.cluster)
    return None


def _used_by_another(config: ClusterConfig, node: NodeConfig, fact: NodeFacts) -> Problem | None:
    if any(disk.cluster is not None for disk in named_disks(config, fact)):
        return None
    for container, path in users_of(config, node, fact):
        if container.stack not in ("", config.name):
            what = f"{path} is in use by stack {container.stack} ({container.name}), hosts.yml says {config.name}"
            return _problem(fact, what, container.stack)
    return None


def _problem(fact: NodeFacts, what: str, other: str | None) -> Problem:
    hint = (
        f"if this is that cluster, set `cluster: {other}`; another cluster needs a data_dir of its own, or other "
        "machines. For another name see docs/prep.md"
    )
    return Problem(node=fact.name, what=what, config_path="cluster", hint=hint, code=ExitCode.REFUSED)


def cluster_directories(config: ClusterConfig, node: NodeConfig) -> tuple[PurePosixPath, ...]:
    """Nothing but the cluster's: the storage's on every disk, Spark's work, its master's state, the tables' names."""
    layout = backend_of(config).layout
    tops = [disk / layout.top for disk in node.data_dirs] if layout is not None else []
    managers = (node.data_dirs[0] / RECOVERY, catalogue.place(config)) if node.manager else ()
    return (*tops, node.data_dirs[0] / WORK, *managers)


def users_of(
    config: ClusterConfig, node: NodeConfig, fact: NodeFacts
) -> tuple[tuple[ContainerFact, PurePosixPath], ...]:
    """Running containers that have one of these directories, a part of one, or a whole data directory mounted.

    One that has all of the machine's files mounted, as those that watch machines do, is not meant.
    """
    ours = cluster_directories(config, node)
    found = []
    for container in fact.containers or ():
        for source in container.sources:
            if source in node.data_dirs or any(source.is_relative_to(path) for path in ours):
                found.append((container, source))
    return tuple(found)

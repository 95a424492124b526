"""The directories of a machine: which there must be, what may be taken over, what is somebody else's. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from sparkqfs.config.copies import copy_nodes
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import Problem
from sparkqfs.facts.nodes import NodeFacts, PathFact
from sparkqfs.plan import catalogue
from sparkqfs.plan.cluster.ownership import RECOVERY, WORK, ownership_fault
from sparkqfs.plan.cluster.recovery import PRIVATE_MODE, private_path
from sparkqfs.plan.steps import Step, make_directory
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.seam import COPIES

DIRECTORY_MODE = 0o750


def wanted_directories(config: ClusterConfig, node: NodeConfig) -> tuple[PurePosixPath, ...]:
    """Directories that the service user owns on this node, parents first."""
    backend = backend_of(config)
    found: list[PurePosixPath] = []
    for number, disk in enumerate(node.data_dirs):
        found += [disk / name for name in backend.disk_directories(number == 0)]
    if backend.layout is not None and node in copy_nodes(config):
        found.append(node.data_dirs[0] / backend.layout.top / COPIES)
    found.append(node.data_dirs[0] / WORK)
    if node.manager:
        found += [node.data_dirs[0] / name for name in (RECOVERY, *backend.manager_directories())]
        if config.has_metastore:
            found += [node.data_dirs[0] / name for name in catalogue.directories(config)]
        if config.shared_directory is not None:
            found.append(config.shared_directory)
        if not config.notebooks.shared:
            found.append(config.notebooks_path)
    return tuple(found)


def private_directory(config: ClusterConfig) -> PurePosixPath:
    """Root-only directory of the manager: secrets, CA, the registry's storage."""
    return private_path(config.manager.data_dirs[0])


def path_problems(config: ClusterConfig, node: NodeConfig, fact: NodeFacts) -> list[Problem]:
    """Directories that are something else, or somebody else's."""
    problems = []
    shared = config.storage.shared.path
    if node.manager and shared is not None and (found := fact.paths.get(shared)) and found.kind == "missing":
        what = f"{shared} is missing: is the shared file system mounted?"
        hint = "mount it on every node; a directory made here would lie on this machine's own disk"
        problems.append(Problem(node=fact.name, what=what, config_path="storage.shared.path", hint=hint))
    for path in (*node.data_dirs, *wanted_directories(config, node)):
        found = fact.paths.get(path)
        if found is None or found.kind == "missing":
            continue
        if found.kind != "directory":
            problems.append(_kind_problem(node, found))
        elif path not in node.data_dirs and not _may_be_taken(config, fact, found):
            want = f"{config.owner.uid}:{config.owner.gid}"
            problems.append(_foreign_problem(config, node, found, want))
    is_private = node.manager or node in copy_nodes(config)
    private = fact.paths.get(private_path(node.data_dirs[0])) if is_private else None
    if private is not None and private.kind not in ("directory", "missing"):
        problems.append(_kind_problem(node, private))
    elif private is not None and not _may_be_private(config, fact, private):
        problems.append(_foreign_problem(config, node, private, "0:0"))
    return problems


def _may_be_taken(config: ClusterConfig, fact: NodeFacts, found: PathFact) -> bool:
    """True for an empty directory, the service user's, and root's where it has been this cluster's before.

    Directories that hosts.yml names by themselves may hold anything, and those that earlier versions did not make; the
    others are in a data directory, and its marker or name says whose they are.
    """
    if found.empty or found.uid == config.owner.uid:
        return True
    ours = [disk.path for disk in fact.disks if disk.marker is not None or disk.cluster is not None]
    new = [config.manager.data_dirs[0] / name for name in (RECOVERY, *catalogue.directories(config))]
    is_named = found.path in (config.notebooks.path, config.shared_directory, *new)
    return found.uid == 0 and not is_named and any(map(found.path.is_relative_to, ours))


def _may_be_private(config: ClusterConfig, fact: NodeFacts, found: PathFact) -> bool:
    """True for an empty directory, one that prep has begun, and one with the secrets or their copy in it."""
    is_begun = found.uid == 0 and (found.mode == PRIVATE_MODE or fact.recovery is not None)
    return found.empty or is_begun or (fact.has_secrets and found.uid in (0, config.owner.uid))


def _kind_problem(node: NodeConfig, found: PathFact) -> Problem:
    what = f"{found.path} is a {'symbolic link' if found.kind == 'link' else found.kind}, expected a directory"
    hint = "links out of data_dir are not followed; move it away, or set data_dir to where it points"
    return Problem(node=node.name, what=what, config_path=f"nodes.{node.name}.data_dir", hint=hint)


def _foreign_problem(config: ClusterConfig, node: NodeConfig, found: PathFact, want: str) -> Problem:
    setting = {config.notebooks.path: "notebooks.path", config.shared_directory: "storage.shared.path"}
    owner = "root" if found.uid == 0 else f"user number {found.uid}"
    what = f"{found.path} belongs to {owner} and is not empty"
    hint = f"choose another directory; only if all that is in it is this cluster's: chown -R {want} {found.path}"
    path = setting.get(found.path, f"nodes.{node.name}.data_dir")
    return Problem(node=node.name, what=what, config_path=path, hint=hint)


def directory_steps(config: ClusterConfig, node: NodeConfig, fact: NodeFacts) -> list[Step]:
    """The directories of the service user that are missing or not as they should be."""
    owner = config.owner
    steps: list[Step] = []
    for path in wanted_directories(config, node):
        why = ownership_fault(fact.paths.get(path), owner.uid, owner.gid, DIRECTORY_MODE)
        if why is not None:
            steps.append(make_directory(node.name, path, uid=owner.uid, gid=owner.gid, mode=DIRECTORY_MODE, why=why))
    return steps


def shared_notebooks(config: ClusterConfig, node: NodeConfig, fact: NodeFacts) -> list[Step]:
    """A directory that all nodes see, made where it is missing; one that is there is the user's."""
    path, owner = config.notebooks_path, config.owner
    found = fact.paths.get(path)
    if not (config.notebooks.shared and node.manager) or (found is not None and found.kind != "missing"):
        return []
    return [make_directory(node.name, path, uid=owner.uid, gid=owner.gid, mode=DIRECTORY_MODE, why="missing")]

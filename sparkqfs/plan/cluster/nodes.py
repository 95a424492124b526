"""plan_prep: directories, owner, marker, registry trust, secrets; only what differs from what was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from sparkqfs.config.copies import copy_nodes
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.nodes import DiskFact, NodeFacts, PathFact
from sparkqfs.plan import catalogue
from sparkqfs.plan.cluster.ownership import RECOVERY, WORK, name_problems, name_steps, ownership_fault
from sparkqfs.plan.cluster.recovery import PRIVATE_MODE, private_path
from sparkqfs.plan.cluster.secret_copies import plan_copies
from sparkqfs.plan.cluster.trust import plan_trust
from sparkqfs.plan.steps import Plan, Secret, ShellStep, Step, make_directory, write_file
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.metadata import LOST_METADATA
from sparkqfs.plan.storage.seam import COPIES, MARKER

DIRECTORY_MODE = 0o750
NO_SECRET = Secret()


SECRET_NAMES = ("jupyter_token", "spark_secret", "registry_password", "cluster_key", "metadata_key")
"""What is in the manager's file of secrets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshMaterial:
    """Random things made before planning, used only where the cluster has none yet."""

    cluster_id: str
    secrets: Secret
    """With those that are on the manager already."""
    ca_pem: str
    ca_is_new: bool
    """False when the manager's own CA stands; then the rest is empty."""
    ca_key: Secret = NO_SECRET
    server_pem: str = ""
    server_key: Secret = NO_SECRET


def plan_prep(
    config: ClusterConfig,
    facts: dict[str, NodeFacts],
    fresh: FreshMaterial,
    *,
    only: tuple[str, ...],
    adopt: tuple[str, ...] = (),
    install_engine: bool = False,
) -> Plan:
    """What each node of `only` needs. `adopt` names new nodes that join an initialised cluster.

    Without the manager's facts the other nodes still get their directories, but no marker and no trust.
    """
    steps: list[Step] = []
    problems: list[Problem] = []
    fit: list[str] = []
    cluster_id, id_problems = _cluster_id(config, facts, fresh)
    misnamed = name_problems(config, facts)
    if _is_unnamed(config, facts):
        id_problems += misnamed
    problems += id_problems
    manager_applied = _manager_is_applied(config, facts, only)
    if cluster_id == fresh.cluster_id and not manager_applied:
        cluster_id = None  # no node may carry an id that the manager does not have
    has_ca = config.manager.name in facts and (manager_applied or not fresh.ca_is_new)
    for node in config.nodes:
        if node.name not in only or node.name not in facts:
            continue
        fact = facts[node.name]
        trust_steps, trust_problems = plan_trust(config, fact, fresh.ca_pem if has_ca else None)
        faults = [*_owner_problems(config, fact), *_path_problems(config, node, fact), *trust_problems]
        faults += [problem for problem in misnamed if problem.node == node.name and problem not in id_problems]
        marker_steps: list[Step] = []
        if cluster_id is not None:
            marker_steps, marker_problems = _marker(config, node, facts, cluster_id, node.name in adopt)
            faults += marker_problems
        if faults or id_problems:
            problems += faults
            continue
        fit.append(node.name)
        steps += [
            *(_engine_steps(fact) if install_engine else []),
            *_owner_steps(config, fact),
            *_directory_steps(config, node, fact),
            *_shared_notebooks(config, node, fact),
            *marker_steps,
            *(name_steps(config, fact) if cluster_id is not None or backend_of(config).layout is None else []),
            *_manager_steps(config, node, fact, fresh),
            *trust_steps,
        ]
    is_new = any(step in steps for step in _new_files(config, facts.get(config.manager.name), fresh))
    copies, copy_problems = plan_copies(config, facts, cluster_id, tuple(fit), is_new=is_new)
    refused = {problem.node for problem in copy_problems}
    steps = [step for step in (*steps, *copies) if step.node not in refused]
    touched = refused | {step.node for step in steps}
    unchanged = tuple(name for name in fit if name not in touched)
    return Plan(steps=tuple(steps), problems=(*problems, *copy_problems), unchanged=unchanged)


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


def _manager_is_applied(config: ClusterConfig, facts: dict[str, NodeFacts], only: tuple[str, ...]) -> bool:
    """True when the manager gets what is new (marker, secrets, CA) in this very run."""
    node = config.manager
    if node.name not in only or node.name not in facts:
        return False
    fact = facts[node.name]
    _, trust_problems = plan_trust(config, fact, None)
    return not [*_owner_problems(config, fact), *_path_problems(config, node, fact), *trust_problems]


def _is_unnamed(config: ClusterConfig, facts: dict[str, NodeFacts]) -> bool:
    """True unless the manager carries the name of hosts.yml: then a wrong name anywhere stops all machines."""
    manager = facts.get(config.manager.name)
    return manager is None or not manager.disks or manager.disks[0].cluster != config.name


def _first_marker(fact: NodeFacts) -> str | None:
    return fact.disks[0].marker if fact.disks else None


def _cluster_id(
    config: ClusterConfig, facts: dict[str, NodeFacts], fresh: FreshMaterial
) -> tuple[str | None, list[Problem]]:
    """The cluster's id is the manager's marker; a new one only where nothing at all stands against it."""
    manager = facts.get(config.manager.name)
    layout = backend_of(config).layout
    if manager is None or layout is None:
        return None, []
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
    return fresh.cluster_id, []


def marker_path(config: ClusterConfig, disk: DiskFact) -> PurePosixPath:
    """The marker of a disk: beside the data, so that it goes away with the disk."""
    layout = backend_of(config).layout
    assert layout is not None
    return disk.path / layout.top / MARKER


def _marker(
    config: ClusterConfig, node: NodeConfig, facts: dict[str, NodeFacts], cluster_id: str, adopt: bool
) -> tuple[list[Step], list[Problem]]:
    steps: list[Step] = []
    problems: list[Problem] = []
    owner = config.owner
    for disk in facts[node.name].disks:
        path = marker_path(config, disk)
        if disk.marker == cluster_id:
            continue
        if disk.marker is not None:
            what = f"{path} says {disk.marker}, this cluster is {cluster_id}"
            hint = "this disk belongs to another cluster; it is not touched"
            problems.append(Problem(node=node.name, what=what, hint=hint, code=ExitCode.REFUSED))
        elif (holds_data(config, facts) and not adopt) or disk.has_blocks:
            what = f"{path} is missing although the cluster is initialised: is the disk at {disk.path} mounted?"
            hint = f"mount it; for a machine or disk that is new, `invoke prep --add {node.name}`"
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


def _owner_problems(config: ClusterConfig, fact: NodeFacts) -> list[Problem]:
    """Numbers own the data: a name or number that means something else here is an error."""
    owner = config.owner
    problems = []
    for kind, name, number, by_name, by_id in (
        ("user", owner.user, owner.uid, fact.user_by_name, fact.user_by_id),
        ("group", owner.group, owner.gid, fact.group_by_name, fact.group_by_id),
    ):
        key = f"owner.{'uid' if kind == 'user' else 'gid'}"
        if by_name is not None and by_name[1] != number:
            what = f"{kind} {name} has number {by_name[1]} here, {number} is wanted"
        elif by_id is not None and by_id[0] != name:
            what = f"number {number} belongs to {kind} {by_id[0]} here, {name} is wanted"
        else:
            continue
        hint = f"choose another {kind} or number in hosts.yml; existing accounts are never changed"
        problems.append(Problem(node=fact.name, what=what, config_path=key, hint=hint))
    return problems


def _engine_steps(fact: NodeFacts) -> list[Step]:
    """The distribution's engine, only where none answers.

    A package manager that is ended half-way leaves a mess: it runs in a session of its own, comes to its end whatever
    becomes of us, and a second run waits for it.
    """
    if fact.engine_version is not None:
        return []
    lines = (
        "command -v apt-get >/dev/null || { echo 'no apt-get here: install Docker Engine by hand' >&2; exit 1; }",
        "export DEBIAN_FRONTEND=noninteractive",
        "install='apt-get -qq update && apt-get -qq -y -o DPkg::Lock::Timeout=300 install docker.io'",
        "log=$(mktemp)",
        'if ! setsid -w flock /run/lock/sparkqfs-apt.lock sh -c "$install" >"$log" 2>&1 </dev/null; then',
        '  tail -n 5 "$log" >&2; rm -f "$log"; exit 1',
        "fi",
        'rm -f "$log"',
        "tries=0",
        "until docker info >/dev/null 2>&1; do",
        "  tries=$((tries + 1))",
        "  [ $tries -le 30 ] || { echo 'docker.io is installed, but its engine does not answer' >&2; exit 1; }",
        "  sleep 1",
        "done",
    )
    return [ShellStep(node=fact.name, what="Docker Engine (docker.io)", why="no engine answers", lines=lines)]


def _owner_steps(config: ClusterConfig, fact: NodeFacts) -> list[Step]:
    owner = config.owner
    steps: list[Step] = []
    if fact.group_by_name is None:
        lines = (f"groupadd --gid {owner.gid} {owner.group}",)
        steps.append(ShellStep(node=fact.name, what=f"group {owner.group} ({owner.gid})", why="missing", lines=lines))
    if fact.user_by_name is None:
        lines = (
            f"useradd --uid {owner.uid} --gid {owner.gid} --no-create-home --home-dir /nonexistent "
            f"--shell /usr/sbin/nologin {owner.user}",
        )
        steps.append(ShellStep(node=fact.name, what=f"user {owner.user} ({owner.uid})", why="missing", lines=lines))
    return steps


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


def _path_problems(config: ClusterConfig, node: NodeConfig, fact: NodeFacts) -> list[Problem]:
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
    what = f"{found.path} is a {'symbolic link' if found.kind == 'link' else found.kind}, a directory is wanted"
    hint = "links out of data_dir are not followed; move it away, or set data_dir to where it points"
    return Problem(node=node.name, what=what, config_path=f"nodes.{node.name}.data_dir", hint=hint)


def _foreign_problem(config: ClusterConfig, node: NodeConfig, found: PathFact, want: str) -> Problem:
    setting = {config.notebooks.path: "notebooks.path", config.shared_directory: "storage.shared.path"}
    owner = "root" if found.uid == 0 else f"user number {found.uid}"
    what = f"{found.path} belongs to {owner} and is not empty"
    hint = f"choose another directory; only if all that is in it is this cluster's: chown -R {want} {found.path}"
    path = setting.get(found.path, f"nodes.{node.name}.data_dir")
    return Problem(node=node.name, what=what, config_path=path, hint=hint)


def _directory_steps(config: ClusterConfig, node: NodeConfig, fact: NodeFacts) -> list[Step]:
    owner = config.owner
    steps: list[Step] = []
    for path in wanted_directories(config, node):
        why = ownership_fault(fact.paths.get(path), owner.uid, owner.gid, DIRECTORY_MODE)
        if why is not None:
            steps.append(make_directory(node.name, path, uid=owner.uid, gid=owner.gid, mode=DIRECTORY_MODE, why=why))
    return steps


def _shared_notebooks(config: ClusterConfig, node: NodeConfig, fact: NodeFacts) -> list[Step]:
    """A directory that all nodes see, made where it is missing; one that is there is the user's."""
    path, owner = config.notebooks_path, config.owner
    found = fact.paths.get(path)
    if not (config.notebooks.shared and node.manager) or (found is not None and found.kind != "missing"):
        return []
    return [make_directory(node.name, path, uid=owner.uid, gid=owner.gid, mode=DIRECTORY_MODE, why="missing")]


def _manager_steps(config: ClusterConfig, node: NodeConfig, fact: NodeFacts, fresh: FreshMaterial) -> list[Step]:
    """Secrets and the registry's certificates: root-only files on the manager, made once."""
    if not node.manager:
        return []
    private = private_directory(config)
    why = ownership_fault(fact.paths.get(private), 0, 0, PRIVATE_MODE)
    made = make_directory(node.name, private, uid=0, gid=0, mode=PRIVATE_MODE, why=why or "")
    return [*([made] if why is not None else []), *_new_files(config, fact, fresh)]


def _new_files(config: ClusterConfig, fact: NodeFacts | None, fresh: FreshMaterial) -> list[Step]:
    """Those that the manager lacks, or has for another address."""
    steps: list[Step] = []
    if fact is None:
        return steps

    def root_file(name: str, content: str, mode: int, what: str, why: str) -> Step:
        path = private_directory(config) / name
        return write_file(config.manager.name, path, content, uid=0, gid=0, mode=mode, what=what, why=why)

    lacking = () if fact.secret_names is None else tuple(name for name in SECRET_NAMES if name not in fact.secret_names)
    if not fact.has_secrets or lacking:
        why = f"{', '.join(lacking)} missing" if fact.has_secrets else "missing"
        steps.append(root_file("secrets", fresh.secrets, 0o600, "secrets of the cluster", why))
    if config.registry.tls and fresh.ca_is_new:
        why = "missing" if fact.ca_pem is None else f"not for {config.manager.advertise}"
        steps += [
            root_file("ca.key", fresh.ca_key, 0o600, "key of the cluster's CA", why),
            root_file("registry.key", fresh.server_key, 0o600, "key of the registry", why),
            root_file("registry.crt", fresh.server_pem, 0o644, "certificate of the registry", why),
            root_file("ca.crt", fresh.ca_pem, 0o644, "certificate of the cluster's CA", why),
        ]
    return steps

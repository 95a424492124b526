"""plan_prep: directories, owner, marker, registry trust, secrets; only what differs from what was found."""

from __future__ import annotations

from dataclasses import dataclass

from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.cluster.directories import (
    PRIVATE_MODE,
    directory_fault,
    directory_steps,
    path_problems,
    private_directory,
    shared_notebooks,
)
from sparkqfs.plan.cluster.markers import cluster_id_of, marker_steps
from sparkqfs.plan.cluster.ownership import name_problems, name_steps
from sparkqfs.plan.cluster.trust import plan_trust
from sparkqfs.plan.steps import Plan, Secret, ShellStep, Step, make_directory, write_file
from sparkqfs.plan.storage import backend_of

NO_SECRET = Secret()


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshMaterial:
    """Random things made before planning, used only where the cluster has none yet."""

    cluster_id: str
    secrets: Secret
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
    unchanged: list[str] = []
    cluster_id, id_problems = cluster_id_of(config, facts, fresh.cluster_id)
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
        faults = [*_owner_problems(config, fact), *path_problems(config, node, fact), *trust_problems]
        faults += [problem for problem in misnamed if problem.node == node.name and problem not in id_problems]
        markers: list[Step] = []
        if cluster_id is not None:
            markers, marker_problems = marker_steps(config, node, facts, cluster_id, node.name in adopt)
            faults += marker_problems
        if faults or id_problems:
            problems += faults
            continue
        mine = [
            *(_engine_steps(fact) if install_engine else []),
            *_owner_steps(config, fact),
            *directory_steps(config, node, fact),
            *shared_notebooks(config, node, fact),
            *markers,
            *(name_steps(config, fact) if cluster_id is not None or backend_of(config).layout is None else []),
            *_manager_steps(config, node, fact, fresh),
            *trust_steps,
        ]
        steps += mine
        if not mine:
            unchanged.append(node.name)
    return Plan(steps=tuple(steps), problems=tuple(problems), unchanged=tuple(unchanged))


def _manager_is_applied(config: ClusterConfig, facts: dict[str, NodeFacts], only: tuple[str, ...]) -> bool:
    """True when the manager gets what is new (marker, secrets, CA) in this very run."""
    node = config.manager
    if node.name not in only or node.name not in facts:
        return False
    fact = facts[node.name]
    _, trust_problems = plan_trust(config, fact, None)
    return not [*_owner_problems(config, fact), *path_problems(config, node, fact), *trust_problems]


def _is_unnamed(config: ClusterConfig, facts: dict[str, NodeFacts]) -> bool:
    """True unless the manager carries the name of hosts.yml: then a wrong name anywhere stops all machines."""
    manager = facts.get(config.manager.name)
    return manager is None or not manager.disks or manager.disks[0].cluster != config.name


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


def _manager_steps(config: ClusterConfig, node: NodeConfig, fact: NodeFacts, fresh: FreshMaterial) -> list[Step]:
    """Secrets and the registry's certificates: root-only files on the manager, made once."""
    if not node.manager:
        return []
    private = private_directory(config)
    steps: list[Step] = []
    why = directory_fault(fact.paths.get(private), 0, 0, PRIVATE_MODE)
    if why is not None:
        steps.append(make_directory(node.name, private, uid=0, gid=0, mode=PRIVATE_MODE, why=why))

    def root_file(name: str, content: str, mode: int, what: str, why: str) -> Step:
        return write_file(node.name, private / name, content, uid=0, gid=0, mode=mode, what=what, why=why)

    if not fact.has_secrets:
        steps.append(root_file("secrets", fresh.secrets, 0o600, "secrets of the cluster", "missing"))
    if config.registry.tls and fresh.ca_is_new:
        why = "missing" if fact.ca_pem is None else f"not for {config.manager.advertise}"
        steps += [
            root_file("ca.key", fresh.ca_key, 0o600, "key of the cluster's CA", why),
            root_file("registry.key", fresh.server_key, 0o600, "key of the registry", why),
            root_file("registry.crt", fresh.server_pem, 0o644, "certificate of the registry", why),
            root_file("ca.crt", fresh.ca_pem, 0o644, "certificate of the cluster's CA", why),
        ]
    return steps

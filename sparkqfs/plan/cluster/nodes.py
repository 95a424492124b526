"""plan_prep: directories, owner, marker, registry trust, secrets; only what differs from what was found."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.cluster.directories import directory_steps, path_problems, private_directory, shared_notebooks
from sparkqfs.plan.cluster.disk_names import Place
from sparkqfs.plan.cluster.identity import Identity, identify
from sparkqfs.plan.cluster.markers import Marks, cluster_id_of, marks_of, new_disk_steps
from sparkqfs.plan.cluster.ownership import name_problems, name_steps, ownership_fault
from sparkqfs.plan.cluster.record import added, copy_steps, forgotten, names_of_disks, settled, wanted_record
from sparkqfs.plan.cluster.recovery import PRIVATE_MODE
from sparkqfs.plan.cluster.secret_copies import plan_copies
from sparkqfs.plan.cluster.trust import plan_trust
from sparkqfs.plan.steps import Plan, Secret, ShellStep, Step, make_directory, write_file
from sparkqfs.plan.storage import backend_of

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
    forget: tuple[str, ...] = (),
    here: bool = False,
    restoring: bool = False,
    install_engine: bool = False,
) -> Plan:
    """What each node of `only` needs. `adopt` names new nodes and disks that join an initialised cluster, `forget`
    those that left it; `here`: the cluster is in the directories of hosts.yml, whatever is remembered elsewhere.

    `restoring`: what is not there yet, or not any more, is a restore's own matter.

    Without the manager's facts the other nodes still get their directories, but no marker and no trust.
    """
    known = identify(config, facts, here=here)
    join, leave = added(config, facts, known, adopt), forgotten(config, facts, known, forget)
    words = tuple(f"--{word}" for word, given in (("add", adopt), ("forget", forget), ("here", here)) if given)
    without = _without_manager(config, words, only)
    if join.problems or leave.problems or without:
        return Plan(problems=(*join.problems, *leave.problems, *without))
    accepted = join.places | _adopting(config, known, facts, here)
    identity = identify(config, facts, here=here, accepted=accepted, forgotten=leave.disks)
    if restoring:
        identity = replace(identity, lost=(), gone=())
    prep = _Prep(config, facts, fresh, only, identity, accepted)
    if words and identity.lost and not identity.contradictions and identity.id is not None:
        return prep.written_down_alone()
    return _plan(prep, words, install_engine=install_engine)


def _without_manager(config: ClusterConfig, words: tuple[str, ...], only: tuple[str, ...]) -> list[Problem]:
    """What these words say is written down on the manager, before anybody else has it."""
    if not words or config.manager.name in only:
        return []
    what = f"{words[0]} is written down on the manager: {config.manager.name} is not in --only"
    return [Problem(what=what, hint=f"add {config.manager.name} to --only, or leave --only out", code=ExitCode.USAGE)]


def _adopting(config: ClusterConfig, known: Identity, facts: dict[str, NodeFacts], here: bool) -> frozenset[Place]:
    """The manager's disks with `--here`: those that were another node's, and the first, which gets the id of the others
    where it is new.
    """
    if not here or config.manager.name not in facts or known.id is None or backend_of(config).layout is None:
        return frozenset()
    return frozenset({(config.manager.name, 0), *(place for place in known.moved if place[0] == config.manager.name)})


def _plan(prep: _Prep, words: tuple[str, ...], *, install_engine: bool) -> Plan:
    config, facts, manager = prep.config, prep.facts, prep.config.manager.name
    steps: list[Step] = []
    problems: list[Problem] = [*prep.identity.gone, *prep.id_problems]
    whole: list[str] = []
    faults = {name: prep.faults(config.node(name)) for name in prep.names}
    if words and (faults.get(manager) or manager not in faults):  # it could not be written down
        what = f"{words[0]} waits for {manager}, on which it is written down first"
        for name in {name for name, _ in prep.accepted} - {manager}:
            if name in faults:
                faults[name].append(Problem(node=name, what=what, hint=f"first what stands against {manager}"))
    free = [name for name, found in faults.items() if not found and not prep.id_problems]
    asks = {name: prep.marks(config.node(name)).asks for name in free}
    ready = [name for name in free if words or not asks[name]]  # a word goes on beside a disk that is not mounted
    copies = prep.copies(tuple(ready), tuple(name for name in free if not asks[name]))
    for name, found in faults.items():
        problems += asks.get(name, found)
        if name not in ready:
            continue
        mine = prep.steps(config.node(name), [step for step in copies if step.node == name], is_whole=not asks[name])
        mine = [*(_engine_steps(facts[name]) if install_engine else []), *mine]
        steps += mine
        if not asks[name]:
            whole.append(name)
    is_new = any(step in steps for step in _new_files(config, facts.get(manager), prep.fresh))
    secrets, refusals = plan_copies(config, facts, prep.cluster_id, tuple(whole), is_new=is_new)
    refused = {problem.node for problem in refusals}
    steps = [step for step in (*steps, *secrets) if step.node not in refused]
    touched = refused | {step.node for step in steps}
    unchanged = tuple(name for name in whole if name not in touched)
    return Plan(steps=tuple(steps), problems=(*problems, *refusals), unchanged=unchanged)


class _Prep:
    """What is decided for the cluster before the nodes: its id, its name, what may be trusted and written down."""

    def __init__(
        self,
        config: ClusterConfig,
        facts: dict[str, NodeFacts],
        fresh: FreshMaterial,
        only: tuple[str, ...],
        identity: Identity,
        accepted: frozenset[Place],
    ) -> None:
        self.config, self.facts, self.fresh, self.identity, self.accepted = config, facts, fresh, identity, accepted
        self.names = tuple(node.name for node in config.nodes if node.name in only and node.name in facts)
        cluster_id, self.id_problems = cluster_id_of(config, facts, fresh.cluster_id, identity)
        self.misnamed = name_problems(config, facts)
        if _is_unnamed(config, facts):
            self.id_problems += self.misnamed
        is_asked = any(problem.node == config.manager.name for problem in identity.of_nodes)
        is_applied = _manager_is_applied(config, facts, only) and not is_asked
        if cluster_id == fresh.cluster_id and not is_applied:
            cluster_id = None  # no node may carry an id that the manager does not have
        self.cluster_id = cluster_id
        self.ca_pem = fresh.ca_pem if config.manager.name in facts and (is_applied or not fresh.ca_is_new) else None

    def steps(self, node: NodeConfig, copies: list[Step], *, is_whole: bool) -> list[Step]:
        """What a node needs, in this order; `copies` are those of the cluster's record. Where a disk may not be mounted
        nothing is made but what belongs on the others.
        """
        config, fact = self.config, self.facts[node.name]
        if not is_whole:
            new = frozenset(place for place in self.accepted if place[0] == node.name)
            return [*new_disk_steps(config, fact, str(self.cluster_id), new), *copies]
        is_named = self.cluster_id is not None or backend_of(config).layout is None
        return [
            *_owner_steps(config, fact),
            *directory_steps(config, node, fact),
            *shared_notebooks(config, node, fact),
            *self.marks(node).steps,
            *(name_steps(config, fact) if is_named else []),
            *_manager_steps(config, node, fact, self.fresh),
            *copies,
            *self.trust(fact)[0],
        ]

    def faults(self, node: NodeConfig) -> list[Problem]:
        """What stands against any change on a node."""
        config, fact = self.config, self.facts[node.name]
        mine = [one for one in (*self.misnamed, *self.identity.of_nodes) if one.node == node.name]
        stops = () if mine else self.marks(node).stops  # one after the other
        return [
            *_owner_problems(config, fact),
            *path_problems(config, node, fact),
            *self.trust(fact)[1],
            *(problem for problem in mine if problem not in self.id_problems),
            *stops,
        ]

    def marks(self, node: NodeConfig) -> Marks:
        """The markers that a node lacks, and what stands against them."""
        if self.cluster_id is None:
            return Marks()
        return marks_of(self.config, node, self.facts, self.cluster_id, self.identity, self.accepted)

    def trust(self, fact: NodeFacts) -> tuple[list[Step], list[Problem]]:
        """What its engine needs for the registry."""
        return plan_trust(self.config, fact, self.ca_pem)

    def copies(self, ready: tuple[str, ...], whole: tuple[str, ...]) -> tuple[Step, ...]:
        """What is to be written down on the nodes that are ready; `whole` are those with all their disks. Nothing new
        without the manager, which goes first.
        """
        config, identity = self.config, self.identity
        id_ = "" if backend_of(config).layout is None else self.cluster_id
        facts = {name: self.facts[name] for name in ready}
        if id_ is None or config.manager.name not in ready:
            if identity.written is None or self.accepted or identity.record != identity.written:
                return ()
            return copy_steps(config, facts, identity, identity.written, settled(identity))
        places = {(name, at) for name in ready for at in range(len(self.facts[name].disks))}
        marked = frozenset(place for place in places if place[0] in whole or place in self.accepted)
        accepted = frozenset(place for place in self.accepted if place[0] in ready)
        names = names_of_disks(config, identity, marked, accepted)
        return copy_steps(config, facts, identity, wanted_record(config, self.facts, identity, id_, names), names)

    def written_down_alone(self) -> Plan:
        """There is no metadata, and nothing begins before it is back. What is given up, or has another place from now
        on, is written down all the same.
        """
        config, identity, facts = self.config, self.identity, self.facts
        assert identity.id is not None
        faults = {name: [one for one in identity.of_nodes if one.node == name] for name in self.names}
        problems = [*identity.gone, *identity.lost, *(problem for found in faults.values() for problem in found)]
        ready = {name: facts[name] for name, found in faults.items() if not found}
        manager = ready.get(config.manager.name)
        if manager is None or self.misnamed:
            return Plan(problems=(*self.misnamed, *problems))
        marked = frozenset(
            place for place in self.accepted if place == (manager.name, 0) and place not in identity.disks
        )
        accepted = frozenset(place for place in self.accepted if place[0] in ready)
        names = names_of_disks(config, identity, marked, accepted & {*identity.disks, *marked})
        record = wanted_record(config, facts, identity, identity.id, names, is_asked=True)
        first = new_disk_steps(config, manager, identity.id, marked)
        steps = (*first, *copy_steps(config, ready, identity, record, names))
        changed = {step.node for step in steps}
        return Plan(
            steps=steps, problems=tuple(problems), unchanged=tuple(name for name in ready if name not in changed)
        )


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
            what = f"{kind} {name} has number {by_name[1]} here, expected {number}"
        elif by_id is not None and by_id[0] != name:
            what = f"number {number} belongs to {kind} {by_id[0]} here, expected {name}"
        else:
            continue
        hint = f"choose another {kind} or number in hosts.yml; existing accounts are never changed"
        problems.append(Problem(node=fact.name, what=what, config_path=key, hint=hint))
    return problems


def _engine_steps(fact: NodeFacts) -> list[Step]:
    """The distribution's engine, only where none answers and none is installed: the package of another would go.

    A package manager that is ended half-way leaves a mess: it runs in a session of its own, comes to its end whatever
    becomes of us, and a second run waits for it.
    """
    if fact.engine_version is not None:
        return []
    if fact.has_dockerd:
        silent = "an engine is installed, but it does not answer: `journalctl -u docker` says why"
        lines = ("systemctl start docker >/dev/null 2>&1 || :", *_until_it_answers(silent))
        return [ShellStep(node=fact.name, what="Docker Engine", why="installed, but it does not answer", lines=lines)]
    lines = (
        "command -v apt-get >/dev/null || { echo 'no apt-get here: install Docker Engine by hand' >&2; exit 1; }",
        "export DEBIAN_FRONTEND=noninteractive",
        "install='apt-get -qq update && apt-get -qq -y -o DPkg::Lock::Timeout=300 install docker.io'",
        "log=$(mktemp)",
        'if ! setsid -w flock /run/lock/sparkqfs-apt.lock sh -c "$install" >"$log" 2>&1 </dev/null; then',
        '  tail -n 5 "$log" >&2; rm -f "$log"; exit 1',
        "fi",
        'rm -f "$log"',
        *_until_it_answers("docker.io is installed, but its engine does not answer"),
    )
    return [ShellStep(node=fact.name, what="Docker Engine (docker.io)", why="no engine answers", lines=lines)]


def _until_it_answers(otherwise: str) -> tuple[str, ...]:
    return (
        "tries=0",
        "until docker info >/dev/null 2>&1; do",
        "  tries=$((tries + 1))",
        f"  [ $tries -le 30 ] || {{ echo {shlex.quote(otherwise)} >&2; exit 1; }}",
        "  sleep 1",
        "done",
    )


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

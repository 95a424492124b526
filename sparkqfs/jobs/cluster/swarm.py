"""invoke swarm: one swarm over all nodes, labels, the registry on the manager."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ipaddress
import json
from typing import Any

import bcrypt

from sparkqfs import topology
from sparkqfs.clients.context import make_context
from sparkqfs.clients.wait import wait_until
from sparkqfs.errors import ClusterError, ExitCode, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.facts.swarm import SwarmNode
from sparkqfs.gather.nodes import gather_swarm_nodes
from sparkqfs.jobs.cluster import images
from sparkqfs.jobs.cluster.registry import end_collection, registry_name, wait_for_registry
from sparkqfs.jobs.session import Session, identity_problems
from sparkqfs.plan.cluster.directories import private_directory
from sparkqfs.plan.cluster.ownership import name_problems
from sparkqfs.plan.cluster.restore import ABSENT_LABEL, manager_problems
from sparkqfs.plan.stack import CLUSTER_LABEL, log_arguments, node_labels
from sparkqfs.plan.steps import JobResult, Outcome, Plan, Step
from sparkqfs.plan.times import seconds_between
from sparkqfs.remote import script

REGISTRY_SCRIPT = script("start_registry")
STEADY_S = 12.0
"""One that the engine has started again counts as running after that; the engine forgets its pauses after 10 s."""


def plan(session: Session) -> Plan:
    """Init, joins, labels, registry: what is not yet so. A node in another swarm is a problem."""
    config = session.config
    facts = session.all_facts()
    manager = facts[config.manager.name]
    seen = _members(session, manager)
    problems = [
        *name_problems(config, facts),
        *manager_problems(config, facts),
        *identity_problems(session, facts),
        *_swarm_problems(session, facts, seen),
    ]
    if problems:
        return Plan(problems=tuple(problems))
    steps: list[Step] = []
    unchanged: list[str] = []
    if manager.swarm_state == "active":
        taken = _taken_problems(session, facts, seen)
        if taken:
            return Plan(problems=taken)
    else:
        steps.append(Step(node=manager.name, what="new swarm", why="the manager is in none"))
    labels = node_labels(config, facts)
    for name, fact in facts.items():
        before = len(steps)
        if fact.swarm_state != "active" and name != manager.name:
            steps.append(Step(node=name, what="join the swarm", why="the node is in none"))
        known = seen.get(fact.swarm_node_id)
        if known is None or any(known.labels.get(key) != value for key, value in labels[name].items()):
            steps.append(Step(node=name, what="swarm labels", why="missing" if known is None else "differ"))
        if len(steps) == before:
            unchanged.append(name)
    why = registry_fault(session)
    if why is not None:
        steps.append(Step(node=manager.name, what=f"registry on {config.registry_address}", why=why))
    else:
        unchanged.append("registry")
    return Plan(steps=tuple(steps), unchanged=tuple(unchanged))


def check_members(session: Session) -> dict[str, SwarmNode]:
    """The swarm's nodes by id, for a deploy: all of ours are in it and none works for another cluster.

    Raises `ClusterError`.
    """
    facts = session.all_facts()
    seen = _members(session, facts[session.config.manager.name])
    problems = [*manager_problems(session.config, facts), *_swarm_problems(session, facts, seen)]
    problems += [
        Problem(node=name, what="this machine is in no swarm", hint="`invoke swarm`, or `invoke up`")
        for name, fact in facts.items()
        if fact.engine_version is not None and fact.swarm_state == "inactive"
    ]
    problems = problems or list(_taken_problems(session, facts, seen))
    if problems:
        raise ClusterError(*problems)
    return seen


def _members(session: Session, manager: NodeFacts) -> dict[str, SwarmNode]:
    """The nodes of the manager's swarm by id; none when it manages none."""
    if manager.swarm_state != "active" or not manager.swarm_cluster_id:
        return {}
    return {node.id: node for node in gather_swarm_nodes(session.clients)}


def _swarm_problems(session: Session, facts: dict[str, NodeFacts], seen: dict[str, SwarmNode]) -> list[Problem]:
    config = session.config
    manager = facts[config.manager.name]
    problems = []
    if manager.swarm_state == "active" and not manager.swarm_cluster_id:
        what = "this machine is a worker of another swarm"
        hint = "`docker swarm leave` there, if that swarm is not needed"
        return [Problem(node=manager.name, what=what, hint=hint)]
    for name, fact in facts.items():
        if fact.engine_version is None:
            what = "no Docker Engine answers"
            hint = "install it (`invoke prep --install-engine` on Debian and Ubuntu), or start it"
            problems.append(Problem(node=name, what=what, hint=hint))
        elif fact.swarm_state == "active" and name != manager.name and fact.swarm_node_id not in seen:
            what = "this machine is in another swarm"
            hint = "`docker swarm leave` there, if that swarm is not needed; it is not left for you"
            problems.append(Problem(node=name, what=what, hint=hint))
        elif fact.swarm_state not in ("active", "inactive"):
            what = f"its swarm state is {fact.swarm_state}"
            problems.append(Problem(node=name, what=what, hint="`docker info` on that machine says why"))
    return problems


def _taken_problems(session: Session, facts: dict[str, NodeFacts], seen: dict[str, SwarmNode]) -> tuple[Problem, ...]:
    """Machines that are labelled for another cluster while services of that are in the swarm.

    Without services a label is only left over: clusters may use the same machines one after the other.
    """
    mine = session.config.name
    labels = {name: seen[fact.swarm_node_id].labels for name, fact in facts.items() if fact.swarm_node_id in seen}
    owners = {name: found[CLUSTER_LABEL] for name, found in labels.items() if CLUSTER_LABEL in found}
    engine = session.clients.engine()
    working = {
        other
        for other in set(owners.values()) - {mine}
        if engine.services(other) or engine.labelled_services(f"{CLUSTER_LABEL}={other}")
    }
    return tuple(
        Problem(
            node=name,
            what=f"this machine works for cluster {other}, which has services in the swarm: not for {mine}",
            config_path="cluster",
            hint=f"`invoke down` with the hosts.yml of {other}; or take the machine out of one of the two files",
            code=ExitCode.REFUSED,
        )
        for name, other in owners.items()
        if other in working
    )


def registry_config(session: Session) -> str:
    """The registry's own configuration; JSON is YAML."""
    tls = {"certificate": "/registry/registry.crt", "key": "/registry/registry.key"}
    document: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": "/registry/storage"}, "delete": {"enabled": True}},
        "http": {"addr": "0.0.0.0:5000", **({"tls": tls} if session.config.registry.tls else {})},
        "auth": {"htpasswd": {"realm": "sparkqfs", "path": "/registry/htpasswd"}},
    }
    return json.dumps(document, sort_keys=True)


def _registry_digest(session: Session, reference: str) -> str:
    facts = session.manager_facts()
    password = session.secrets()["registry_password"] if facts.has_secrets else ""
    config = session.config
    text = repr(
        (registry_config(session), reference, config.registry.port, facts.ca_pem, password, log_arguments(config))
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _registry_reference(session: Session) -> str:
    return images.references(session)[topology.REGISTRY].reference


def _running_s(session: Session, container: dict[str, Any]) -> float:
    """Since the container's last start, by the engine's clock."""
    now, since = str(session.clients.engine().info()["SystemTime"]), str(container["State"]["StartedAt"])
    return seconds_between(since, now)


def registry_fault(session: Session) -> str | None:
    """Why the registry must be (re)started; `None` when it runs as it should."""
    if session.manager_facts().engine_version is None:
        return "no engine yet"
    found = session.clients.engine().container(registry_name(session))
    if found is None:
        return "there is none"
    if not found["State"]["Running"]:
        return "it is stopped"
    if found["State"].get("Restarting"):
        return "it ends as soon as it is started"
    if found.get("RestartCount") and _running_s(session, found) < STEADY_S:
        return "it ended a moment ago"  # between two starts it runs for a moment too
    if found["Config"]["Labels"].get("sparkqfs.config") != _registry_digest(session, _registry_reference(session)):
        return "its settings differ"
    return None


def run(session: Session) -> JobResult:
    """Make it so."""
    made = plan(session)
    is_planned = session.dry_run or bool(made.problems) or not made.steps
    names = dict.fromkeys(step.node for step in made.steps)
    changes = {name: tuple(step.planned if is_planned else step.done for step in made.of(name)) for name in names}
    if not session.dry_run and not made.problems:
        end_collection(session)
    if is_planned:
        outcomes = [Outcome(subject=name, state="planned", changes=what) for name, what in changes.items()]
        outcomes += [Outcome(subject=name, state="unchanged") for name in made.unchanged]
        return JobResult(task="swarm", outcomes=tuple(outcomes), problems=made.problems)
    facts = session.all_facts()
    _init_and_join(session, facts)
    session.facts(fresh=True)
    set_labels(session, _wait_for_members(session))
    if registry_fault(session) is not None:
        start_registry(session)
    outcomes = [Outcome(subject=name, state="changed", changes=what) for name, what in changes.items()]
    outcomes += [Outcome(subject=name, state="unchanged") for name in made.unchanged]
    return JobResult(task="swarm", outcomes=tuple(outcomes))


def swarm_address(session: Session, name: str) -> str:
    """The node's IPv4 address for Swarm, which takes no names; a name is resolved on the machine itself."""
    advertise = session.config.node(name).advertise
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(advertise))
    output = session.clients.node(name).run(["getent", "ahostsv4", advertise], check=False)
    found = output.stdout.split()
    if not found or found[0].startswith("127."):
        what = f"{advertise} is {found[0] if found else 'unknown'} on the machine itself"
        hint = f"set nodes.{name}.advertise to an IPv4 address that the other machines reach"
        raise ClusterError(Problem(node=name, what=what, config_path=f"nodes.{name}.advertise", hint=hint))
    return found[0]


def _init_and_join(session: Session, facts: dict[str, NodeFacts]) -> None:
    config = session.config
    manager = facts[config.manager.name]
    if manager.swarm_state != "active":
        session.on_event(f"[{manager.name}] new swarm on {config.manager.advertise}")
        session.clients.engine().init_swarm(swarm_address(session, manager.name))
    joining = tuple(
        name for name, fact in facts.items() if fact.swarm_state != "active" and name != config.manager.name
    )
    if not joining:
        return
    token = session.clients.engine().worker_token()

    def join(name: str) -> None:
        session.on_event(f"[{name}] joining the swarm")
        own = swarm_address(session, name)
        session.clients.engine(name).join_swarm(config.manager.advertise, own, token)

    session.clients.on(joining, join).raise_failures()


def _wait_for_members(session: Session) -> dict[str, SwarmNode]:
    """Machines that have just joined take a moment to be seen."""
    facts = session.all_facts()

    def all_there() -> dict[str, SwarmNode] | None:
        seen = {node.id: node for node in gather_swarm_nodes(session.clients)}
        missing = [name for name, fact in facts.items() if fact.swarm_node_id not in seen]
        return None if missing else seen

    return wait_until(all_there, what="every node to be in the swarm", timeout_s=session.config.timeouts.command_s)


def set_labels(session: Session, seen: dict[str, SwarmNode]) -> tuple[str, ...]:
    """Give every node of ours its labels; the names of those that had others.

    The class of a machine changes with its sizes in `hosts.yml`. Swarm ends what runs where the labels no longer fit.
    """
    facts = session.all_facts()
    wanted = node_labels(session.config, facts)
    engine = session.clients.engine()
    changed = []
    for name, fact in facts.items():
        node = seen[fact.swarm_node_id]
        labels = {**node.labels, **wanted[name]}
        if facts.keys() >= set(labels.get(ABSENT_LABEL, "").split(",")):
            del labels[ABSENT_LABEL]  # the machine is back
        if labels != node.labels:
            session.on_event(f"[{name}] swarm labels")
            engine.label_node(node.id, labels)
            changed.append(name)
    return tuple(changed)


def start_registry(session: Session) -> None:
    """Build the registry's image where it is missing, start its container, wait until it answers."""
    config = session.config
    session.secrets()  # says "run prep first" before anything is built
    reference = _registry_reference(session)
    ref = images.references(session)[topology.REGISTRY]
    context = make_context(config, topology.REGISTRY, None)
    images.build_one(session, ref, context)
    session.on_event(f"[{config.manager.name}] starting the registry on port {config.registry.port}")
    password = session.secrets()["registry_password"].encode()
    htpasswd = "sparkqfs:" + bcrypt.hashpw(password, bcrypt.gensalt(8)).decode() + "\n"
    session.clients.manager.run(
        [
            "sh",
            "-c",
            REGISTRY_SCRIPT,
            "sh",
            registry_name(session),
            reference,
            _registry_digest(session, reference),
            str(config.registry.port),
            str(private_directory(config)),
            str(config.owner.uid),
            str(config.owner.gid),
            *log_arguments(config),
        ],
        stdin=_base64_line(registry_config(session)) + _base64_line(htpasswd),
    )
    wait_for_registry(session)


def _base64_line(text: str) -> str:
    return base64.b64encode(text.encode()).decode() + "\n"

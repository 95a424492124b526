"""invoke prep: directories, owner, marker, registry trust on every node."""

from __future__ import annotations

import contextlib
import functools
import json
import uuid

from sparkqfs.clients import ca
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.jobs.cluster.recovery import with_material
from sparkqfs.jobs.session import Session, cluster_lock
from sparkqfs.plan.cluster.nodes import SECRET_NAMES, FreshMaterial, plan_prep
from sparkqfs.plan.cluster.restore import manager_problems
from sparkqfs.plan.cluster.secret_copies import CopyStep, RemoveCopyStep
from sparkqfs.plan.steps import JobResult, Outcome, Plan, Secret, script_of

PREP_TIMEOUT_S = 900.0
"""Long enough to install an engine."""


def fresh_material(session: Session, manager: NodeFacts | None) -> FreshMaterial:
    """New random things; the manager's own CA where it stands."""
    address = session.config.manager.advertise
    made = Secret(_secrets(session, manager))
    if manager is not None and manager.ca_pem is not None and ca.is_for(manager.ca_pem, address):
        return FreshMaterial(cluster_id=str(uuid.uuid4()), secrets=made, ca_pem=manager.ca_pem, ca_is_new=False)
    pem, key, server_pem, server_key = ca.make_ca(address)
    return FreshMaterial(
        cluster_id=str(uuid.uuid4()),
        secrets=made,
        ca_pem=pem,
        ca_is_new=True,
        ca_key=Secret(key),
        server_pem=server_pem,
        server_key=Secret(server_key),
    )


def _secrets(session: Session, manager: NodeFacts | None) -> str:
    """New ones; those that an earlier version has made stay."""
    made = ca.make_secrets(SECRET_NAMES)
    if manager is None or manager.secret_names is None or set(SECRET_NAMES) <= set(manager.secret_names):
        return made
    return json.dumps({**json.loads(made), **session.secrets(complete=False)})


def names_of(session: Session, only: tuple[str, ...], flag: str = "--only") -> tuple[str, ...]:
    """The nodes a task is for, as `flag` says. Raises `ConfigError` on a name that hosts.yml does not have."""
    known = tuple(node.name for node in session.config.nodes)
    for name in only:
        if name not in known:
            raise ConfigError(Problem(what=f"{flag}: no node {name} in hosts.yml", hint=f"nodes: {', '.join(known)}"))
    return tuple(name for name in known if name in only) if only else known


def plan(
    session: Session, *, only: tuple[str, ...] = (), adopt: tuple[str, ...] = (), install_engine: bool = False
) -> tuple[Plan, tuple[Problem, ...]]:
    """The plan, and the problems of machines that could not be asked."""
    names = names_of(session, only)
    names_of(session, adopt, "--add")
    facts, problems = session.facts()
    made = plan_prep(
        session.config,
        facts,
        fresh_material(session, facts.get(session.config.manager.name)),
        only=names,
        adopt=adopt,
        install_engine=install_engine,
    )
    moved = manager_problems(session.config, facts)
    if moved:
        return Plan(problems=moved), ()
    return made, tuple(problem for problem in problems if problem.node in names)


def run(
    session: Session, *, only: tuple[str, ...] = (), adopt: tuple[str, ...] = (), install_engine: bool = False
) -> JobResult:
    """Do what differs, all nodes at once; a node that fails does not hold up the others.

    Under the cluster's lock, unless the manager is the machine that cannot be reached: the others are prepared all
    the same then.
    """
    facts, _ = session.facts()
    held = session.dry_run or session.locked or session.config.manager.name not in facts
    with contextlib.nullcontext() if held else cluster_lock(session, "prep"):
        return _run(session, only=only, adopt=adopt, install_engine=install_engine)


def _run(session: Session, *, only: tuple[str, ...], adopt: tuple[str, ...], install_engine: bool) -> JobResult:
    made, problems = plan(session, only=only, adopt=adopt, install_engine=install_engine)
    problems = (*problems, *made.problems)
    outcomes = [Outcome(subject=name, state="unchanged") for name in made.unchanged]
    names = tuple(dict.fromkeys(step.node for step in made.steps))
    if session.dry_run:
        outcomes += [Outcome(subject=name, state="planned", changes=_changes(made, name)) for name in names]
        return JobResult(task="prep", outcomes=_in_order(session, outcomes), problems=problems)
    done, failures = _carry_out(session, made)
    outcomes += done.values()
    problems = tuple(dict.fromkeys((*problems, *failures)))
    failed = {problem.node for problem in problems if problem.node}
    outcomes += [
        Outcome(subject=name, state="failed")
        for name in names_of(session, only)
        if name in failed and name not in {outcome.subject for outcome in outcomes}
    ]
    return JobResult(task="prep", outcomes=_in_order(session, outcomes), problems=problems)


def _carry_out(session: Session, made: Plan) -> tuple[dict[str, Outcome], tuple[Problem, ...]]:
    """What came of each node that has steps; one that fails gets no more of them, and ends what waits for it."""
    manager = session.config.manager.name
    outcomes: dict[str, Outcome] = {}
    problems: tuple[Problem, ...] = ()
    failed: set[str] = set()
    stopped = ""
    for wave in _waves(made, manager):
        names = tuple(name for name in dict.fromkeys(step.node for step in wave.steps) if name not in failed)
        before = {name: outcomes[name].changes if name in outcomes else () for name in names}
        if stopped:
            said = f"not tried: {stopped}"
            outcomes |= {name: Outcome(subject=name, state="failed", changes=(*before[name], said)) for name in names}
            continue
        results = session.clients.on(names, functools.partial(_apply, session, wave))
        for name, changes in results.values.items():
            outcomes[name] = Outcome(subject=name, state="changed", changes=(*before[name], *changes))
        outcomes |= {name: Outcome(subject=name, state="failed") for name in results.failures}
        problems += results.problems
        failed |= set(results.failures)
        if manager in failed:
            stopped = "the manager failed"
        elif any(isinstance(step, CopyStep) and step.node in failed for step in wave.steps):
            stopped = "a node did not get its copy of the secrets"
    return outcomes, problems


def _waves(made: Plan, manager: str) -> list[Plan]:
    """The manager goes first: no other node may carry an id that the manager does not have.

    Copies of its secrets that are not needed any more go last, when those that are needed have been written.
    """
    last = [step for step in made.steps if isinstance(step, RemoveCopyStep)]
    rest = [step for step in made.steps if not isinstance(step, RemoveCopyStep)]
    waves = ([step for step in rest if step.node == manager], [step for step in rest if step.node != manager], last)
    return [Plan(steps=tuple(steps)) for steps in waves if steps]


def _in_order(session: Session, outcomes: list[Outcome]) -> tuple[Outcome, ...]:
    order = [node.name for node in session.config.nodes]
    return tuple(sorted(outcomes, key=lambda outcome: order.index(outcome.subject)))


def _changes(made: Plan, name: str) -> tuple[str, ...]:
    return tuple(f"{step.what}: {step.why}" for step in made.of(name))


def _apply(session: Session, made: Plan, name: str) -> tuple[str, ...]:
    client: NodeClient = session.clients.node(name)
    session.on_event(f"[{name}] {len(made.of(name))} changes")
    output = client.script(script_of(with_material(session, made.of(name))), timeout_s=PREP_TIMEOUT_S, check=False)
    changes = _changes(made, name)
    done = sum(1 for line in output.stdout.splitlines() if line.startswith("done\t"))
    if output.exit_code != 0:
        step = made.of(name)[min(done, len(changes) - 1)]
        raise ClusterError(
            Problem(
                node=name,
                what=f"{step.what}: {output.last_lines(3) or 'failed'}",
                hint="the steps before it are done; run prep again once this is mended",
            )
        )
    return changes

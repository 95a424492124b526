"""invoke plan, up, doctor: the tasks in their order."""

from __future__ import annotations

import time
from collections.abc import Callable

from sparkqfs import topology
from sparkqfs.checks.hosts import check_hosts, check_stops
from sparkqfs.checks.machines import check_nodes
from sparkqfs.clients.ssh import FORWARDING_HINT
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.jobs.cluster import deploy, images, prep, swarm
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import file_system as storage
from sparkqfs.jobs.storage.shared_path import shared_path_problems
from sparkqfs.plan.cluster.layout import layout_document, layout_line, layout_table
from sparkqfs.plan.cluster.markers import is_initialised
from sparkqfs.plan.cluster.restore import manager_problems
from sparkqfs.plan.sizes import Sizing, sizing, sizing_document, sizing_lines
from sparkqfs.plan.steps import JobResult, Outcome

FORWARDING_S = 5.0


def stages() -> tuple[tuple[str, Callable[[Session], JobResult]], ...]:
    """Every stage of `up`, in order."""
    return (
        ("prep", prep.run),
        ("swarm", swarm.run),
        ("build", images.build),
        ("push", images.push),
        ("init-storage", _init_if_new),
        ("deploy", deploy.run),
    )


def _init_if_new(session: Session) -> JobResult:
    """Init only on a cluster that was never initialised; never erases."""
    unchanged = Outcome(subject=f"file system of {session.config.name}", state="unchanged")
    if session.backend.layout is None or is_initialised(session.config, session.facts(fresh=True)[0]):
        return JobResult(task="init-storage", outcomes=(unchanged,))
    return storage.init(session)


def up(session: Session, on_stage: Callable[[str, JobResult, float], None]) -> JobResult:
    """Do what is not yet so; stops at the first stage with a problem."""
    _, unfit = _sizes(session)
    unfit = (*unfit, *check_stops(session.config, session.facts()[0]))
    if unfit:
        raise ClusterError(*unfit)
    session.on_event(_how_long(session))
    outcomes: list[Outcome] = []
    timings: list[dict[str, object]] = []
    for name, stage in stages():
        session.on_event(f"== {name}")
        started = time.monotonic()
        result = stage(session)
        took = time.monotonic() - started
        on_stage(name, result, took)
        outcomes += [
            Outcome(subject=f"{name}: {one.subject}", state=one.state, changes=one.changes) for one in result.outcomes
        ]
        timings.append({"stage": name, "seconds": round(took, 1), "changed": result.changed})
        if result.problems:
            return JobResult(
                task="up", outcomes=tuple(outcomes), problems=result.problems, document={"stages": timings}
            )
        if result.changed and name in ("prep", "swarm"):
            session.facts(fresh=True)
    return JobResult(
        task="up", outcomes=tuple(outcomes), notes=deploy.next_steps(session), document={"stages": timings}
    )


def has_built(session: Session) -> bool:
    """Whether the manager's engine has any worker-node image of this cluster."""
    try:
        images = session.clients.engine().labelled_images(f"sparkqfs.cluster={session.config.name}")
    except ClusterError:
        return False
    return any(f"/{topology.WORKER_NODE}:" in tag for image in images for tag in image.get("RepoTags") or ())


def _how_long(session: Session) -> str:
    """What `up` says first."""
    manager = session.manager_facts()
    if manager.has_secrets and manager.swarm_state == "active" and has_built(session):
        return "takes about a minute as a rule, and some minutes where images have changed"
    return f"takes 10 to 30 minutes as a rule, the first time: {manager.name} loads about 1 GB and builds the images"


def plan(session: Session) -> JobResult:
    """Everything that `up` would do, with reasons, each stage as if those before it were done."""
    session.dry_run = True
    facts, unreachable = session.facts()
    if unreachable:
        return _incomplete(session, facts, unreachable)
    outcomes: list[Outcome] = []
    problems: list[Problem] = []
    changing: str | None = None
    sizes, unfit = _sizes(session)
    problems += [*unfit, *check_stops(session.config, session.facts()[0])]
    planners = {"init-storage": _init_plan, "deploy": _deploy_plan}
    for name, stage in stages():
        if name == "deploy" and unfit:
            continue
        try:
            result = planners.get(name, stage)(session)
        except ClusterError as error:
            if changing is None:
                raise
            result = _not_seen_yet(name, changing, error)
        problems += [problem for problem in result.problems if problem not in problems]
        outcomes += [
            Outcome(subject=f"{name}: {one.subject}", state=one.state, changes=one.changes) for one in result.outcomes
        ]
        if changing is None and (result.problems or any(one.state == "planned" for one in result.outcomes)):
            changing = name
    config = session.config
    document: dict[str, object] = {"layout": layout_document(config), "layouts": layout_table(config), "sizing": None}
    notes = [f"layout: {layout_line(config)}"]
    if sizes is not None:
        notes += sizing_lines(sizes)
        document["sizing"] = sizing_document(sizes)
    return JobResult(
        task="plan", outcomes=tuple(outcomes), problems=tuple(problems), notes=tuple(notes), document=document
    )


def _incomplete(session: Session, facts: dict[str, NodeFacts], unreachable: tuple[Problem, ...]) -> JobResult:
    """Each machine that did not answer once; what the others say is worth nothing without them."""
    asked = len(session.config.nodes)
    note = f"plan is incomplete: {asked - len(facts)} of {asked} machines did not answer"
    moved = manager_problems(session.config, facts)
    document: dict[str, object] = {
        "layout": layout_document(session.config),
        "layouts": layout_table(session.config),
        "sizing": None,
    }
    return JobResult(task="plan", problems=(*unreachable, *moved), notes=(note,), document=document)


def _not_seen_yet(name: str, changing: str, error: ClusterError) -> JobResult:
    """A stage that cannot be looked at before an earlier one is done."""
    why = f"not checked yet, depends on {changing}: {error.problems[0].what}"
    return JobResult(task=name, outcomes=(Outcome(subject=name, state="planned", changes=(why,)),))


def _init_plan(session: Session) -> JobResult:
    """What `up` would do about the file system; markers that are missing are prep's, which comes before."""
    subject = f"file system of {session.config.name}"
    if session.backend.layout is None or is_initialised(session.config, session.facts()[0]):
        return JobResult(task="init-storage", outcomes=(Outcome(subject=subject, state="unchanged"),))
    against = storage.refusals(session)
    if against:
        return JobResult(task="init-storage", problems=against)
    begun = session.manager_facts().meta.init == "begun"
    why = "undo an init that did not end, and create" if begun else "create: there is none"
    planned = Outcome(subject=subject, state="planned", changes=(why,))
    return JobResult(task="init-storage", outcomes=(planned,))


def _sizes(session: Session) -> tuple[Sizing | None, tuple[Problem, ...]]:
    """The sizing, or why there is none; neither while a machine has not said what it has."""
    facts, unreachable = session.facts()
    if unreachable:
        return None, ()
    try:
        return sizing(session.config, facts), ()
    except ClusterError as error:
        return None, error.problems


def _deploy_plan(session: Session) -> JobResult:
    stack = deploy.make_stack(session)
    subject = f"stack {session.config.name}"
    there: set[str] = set()
    if session.manager_facts().swarm_state == "active":
        if deploy.is_current(session, stack):
            return JobResult(task="deploy", outcomes=(Outcome(subject=subject, state="unchanged"),))
        there = deploy.deployed(session)
    missing = sorted(set(stack.services) - there)
    why = f"not there yet: {', '.join(missing)}" if missing else "what is deployed is not what hosts.yml says now"
    return JobResult(task="deploy", outcomes=(Outcome(subject=subject, state="planned", changes=(why,)),))


def doctor(session: Session, only: tuple[str, ...] = ()) -> JobResult:
    """What is wrong with the machines, before anything is changed."""
    names = prep.names_of(session, only)
    facts, unreachable = session.facts()
    mine = {name: fact for name, fact in facts.items() if name in names}
    problems = [
        *(problem for problem in unreachable if problem.node in names),
        *(one for one in check_nodes(session.config, facts) if one.node is None or one.node in names),
        *(one.problem for one in check_hosts(session.config, facts) if one.problem.node in names),
    ]
    if session.config.manager.name in mine:
        problems += _forwarding_problems(session)
    try:
        made, _ = prep.plan(session, only=only)
        problems += made.problems
        if not unreachable:
            problems += [one for one in shared_path_problems(session, prepared=False) if one.node in names]
        problems += [one for one in _sizes(session)[1] if one.node is None or one.node in names]
    except ClusterError as error:
        problems += error.problems
    bad = {problem.node for problem in problems}
    outcomes = [
        Outcome(
            subject=name,
            state="failed" if name in bad else "ok",
            changes=(_machine_line(session, name),) if name in mine else (),
        )
        for name in names
    ]
    return JobResult(task="doctor", outcomes=tuple(outcomes), problems=tuple(problems))


def _forwarding_problems(session: Session) -> list[Problem]:
    """What status, deploy and others read goes through the manager's sshd."""
    manager = session.config.manager
    try:
        if session.clients.manager.forwards_to(manager.advertise, session.config.ports.spark_ui, FORWARDING_S):
            return []
    except ClusterError as error:
        return list(error.problems)
    what = "its sshd forbids the TCP connections over which the web pages are asked"
    return [Problem(node=manager.name, what=what, hint=FORWARDING_HINT)]


def _machine_line(session: Session, name: str) -> str:
    fact = session.facts()[0][name]
    disks = ", ".join(f"{disk.path} {disk.free_bytes / (1 << 30):.0f} GiB free" for disk in fact.disks)
    return (
        f"{fact.architecture}, {fact.cores} cores, {fact.memory_mib / (1 << 10):.1f} GiB, "
        f"engine {fact.engine_version or 'none'}, swarm {fact.swarm_state}, {disks}"
    )

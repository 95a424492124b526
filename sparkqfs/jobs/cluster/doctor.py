"""invoke doctor: what every task's facts show, what it alone asks, and what `--fix` runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from urllib.parse import urlsplit

from sparkqfs.checks import hosts as checks
from sparkqfs.checks.hosts import Finding
from sparkqfs.clients.broken import close
from sparkqfs.clients.engine import BASE_HINT
from sparkqfs.clients.ssh import is_forbidden
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.gather import hosts as gather
from sparkqfs.gather.nodes import gather_swarm_nodes
from sparkqfs.jobs.cluster import whole
from sparkqfs.jobs.session import Session, cluster_lock
from sparkqfs.plan.steps import JobResult, Outcome

FIX_S = 120.0
SOURCE_S = 15.0
"""For an answer of what images are built from."""


def run(session: Session, only: tuple[str, ...] = (), *, fix: bool = False) -> JobResult:
    """What is wrong with the machines. With `fix` the safe commands are run, and what is left is reported."""
    result, found, notes = _all(session, only)
    fixes = [finding for finding in found if finding.fix]
    done: tuple[Outcome, ...] = ()
    if fix and fixes:
        if session.dry_run:
            done = run_fixes(session, fixes)
        else:
            with cluster_lock(session, "doctor"):
                done = run_fixes(session, fixes)
            session.forget_facts()
            result, _, notes = _all(session, only)
    elif fixes:
        notes = (*notes, f"{len(fixes)} of these can be fixed by `invoke doctor --fix`")
    if fix and result.problems and not session.dry_run:
        notes = (*notes, "`--fix` has nothing safe to run for what is left: the hints say what to do")
    return dataclasses.replace(result, outcomes=(*done, *result.outcomes), notes=notes)


def _all(session: Session, only: tuple[str, ...]) -> tuple[JobResult, list[Finding], tuple[str, ...]]:
    result = whole.doctor(session, only)
    facts = session.facts()[0]
    mine = {name: fact for name, fact in facts.items() if not only or name in only}
    if not mine:
        return result, [], ()
    found, unasked, notes = look(session, mine)
    shown = set(result.problems)
    problems = [one for one in (*unasked, *(finding.problem for finding in found)) if one not in shown]
    bad = {one.node for one in problems}
    outcomes = tuple(dataclasses.replace(one, state="failed") if one.subject in bad else one for one in result.outcomes)
    return dataclasses.replace(result, outcomes=outcomes, problems=(*result.problems, *problems)), found, notes


def look(session: Session, facts: dict[str, NodeFacts]) -> tuple[list[Finding], list[Problem], tuple[str, ...]]:
    """Findings, what could not be asked, and notes."""
    config, clients = session.config, session.clients
    session.on_event("asking their clocks, firewalls and desktops, and what is between them")
    hosts = gather.gather_hosts(config, clients, facts)
    problems = list(hosts.problems)
    found = list(checks.check_hosts(config, facts))
    addresses = checks.addresses_of(config, hosts.values)
    for name, host in hosts.values.items():
        found += checks.check_host(config, name, host, addresses)
    sessions = clients.on(tuple(hosts.values), lambda name: clients.node(name).count_sessions(checks.LEAST_SESSIONS))
    for name, count in sessions.values.items():
        found += checks.check_sessions(name, count)
    reached, unasked = gather.gather_reached(config, clients, hosts.values)
    closed = gather.gather_closed(config, clients, facts, checks.SWARM_PORTS[1], checks.SWARM_PORTS[0])
    found += checks.check_between(reached, closed)
    manager = facts.get(config.manager.name)
    if manager is not None and manager.swarm_state == "active":
        try:
            found += checks.check_swarm(config, gather_swarm_nodes(clients))
        except ClusterError as error:
            problems += error.problems
    if manager is not None and manager.engine is not None:
        found += check_sources(session)
    return found, [*problems, *sessions.problems, *unasked], checks.host_notes(config, hosts.values, facts)


def check_sources(session: Session) -> list[Finding]:
    """What the manager builds the images from, before it has built any: `up` would stop there after minutes."""
    if whole.has_built(session):
        return []
    found = [*_check_base(session)]
    build = session.config.build
    key, url = ("build.proxy", build.proxy) if build.proxy else ("build.pip_index", build.pip_index)
    if url is not None:
        found += _check_url(session, key, url)
    return found


def _check_base(session: Session) -> list[Finding]:
    config, engine = session.config, session.clients.engine()
    base = config.build.base
    try:
        if engine.image_labels(base) is not None:
            return []
        with engine.answering_within(SOURCE_S):
            why = engine.cannot_load(base)
    except ClusterError as error:
        why = error.problems[0].what
    if why is None:
        return []
    what = f"it cannot load {base}, on which all images are built: {why}"
    return [Finding(problem=Problem(node=config.manager.name, what=what, hint=BASE_HINT))]


def _check_url(session: Session, key: str, url: str) -> list[Finding]:
    """Whether the manager gets a TCP connection to a server of hosts.yml; its sshd opens it."""
    config, parts = session.config, urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        close(session.clients.manager.tcp_channel(host, port, SOURCE_S))
    except OSError as error:
        if not is_forbidden(error):
            what = f"{host}:{port} does not answer there: images cannot be built"
            hint = "is the address right, and does a firewall let this machine through?"
            return [Finding(problem=Problem(node=config.manager.name, what=what, config_path=key, hint=hint))]
    return []


def run_fixes(session: Session, findings: Iterable[Finding]) -> tuple[Outcome, ...]:
    """Run what is safe, one after the other on each machine; an outcome for each."""
    outcomes = []
    for finding in findings:
        node, lines = finding.problem.node, finding.fix
        if not lines or node is None:
            continue
        if session.dry_run:
            outcomes.append(Outcome(subject=node, state="planned", changes=(lines,)))
            continue
        output = session.clients.node(node).run(["sh", "-c", lines], check=False, timeout_s=FIX_S)
        changes = (lines,) if output.exit_code == 0 else (f"{lines}: {output.last_lines(2)}",)
        outcomes.append(Outcome(subject=node, state="failed" if output.exit_code else "changed", changes=changes))
    return tuple(outcomes)

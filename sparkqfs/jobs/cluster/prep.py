"""invoke prep: directories, owner, marker, registry trust on every node."""

from __future__ import annotations

import contextlib
import functools
import json
import uuid
from typing import TypedDict

from sparkqfs.amounts import amount
from sparkqfs.clients import ca
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.config.names import check_nodes
from sparkqfs.errors import ClusterError, ConfigError, Problem, RefusedError
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.jobs.cluster.recovery import with_material
from sparkqfs.jobs.session import Session, cluster_lock
from sparkqfs.plan.cluster.copies import is_record
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
    check_nodes(session.config, flag, only)
    known = tuple(node.name for node in session.config.nodes)
    return tuple(name for name in known if name in only) if only else known


def plan(
    session: Session,
    *,
    only: tuple[str, ...] = (),
    adopt: tuple[str, ...] = (),
    forget: tuple[str, ...] = (),
    here: str | None = None,
    install_engine: bool = False,
) -> tuple[Plan, tuple[Problem, ...]]:
    """The plan, and the problems of machines that could not be asked. `here` is the cluster's name: it is in the
    directories of hosts.yml, whatever is remembered elsewhere.
    """
    names = names_of(session, only)
    names_of(session, tuple(word.partition(":")[0] for word in adopt), "--add")
    if here not in (None, session.config.name):
        what = f"--here {here}: this cluster is called {session.config.name}; nothing was changed"
        raise ConfigError(Problem(what=what))
    facts, problems = session.facts()
    made = plan_prep(
        session.config,
        facts,
        fresh_material(session, facts.get(session.config.manager.name)),
        only=names,
        adopt=adopt,
        forget=forget,
        here=here is not None,
        restoring=session.is_restoring,
        install_engine=install_engine,
    )
    moved = manager_problems(session.config, facts)
    if moved:
        return Plan(problems=moved), ()
    return made, tuple(problem for problem in problems if problem.node in names)


def run(
    session: Session,
    *,
    only: tuple[str, ...] = (),
    adopt: tuple[str, ...] = (),
    forget: tuple[str, ...] = (),
    here: str | None = None,
    install_engine: bool = False,
) -> JobResult:
    """Do what differs, all nodes at once; a node that fails does not hold up the others.

    Under the cluster's lock, and decided from what was found under it, unless the manager is the machine that cannot be
    reached: the others are prepared all the same then.
    """
    held = session.dry_run or session.locked or not _reaches_manager(session)
    words = _Words(only=only, adopt=adopt, forget=forget, here=here, install_engine=install_engine)
    with contextlib.ExitStack() as stack:
        if not held:
            try:
                stack.enter_context(cluster_lock(session, "prep"))
            except RefusedError:
                raise
            except ClusterError as error:  # what keeps us out there may do so everywhere
                raise ClusterError(*(session.facts()[1] or error.problems)) from None
            session.forget_facts()
        return _run(session, words)


def _reaches_manager(session: Session) -> bool:
    try:
        session.clients.manager.open()
    except ClusterError:
        return False
    return True


class _Words(TypedDict):
    """What prep was told."""

    only: tuple[str, ...]
    adopt: tuple[str, ...]
    forget: tuple[str, ...]
    here: str | None
    install_engine: bool


def _run(session: Session, words: _Words) -> JobResult:
    """Steps in waves: the manager goes first, as no other node may carry an id that the manager does not have; when all
    of them are done, what the cluster is now is written down, on the manager first: nobody may know more than it.
    """
    only = words["only"]
    made, unasked = plan(session, **words)
    problems = (*unasked, *made.problems)
    outcomes = [Outcome(subject=name, state="unchanged") for name in made.unchanged]
    names = tuple(dict.fromkeys(step.node for step in made.steps))
    if session.dry_run:
        outcomes += [Outcome(subject=name, state="planned", changes=_planned(made, name)) for name in names]
        return JobResult(task="prep", outcomes=_in_order(session, outcomes), problems=problems)
    done = Applied(session)
    done.apply(without_record(made))
    if done.failed and session.config.manager.name not in done.failed:
        made = _planned_without(session, words, done.failed)  # what has failed is not to be written down as done
        done.stopped = ""
    done.apply(record_alone(made))
    tried = {one.subject: one for one in done.outcomes()}
    outcomes = [*(one for one in outcomes if one.subject not in tried), *tried.values()]
    problems = tuple(dict.fromkeys((*problems, *done.problems)))
    failed = {problem.node for problem in problems if problem.node}
    outcomes += [
        Outcome(subject=name, state="failed")
        for name in names_of(session, only)
        if name in failed and name not in {outcome.subject for outcome in outcomes}
    ]
    return JobResult(task="prep", outcomes=_in_order(session, outcomes), problems=problems)


def _planned_without(session: Session, words: _Words, failed: set[str]) -> Plan:
    """What is left to do on the other nodes."""
    session.facts(fresh=True)
    left = tuple(name for name in names_of(session, words["only"]) if name not in failed)
    again = words.copy()
    again["only"] = left
    return plan(session, **again)[0] if left else Plan()


def without_record(made: Plan) -> Plan:
    """All but what writes down what the cluster is."""
    return Plan(steps=tuple(step for step in made.steps if not is_record(step)))


def record_alone(made: Plan) -> Plan:
    """What writes down what the cluster is."""
    return Plan(steps=tuple(step for step in made.steps if is_record(step)))


class Applied:
    """Plans that are carried out one after the other, each in waves, and what came of it by node."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._done: dict[str, tuple[str, ...]] = {}
        self._not_tried: dict[str, str] = {}
        self.failed: set[str] = set()
        self.problems: tuple[Problem, ...] = ()
        self.stopped = ""
        """Why nothing more is done."""

    def apply(self, made: Plan) -> None:
        """Carry it out; a node that has failed gets nothing more, and ends what waits for it."""
        manager = self._session.config.manager.name
        for wave in _waves(made, manager):
            names = tuple(name for name in dict.fromkeys(step.node for step in wave.steps) if name not in self.failed)
            if self.stopped:
                self._not_tried |= dict.fromkeys(names, f"not tried: {self.stopped}")
                continue
            results = self._session.clients.on(names, functools.partial(apply_steps, self._session, wave))
            for name, changes in results.values.items():
                self._done[name] = (*self._done.get(name, ()), *changes)
            self.failed |= set(results.failures)
            self.problems += results.problems
            if manager in self.failed:
                self.stopped = "the manager failed"
            elif any(isinstance(step, CopyStep) and step.node in self.failed for step in wave.steps):
                self.stopped = "a node did not get its copy of the secrets"

    def outcomes(self) -> list[Outcome]:
        """Of the nodes that had steps."""
        found = [Outcome(subject=name, state="failed") for name in self.failed]
        for name, why in self._not_tried.items():
            if name not in self.failed:
                found.append(Outcome(subject=name, state="failed", changes=(*self._done.get(name, ()), why)))
        done = [name for name in self._done if name not in {*self.failed, *self._not_tried}]
        return [*found, *(Outcome(subject=name, state="changed", changes=self._done[name]) for name in done)]


def _waves(made: Plan, manager: str) -> list[Plan]:
    """The manager goes first: no other node may carry an id, or a record, that the manager does not have.

    Copies of its secrets that are not needed any more go last, when those that are needed have been written.
    """
    last = [step for step in made.steps if isinstance(step, RemoveCopyStep)]
    rest = [step for step in made.steps if not isinstance(step, RemoveCopyStep)]
    waves = ([step for step in rest if step.node == manager], [step for step in rest if step.node != manager], last)
    return [Plan(steps=tuple(steps)) for steps in waves if steps]


def _in_order(session: Session, outcomes: list[Outcome]) -> tuple[Outcome, ...]:
    order = [node.name for node in session.config.nodes]
    return tuple(sorted(outcomes, key=lambda outcome: order.index(outcome.subject)))


def _planned(made: Plan, name: str) -> tuple[str, ...]:
    return tuple(step.planned for step in made.of(name))


def apply_steps(session: Session, made: Plan, name: str) -> tuple[str, ...]:
    """Run a node's steps in one script; what was changed. Raises `ClusterError` naming the step that failed."""
    client: NodeClient = session.clients.node(name)
    session.on_event(f"[{name}] {amount(len(made.of(name)), 'change')} to make")
    output = client.script(script_of(with_material(session, made.of(name))), timeout_s=PREP_TIMEOUT_S, check=False)
    done = sum(1 for line in output.stdout.splitlines() if line.startswith("done\t"))
    if output.exit_code != 0:
        step = made.of(name)[min(done, len(made.of(name)) - 1)]
        raise ClusterError(
            Problem(
                node=name,
                what=f"{step.what}: {output.last_lines(3) or 'failed'}",
                hint="the steps before it are done; run prep again once this is fixed",
            )
        )
    return tuple(step.done for step in made.of(name))

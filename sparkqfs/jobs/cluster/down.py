"""invoke down: the stack, and waiting until it is really gone."""

from __future__ import annotations

from dataclasses import dataclass

from sparkqfs.clients.engine import STACK_LABEL
from sparkqfs.clients.wait import wait_until
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.jobs.programs import drivers, server
from sparkqfs.jobs.session import Session
from sparkqfs.plan.steps import JobResult, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What of a stack still exists, counted by kind, and the machines that do not say whether something runs there."""

    things: tuple[str, ...]
    silent: tuple[Problem, ...]

    @property
    def silent_nodes(self) -> tuple[str, ...]:
        """The names of these machines."""
        return tuple(dict.fromkeys(problem.node for problem in self.silent if problem.node is not None))


def down(session: Session) -> JobResult:
    """Remove the stack; wait until its tasks, containers and network are gone everywhere. Data is kept.

    A machine that cannot be asked holds up nothing, since the manager alone removes a stack; it is a problem of the
    result, as its containers may still run.
    """
    config = session.config
    engine = session.clients.engine()
    subject = f"stack {config.name}"
    if not engine.info().get("Swarm", {}).get("ControlAvailable"):
        return JobResult(task="down", outcomes=(Outcome(subject=subject, state="unchanged"),))
    left = left_over(session)
    if not left.things:
        outcome = Outcome(subject=subject, state="unchanged")
    elif session.dry_run:
        outcome = Outcome(subject=subject, state="planned", changes=left.things)
    else:
        left = remove(session, left.silent)
        engine.remove_unused(config.name, ())
        outcome = Outcome(subject=subject, state="changed", changes=("removed",))
    return JobResult(task="down", outcomes=(outcome,), problems=left.silent)


def remove(session: Session, silent: tuple[Problem, ...] = ()) -> Remains:
    """`docker stack rm`, again and again: it fails while an earlier one, or a task, still holds the network.

    Nothing is waited for on the `silent` machines and on those that fall silent meanwhile.
    """
    config = session.config
    for name in (*drivers.end_all(session), *server.end_all(session)):  # they hold the network
        session.on_event(f"ending {name}")
    session.on_event(f"[{config.manager.name}] removing stack {config.name}")
    said = {"left": "", "error": ""}
    seen = Remains(things=(), silent=silent)

    def gone() -> bool:
        nonlocal seen
        seen = left_over(session, seen)
        if any("containers" not in one for one in seen.things):
            output = session.clients.manager.run(["docker", "stack", "rm", config.name], check=False)
            said["error"] = output.last_lines(3) if output.exit_code else ""
        text = f"{', '.join(seen.things)} left" if seen.things else ""
        if text and text != said["left"]:
            session.on_event(f"waiting: {text}")
        said["left"] = text
        return not seen.things

    wait_until(
        gone,
        what=f"stack {config.name} to be gone",
        timeout_s=config.timeouts.deploy_s,
        detail=lambda: "\n".join(filter(None, said.values())),
    )
    return seen


def left_over(session: Session, before: Remains | None = None) -> Remains:
    """What the manager and the machines still have of the stack; who was silent `before` is not asked again."""
    config = session.config
    engine = session.clients.engine()
    label = f"{STACK_LABEL}={config.name}"
    silent = before.silent if before is not None else ()
    skipped = before.silent_nodes if before is not None else ()
    names = tuple(node.name for node in config.nodes if node.name not in skipped)
    results = session.clients.on(names, lambda name: len(session.clients.engine(name).containers(label)))
    counts = {
        "services": len(engine.services(config.name)),
        "containers": sum(results.values.values()),
        "networks": len(engine.networks(config.name)),
        "submitted applications": len(drivers.services(session)),
        "Connect servers": len(server.services(session)),
    }
    return Remains(
        things=tuple(f"{count} {kind}" for kind, count in counts.items() if count),
        silent=(*silent, *(_silent(name, error.problems[0]) for name, error in results.failures.items())),
    )


def _silent(name: str, problem: Problem) -> Problem:
    what = f"whether containers of the stack are left there cannot be seen: {problem.what}"
    hint = "they end when the machine is back in the swarm; `invoke down` again looks"
    return Problem(node=name, what=what, hint=hint, code=ExitCode.UNREACHABLE)

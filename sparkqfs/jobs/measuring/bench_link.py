"""A slower network for the workers, as long as a block runs: Linux's token bucket filter on their interfaces."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from sparkqfs import topology
from sparkqfs.clients.hold import Hold
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.measuring.bench import Link
from sparkqfs.plan.watching.cluster_status import is_worker
from sparkqfs.remote import script

BURST_S = 0.01
"""Worth of traffic that may go at full speed: more than one tick of any kernel."""
LEAST_BURST = 32 * 1024
START_S = 30.0
END_S = 20.0
HANDLE = "5af:"
SCRIPT = script("shape_link")
"""Both ends of the container's link to the overlay, so both directions. It ends with its standard input: whatever ends
the run ends the shaping too. A filter that an earlier run left has the same handle and goes first."""


def _arguments(session: Session, task: TaskFact, link: Link | None, limit_s: float) -> list[str]:
    bits = link.bits_per_s if link is not None else 0
    burst = max(LEAST_BURST, int(bits / 8 * BURST_S))
    network = f"{session.config.name}_{topology.NETWORK}"
    address = task.addresses[0] if task.addresses else ""
    return [task.container_id, address, network, str(bits), str(burst), str(int(limit_s)), HANDLE]


def _workers(session: Session) -> list[TaskFact]:
    seen = status.gather_status(session)
    return [task for task in seen.tasks if is_worker(task.service) and task.is_up and task.container_id]


def remove_leftovers(session: Session) -> None:
    """Take away what a run that died could not; nothing to do as a rule."""
    if session.config.network == "host":
        return
    tasks = {task.node: task for task in _workers(session)}

    def remove(name: str) -> None:
        session.clients.node(name).script(SCRIPT, *_arguments(session, tasks[name], None, 0))

    session.clients.on(tuple(tasks), remove).raise_failures()


@contextlib.contextmanager
def shaped(session: Session, link: Link, limit_s: float) -> Iterator[None]:
    """Hold every worker to `link`, both ways, while the block runs.

    Raises `ClusterError` when a machine cannot do it, and when it did not last to the block's end.
    """
    tasks = {task.node: task for task in _workers(session)}
    holds: list[Hold] = []
    try:
        session.on_event(f"holding each worker's link to {link.text}")
        for node, task in tasks.items():
            holds.append(
                Hold(
                    session.clients.node(node),
                    ["sh", "-c", SCRIPT, "sh", *_arguments(session, task, link, limit_s)],
                    word="shaped",
                    what="shaping the link",
                    hint="it needs iproute2, util-linux and the kernel's sch_tbf; or measure without --link",
                    timeout_s=START_S,
                )
            )
        yield
        ended = [hold.node for hold in holds if not hold.lasts]
        if ended:
            what = f"the link was not held to {link.text} until the end on {', '.join(ended)}: not measured"
            raise ClusterError(Problem(what=what))
    finally:
        _free(session, holds)


def _free(session: Session, holds: list[Hold]) -> None:
    """All at once, then wait for each."""
    for hold in holds:
        hold.let_go()
    deadline = time.monotonic() + END_S
    for hold in holds:
        if not hold.end(max(0.1, deadline - time.monotonic())):
            session.on_event(f"[{hold.node}] the link is freed when this connection ends")

"""What the cluster is, written down by other tasks than prep: init, deploy, purge."""

from __future__ import annotations

import shlex

from sparkqfs.errors import ClusterError
from sparkqfs.jobs.cluster.prep import apply_steps
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.identity import identify, memory_path, private_path
from sparkqfs.plan.cluster.record import plan_record
from sparkqfs.plan.steps import Plan, ShellStep


def write(session: Session, *, erasing: bool = False) -> None:
    """Write the copies that differ, the manager's first: no other node may know more than it. Raises `ClusterError`."""
    made = plan_record(session.config, session.all_facts(), erasing=erasing)
    if made.problems:
        raise ClusterError(*made.problems)
    _apply(session, made)


def settle(session: Session, *, looks_again: bool = False) -> None:
    """Write down that there is a file system, where a run was killed between making and writing it down. `looks_again`
    where this run has made it.
    """
    record = identify(session.config, session.all_facts()).record
    if record is None or record.initialised:
        return
    if looks_again:
        session.facts(fresh=True)
    write(session)


def forget(session: Session) -> None:
    """Let all machines forget the cluster after a purge, which has removed what was on its disks."""
    config = session.config
    steps = []
    for node in config.nodes:
        lines: list[str] = []
        for file in (memory_path(config), *([private_path(config)] if node.manager else [])):
            folder = shlex.quote(str(file.parent))
            lines += [f"rm -f {shlex.quote(str(file))}", f"[ ! -d {folder} ] || to_disk {folder}"]
        steps.append(ShellStep(node=node.name, what="record", why="the cluster was purged", lines=tuple(lines)))
    _apply(session, Plan(steps=tuple(steps)))


def _apply(session: Session, made: Plan) -> None:
    manager = session.config.manager.name
    names = tuple(dict.fromkeys(step.node for step in made.steps))
    for wave in ((manager,), tuple(name for name in names if name != manager)):
        wanted = tuple(name for name in wave if name in names)
        session.clients.on(wanted, lambda name: apply_steps(session, made, name)).raise_failures()
    if names:
        session.facts(fresh=True)

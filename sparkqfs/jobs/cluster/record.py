"""What the cluster is, written down by other tasks than prep: init, deploy, purge, and what puts metadata back."""

from __future__ import annotations

import shlex

from sparkqfs.errors import ClusterError
from sparkqfs.jobs.cluster.prep import Applied, record_alone, without_record
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.identity import identify
from sparkqfs.plan.cluster.record import plan_record
from sparkqfs.plan.cluster.record_paths import memory_path, private_path
from sparkqfs.plan.cluster.takeover import plan_takeover
from sparkqfs.plan.steps import Plan, ShellStep


def write(session: Session, *, erasing: bool = False) -> None:
    """Write the copies that differ, the manager's first: no other node may know more than it. Raises `ClusterError`."""
    _apply(session, plan_record(session.config, session.all_facts(), erasing=erasing))


def settle(session: Session, *, looks_again: bool = False) -> None:
    """Write down what a killed run has not: a node that joined, or that there is a file system. `looks_again` where
    this run may have made it.
    """
    record = identify(session.config, session.all_facts()).record
    if looks_again and (record is None or not record.initialised):
        session.facts(fresh=True)
    write(session)


def take_over(session: Session, *, cluster_id: str | None = None) -> None:
    """Write down on all nodes that answer: the manager is that of `session.config`, and its disks are those of its
    `data_dir`. For a task that has put the metadata there: nothing is asked, whatever the copies say.

    New disks of the manager get marker and name. `cluster_id`: where no disk and no copy says it any more. Facts are
    asked again before and after. Raises `ClusterError`, and has written nothing, where the manager does not answer or a
    disk of it is another cluster's.
    """
    session.facts(fresh=True)
    session.manager_facts()
    _apply(session, plan_takeover(session.config, session.facts()[0], cluster_id=cluster_id))


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
    if made.problems:
        raise ClusterError(*made.problems)
    done = Applied(session)
    done.apply(without_record(made))
    if not done.failed:
        done.apply(record_alone(made))
    if done.problems:
        raise ClusterError(*done.problems)
    if made.steps:
        session.facts(fresh=True)

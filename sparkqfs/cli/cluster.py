"""The cluster, from bare machines to a running stack and down again; nothing here erases."""

from __future__ import annotations

from sparkqfs.cli.flags import Flags, cluster_task, names
from sparkqfs.cli.running import reporter_of, run
from sparkqfs.jobs import deploy as deploy_jobs
from sparkqfs.jobs import down as down_jobs
from sparkqfs.jobs import images, whole
from sparkqfs.jobs import prep as prep_jobs
from sparkqfs.jobs import swarm as swarm_jobs
from sparkqfs.jobs.base import Session
from sparkqfs.plan.steps import JobResult


@cluster_task(
    "only",
    "dry_run",
    help={
        "add": "new nodes or disks that join an initialised cluster",
        "install_engine": "install docker.io where no engine answers (Debian, Ubuntu)",
    },
)
def prep(given: Flags, add: str | None = None, install_engine: bool = False) -> None:
    """Directories, owner, marker, registry trust on every node, in parallel."""

    def job(session: Session) -> JobResult:
        return prep_jobs.run(session, only=names(given.only), adopt=names(add), install_engine=install_engine)

    run("prep", job, given)


@cluster_task("dry_run", "yes")
def swarm(given: Flags) -> None:
    """Join the nodes into a swarm, label them, start the registry."""
    run("swarm", swarm_jobs.run, given, lock=True)


@cluster_task("dry_run", "yes")
def build(given: Flags) -> None:
    """Build the images on the manager's engine; nothing is built that is there."""
    run("build", images.build, given, lock=True)


@cluster_task("dry_run", "yes")
def push(given: Flags) -> None:
    """Push the images to the cluster's registry; nothing is pushed that is there."""
    run("push", images.push, given, lock=True)


@cluster_task("dry_run", "yes")
def deploy(given: Flags) -> None:
    """Deploy the stack and wait until the cluster works. --dry-run prints the stack file."""
    run("deploy", deploy_jobs.run, given, lock=True)


@cluster_task("dry_run", "yes")
def down(given: Flags) -> None:
    """Remove the stack and wait until it is gone; all data is kept."""
    run("down", down_jobs.down, given, lock=True)


@cluster_task("dry_run", "yes")
def plan(given: Flags) -> None:
    """Everything that `up` would do, with reasons; changes nothing."""
    run("plan", whole.plan, given)


@cluster_task("dry_run", "yes")
def up(given: Flags) -> None:
    """Do all that is not yet so, from prep to deploy; never erases."""
    reporter = reporter_of(given)

    def job(session: Session) -> JobResult:
        return whole.plan(session) if session.dry_run else whole.up(session, reporter.stage)

    run("up", job, given, lock=True)


@cluster_task("only")
def doctor(given: Flags) -> None:
    """What is wrong with the machines, each finding with what mends it; changes nothing."""

    def job(session: Session) -> JobResult:
        return whole.doctor(session, names(given.only))

    run("doctor", job, given)

"""The cluster, from bare machines to a running stack and down again; nothing here erases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sparkqfs.cli.flags import Flags, cluster_task, names, offline_task, path_of
from sparkqfs.cli.running import cluster_file, end_with, opened, reporter_of, reporting, run
from sparkqfs.errors import ConfigError

if TYPE_CHECKING:
    from sparkqfs.jobs.session import Session
    from sparkqfs.plan.steps import JobResult


@offline_task(
    "dry_run",
    "sudo_password_file",
    positional=["addresses"],
    many="addresses",
    help={
        "addresses": "machines, the first is the manager: HOST, USER@HOST or USER@HOST:PORT",
        "user": "user to log in as, on machines that are named without one",
        "file": "the file that is written, where there is none",
    },
)
def new(given: Flags, addresses: str, user: str | None = None, file: str = "sparkqfs.yml") -> None:
    """Write a small cluster file for these machines, look at them, and say what they lack.

    For example: new 192.168.1.11 192.168.1.12 192.168.1.13:2222 --user pi
    """
    with reporting(given, "new") as reporter:
        from sparkqfs.jobs.cluster import new as job

        path = path_of("--file", file)
        if given.dry_run:
            result = job.planned(path, names(addresses), user)
        else:
            job.write(path, names(addresses), user)
            with opened(replace(given, hosts=str(path)), reporter.event) as session:
                result = job.look(session, is_found=_is_found(path))
        reporter.result(result)
    end_with(result)


def _is_found(path: Path) -> bool:
    """Whether tasks take this file when none is named."""
    try:
        return cluster_file(None).path.absolute() == path.absolute()
    except ConfigError:  # somebody else's file is above
        return False


@cluster_task(
    "only",
    "dry_run",
    help={
        "add": "new nodes or disks that join an initialised cluster: NODE:DISK, DISK its path or number",
        "forget": "nodes or disks whose data was copied away or is given up: NODE, NODE:DISK",
        "here": "the cluster's name: it is in the directories of hosts.yml, whatever is remembered elsewhere",
        "install_engine": "start the engine, or install docker.io where there is none (Debian, Ubuntu)",
    },
)
def prep(
    given: Flags,
    add: str | None = None,
    forget: str | None = None,
    here: str | None = None,
    install_engine: bool = False,
) -> None:
    """Prepare every node: directories, owner, marker, registry trust."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.cluster import prep

        words = {"adopt": names(add), "forget": names(forget)}
        return prep.run(session, only=names(given.only), **words, here=here, install_engine=install_engine)

    run("prep", job, given)


@cluster_task("dry_run", "yes")
def swarm(given: Flags) -> None:
    """Join the nodes into a swarm, label them, start the registry."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.cluster import swarm

        return swarm.run(session)

    run("swarm", job, given, lock=True)


@cluster_task("dry_run", "yes")
def build(given: Flags) -> None:
    """Build the images on the manager; images that exist already are skipped."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.cluster import images

        return images.build(session)

    run("build", job, given, lock=True)


@cluster_task("dry_run", "yes")
def push(given: Flags) -> None:
    """Push the images to the cluster's registry; images that it has already are skipped."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.cluster import images

        return images.push(session)

    run("push", job, given, lock=True)


@cluster_task(
    "dry_run", "yes", help={"accept-older": "go on with older metadata, and give this state of its copies up"}
)
def deploy(given: Flags, accept_older: str | None = None) -> None:
    """Deploy the stack and wait until the cluster works. --dry-run prints the stack file."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.cluster import deploy

        return deploy.run(session, accept_older=accept_older)

    run("deploy", job, given, lock=True)


@cluster_task("dry_run", "yes")
def down(given: Flags) -> None:
    """Remove the stack and wait until it is gone; all data is kept."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.cluster import down

        return down.down(session)

    run("down", job, given, lock=True)


@cluster_task("dry_run", "yes", help={"all": "the previous version too; `deploy` with it needs its images built again"})
def clean(given: Flags, all: bool = False) -> None:
    """Remove images of earlier versions that nothing uses, after saying which, where, and how many bytes."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.cluster import clean

        return clean.run(session, everything=all)

    run("clean", job, given, lock=True)


@cluster_task("dry_run", "yes")
def plan(given: Flags) -> None:
    """Show what `up` would do, with reasons; changes nothing."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.cluster import whole

        return whole.plan(session)

    run("plan", job, given)


@cluster_task("dry_run", "yes")
def up(given: Flags) -> None:
    """Bring the cluster up: does only the steps that are still missing. Never erases data."""
    reporter = reporter_of(given)

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.cluster import whole

        return whole.plan(session) if session.dry_run else whole.up(session, reporter.stage)

    run("up", job, given, lock=True)


@cluster_task("only", "dry_run", help={"fix": "run the commands that are safe; with --dry-run only say which"})
def doctor(given: Flags, fix: bool = False) -> None:
    """Check the machines and say how to fix each problem. Changes nothing without --fix."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.cluster import doctor

        return doctor.run(session, names(given.only), fix=fix)

    run("doctor", job, given, changes=fix)

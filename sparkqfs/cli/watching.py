"""How the cluster is: at a glance, again and again, and in its logs."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

from sparkqfs.cli.flags import Flags, cluster_task, names
from sparkqfs.cli.running import a_node, end_with, opened, reporting, run
from sparkqfs.errors import ConfigError, ExitCode, Problem

if TYPE_CHECKING:
    from sparkqfs.jobs.session import Session
    from sparkqfs.plan.steps import JobResult


UNSAID = -1


@cluster_task(
    short={"watch": "w"}, help={"watch": "again every two seconds, until Ctrl-C; with --json one document a line"}
)
def status(given: Flags, watch: bool = False) -> None:
    """Spark, storage and Swarm at a glance. Exit 0 healthy, 1 degraded, 3 unreachable."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.watching import status

        return status.run(session)

    if not watch:
        run("status", job, given)
        return
    with reporting(given, "status", by_line=True) as reporter:
        try:
            with opened(given, lambda _text: None) as session:
                while True:
                    reporter.watched(job(session.again()))
                    time.sleep(2)
        except KeyboardInterrupt:  # the usual end, and no line of JSON more
            os._exit(int(ExitCode.INTERRUPTED))


@cluster_task(
    "only",
    help={
        "once": "one look, then end",
        "interval": "seconds between two looks; with --json one document a line",
    },
)
def top(given: Flags, once: bool = False, interval: float = 2.0) -> None:
    """CPU, memory, disk, network, temperature of the machines; progress of what runs on Spark. Until Ctrl-C."""
    with reporting(given, "top", by_line=True) as reporter:
        if not 0.2 <= interval <= 3600:
            raise ConfigError(Problem(what=f"--interval {interval:g}: must be 0.2 to 3600 seconds"))
        result: JobResult | None = None
        try:
            with opened(given, lambda _text: None) as session:
                from sparkqfs.jobs.watching import top

                looks = top.watch(session, only=names(given.only), interval_s=interval)
                for result in itertools.islice(looks, 1 if once else None):
                    reporter.watched(result)
        except KeyboardInterrupt:  # the usual end, and no line of JSON more
            os._exit(int(ExitCode.INTERRUPTED))
    if result is not None:
        end_with(result)


@cluster_task(help={"max": "files that are named at most; all are counted", "timeout": "seconds"})
def fsck(given: Flags, max: int = 100, timeout: int = 300) -> None:
    """Which files are lost or have too few copies, and where those are. Exit 0 none, 1 some, or not known."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.watching import fsck

        return fsck.run(session, most=max, timeout_s=timeout)

    run("fsck", job, given)


@cluster_task(help={"limit": "so many, the latest"})
def history(given: Flags, limit: int = 20) -> None:
    """Who has changed the cluster, with which task, when, and how it ended."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.watching import history

        return history.run(session, limit=limit)

    run("history", job, given)


@cluster_task(
    "only",
    short={"follow": "f"},
    may_be_empty=("grep",),
    help={
        "service": "one service",
        "on": "only on these nodes, comma-separated (default: on all)",
        "tail": "lines of each container (default: 50, with --since or --grep all)",
        "since": "lines from this time on: 2026-01-31T12:00, or 10m, 1h30m, 2d ago",
        "grep": "lines in which this regular expression is found",
        "follow": "keep showing what comes, until Ctrl-C; with --json one document a line",
    },
)
def logs(
    given: Flags,
    service: str | None = None,
    on: str | None = None,
    tail: int = UNSAID,
    since: str | None = None,
    grep: str | None = None,
    follow: bool = False,
) -> None:
    """What the stack's containers print, of all machines in the order of time."""
    with reporting(given, "logs", by_line=follow) as reporter:
        from sparkqfs.plan.times import moment
        from sparkqfs.plan.watching.logs import Wanted, pattern_of

        wanted = Wanted(
            service=service,
            tail=None if tail == UNSAID else tail,
            since=None if since is None else moment("--since", since, time.time()),
            grep=pattern_of(grep),
        )
        try:
            with opened(given, reporter.event, a_node("--on", *names(on))) as session:
                from sparkqfs.jobs.watching import logs as job

                chosen = {*names(given.only), *names(on)}
                nodes = tuple(one.name for one in session.config.nodes if not chosen or one.name in chosen)
                if follow:
                    job.follow(session, wanted, nodes, reporter.log_lines)
                else:
                    result = job.show(session, wanted, nodes)
        except KeyboardInterrupt:
            if not follow:
                raise
            os._exit(int(ExitCode.INTERRUPTED))  # the usual end, and no line of JSON more
        reporter.result(result)
    end_with(result)

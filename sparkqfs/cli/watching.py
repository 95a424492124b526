"""How the cluster is: at a glance, again and again, and in its logs."""

from __future__ import annotations

import itertools
import os
import time

from sparkqfs.cli.flags import Flags, cluster_task, names
from sparkqfs.cli.running import end_with, hosts_file, reporting, run, sudo_password
from sparkqfs.clients.connect import open_clients
from sparkqfs.config import load_config
from sparkqfs.errors import ConfigError, ExitCode, Problem
from sparkqfs.jobs import compute
from sparkqfs.jobs import status as status_jobs
from sparkqfs.jobs import top as top_jobs
from sparkqfs.jobs.base import Session
from sparkqfs.plan.steps import JobResult


@cluster_task(help={"watch": "again every two seconds, until Ctrl-C; with --json one document a line"})
def status(given: Flags, watch: bool = False) -> None:
    """Spark, storage and Swarm at a glance. Exit 0 healthy, 1 degraded, 3 unreachable."""
    if not watch:
        run("status", status_jobs.run, given)
        return
    with reporting(given, "status") as reporter:
        config = load_config(hosts_file(given.hosts))
        try:
            with open_clients(config, sudo_password(given.sudo_password_file)) as clients:
                while True:
                    reporter.watched(status_jobs.run(Session(config, clients, lambda _text: None)))
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
    with reporting(given, "top") as reporter:
        if not 0.2 <= interval <= 3600:
            raise ConfigError(Problem(what=f"--interval {interval}: 0.2 to 3600 seconds"))
        config = load_config(hosts_file(given.hosts))
        result: JobResult | None = None
        try:
            with open_clients(config, sudo_password(given.sudo_password_file)) as clients:
                session = Session(config, clients, lambda _: None)
                looks = top_jobs.watch(session, only=names(given.only), interval_s=interval)
                for result in itertools.islice(looks, 1 if once else None):
                    reporter.watched(result)
        except KeyboardInterrupt:  # the usual end, and no line of JSON more
            os._exit(int(ExitCode.INTERRUPTED))
    if result is not None:
        end_with(result)


@cluster_task("only", help={"service": "one service", "tail": "lines of each container"})
def logs(given: Flags, service: str | None = None, tail: int = 50) -> None:
    """The last log lines of the stack's containers."""

    def job(session: Session) -> JobResult:
        return compute.logs(session, service=service, tail=tail, only=names(given.only))

    run("logs", job, given)

"""What runs on Spark: programs, the shell, notebooks, and the applications they become."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from invoke.exceptions import ParseError

from sparkqfs.cli.flags import Flags, cluster_task, path_of
from sparkqfs.cli.numbers import read
from sparkqfs.cli.running import input_text, reporter_of, reporting, run
from sparkqfs.errors import ConfigError, Problem

if TYPE_CHECKING:
    from sparkqfs.jobs.session import Session
    from sparkqfs.plan.steps import JobResult


@cluster_task(help={"timeout": "seconds, then what came from standard input is ended; no terminal"})
def shell(given: Flags, timeout: int = 86400) -> None:
    """Spark's Python shell on the cluster; without a terminal it runs what standard input gives."""
    reporter = reporter_of(given)

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import shell

        read = None if sys.stdin.isatty() and sys.stdout.isatty() else input_text
        return shell.shell(session, read=read, output=reporter.passed_on, timeout_s=timeout)

    run("shell", job, given, has_screen=True)


@cluster_task(help={"last": "ended applications to show"})
def apps(given: Flags, last: int = 20) -> None:
    """The cluster's applications, running and ended, with their links."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import apps

        return apps.apps(session, last=last)

    run("apps", job, given)


@cluster_task("dry_run", positional=["application"], help={"application": "ID from `apps`"})
def kill(given: Flags, application: str) -> None:
    """End a running application; one that has ended is left as it is."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import apps

        return apps.kill(session, application)

    run("kill", job, given)


@cluster_task(
    name="logs",
    positional=["application"],
    short={"follow": "f"},
    help={
        "application": "ID from `apps`",
        "tail": "lines of each file",
        "follow": "keep showing the output until the program ends",
    },
)
def app_logs(given: Flags, application: str, tail: int = 50, follow: bool = False) -> None:
    """Show the output of an application: of its driver, and of its executors on every node."""
    reporter = reporter_of(given)

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import apps

        if follow:
            return apps.follow(session, application, output=reporter.passed_on)
        return apps.logs(session, application, tail=tail)

    run("app.logs", job, given, has_screen=True)


@cluster_task(
    "dry_run",
    iterable=["adopt"],
    help={
        "adopt": "give a name to this directory of the warehouse, or to `all` without one; more than one allowed",
        "sizes": "ask the storage how large each table is",
        "timeout": "seconds",
    },
)
def tables(given: Flags, adopt: list[str] | None = None, sizes: bool = False, timeout: int = 3600) -> None:
    """Tables by name, with what is known of them, and directories of the warehouse that have no name."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import tables

        return tables.run(session, adopt=tuple(adopt or ()), sizes=sizes, timeout_s=timeout)

    run("tables", job, given, changes=bool(adopt))


@cluster_task("dry_run", "yes")
def token(given: Flags) -> None:
    """Show the Jupyter token and the address to click."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import compute

        return compute.token(session)

    run("token", job, given)


@cluster_task(
    positional=["name"],
    iterable=["param"],
    help={
        "name": "one of the cluster, `folder/name` without .ipynb, or a file of this computer: ./mine.ipynb",
        "max_value": "sets the parameter MAX_VALUE",
        "param": "NAME=VALUE, more than one allowed",
        "out": "directory for the results",
        "timeout": "give up after so many seconds",
    },
)
def notebook(
    given: Flags,
    name: str,
    max_value: str | None = None,
    param: list[str] | None = None,
    out: str = "results",
    timeout: int = 3600,
) -> None:
    """Run a notebook headless on the cluster, one that is there or a file of yours; bring back its results."""
    with reporting(given, "notebook"):
        parameters = dict(_parameter(text) for text in param or [])
        if max_value is not None:
            try:
                parameters["MAX_VALUE"] = str(read("--max-value", max_value, int, 0))
            except ParseError as error:
                raise ConfigError(Problem(what=str(error))) from error

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import compute

        return compute.notebook(session, name, parameters, out=path_of("--out", out), timeout_s=timeout)

    run("notebook", job, given)


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ConfigError(Problem(what=f"--param {text}: expected NAME=VALUE"))
    return name, value

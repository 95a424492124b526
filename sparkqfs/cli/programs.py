"""What runs on Spark: programs, the shell, notebooks, and the applications they become."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sparkqfs.cli.flags import Flags, cluster_task, names
from sparkqfs.cli.running import reporter_of, reporting, run
from sparkqfs.errors import ConfigError, Problem

if TYPE_CHECKING:
    from sparkqfs.jobs.session import Session
    from sparkqfs.plan.steps import JobResult


@cluster_task(
    "dry_run",
    positional=["program"],
    iterable=["conf"],
    help={
        "program": "a .py or .jar file of this computer, or a URI; its own arguments follow --",
        "name": "name of the application (default: the file's)",
        "class_": "main class of a .jar",
        "py_files": "modules it imports: .py, .zip or .egg, comma-separated",
        "jars": "jars for driver and executors, comma-separated",
        "files": "files for every executor's working directory, comma-separated",
        "conf": "spark.NAME=VALUE, more than one allowed",
        "cores": "cores, up to whole executors, or all (default: half of the executors, one on each node at least)",
        "driver_memory": "heap of the driver, 2g or 512m",
        "detach": "leave it running and say its id",
        "timeout": "seconds, then it is ended",
    },
)
def submit(
    given: Flags,
    program: str,
    name: str | None = None,
    class_: str | None = None,
    py_files: str | None = None,
    jars: str | None = None,
    files: str | None = None,
    conf: list[str] | None = None,
    cores: str | None = None,
    driver_memory: str | None = None,
    detach: bool = False,
    timeout: int = 86400,
) -> None:
    """Run a program on the cluster: its output here, its exit code ours, Ctrl-C ends it."""
    with reporting(given, "submit") as reporter:
        cores_asked, memory_mib = cores_of(cores), memory_of(driver_memory)

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import submit
        from sparkqfs.plan.programs.apps import Program

        wanted = Program(
            program=program,
            arguments=passed_words(),
            name=name,
            main_class=class_,
            py_files=names(py_files),
            jars=names(jars),
            files=names(files),
            conf=tuple(conf or ()),
            cores=cores_asked,
            driver_memory_mib=memory_mib,
        )
        return submit.submit(
            session, wanted, output=reporter.passed_on, detach=detach, take_all=cores == "all", timeout_s=timeout
        )

    run("submit", job, given)


def passed_words() -> tuple[str, ...]:
    """What follows `--` on the command line, word by word: Invoke itself would join it."""
    words = sys.argv[1:]
    return tuple(words[words.index("--") + 1 :]) if "--" in words else ()


def cores_of(text: str | None) -> int | None:
    """A number of cores; `None` for the default and for `all`. Raises `ConfigError`."""
    if text is None or text == "all":
        return None
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(Problem(what=f"--cores {text}: a number from 1 on, or all"))
    return int(text)


def memory_of(text: str | None) -> int | None:
    """MiB of `2g` or `512m`. Raises `ConfigError`."""
    if text is None:
        return None
    if not text[:-1].isdigit() or text[-1] not in "mg":
        raise ConfigError(Problem(what=f"--driver-memory {text}: 2g or 512m is wanted"))
    return int(text[:-1]) * (1024 if text[-1] == "g" else 1)


@cluster_task(help={"timeout": "seconds, then what came from standard input is ended; no terminal"})
def shell(given: Flags, timeout: int = 86400) -> None:
    """Spark's Python shell on the cluster; without a terminal it runs what standard input gives."""
    reporter = reporter_of(given)

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import shell

        read = None if sys.stdin.isatty() and sys.stdout.isatty() else sys.stdin.read
        return shell.shell(session, read=read, output=reporter.passed_on, timeout_s=timeout)

    run("shell", job, given)


@cluster_task(help={"last": "ended applications to show"})
def apps(given: Flags, last: int = 20) -> None:
    """The cluster's applications, running and ended, with their links."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import apps

        return apps.apps(session, last=last)

    run("apps", job, given)


@cluster_task("dry_run", positional=["application"], help={"application": "its id"})
def kill(given: Flags, application: str) -> None:
    """End a running application; one that has ended is left as it is."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import apps

        return apps.kill(session, application)

    run("kill", job, given)


@cluster_task(
    name="logs",
    positional=["application"],
    help={"application": "its id", "tail": "lines of each file", "follow": "what submit would show, to its end"},
)
def app_logs(given: Flags, application: str, tail: int = 50, follow: bool = False) -> None:
    """Output of an application: of its driver, and of its executors on every node."""
    reporter = reporter_of(given)

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import apps

        if follow:
            return apps.follow(session, application, output=reporter.passed_on)
        return apps.logs(session, application, tail=tail)

    run("app.logs", job, given)


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
        "name": "notebook, without .ipynb",
        "max_value": "its MAX_VALUE",
        "param": "NAME=VALUE, more than one allowed",
        "out": "where its files go",
        "timeout": "seconds",
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
    """Run a notebook headless on the cluster; bring back the executed notebook and an HTML page."""
    with reporting(given, "notebook"):
        parameters = dict(_parameter(text) for text in param or [])
        if max_value is not None:
            if not str(max_value).replace("_", "").isdigit():
                raise ConfigError(Problem(what=f"--max-value {max_value}: a whole number is wanted"))
            parameters["MAX_VALUE"] = str(int(str(max_value).replace("_", "")))

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import compute

        return compute.notebook(session, name, parameters, out=Path(out), timeout_s=timeout)

    run("notebook", job, given)


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ConfigError(Problem(what=f"--param {text}: NAME=VALUE is wanted"))
    return name, value

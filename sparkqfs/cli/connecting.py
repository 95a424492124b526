"""Programs and tools of this computer on the cluster: `connect`, `jdbc`, `sql`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sparkqfs.cli.flags import Flags, cluster_task
from sparkqfs.cli.running import end_with, input_text, opened, recording, reporting, sudo_password
from sparkqfs.cli.submitting import memory_of, number_of
from sparkqfs.errors import ConfigError, ExitCode, Problem

if TYPE_CHECKING:
    from sparkqfs.plan.programs.server import Wishes
    from sparkqfs.plan.steps import JobResult


def wishes_of(idle: int | None, cores: str | None, driver_memory: str | None) -> Wishes:
    """What a new server is started with. Raises `ConfigError`."""
    from sparkqfs.plan.programs.server import IDLE_MINUTES, Wishes, check_idle

    return Wishes(
        idle_minutes=check_idle(IDLE_MINUTES if idle is None else idle),
        cores=None if cores == "all" else number_of("--cores", cores, ", or all"),
        take_all=cores == "all",
        driver_memory_mib=memory_of("--driver-memory", driver_memory),
    )


def check_port(port: int) -> int:
    """Of this computer; 0 is any. Raises `ConfigError`."""
    if port and not 1024 <= port <= 65535:
        raise ConfigError(Problem(what=f"--port {port}: 1024 to 65535"))
    return port


@cluster_task(
    "dry_run",
    help={
        "exec_": "run this Python program of this computer there, then end; its arguments in the same quotes",
        "python": "Python that runs it (default: of the active environment, else the first that has Spark's client)",
        "port": "port of this computer (default: 15002 where it is free, else any)",
        "cores": "of a new server: cores, or all (default: half of the executors, one on each node at least)",
        "driver_memory": "of a new server: heap, 2g or 512m",
        "idle": "of a new server: minutes without use after which it ends",
        "stop": "end the server now",
    },
)
def connect(
    given: Flags,
    exec_: str | None = None,
    python: str | None = None,
    port: int = 0,
    cores: str | None = None,
    driver_memory: str | None = None,
    idle: int = 30,
    stop: bool = False,
) -> None:
    """Spark Connect for programs of this computer, through a tunnel that lasts until Ctrl-C."""
    with reporting(given, "connect") as reporter:
        wishes = wishes_of(idle, cores, driver_memory)
        check_port(port)
        if exec_ is not None and stop:
            raise ConfigError(Problem(what="--exec and --stop: one at a time"))
        result: JobResult
        try:
            with opened(given, reporter.event) as session, recording(session, "connect") as record:
                from sparkqfs.jobs.programs import connect as job

                if stop:
                    result = job.end(session)
                else:
                    words = job.program_words(exec_) if exec_ is not None else ()
                    local = job.Local(words=words, python=python, port=port, stdout=2 if given.json else None)
                    result = job.connect(session, wishes, local, reporter.result)
                record.code = int(result.exit_code)
        except KeyboardInterrupt:  # the usual end
            os._exit(int(ExitCode.INTERRUPTED))
        if stop or given.dry_run or exec_ is not None:
            reporter.result(result)
        else:  # what the tunnel is has been said
            reporter.problems(result.problems)
    end_with(result)


@cluster_task("dry_run", help={"port": "port of this computer (default: 10000 where it is free, else any)"})
def jdbc(given: Flags, port: int = 0) -> None:
    """A JDBC server for tools of this computer, through a tunnel that lasts until Ctrl-C."""
    with reporting(given, "jdbc") as reporter:
        check_port(port)
        try:
            with opened(given, reporter.event) as session, recording(session, "jdbc") as record:
                from sparkqfs.jobs.programs import jdbc as job

                result = job.jdbc(session, port, reporter.result)
                record.code = int(result.exit_code)
        except KeyboardInterrupt:  # the usual end
            os._exit(int(ExitCode.INTERRUPTED))
        if given.dry_run:
            reporter.result(result)
        else:  # what the tunnel is has been said
            reporter.problems(result.problems)
    end_with(result)


def text_of(statements: str | None, file: str | None) -> tuple[str, str] | None:
    """Statements and what errors call them, from `-e` or `-f`; `None` for neither. Raises `ConfigError`."""
    if statements is not None and file is not None:
        raise ConfigError(Problem(what="-e and -f: one at a time"))
    if file is None:
        return None if statements is None else (statements, "")
    if file == "-":
        return input_text(), ""
    try:
        return Path(file).expanduser().read_text(encoding="utf-8-sig"), file
    except OSError as error:
        raise ConfigError(Problem(what=f"-f {file}: {error.strerror}")) from error
    except UnicodeDecodeError as error:
        raise ConfigError(Problem(what=f"-f {file}: not UTF-8 (byte {error.start + 1})")) from error
    except RuntimeError as error:  # nobody has this home
        raise ConfigError(Problem(what=f"-f {file}: {error}")) from error


@cluster_task(
    may_be_empty=("e",),
    help={
        "e": "these statements, then end",
        "f": "the statements of this file of this computer, then end; - is standard input",
        "csv": "rows as CSV, with a header",
        "timeout": "seconds, then a text's statements are ended",
    },
)
def sql(given: Flags, e: str | None = None, f: str | None = None, csv: bool = False, timeout: int = 86400) -> None:
    """SQL on the cluster: a shell at a terminal, else statements of -e, -f or standard input."""
    with reporting(given, "sql") as reporter:
        if csv and given.json:
            raise ConfigError(Problem(what="--csv and --json: one at a time"))
        text = text_of(e, f)
        at_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not (csv or given.json)
        if text is None and not at_terminal:
            sudo_password(given.sudo_password_file)  # where it is asked for here, its line comes first
            text = input_text(), ""
        form = "records" if given.json else "csv" if csv else "table"
        with opened(given, reporter.event) as session, recording(session, "sql") as record:
            from sparkqfs.jobs.programs import sql as job

            if text is None:
                result = job.shell(session, reporter.passed_on)
            else:
                with reporter.patience():
                    result = job.run(session, job.Text(*text), form, reporter.passed_on, timeout)
            record.code = int(result.exit_code)
        reporter.result(result)
    end_with(result)

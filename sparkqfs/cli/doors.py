"""Ways into the cluster for a person: `open`, `exec`, `login`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from invoke import Argument

from sparkqfs.cli.connecting import check_port
from sparkqfs.cli.flags import Flags, cluster_task, names
from sparkqfs.cli.help_flag import HelpfulTask, bare_words
from sparkqfs.cli.running import a_node, end_with, opened, recording, reporter_of, reporting, run
from sparkqfs.cli.submit_words import Word
from sparkqfs.errors import ConfigError, ExitCode, Problem

if TYPE_CHECKING:
    from sparkqfs.config.model import ClusterConfig
    from sparkqfs.jobs.session import Session
    from sparkqfs.plan.steps import JobResult


@cluster_task(
    "dry_run",
    name="open",
    positional=["page"],
    help={
        "page": "jupyter, spark, history or storage",
        "port": "port of this computer (default: the page's own where it is free, else any)",
        "no_browser": "only say the address",
    },
)
def open_page(given: Flags, page: str, port: int = 0, no_browser: bool = False) -> None:
    """Open a page of the cluster in the browser, through an SSH tunnel that lasts until Ctrl-C."""
    with reporting(given, "open") as reporter:
        from sparkqfs.plan.programs.doors import check_page

        check_page(page)
        check_port(port)
        try:
            with opened(given, reporter.event) as session:
                from sparkqfs.jobs.programs import pages

                if given.dry_run:
                    reporter.result(pages.planned(session, page))
                    return
                pages.open_page(session, page, port=port, with_browser=not no_browser, show=reporter.result)
        except KeyboardInterrupt:  # the usual end
            os._exit(int(ExitCode.INTERRUPTED))


def _stray(task: HelpfulTask, arguments: list[Argument]) -> list[Argument]:
    """A command without `--` before it: a word at which the command line ends with the form to type."""
    words = sys.argv[1:]
    before = words[: words.index("--")] if "--" in words else words
    stray = bare_words(before, task.called or frozenset(["exec"]), task.others, arguments)
    if not stray:
        return []

    def end() -> None:
        with reporting(Flags(json="--json" in words, verbose="--verbose" in words), "exec"):
            raise ConfigError(_no_command(f"{stray[0]}: the command follows --"))

    return [Word(0, end)]


def _no_command(what: str) -> Problem:
    return Problem(what=what, hint="as in: `invoke exec -- uname -r`, or `invoke exec --on node2 -- df -h /`")


def _command() -> list[str]:
    """The words behind `--`, as they were typed. Raises `ConfigError` without one."""
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    if not words or not words[0].strip():
        raise ConfigError(_no_command("exec needs a command behind --"))
    return words


@cluster_task(
    "dry_run",
    name="exec",
    more=_stray,
    help={
        "on": "only on these nodes, comma-separated (default: on all)",
        "timeout": "seconds, then it is ended",
    },
)
def exec_(given: Flags, on: str | None = None, timeout: int = 86400) -> None:
    """Run the command behind -- on all nodes or on some, as root; each line has its node before it."""
    with reporting(given, "exec") as reporter:
        words, chosen = _command(), names(on)
        with opened(given, reporter.event, a_node("--on", *chosen)) as session, recording(session, "exec") as record:
            from sparkqfs.jobs.programs import on_nodes

            all_names = [node.name for node in session.config.nodes]
            those = tuple(name for name in all_names if name in chosen or not chosen)
            say = None if given.json else reporter.line_of
            result = on_nodes.run(session, words, those, say=say, timeout_s=timeout)
            record.code = int(result.exit_code)
        reporter.result(result)
    end_with(result)


@cluster_task(
    "dry_run",
    positional=["target"],
    help={"target": "a node, or a service of the stack", "on": "the node, for a service that runs on several"},
)
def login(given: Flags, target: str, on: str | None = None) -> None:
    """Open a terminal on a node, or in the container of a service."""
    reporter = reporter_of(given)
    with reporting(given, "login"):
        if not (given.dry_run or (sys.stdin.isatty() and sys.stdout.isatty())):
            hint = "`invoke exec --on NODE -- COMMAND` runs a command without one"
            raise ConfigError(Problem(what="login needs a terminal, and here is none", hint=hint))

    def check(config: ClusterConfig) -> ClusterConfig:
        from sparkqfs.plan.programs.doors import target_of

        target_of(config, target, on)
        return config

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.programs import login
        from sparkqfs.plan.programs.doors import target_of

        return login.login(session, target_of(session.config, target, on), reporter.passed_on)

    run("login", job, given, has_screen=True, adapt=check)

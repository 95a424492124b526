"""One job from its flags to its report and exit code.

`sparkqfs --list` imports all of `sparkqfs.cli`. So these modules import only each other at their head; what a command
needs it imports when it runs, and what talks to machines after its hosts.yml was found right.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import getpass
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Exit

from sparkqfs.cli.flags import Flags, names, path_of, values_of
from sparkqfs.cli.guide import CHANGES_NOTHING
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem
from sparkqfs.streams import CannotWrite, NobodyReads, read_some, tell, to_nowhere

if TYPE_CHECKING:
    from sparkqfs.config.finding import ClusterFile
    from sparkqfs.config.model import ClusterConfig
    from sparkqfs.jobs.audit import Recording
    from sparkqfs.jobs.session import OnEvent, Session
    from sparkqfs.plan.steps import JobResult
    from sparkqfs.report.reporter import Reporter

    Job = Callable[[Session], JobResult]

READ_BYTES = 1 << 16
MOST_PASSWORD = 4096
"""Bytes of its line."""


def forget_empty_home() -> None:
    """An empty `$HOME` counts as unset, as for ssh: `~` is then the account's home directory."""
    if os.environ.get("HOME") == "":
        del os.environ["HOME"]


def cluster_file(hosts: str | None) -> ClusterFile:
    """The one cluster of this command line: `build push --hosts X` means X for both tasks.

    Raises `ConfigError` when the command line names two.
    """
    from sparkqfs.config.finding import VARIABLE, find, named_file

    return named_file(_only_value("--hosts", hosts, "one cluster"), os.environ.get(VARIABLE)) or find()


def _only_value(flag: str, given: str | None, one: str) -> str | None:
    different = sorted({*values_of(sys.argv[1:], flag), *([given] if given is not None else [])})
    if len(different) > 1:
        what = f"{flag} {f' and {flag} '.join(different)} in one command line: {one} at a time"
        raise ConfigError(Problem(what=what))
    return different[0] if different else None


def ask(yes: bool) -> Callable[[str], bool]:
    """y/N with default N; `--yes` answers; without a terminal the answer is no."""

    def confirm(question: str) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            return False
        tell(f"{question} [y/N] ")  # standard output is for the result
        return _answer().lower() in ("y", "yes")

    return confirm


def sudo_password(path: str | None) -> str | None:
    """The password of `--sudo-password-file`, of whichever task; `-` asks for it, once a command line."""
    path = _only_value("--sudo-password-file", path, "one password")
    return None if path is None else _read_password(path)


def _asked_password() -> str:
    """At the terminal; without one the first line of standard input. Raises `ConfigError` where there is neither."""
    with contextlib.suppress(OSError), Path("/dev/tty").open("rb"):
        return getpass.getpass("sudo password: ")
    line = b""
    while not line.endswith(b"\n") and len(line) < MOST_PASSWORD and (one := read_some(0, 1)):
        line += one  # one by one: what follows the line is for the task, such as `put -`
    if not line:
        hint = "name a file that only you may read, or give the password on standard input"
        raise ConfigError(Problem(what="--sudo-password-file -: there is no terminal to ask at", hint=hint))
    if len(line) == MOST_PASSWORD:
        raise ConfigError(Problem(what="--sudo-password-file -: the first line of standard input is too long"))
    return line.decode().rstrip("\r\n")


@functools.cache
def _read_password(path: str) -> str:
    try:
        if path == "-":
            return _asked_password()
        return path_of("--sudo-password-file", path).read_text(encoding="utf-8").rstrip("\n")
    except UnicodeError as error:
        raise ConfigError(Problem(what=f"--sudo-password-file {path}: not UTF-8")) from error
    except OSError as error:
        raise ConfigError(Problem(what=f"--sudo-password-file {path}: {error.strerror}")) from error


def reporter_of(given: Flags, *, by_line: bool = False) -> Reporter:
    """Where this command's output goes. `by_line`: a JSON document is a line, an error too."""
    from sparkqfs.report.reporter import Reporter

    return Reporter(as_json=given.json, verbose=given.verbose, by_line=by_line)


@contextlib.contextmanager
def reporting(given: Flags, name: str, *, by_line: bool = False) -> Iterator[Reporter]:
    """Errors become a report and an exit code, in one place; standard output that takes no more, one line."""
    try:
        with _reported(name, reporter_of(given, by_line=by_line)) as reporter:
            yield reporter
    except CannotWrite as error:
        to_nowhere(1)
        tell(f"{error}\n")
        raise Exit(code=int(ExitCode.FAILED)) from None


@contextlib.contextmanager
def _reported(name: str, reporter: Reporter) -> Iterator[Reporter]:
    from sparkqfs.plan.steps import JobResult

    try:
        yield reporter
    except ClusterError as error:
        if reporter.verbose:
            reporter.err.print_exception()
        reporter.result(JobResult(task=name, problems=error.problems, code=error.exit_code))
        raise Exit(code=int(error.exit_code)) from None
    except (Exit, CannotWrite):
        raise
    except NobodyReads:  # whoever read it has had enough
        to_nowhere(1)
        raise Exit(code=int(ExitCode.OK)) from None
    except Exception as error:  # noqa: BLE001 - the last place before the user
        if reporter.verbose:
            reporter.err.print_exception()
        problem = _unforeseen(error)
        reporter.result(JobResult(task=name, problems=(problem,), code=problem.code))
        raise Exit(code=int(problem.code)) from None
    except KeyboardInterrupt:
        interrupted = Problem(what="interrupted", code=ExitCode.INTERRUPTED)
        with contextlib.suppress(CannotWrite):
            reporter.result(JobResult(task=name, problems=(interrupted,)))
        tell("")
        os._exit(int(ExitCode.INTERRUPTED))  # a thread that still waits for a machine must not hold up the end


def _unforeseen(error: Exception) -> Problem:
    """What nobody has caught: a defect, but for names that no file of this computer can have."""
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        from sparkqfs.shortening import shortened

        return Problem(what=f"{shortened(str(error.filename or ''), 80)}: {error.strerror}", code=ExitCode.USAGE)
    what = f"unexpected {type(error).__name__}: {error}"
    return Problem(what=what, hint="this is a defect of sparkqfs; --verbose shows where", code=ExitCode.FAILED)


def input_text() -> str:
    """All of standard input, without a byte order mark. Raises `ConfigError` for bytes that are no text."""
    found = b"".join(iter(lambda: read_some(0, READ_BYTES), b""))
    try:
        return io.StringIO(found.decode("utf-8-sig"), newline=None).getvalue()
    except UnicodeError as error:
        raise ConfigError(Problem(what="standard input: not UTF-8")) from error


def ask_word(question: str) -> str:
    """What is typed at the terminal; nothing without one."""
    if not sys.stdin.isatty():
        return ""
    tell(question)
    return _answer()


def _answer() -> str:
    try:
        return input().strip()
    finally:
        tell("")


def load(given: Flags, *, erases: bool = False) -> ClusterConfig:
    """The cluster of these flags, after its file was named on standard error. Raises `ConfigError`."""
    from sparkqfs.config.finding import check_may_erase, check_not_sample
    from sparkqfs.config.loading import load_config
    from sparkqfs.report.reporter import name_file, plain

    file = cluster_file(given.hosts)
    name_file(plain(file.path.name))
    if erases:
        check_may_erase(file)
    config = load_config(file.path, hint=file.hint)
    check_not_sample(config)
    tell(f"cluster file: {plain(str(file.path))}\n")
    return config


@contextlib.contextmanager
def opened(
    given: Flags,
    on_event: OnEvent,
    adapt: Callable[[ClusterConfig], ClusterConfig] = lambda config: config,
    *,
    erases: bool = False,
) -> Iterator[Session]:
    """The cluster of these flags. What talks to machines is imported when its hosts.yml was found right.

    `adapt` makes of that the cluster that the task is for. `erases`: a file above the current directory is not taken.
    """
    config = adapt(load(given, erases=erases))
    config = a_node("--only", *names(given.only))(config)
    with session_of(given, config, on_event) as session:
        yield session


def a_node(flag: str, *those: str) -> Callable[[ClusterConfig], ClusterConfig]:
    """For `adapt`: raises `ConfigError` where the file has no node of one of these names."""

    def check(config: ClusterConfig) -> ClusterConfig:
        from sparkqfs.config.names import check_nodes

        check_nodes(config, flag, those)
        return config

    return check


def named(flag: str, erase: str | None) -> Callable[[ClusterConfig], ClusterConfig]:
    """For `adapt`: raises `ConfigError` where `erase` is not the cluster's name."""

    def check(config: ClusterConfig) -> ClusterConfig:
        if erase is not None and erase != config.name:
            what = f"--{flag} {erase}: this cluster is called {config.name}; nothing was erased"
            raise ConfigError(Problem(what=what))
        return config

    return check


@contextlib.contextmanager
def session_of(given: Flags, config: ClusterConfig, on_event: OnEvent) -> Iterator[Session]:
    """Connections to a cluster whose file was read."""
    password = sudo_password(given.sudo_password_file)

    from sparkqfs.clients.connect import open_clients
    from sparkqfs.jobs.session import Session

    with open_clients(config, password) as clients:
        clients.manager.check_login()
        yield Session(config, clients, on_event, dry_run=given.dry_run, confirm=ask(given.yes))


def run(
    name: str,
    job: Job,
    given: Flags,
    *,
    lock: bool = False,
    erases: bool = False,
    changes: bool = True,
    has_screen: bool = False,
    adapt: Callable[[ClusterConfig], ClusterConfig] = lambda config: config,
) -> None:
    """Load, open, run one job, report, exit. `lock`: other runs that change the cluster are kept out meanwhile.

    `has_screen`: a terminal or a program of the user's has it, and silence is theirs.

    The manager records what changes something: all but what `guide.CHANGES_NOTHING` names, or `changes` denies.
    """
    with reporting(given, name) as reporter:
        with opened(given, reporter.event, adapt, erases=erases) as session:
            from sparkqfs.jobs.session import cluster_lock

            locked = lock and not given.dry_run
            with recording(session, name, changes=changes) as record:
                locking = cluster_lock(session, name) if locked else contextlib.nullcontext()
                patience = contextlib.nullcontext() if has_screen else reporter.patience()
                with locking, record.ended_first(), patience:
                    result = job(session)
                record.code = int(result.exit_code)
        reporter.result(result)
    end_with(result)


def recording(session: Session, name: str, *, changes: bool = True) -> contextlib.AbstractContextManager[Recording]:
    """A line on the manager for what the block does, unless the task only reads."""
    from sparkqfs.jobs.audit import Recording, recorded

    if changes and name not in CHANGES_NOTHING:
        return recorded(session, name)
    return contextlib.nullcontext(Recording(session, name))


def end_with(result: JobResult) -> None:
    """The exit code of a result that is no success."""
    if result.exit_code:
        raise Exit(code=int(result.exit_code))

"""The tasks: flags in, one job, a report and an exit code out."""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke import Collection, Context, Exit, task

from sparkqfs import local as local_cluster
from sparkqfs.clients.connect import open_clients
from sparkqfs.config import load_config
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem
from sparkqfs.jobs import apps as app_jobs
from sparkqfs.jobs import bench as bench_jobs
from sparkqfs.jobs import compute, images, storage, whole
from sparkqfs.jobs import copy as copy_jobs
from sparkqfs.jobs import deploy as deploy_jobs
from sparkqfs.jobs import files as files_jobs
from sparkqfs.jobs import prep as prep_jobs
from sparkqfs.jobs import shell as shell_jobs
from sparkqfs.jobs import status as status_jobs
from sparkqfs.jobs import submit as submit_jobs
from sparkqfs.jobs import swarm as swarm_jobs
from sparkqfs.jobs import top as top_jobs
from sparkqfs.jobs import verify as verify_jobs
from sparkqfs.jobs.base import Session, cluster_lock
from sparkqfs.plan.apps import Program
from sparkqfs.plan.bench import parse_link
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.report import Reporter
from sparkqfs.report_bench import write_bench_page
from sparkqfs.report_page import write_page

Job = Callable[[Session], JobResult]

HELP = {
    "hosts": "cluster file (default: $SPARKQFS_HOSTS, else hosts.yml)",
    "only": "node names, comma-separated",
    "dry_run": "say what would be done, change nothing",
    "json": "one JSON document on standard output",
    "yes": "answer yes to questions; never erases",
    "verbose": "every line of progress, and tracebacks",
    "sudo_password_file": "file with the sudo password, where sudo asks for one",
}


def shared_help(*names: str, **more: str) -> dict[str, str]:
    """Help texts of the common flags."""
    chosen = {"hosts", "json", "verbose", "sudo_password_file", *names}
    return {**{name.replace("_", "-"): HELP[name] for name in HELP if name in chosen}, **more}


def hosts_file(hosts: str | None) -> Path:
    """The one cluster of this command line: `build push --hosts X` means X for both tasks.

    Raises `ConfigError` when the command line names two.
    """
    words = sys.argv[1:]
    words = words[: words.index("--")] if "--" in words else words
    named = [word.partition("=")[2] for word in words if word.startswith("--hosts=")]
    named += [value for flag, value in itertools.pairwise(words) if flag == "--hosts"]
    different = sorted({*named, *([hosts] if hosts is not None else [])})
    if len(different) > 1:
        what = f"--hosts {' and --hosts '.join(different)} in one command line: one cluster at a time"
        raise ConfigError(Problem(what=what))
    return Path(different[0] if different else os.environ.get("SPARKQFS_HOSTS") or "hosts.yml")


def ask(yes: bool) -> Callable[[str], bool]:
    """y/N with default N; `--yes` answers; without a terminal the answer is no."""

    def confirm(question: str) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            return False
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")

    return confirm


def sudo_password(path: str | None) -> str | None:
    """The password of `--sudo-password-file`; `-` asks for it once."""
    if path is None:
        return None
    if path == "-":
        return getpass.getpass("sudo password: ")
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise ConfigError(Problem(what=f"--sudo-password-file {path}: {error.strerror}")) from error


@contextlib.contextmanager
def reporting(as_json: bool, verbose: bool, name: str) -> Iterator[Reporter]:
    """Errors become a report and an exit code, in one place."""
    reporter = Reporter(as_json=as_json, verbose=verbose)
    try:
        yield reporter
    except ClusterError as error:
        if verbose:
            reporter.err.print_exception()
        reporter.result(JobResult(task=name, problems=error.problems, code=error.exit_code))
        raise Exit(code=int(error.exit_code)) from None
    except Exit:
        raise
    except Exception as error:  # noqa: BLE001 - the last place before the user
        if verbose:
            reporter.err.print_exception()
        what = f"unexpected {type(error).__name__}: {error}"
        problem = Problem(what=what, hint="this is a defect of sparkqfs; --verbose shows where")
        reporter.result(JobResult(task=name, problems=(problem,), code=ExitCode.FAILED))
        raise Exit(code=int(ExitCode.FAILED)) from None
    except KeyboardInterrupt:
        interrupted = Problem(what="interrupted", code=ExitCode.INTERRUPTED)
        reporter.result(JobResult(task=name, problems=(interrupted,)))
        sys.stderr.flush()
        os._exit(int(ExitCode.INTERRUPTED))  # a thread that still waits for a machine must not hold up the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What every task understands."""

    hosts: str | None
    json: bool
    verbose: bool
    sudo_password_file: str | None
    dry_run: bool
    yes: bool
    lock: bool


def flags(
    c: Context,
    hosts: str | None,
    json: bool,
    verbose: bool,
    sudo_password_file: str | None,
    *,
    dry_run: bool = False,
    yes: bool = False,
    lock: bool = False,
) -> Flags:
    """The common flags; Invoke's own --dry counts as --dry-run."""
    return Flags(
        hosts=hosts,
        json=json,
        verbose=verbose,
        sudo_password_file=sudo_password_file,
        dry_run=dry_run or bool(c.config.run.dry),
        yes=yes,
        lock=lock,
    )


def run(name: str, job: Job, given: Flags) -> None:
    """Load, open, run one job, report, exit."""
    with reporting(given.json, given.verbose, name) as reporter:
        config = load_config(hosts_file(given.hosts))
        with open_clients(config, sudo_password(given.sudo_password_file)) as clients:
            session = Session(config, clients, reporter.event, dry_run=given.dry_run, confirm=ask(given.yes))
            locked = given.lock and not given.dry_run
            with cluster_lock(session, name) if locked else contextlib.nullcontext():
                result = job(session)
        reporter.result(result)
    if result.exit_code:
        raise Exit(code=int(result.exit_code))


def names(text: str | None) -> tuple[str, ...]:
    """`a,b` → ("a", "b")."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


@task(
    auto_shortflags=False,
    help=shared_help(
        "only",
        "dry_run",
        add="new nodes or disks that join an initialised cluster",
        install_engine="install docker.io where no engine answers (Debian, Ubuntu)",
    ),
)
def prep(
    c: Context,
    hosts: str | None = None,
    only: str | None = None,
    add: str | None = None,
    install_engine: bool = False,
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Directories, owner, marker, registry trust on every node, in parallel."""

    def job(session: Session) -> JobResult:
        return prep_jobs.run(session, only=names(only), adopt=names(add), install_engine=install_engine)

    run("prep", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run))


def simple(name: str, job: Callable[[Session], JobResult], doc: str, *, lock: bool = True) -> Any:
    """A task with the common flags and nothing of its own."""

    def body(
        c: Context,
        hosts: str | None = None,
        dry_run: bool = False,
        json: bool = False,
        yes: bool = False,
        verbose: bool = False,
        sudo_password_file: str | None = None,
    ) -> None:
        run(name, job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run, yes=yes, lock=lock))

    body.__doc__ = doc
    body.__name__ = name.replace("-", "_")
    return task(body, name=name, auto_shortflags=False, help=shared_help("dry_run", "yes"))


swarm = simple("swarm", swarm_jobs.run, "Join the nodes into a swarm, label them, start the registry.")
build = simple("build", images.build, "Build the images on the manager's engine; nothing is built that is there.")
push = simple("push", images.push, "Push the images to the cluster's registry; nothing is pushed that is there.")
deploy = simple(
    "deploy", deploy_jobs.run, "Deploy the stack and wait until the cluster works. --dry-run prints the stack file."
)
down = simple("down", deploy_jobs.down, "Remove the stack and wait until it is gone; all data is kept.")
plan = simple("plan", whole.plan, "Everything that `up` would do, with reasons; changes nothing.", lock=False)
token = simple("token", compute.token, "Show the Jupyter token and the address to click.", lock=False)


@task(auto_shortflags=False, help=shared_help("dry_run", "yes", erase="the cluster's name: erases"))
def init_qfs(
    c: Context,
    hosts: str | None = None,
    erase: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    yes: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Make an empty QFS file system; refuses (exit 5) when there is one, or a chunk anywhere."""

    def job(session: Session) -> JobResult:
        return storage.init(session, erase_name=erase, task="init-qfs")

    run("init-qfs", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run, lock=True))


@task(auto_shortflags=False, help=shared_help("dry_run", "yes", erase="the cluster's name: erases"))
def init_storage(
    c: Context,
    hosts: str | None = None,
    erase: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    yes: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Make the storage ready for its first use, whatever its kind; refuses (exit 5) when there is data anywhere."""

    def job(session: Session) -> JobResult:
        return storage.init(session, erase_name=erase)

    run("init-storage", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run, lock=True))


@task(auto_shortflags=False, help=shared_help("dry_run", "yes", erase="the cluster's name"))
def purge(
    c: Context,
    hosts: str | None = None,
    erase: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    yes: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Erase the file system's data on every node; needs the cluster's name and a stack that is down."""

    def job(session: Session) -> JobResult:
        return storage.purge(session, erase_name=erase)

    run("purge", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run, lock=erase is not None))


@task(auto_shortflags=False, help=shared_help("dry_run", "yes"))
def up(
    c: Context,
    hosts: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    yes: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Do all that is not yet so, from prep to deploy; never erases."""
    reporter = Reporter(as_json=json, verbose=verbose)

    def job(session: Session) -> JobResult:
        return whole.plan(session) if session.dry_run else whole.up(session, reporter.stage)

    run("up", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run, yes=yes, lock=True))


@task(auto_shortflags=False, help=shared_help("only"))
def doctor(
    c: Context,
    hosts: str | None = None,
    only: str | None = None,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """What is wrong with the machines, each finding with what mends it; changes nothing."""

    def job(session: Session) -> JobResult:
        return whole.doctor(session, names(only))

    run("doctor", job, flags(c, hosts, json, verbose, sudo_password_file))


@task(
    auto_shortflags=False,
    help=shared_help(watch="again every two seconds, until Ctrl-C; with --json one document a line"),
)
def status(
    c: Context,
    hosts: str | None = None,
    watch: bool = False,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Spark, storage and Swarm at a glance. Exit 0 healthy, 1 degraded, 3 unreachable."""
    if not watch:
        run("status", status_jobs.run, flags(c, hosts, json, verbose, sudo_password_file))
        return
    with reporting(json, verbose, "status") as reporter:
        config = load_config(hosts_file(hosts))
        try:
            with open_clients(config, sudo_password(sudo_password_file)) as clients:
                while True:
                    reporter.watched(status_jobs.run(Session(config, clients, lambda _text: None)))
                    time.sleep(2)
        except KeyboardInterrupt:  # the usual end, and no line of JSON more
            os._exit(int(ExitCode.INTERRUPTED))


@task(
    auto_shortflags=False,
    help=shared_help(
        "only", once="one look, then end", interval="seconds between two looks; with --json one document a line"
    ),
)
def top(
    c: Context,
    hosts: str | None = None,
    only: str | None = None,
    once: bool = False,
    interval: float = 2.0,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """CPU, memory, disk, network, temperature of the machines; progress of what runs on Spark. Until Ctrl-C."""
    with reporting(json, verbose, "top") as reporter:
        if not 0.2 <= interval <= 3600:
            raise ConfigError(Problem(what=f"--interval {interval}: 0.2 to 3600 seconds"))
        config = load_config(hosts_file(hosts))
        result: JobResult | None = None
        try:
            with open_clients(config, sudo_password(sudo_password_file)) as clients:
                looks = top_jobs.watch(Session(config, clients, lambda _: None), only=names(only), interval_s=interval)
                for result in itertools.islice(looks, 1 if once else None):
                    reporter.watched(result)
        except KeyboardInterrupt:  # the usual end, and no line of JSON more
            os._exit(int(ExitCode.INTERRUPTED))
    if result is not None and result.exit_code:
        raise Exit(code=int(result.exit_code))


@task(auto_shortflags=False, help=shared_help(service="one service", tail="lines of each container", only=HELP["only"]))
def logs(
    c: Context,
    hosts: str | None = None,
    service: str | None = None,
    tail: int = 50,
    only: str | None = None,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """The last log lines of the stack's containers."""

    def job(session: Session) -> JobResult:
        return compute.logs(session, service=service, tail=tail, only=names(only))

    run("logs", job, flags(c, hosts, json, verbose, sudo_password_file))


@task(
    positional=["name"],
    auto_shortflags=False,
    help=shared_help(
        name="notebook, without .ipynb",
        max_value="its MAX_VALUE",
        param="NAME=VALUE, more than one allowed",
        out="where its files go",
        timeout="seconds",
    ),
    iterable=["param"],
)
def notebook(
    c: Context,
    name: str,
    max_value: str | None = None,
    param: list[str] | None = None,
    out: str = "results",
    timeout: int = 3600,
    hosts: str | None = None,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Run a notebook headless on the cluster; bring back the executed notebook and an HTML page."""
    with reporting(json, verbose, "notebook"):
        parameters = dict(_parameter(text) for text in param or [])
        if max_value is not None:
            if not str(max_value).replace("_", "").isdigit():
                raise ConfigError(Problem(what=f"--max-value {max_value}: a whole number is wanted"))
            parameters["MAX_VALUE"] = str(int(str(max_value).replace("_", "")))

    def job(session: Session) -> JobResult:
        return compute.notebook(session, name, parameters, out=Path(out), timeout_s=timeout)

    run("notebook", job, flags(c, hosts, json, verbose, sudo_password_file))


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ConfigError(Problem(what=f"--param {text}: NAME=VALUE is wanted"))
    return name, value


@task(
    auto_shortflags=False,
    help=shared_help(
        path="measure what is there instead of a table of our own: /path, shared:/path or a URI; only read",
        mib="size of the table",
        files="files it is written in",
        reads="times it is read (3; 1 with --path)",
        max_remote="share of bytes that may come over the network (0.05); more is exit 1",
        min_local="share of tasks that must run where their data is (0.95); fewer is exit 1",
        report="write an HTML page there",
        timeout="seconds",
    ),
)
def verify(
    c: Context,
    hosts: str | None = None,
    path: str | None = None,
    mib: int = 256,
    files: int = 12,
    reads: int = 0,
    max_remote: str | None = None,
    min_local: str | None = None,
    report: str | None = None,
    timeout: int = 1800,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Proof of locality: read through Spark; tasks by locality, bytes over the network, a verdict."""
    with reporting(json, verbose, "verify"):
        allowed, wanted = _share("--max-remote", max_remote), _share("--min-local", min_local)
        if report is not None and (not Path(report).parent.is_dir() or Path(report).is_dir()):
            raise ConfigError(Problem(what=f"--report {report}: a file in a directory that is there is wanted"))

    def job(session: Session) -> JobResult:
        result = verify_jobs.verify(
            session,
            mib=mib,
            files=files,
            reads=reads or None,
            path=path,
            max_remote=allowed,
            min_local=wanted,
            timeout_s=timeout,
        )
        if report is not None:
            write_page(Path(report), result.document)
        return result

    run("verify", job, flags(c, hosts, json, verbose, sudo_password_file))


def _share(flag: str, text: str | None) -> float | None:
    """A share from 0 to 1. Raises `ConfigError`."""
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        if 0 <= (share := float(text)) <= 1:
            return share
    raise ConfigError(Problem(what=f"{flag} {text}: a share from 0 to 1 is wanted, 0.05 for 5 %"))


@task(
    positional=["source", "target"],
    auto_shortflags=False,
    help=shared_help(
        "dry_run",
        source="what to copy: /path on the storage, shared:/path, or a whole URI",
        target="its new name there",
        overwrite="replace files that differ",
        timeout="seconds",
    ),
)
def copy(
    c: Context,
    source: str,
    target: str,
    overwrite: bool = False,
    timeout: int = 86400,
    hosts: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Copy a file or a tree between storages, in parallel and verified; what is there and equal is left alone."""

    def job(session: Session) -> JobResult:
        return copy_jobs.copy(session, source, target, overwrite=overwrite, timeout_s=timeout)

    run("copy", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run))


def passed_words() -> tuple[str, ...]:
    """What follows `--` on the command line, word by word: Invoke itself would join it."""
    words = sys.argv[1:]
    return tuple(words[words.index("--") + 1 :]) if "--" in words else ()


@task(
    positional=["program"],
    auto_shortflags=False,
    help=shared_help(
        "dry_run",
        program="a .py or .jar file of this computer, or a URI; its own arguments follow --",
        name="name of the application (default: the file's)",
        class_="main class of a .jar",
        py_files="modules it imports: .py, .zip, .whl or .egg, comma-separated",
        jars="jars for driver and executors, comma-separated",
        files="files for every executor's working directory, comma-separated",
        conf="spark.NAME=VALUE, more than one allowed",
        cores="cores to use, or all (default: half of the executors, one on each node at least)",
        driver_memory="heap of the driver, 2g or 512m",
        detach="leave it running and say its id",
        timeout="seconds, then it is ended",
    ),
    iterable=["conf"],
)
def submit(
    c: Context,
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
    hosts: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Run a program on the cluster: its output here, its exit code ours, Ctrl-C ends it."""
    reporter = Reporter(as_json=json, verbose=verbose)

    def job(session: Session) -> JobResult:
        wanted = Program(
            program=program,
            arguments=passed_words(),
            name=name,
            main_class=class_,
            py_files=names(py_files),
            jars=names(jars),
            files=names(files),
            conf=tuple(conf or ()),
            cores=cores_of(cores),
            driver_memory_mib=memory_of(driver_memory),
        )
        return submit_jobs.submit(
            session, wanted, output=reporter.passed_on, detach=detach, take_all=cores == "all", timeout_s=timeout
        )

    run("submit", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run))


@task(
    auto_shortflags=False, help=shared_help(timeout="seconds, then what came from standard input is ended; no terminal")
)
def shell(
    c: Context,
    timeout: int = 86400,
    hosts: str | None = None,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Spark's Python shell on the cluster; without a terminal it runs what standard input gives."""
    reporter = Reporter(as_json=json, verbose=verbose)

    def job(session: Session) -> JobResult:
        read = None if sys.stdin.isatty() and sys.stdout.isatty() else sys.stdin.read
        return shell_jobs.shell(session, read=read, output=reporter.passed_on, timeout_s=timeout)

    run("shell", job, flags(c, hosts, json, verbose, sudo_password_file))


@task(auto_shortflags=False, help=shared_help(last="ended applications to show"))
def apps(
    c: Context,
    last: int = 20,
    hosts: str | None = None,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """The cluster's applications, running and ended, with their links."""

    def job(session: Session) -> JobResult:
        return app_jobs.apps(session, last=last)

    run("apps", job, flags(c, hosts, json, verbose, sudo_password_file))


@task(positional=["application"], auto_shortflags=False, help=shared_help("dry_run", application="its id"))
def kill(
    c: Context,
    application: str,
    hosts: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """End a running application; one that has ended is left as it is."""

    def job(session: Session) -> JobResult:
        return app_jobs.kill(session, application)

    run("kill", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run))


@task(
    name="logs",
    positional=["application"],
    auto_shortflags=False,
    help=shared_help(application="its id", tail="lines of each file", follow="what submit would show, to its end"),
)
def app_logs(
    c: Context,
    application: str,
    tail: int = 50,
    follow: bool = False,
    hosts: str | None = None,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Output of an application: of its driver, and of its executors on every node."""
    reporter = Reporter(as_json=json, verbose=verbose)

    def job(session: Session) -> JobResult:
        if follow:
            return app_jobs.follow(session, application, output=reporter.passed_on)
        return app_jobs.logs(session, application, tail=tail)

    run("app.logs", job, flags(c, hosts, json, verbose, sudo_password_file))


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


FILES_HELP = {
    "path": "/path on the storage, shared:/path, or a whole URI; a pattern in quotes",
    "overwrite": "replace files that differ",
    "timeout": "seconds",
}


@task(
    positional=["local", "path"],
    auto_shortflags=False,
    help=shared_help(
        "dry_run", **FILES_HELP | {"local": "file, directory or pattern on this computer; - is standard input"}
    ),
)
def put(
    c: Context,
    local: str,
    path: str,
    overwrite: bool = False,
    timeout: int = 86400,
    hosts: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Files of this computer to the storage, in parallel and verified; what is there and equal is left alone."""

    def job(session: Session) -> JobResult:
        return files_jobs.put(session, local, path, overwrite=overwrite, stdin=0, timeout_s=timeout)

    run("put", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run))


@task(
    positional=["path", "local"],
    auto_shortflags=False,
    help=shared_help("dry_run", **FILES_HELP | {"local": "its name on this computer; - is standard output"}),
)
def get(
    c: Context,
    path: str,
    local: str,
    overwrite: bool = False,
    timeout: int = 86400,
    hosts: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Files of the storage to this computer, in parallel and verified; what is there and equal is left alone."""
    with reporting(json and local != "-", verbose, "get"):
        if json and local == "-":
            raise ConfigError(Problem(what="--json and the file itself cannot both go to standard output"))

    def job(session: Session) -> JobResult:
        return files_jobs.get(session, path, local, overwrite=overwrite, out=sys.stdout.buffer, timeout_s=timeout)

    run("get", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run))


@task(
    positional=["path"],
    auto_shortflags=False,
    help=shared_help(path=FILES_HELP["path"], recursive="all that is below, too", timeout="seconds"),
)
def ls(
    c: Context,
    path: str,
    recursive: bool = False,
    timeout: int = 600,
    hosts: str | None = None,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """What is in a directory of the storage: mode, copies, owner, group, bytes, time, path."""

    def job(session: Session) -> JobResult:
        return files_jobs.ls(session, path, recursive=recursive, timeout_s=timeout)

    run("ls", job, flags(c, hosts, json, verbose, sudo_password_file))


@task(
    positional=["path"],
    auto_shortflags=False,
    help=shared_help(
        "dry_run",
        "yes",
        path=FILES_HELP["path"],
        yes="remove without a question",
        recursive="directories too, with all that is in them",
        if_there="what is not there is no error",
        timeout="seconds",
    ),
)
def rm(
    c: Context,
    path: str,
    recursive: bool = False,
    if_there: bool = False,
    timeout: int = 3600,
    hosts: str | None = None,
    dry_run: bool = False,
    json: bool = False,
    yes: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Remove files of the storage, for good; asks first. Directories that the cluster needs are refused."""

    def job(session: Session) -> JobResult:
        return files_jobs.rm(session, path, recursive=recursive, if_there=if_there, timeout_s=timeout)

    run("rm", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run, yes=yes))


@task(positional=["path"], auto_shortflags=False, help=shared_help(path=FILES_HELP["path"], timeout="seconds"))
def du(
    c: Context,
    path: str,
    timeout: int = 600,
    hosts: str | None = None,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """Bytes of each thing in a directory of the storage, and with all copies."""

    def job(session: Session) -> JobResult:
        return files_jobs.du(session, path, timeout_s=timeout)

    run("du", job, flags(c, hosts, json, verbose, sudo_password_file))


@task(
    name="storage",
    auto_shortflags=False,
    help=shared_help(
        "dry_run",
        quick="96 MiB and two rounds: does it run, not how fast it is",
        mib="size of the table; decided from memory and disks otherwise",
        rounds="how often each operation is measured (4; 2 with --quick)",
        link="hold every worker's link to this rate meanwhile, such as 1gbit",
        baseline="variant that the ratios compare with (the cluster's own)",
        out="directory of the result file and the page",
        timeout="seconds",
    ),
)
def bench_storage(
    c: Context,
    hosts: str | None = None,
    quick: bool = False,
    mib: int = 0,
    rounds: int = 0,
    link: str | None = None,
    baseline: str | None = None,
    out: str = "results",
    timeout: int = 14400,
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
    sudo_password_file: str | None = None,
) -> None:
    """The same writes, scans, aggregations and sorts on each form of the storage: time, network, CPU, disk."""
    with reporting(json, verbose, "bench.storage"):
        wanted = bench_jobs.Wanted(
            mib=bench_jobs.at_least_one("--mib", mib),
            rounds=bench_jobs.at_least_one("--rounds", rounds),
            quick=quick,
            link=parse_link(link) if link is not None else None,
            baseline=baseline,
            timeout_s=timeout,
        )

    def job(session: Session) -> JobResult:
        made = bench_jobs.storage(session, wanted)
        return made if isinstance(made, JobResult) else bench_files(made, Path(out) / bench_jobs.default_name(made))

    run("bench.storage", job, flags(c, hosts, json, verbose, sudo_password_file, dry_run=dry_run, lock=True))


def bench_files(report: bench_jobs.Report, name: Path) -> JobResult:
    """Write a measurement's result file and its page."""
    file, page = name.with_name(name.name + ".json"), name.with_name(name.name + ".html")
    bench_jobs.save(file, report.documents[0])
    write_bench_page(page, report.documents, report.comparison)
    return bench_jobs.saved(report.result, file, page)


@task(
    name="report",
    positional=["files"],
    auto_shortflags=False,
    help={
        "files": "result files, comma-separated",
        "baseline": "variant that the ratios compare with (the first file's own)",
        "page": "write an HTML page there",
        "json": HELP["json"],
        "verbose": HELP["verbose"],
    },
)
def bench_report(
    c: Context,
    files: str,
    baseline: str | None = None,
    page: str | None = None,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Result files of bench.storage together: one table and one page. Needs no cluster."""
    with reporting(json, verbose, "bench.report") as reporter:
        report = bench_jobs.report(tuple(Path(name) for name in names(files)), baseline)
        result = report.result
        if page is not None:
            write_bench_page(Path(page), report.documents, report.comparison)
            result = bench_jobs.saved(result, Path(page))
        reporter.result(result)
    if result.exit_code:
        raise Exit(code=int(result.exit_code))


LOCAL_HELP = {
    "name": "name of the local cluster",
    "file": "cluster file it writes",
    "json": HELP["json"],
    "verbose": HELP["verbose"],
}


def local_result(name: str, made: local_cluster.LocalCluster | None, state: str) -> JobResult:
    """A local cluster as a result."""
    nodes = made.nodes if made is not None else ()
    outcomes = [Outcome(subject=node.name, state=state or node.state, changes=(node.address,)) for node in nodes]
    return JobResult(task=name, outcomes=tuple(outcomes) or (Outcome(subject="local cluster", state=state or "none"),))


@task(
    name="up",
    auto_shortflags=False,
    help={
        **LOCAL_HELP,
        "nodes": "number of nodes",
        "storage": "qfs, hdfs or shared",
        "shared-mount": "what /mnt/shared is: glusterfs (default with --storage shared), or bind, a smoke test",
        "base": "base image",
    },
)
def local_up(
    c: Context,
    nodes: int = 3,
    name: str = "local",
    file: str = "hosts.local.yml",
    storage: str = "qfs",
    shared_mount: str | None = None,
    base: str | None = None,
    json: bool = False,
    verbose: bool = False,
) -> None:
    """Three container machines with sshd and dockerd on this computer, written to hosts.local.yml."""
    with reporting(json, verbose, "local.up") as reporter:
        made = local_cluster.local_up(
            name=name,
            nodes=nodes,
            file=Path(file),
            storage=storage,
            shared_mount=shared_mount,
            base=base,
            on_event=reporter.event,
        )
        reporter.result(local_result("local.up", made, ""))


@task(name="down", auto_shortflags=False, help=LOCAL_HELP)
def local_down(
    c: Context, name: str = "local", file: str = "hosts.local.yml", json: bool = False, verbose: bool = False
) -> None:
    """Remove the local cluster, its data included: exactly what local.up made."""
    with reporting(json, verbose, "local.down") as reporter:
        removed = local_cluster.local_down(name=name, file=Path(file), on_event=reporter.event)
        reporter.result(local_result("local.down", None, "changed" if removed else "unchanged"))


@task(name="status", auto_shortflags=False, help=LOCAL_HELP)
def local_status(
    c: Context, name: str = "local", file: str = "hosts.local.yml", json: bool = False, verbose: bool = False
) -> None:
    """The local cluster's machines and their state."""
    with reporting(json, verbose, "local.status") as reporter:
        reporter.result(local_result("local.status", local_cluster.local_status(name=name, file=Path(file)), ""))


ns = Collection(
    prep,
    swarm,
    build,
    push,
    init_qfs,
    init_storage,
    deploy,
    status,
    top,
    verify,
    notebook,
    token,
    copy,
    put,
    get,
    ls,
    rm,
    du,
    submit,
    shell,
    apps,
    kill,
    logs,
    down,
    purge,
    plan,
    up,
    doctor,
)
ns.add_collection(Collection("bench", bench_storage, bench_report))
ns.add_collection(Collection("local", local_up, local_down, local_status))
ns.add_collection(Collection("app", app_logs))

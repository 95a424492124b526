"""What the cluster is measured with: locality of reads, and the storage's speed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sparkqfs.cli.flags import Flags, cluster_task, names, offline_task, path_of
from sparkqfs.cli.running import ask_word, cluster_file, end_with, reporting, run, session_of
from sparkqfs.cli.running import load as load_cluster
from sparkqfs.errors import ConfigError, Problem

if TYPE_CHECKING:
    from sparkqfs.jobs.session import Session
    from sparkqfs.plan.steps import JobResult


@cluster_task(
    help={
        "path": "measure what is there instead of a table of our own: /path, shared:/path or a URI; only read",
        "mib": "size of the table",
        "files": "files it is written in",
        "reads": "times it is read (3; 1 with --path)",
        "max_remote": "share of bytes that may come over the network (0.05); more is exit 1",
        "min_local": "share of tasks that must run where their data is (0.95); fewer is exit 1",
        "report": "write an HTML page there",
        "timeout": "seconds",
    }
)
def verify(
    given: Flags,
    path: str | None = None,
    mib: int = 256,
    files: int = 12,
    reads: int = 0,
    max_remote: str | None = None,
    min_local: str | None = None,
    report: str | None = None,
    timeout: int = 1800,
) -> None:
    """Measure how much data Spark reads from local disks, and judge it."""
    with reporting(given, "verify"):
        allowed, wanted = _share("--max-remote", max_remote), _share("--min-local", min_local)
        file = path_of("--report", report) if report is not None else None
        if file is not None:
            check_new_file("--report", file)

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.measuring import verify
        from sparkqfs.report.locality_page import write_page

        result = verify.verify(
            session,
            mib=mib,
            files=files,
            reads=reads or None,
            path=path,
            max_remote=allowed,
            min_local=wanted,
            timeout_s=timeout,
        )
        if file is not None:
            write_page(file, result.document)
        return result

    run("verify", job, given, changes=path is None)


def check_new_file(flag: str, path: Path) -> None:
    """Raises `ConfigError` where no file can be written."""
    if path.is_dir():
        raise ConfigError(Problem(what=f"{flag} {path}: is a directory, expected a file"))
    if not path.parent.is_dir():
        raise ConfigError(Problem(what=f"{flag} {path}: the directory {path.parent} does not exist"))


def _share(flag: str, text: str | None) -> float | None:
    """A share from 0 to 1. Raises `ConfigError`."""
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        if 0 <= (share := float(text)) <= 1:
            return share
    raise ConfigError(Problem(what=f"{flag} {text}: expected a share from 0 to 1, such as 0.05 for 5 %"))


@cluster_task(
    "dry_run",
    name="storage",
    help={
        "quick": "96 MiB and two rounds: does it run, not how fast it is",
        "mib": "size of the table; decided from memory and disks otherwise",
        "rounds": "how often each operation is measured (4; 2 with --quick)",
        "link": "hold every worker's link to this rate meanwhile, such as 1gbit",
        "baseline": "variant that the ratios compare with (the cluster's own)",
        "out": "directory of the result file and the page",
        "timeout": "seconds",
    },
)
def bench_storage(
    given: Flags,
    quick: bool = False,
    mib: int = 0,
    rounds: int = 0,
    link: str | None = None,
    baseline: str | None = None,
    out: str = "results",
    timeout: int = 14400,
) -> None:
    """Benchmark the storage: writes, scans, aggregations and sorts with each number of copies."""
    with reporting(given, "bench.storage"):
        from sparkqfs.plan.measuring.bench import Wanted, at_least_one, parse_link

        wanted = Wanted(
            mib=at_least_one("--mib", mib),
            rounds=at_least_one("--rounds", rounds),
            quick=quick,
            link=parse_link(link) if link is not None else None,
            baseline=baseline,
            timeout_s=timeout,
        )

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.measuring import bench
        from sparkqfs.report.bench_page import write_bench_page

        made = bench.storage(session, wanted)
        if not isinstance(made, bench.Report):
            return made
        name = path_of("--out", out) / bench.default_name(made)
        file, page = name.with_name(name.name + ".json"), name.with_name(name.name + ".html")
        bench.save(file, made.documents[0])
        write_bench_page(page, made.documents, made.comparison)
        return bench.saved(made.result, file, page)

    run("bench.storage", job, given, lock=True)


@offline_task(
    name="report",
    positional=["files"],
    help={
        "files": "result files, comma-separated",
        "baseline": "variant that the ratios compare with (the first file's own)",
        "page": "write an HTML page there",
    },
)
def bench_report(given: Flags, files: str, baseline: str | None = None, page: str | None = None) -> None:
    """Result files of bench.storage together: one table and one page. Needs no cluster."""
    with reporting(given, "bench.report") as reporter:
        from sparkqfs.jobs.measuring import bench
        from sparkqfs.report.bench_page import write_bench_page

        report = bench.report(tuple(path_of("FILES", name) for name in names(files)), baseline)
        result = report.result
        if page is not None:
            file = path_of("--page", page)
            write_bench_page(file, report.documents, report.comparison)
            result = bench.saved(result, file)
        reporter.result(result)
    end_with(result)


@cluster_task(
    "dry_run",
    help={
        "fault": "only these, comma-separated; --list names them",
        "list": "say which faults there are; no machine is asked",
        "cluster": "the cluster's name, in place of the question",
        "load": "seconds of writing before each fault",
        "seed": "chooses the nodes: the same number, the same nodes (the time)",
    },
)
def drill(
    given: Flags,
    fault: str | None = None,
    list: bool = False,
    cluster: str | None = None,
    load: int = 8,
    seed: int = 0,
) -> None:
    """Break the cluster on purpose while files are written and read: what was seen, lost, and when all was well."""
    with reporting(given, "drill") as reporter:
        if list:
            from sparkqfs.plan.measuring.drill import listed

            reporter.result(listed())
            return

        config = load_cluster(given, erases=True)
        if not 0 <= load <= 3600:
            raise ConfigError(Problem(what=f"--load {load}: 0 to 3600 seconds"))

        from sparkqfs.config.loading import load_config
        from sparkqfs.jobs.audit import Series
        from sparkqfs.jobs.measuring.drill import Drill
        from sparkqfs.local.power import local_machines
        from sparkqfs.plan.cluster.restore import with_manager

        file = cluster_file(given.hosts).path
        series = Series("drill")

        @contextlib.contextmanager
        def open_session(manager: str | None = None) -> Iterator[Session]:
            now = load_config(file)  # the manager may have moved
            with session_of(given, with_manager(now, manager) if manager else now, reporter.event) as session:
                series.attach(session)
                yield session

        with local_machines(config, file, reporter.event) as machines, series.ended(open_session):
            result = Drill(
                open_session=open_session,
                machines=machines,
                on_event=reporter.event,
                faults=names(fault),
                load_s=load,
                seed=seed or int(time.time()),
                name=cluster,
                typed=ask_word,
            ).run()
            series.code = int(result.exit_code)
        reporter.result(result)
    end_with(result)

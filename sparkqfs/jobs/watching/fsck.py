"""invoke fsck: which files are lost or have too few copies, asked in the container of the storage's master."""

from __future__ import annotations

from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.facts.fsck import FsckFact, parse_fsck
from sparkqfs.gather.nodes import gather_tasks
from sparkqfs.jobs.cluster.deploy import exec_in
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching.status import worker_addresses
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.watching.fsck import SCHEMA, Report

PROGRAM = "/opt/sparkqfs/bin/fsck"
MOST = 10_000
"""Files that can be named in one report."""
SHARE = 0.8
"""Of the time limit for finding the names; the rest is for the answer."""


def run(session: Session, *, most: int, timeout_s: float) -> JobResult:
    """Exit code 0 when every file has its copies, 1 when one is lost or short or that is not known."""
    if not 1 <= most <= MOST:
        raise ConfigError(Problem(what=f"--max {most}: 1 to {MOST} files"))
    if not 10 <= timeout_s <= 86_400:
        raise ConfigError(Problem(what=f"--timeout {timeout_s:g}: 10 to 86400 seconds"))
    backend = session.backend
    if backend.master is None or backend.check_port is None:
        text = f"{backend.words.storage}: no check of its own, its {backend.words.master} looks after the files"
        document: dict[str, object] = {
            "schema": SCHEMA,
            "cluster": session.config.name,
            "kind": backend.kind,
            "checks": False,
        }
        return JobResult(task="fsck", text=text, document=document)
    fact = ask(session, backend.master.name, backend.check_port, most, timeout_s)
    nodes = worker_addresses(session, gather_tasks(session.config, session.clients))
    report = Report(config=session.config, backend=backend, fact=fact, nodes=nodes)
    return JobResult(task="fsck", text=report.text(), document=report.document(), problems=report.problems())


def ask(session: Session, service: str, port: int, most: int, timeout_s: float) -> FsckFact:
    """One run of the program. Raises `ClusterError`."""
    words = [session.backend.kind, "127.0.0.1", str(port), str(most), f"{timeout_s * SHARE:.0f}"]
    session.on_event(f"checking all files of {session.backend.words.storage}")
    try:
        return parse_fsck(exec_in(session, service, [PROGRAM, *words], timeout_s=timeout_s))
    except ValueError as error:
        raise ClusterError(Problem(what=f"{service}: {error}")) from error
    except ClusterError as error:
        if any("No such file" in problem.what or "not found" in problem.what for problem in error.problems):
            hint = "the stack is of an older version, which has no check: `invoke deploy`"
            raise ClusterError(Problem(what=f"{service} has no {PROGRAM}", hint=hint)) from error
        raise

"""invoke fsck: which files are lost or have too few copies, asked in the container of the storage's master."""

from __future__ import annotations

from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.facts.fsck import FsckFact, parse_fsck
from sparkqfs.facts.scrub import ScrubFact, parse_scrub
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.gather.nodes import gather_tasks
from sparkqfs.jobs.cluster.deploy import ENDING_S, exec_in, in_container
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching.status import worker_addresses
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.watching.cluster_status import is_worker
from sparkqfs.plan.watching.fsck import SCHEMA, Report

PROGRAM = "/opt/sparkqfs/bin/fsck"
SCRUB = "/opt/sparkqfs/bin/scrub"
SCRUB_S = 20.0
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
    tasks = gather_tasks(session.config, session.clients)
    nodes, scrubs = worker_addresses(session, tasks), ask_scrubs(session, tasks)
    report = Report(config=session.config, backend=backend, fact=fact, nodes=nodes, scrubs=scrubs)
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


def ask_scrubs(session: Session, tasks: tuple[TaskFact, ...]) -> tuple[ScrubFact, ...]:
    """What each node's scrub has found, asked at the same time; one that does not answer says why."""
    file, scrub = session.backend.scrub_state, session.config.storage.scrub
    names = {node.name for node in session.config.nodes}
    found = {task.node: task for task in tasks if is_worker(task.service) and task.is_up and task.node in names}
    if file is None or not scrub.rate_mib:
        return ()

    def one(name: str) -> ScrubFact:
        command = [*in_container(found[name].container_id, SCRUB_S), SCRUB, "--state", file]
        output = session.clients.node(name).run(command, timeout_s=SCRUB_S + ENDING_S, check=False, attend=True)
        if output.exit_code != 0:
            return ScrubFact(node=name, error=output.last_lines(1))
        try:
            return parse_scrub(name, output.stdout)
        except ValueError as error:
            return ScrubFact(node=name, error=str(error))

    answers = session.clients.on(tuple(found), one)
    failed = [ScrubFact(node=name, error=error.problems[0].what) for name, error in answers.failures.items()]
    return tuple(sorted([*answers.values.values(), *failed], key=lambda fact: fact.node))

"""invoke login: a terminal on a machine, or in the container of a service."""

from __future__ import annotations

import os

from sparkqfs.clients import terminal
from sparkqfs.clients.alive import is_connected
from sparkqfs.clients.wait import in_time
from sparkqfs.errors import ClusterError, ExitCode, Problem, UnreachableError
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.gather.nodes import gather_tasks
from sparkqfs.jobs.programs.follow import OnOutput
from sparkqfs.jobs.session import Session
from sparkqfs.plan.programs.doors import Target
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.plan.watching.cluster_status import is_worker

SHELL = "/bin/bash"
PLAIN_TERMINAL = "xterm"
"""What every machine and container knows; that of this computer may be unknown in a container."""
TOP = "/opt/sparkqfs/bin"


def login(session: Session, target: Target, output: OnOutput) -> JobResult:
    """The user's terminal there, until its shell ends; its exit code is the result's."""
    if session.dry_run:
        return planned(target)
    rows, columns = terminal.size()
    if target.service is None:
        node = target.node or session.config.manager.name
        term = os.environ.get("TERM") or PLAIN_TERMINAL
        channel = session.clients.node(node).shell_channel(rows, columns, term)
        manner = terminal.PLAIN
    else:
        task = find_task(session, target.service, target.node)
        node = task.node
        argv = ["docker", "exec", "-i", "-e", f"TERM={PLAIN_TERMINAL}", task.container_id, f"{TOP}/with-env"]
        channel = session.clients.node(node).exec_channel([*argv, f"{TOP}/terminal", str(rows), str(columns), SHELL])
        manner = terminal.FRAMED
    try:
        code = terminal.talk(channel, output, manner)
    finally:
        in_time(channel.close)
    if code is None:
        if is_connected(channel.get_transport()):
            raise ClusterError(Problem(node=node, what="the shell there was ended by a signal"))
        what = "the connection broke; what ran in that terminal is ended"
        raise UnreachableError(Problem(node=node, what=what, code=ExitCode.UNREACHABLE))
    return JobResult(task="login", program_code=code)


def planned(target: Target) -> JobResult:
    """A dry run: where the terminal would be."""
    where = " on ".join(name for name in (target.service, target.node) if name is not None)
    outcome = Outcome(subject=where, state="planned", changes=("a terminal there",))
    return JobResult(task="login", outcomes=(outcome,))


def find_task(session: Session, service: str, node: str | None) -> TaskFact:
    """The running task of a service, on that node where one is named. Raises `ClusterError` when there is none."""
    found = [
        task
        for task in gather_tasks(session.config, session.clients)
        if task.is_up and (task.service == service or (is_worker(service) and is_worker(task.service)))
    ]
    here = [task for task in found if node in (None, task.node)]
    if here:
        return here[-1]
    if found:
        runs = ", ".join(sorted({task.node for task in found}))
        raise ClusterError(Problem(node=node, what=f"{service} does not run there", hint=f"it runs on {runs}"))
    hint = "`invoke status` says why; `invoke deploy` starts it"
    raise ClusterError(Problem(node=node, what=f"{service} is not running", hint=hint))

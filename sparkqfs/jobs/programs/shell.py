"""invoke shell: pyspark on the cluster, at a terminal or from standard input."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from sparkqfs import topology
from sparkqfs.clients import terminal
from sparkqfs.clients.broken import close
from sparkqfs.errors import ExitCode, Problem, UnreachableError
from sparkqfs.jobs.cluster.deploy import find_container
from sparkqfs.jobs.programs.follow import OnOutput
from sparkqfs.jobs.programs.submit import submit
from sparkqfs.jobs.session import Session
from sparkqfs.plan.programs.apps import Program
from sparkqfs.plan.steps import JobResult
from sparkqfs.remote import program

LAUNCHER = program("stdin_program")
STARTUP = "/opt/spark/python/pyspark/shell.py"
"""Spark's own: it makes `spark` and `sc` and says hello."""


def shell(session: Session, *, read: Callable[[], str] | None, output: OnOutput, timeout_s: float) -> JobResult:
    """Spark's Python shell in jupyter-server; with `read` the program that it gives, in a driver of its own."""
    if read is not None:
        return _run_text(session, read(), output, timeout_s)
    task = find_container(session, topology.JUPYTER_SERVER)
    rows, columns = terminal.size()
    inside = ["/opt/sparkqfs/bin/terminal", str(rows), str(columns), "/opt/venv/bin/python"]
    argv = ["docker", "exec", "-i", "-e", f"PYTHONSTARTUP={STARTUP}", "-e", "TERM=xterm", task.container_id]
    channel = session.clients.node(task.node).exec_channel([*argv, "/opt/sparkqfs/bin/with-env", *inside])
    try:
        code = terminal.talk(channel, output)
    finally:
        close(channel)
    if code is None:
        problem = Problem(node=task.node, what="the connection broke; the shell is ended", code=ExitCode.UNREACHABLE)
        raise UnreachableError(problem)
    return JobResult(task="shell", program_code=code)


def _run_text(session: Session, text: str, output: OnOutput, timeout_s: float) -> JobResult:
    """As a submission, so that its end is known and its exit code ours."""
    with tempfile.TemporaryDirectory() as folder:
        launcher, program = Path(folder) / "shell.py", Path(folder) / "stdin.txt"
        launcher.write_text(LAUNCHER, encoding="utf-8")
        program.write_text(text, encoding="utf-8")
        sent = Program(program=str(launcher), beside=(str(program),), name="shell")
        return submit(session, sent, output=output, detach=False, take_all=False, timeout_s=timeout_s)

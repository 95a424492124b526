"""What a task says with `--json`: its document and exit code, from a command line, or from its job over doubles."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.cli.flags import Flags
from sparkqfs.cli.running import end_with, reporting
from sparkqfs.clients.parallel import run_on
from sparkqfs.jobs.files import tasks as files
from sparkqfs.jobs.session import Session
from sparkqfs.plan.steps import JobResult
from tests.builders.clusters import a_cluster
from tests.builders.facts import SECRETS, prepared
from tests.doubles.file_servers import World, stand_in
from tests.doubles.manager import Manager, a_manager


@dataclass
class Place:
    """Where a task is run: a directory of its own, and what takes the place of others."""

    folder: Path
    patch: pytest.MonkeyPatch
    stack: contextlib.ExitStack
    engine: Any = field(default_factory=lambda: an_engine())

    def session(self, *changed: Any, **more: Any) -> Session:
        """A prepared cluster of three machines, these of them otherwise."""
        facts = prepared(a_cluster(), **{fact.name: fact for fact in changed})
        clients: Any = SimpleNamespace(
            engine=lambda _name=None: self.engine, on=lambda names, function: run_on(names, function, limit=1)
        )
        return Session(
            a_cluster(), clients, lambda _text: None, _facts=facts, _is_counted=True, _secrets=SECRETS, **more
        )

    def manager(self) -> Manager:
        """A manager that programs are sent to."""
        manager = self.stack.enter_context(a_manager(self.folder))
        clients: Any = manager.session.clients
        clients.on = lambda names, function: run_on(names, function, limit=1)
        return manager

    def storage(self) -> World:
        """A storage with a file and a directory, behind the tasks for files."""
        world = stand_in(self.folder / "storage")
        (self.folder / "storage" / "some").mkdir()
        (self.folder / "storage" / "some" / "file").write_text("content")
        self.patch.setattr(files, "places", lambda _session: world.places)
        self.patch.setattr(files, "access", lambda _session, _timeout_s: world.access())
        return world


def an_engine(services: int = 0) -> Any:
    """A manager's engine with nothing on it but so many services of a stack."""
    return SimpleNamespace(
        info=lambda: {"Swarm": {"ControlAvailable": True}},
        services=lambda _stack: [{}] * services,
        networks=lambda _stack: [],
        labelled_services=lambda _label: [],
        remove_unused=lambda _stack, _keep: [],
        containers=lambda _label: [],
        container=lambda _name: None,
        image_labels=lambda _reference: None,
    )


def emitted(task: str, job: Callable[[Place], JobResult], place: Place) -> tuple[int, object]:
    """Exit code and document of a job, as the command line would end and print."""
    from invoke import Exit

    code = 0
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        try:
            with reporting(Flags(json=True), task) as reporter:
                result = job(place)
                reporter.result(result)
            end_with(result)
        except Exit as end:
            code = end.code
    return code, json.loads(out.getvalue())


WORDS = {
    "copy": ["/x", "/y"],
    "du": ["/x"],
    "exec": ["--", "true"],
    "get": ["/x", "x"],
    "ls": ["/x"],
    "open": ["jupyter"],
    "purge": ["--erase", "spark"],
    "put": ["count.py", "/x"],
    "rm": ["/x"],
    "submit": ["count.py"],
    "top": ["--once"],
}
"""What a task needs on its command line, where that is not one word for each argument."""


def typed(task: str, words: list[str], hosts: str) -> tuple[int, object]:
    """Exit code and document of a command line."""
    from sparkqfs.program import main

    at = words.index("--") if "--" in words else len(words)
    argv, sys.argv = sys.argv, ["sparkqfs", task, *words[:at], "--json", "--hosts", hosts, *words[at:]]
    stdin, sys.stdin = sys.stdin, io.StringIO("")
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.argv, sys.stdin = argv, stdin
    out.seek(0)
    return code, json.load(out)

"""`--help` and `-h` after any task: its help, exit code 0, and no connection to a machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from invoke.main import program as invokes_own

from sparkqfs.program import SparkqfsProgram
from tasks import ns
from tests.paths import ROOT

TASKS = sorted(ns.task_names)
PROGRAMS: dict[str, Callable[[], Any]] = {
    "invoke": lambda: type(invokes_own)(binary="inv[oke]"),
    "sparkqfs": lambda: SparkqfsProgram(name="sparkqfs", binary="sparkqfs"),
}
Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What listens where hosts.yml says that the cluster's machine is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "hosts.yml").write_text(
            f"nodes: {{node1: 127.0.0.1}}\nssh: {{port: {port}, user: root, known_hosts: known}}\n"
        )
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("SPARKQFS_HOSTS", raising=False)
        server.setblocking(False)
        yield server


def nobody_came(server: socket.socket) -> bool:
    """No connection was made since the start, not even one that ended."""
    try:
        server.accept()
    except BlockingIOError:
        return True
    return False


@pytest.fixture(params=sorted(PROGRAMS))
def ask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """A command line of either program, in this process: (exit code, standard output)."""

    def run(*words: str) -> tuple[int, str]:
        argv = [request.param, "--search-root", str(ROOT), *words]
        monkeypatch.setattr(sys, "argv", argv)
        capsys.readouterr()
        code = 0
        try:
            PROGRAMS[request.param]().run(argv)
        except SystemExit as end:
            code = int(end.code or 0)
        return code, capsys.readouterr().out

    return run


def is_help(text: str, name: str) -> bool:
    return text.startswith("Usage: ") and f" {name} [--options] " in text.splitlines()[0] and "--verbose" in text


def test_every_task_has_its_help_behind_its_name(ask: Ask, machine: socket.socket) -> None:
    assert len(TASKS) > 30
    answers = {(name, flag): ask(name, flag) for name in TASKS for flag in ("--help", "-h")}
    wrong = [words for words, (code, text) in answers.items() if code != 0 or not is_help(text, words[0])]
    assert wrong == [] and nobody_came(machine)


def test_it_is_the_same_help_as_before_the_name(ask: Ask) -> None:
    for name in ("prep", "kill", "bench.report"):
        assert ask(name, "--help") == ask(name, "-h") == ask("--help", name)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("kill", "app-1", "--help"), "kill"),
        (("kill", "--dry-run", "-h", "app-1"), "kill"),
        (("copy", "/a", "-h"), "copy"),
        (("put", "--overwrite", "--help", "a", "/b"), "put"),
        (("submit", "a.py", "--cores", "2", "--help", "--", "x"), "submit"),
        (("status", "prep", "--help"), "prep"),
        (("up", "kill", "-h"), "kill"),
        (("status", "--help", "up"), "status"),
        (("-h", "kill"), "kill"),
    ],
)
def test_wherever_it_stands_it_is_the_help_of_the_task_before_it_and_nothing_runs(
    ask: Ask, machine: socket.socket, words: tuple[str, ...], name: str
) -> None:
    code, text = ask(*words)
    assert code == 0 and is_help(text, name) and nobody_came(machine)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_what_follows_two_dashes_is_the_programs_help(ask: Ask, machine: socket.socket, flag: str) -> None:
    Path("a.py").write_text("")
    code, text = ask("submit", "a.py", "--dry-run", "--json", "--", flag)
    assert code == 0 and f"files/a.py {flag}" in text and "Usage: " not in text


OURS = "import sys; sys.argv[0] = 'sparkqfs'; from sparkqfs.program import main; main()"


@pytest.mark.parametrize("program", [["-m", "invoke"], ["-c", OURS], ["-m", "sparkqfs"]])
def test_in_a_process_of_its_own_too(program: list[str], machine: socket.socket) -> None:
    found = ["--search-root", str(ROOT)] if program[-1] == "invoke" else []
    command = [sys.executable, *program, *found, "kill", "--help"]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SPARKQFS_", "INVOKE_"))}
    env |= {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "") and is_help(done.stdout, "kill")
    assert "End a running application" in done.stdout and nobody_came(machine)
    assert done.stdout.startswith("Usage: sparkqfs kill ") is (program[-1] != "invoke")


@pytest.mark.parametrize("program", ["invoke", "sparkqfs.program"])
def test_help_for_a_reader_that_has_enough_is_no_error(program: str) -> None:
    start = (
        "from sparkqfs.program import main; main()"
        if program != "invoke"
        else "from invoke.main import program as p; p.run()"
    )
    source, end = os.pipe()
    os.close(source)
    try:
        argv = [sys.executable, "-c", f"import sys; sys.argv[0] = 'sparkqfs'; {start}", "kill", "--help"]
        done = subprocess.run(argv, stdout=end, stderr=subprocess.PIPE, text=True, timeout=60, cwd=ROOT, check=False)
    finally:
        os.close(end)
    assert (done.returncode, done.stderr) == (0, "")

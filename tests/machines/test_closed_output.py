"""What is said to a reader that has closed its end, and where a full disk or nothing at all takes the output."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

CLOSED = """\
import sys
from invoke import Exit
from sparkqfs.cli.flags import Flags
from sparkqfs.cli.running import reporting
from sparkqfs.errors import Problem
from sparkqfs.plan.steps import JobResult
try:
    with reporting(Flags(json={json}), "ls") as reporter:
        for number in range(2000):
            {line}
    print("went on", file=sys.stderr)
except Exit as end:
    sys.exit(end.code)
"""


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("line", "goes_on"),
    [
        ('reporter.result(JobResult(task="ls", text="a line " * 9))', True),
        ('reporter.watched(JobResult(task="top", text="a line " * 9))', False),
        ('reporter.passed_on("stdout", b"a line " * 9)', False),
        ('reporter.event("a line " * 9)', True),
        ('reporter.problems([Problem(what="a line " * 9)])', True),
    ],
)
def test_a_reader_that_has_enough_is_no_error(line: str, goes_on: bool, as_json: bool) -> None:
    script = CLOSED.format(json=as_json, line=line)
    command = [sys.executable, "-c", script]
    into = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert into.stdout is not None and into.stderr is not None
    of_stderr = "event" in line or "problems" in line or (as_json and "passed_on" in line)
    closed, read = (into.stderr, into.stdout) if of_stderr else (into.stdout, into.stderr)
    closed.close()
    said = read.read()
    if of_stderr:
        assert said == ""
    else:
        assert ("went on" in said) is goes_on and "Traceback" not in said and "defect" not in said
    assert into.wait() == 0


@pytest.mark.parametrize(
    ("line", "as_json"),
    [
        ('reporter.result(JobResult(task="ls", text="a line " * 9))', False),
        ('reporter.result(JobResult(task="ls", text="a line " * 9))', True),
        ('reporter.watched(JobResult(task="top", text="a line " * 9))', False),
        ('reporter.passed_on("stdout", b"a line " * 9)', False),
        ('reporter.event("a line " * 9)', False),
        ('reporter.problems([Problem(what="a line " * 9)])', False),
    ],
)
def test_a_full_disk_is_said_in_one_line_and_ends_the_task_unless_it_is_only_progress(line: str, as_json: bool) -> None:
    of_stderr = "event" in line or "problems" in line
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", CLOSED.format(json=as_json, line=line)],
            stdout=subprocess.PIPE if of_stderr else full,
            stderr=full if of_stderr else subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == (0 if of_stderr else 1)
    if not of_stderr and done.stderr is not None:
        assert done.stderr == "standard output: No space left on device\n"


# --- command lines ---

OURS = [sys.executable, "-c", "import sys; sys.argv[0] = 'sparkqfs'; from sparkqfs.program import main; main()"]
INVOKE = [sys.executable, "-m", "invoke", "--search-root", str(ROOT)]
FAULT = ["status", "--hosts", "none.yml"]
LINES: dict[str, tuple[list[str], int, bool]] = {
    "a list": ([*OURS, "--list"], 0, True),
    "a completion script": ([*OURS, "--print-completion-script", "bash"], 0, True),
    "a version": ([*OURS, "--version"], 0, True),
    "a task's help": ([*OURS, "prep", "--help"], 0, True),
    "completion": ([*OURS, "--complete", "--", "sparkqfs", "prep", "--"], 0, True),
    "a fault": ([*OURS, *FAULT], 2, False),
    "a fault in JSON": ([*OURS, *FAULT, "--json"], 2, True),
    "a wrong word": ([*OURS, "no-such-task"], 2, False),
    "a download": ([sys.executable, "-m", "sparkqfs.clients.download", "no-such-thing"], 2, False),
    "invoke's list": ([*INVOKE, "--list"], 0, True),
}
"""A command line, its exit code, and whether it says something on standard output."""


@contextlib.contextmanager
def closed_pipe() -> Iterator[int]:
    """The end to write to of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


def together(folder: Path, *, out: int | None, err: int | None) -> dict[str, tuple[int, str]]:
    """Every command line at the same time: exit code and what it said on the stream that is read."""
    running = {
        name: subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if out is None else out,
            stderr=subprocess.PIPE if err is None else err,
            text=True,
        )
        for name, (command, _, _) in LINES.items()
    }
    found = {}
    for name, process in running.items():
        said = process.communicate(timeout=120)
        found[name] = (process.returncode, "".join(text for text in said if text))
    return found


def expected_code(name: str) -> set[int]:
    """`invoke` is not our program: an error of its own output makes 1 of its exit code."""
    return {LINES[name][1], 1} if name.startswith("invoke") else {LINES[name][1]}


def test_nobody_who_has_enough_gets_a_traceback(tmp_path: Path) -> None:
    with closed_pipe() as out:
        for name, (code, said) in together(tmp_path, out=out, err=None).items():
            assert code in expected_code(name) and "Traceback" not in said, (name, said)
            assert said == "" or not LINES[name][2], (name, said)


def test_without_a_reader_of_errors_the_exit_code_is_the_same(tmp_path: Path) -> None:
    with closed_pipe() as err:
        for name, (code, _) in together(tmp_path, out=None, err=err).items():
            assert code in expected_code(name), name
        for name, (code, _) in together(tmp_path, out=err, err=err).items():
            assert code in expected_code(name), name


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        for name, (code, said) in together(tmp_path, out=full.fileno(), err=None).items():
            if LINES[name][2]:
                assert (code, said) == (1, "standard output: No space left on device\n"), name
            else:
                assert code == LINES[name][1] and "Traceback" not in said, (name, said)
        for name, (code, said) in together(tmp_path, out=None, err=full.fileno()).items():
            assert code in expected_code(name) and (said != "") is LINES[name][2], (name, said)


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&- <&-"])
def test_what_the_caller_has_closed_is_nowhere(tmp_path: Path, closed: str) -> None:
    """No file that a program opens gets the number of standard output or error."""
    for name, (command, code, _) in LINES.items():
        done = subprocess.run(
            ["sh", "-c", f'"$@" {closed}', "sh", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code and "Traceback" not in done.stdout + done.stderr, (name, done)


INPUT = """\
import sys
from invoke import Exit
from pathlib import Path
from sparkqfs.cli.flags import Flags
from sparkqfs.cli.running import input_text, reporting
try:
    with reporting(Flags(), "sql"):
        {line}
except Exit as end:
    sys.exit(end.code)
"""


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("input_text()", "standard input: not UTF-8"),
        ("Path('x' * 300).is_file()", "x" * 79 + "…: File name too long"),
    ],
)
def test_what_the_user_gives_is_not_called_a_defect(line: str, said: str, locale: str) -> None:
    command = [sys.executable, "-c", INPUT.format(line=line)]
    environ = {**os.environ, "LC_ALL": locale, "COLUMNS": "500"}
    done = subprocess.run(command, input=b"select '\xfc'", capture_output=True, env=environ, timeout=60, check=False)
    assert done.returncode == 2 and said in done.stderr.decode() and b"defect" not in done.stderr

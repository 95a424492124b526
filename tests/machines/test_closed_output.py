"""What a task says to a reader that has closed its end."""

from __future__ import annotations

import subprocess
import sys

import pytest

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

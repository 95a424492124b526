"""The wrapper of programs in a container, as a real process: it ends them when nobody waits any more."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import PROGRAMS

PROGRAM = PROGRAMS / "attended"
ESCAPES = """
import os, pathlib, time
if os.fork():
    os._exit(0)
os.setsid()
pathlib.Path({pid!r}).write_text(str(os.getpid()))
time.sleep(60)
"""


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that must not outlive a failed test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def start(*words: str) -> subprocess.Popen[str]:
    """The wrapper with its standard input open."""
    return subprocess.Popen(
        [sys.executable, "-I", str(PROGRAM), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def close(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def pid_in(file: Path) -> int:
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text().strip()):
        assert time.monotonic() < deadline, "the program did not start"
        time.sleep(0.02)
    return int(file.read_text())


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_program_is_told_when_its_time_is_over() -> None:
    process = start(
        "1000", sys.executable, "-c", "import os; print(os.environ['SPARKQFS_UNTIL'], os.environ['PATH'] > '')"
    )
    assert process.stdout is not None
    until, path = process.stdout.read().split()
    assert process.wait(30) == 0 and path == "True" and 900 < int(until) - time.time() <= 1001
    close(process)


def test_output_and_exit_code_of_the_program_pass_through(running: list[subprocess.Popen[str]]) -> None:
    running.append(start("20", "sh", "-c", "echo out; echo err >&2; exit 7"))
    assert running[0].wait(30) == 7
    assert running[0].stdout is not None and running[0].stdout.read() == "out\n"
    assert running[0].stderr is not None and running[0].stderr.read() == "err\n"


def test_the_signal_that_ended_the_program_is_told_as_a_shell_does(running: list[subprocess.Popen[str]]) -> None:
    running.append(start("20", "sh", "-c", "kill -9 $$"))
    assert running[0].wait(30) == 137


def test_a_program_that_is_not_there_is_127(running: list[subprocess.Popen[str]]) -> None:
    running.append(start("20", "no-such-program"))
    assert running[0].wait(30) == 127


def test_the_end_of_standard_input_ends_the_program(running: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    running.append(start("60", "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"))
    pid = pid_in(tmp_path / "pid")
    close(running[0])
    assert running[0].wait(30) == 125
    assert is_gone(pid)


def test_what_the_program_started_in_other_sessions_ends_too(
    running: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    escape = ESCAPES.format(pid=str(tmp_path / "pid"))
    running.append(start("60", "sh", "-c", '"$1" -c "$2"; sleep 60', "sh", sys.executable, escape))
    pid = pid_in(tmp_path / "pid")
    close(running[0])
    assert running[0].wait(30) == 125
    assert is_gone(pid)


def test_a_program_that_ignores_sigterm_is_killed(running: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    running.append(start("60", "sh", "-c", f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1; done"))
    pid = pid_in(tmp_path / "pid")
    close(running[0])
    assert running[0].wait(30) == 125
    assert is_gone(pid)


def test_a_program_whose_time_is_over_is_ended_with_124(running: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    running.append(start("1", "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"))
    pid = pid_in(tmp_path / "pid")
    assert running[0].wait(30) == 124
    assert is_gone(pid)


def test_input_does_not_reach_the_program_and_does_not_end_it(running: list[subprocess.Popen[str]]) -> None:
    running.append(start("20", "sh", "-c", "sleep 0.5; wc -c"))
    assert running[0].stdin is not None
    running[0].stdin.write("somebody is there\n")
    running[0].stdin.flush()
    assert running[0].wait(30) == 0
    assert running[0].stdout is not None and running[0].stdout.read().strip() == "0"


def test_sigterm_ends_the_program_too(running: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    running.append(start("60", "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"))
    pid = pid_in(tmp_path / "pid")
    running[0].terminate()
    assert running[0].wait(30) == 125
    assert is_gone(pid)


@pytest.mark.parametrize("words", [(), ("5",), ("soon", "true")])
def test_a_wrong_command_line_is_64(words: tuple[str, ...], running: list[subprocess.Popen[str]]) -> None:
    running.append(start(*words))
    assert running[0].wait(30) == 64

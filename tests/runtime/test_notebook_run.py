"""run-notebook as a program, with stand-ins for papermill's Python and for nbconvert."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.jobs.programs.compute import SEND_SCRIPT
from tests.paths import PROGRAMS
from tests.runtime.driver import until

NOTEBOOK = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}


PAPERMILL = """\
import json
from papermill.translators import papermill_translators
def execute_notebook(source, target, parameters, **_more):
    made = papermill_translators.made
    cells = [{name: made.translate(value) for name, value in parameters.items()}]
    json.dump({"cells": cells, "metadata": {"parameters": parameters}}, open(target, "w"))
"""
TRANSLATORS = """\
class PythonTranslator:
    @classmethod
    def translate(cls, value):
        return "of papermill's own: " + repr(value)
class papermill_translators:
    @classmethod
    def register(cls, language, made):
        assert language == "python"
        cls.made = made
"""
"""As much of papermill 2.7 as we use: it translates a value, and keeps all of them in the notebook as JSON."""
TOP = Path("/tmp")


def a_venv(top: Path, python: str) -> dict[str, str]:
    """What run-notebook finds in the place of papermill's Python and of nbconvert."""
    programs = {"python": python, "jupyter": 'for one in "$@"; do :; done\necho page > "${one%.ipynb}.html"\n'}
    for name, text in programs.items():
        path = top / "venv" / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
    return {"SPARKQFS_VENV": str(top / "venv"), "PATH": "/usr/bin:/bin"}


def command(folder: Path, name: str, *words: str) -> list[str]:
    return [sys.executable, "-I", str(PROGRAMS / "run-notebook"), str(folder), name, *words]


@pytest.fixture
def sent() -> Iterator[Path]:
    """A notebook as `invoke notebook` has put it into the container."""
    done = subprocess.run(
        ["sh", "-c", SEND_SCRIPT, "sh", "mine.ipynb"], input=json.dumps(NOTEBOOK), capture_output=True, text=True
    )
    folder = Path(done.stdout.strip())
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def work_of(pid: int) -> Path:
    """Where the run of this process, or of one that it has started, works: other runs of this computer have theirs."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            where = Path(f"/proc/{child}/cwd").readlink()
            return where if where.name.startswith("notebook-run.") else work_of(child)
    raise AssertionError(f"{pid} has started nothing")


@pytest.mark.parametrize("code", [0, 1])
def test_its_results_come_with_papermills_exit_code_whatever_that_is(tmp_path: Path, code: int) -> None:
    environ = a_venv(tmp_path, f'cp "$3" "$4"\nexit {code}\n')
    (tmp_path / "a b.ipynb").write_text(json.dumps(NOTEBOOK))
    argv = command(tmp_path, "a b")
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=False)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert done.returncode == code and [row[:2] for row in rows] == [["file", "a b.ipynb"], ["file", "a b.html"]]
    assert json.loads(base64.b64decode(rows[0][2])) == NOTEBOOK


def test_a_notebook_that_lacks_what_the_format_needs_is_run_all_the_same(tmp_path: Path) -> None:
    environ = a_venv(tmp_path, 'cp "$3" "$4"\n')
    (tmp_path / "mine.ipynb").write_text('{"cells": [{"cell_type": "code", "source": "1"}]}')
    done = subprocess.run(command(tmp_path, "mine"), env=environ, capture_output=True, text=True, timeout=60)
    name, content = done.stdout.partition("\n")[0].split("\t")[1:]
    assert name == "mine.ipynb"
    cell: dict[str, Any] = {"cell_type": "code", "source": "1", "metadata": {}, "outputs": [], "execution_count": None}
    assert json.loads(base64.b64decode(content)) == NOTEBOOK | {"nbformat_minor": 4, "cells": [cell]}


def test_a_value_that_json_does_not_know_reaches_the_notebook_as_python_writes_it(tmp_path: Path) -> None:
    (tmp_path / "lib" / "papermill").mkdir(parents=True)
    (tmp_path / "lib" / "papermill" / "__init__.py").write_text(PAPERMILL)
    (tmp_path / "lib" / "papermill" / "translators.py").write_text(TRANSLATORS)
    source = "PAIR = (1, 2)\nMAP = {1: 'a'}\nLIST = [1]\nTEXT = 'a'"
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": source}
    (tmp_path / "mine.ipynb").write_text(json.dumps(NOTEBOOK | {"cells": [cell]}))
    environ = a_venv(tmp_path, f'PYTHONPATH={tmp_path}/lib exec {sys.executable} "$@"\n')
    given = {"PAIR": "(3, 'x')", "MAP": "{2: {3}}", "LIST": "[4, null]", "TEXT": "(5, 6)"}
    words = [word for name, value in given.items() for word in ("-p", name, value)]
    done = subprocess.run(command(tmp_path, "mine", *words), env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (ran,) = json.loads(base64.b64decode(done.stdout.split("\t")[2].partition("\n")[0]))["cells"]
    own = "of papermill's own: "
    assert ran == {"PAIR": "(3, 'x')", "MAP": "{2: {3}}", "LIST": f"{own}[4, None]", "TEXT": f"{own}'(5, 6)'"}


@pytest.mark.parametrize("seconds", ["100", "8"])
def test_what_was_sent_goes_when_nobody_waits_any_more_or_the_time_is_over(
    tmp_path: Path, sent: Path, seconds: str
) -> None:
    environ = a_venv(tmp_path, f"touch {tmp_path}/runs\nexec sleep 60\n")
    argv = [sys.executable, "-I", str(PROGRAMS / "attended"), seconds, *command(sent, "mine")]
    process = subprocess.Popen(argv, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until((tmp_path / "runs").exists)
    work = work_of(process.pid)
    assert sent.exists() and work.is_dir()
    if seconds == "100":
        assert process.stdin is not None
        process.stdin.close()
    process.wait(30)
    assert process.returncode == (125 if seconds == "100" else 124)
    assert not sent.exists() and not work.exists()
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def test_the_next_run_removes_what_was_left_long_ago_and_nothing_that_a_run_holds(tmp_path: Path, sent: Path) -> None:
    made = [Path(tempfile.mkdtemp(prefix=f"notebook-{kind}.", dir=TOP)) for kind in ("sent", "run", "sent", "run")]
    other = Path(tempfile.mkdtemp(prefix="notebook.", dir=TOP))
    link = TOP / f"notebook-run.{os.getpid()}"
    link.symlink_to(tmp_path)
    (tmp_path / "mine.ipynb").write_text(json.dumps(NOTEBOOK))
    for folder in (*made, other):
        (folder / "x").touch()
        os.utime(folder, (time.time() - 7 * 3600,) * 2)
    os.utime(made[2])
    held = os.open(made[3], os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = subprocess.run(command(tmp_path, "mine"), env=a_venv(tmp_path, ""), capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert [path.exists() for path in made] == [False, False, True, True]
        assert sent.exists() and other.exists() and (tmp_path / "mine.ipynb").exists()
    finally:
        os.close(held)
        link.unlink(missing_ok=True)
        for folder in (*made, other):
            shutil.rmtree(folder, ignore_errors=True)


def test_a_run_that_goes_on_is_not_swept_away_however_old_it_is(tmp_path: Path, sent: Path) -> None:
    environ = a_venv(tmp_path, f"touch {tmp_path}/runs\nexec sleep 60\n")
    long = subprocess.Popen(command(sent, "mine"), env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until((tmp_path / "runs").exists)
        work = work_of(long.pid)
        for folder in (sent, work):
            os.utime(folder, (time.time() - 7 * 3600,) * 2)
        (tmp_path / "other.ipynb").write_text(json.dumps(NOTEBOOK))
        subprocess.run(command(tmp_path, "other"), env=a_venv(tmp_path, ""), capture_output=True, timeout=60)
        assert sent.exists() and work.exists()
    finally:
        long.terminate()
        assert long.wait(30) == 143
    assert not sent.exists() and not work.exists()

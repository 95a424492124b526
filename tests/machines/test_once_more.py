"""tests/once_more.py, with real pytest on small suites."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

PASSES_ALONE = """
def test_one():
    mark = Path("mark")
    before = mark.exists()
    mark.touch()
    assert before
"""
FAILS = "\ndef test_two():\n    assert False\n"
PASSES = "\ndef test_three():\n    Path('ran').touch()\n"
SKIPPED = """
def test_one():
    mark = Path("mark")
    if mark.exists():
        pytest.skip("what it needs is gone")
    mark.touch()
    assert False
"""
LEFT_BY_ANOTHER = """
LEFT = []
def test_before():
    LEFT.append(1)
def test_one():
    assert not LEFT
"""
CRASHES = """
def test_crash():
    mark = Path("crashed")
    if not mark.exists():
        mark.touch()
        os._exit(9)
"""


def run(folder: Path, *words: str) -> tuple[int, str]:
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    argv = [sys.executable, "-m", *words]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout


def both(folder: Path, **files: str) -> tuple[int, str]:
    """The exit code of the second run, and what it said."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import os\nimport pytest\nfrom pathlib import Path\n" + text)
    assert run(folder, "pytest", "-q", "-n", "2", "--dist", "loadfile", "-p", "tests.outcomes")[0] != 0
    (folder / "ran").unlink(missing_ok=True)
    return run(folder, "tests.once_more")


def test_a_test_that_passes_with_its_file_is_named_and_no_other_file_is_run(tmp_path: Path) -> None:
    code, said = both(tmp_path, test_a=PASSES_ALONE + "\ndef test_beside():\n    pass\n", test_b=PASSES)
    assert code == 0 and "2 passed" in said and not (tmp_path / "ran").exists()
    unsteady = (tmp_path / "results" / "unsteady.txt").read_text()
    assert unsteady == "UNSTEADY: failed beside other tests, passed with its file alone: test_a.py::test_one\n"


@pytest.mark.parametrize(
    "text",
    [FAILS, PASSES_ALONE + FAILS, SKIPPED, LEFT_BY_ANOTHER],
    ids=["again", "one of two again", "skipped then", "by what another test of the file leaves"],
)
def test_a_test_that_does_not_pass_is_a_failure(tmp_path: Path, text: str) -> None:
    code, said = both(tmp_path, test_a=text)
    assert code == 1 and "== once more, alone: test_a.py" in said
    assert not (tmp_path / "results" / "unsteady.txt").exists()


@pytest.mark.parametrize(
    "files",
    [
        {"test_a": "".join(PASSES_ALONE.replace("one", f"n{n}").replace("mark", f"mark{n}") for n in range(4))},
        {"test_a": "import nothing_here\n"},
        {"test_a": PASSES_ALONE, "test_b": CRASHES},
        {"tests__cluster__test_a": PASSES_ALONE},
    ],
    ids=["many", "a file that cannot be read", "a process that crashed", "a cluster's life"],
)
def test_what_says_more_than_one_failure_is_not_tried_again(tmp_path: Path, files: dict[str, str]) -> None:
    assert both(tmp_path, **files) == (1, "")


def test_without_outcomes_nothing_is_tried(tmp_path: Path) -> None:
    assert run(tmp_path, "tests.once_more") == (1, "")

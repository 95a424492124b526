"""tests/once_more.py, with real pytest on small suites."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

PASSES_ALONE = """
from pathlib import Path
def test_one():
    mark = Path("mark")
    before = mark.exists()
    mark.touch()
    assert before
"""
FAILS = "\ndef test_two():\n    assert False\n"
PASSES = "\ndef test_three():\n    Path('ran').write_text('a')\n"


def both(folder: Path, text: str) -> tuple[int, str]:
    """The exit code of the second run, and what it said."""
    (folder / "test_suite.py").write_text("from pathlib import Path\n" + text)
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-n", "2"], cwd=folder, capture_output=True, timeout=120)
    (folder / "ran").unlink(missing_ok=True)
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    argv = [sys.executable, "-m", "tests.once_more"]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout


def test_a_test_that_passes_alone_is_named_and_nothing_else_is_run_again(tmp_path: Path) -> None:
    code, said = both(tmp_path, PASSES_ALONE + PASSES)
    assert code == 0 and "1 passed" in said
    assert said.splitlines()[-1].endswith("passed alone: test_suite.py::test_one")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", [FAILS, PASSES_ALONE + FAILS], ids=["all", "one of two"])
def test_a_test_that_fails_again_is_a_failure(tmp_path: Path, text: str) -> None:
    code, said = both(tmp_path, text)
    assert code == 1 and "1 failed" in said and "UNSTEADY" not in said


@pytest.mark.parametrize(
    "text",
    [
        "".join(PASSES_ALONE.replace("one", f"n{n}").replace("mark", f"mark{n}") for n in range(4)),
        "import nothing_here\n",
    ],
    ids=["many", "a file that cannot be read"],
)
def test_many_failures_and_broken_files_are_not_tried_again(tmp_path: Path, text: str) -> None:
    assert both(tmp_path, text) == (1, "")

"""What the start of a command line costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("wanted", [True, False])
def test_the_package_is_compiled_once_unless_python_is_told_to_write_nothing(tmp_path: Path, wanted: bool) -> None:
    shutil.copytree(ROOT / "sparkqfs", tmp_path / "sparkqfs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tasks.py", tmp_path)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "INVOKE_"))}
    env |= {} if wanted else {"PYTHONDONTWRITEBYTECODE": "1"}
    program = "import sys; sys.argv[0] = 'sparkqfs'; from sparkqfs.program import main; main()"
    command = [sys.executable, "-c", program, "--list"]
    subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, timeout=60, check=True)
    sources = {file.stem for file in (tmp_path / "sparkqfs" / "cli").glob("*.py")}
    compiled = {file.name.split(".")[0] for file in tmp_path.rglob("*.pyc")}
    assert compiled >= sources if wanted else compiled == set()

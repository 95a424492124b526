"""run-notebook as a program, with stand-ins for papermill's Python and for nbconvert."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import PROGRAMS

NOTEBOOK = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}


@pytest.mark.parametrize("code", [0, 1])
def test_its_results_come_with_papermills_exit_code_whatever_that_is(tmp_path: Path, code: int) -> None:
    programs = {
        "python": f'cp "$3" "$4"\nexit {code}\n',
        "jupyter": 'for one in "$@"; do :; done\necho page > "${one%.ipynb}.html"\n',
    }
    for name, text in programs.items():
        path = tmp_path / "venv" / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
    (tmp_path / "a b.ipynb").write_text(json.dumps(NOTEBOOK))
    argv = [sys.executable, "-I", str(PROGRAMS / "run-notebook"), str(tmp_path), "a b"]
    environ = {"SPARKQFS_VENV": str(tmp_path / "venv"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, check=False)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert done.returncode == code and [row[:2] for row in rows] == [["file", "a b.ipynb"], ["file", "a b.html"]]
    assert json.loads(base64.b64decode(rows[0][2])) == NOTEBOOK

"""A task's seconds by phase, with a process in its place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import phases

SAYS = """
import sys, time
print("0.0s [worker-node] building", file=sys.stderr, flush=True)
time.sleep(0.5)
print("0.3s == push", file=sys.stderr, flush=True)
print(sys.stdin.read() * 100000)
sys.exit(3)
"""


def test_outputs_exit_code_and_seconds_of_a_task(tmp_path: Path) -> None:
    before = dict(phases.seconds)
    ran = phases.run_task(
        [sys.executable, "-c", SAYS], folder=tmp_path, environment=os.environ, stdin="in", timeout_s=60, words=["up"]
    )
    assert (ran.returncode, ran.stdout) == (3, "in" * 100000 + "\n")
    assert ran.stderr.splitlines() == ["0.0s [worker-node] building", "0.3s == push"]
    assert phases.seconds[phases.BUILD] - before.get(phases.BUILD, 0) > 0.2


def test_a_task_that_is_late_is_ended(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(subprocess.TimeoutExpired):
        phases.run_task(argv, folder=tmp_path, environment=os.environ, stdin="", timeout_s=0.2, words=["up"])

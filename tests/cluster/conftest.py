"""What a failed cluster test leaves: the logs of all containers on all its machines, in one folder that it names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.paths import ROOT

FOLDER = ROOT / "results" / "failed"
MOST = 5
"""Failures of one process that are kept; what stands on a failed test fails too and has the same logs."""
LINES = 5000
"""Of one container."""
_kept: list[Path] = []


def output_of(*argv: str) -> bytes:
    """Both outputs of a command; what went wrong, instead of them, when it did not end well in time."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}\n".encode()
    return done.stdout


def machines_of(process: int) -> list[str]:
    """Container machines that tests of this process have made."""
    ran = output_of("docker", "ps", "-a", "--filter", "label=sparkqfs.local", "--format", "{{.Names}}")
    return [name for name in ran.decode().split() if re.search(rf"-{process}-", name)]


def keep_logs(folder: Path, machines: list[str]) -> int:
    """The machines' own logs, those of the containers on them, and what the swarm says; the number of files."""
    shutil.rmtree(folder, ignore_errors=True)
    for machine in machines:
        inside = ("docker", "exec", machine, "docker")
        place = folder / machine
        place.mkdir(parents=True)
        (place / "machine.log").write_bytes(output_of("docker", "logs", "--tail", str(LINES), machine))
        (place / "containers.txt").write_bytes(output_of(*inside, "ps", "-a", "--no-trunc"))
        for name in output_of(*inside, "ps", "-a", "--format", "{{.Names}}").decode(errors="replace").split():
            if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
                logs = output_of(*inside, "logs", "--timestamps", "--tail", str(LINES), name)
                (place / f"{name}.log").write_bytes(logs)
    return sum(path.is_file() for path in folder.rglob("*"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and item.get_closest_marker("cluster") is not None and len(_kept) < MOST:
        folder = FOLDER / re.sub(r"[^A-Za-z0-9_.-]+", "-", item.nodeid.rpartition("/")[2])
        count = keep_logs(folder, machines_of(os.getpid()))
        _kept.append(folder)
        report.sections.append(("logs of all containers", f"{count} files in {folder}"))
    return report

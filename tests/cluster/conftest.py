"""What a failed cluster test leaves: the logs of all containers on all its machines, in one folder that it names."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.logs import keep_logs, machines_of
from tests.paths import ROOT

FOLDER = ROOT / "results" / "failed"
MOST = 5
"""Failures of one process that are kept; what stands on a failed test fails too and has the same logs."""
_kept: list[Path] = []


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

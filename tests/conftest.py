"""What every run says at its end: whether QFS ran, and what was skipped and why."""

from __future__ import annotations

import collections
import shutil
import subprocess
from typing import Any

import pytest

QFS_RUNS = pytest.StashKey[list[str]]()


def has_engine() -> bool:
    """True when a Docker Engine answers on this machine."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60).returncode == 0


def pytest_configure(config: pytest.Config) -> None:
    config.stash[QFS_RUNS] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cluster tests last, and skipped with the reason where there is no engine."""
    items.sort(key=lambda item: item.get_closest_marker("cluster") is not None)
    if any(item.get_closest_marker("cluster") for item in items) and not has_engine():
        for item in items:
            if item.get_closest_marker("cluster"):
                item.add_marker(pytest.mark.skip(reason="no Docker Engine answers on this machine"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and "TestQfs" in report.nodeid:
        _outcomes[report.outcome] += 1


_outcomes: collections.Counter[str] = collections.Counter()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Before pytest's own closing line."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = collections.Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    terminalreporter.section("what ran")
    ran = _outcomes["passed"] + _outcomes["failed"]
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(_outcomes.items()) if outcome != "skipped")
    terminalreporter.write_line(f"real QFS: {'ran (' + said + ')' if ran else 'DID NOT RUN'}")
    terminalreporter.write_line(f"skipped: {len(skipped)}")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"  {count} × {reason}")

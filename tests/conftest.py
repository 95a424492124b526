"""What every run says at its end: which storages ran, and what was skipped and why."""

from __future__ import annotations

import collections
import os
import shutil
import signal
import subprocess
from typing import Any

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background, and whatever it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)


def has_engine() -> bool:
    """True when a Docker Engine answers on this machine."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60).returncode == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cluster tests last; what cannot run here, or takes long and is not asked for, is skipped with the reason."""
    items.sort(key=lambda item: item.get_closest_marker("cluster") is not None)
    if any(item.get_closest_marker("cluster") for item in items) and not has_engine():
        for item in items:
            if item.get_closest_marker("cluster"):
                item.add_marker(pytest.mark.skip(reason="no Docker Engine answers on this machine"))
    if not os.environ.get("SPARKQFS_LONG_TESTS"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes long: SPARKQFS_LONG_TESTS=1 ./test runs it"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for storage, part in STORAGES.items():
        if report.when == "call" and part in report.nodeid:
            _outcomes[storage][report.outcome] += 1


STORAGES = {
    "real QFS": "TestQfs",
    "real HDFS": "TestHdfs",
    "shared directory, bind mount": "TestShared",
    "GlusterFS": "TestGlusterfs",
}
_outcomes: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in STORAGES}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Before pytest's own closing line."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = collections.Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    terminalreporter.section("what ran")
    for storage, outcomes in _outcomes.items():
        ran = outcomes["passed"] + outcomes["failed"]
        said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()) if outcome != "skipped")
        terminalreporter.write_line(f"{storage}: {'ran (' + said + ')' if ran else 'DID NOT RUN'}")
    terminalreporter.write_line(f"skipped: {len(skipped)}")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"  {count} × {reason}")

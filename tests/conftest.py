"""What every run says at its end: which storages ran, and what was skipped and why."""

from __future__ import annotations

import collections
import functools
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background, and whatever it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)


ROOT = Path(__file__).resolve().parent.parent
QFS_GROUP = "real QFS"


def has_engine() -> bool:
    """True when a Docker Engine answers on this machine."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60).returncode == 0


@functools.cache
def group_of(file: str) -> str:
    """Tests of a group run one after the other in one process: a file's, all that start QFS, and all on clusters."""
    if file.startswith("tests/cluster/"):
        return "cluster"
    return QFS_GROUP if "from qfs_reader import" in (ROOT / file).read_text(encoding="utf-8") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives whole groups to a process. xdist's own `loadgroup` does nothing with pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid.partition("::")[0])

    config.option.loadscopereorder = False  # by size, which would begin with the cluster's
    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """QFS's tests first, cluster tests last; what cannot run here, or is not asked for, skips with the reason."""
    rank = {QFS_GROUP: 0, "cluster": 2}
    items.sort(key=lambda item: rank.get(group_of(item.nodeid.partition("::")[0]), 1))
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

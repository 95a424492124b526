"""Which part of the suite runs, in which order and process, and what every run says at its end."""

from __future__ import annotations

import collections
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import phases

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background, and whatever it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)


QFS_GROUP = "real QFS"
LIFECYCLE = "lifecycle"
HDFS_LIFE = "lifecycle on HDFS"
DIRECTORY = "shared directory"
SMALL_CLUSTERS = "small clusters"
FIRST_OF = {"qfs": ("::TestQfs::",), "hdfs": ("::TestHdfs::",), "shared": ("::TestShared::", "::TestGlusterfs::")}
"""Part of `./test --all` → what its tests' names have in them. `soak` is a mark instead."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`./test --all PART` gives `--part PART`."""
    parser.addoption(
        "--part", choices=[*FIRST_OF, "soak"], help="only these tests, the long ones among them (./test --all PART)"
    )
    parser.addoption(
        "--write-documents", action="store_true", help="write tests/data/documents.json as the tasks' documents are now"
    )


@pytest.fixture(scope="session", autouse=True)
def _no_locks_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clusters of tests are named after this process, or their directories are in its own: their locks go with them."""
    yield
    ours = f"{tmp_path_factory.getbasetemp()}/".replace("/", "+")
    for lock in Path("/run/lock").glob("sparkqfs-*.lock"):
        if ours in lock.name or lock.stem.endswith(f"-{os.getpid()}"):
            with contextlib.suppress(OSError):
                lock.unlink()


def has_engine() -> bool:
    """True when a Docker Engine answers on this machine."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60).returncode == 0


def group_of(nodeid: str) -> str:
    """Tests of a group run one after the other in one process: a file's, all that start QFS, a cluster's life."""
    file = nodeid.partition("::")[0]
    if "::TestHdfs::" in nodeid:
        return HDFS_LIFE
    if file.startswith("tests/cluster/"):
        small = {"test_local.py": SMALL_CLUSTERS, "test_shared.py": SMALL_CLUSTERS, "test_directory.py": DIRECTORY}
        return small.get(file.rpartition("/")[2], LIFECYCLE)
    return QFS_GROUP if file.startswith("tests/storage/") else file


def column_of(nodeid: str) -> str:
    """A test's column in the table of seconds."""
    group = group_of(nodeid)
    if group in (LIFECYCLE, HDFS_LIFE) and "::Test" in nodeid:
        return nodeid.split("::")[1].removeprefix("Test")
    return group if group in (LIFECYCLE, DIRECTORY, SMALL_CLUSTERS, QFS_GROUP) else "others"


@pytest.fixture(autouse=True)
def _messages_call_the_cluster_file_hosts_yml() -> None:
    """Whatever a command line that ran in this process before has called it."""
    if (reporter := sys.modules.get("sparkqfs.report.reporter")) is not None:
        reporter.name_file("hosts.yml")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives whole groups to a process. xdist's own `loadgroup` does nothing with pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False  # by size; ours is by time
    return Groups(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest groups first, each in a process of its own; what cannot run here, or is not asked for, skips."""
    part = config.getoption("part")
    if part is not None:
        chosen = [item for item in items if is_of(part, item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen
    rank = {LIFECYCLE: 0, QFS_GROUP: 1, DIRECTORY: 2, HDFS_LIFE: 3, SMALL_CLUSTERS: 4}
    items.sort(key=lambda item: rank.get(group_of(item.nodeid), 5))
    skips = {"soak": "an hour on an idle cluster: ./test --all soak runs it"}
    if part is None:
        skips["long"] = "takes long: ./test --all [qfs | hdfs | shared] runs it"
    if any(item.get_closest_marker("cluster") for item in items) and not has_engine():
        skips = {"cluster": "no Docker Engine answers on this machine", **skips}
    for item in items:
        for mark, reason in skips.items():
            if item.get_closest_marker(mark) and part != mark:
                item.add_marker(pytest.mark.skip(reason=reason))
                break


def is_of(part: str, item: pytest.Item) -> bool:
    """Whether `./test --all PART` runs it."""
    if part == "soak":
        return item.get_closest_marker("soak") is not None
    if any(word in item.nodeid for word in FIRST_OF[part]):
        return True
    is_alone = item.get_closest_marker("long") is not None and item.get_closest_marker("cluster") is None
    return is_alone and part == ("hdfs" if "hdfs" in item.name else "qfs")


_counted: collections.defaultdict[str, float] = collections.defaultdict(float)
"""What earlier reports of this process have carried, by phase."""
_seconds: dict[str, collections.defaultdict[str, float]] = {}
"""Group of tests → seconds by phase, of all processes."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Each report carries what was counted since the one before it."""
    report = yield
    if took := phases.taken(_counted):
        report.user_properties.append(("phases", took))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    counts: dict[str, float] = dict(report.user_properties).get("phases", {})  # type: ignore[assignment]
    group = _seconds.setdefault(column_of(report.nodeid), collections.defaultdict(float))
    for name, count in counts.items():
        group[name] += count
    group[phases.TESTS] += report.duration - sum(counts.values())
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
    if any(count >= 0.5 for group in _seconds.values() for name, count in group.items() if name != phases.TESTS):
        terminalreporter.section("where the time went")
        for line in phases.table(_seconds):
            terminalreporter.write_line(line)

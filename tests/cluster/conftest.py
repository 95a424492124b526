"""The machines of a cluster's life, and what a failed test leaves: the logs of all containers on all its machines."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.cluster.life")

from sparkqfs.local.cluster import local_down, local_up  # noqa: E402 (asserts of what they import are rewritten)
from tests import phases  # noqa: E402
from tests.cluster.kept import Kept, kept_volumes  # noqa: E402
from tests.cluster.leftovers import remove_leftovers  # noqa: E402
from tests.cluster.life import NAME  # noqa: E402
from tests.logs import keep_logs, machines_of  # noqa: E402
from tests.paths import ROOT  # noqa: E402

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


@pytest.fixture(scope="class")
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Image layers of the run before; the class says for how many machines, and which (`nodes`, `kept_as`)."""
    with phases.counted_as(phases.MACHINES):
        remove_leftovers(tmp_path_factory.mktemp("leftovers"))
    with kept_volumes(NAME, request.cls.nodes, request.cls.kept_as) as volumes:
        yield volumes


@pytest.fixture(scope="class")
def machines(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cluster file of container machines that are there for one class."""
    file = tmp_path_factory.mktemp("life") / "hosts.yml"
    try:
        with phases.counted_as(phases.MACHINES):
            local_up(name=NAME, nodes=len(kept.machines), file=file, on_event=lambda _text: None)
            kept.make_nameless()
            kept.take_layers()
        yield file
        with phases.counted_as(phases.MACHINES):
            kept.keep()
    finally:
        with phases.counted_as(phases.MACHINES):
            local_down(name=NAME, file=file, on_event=lambda _text: None)

"""What `invoke restore` hands on of its flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkqfs.cli import storage
from sparkqfs.cli.flags import Flags
from sparkqfs.jobs.cluster import restore as jobs
from sparkqfs.jobs.cluster.restore_look import Wishes
from sparkqfs.plan.steps import JobResult
from tests.builders.clusters import a_cluster


def wishes_of(monkeypatch: pytest.MonkeyPatch, **flags: str) -> tuple[Wishes, Any]:
    """What the job is given, and the cluster that the task is for."""
    got: list[Wishes] = []
    adapted: list[Any] = []

    def run(_name: str, job: Any, _given: Flags, *, lock: bool, erases: bool, adapt: Any) -> None:
        assert lock and not erases
        adapted.append(adapt(a_cluster()))
        job(None)

    def keep(_session: Any, wishes: Wishes) -> JobResult:
        got.append(wishes)
        return JobResult(task="restore")

    monkeypatch.setattr(storage, "run_guarded", run)
    monkeypatch.setattr(jobs, "run", keep)
    storage.restore.body.__wrapped__(Flags(), **flags)
    return got[0], adapted[0]


def test_a_backup_of_this_computer_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes, config = wishes_of(monkeypatch, backup="~/backups/x", cluster="spark")
    assert (wishes.backup, wishes.name, wishes.is_chosen) == (Path.home() / "backups" / "x", "spark", True)
    assert (config.manager.name, wishes.old_manager) == ("node1", "node1")


def test_another_manager_and_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes, config = wishes_of(monkeypatch, to="node2", at="2026-01-31T12:00:00Z")
    assert (config.manager.name, wishes.old_manager, wishes.backup) == ("node2", "node1", None)
    assert wishes.at == 1_769_860_800.0 and wishes.text == "1769860800"


def test_the_newest_state_is_no_time_of_this_computers_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes, _ = wishes_of(monkeypatch, at="newest")
    assert (wishes.at, wishes.newest, wishes.is_chosen) == (None, True, True)
    assert wishes_of(monkeypatch)[0].is_chosen is False

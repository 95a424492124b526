"""When the status pages check files, and what they remember of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from sparkqfs_runtime.pages import missing_data as health
from sparkqfs_runtime.pages import sources

WELL = sources.Check(
    lost_files=0, single_files=0, short_chunks=0, lost_chunks=0, files=9, chunks=6, most_copies=2, run_s=0.01
)


def test_pieces_of_striped_files_are_copies_that_can_be_made() -> None:
    found = dataclasses.replace(WELL, lost_chunks=4, short_chunks=1)
    assert found.missing == 5


class Scripted:
    """A master whose answers a test sets, and a clock that it moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.looks = sources.Look(mark=("a",), ready=True, missing=None)
        self.found: Any = WELL
        self.checks = 0

    def look(self) -> Any:
        return self.looks

    def check(self) -> Any:
        self.checks += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def clock(self) -> float:
        return self.now

    def watcher(self) -> Any:
        return health.Watcher(self, 300.0, self.clock)

    def turns(self, watcher: Any, seconds: float, step: float = 10.0) -> int:
        """Turns for so long; the number of checks among them."""
        before = self.checks
        for _ in range(int(seconds / step)):
            self.now += step
            watcher.turn()
        return self.checks - before


def test_files_are_checked_at_once_and_then_every_interval() -> None:
    master = Scripted()
    watcher = master.watcher()
    assert master.turns(watcher, 10) == 1
    assert master.turns(watcher, 290) == 0
    assert master.turns(watcher, 10) == 1


def test_files_are_not_checked_while_the_master_waits_for_its_servers() -> None:
    master = Scripted()
    master.looks = dataclasses.replace(master.looks, ready=False)
    watcher = master.watcher()
    assert master.turns(watcher, 600) == 0
    master.looks = dataclasses.replace(master.looks, ready=True)
    assert master.turns(watcher, 10) == 1


def test_files_are_checked_when_servers_change_and_while_something_is_missing() -> None:
    master = Scripted()
    watcher = master.watcher()
    master.turns(watcher, 10)
    master.looks = dataclasses.replace(master.looks, mark=("b",))
    assert master.turns(watcher, 60) == 1
    master.found = dataclasses.replace(WELL, lost_files=1, lost_chunks=1)
    master.looks = dataclasses.replace(master.looks, mark=("c",))
    assert master.turns(watcher, 60) == 6


def test_a_long_check_is_not_repeated_within_fifty_times_its_time() -> None:
    master = Scripted()
    master.found = dataclasses.replace(WELL, lost_files=1, run_s=2.0)
    watcher = master.watcher()
    assert master.turns(watcher, 10) == 1
    for number in range(9):
        master.looks = dataclasses.replace(master.looks, mark=(number,))
        assert master.turns(watcher, 10) == 0
    assert master.turns(watcher, 10) == 1


def test_what_was_found_stays_when_a_check_fails_and_its_age_grows() -> None:
    master = Scripted()
    watcher = master.watcher()
    master.turns(watcher, 10)
    master.found = sources.Unasked("another child process running")
    master.turns(watcher, 600)
    found = json.loads(watcher.document())
    assert (found["check"]["lost_files"], found["check"]["age_s"]) == (0, 600.0)
    assert found["check_error"] == "another child process running"


def test_the_pace_is_that_of_the_last_minutes_and_standing_still_is_timed() -> None:
    master = Scripted()
    master.looks = dataclasses.replace(master.looks, missing=100)
    watcher = master.watcher()
    master.turns(watcher, 10)
    for left in (90, 80, 70, 60, 50, 40):
        master.looks = dataclasses.replace(master.looks, missing=left)
        master.turns(watcher, 10)
    found = json.loads(watcher.document())
    assert (found["missing"], found["per_minute"], found["still_s"]) == (40, 60.0, 0.0)
    master.turns(watcher, 300)
    found = json.loads(watcher.document())
    assert (found["per_minute"], found["still_s"]) == (2.0, 300.0)
    master.looks = dataclasses.replace(master.looks, missing=0)
    master.turns(watcher, 10)
    assert json.loads(watcher.document())["still_s"] == 0.0


def test_time_in_which_the_master_waits_for_a_server_is_not_standing_still() -> None:
    master = Scripted()
    master.found = dataclasses.replace(WELL, short_chunks=3)
    master.looks = dataclasses.replace(master.looks, held=1)
    watcher = master.watcher()
    master.turns(watcher, 300)
    assert json.loads(watcher.document())["still_s"] == 0.0
    master.looks = dataclasses.replace(master.looks, held=0)
    master.turns(watcher, 120)
    assert json.loads(watcher.document())["still_s"] == 120.0


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 300), ("60", 60), ("0", 300), ("-1", 300), ("x", 300), ("inf", 300), ("nan", 300)]
)
def test_the_interval_comes_from_the_environment(text: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARKQFS_CHECK_S", text)
    assert health.interval() == seconds

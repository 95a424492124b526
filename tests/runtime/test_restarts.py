"""Programs that run again, `submit --restart`: each start of the driver's role is what Swarm does after a failure."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkqfs_runtime import kept_output, scratch, tidy
from sparkqfs_runtime.supervise import restarts
from sparkqfs_runtime.supervise.restarts import LONGEST_S, MOST, SOUND_S, Runs, found_open, pause_s, wait_s
from tests.runtime.driver import Driver, until


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(tmp_path)


def runs(driver: Driver) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((driver.app / "runs.json").read_text())
    return found


def run(driver: Driver, *words: str) -> int:
    """One container's life."""
    process = driver.start(*words, restart=True)
    process.communicate(timeout=30)
    return process.returncode


def earlier(driver: Driver, **more: object) -> None:
    """The run before ended long ago, so that the next one need not wait."""
    known = runs(driver) | {"ended": time.time() - 1000.0} | more
    (driver.app / "runs.json").write_text(json.dumps(known))


def test_a_program_that_fails_runs_again_until_it_ends_with_0(driver: Driver) -> None:
    assert run(driver, "7") == 7, "Swarm starts again what fails"
    assert driver.said("exit") == "" and runs(driver)["failed"] == 1
    assert "sparkqfs: exit code 7: runs again in 10 s, failure 1 of 20 in a row\n" in driver.said("stderr")
    earlier(driver)
    assert run(driver, "0") == 0
    assert driver.said("exit") == "0 ended\n" and runs(driver)["number"] == 2
    first, second = (line.split("]")[0] for line in driver.said().splitlines())
    assert (first, second) == ("argv ['7'", "argv ['0'"), "the output of both runs is there"
    assert "sparkqfs: run 2; of the one before: exit code 7\n" in driver.said("stderr")
    assert run(driver, "0") == 0 and runs(driver)["number"] == 2, "what has ended is not started again"


def test_a_program_that_always_fails_at_once_is_given_up(driver: Driver) -> None:
    assert run(driver, "7") == 7
    earlier(driver, failed=MOST - 1)
    assert run(driver, "7") == 0
    assert driver.said("exit") == "7 ended\n"
    assert f"sparkqfs: {MOST} failures in a row, the last one: exit code 7; it is not run again\n" in driver.said(
        "stderr"
    )


def test_it_waits_before_the_next_run_and_can_be_stopped_meanwhile(driver: Driver) -> None:
    assert run(driver, "7") == 7
    process = driver.start("0", restart=True)
    time.sleep(1.0)
    assert process.poll() is None and driver.said().count("argv") == 1
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 143 and driver.said("exit") == "" and runs(driver)["number"] == 1
    (driver.app / "ending").touch()
    process = driver.start("0", restart=True)
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 0 and driver.said("exit") == "143 stopped\n"


@pytest.mark.parametrize("is_for_good", [False, True])
def test_a_stop_is_for_good_only_when_it_was_said_before(driver: Driver, is_for_good: bool) -> None:
    process = driver.start("sleep", restart=True)
    until(lambda: "asleep" in driver.said())
    if is_for_good:
        (driver.app / "ending").touch()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=15)
    if is_for_good:
        assert process.returncode == 0 and driver.said("exit") == "143 stopped\n"
        return
    assert process.returncode == 143 and driver.said("exit") == ""
    assert runs(driver)["failed"] == 0, "an engine that stops is no failure of the program"
    assert run(driver, "0") == 0 and runs(driver)["number"] == 2


def test_a_container_that_is_lost_counts_and_a_machine_that_goes_down_does_not(driver: Driver) -> None:
    process = driver.start("sleep", restart=True)
    until(lambda: "asleep" in driver.said())
    process.kill()
    process.communicate(timeout=10)
    assert runs(driver)["ended"] is None
    cut = Runs(**runs(driver))
    lost = found_open(cut, cut.boot, time.time(), time.time())
    assert (lost.failed, lost.how) == (1, "its container was lost")
    gone = found_open(cut, "another", time.time(), time.time())
    assert (gone.failed, gone.how) == (0, "its machine went down")
    assert wait_s(gone, time.time()) == 0.0


def test_a_driver_that_cannot_start_is_tried_again(driver: Driver) -> None:
    secret = Path(driver.environ["SPARKQFS_SECRETS_DIR"]) / "spark-secret"
    secret.unlink()
    assert run(driver, "0") == 78 and driver.said("exit") == ""
    assert "the driver cannot start: spark.authenticate is on" in driver.said("stderr")
    secret.write_text("the-secret\n")
    earlier(driver)
    assert run(driver, "0") == 0 and driver.said("exit") == "0 ended\n"


def test_the_pause_grows_up_to_a_limit_and_a_sound_run_begins_it_again() -> None:
    assert [pause_s(failed) for failed in (0, 1, 2, 3, 5, 6, MOST)] == [0, 10, 20, 40, 160, LONGEST_S, LONGEST_S]
    one = Runs(number=5, failed=4, started=1000.0)
    assert restarts.with_failure(one, 1010.0, 10.0).failed == 5
    assert restarts.with_failure(one, 1000.0 + SOUND_S, SOUND_S).failed == 1
    ended = replace(one, ended=1000.0)
    assert wait_s(ended, 1030.0) == 50.0 and wait_s(ended, 5000.0) == 0.0
    assert wait_s(ended, 10.0) == 80.0, "a clock that was set back does not make it longer"


def test_what_cannot_be_read_is_a_first_run(tmp_path: Path) -> None:
    for text in ("", "[]", '{"number": 1}', "\0"):
        (tmp_path / "runs.json").write_text(text)
        assert restarts.read(tmp_path) == Runs()


def test_many_short_runs_share_a_piece_and_a_long_one_keeps_its_bound(tmp_path: Path) -> None:
    limit = 8 * kept_output.MIN_PIECE
    for number in range(20):
        keeper = kept_output.Keeper(tmp_path, "stdout", limit)
        keeper.take_up()
        if not keeper.is_open:
            keeper.begin()
        keeper.write(b"%08d\n" % number)
        keeper.finishing.set()
        keeper._close()
    assert (tmp_path / "stdout").read_text().splitlines() == [f"{number:08d}" for number in range(20)]
    keeper = kept_output.Keeper(tmp_path, "stdout", limit)
    keeper.take_up()
    keeper.write(b"x" * 3 * limit)
    keeper._close()
    kept = sorted(tmp_path.glob("stdout*"))
    assert sum(path.stat().st_size for path in kept) <= limit
    last = kept[-1]
    assert int(last.name.partition("@")[2]) + last.stat().st_size == 180 + 3 * limit


def test_a_program_that_waits_for_its_machine_is_not_tidied_away(tmp_path: Path) -> None:
    waiting, dead = (tmp_path / f"submit-20260101120000-000{number}" for number in (1, 2))
    for folder in (waiting, dead):
        folder.mkdir()
        (folder / ".lock").touch()
    restarts.write(waiting, Runs(number=1))
    for folder in (waiting, dead):
        os.utime(folder, (time.time() - 30 * 86400,) * 2)
    assert scratch.is_dead(waiting)
    tidy.tidy_programs(tmp_path, 7)
    assert [path.name for path in tmp_path.iterdir()] == [waiting.name]

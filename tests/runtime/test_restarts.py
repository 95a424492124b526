"""Programs that run again, `submit --restart`: each start of the driver's role is what Swarm does after a failure."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkqfs import durable
from sparkqfs_runtime import kept_output, scratch, tidy
from sparkqfs_runtime.supervise import restarts
from sparkqfs_runtime.supervise.driver import keep_end
from sparkqfs_runtime.supervise.restarts import LONGEST_S, MOST, SOUND_S, Runs, found_open, pause_s, wait_s
from tests.runtime.driver import Driver, until


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(tmp_path)


def runs(driver: Driver) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((driver.app / ".runs.json").read_text())
    return found


def run(driver: Driver, *words: str) -> int:
    """One container's life."""
    process = driver.start(*words, restart=True)
    process.communicate(timeout=30)
    return process.returncode


def is_held(driver: Driver) -> bool:
    """Whether a container has the program; from before that on a stop does not end it at once, but is waited for."""
    return not scratch.is_dead(driver.app)


def lose(process: subprocess.Popen[str]) -> None:
    """As a container that is lost: all of its processes end at once."""
    programs = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    for pid in programs:
        os.killpg(int(pid), signal.SIGKILL)
    process.communicate(timeout=30)


def earlier(driver: Driver, **more: object) -> None:
    """The run before ended long ago, so that the next one need not wait."""
    known = runs(driver) | {"ended": time.time() - 1000.0} | more
    (driver.app / ".runs.json").write_text(json.dumps(known))


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
    until(lambda: is_held(driver))
    assert process.poll() is None and driver.said().count("argv") == 1
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143 and driver.said("exit") == "" and runs(driver)["number"] == 1
    process = driver.start("0", restart=True)
    until(lambda: is_held(driver))
    (driver.app / ".ending").touch()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 0 and driver.said("exit") == "143 stopped\n"


def test_what_is_being_ended_neither_begins_nor_fails(driver: Driver) -> None:
    assert run(driver, "7") == 7
    earlier(driver)
    (driver.app / ".ending").touch()
    assert run(driver, "0") == 0
    assert (driver.said("exit"), driver.said().count("argv")) == ("143 stopped\n", 1)
    (driver.app / "exit").unlink()
    kept = restarts.Restarts(driver.app, lambda _text: None, lambda *end: keep_end(driver.app, *end))
    assert kept.end(1, "ended", "") == 0 and driver.said("exit") == "1 stopped\n"
    assert kept.end(0, "ended", "") == 0 and driver.said("exit") == "0 ended\n", "it had come to its end before"


@pytest.mark.parametrize("is_for_good", [False, True])
def test_a_stop_is_for_good_only_when_it_was_said_before(driver: Driver, is_for_good: bool) -> None:
    process = driver.start("sleep", restart=True)
    until(lambda: "asleep" in driver.said())
    if is_for_good:
        (driver.app / ".ending").touch()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    if is_for_good:
        assert process.returncode == 0 and driver.said("exit") == "143 stopped\n"
        return
    assert process.returncode == 143 and driver.said("exit") == ""
    assert runs(driver)["failed"] == 0, "an engine that stops is no failure of the program"
    assert run(driver, "0") == 0 and runs(driver)["number"] == 2


def test_a_container_that_is_lost_counts_and_a_machine_that_goes_down_does_not(driver: Driver) -> None:
    process = driver.start("sleep", restart=True)
    until(lambda: "asleep" in driver.said())
    lose(process)
    assert runs(driver)["ended"] is None
    cut = Runs(**runs(driver))
    lost = found_open(cut, cut.boot, time.time(), time.time())
    assert (lost.failed, lost.how) == (1, "its container was lost")
    gone = found_open(cut, "another", time.time(), time.time())
    assert (gone.failed, gone.how) == (0, "its machine went down")
    assert wait_s(gone, time.time()) == 0.0


def test_a_lost_run_is_written_down_before_the_pause_after_it(driver: Driver) -> None:
    (driver.app / ".lock").touch()
    restarts.write(driver.app, Runs(number=3, failed=1, started=time.time(), boot=restarts.BOOT_ID.read_text().strip()))
    process = driver.start("0", restart=True)
    until(lambda: runs(driver)["failed"] == 2)
    process.kill()
    process.communicate(timeout=30)
    assert (runs(driver)["number"], runs(driver)["how"]) == (3, "its container was lost")
    again = restarts.Restarts(driver.app, lambda _text: None, lambda *_end: None)
    assert again.runs == restarts.read(driver.app), "a container that is lost in a pause is no failure of the program"


def test_a_quiet_program_whose_container_is_lost_has_run_as_long_as_it_was_there(tmp_path: Path) -> None:
    now = time.time()
    cut = Runs(number=5, failed=4, started=now - 3 * SOUND_S, boot=restarts.BOOT_ID.read_text().strip())
    restarts.write(tmp_path, cut)
    for name, age_s in (("stdout", 3 * SOUND_S), ("stdout.csv", 0), ("std", 0), (".lock", 2.5 * SOUND_S)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (now - age_s,) * 2)
    assert restarts.Restarts(tmp_path, lambda _text: None, lambda *_end: None).runs.failed == 5
    os.utime(tmp_path / ".lock", (now - SOUND_S,) * 2)
    assert restarts.Restarts(tmp_path, lambda _text: None, lambda *_end: None).runs.failed == 1


def test_while_it_runs_its_container_says_so(driver: Driver) -> None:
    process = driver.start("sleep", restart=True)
    until(lambda: "asleep" in driver.said())
    assert (driver.app / ".lock").stat().st_mtime >= runs(driver)["started"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def test_what_we_say_stands_in_its_standard_error_and_not_in_a_file_of_its_own(driver: Driver) -> None:
    (driver.app / "stderr_of_mine.log").write_text("mine\n")
    assert run(driver, "7") == 7
    assert driver.said("stderr_of_mine.log") == "mine\n" and "runs again in 10 s" in driver.said("stderr")


def test_a_program_that_somebody_has_removed_is_not_started_for_ever(driver: Driver) -> None:
    driver.environ["SPARKQFS_APP"] = f"{driver.app.name[:-4]}0000"
    assert run(driver, "0") == 0
    driver.environ["SPARKQFS_APPS_DIR"] = str(driver.run_dir / "not-mounted")
    assert run(driver, "0") == 78, "its disk may come back"


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


@pytest.mark.parametrize(("lasted_s", "failed"), [(SOUND_S - 60.0, 4), (SOUND_S + 60.0, 0)])
def test_a_sound_run_that_a_stop_or_a_reboot_ends_begins_the_count_again(
    tmp_path: Path, lasted_s: float, failed: int
) -> None:
    now = time.time()
    one = Runs(number=5, failed=4, started=now - lasted_s, boot="before")
    assert found_open(one, "now", now, now).failed == failed
    restarts.write(tmp_path, replace(one, boot=restarts.BOOT_ID.read_text().strip()))
    kept = restarts.Restarts(tmp_path, lambda _text: None, lambda *_end: None)
    kept.runs = restarts.read(tmp_path)  # it runs still
    assert kept.end(143, "stopped", "") == 143
    assert (restarts.read(tmp_path).failed, restarts.read(tmp_path).how) == (failed, "its container was stopped")


class FullDisk:
    """What a disk without room does with a program's end, and with what is known of its runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waited: list[float] = []
        monkeypatch.setattr(durable, "replace_file", self.fail)
        monkeypatch.setattr(restarts, "wait", self.wait)
        self.restarts = restarts.Restarts(folder, lambda _text: None, lambda *end: keep_end(folder, *end))

    def fail(self, *_words: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return False


def test_a_full_disk_does_not_make_a_program_run_again_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarts.write(tmp_path, Runs(number=1, started=time.time(), boot=restarts.BOOT_ID.read_text().strip()))
    disk = FullDisk(tmp_path, monkeypatch)
    (tmp_path / "stderr").symlink_to("/dev/full")
    disk.restarts.runs = restarts.read(tmp_path)
    assert disk.restarts.end(0, "ended", "sparkqfs: a last word\n") == 0
    assert disk.restarts.end(7, "ended", "") == 7, "a failure is one still"
    disk.restarts.runs = replace(disk.restarts.runs, failed=MOST - 1)
    assert disk.restarts.end(7, "ended", "") == 0, "given up is given up"


def test_a_run_that_cannot_be_written_down_does_not_begin_and_is_not_tried_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(tmp_path, monkeypatch)
    assert disk.restarts.begin() == 1
    assert disk.waited[-1] == LONGEST_S and disk.restarts.runs.number == 0


def test_what_cannot_be_read_is_a_first_run(tmp_path: Path) -> None:
    whole = '{"number": 1, "failed": 0, "started": 1, "ended": null, "how": "", "boot": ""}'
    for text in ("", "[]", '{"number": 1}', "\0", "[" * 200_000, whole.replace("1", "1e999", 1)):
        (tmp_path / ".runs.json").write_text(text)
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


def test_a_follower_that_pauses_does_not_hold_up_the_start_of_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_output, "LEASE_S", 60.0)
    limit = kept_output.PIECES * kept_output.MIN_PIECE
    for number in range(kept_output.PIECES):
        name = kept_output.piece_name("stdout", number * kept_output.MIN_PIECE)
        (tmp_path / name).write_bytes(b"x" * kept_output.MIN_PIECE)
    (tmp_path / ".reader-1").write_text("0 0\n")
    kept, began = kept_output.Kept(tmp_path, limit), time.monotonic()
    out, err = kept.open()
    assert time.monotonic() - began < 30
    os.write(out, b"the next run")
    os.close(out)
    os.close(err)
    assert kept.finish(0.1) == 0
    assert kept_output.pieces_of(tmp_path, "stdout")[-1].read_bytes() == b"the next run"
    assert (tmp_path / "stderr").exists()


def test_a_program_that_waits_for_its_machine_is_not_tidied_away(tmp_path: Path) -> None:
    waiting, dead, damaged = (tmp_path / f"submit-20260101120000-000{number}" for number in (1, 2, 3))
    for folder in (waiting, dead, damaged):
        folder.mkdir()
        (folder / ".lock").touch()
        restarts.write(folder, Runs(number=1))
    (waiting / "app.json").write_text('{"argv": [], "restart": true}')
    (dead / "app.json").write_text('{"argv": ["\\"restart\\": true"], "restart": false}')
    (damaged / "app.json").write_text("[" * 200_000)
    for folder in (waiting, dead, damaged):
        os.utime(folder, (time.time() - 30 * 86400,) * 2)
    assert scratch.is_dead(waiting)
    tidy.tidy_programs(tmp_path, 7)
    assert [path.name for path in tmp_path.iterdir()] == [waiting.name]

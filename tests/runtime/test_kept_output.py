"""A program's output within its bound: pieces, readers, and what is told of what is gone. With real processes."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sparkqfs.jobs.programs import apps as jobs
from sparkqfs.jobs.programs import drivers
from sparkqfs.plan.programs.apps import Piece, parse_piece
from sparkqfs_runtime import kept_output, scratch, tidy
from sparkqfs_runtime.supervise import driver
from tests.paths import PROGRAMS

ID = "submit-20260101120000-7f3a"
LIMIT = 64 * 1024
"""Bytes; a minute of a program that prints 1 MB/s would be a thousand times that."""
TALKER = """\
#!{python} -I
import os, sys
del sys.argv[1:3]
for number in range(int(sys.argv[1])):
    os.write(1, b"%015d\\n" % number)
    os.write(2, b"%07d\\n" % number)
"""


class Talk:
    """A driver that prints so many lines of 16 bytes to stdout and of 8 to stderr."""

    def __init__(self, top: Path) -> None:
        self.top, self.app = top, top / "apps" / ID
        for path in (self.app, top / "etc", top / "secrets", top / "spark" / "bin", top / "run"):
            path.mkdir(parents=True)
        (top / "etc" / "spark-defaults.conf").write_text("spark.authenticate false\n")
        program = top / "spark" / "bin" / "spark-submit"
        program.write_text(TALKER.format(python=sys.executable))
        program.chmod(0o755)
        self.environ = {
            "PATH": os.environ["PATH"],
            "SPARK_HOME": str(top / "spark"),
            "SPARKQFS_STORAGE": "shared",
            "SPARKQFS_PROBE_HOST": "127.0.0.1",
            "SPARKQFS_ETC_DIR": str(top / "etc"),
            "SPARKQFS_RUN_DIR": str(top / "run"),
            "SPARKQFS_SECRETS_DIR": str(top / "secrets"),
            "SPARK_LOCAL_DIRS": str(top / "local"),
            "SPARKQFS_APPS_DIR": str(top / "apps"),
            "SPARKQFS_APP": ID,
            "SPARKQFS_PROGRAM_LOG_BYTES": str(LIMIT),
        }

    def start(self, lines: int) -> subprocess.Popen[bytes]:
        (self.app / "app.json").write_text(json.dumps({"argv": [str(lines)]}))
        words = [sys.executable, "-I", str(PROGRAMS / "supervise"), "driver"]
        return subprocess.Popen(words, env=self.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def read(self, out: int, err: int, reader: str = "") -> Piece:
        """As `submit` does on the manager."""
        return parse_piece(script(drivers.READ_SCRIPT, ID, str(out + 1), str(err + 1), reader, cwd=self.top))

    def kept(self) -> dict[str, int]:
        """Stream → bytes of it on the disk."""
        found = {"stdout": 0, "stderr": 0}
        for path in self.app.glob("std*"):
            with contextlib.suppress(FileNotFoundError):  # it has just gone
                found[path.name[:6]] += path.stat().st_size
        return found


def script(text: str, *words: str, cwd: Path) -> str:
    done = subprocess.run(["sh", "-c", text, "sh", *words], cwd=cwd, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode()


@pytest.fixture
def talk(tmp_path: Path) -> Talk:
    return Talk(tmp_path)


def test_a_program_that_nobody_follows_stays_within_its_bound_and_its_last_words_are_kept(talk: Talk) -> None:
    lines = 20_000
    assert talk.start(lines).wait(timeout=60) == 0
    kept = talk.kept()
    assert LIMIT * 3 // 4 <= kept["stdout"] <= LIMIT and LIMIT * 3 // 4 <= kept["stderr"] <= LIMIT
    text = script(jobs.LOGS_SCRIPT, f"apps/{ID}", "2", cwd=talk.top)
    assert dict(jobs._files(text)) == {"stderr": b"0019998\n0019999\n", "stdout": b"000000000019998\n000000000019999\n"}
    for stream, width in (("stdout", 16), ("stderr", 8)):
        assert jobs._gone(text, stream) == (lines * width - kept[stream], True)


def test_whoever_follows_gets_every_byte_while_pieces_go(talk: Talk) -> None:
    """Ten times the bound goes through while the reader is slower than the program."""
    lines = 40_000
    talk.read(0, 0, "me")
    process = talk.start(lines)
    out = err = b""
    most = pieces = 0
    while True:
        piece = talk.read(len(out), len(err), "me")
        assert (piece.stdout_gone, piece.stderr_gone) == (0, 0)
        out, err = out + piece.stdout, err + piece.stderr
        pieces += 1
        if len(out) < lines * 8:  # it still talks: at its end what is in the pipe may be too much
            most = max(most, talk.kept()["stdout"])
        if piece.ended is not None and not piece.stdout and not piece.stderr:
            break
    assert out == b"".join(b"%015d\n" % number for number in range(lines))
    assert err == b"".join(b"%07d\n" % number for number in range(lines))
    assert piece.ended == (0, "ended") and process.wait(timeout=30) == 0
    assert most <= LIMIT and pieces > 8


def test_whoever_comes_late_is_told_how_many_bytes_are_gone(talk: Talk) -> None:
    lines = 20_000
    talk.start(lines).wait(timeout=60)
    first = talk.read(0, 0)
    assert 0 < first.stdout_gone == lines * 16 - talk.kept()["stdout"] and first.more
    place, read = first.stdout_gone, b""
    while piece := talk.read(place + len(read), 0).stdout:
        read += piece
    assert read == b"".join(b"%015d\n" % number for number in range(lines))[place:]


def test_a_reader_that_has_gone_does_not_hold_a_program_up(talk: Talk) -> None:
    (talk.app / ".reader-gone").write_text("0 0\n")
    before = time.time() - kept_output.LEASE_S - 1
    os.utime(talk.app / ".reader-gone", (before, before))
    assert talk.start(20_000).wait(timeout=60) == 0
    assert not (talk.app / ".reader-gone").exists()


def test_a_reader_that_lags_holds_the_program_and_not_the_bound(tmp_path: Path) -> None:
    (tmp_path / ".reader-me").write_text("0 0\n")
    keeper = kept_output.Keeper(tmp_path, "stdout", LIMIT)
    writer = threading.Thread(target=keeper.write, args=(b"x" * 3 * LIMIT,), daemon=True)
    writer.start()
    writer.join(0.5)
    assert writer.is_alive() and keeper.total == LIMIT
    (tmp_path / ".reader-me").write_text(f"{LIMIT} 0\n")
    deadline = time.monotonic() + 30
    while keeper.total < 2 * LIMIT and time.monotonic() < deadline:
        time.sleep(0.05)
    writer.join(0.5)
    assert keeper.total == 2 * LIMIT
    keeper.finishing.set()
    writer.join(30)
    assert not writer.is_alive() and keeper.total == 3 * LIMIT


def written(folder: Path, data: bytes) -> kept_output.Kept:
    """A program that has written this and ended."""
    kept = kept_output.Kept(folder, LIMIT)
    out, err = kept.open()
    os.write(out, data)
    os.close(out)
    os.close(err)
    return kept


def slow_disk(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Each piece of what is written takes so long."""
    write = kept_output.Keeper.write

    def slow(self: kept_output.Keeper, data: bytes) -> None:
        time.sleep(seconds)
        write(self, data)

    monkeypatch.setattr(kept_output, "READ_BYTES", 4096)
    monkeypatch.setattr(kept_output.Keeper, "write", slow)


def test_a_slow_disk_costs_no_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that writes much else: the last pieces take longer than a moment of quiet."""
    monkeypatch.setattr(kept_output, "LAST_S", 0.1)
    slow_disk(monkeypatch, 0.15)
    assert written(tmp_path, b"x" * 40_000).finish(0.01) == 0
    assert sum(path.stat().st_size for path in tmp_path.glob("stdout*")) == 40_000


def test_what_a_disk_did_not_take_in_time_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_disk(monkeypatch, 2)
    assert written(tmp_path, b"x" * 40_000).finish(0.01, drain_s=0.3) == 40_000


def test_a_stop_shortens_the_wait_for_a_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_output, "STOP_S", 0.2)
    slow_disk(monkeypatch, 20)
    kept, started = written(tmp_path, b"x" * 100), time.monotonic()
    assert kept.finish(0.01, 60, lambda: True) == 100
    assert time.monotonic() - started < 15


def test_one_who_goes_on_writing_is_not_waited_for_and_does_not_fill_the_disk(tmp_path: Path) -> None:
    kept = kept_output.Kept(tmp_path, LIMIT)
    out, err = kept.open()
    writer = subprocess.Popen(["yes"], stdout=out, start_new_session=True)
    os.close(out)
    os.close(err)
    try:
        time.sleep(0.3)
        started = time.monotonic()
        assert kept.finish(0.01) == 0
        assert time.monotonic() - started < 20
    finally:
        writer.kill()
        writer.wait()


def test_what_is_added_at_the_end_is_after_all_pieces(tmp_path: Path) -> None:
    (tmp_path / "stderr").write_text("first\n")
    (tmp_path / "stderr@000000000000006").write_text("second\n")
    driver.keep_end(tmp_path, 0, "ended", "sparkqfs: said at the end\n")
    assert (tmp_path / "stderr").read_text() == "first\n"
    assert (tmp_path / "stderr@000000000000006").read_text() == "second\nsparkqfs: said at the end\n"


def test_a_pipe_that_stays_open_is_left_after_a_moment(tmp_path: Path) -> None:
    kept = kept_output.Kept(tmp_path, LIMIT)
    out, err = kept.open()
    os.write(out, b"last\n")
    started = time.monotonic()
    assert kept.finish(0.01) == 0
    assert time.monotonic() - started < 10
    assert (tmp_path / "stdout").read_bytes() == b"last\n"
    os.close(out)
    os.close(err)


def test_a_full_disk_costs_bytes_and_not_the_program(tmp_path: Path) -> None:
    folder = tmp_path / "apps" / ID
    folder.mkdir(parents=True)
    keeper = kept_output.Keeper(folder, "stdout", LIMIT)
    keeper.write(b"before\n")
    folder.rename(tmp_path / "away")
    keeper._close()
    keeper.write(b"lost\n")
    (tmp_path / "away").rename(folder)
    keeper.write(b"after\n")
    text = script(jobs.LOGS_SCRIPT, f"apps/{ID}", "9", cwd=tmp_path)
    assert dict(jobs._files(text)) == {"stdout": b"before\nafter\n"} and jobs._gone(text, "stdout") == (5, True)
    piece = parse_piece(script(drivers.READ_SCRIPT, ID, "8", "1", cwd=tmp_path))
    assert (piece.stdout_gone, piece.stdout) == (5, b"after\n")


def test_what_spark_has_rolled_is_shown_and_what_it_has_removed_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "work" / "app-20260101120100-0000" / "3"
    folder.mkdir(parents=True)
    rolled = tidy.Rolled(tmp_path / "work")
    names = [f"stderr--2026-01-01--12-00-0{number}--0000" for number in range(4)]
    for number, name in enumerate(names):
        (folder / name).write_text(f"{number}\n" * 10)
    (folder / "stderr").write_text("last\n")
    assert folder not in tidy.running_in(tmp_path / "work")
    process = subprocess.Popen(["sleep", "60"], cwd=folder)
    try:
        assert tidy.running_in(tmp_path / "work") == {folder}
    finally:
        process.kill()
        process.wait()
    rolled.find({folder})
    rolled.look()
    app = "work/app-20260101120100-0000"
    text = script(jobs.LOGS_SCRIPT, app, "3", cwd=tmp_path)
    assert dict(jobs._files(text)) == {"3/stderr": b"3\n3\nlast\n"} and jobs._gone(text, "3/stderr") == (0, True)
    (folder / names[0]).unlink()
    (folder / names[1]).unlink()
    rolled.look()
    assert jobs._gone(script(jobs.LOGS_SCRIPT, app, "3", cwd=tmp_path), "3/stderr") == (40, True)
    for name in names[2:]:
        (folder / name).unlink()
    (folder / "stderr--2026-01-01--13-00-00--0000").write_text("new\n")
    rolled.look()
    assert jobs._gone(script(jobs.LOGS_SCRIPT, app, "3", cwd=tmp_path), "3/stderr") == (80, False)
    for number in range(7):  # as many as Spark keeps at the first look: there may have been more
        (folder / f"stdout--2026-01-01--12-00-0{number}--0000").touch()
    tidy.Rolled(tmp_path / "work")._count(folder, "stdout")
    assert jobs._gone(script(jobs.LOGS_SCRIPT, app, "3", cwd=tmp_path), "3/stdout") == (0, False)


ROLLER = """
import pathlib, sys, time
time.sleep(1)
here, total = pathlib.Path.cwd(), 0
for number in range(16):
    (here / "stderr").write_bytes(b"x" * (1000 + number))
    total += 1000 + number
    (here / "stderr").rename(here / f"stderr--{number:04d}")
    for old in sorted(here.glob("stderr--*"))[:-7]:
        old.unlink()
    time.sleep(0.1)
print(total, flush=True)
time.sleep(60)
"""
"""As Spark's worker rolls the output of an executor that prints 80 MB a second."""


def test_every_byte_of_an_executor_that_prints_fast_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidy, "EXECUTORS_S", 0.3)
    folder = tmp_path / "app-20260101120100-0000" / "0"
    folder.mkdir(parents=True)
    words = [sys.executable, "-I", "-c", ROLLER]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            rolled = tidy.Rolled(tmp_path)
            assert process.stdout is not None
            end = time.monotonic() + 60.0
            while not select.select([process.stdout], [], [], 0)[0] and time.monotonic() < end:
                rolled.run()
            total = int(process.stdout.readline())
            rolled.run()
        finally:
            process.kill()
    kept = sum(path.stat().st_size for path in folder.glob("stderr--*"))
    assert tidy.read_gone(folder / ".stderr.gone") == (total - kept, True)


def test_programs_that_ended_long_ago_go_without_a_submit(tmp_path: Path) -> None:
    for name, days in (("submit-20260101120000-0001", 8), ("submit-20260101120000-0002", 6), ("mine", 30)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "exit").write_text("0 ended\n")
        os.utime(folder / "exit", (time.time() - days * 86400,) * 2)
    (tmp_path / "submit-20260101120000-0003").mkdir()
    silent, dead = (tmp_path / f"submit-20260101120000-000{number}" for number in (4, 5))
    for folder in (silent, dead):
        folder.mkdir()
        (folder / ".lock").touch()
        (folder / "stdout").touch()
        for path in (folder / "stdout", folder):
            os.utime(path, (time.time() - 8 * 86400,) * 2)
    scratch.hold(silent)
    tidy.tidy_programs(tmp_path, 7)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mine", "submit-20260101120000-0002", "submit-20260101120000-0003", silent.name,
    ]  # fmt: skip

"""Users' programs on the manager: the scripts that take, read, mark and tidy what was submitted."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from sparkqfs.jobs.programs import apps as jobs
from sparkqfs.jobs.programs import drivers, submit
from sparkqfs.plan.programs.apps import Program, pack, parse_piece, parse_runs, parse_submissions
from tests.builders.apps import APP, ID, PLACE


def run(script: str, *words: str, cwd: Path, stdin: bytes = b"") -> str:
    done = subprocess.run(["sh", "-c", script, "sh", *words], cwd=cwd, input=stdin, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """The manager's `spark` directory after a program was sent; the program's own directory."""
    (tmp_path / "count.py").write_text("print(1)\n")
    parcel = pack(Program(program=str(tmp_path / "count.py")), ID)
    run(submit.SEND_SCRIPT, ID, cwd=tmp_path, stdin=submit.tar_of(parcel))
    return tmp_path / "apps" / ID


def test_what_is_sent_arrives_with_its_argument_list(sent: Path) -> None:
    assert (sent / "files" / "count.py").read_text() == "print(1)\n"
    known = json.loads((sent / "app.json").read_text())
    assert known["argv"] == ["--name", "count.py", f"{PLACE}/count.py"]
    assert sent.stat().st_mode & 0o007 == 0
    with tarfile.open(fileobj=io.BytesIO(submit.tar_of(pack(Program(program="x://a.py"), ID)))) as tar:
        assert tar.getnames() == ["app.json"]


def an_old_one(apps: Path, number: int, days: float, exit_text: str | None = None) -> Path:
    """A submission that wrote something last so many days ago."""
    folder = apps / f"submit-20250101000000-000{number}"
    folder.mkdir()
    files = [folder / "stdout", *([folder / "exit"] if exit_text is not None else [])]
    (folder / "stdout").write_text("said\n")
    if exit_text is not None:
        (folder / "exit").write_text(exit_text)
    for path in (*files, folder):
        os.utime(path, (time.time() - days * 86400,) * 2)
    return folder


def test_what_ended_a_week_ago_is_removed_and_nothing_else(sent: Path) -> None:
    (sent / "exit").write_text("0 ended\n")
    ended, recent = an_old_one(sent.parent, 0, 8, "0 ended\n"), an_old_one(sent.parent, 1, 5, "0 ended\n")
    lost, living = an_old_one(sent.parent, 2, 8), an_old_one(sent.parent, 3, 30)
    run(drivers.TIDY_SCRIPT, living.name, cwd=sent.parent.parent)
    assert [path.exists() for path in (ended, recent, lost, living, sent)] == [False, True, False, True, True]
    assert not (living / "exit").exists()


def test_what_is_dead_without_a_word_is_marked_lost_at_its_last_output(sent: Path) -> None:
    lost = an_old_one(sent.parent, 0, 2)
    wrote = (lost / "stdout").stat().st_mtime
    run(drivers.TIDY_SCRIPT, cwd=sent.parent.parent)
    assert (lost / "exit").read_text() == "1 lost\n"
    assert abs((lost / "exit").stat().st_mtime - wrote) < 2
    assert not (sent / "exit").exists(), "its service may only just be made"


def test_there_is_nothing_to_tidy_before_anything_was_sent(tmp_path: Path) -> None:
    assert run(drivers.TIDY_SCRIPT, cwd=tmp_path) == ""
    assert list(tmp_path.iterdir()) == []


def test_output_is_read_from_where_it_was_left_byte_for_byte(sent: Path) -> None:
    top = sent.parent.parent
    assert parse_piece(run(drivers.READ_SCRIPT, ID, "1", "1", cwd=top)).ended is None
    (sent / "stdout").write_bytes("grüße\r\x00\xff".encode("latin-1"))
    (sent / "stderr").write_bytes(b"bad\n")
    said = "Connected to Spark cluster with app ID"
    (sent / "spark.log").write_text(
        f"{said} {APP.replace('-0000', '-0009')}\nends, and begins another\n{said} {APP}\nmore\n"
    )
    piece = parse_piece(run(drivers.READ_SCRIPT, ID, "3", "1", cwd=top))
    assert (piece.stdout, piece.stderr) == ("üße\r\x00\xff".encode("latin-1"), b"bad\n")
    assert (piece.app_id, piece.ended) == (APP, None)
    (sent / "exit").write_text("3 ended\n")
    last = parse_piece(run(drivers.READ_SCRIPT, ID, "9", "5", cwd=top))
    assert (last.stdout, last.stderr, last.ended) == (b"", b"", (3, "ended"))
    assert parse_piece(run(drivers.READ_SCRIPT, "submit-nothing", "1", "1", cwd=top)).app_id is None


def test_the_end_that_the_driver_wrote_is_not_replaced(sent: Path) -> None:
    top = sent.parent.parent
    run(drivers.MARK_SCRIPT, ID, "1 lost", cwd=top)
    run(drivers.MARK_SCRIPT, ID, "143 stopped", cwd=top)
    run(drivers.MARK_SCRIPT, "submit-nothing", "1 lost", cwd=top)
    assert (sent / "exit").read_text() == "1 lost\n"


def test_submissions_are_listed_with_their_ends(sent: Path) -> None:
    top = sent.parent.parent
    (found,) = parse_submissions(run(jobs.LIST_SCRIPT, cwd=top))
    assert (found.id, found.name, found.app_id, found.ended, found.ended_s) == (ID, "count.py", None, None, None)
    (sent / "exit").write_text("0 ended\n")
    os.utime(sent / "exit", (1000, 1000))
    first = APP.replace("-0000", "-0009")
    (sent / "spark.log").write_text("".join(f"Connected to Spark cluster with app ID {one}\n" for one in (first, APP)))
    (found,) = parse_submissions(run(jobs.LIST_SCRIPT, cwd=top))
    assert (found.app_id, found.ended, found.ended_s) == (APP, (0, "ended"), 1000.0)


@pytest.mark.parametrize(
    "text",
    [
        "damaged",
        "[1]",
        '{"threshold": 3}',
        pytest.param("[" * 200_000, id="nested"),
        pytest.param('{"name": "' + "x" * (9 << 20), id="long"),
        '{"name": "a", "user": "b", "submitted": 1e999}',
        '{"name": "a", "user": "b", "submitted": -1}',
        pytest.param(f'{{"name": "a", "user": "b", "submitted": 1{"0" * 400}}}', id="late"),
    ],
)
def test_a_submission_whose_description_was_overwritten_hides_no_other(sent: Path, text: str) -> None:
    other = sent.parent / "submit-20260101120000-0001"
    other.mkdir()
    (other / "app.json").write_text((sent / "app.json").read_text())
    (sent / "app.json").write_text(text)
    listed = run(jobs.LIST_SCRIPT, cwd=sent.parent.parent)
    assert len(listed) <= (8 << 20) + 4096
    assert [one.id for one in parse_submissions(listed)] == [other.name]


def test_how_often_a_program_was_started_is_not_known_from_what_is_none(sent: Path) -> None:
    for text in ("[" * 1000, '{"number": 1e999, "ended": null}', "[]"):
        assert parse_runs(text) == (None, True)


def test_the_logs_of_a_program_are_its_own_output_and_no_file_that_it_wrote(sent: Path) -> None:
    (sent / "work").mkdir()
    for path in (sent / "stdout", sent / "work" / "stdout", sent / "files" / "stderr"):
        path.write_text(f"{path.parent.name}\n")
    found = dict(jobs._files(run(jobs.LOGS_SCRIPT, f"apps/{ID}", "2", cwd=sent.parent.parent)))
    assert found == {"stdout": f"{ID}\n".encode()}


def test_logs_are_the_last_lines_of_each_file(tmp_path: Path) -> None:
    work = tmp_path / "work" / APP
    for executor in ("0", "1"):
        (work / executor).mkdir(parents=True)
        (work / executor / "stderr").write_text("".join(f"{executor}.{line}\n" for line in range(100)))
    found = dict(jobs._files(run(jobs.LOGS_SCRIPT, f"work/{APP}", "2", cwd=tmp_path)))
    assert found == {"0/stderr": b"0.98\n0.99\n", "1/stderr": b"1.98\n1.99\n"}
    assert run(jobs.LOGS_SCRIPT, "work/app-none", "2", cwd=tmp_path) == ""

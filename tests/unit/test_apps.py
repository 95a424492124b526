"""Users' programs: what is sent, the driver's service, the scripts on the manager, and the list of applications."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.errors import ConfigError
from sparkqfs.facts import AppFact, parse_history, parse_spark
from sparkqfs.jobs import apps as jobs
from sparkqfs.jobs import drivers, submit
from sparkqfs.plan.apps import (
    GRACE_S,
    Application,
    Program,
    Submission,
    choose,
    driver_task,
    list_applications,
    pack,
    parse_exit,
    parse_piece,
    parse_submissions,
)
from sparkqfs_runtime.supervise import driver
from tests.builders.apps import ID, JUPYTER
from tests.paths import DATA

APP = "app-20260101120100-0000"
PLACE = f"/data/spark/apps/{ID}/files"


# --- what is sent ---------------------------------------------------------------------------------


def test_the_programs_own_arguments_come_last_and_are_not_looked_at() -> None:
    parcel = pack(Program(program="a/count.py", arguments=("--name", "two words", "")), ID)
    assert parcel.argv == ("--name", "count.py", f"{PLACE}/count.py", "--name", "two words", "")
    assert parcel.files == {"count.py": "a/count.py"}


def test_flags_become_those_of_spark_submit() -> None:
    program = Program(
        program="app.jar",
        main_class="org.example.Main",
        name="mine",
        py_files=("m.zip", "qfs://qfs-master:20000/lib.py"),
        jars=("one.jar",),
        files=("table.csv",),
        conf=("spark.a=b=c",),
        cores=4,
        driver_memory_mib=2048,
    )
    words = pack(program, ID).argv
    pairs = dict(zip(words[::2], words[1::2], strict=False))
    assert pairs["--py-files"] == f"{PLACE}/m.zip,qfs://qfs-master:20000/lib.py"
    assert (pairs["--jars"], pairs["--files"]) == (f"{PLACE}/one.jar", f"{PLACE}/table.csv")
    assert (pairs["--class"], pairs["--name"], pairs["--driver-memory"]) == ("org.example.Main", "mine", "2048m")
    assert [words[at + 1] for at, word in enumerate(words) if word == "--conf"] == ["spark.cores.max=4", "spark.a=b=c"]
    assert words[-1] == f"{PLACE}/app.jar"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (Program(program="app.sh"), "no program that Spark can run"),
        (Program(program="app.jar"), "which class?"),
        (Program(program="a.py", conf=("spark.x",)), "spark.NAME=VALUE"),
        (Program(program="a.py", conf=("path=/",)), "spark.NAME=VALUE"),
        (Program(program="a.py", py_files=("x/m.py", "y/m.py")), "two files are called m.py"),
        (Program(program="a.py", py_files=("m-1.0-py3-none-any.whl",)), "Spark takes .py, .zip and .egg"),
        (Program(program="a.py", py_files=("hdfs://x/m.whl",)), "worker.requirements"),
        (Program(program="a.py", files=("a,b.csv",)), "comma in its name"),
    ],
)
def test_a_wrong_word_is_refused(program: Program, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        pack(program, ID)


def test_every_missing_file_is_named(tmp_path: Path) -> None:
    there = tmp_path / "there.py"
    there.write_text("")
    with pytest.raises(ConfigError) as caught:
        submit.check_files(Program(program=str(there), jars=("no.jar", "hdfs://x/y.jar"), py_files=("no.zip",)))
    assert [problem.what.partition(":")[0] for problem in caught.value.problems] == ["no.zip", "no.jar"]


# --- the driver's service -------------------------------------------------------------------------


def test_a_driver_is_jupyter_servers_container_without_its_name_its_token_and_its_stack() -> None:
    task = driver_task(JUPYTER, "spark", "node1", ID, 1760)
    container = task["ContainerSpec"]
    assert container["Image"] == JUPYTER["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
    assert container["Labels"] == {"sparkqfs.cluster": "spark", "sparkqfs.app": ID}
    assert container["Env"] == ["SPARKQFS_STORAGE=qfs", f"SPARKQFS_APP={ID}"]
    assert [secret["SecretName"] for secret in container["Secrets"]] == ["s"]
    assert task["Networks"] == [{"Target": "network-id"}]
    assert task["Resources"] == {"Limits": {"MemoryBytes": 1760 * 1024**2}}
    assert task["RestartPolicy"] == {"Condition": "none"}
    assert "node.labels.sparkqfs.node == node1" in task["Placement"]["Constraints"]
    assert JUPYTER["Spec"]["TaskTemplate"]["Networks"][0]["Aliases"] == ["jupyter-server"]


def test_a_driver_has_more_time_to_end_than_its_supervisor_takes() -> None:
    assert driver.DRIVER_DEADLINE_S < GRACE_S


# --- the scripts on the manager -------------------------------------------------------------------


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


@pytest.mark.parametrize("text", ["", "0", "ended", "0 gone", "1000 ended", "-1 ended", "0 ended\nmore"])
def test_another_end_is_not_believed(text: str) -> None:
    assert parse_exit(text) is None


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
    (sent / "app.json").write_text("damaged")
    assert parse_submissions(run(jobs.LIST_SCRIPT, cwd=top)) == ()


def test_logs_are_the_last_lines_of_each_file(tmp_path: Path) -> None:
    work = tmp_path / "work" / APP
    for executor in ("0", "1"):
        (work / executor).mkdir(parents=True)
        (work / executor / "stderr").write_text("".join(f"{executor}.{line}\n" for line in range(100)))
    found = dict(jobs._files(run(jobs.LOGS_SCRIPT, f"work/{APP}", "2", cwd=tmp_path)))
    assert found == {"0/stderr": b"0.98\n0.99\n", "1/stderr": b"1.98\n1.99\n"}
    assert run(jobs.LOGS_SCRIPT, "work/app-none", "2", cwd=tmp_path) == ""


# --- the list -------------------------------------------------------------------------------------


def an_app(number: int, state: str = "RUNNING", **more: Any) -> AppFact:
    values = {"name": f"n{number}", "user": "spark", "started_s": float(number), "duration_s": 5.0, "cores": 2}
    return AppFact(id=f"app-20260101120000-000{number}", state=state, **(values | more))


def a_submission(app: AppFact | None, ended: tuple[int, str] | None = None, **more: Any) -> Submission:
    values: dict[str, Any] = {"id": ID, "name": "count.py", "user": "me", "submitted_s": 1.0, "ended_s": None}
    return Submission(app_id=app.id if app is not None else None, ended=ended, **(values | more))


def listed(**given: Any) -> tuple[Application, ...]:
    values: dict[str, Any] = {
        "active": (),
        "completed": (),
        "history": (),
        "submissions": (),
        "living": frozenset(),
        "now_s": 100.0,
        "links": ("http://m:8080", "http://m:18080"),
    }
    return list_applications(**(values | given))


def test_each_application_is_listed_once_and_the_running_ones_first() -> None:
    active, done, old = an_app(1), an_app(2, "FINISHED"), an_app(3, "FINISHED", cores=None)
    rows = listed(active=(active,), completed=(done,), history=(old, done, active))
    assert [(row.id, row.state) for row in rows] == [
        (active.id, "RUNNING"),
        (old.id, "FINISHED"),
        (done.id, "FINISHED"),
    ]
    assert rows[0].link == f"http://m:8080/proxy/{active.id}/"
    assert rows[1].link == f"http://m:18080/history/{old.id}/"


def test_a_log_without_an_end_is_a_lost_application_unless_the_master_has_it() -> None:
    app = an_app(1)
    assert [row.state for row in listed(history=(app,))] == ["LOST"]
    assert [row.state for row in listed(history=(app,), active=(app,))] == ["RUNNING"]


@pytest.mark.parametrize(
    ("ended", "state", "code"),
    [
        ((0, "ended"), "FINISHED", 0),
        ((3, "ended"), "FAILED", 3),
        ((143, "stopped"), "KILLED", 143),
        ((1, "lost"), "LOST", 1),
        (None, "LOST", None),
    ],
)
def test_a_submission_says_how_it_ended_where_spark_says_finished(
    ended: tuple[int, str] | None, state: str, code: int | None
) -> None:
    app = an_app(1, "FINISHED")
    (row,) = listed(completed=(app,), submissions=(a_submission(app, ended),))
    assert (row.id, row.submission, row.user, row.state, row.exit_code) == (app.id, ID, "me", state, code)


def test_a_submission_that_spark_does_not_know_yet_starts_while_its_driver_lives() -> None:
    waiting = a_submission(None)
    assert listed(submissions=(waiting,), living=frozenset({ID}))[0].state == "STARTING"
    assert listed(submissions=(waiting,))[0].state == "LOST"
    assert listed(submissions=(a_submission(None, (1, "ended"), ended_s=3.0),))[0].duration_s == 2.0


def test_an_application_is_found_by_either_id() -> None:
    app = an_app(1)
    rows = listed(active=(app,), submissions=(a_submission(app),))
    assert choose(ID, rows) is choose(app.id, rows) is rows[0]
    with pytest.raises(ConfigError, match="no application app-1"):
        choose("app-1", rows)


def test_the_masters_and_the_history_servers_answers_are_read() -> None:
    payloads = DATA / "payloads"
    fact = parse_spark(json.loads((payloads / "spark-4.1-master.json").read_text()))
    assert [(app.id, app.state, app.cores) for app in fact.active] == [(APP, "RUNNING", 8)]
    found = parse_history(json.loads((payloads / "spark-4.1-history.json").read_text()))
    assert [(app.id, app.state, app.duration_s) for app in found] == [
        ("app-20261124022837-0001", "RUNNING", 26.739),
        ("app-20261124022722-0000", "FINISHED", 31.241),
    ]
    with pytest.raises(ValueError, match="no list"):
        parse_history({})

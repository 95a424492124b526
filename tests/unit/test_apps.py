"""Users' programs: what is sent, the driver's service and the list of applications."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.errors import ConfigError
from sparkqfs.facts.pages import AppFact, SparkFact, parse_history, parse_spark
from sparkqfs.jobs.programs import submit
from sparkqfs.plan.programs.apps import (
    ENDED_STATES,
    GRACE_S,
    Application,
    Program,
    Submission,
    choose,
    driver_task,
    has_ended,
    list_applications,
    pack,
    parse_exit,
    parse_runs,
    waiting_for,
)
from sparkqfs_runtime.supervise import driver
from tests.builders.apps import APP, ID, JUPYTER, PLACE
from tests.paths import DATA

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
        (Program(program="app.sh"), "not a program that Spark can run"),
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


def test_a_driver_that_runs_again_ends_with_0_only() -> None:
    task = driver_task(JUPYTER, "spark", "node1", ID, 1760, restart=True)
    assert task["RestartPolicy"]["Condition"] == "on-failure" and "MaxAttempts" not in task["RestartPolicy"]
    ended = {state: has_ended({"Spec": task, "Status": {"State": state}}) for state in sorted(ENDED_STATES)}
    assert [state for state, is_it in ended.items() if is_it] == ["complete"]
    once = driver_task(JUPYTER, "spark", "node1", ID, 1760)
    assert all(has_ended({"Spec": once, "Status": {"State": state}}) for state in ENDED_STATES)
    assert not has_ended({"Spec": once, "Status": {"State": "running"}})


def test_a_driver_has_more_time_to_end_than_its_supervisor_takes() -> None:
    assert driver.DRIVER_DEADLINE_S < GRACE_S


# --- the scripts on the manager -------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "0", "ended", "0 gone", "1000 ended", "-1 ended", "0 ended\nmore"])
def test_another_end_is_not_believed(text: str) -> None:
    assert parse_exit(text) is None


# --- the list -------------------------------------------------------------------------------------


def an_app(number: int, state: str = "RUNNING", **more: Any) -> AppFact:
    values: dict[str, Any] = {
        "name": f"n{number}",
        "user": "spark",
        "started_s": float(number),
        "duration_s": 5.0,
        "cores": 2,
    }
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


def test_a_submission_between_two_runs_runs_and_says_how_often_it_was_started() -> None:
    app = an_app(1, "FINISHED")
    waiting = a_submission(app, runs=3, is_between=True)
    (row,) = listed(completed=(app,), submissions=(waiting,), living=frozenset({ID}))
    assert (row.state, row.runs, row.is_running) == ("RESTARTING", 3, True)
    (row,) = listed(completed=(app,), submissions=(waiting,))
    assert (row.state, row.is_running) == ("LOST", False)
    again = a_submission(app, runs=4)
    assert listed(active=(an_app(1),), submissions=(again,), living=frozenset({ID}))[0].state == "RUNNING"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"number": "x", "ended": 1}', '{"number": null, "ended": null}'])
def test_another_count_of_runs_is_not_believed(text: str) -> None:
    assert parse_runs(text) == (None, True)


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


def a_master(*applications: tuple[str, str, int], cores: int = 6) -> SparkFact:
    """One that says of (id, state, cores)."""
    active = tuple(
        AppFact(id=name, name=name, user="spark", state=state, started_s=0.0, duration_s=1.0, cores=has)
        for name, state, has in applications
    )
    return SparkFact(
        alive_hosts=("10.0.0.1",),
        dead=0,
        cores=cores,
        cores_used=sum(has for _, _, has in applications),
        memory_mib=4096,
        memory_used_mib=0,
        applications=(),
        status="ALIVE",
        active=active,
    )


@pytest.mark.parametrize(
    ("mine", "other", "is_said"),
    [
        (("RUNNING", 0), 6, True),  # has given its cores back, and another one has them all
        (("RUNNING", 0), 4, False),  # there are free ones
        (("RUNNING", 2), 4, False),
        (("WAITING", 0), 4, True),  # the two that are free are fewer than an executor's
    ],
)
def test_who_has_the_cores_is_said_to_whoever_cannot_have_any(mine: tuple[str, int], other: int, is_said: bool) -> None:
    said = waiting_for("app-1", a_master(("app-1", *mine), ("app-2", "RUNNING", other)))
    assert (said is not None) is is_said
    assert said is None or f"app-2 (app-2) has {other}" in said
    assert waiting_for("app-3", a_master(("app-2", "RUNNING", 6))) is None

"""submit, apps and kill, against a manager whose scripts, pages and engine answer on this computer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.errors import ClusterError, ConfigError, DeadlineError, Problem
from sparkqfs.jobs.programs import apps, drivers, follow, submit
from sparkqfs.plan.programs.apps import Program, service_name
from sparkqfs.plan.steps import JobResult
from sparkqfs.streams import CannotWrite, NobodyReads
from tests.doubles.manager import Manager, a_manager

ID = "submit-20260101120000-7f3a"
APP = "app-20260101120100-0000"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with a_manager(tmp_path) as found:
        yield found


def send(manager: Manager, *, take_all: bool = False, **more: Any) -> list[str]:
    """Submit a program that is only started; spark-submit's words."""
    program = manager.apps.parent / "count.py"
    program.write_text("")
    wanted = Program(program=str(program), **more)
    sent = submit.submit(
        manager.session, wanted, output=lambda _stream, _data: None, detach=True, take_all=take_all, timeout_s=5
    )
    found: list[str] = json.loads((manager.apps / sent.text / "app.json").read_text())["argv"]
    return found


# --- sending --------------------------------------------------------------------------------------


def test_submit_rounds_cores_to_executors_of_the_deployed_size_and_says_so(manager: Manager) -> None:
    assert "spark.cores.max=4" in send(manager, cores=3)
    assert "--cores 3: an executor has 2 cores, so it asks for 4" in manager.said
    assert "spark.cores.max=4" in send(manager, take_all=True)


def test_submit_sends_nothing_that_no_worker_has_room_for(manager: Manager) -> None:
    with pytest.raises(ConfigError, match="2 cores and 4096 MiB fits on none of the 2 Spark workers"):
        send(manager, conf=("spark.executor.memory=4g",))
    assert not manager.apps.exists() and not manager.engine.drivers


def test_a_drivers_service_has_a_memory_limit(manager: Manager) -> None:
    send(manager, driver_memory_mib=512)
    (service,) = manager.engine.drivers.values()
    assert service["task"]["Resources"] == {"Limits": {"MemoryBytes": (512 + 224 + 256) * 2**20}}


def test_submit_counts_what_the_drivers_that_live_may_still_take(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "MEMORY_SCRIPT", "printf 'MemTotal: 8192000 kB\\nMemAvailable: 3072000 kB\\n'")
    send(manager)
    with pytest.raises(ClusterError, match="3000 of 8000 MiB are free, less 1760 that 1 driver that runs may still"):
        send(manager)
    assert len(manager.engine.drivers) == 1
    monkeypatch.setattr(manager.engine, "containers", lambda _label: [{"Id": "c1"}])
    monkeypatch.setattr(manager.engine, "memory_used_mib", lambda _id: 1000)
    send(manager)


def test_submit_says_at_once_that_the_master_does_not_answer(manager: Manager) -> None:
    manager.silence()
    with pytest.raises(ClusterError, match=r"Spark master: .*404"):
        send(manager)


# --- its end --------------------------------------------------------------------------------------


def ends(manager: Manager, code: int, *, without_a_word: bool = False) -> JobResult:
    """Submit a program that ends at once, with this code or with its container."""

    def start(submission: str) -> None:
        if without_a_word:
            manager.engine.drivers[f"spark-{submission}"]["state"] = "failed"
        else:
            (manager.apps / submission / "exit").write_text(f"{code} ended\n")

    manager.engine.starts = start
    program = manager.apps.parent / "count.py"
    program.write_text("")
    return submit.submit(
        manager.session,
        Program(program=str(program)),
        output=lambda _stream, _data: None,
        detach=False,
        take_all=False,
        timeout_s=60,
    )


def test_whoever_waits_for_cores_is_told_once_who_has_them(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "QUEUE_S", 0.0)
    other = {"id": "app-20260101110000-0000", "name": "a notebook", "cores": 4}
    manager.spark({"id": APP, "state": "WAITING", "cores": 0}, other)
    (manager.apps / ID).mkdir(parents=True)
    (manager.apps / ID / "spark.log").write_text(f"Connected to Spark cluster with app ID {APP}\n")
    manager.engine.create_service(f"spark-{ID}", {}, {"sparkqfs.app": ID})
    with pytest.raises(DeadlineError):
        follow.follow(manager.session, ID, lambda _stream, _data: None, 2.5)
    (said,) = [line for line in manager.said if "waits for cores" in line]
    assert "app-20260101110000-0000 (a notebook) has 4" in said and "`--cores`" in said


@pytest.mark.parametrize(("name", "is_said"), [("Spark Connect", True), ("a notebook", False)])
def test_whoever_waits_for_the_connect_server_is_told_how_it_ends(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, name: str, is_said: bool
) -> None:
    monkeypatch.setattr(follow, "QUEUE_S", 0.0)
    manager.spark({"id": APP, "state": "WAITING", "cores": 0}, {"id": "app-1", "name": name, "cores": 3})
    queue = follow._Queue(manager.session)
    queue.look(APP)
    (said,) = manager.said
    assert ("`invoke connect --stop` ends it" in said) is is_said


def test_whoever_has_cores_is_told_nothing(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "QUEUE_S", 0.0)
    manager.spark({"id": APP, "state": "RUNNING", "cores": 2})
    queue = follow._Queue(manager.session)
    queue.look(None)
    queue.look(APP)
    assert manager.said == []


def test_whoever_follows_late_is_told_how_many_bytes_are_gone(manager: Manager) -> None:
    folder, got = manager.apps / ID, []
    folder.mkdir(parents=True)
    (folder / "stdout@000000000001000").write_text("rest\n")
    (folder / "stderr").write_text("all\n")
    (folder / "exit").write_text("0 ended\n")
    ended = follow.follow(manager.session, ID, lambda stream, data: got.append((stream, data)), 30)
    assert ended.code == 0 and got == [("stdout", b"rest\n"), ("stderr", b"all\n")]
    assert [line for line in manager.said if "no longer kept" in line] == [
        "stdout: 1000 bytes are no longer kept; what follows comes after them"
    ]


def test_a_driver_knows_its_reader_before_it_starts_and_of_none_when_nobody_follows(manager: Manager) -> None:
    readers: list[list[str]] = []

    def start(submission: str) -> None:
        readers.append([path.read_text() for path in (manager.apps / submission).glob(".reader-*")])
        (manager.apps / submission / "exit").write_text("0 ended\n")

    manager.engine.starts = start
    program = manager.apps.parent / "count.py"
    program.write_text("")
    for detach in (False, True):
        submit.submit(
            manager.session,
            Program(program=str(program)),
            output=lambda _stream, _data: None,
            detach=detach,
            take_all=False,
            timeout_s=60,
        )
    assert readers == [["0 0\n"], []]


APP_LINE = f"Connected to Spark cluster with app ID {APP}\n"
GRANTED = f"Granted executor ID {APP}/0 on hostPort 10.0.0.1:7079 with 2 core(s), 1024.0 MiB RAM\n"


@pytest.mark.parametrize(
    ("code", "files", "used", "said"),
    [
        (0, {}, False, "it made no SparkSession, or one with a master of its own"),
        (3, {"spark.log": "", "executors.log": ""}, False, "it made no SparkSession"),
        (0, {"spark.log": APP_LINE, "executors.log": ""}, False, f"{APP} ended before it had an executor"),
        (0, {"spark.log": APP_LINE, "executors.log": GRANTED * 2}, True, None),
        (0, {"spark.log": APP_LINE}, None, None),  # a driver of an image from before
        (1, {}, None, None),
    ],
)
def test_a_program_that_did_not_use_the_cluster_is_told_so(
    manager: Manager, code: int, files: dict[str, str], used: bool | None, said: str | None
) -> None:
    def start(submission: str) -> None:
        for name, text in (files | {"exit": f"{code} ended\n"}).items():
            (manager.apps / submission / name).write_text(text)

    manager.engine.starts = start
    (manager.apps.parent / "count.py").write_text("")
    result = submit.submit(
        manager.session,
        Program(program=str(manager.apps.parent / "count.py")),
        output=lambda _stream, _data: None,
        detach=False,
        take_all=False,
        timeout_s=60,
    )
    told = [line for line in manager.said if "did not use the cluster" in line]
    assert (result.exit_code, result.document["used_cluster"]) == (code, used)
    assert len(told) == (1 if said else 0) and all(str(said) in line for line in told)
    listed = apps.apps(manager.session, last=20)
    rows: Any = listed.document["applications"]
    assert [row["used_cluster"] for row in rows] == [used]
    assert len(listed.notes) == (1 if said else 0)
    assert all(str(said) in note and note.startswith("count.py ") for note in listed.notes)


@pytest.mark.parametrize("code", [0, 7])
def test_a_program_that_has_ended_keeps_its_exit_code_when_its_service_stays(manager: Manager, code: int) -> None:
    manager.engine.broken.add("remove_service")
    result = ends(manager, code)
    assert result.exit_code == code
    (problem,) = result.problems
    assert "has ended, but remove_service: the Docker Engine does not answer" in problem.what


def test_a_lost_driver_is_marked_though_its_service_stays(manager: Manager) -> None:
    manager.engine.broken.add("remove_service")
    result = ends(manager, 0, without_a_word=True)
    assert result.exit_code == 1 and len(result.problems) == 2
    assert (manager.apps / str(result.document["submission"]) / "exit").read_text() == "1 lost\n"


def test_a_driver_that_somebody_starts_meanwhile_is_not_taken_for_an_ended_one(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, another = (service_name("spark", submission) for submission in ("submit-1", "submit-2"))
    manager.engine.create_service(ended, {}, {"sparkqfs.app": "submit-1"})
    manager.engine.drivers[ended]["state"] = "complete"
    tidy = drivers.on_manager

    def meanwhile(*given: Any, **more: Any) -> Any:
        manager.engine.create_service(another, {}, {"sparkqfs.app": "submit-2"})
        return tidy(*given, **more)

    manager.apps.mkdir()
    monkeypatch.setattr(drivers, "on_manager", meanwhile)
    drivers.clear_ended(manager.session)
    assert list(manager.engine.drivers) == [another]


def test_an_engine_that_breaks_off_while_a_driver_is_started_says_how_to_end_it(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(*_given: Any) -> None:
        raise ClusterError(Problem(node="node1", what="the connection broke"))

    monkeypatch.setattr(manager.engine, "create_service", breaks_off)
    with pytest.raises(ClusterError, match=r"`invoke kill submit-\d+-[0-9a-f]{4}` ends it"):
        send(manager)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, NobodyReads, CannotWrite])
def test_a_program_is_ended_when_its_user_goes(manager: Manager, kind: type[BaseException]) -> None:
    def gone(_stream: str, _data: bytes) -> None:
        raise kind

    manager.engine.starts = lambda submission: (manager.apps / submission / "stdout").write_text("one\n")  # type: ignore[assignment]
    program = manager.apps.parent / "count.py"
    program.write_text("")
    with pytest.raises((KeyboardInterrupt, ClusterError, CannotWrite)):
        submit.submit(
            manager.session, Program(program=str(program)), output=gone, detach=False, take_all=False, timeout_s=30
        )
    assert not manager.engine.drivers
    (folder,) = manager.apps.iterdir()
    assert (folder / "exit").read_text() == "143 stopped\n"


# --- ending ---------------------------------------------------------------------------------------


def test_kill_does_not_call_an_application_ended_while_the_master_is_silent(manager: Manager) -> None:
    manager.history(APP)
    manager.silence()
    with pytest.raises(ClusterError, match="Spark master: ") as caught:
        apps.kill(manager.session, APP)
    assert APP in str(caught.value) and caught.value.exit_code == 1
    (row,) = apps.gather(manager.session).rows
    assert (row.state, row.is_running) == ("UNKNOWN", False)


def test_kill_does_not_call_an_application_unknown_while_the_master_is_silent(manager: Manager) -> None:
    manager.silence()
    with pytest.raises(ClusterError, match="Spark master: "):
        apps.kill(manager.session, APP)


def test_kill_leaves_what_the_master_does_not_have_any_more(manager: Manager) -> None:
    manager.history(APP)
    (outcome,) = apps.kill(manager.session, APP).outcomes
    assert (outcome.state, outcome.changes) == ("unchanged", ("LOST",))


def test_a_master_that_does_not_answer_has_not_let_go(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "MASTER_S", 1.0)
    manager.silence()
    with pytest.raises(DeadlineError, match=f"{APP} to leave the Spark master: .*404"):
        drivers.wait_until_gone(manager.session, APP)
    manager.spark({"id": APP})
    with pytest.raises(DeadlineError, match="the master still has it"):
        drivers.wait_until_gone(manager.session, APP)
    manager.spark()
    drivers.wait_until_gone(manager.session, APP)


def test_a_cluster_without_a_master_has_let_go(manager: Manager) -> None:
    manager.engine.stack.remove("spark-master")
    drivers.wait_until_gone(manager.session, APP)


def test_a_stopped_driver_is_marked_before_the_master_is_waited_for(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "MASTER_S", 0.0)
    (manager.apps / ID).mkdir(parents=True)
    manager.spark({"id": APP})
    with pytest.raises(DeadlineError):
        drivers.stop(manager.session, ID, APP)
    assert (manager.apps / ID / "exit").read_text() == "143 stopped\n"

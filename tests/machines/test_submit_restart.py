"""submit --restart: what is sent, and what apps, kill and down make of a program whose container has just failed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.errors import ConfigError
from sparkqfs.jobs.programs import apps, drivers, follow, submit
from sparkqfs.plan.programs.apps import Program, service_name
from sparkqfs_runtime.supervise import restarts
from sparkqfs_runtime.supervise.restarts import Runs
from tests.doubles.manager import Manager, a_manager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with a_manager(tmp_path) as found:
        yield found


def sent(manager: Manager, *, restart: bool = True) -> str:
    """A program that was sent and left running."""
    program = manager.apps.parent / "stream.py"
    program.write_text("")
    return submit.submit(
        manager.session,
        Program(program=str(program), restart=restart),
        output=lambda _stream, _data: None,
        detach=True,
        take_all=False,
        timeout_s=5,
    ).text


def failed(manager: Manager, submission: str) -> Path:
    """Its container has ended; Swarm has not started the next one yet."""
    manager.engine.drivers[service_name("spark", submission)]["state"] = "failed"
    folder = manager.apps / submission
    restarts.write(folder, Runs(number=1, failed=1, ended=1000.0))
    return folder


def row(manager: Manager) -> dict[str, Any]:
    rows: Any = apps.apps(manager.session, last=20).document["applications"]
    assert len(rows) == 1
    return dict(rows[0])


def test_swarm_is_asked_to_start_it_again_and_its_directory_says_so(manager: Manager) -> None:
    submission = sent(manager)
    (service,) = manager.engine.drivers.values()
    assert service["task"]["RestartPolicy"] == {"Condition": "on-failure", "Delay": 5_000_000_000}
    assert json.loads((manager.apps / submission / "app.json").read_text())["restart"] is True
    once = sent(manager, restart=False)
    assert manager.engine.drivers[service_name("spark", once)]["task"]["RestartPolicy"] == {"Condition": "none"}
    assert json.loads((manager.apps / once / "app.json").read_text())["restart"] is False


def test_between_two_runs_it_runs_still_and_its_service_stays(manager: Manager) -> None:
    submission = sent(manager)
    assert (row(manager)["state"], row(manager)["runs"]) == ("STARTING", 0)
    failed(manager, submission)
    assert (row(manager)["state"], row(manager)["runs"]) == ("RESTARTING", 1)
    drivers.clear_ended(manager.session)
    assert service_name("spark", submission) in manager.engine.drivers
    assert "RESTARTING" in apps.apps(manager.session, last=20).text
    restarts.write(manager.apps / submission, Runs(number=2, failed=1))
    assert (row(manager)["state"], row(manager)["runs"]) == ("STARTING", 2)


@pytest.mark.parametrize("restart", [True, False])
def test_what_a_program_writes_under_names_of_ours_means_nothing(manager: Manager, restart: bool) -> None:
    submission = sent(manager, restart=restart)
    folder = manager.apps / submission
    for name in ("runs.json", "ending"):
        (folder / name).write_text('{"number": 7, "ended": 1.0}')
    assert (row(manager)["state"], row(manager)["runs"]) == ("STARTING", 0 if restart else None)
    (folder / ".runs.json").write_text('\x0cexit\t0 ended\x0c{"number":\t7, "ended": 1.0}\t{}\n')
    (folder / "spark.log").write_text("app ID app-20260101120000-0001 of\ta\x0cname\n")
    assert row(manager)["submission"] == submission and row(manager)["state"] == "STARTING"
    piece = drivers.read(manager.session, submission, 0, 0)
    assert (piece.ended, piece.runs, piece.app_id) == (None, None, "app-20260101120000-0001")
    (folder / ".runs.json").write_text('{"number":\t7, "ended": 1.0}')
    assert row(manager)["runs"] == (7 if restart else None)
    assert drivers.read(manager.session, submission, 0, 0).runs == (7 if restart else None)


def test_whoever_follows_it_sees_its_next_runs_and_its_end(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "TASK_S", 0.0)
    folder = failed(manager, sent(manager))
    (folder / "stdout").write_text("one\n")
    got: list[bytes] = []

    def next_run(_stream: str, data: bytes) -> None:
        got.append(data)
        if data == b"one\n":
            with (folder / "stdout").open("a") as file:
                file.write("two\n")
            restarts.write(folder, Runs(number=2, failed=1, ended=2000.0))
        else:
            (folder / "exit").write_text("0 ended\n")

    ended = follow.follow(manager.session, folder.name, next_run, 30)
    assert (got, ended.code, ended.word, ended.runs) == ([b"one\n", b"two\n"], 0, "ended", 2)
    assert follow.result_of(manager.session, folder.name, ended).document["runs"] == 2


def test_kill_between_two_runs_ends_it_for_good(manager: Manager) -> None:
    folder = failed(manager, sent(manager))
    (outcome,) = apps.kill(manager.session, folder.name).outcomes
    assert outcome.state == "changed" and not manager.engine.drivers
    assert (folder / ".ending").exists() and (folder / "exit").read_text() == "143 stopped\n"
    assert (row(manager)["state"], row(manager)["runs"]) == ("KILLED", 1)


def test_kill_ends_a_program_whose_files_somebody_has_removed(manager: Manager) -> None:
    folder = failed(manager, sent(manager))
    shutil.rmtree(folder)
    manager.session.dry_run = True
    assert apps.kill(manager.session, folder.name).outcomes[0].state == "planned" and manager.engine.drivers
    manager.session.dry_run = False
    assert apps.kill(manager.session, folder.name).outcomes[0].state == "changed" and not manager.engine.drivers
    with pytest.raises(ConfigError, match="no application"):
        apps.kill(manager.session, folder.name)


def test_kill_waits_for_the_container_that_runs_and_not_for_those_that_failed(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = failed(manager, sent(manager))
    seen = [[{"Id": "1", "State": "exited"}, {"Id": "2", "State": "running"}], [{"Id": "1", "State": "exited"}]]
    monkeypatch.setattr(manager.engine, "containers", lambda _label: seen.pop(0))
    apps.kill(manager.session, folder.name)
    assert seen == []


def test_down_ends_it_for_good(manager: Manager) -> None:
    folder = failed(manager, sent(manager))
    assert drivers.end_all(manager.session) == [folder.name]
    assert (folder / ".ending").exists() and not manager.engine.drivers
    assert (folder / "exit").read_text() == "143 stopped\n" and row(manager)["state"] == "KILLED"


def test_down_leaves_its_end_to_the_container_that_runs(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = manager.apps / sent(manager)
    monkeypatch.setattr(manager.engine, "containers", lambda _label: [{"Id": "1", "State": "running"}])
    assert drivers.end_all(manager.session) == [folder.name]
    assert (folder / ".ending").exists() and not (folder / "exit").exists()


def test_a_disk_that_takes_no_mark_does_not_keep_it_from_being_ended(manager: Manager) -> None:
    folder = failed(manager, sent(manager))
    manager.machine.broken = True
    manager.engine.starts = lambda _submission: None
    assert drivers.end_all(manager.session) == [folder.name] and not manager.engine.drivers

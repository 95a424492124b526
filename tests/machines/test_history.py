"""What the manager records of tasks that change something, over a real SSH server: cli/running.py, jobs/audit.py."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from invoke import Context, Exit

from sparkqfs.cli.flags import Flags
from sparkqfs.cli.guide import CHANGES_NOTHING
from sparkqfs.cli.running import run
from sparkqfs.clients.connect import Clients
from sparkqfs.clients.wait import wait_until
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem, RefusedError
from sparkqfs.facts.runs import ENDED, Run, parse_runs
from sparkqfs.jobs import audit
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import history
from sparkqfs.plan.steps import JobResult
from tasks import ns
from tests.doubles.servers import Sshd, closed_port, sshd
from tests.paths import ROOT


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the manager of these tests keeps its lines."""
    place = tmp_path / "lib" / "audit"
    for module in (audit, history):
        monkeypatch.setattr(module, "AUDIT", PurePosixPath(place))
    return place


def hosts(server: Sshd, tmp_path: Path, port: int | None = None) -> str:
    file = tmp_path / "hosts.yml"
    login = f"user: root, port: {port or server.port}, key: {server.key}, known_hosts: {tmp_path}/known"
    file.write_text(f"cluster: lab\nnodes: {{node1: 127.0.0.1}}\nssh: {{{login}}}\n")
    return str(file)


def called(task: str, given: Flags, job: Callable[[Session], JobResult], **more: Any) -> int:
    try:
        run(task, job, given, **more)
    except Exit as end:
        return int(end.code)
    return 0


def lines(folder: Path) -> list[list[str]]:
    file = folder / "lab.log"
    return [line.split("\t") for line in file.read_text().splitlines()] if file.exists() else []


def touch(session: Session) -> JobResult:
    """A job that does something on the manager, with a value of its own on the command line."""
    session.clients.manager.run(["echo", "a-value-of-the-user"])
    return JobResult(task="put")


def failing(error: BaseException) -> Callable[[Session], JobResult]:
    def job(session: Session) -> JobResult:
        touch(session)
        raise error

    return job


def test_a_task_that_changes_something_leaves_who_when_what_and_how_it_ended(
    server: Sshd, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ann\tof")
    during: list[list[str]] = []

    def job(session: Session) -> JobResult:
        touch(session)
        during.extend(lines(folder))
        return JobResult(task="put", problems=(Problem(what="no"),))

    assert called("put", Flags(hosts=hosts(server, tmp_path)), job) == 1
    began, ended = lines(folder)
    assert during == [began]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", began[0])
    who = f"ann?of@{os.uname().nodename}"
    assert began[1:] == ["began", began[2], who, "lab", "put", "", ""]
    assert ended[1:7] == ["ended", began[2], who, "lab", "put", "1"] and float(ended[7]) < 10
    assert "a-value" not in (folder / "lab.log").read_text()
    assert [oct(path.stat().st_mode & 0o777) for path in (folder.parent, folder, folder / "lab.log")] == [
        "0o755",
        "0o700",
        "0o600",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError(Problem(what="no")), ExitCode.REFUSED),
        (ConfigError(Problem(what="no")), ExitCode.USAGE),
        (RuntimeError("a defect"), ExitCode.FAILED),
        (Exit(code=3), ExitCode.UNREACHABLE),
    ],
)
def test_what_a_task_ends_with_is_recorded(
    server: Sshd, tmp_path: Path, folder: Path, error: Exception, code: ExitCode
) -> None:
    assert called("rm", Flags(hosts=hosts(server, tmp_path)), failing(error)) == code
    assert [line[6] for line in lines(folder)] == ["", str(int(code))]


def test_what_only_reads_a_dry_run_and_what_came_to_no_machine_leave_nothing(
    server: Sshd, tmp_path: Path, folder: Path
) -> None:
    file = hosts(server, tmp_path)
    assert called("status", Flags(hosts=file), touch) == 0
    assert called("put", Flags(hosts=file, dry_run=True), touch) == 0
    assert called("doctor", Flags(hosts=file), touch, changes=False) == 0
    assert called("put", Flags(hosts=file), lambda _session: JobResult(task="put")) == 0
    assert not folder.exists()


def test_a_task_on_another_machine_begins_with_a_line_on_the_manager_or_without_one(
    server: Sshd, tmp_path: Path, folder: Path
) -> None:
    from sparkqfs.config.loading import load_config

    for port in (server.port, closed_port()):
        file = tmp_path / "two.yml"
        file.write_text(
            "cluster: lab\nnodes:\n"
            f"  node1: {{address: 127.0.0.1, advertise: 192.0.2.1, port: {port}, manager: true}}\n"
            f"  node2: {{address: localhost, advertise: 192.0.2.2, port: {server.port}}}\n"
            f"ssh: {{user: root, key: {server.key}, known_hosts: {tmp_path}/known}}\n"
        )
        clients = Clients(load_config(file))
        said: list[str] = []
        with audit.recorded(Session(clients.config, clients, said.append), "prep"):
            clients.node("node2").run(["true"])
            assert [line[1] for line in lines(folder)] == (["began"] if port == server.port else ["began", "ended"])
        clients.close()
        assert len(said) == (port != server.port)
    assert "did not record this run" in said[0] and "Connection refused" in said[0]


def test_a_command_on_the_machines_is_recorded_without_its_words(
    server: Sshd, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = hosts(server, tmp_path)
    monkeypatch.setattr(sys, "argv", ["sparkqfs", "exec", "--hosts", file, "--", "sh", "-c", "exit 7", "a-value"])
    with pytest.raises(Exit) as end:
        ns["exec"](Context(), hosts=file)
    assert end.value.code == 7
    assert [[line[1], line[5], line[6]] for line in lines(folder)] == [["began", "exec", ""], ["ended", "exec", "7"]]
    assert "a-value" not in (folder / "lab.log").read_text()


def test_a_manager_that_is_away_is_asked_once(server: Sshd, tmp_path: Path, folder: Path) -> None:
    file = hosts(server, tmp_path, closed_port())
    assert called("put", Flags(hosts=file), touch) == ExitCode.UNREACHABLE
    assert not folder.exists()


@pytest.mark.parametrize("fault", ["full", "folder"])
def test_a_line_that_cannot_be_written_is_said_once_and_the_task_goes_on(
    server: Sshd, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    with contextlib.ExitStack() as stack:
        if fault == "full":
            folder.mkdir(parents=True)
            mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(folder)]
            if subprocess.run(mount, capture_output=True, check=False).returncode:
                pytest.skip("no file system can be mounted here")
            stack.callback(subprocess.run, ["umount", str(folder)], check=True)
            (folder / "others").write_bytes(b"." * 4096)
        else:
            folder.parent.mkdir()
            folder.touch()
        assert called("put", Flags(hosts=hosts(server, tmp_path)), touch) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "did not record" in line]
    assert len(said) == 1 and "node1 did not record this run for the history: " in said[0]
    assert ("No space left" in said[0] or "I/O error" in said[0]) is (fault == "full")


KILLED = """
import os, signal, sys
from pathlib import PurePosixPath
from sparkqfs.cli.flags import Flags
from sparkqfs.cli.running import run
from sparkqfs.jobs import audit
audit.AUDIT = PurePosixPath(sys.argv[1])
def job(session):
    session.clients.manager.run(["true"])
    os.kill(os.getpid(), signal.SIGKILL)
run("submit", job, Flags(hosts=sys.argv[2]))
"""


def shown(server: Sshd, tmp_path: Path, limit: int = 20) -> JobResult:
    from sparkqfs.config.loading import load_config

    clients = Clients(load_config(Path(hosts(server, tmp_path))))
    try:
        return history.run(Session(clients.config, clients, lambda _: None), limit=limit)
    finally:
        clients.close()


def test_the_history_names_a_task_that_died(server: Sshd, tmp_path: Path, folder: Path) -> None:
    assert shown(server, tmp_path).text == "nothing is recorded on node1 yet"
    file = hosts(server, tmp_path)
    called("put", Flags(hosts=file), touch)
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), file], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr.decode()
    result = shown(server, tmp_path)
    found = result.document["history"]
    assert isinstance(found, list)
    assert [(one["task"], one["ended"], one["code"]) for one in found] == [("put", True, 0), ("submit", False, None)]
    assert "submit  did not end" in result.text and "put     exit 0" in result.text
    last = shown(server, tmp_path, limit=1).document["history"]
    assert isinstance(last, list) and [one["task"] for one in last] == ["submit"]


INTERRUPTED = KILLED.replace('["true"]', '["sleep", "60"]').replace("SIGKILL", "SIGTERM")


def test_ctrl_c_is_recorded_too(server: Sshd, tmp_path: Path, folder: Path) -> None:
    file = hosts(server, tmp_path)
    running = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(folder), file], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not lines(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    assert [line[6] for line in lines(folder)] == ["", "130"]


@pytest.mark.parametrize("lock", [True, False])
def test_after_ctrl_c_programs_end_before_the_line_is_written_and_the_lock_is_free_after_it(
    server: Sshd, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, lock: bool
) -> None:
    seen: list[tuple[str, bool, bool]] = []
    sessions: list[Session] = []
    write = audit.Recording._write

    def slow(recording: audit.Recording, kind: str, *more: Any) -> None:
        if kind == ENDED:
            running.join(3)
            seen.append((kind, sessions[0].locked, running.is_alive()))
        write(recording, kind, *more)

    def job(session: Session) -> JobResult:
        sessions.append(session)
        running.start()
        wait_until((tmp_path / "began").exists, what="the program", timeout_s=60, interval_s=0.1)
        raise KeyboardInterrupt

    def ended(code: int) -> None:
        raise Exit(code=code)

    running = threading.Thread(
        target=lambda: sessions[0].clients.manager.run(
            ["sh", "-c", f"touch {tmp_path}/began; exec sleep 300"], check=False
        ),
        daemon=True,
    )
    monkeypatch.setattr(audit.Recording, "_write", slow)
    monkeypatch.setattr(os, "_exit", ended)
    assert called("put", Flags(hosts=hosts(server, tmp_path)), job, lock=lock) == ExitCode.INTERRUPTED
    assert seen == [(ENDED, lock, False)]
    assert [line[6] for line in lines(folder)] == ["", "130"]


def test_the_files_are_bounded_and_a_line_that_was_cut_off_is_only_counted(
    server: Sshd, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "FILE_BYTES", 150)
    folder.mkdir(parents=True)
    (folder / "lab.log").write_text("2026-01-31T12:00:00Z\tbegan\tab")
    file = hosts(server, tmp_path)
    called("put", Flags(hosts=file), touch)
    result = shown(server, tmp_path)
    assert result.document["damaged_lines"] == 1 and result.document["recorded"] == 1
    for _ in range(2):
        called("put", Flags(hosts=file), touch)
    assert all(path.stat().st_size < 300 for path in (folder / "lab.log", folder / "lab.log.1"))
    found = shown(server, tmp_path).document["history"]
    assert isinstance(found, list) and len(found) == 2 and all(one["code"] == 0 for one in found)


def test_an_end_whose_beginning_is_gone_says_all() -> None:
    text = "2026-01-31T00:00:10Z\tended\tab\tann@pc\tlab\tput\t0\t20.5\n2026-01-31T00:00:10Z\tended\tab\n\n"
    assert parse_runs(text) == (
        (Run(began="2026-01-30T23:59:49Z", who="ann@pc", cluster="lab", task="put", code=0, seconds=20.5),),
        1,
    )


def test_a_task_without_a_machine_that_can_be_asked_goes_on_without_a_line(server: Sshd, tmp_path: Path) -> None:
    from sparkqfs.config.loading import load_config

    clients = Clients(load_config(Path(hosts(server, tmp_path, closed_port()))))
    with (
        pytest.raises(ClusterError, match="the task's own"),
        audit.recorded(Session(clients.config, clients, print), "up"),
    ):
        raise ClusterError(Problem(what="the task's own"))


@pytest.mark.parametrize("error", [None, RefusedError(Problem(what="no"))])
def test_a_task_of_several_sessions_is_one_run(
    server: Sshd, tmp_path: Path, folder: Path, error: Exception | None
) -> None:
    from sparkqfs.config.loading import load_config

    config = load_config(Path(hosts(server, tmp_path)))
    series = audit.Series("drill")

    @contextlib.contextmanager
    def open_session() -> Iterator[Session]:
        clients = Clients(config)
        session = Session(config, clients, print)
        series.attach(session)
        yield session
        clients.close()

    with contextlib.suppress(RefusedError), series.ended(open_session):
        for _ in range(2):
            with open_session() as session:
                touch(session)
        series.code = 1
        if error is not None:
            raise error
    assert [(line[1], line[5], line[6]) for line in lines(folder)] == [
        ("began", "drill", ""),
        ("ended", "drill", "5" if error else "1"),
    ]


OF_NO_CLUSTER = {"bench.report", "local.up", "local.down", "local.status", "new"}


def test_every_task_is_recorded_or_known_to_change_nothing() -> None:
    """A new task is recorded unless somebody says that it changes nothing."""
    import inspect

    for name in ns.task_names:
        source = inspect.getsource(inspect.unwrap(ns[name].body))
        said = set(re.findall(r"\b(?:run|run_guarded|recording|Series)\((?:session, )?\"([\w.-]+)\"", source))
        short = name.removesuffix(".make")
        if name in OF_NO_CLUSTER or short in CHANGES_NOTHING:
            assert said <= {short}, name
        else:
            assert said == {short}, name
    assert {one for one in CHANGES_NOTHING if one not in ns.task_names} <= {"backup"}

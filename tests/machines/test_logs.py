"""`logs` over real SSH servers whose `docker` is a stand-in: jobs/watching/logs.py, remote/container_logs.sh."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.config.loading import load_config
from sparkqfs.errors import ClusterError, ExitCode
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import logs
from sparkqfs.plan.watching import logs as plan
from sparkqfs.plan.watching.logs import Wanted, pattern_of
from tests.doubles.log_engine import LogMachine, log_machine
from tests.paths import ROOT

A, B, C = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[LogMachine, LogMachine]]:
    with ExitStack() as stack:
        first, second = (stack.enter_context(log_machine(tmp_path / name)) for name in ("node1", "node2"))
        first.start(A, "spark-master")
        second.start(B, "worker-node")
        yield first, second


@pytest.fixture
def hosts(tmp_path: Path, machines: tuple[LogMachine, LogMachine]) -> Path:
    nodes = "".join(
        f"  node{number}: {{address: {address}, advertise: 192.0.2.{number}, port: {one.server.port},"
        f" key: {one.server.key}{', manager: true' if number == 1 else ''}}}\n"
        for number, (address, one) in enumerate(zip(("127.0.0.1", "localhost"), machines, strict=True), 1)
    )
    file = tmp_path / "hosts.yml"
    file.write_text(
        f"nodes:\n{nodes}ssh: {{user: root, known_hosts: {tmp_path}/known}}\n"
        "timeouts: {connect: 5}\ncluster: spark\nnetwork: host\n"
    )
    return file


@pytest.fixture
def session(hosts: Path) -> Iterator[Session]:
    clients = Clients(load_config(hosts))
    yield Session(clients.config, clients, lambda _: None)
    clients.close()


def at(second: int) -> str:
    return f"2026-01-31T12:00:{second:02}.000000000Z"


BOTH = ("node1", "node2")


def test_lines_of_all_machines_come_in_the_order_of_time(
    machines: tuple[LogMachine, LogMachine], session: Session
) -> None:
    first, second = machines
    with first.path(A).open("a") as file:
        file.write("Error response from daemon: the engine's own words\n")
    for number in (1, 3, 5):
        first.say(A, f"line {number}", at(number))
        second.say(B, f"line {number + 1}", at(number + 1))
    second.say(B, b"\xff\x1b[31mred", at(7))
    second.say(B, "x" * 9000, at(8))
    result = logs.show(session, Wanted(), BOTH)
    lines = result.text.splitlines()
    assert result.notes == ("node1 spark-master: its log: Error response from daemon: the engine's own words",)
    assert lines[:6] == [
        f"[{'node1 spark-master' if number % 2 else 'node2 worker-node'}] line {number}" for number in range(1, 7)
    ]
    assert len(lines) == 8 and lines[6].endswith("red") and 3900 < len(lines[7]) < 4100
    found = {(one["node"], one["service"]): one["lines"] for one in result.document["logs"]}  # type: ignore[attr-defined]
    assert found["node1", "spark-master"] == ["line 1", "line 3", "line 5"]
    assert logs.show(session, Wanted(tail=1, service="spark-master"), BOTH).text == "[node1 spark-master] line 5"
    assert logs.show(session, Wanted(grep=pattern_of("[24]$")), BOTH).text.count("worker-node") == 2
    assert logs.show(session, Wanted(grep=pattern_of("line"), tail=1), ("node2",)).text == "[node2 worker-node] line 6"


def test_only_a_time_shows_what_a_container_said_whose_place_another_one_has_taken(
    machines: tuple[LogMachine, LogMachine], session: Session
) -> None:
    _, second = machines
    second.say(B, "too early", at(1))
    second.say(B, "of the old one", at(3))
    second.end(B)
    second.start(C, "worker-node")
    second.say(C, "of the new one", at(5))
    assert logs.show(session, Wanted(), BOTH).text == "[node2 worker-node] of the new one"
    since = Wanted(since=1769860802.0)  # 12:00:02
    assert logs.show(session, since, BOTH).text.splitlines() == [
        "[node2 worker-node] of the old one",
        "[node2 worker-node] of the new one",
    ]


def test_lines_that_nobody_asked_to_leave_out_are_said(
    machines: tuple[LogMachine, LogMachine], session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MOST_LINES", 2)
    for number in (1, 2, 3):
        machines[0].say(A, f"line {number}", at(number))
    result = logs.show(session, Wanted(since=0.0), ("node1",))
    assert [line[-6:] for line in result.text.splitlines()] == ["line 2", "line 3"]
    assert result.notes == ("[node1 spark-master] earlier lines are left out; --since TIME and --grep choose",)
    assert logs.show(session, Wanted(tail=1), ("node1",)).notes == ()


def test_what_cannot_be_read_is_told_and_hides_no_other_machine(
    machines: tuple[LogMachine, LogMachine], session: Session
) -> None:
    first, second = machines
    first.say(A, "here", at(1))
    second.break_engine(True)
    result = logs.show(session, Wanted(), BOTH)
    assert result.text == "[node1 spark-master] here"
    (problem,) = result.problems
    assert problem.node == "node2" and "Cannot connect to the Docker daemon" in problem.what
    second.break_engine(False)
    with pytest.raises(ClusterError, match="no container of worker-node on node1") as caught:
        logs.show(session, Wanted(service="worker-node"), ("node1",))
    assert "services: spark-master" in str(caught.value)


def command(hosts: Path, *words: str) -> list[str]:
    program = "from sparkqfs.program import main; main()"
    return [sys.executable, "-c", program, "logs", "--hosts", str(hosts), *words]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--grep", "a(b"], "--grep a(b: it is not a regular expression"),
        (["--since", "yesterday"], "--since yesterday: it is not a time"),
        (["--since", "2999-01-01"], "--since 2999-01-01: this time is still to come"),
        (["--on", "node9"], "--on: no node node9"),
        (["--tail", "many"], "--tail many: expected a whole number"),
        (["-w"], "-w is not a flag of logs"),
    ],
)
def test_a_wrong_value_is_bad_input_before_a_machine_is_asked(tmp_path: Path, words: list[str], said: str) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text("nodes: {node1: 127.0.0.1}\nssh: {port: 1}\n")
    done = subprocess.run(command(file, *words), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == ExitCode.USAGE and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "connect" not in done.stderr


class Following:
    """`logs --follow` in a process of its own."""

    def __init__(self, hosts: Path, folder: Path, *words: str) -> None:
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command(hosts, "-f", *words), cwd=ROOT, stdout=out, stderr=err)

    @property
    def lines(self) -> list[str]:
        return self._out.read_text().splitlines()

    @property
    def said(self) -> str:
        return self._err.read_text()

    def wait(self, is_so: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline and self.process.poll() is None, (self.lines, self.said)
            time.sleep(0.1)


def test_following_goes_on_with_another_container_and_after_a_machine_was_away(
    machines: tuple[LogMachine, LogMachine], hosts: Path, tmp_path: Path
) -> None:
    first, second = machines
    first.say(A, "before")
    second.say(B, "two at once", at(1))
    second.say(B, "two at once", at(1))
    running = Following(hosts, tmp_path)
    try:
        running.wait(lambda: len(running.lines) == 3 and first.followers() + second.followers() >= 2)
        second.say(B, "while we look")
        running.wait(lambda: len(running.lines) == 4)
        first.end(A)
        first.start(C, "spark-master")
        first.say(C, "of another container")
        running.wait(lambda: len(running.lines) == 5)
        with second.away():
            second.say(B, "while it is away")
            running.wait(lambda: "node2 is away" in running.said)
            first.say(C, "of the others meanwhile")
            running.wait(lambda: len(running.lines) == 6)
        running.wait(lambda: len(running.lines) == 7)
        second.say(B, "afterwards")
        running.wait(lambda: len(running.lines) == 8 and "node2 is back" in running.said)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(30) == 130
    finally:
        running.process.kill()
    texts = [line.partition("] ")[2] for line in running.lines]
    assert sorted(texts[:3]) == ["before", "two at once", "two at once"], "one machine may be slow to begin"
    assert texts[3:] == [
        *("while we look", "of another container", "of the others meanwhile", "while it is away", "afterwards"),
    ]
    assert running.lines[4] == "[node1 spark-master] of another container"
    assert running.said.count("node2 is away") == running.said.count("node2 is back") == 1
    assert "node1 spark-master: another container" in running.said and "Traceback" not in running.said
    deadline = time.monotonic() + 30
    while first.followers() + second.followers() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert first.followers() + second.followers() == 0, "nothing is left on the machines"


def test_one_bad_log_is_read_again_by_itself_and_the_machine_is_not_away(
    machines: tuple[LogMachine, LogMachine], hosts: Path, tmp_path: Path
) -> None:
    first, _ = machines
    first.start(C, "worker-node")
    first.say(A, "before", at(2))
    first.say(A, "clock set back", at(1))
    first.break_log(A, True)
    running = Following(hosts, tmp_path, "--on", "node1")
    try:
        running.wait(lambda: running.said.count("its log: ") == 2)
        first.say(C, "of the other")
        running.wait(lambda: len(running.lines) == 3)
        first.break_log(A, False)
        first.say(A, "readable again")
        running.wait(lambda: len(running.lines) == 4)
    finally:
        running.process.kill()
    assert [line.partition("] ")[2] for line in running.lines[2:]] == ["of the other", "readable again"]
    assert "is away" not in running.said and "node1 spark-master: its log: error from daemon" in running.said


def test_pauses_begin_again_only_after_a_stream_has_lasted(session: Session) -> None:
    follower = logs._Follower(session, Wanted(), logs.Machine("node1"), queue.Queue(), threading.Event())
    follower._tries, follower._since_s = 3, time.monotonic()
    follower._take(["."])
    assert follower._tries == 3
    follower._since_s -= logs.STEADY_S
    follower._take(["."])
    assert follower._tries == 0


def test_an_engine_that_starts_again_is_followed_again(
    machines: tuple[LogMachine, LogMachine], hosts: Path, tmp_path: Path
) -> None:
    first, _ = machines
    first.say(A, "before")
    running = Following(hosts, tmp_path, "--json", "--on", "node1", "--grep", "o")
    try:
        running.wait(lambda: len(running.lines) == 1 and first.followers() >= 1)
        first.break_engine(True)
        running.wait(lambda: "node1 is away" in running.said)
        first.say(A, "not this")
        first.say(A, "nor then")
        first.break_engine(False)
        running.wait(lambda: len(running.lines) == 3)
    finally:
        running.process.kill()
    assert [json.loads(line)["line"] for line in running.lines] == ["before", "not this", "nor then"]
    assert json.loads(running.lines[0]).keys() == {"schema", "time", "node", "service", "line"}


def test_a_reader_that_has_enough_ends_the_following_although_nothing_more_comes(
    machines: tuple[LogMachine, LogMachine], hosts: Path
) -> None:
    machines[0].say(A, "the only line")
    reading, writing = os.pipe()
    running = subprocess.Popen(command(hosts, "-f"), cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    try:
        assert b"the only line" in os.read(reading, 4096)
        os.close(reading)
        _, said = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 0 and "Traceback" not in said and "defect" not in said

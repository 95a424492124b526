"""missing_data and sources of the status pages: what is asked, how often, and what is remembered."""

from __future__ import annotations

import dataclasses
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sparkqfs_runtime.pages import missing_data as health
from sparkqfs_runtime.pages import sources
from tests.doubles.servers import Answer, body, closed_port, payload, serve

PING, FSCK = payload("qfs-2.2-ping.txt"), payload("qfs-2.2-fsck.txt")
WELL = sources.Check(
    lost_files=0, single_files=0, short_chunks=0, lost_chunks=0, files=9, chunks=6, most_copies=2, run_s=0.01
)


@contextmanager
def metaserver(**answers: bytes) -> Iterator[Any]:
    """A server on loopback that gives these bytes for an operation and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked = b""
                while not asked.endswith(b"\r\n\r\n"):
                    asked += connection.recv(4096)
                connection.sendall(answers[asked.split(b"\r\n")[0].decode()])

    threading.Thread(target=answer, daemon=True).start()
    try:
        yield sources.Qfs("127.0.0.1", listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_metaservers_counts_are_those_of_its_ping() -> None:
    with metaserver(PING=PING) as qfs:
        look = qfs.look()
    assert look.mark[:2] == ("127.0.0.2:41435", "127.0.0.3:41435")
    assert (look.ready, look.missing, look.copying, look.held, look.place) == (True, None, 0, 1, "")


def test_a_metaserver_in_recovery_and_servers_without_room_are_told_apart() -> None:
    full = PING.replace(b"In recovery= 0", b"In recovery= 1").replace(b"overloaded=0", b"overloaded=1")
    with metaserver(PING=full) as qfs:
        assert (qfs.look().ready, qfs.look().place) == (False, "no chunkserver has room for new chunks")


def test_fscks_report_gives_files_and_chunks_without_those_that_were_removed() -> None:
    with metaserver(FSCK=FSCK) as qfs:
        found = qfs.check()
    assert (found.lost_files, found.removed_files, found.single_files) == (2, 1, 2)
    assert (found.lost_chunks, found.short_chunks, found.files, found.chunks) == (3, 3, 9, 6)
    assert (found.most_copies, found.partial, found.run_s, found.missing) == (3, "", 0.000216, 3)


def test_pieces_of_striped_files_are_copies_that_can_be_made() -> None:
    found = dataclasses.replace(WELL, lost_chunks=4, short_chunks=1)
    assert found.missing == 5


REPORT = FSCK.partition(b"\r\n\r\n")[2]


def with_length(report: bytes) -> bytes:
    return b"OK\r\nCseq: 1\r\nStatus: 0\r\nContent-length: %d\r\n\r\n" % len(report) + report


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "cut off"),
        (b"OK\r\nCseq: 1\r\n", "cut off"),
        (FSCK[:-40], "cut off"),
        (b"OK\r\nCseq: 1\r\nStatus: -11\r\nStatus-message: another child process running\r\n\r\n", "another child"),
        (b"OK\r\nStatus: 0\r\nContent-length: 99999999999\r\n\r\n", "99999999999 bytes"),
        (b"OK\r\nStatus: 0\r\nContent-length: x\r\n\r\n", "invalid literal"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "0 bytes"),
        (with_length(b"something else\n"), "no line for"),
        (with_length(REPORT.replace(b"Chunks reachable lost", b"Chunks gone")), "no line for"),
    ],
)
def test_an_answer_that_is_none_says_why(answer: bytes, why: str) -> None:
    with metaserver(FSCK=answer) as qfs, pytest.raises(sources.Unasked, match=why):
        qfs.check()


def test_a_report_that_ran_out_of_time_says_so_and_still_counts() -> None:
    report = REPORT.replace(b"reachable", b"checked").replace(
        b"Lost files total: 3\n", b"WARNING: fsck report is incomplete: exceeded fsck run time limit of 1 sec.\n"
    )
    with metaserver(FSCK=with_length(report)) as qfs:
        found = qfs.check()
    assert found.lost_files == 2 and "run time limit" in found.partial


def test_strange_file_names_are_not_taken_for_counts() -> None:
    lines = b"2 x\nFiles reachable lost: 77 1%\n1 / 1\n2 5 2 1 0 0 0 1 2026-11-29T01:47:26Z /a\n"
    with metaserver(FSCK=with_length(REPORT + lines)) as qfs:
        found = qfs.check()
    assert (found.lost_files, found.single_files) == (2, 3)


def test_a_metaserver_that_is_not_there_or_silent_is_waited_for_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LOOK_TIMEOUT_S", 0.2)
    with pytest.raises(sources.Unasked, match="refused"):
        sources.Qfs("127.0.0.1", closed_port()).look()
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(sources.Unasked, match="timed out"):
        sources.Qfs("127.0.0.1", silent.getsockname()[1]).look()


def beans(**changed: object) -> dict[str, Answer]:
    counts = {"UnderReplicatedBlocks": 5, "MissingBlocks": 2, "PendingReplicationBlocks": 1} | changed
    query = "/jmx?qry=Hadoop:service=NameNode,name="
    return {
        f"{query}FSNamesystem": body({"beans": [counts]}),
        f"{query}FSNamesystemState": body({"beans": [{"FSState": "Operational"}]}),
    }


def test_a_namenodes_blocks_without_a_copy_are_not_copies_that_can_be_made() -> None:
    with serve(beans()) as port:
        look = sources.Hdfs("127.0.0.1", port).look()
    assert (look.missing, look.copying, look.ready) == (4, 1, True)


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b'{"beans": []}', b'{"beans": [1]}', b"[" * 100_000])
def test_another_answer_is_not_taken_for_a_namenodes(answer: bytes) -> None:
    with serve({"/jmx": Answer(body=answer)}) as port, pytest.raises(sources.Unasked):
        sources.Hdfs("127.0.0.1", port).look()


class Scripted:
    """A master whose answers a test sets, and a clock that it moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.looks = sources.Look(mark=("a",), ready=True, missing=None)
        self.found: Any = WELL
        self.checks = 0

    def look(self) -> Any:
        return self.looks

    def check(self) -> Any:
        self.checks += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    def clock(self) -> float:
        return self.now

    def watcher(self) -> Any:
        return health.Watcher(self, 300.0, self.clock)

    def turns(self, watcher: Any, seconds: float, step: float = 10.0) -> int:
        """Turns for so long; the number of checks among them."""
        before = self.checks
        for _ in range(int(seconds / step)):
            self.now += step
            watcher.turn()
        return self.checks - before


def test_files_are_checked_at_once_and_then_every_interval() -> None:
    master = Scripted()
    watcher = master.watcher()
    assert master.turns(watcher, 10) == 1
    assert master.turns(watcher, 290) == 0
    assert master.turns(watcher, 10) == 1


def test_files_are_not_checked_while_the_master_waits_for_its_servers() -> None:
    master = Scripted()
    master.looks = dataclasses.replace(master.looks, ready=False)
    watcher = master.watcher()
    assert master.turns(watcher, 600) == 0
    master.looks = dataclasses.replace(master.looks, ready=True)
    assert master.turns(watcher, 10) == 1


def test_files_are_checked_when_servers_change_and_while_something_is_missing() -> None:
    master = Scripted()
    watcher = master.watcher()
    master.turns(watcher, 10)
    master.looks = dataclasses.replace(master.looks, mark=("b",))
    assert master.turns(watcher, 60) == 1
    master.found = dataclasses.replace(WELL, lost_files=1, lost_chunks=1)
    master.looks = dataclasses.replace(master.looks, mark=("c",))
    assert master.turns(watcher, 60) == 6


def test_a_long_check_is_not_repeated_within_fifty_times_its_time() -> None:
    master = Scripted()
    master.found = dataclasses.replace(WELL, lost_files=1, run_s=2.0)
    watcher = master.watcher()
    assert master.turns(watcher, 10) == 1
    for number in range(9):
        master.looks = dataclasses.replace(master.looks, mark=(number,))
        assert master.turns(watcher, 10) == 0
    assert master.turns(watcher, 10) == 1


def test_what_was_found_stays_when_a_check_fails_and_its_age_grows() -> None:
    master = Scripted()
    watcher = master.watcher()
    master.turns(watcher, 10)
    master.found = sources.Unasked("another child process running")
    master.turns(watcher, 600)
    found = json.loads(watcher.document())
    assert (found["check"]["lost_files"], found["check"]["age_s"]) == (0, 600.0)
    assert found["check_error"] == "another child process running"


def test_the_pace_is_that_of_the_last_minutes_and_standing_still_is_timed() -> None:
    master = Scripted()
    master.looks = dataclasses.replace(master.looks, missing=100)
    watcher = master.watcher()
    master.turns(watcher, 10)
    for left in (90, 80, 70, 60, 50, 40):
        master.looks = dataclasses.replace(master.looks, missing=left)
        master.turns(watcher, 10)
    found = json.loads(watcher.document())
    assert (found["missing"], found["per_minute"], found["still_s"]) == (40, 60.0, 0.0)
    master.turns(watcher, 300)
    found = json.loads(watcher.document())
    assert (found["per_minute"], found["still_s"]) == (2.0, 300.0)
    master.looks = dataclasses.replace(master.looks, missing=0)
    master.turns(watcher, 10)
    assert json.loads(watcher.document())["still_s"] == 0.0


def test_time_in_which_the_master_waits_for_a_server_is_not_standing_still() -> None:
    master = Scripted()
    master.found = dataclasses.replace(WELL, short_chunks=3)
    master.looks = dataclasses.replace(master.looks, held=1)
    watcher = master.watcher()
    master.turns(watcher, 300)
    assert json.loads(watcher.document())["still_s"] == 0.0
    master.looks = dataclasses.replace(master.looks, held=0)
    master.turns(watcher, 120)
    assert json.loads(watcher.document())["still_s"] == 120.0


def test_a_reader_gets_a_fresh_look_and_a_fault_of_the_thread_does_not_end_it() -> None:
    with metaserver(PING=PING, FSCK=FSCK) as qfs:
        watcher = health.Watcher(qfs, 300.0).start()
        found = json.loads(watcher.document())
        assert (found["check"]["lost_files"], found["check"]["is_current"], found["missing"]) == (2, True, 3)
        watcher.source = None
        watcher.looked -= 2
        assert "AttributeError" in json.loads(watcher.document())["look_error"]
        watcher.source = qfs
        watcher.looked -= 2
        assert json.loads(watcher.document())["look_error"] == ""


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 300), ("60", 60), ("0", 300), ("-1", 300), ("x", 300), ("inf", 300), ("nan", 300)]
)
def test_the_interval_comes_from_the_environment(text: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARKQFS_CHECK_S", text)
    assert health.interval() == seconds

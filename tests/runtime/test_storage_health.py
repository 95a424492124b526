"""The status pages of the storages against real servers: what is asked, and how an answer is read."""

from __future__ import annotations

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


def test_a_reader_gets_a_fresh_look_and_a_fault_of_the_thread_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "ANSWER_S", 30.0)  # a busy computer may need more than the three that a page waits
    with metaserver(PING=PING, FSCK=FSCK) as qfs:
        watcher = health.Watcher(qfs, 300.0).start()
        found = json.loads(watcher.document())
        assert (found["check"]["lost_files"], found["check"]["is_current"], found["missing"]) == (2, True, 3)
        watcher.source = None  # type: ignore[assignment]
        watcher.looked -= 2
        assert "AttributeError" in json.loads(watcher.document())["look_error"]
        watcher.source = qfs
        watcher.looked -= 2
        assert json.loads(watcher.document())["look_error"] == ""

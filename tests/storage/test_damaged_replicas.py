"""What a chunkserver is asked when a stream has found a copy damaged: once a chunk, slowly, and never the only copy."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import Driver

SIZE = (1 << 20) + 10


class Chunkserver(socketserver.ThreadingTCPServer):
    """A double that keeps what it was asked; `damaged` answers the read of the first piece with an error."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.begun: list[float] = []
        self.damaged = False

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(socketserver.StreamRequestHandler):
    server: Chunkserver

    def handle(self) -> None:
        self.server.begun.append(time.monotonic())
        while operation := self.rfile.readline().decode().strip():
            fields = {}
            while line := self.rfile.readline().decode().strip():
                name, _, value = line.partition(": ")
                fields[name] = value
            self.server.asked.append((operation, fields))
            self.wfile.write(self.answer(operation, fields))

    def answer(self, operation: str, fields: dict[str, str]) -> bytes:
        head = f"OK\r\nCseq: {fields['Cseq']}\r\n"
        if operation == "SIZE":
            return f"{head}Status: 0\r\nSize: {SIZE}\r\n\r\n".encode()
        if self.server.damaged and fields["Offset"] == "0":
            return f"{head}Status: -1001\r\n\r\n".encode()
        length = int(fields["Num-bytes"])
        return f"{head}Status: {length}\r\nContent-length: {length}\r\n\r\n".encode() + bytes(length)


@pytest.fixture
def server() -> Iterator[Chunkserver]:
    with Chunkserver() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ranges(server: Chunkserver) -> list[tuple[str, str]]:
    return [(fields["Offset"], fields["Num-bytes"]) for operation, fields in server.asked if operation == "READ"]


def test_the_last_byte_then_all_of_the_chunk_is_read_and_once(inside: Driver, server: Chunkserver) -> None:
    for _ in range(3):
        inside("damaged", "CHECKSUM", 71, f"127.0.0.1:{server.port},10.0.0.9:1")
    QfsCluster.wait(lambda: len(ranges(server)) == 3, "reads", 10)
    assert ranges(server) == [(str(SIZE - 1), "1"), ("0", str(1 << 20)), (str(1 << 20), "10")]
    assert {fields["Chunk-handle"] for _, fields in server.asked} == {"71"}
    time.sleep(1.5)
    assert len(server.begun) == 1


def test_the_only_copy_and_what_is_no_damage_are_not_asked_for(inside: Driver, server: Chunkserver) -> None:
    inside("damaged", "CHECKSUM", 72, f"127.0.0.1:{server.port}")
    for reason in ("CHANGED", "MISSING", "DUPLICATE", "METASERVER"):
        inside("damaged", reason, 73, f"127.0.0.1:{server.port},10.0.0.9:1")
    inside("damaged", "HEADER", 74, f"127.0.0.1:{server.port},10.0.0.9:1")
    QfsCluster.wait(lambda: len(ranges(server)) == 3, "reads", 10)
    assert {fields["Chunk-handle"] for _, fields in server.asked} == {"74"}


def test_many_damaged_chunks_are_read_one_a_second_and_reading_ends_at_the_damage(
    inside: Driver, server: Chunkserver
) -> None:
    server.damaged = True
    for chunk in range(1000, 1300):
        inside("damaged", "HEADER", chunk, f"127.0.0.1:{server.port},10.0.0.9:1")
    time.sleep(3.5)
    assert 2 <= len(server.begun) <= 5
    assert ranges(server)[:2] == [(str(SIZE - 1), "1"), ("0", str(1 << 20))]
    assert len(ranges(server)) == 2 * len(server.begun)
    gaps = [late - early for early, late in zip(server.begun, server.begun[1:], strict=False)]
    assert all(gap >= 0.99 for gap in gaps)

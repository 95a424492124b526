"""Flips bits in copies of chunks of a real QFS, and looks whether each is found and healed, and what a reader gets.

Used by test_scrub.py. By itself, for docs/measured/flips.md:
PYTHONPATH=runtime python -m tests.storage.flips COUNT FOLDER
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sparkqfs_runtime.scrub.chunk_files import HEADER_BYTES, PADDING, Chunk, chunks_in, damage_of
from tests.paths import PROGRAMS
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import Reader, make_kit

SERVERS = ("127.0.0.2", "127.0.0.3")
AS_SHIPPED = "chunkServer.syncChunkHeader = 1\nchunkServer.requireChunkHeaderChecksum = 1\n"
RATE = 64 << 20
SIZES = (1, 4_000, 65_536, 200_001, 1_500_000)
Place = Literal["header", "padding", "data"]


@dataclass
class Flip:
    """One bit of one copy."""

    path: Path
    chunk: int
    place: Place
    offset: int
    size: int
    before: int
    """The byte."""


@dataclass
class Result:
    """What became of all."""

    flips: list[Flip]
    found: dict[str, int] = field(default_factory=dict)
    """By place, found by the scrub or by a chunkserver."""
    flipped: dict[str, int] = field(default_factory=dict)
    healed: int = 0
    """Chunks with two good copies at the end."""
    reads: dict[str, Reads] = field(default_factory=dict)
    left: int = 0
    """Nodes on which another pass has found damage."""
    seconds: float = 0.0
    """From the first scrub to the last new copy."""


def flip(chunk: Chunk, place: Place, chance: random.Random) -> Flip:
    """Changes one bit on the disk."""
    size = chunk.path.stat().st_size
    if place == "data":
        offset = HEADER_BYTES + chance.randrange(int.from_bytes(chunk.path.read_bytes()[32:40], "little"))
    else:
        offset = chance.randrange(PADDING) if place == "header" else chance.randrange(PADDING, HEADER_BYTES)
    with chunk.path.open("r+b") as file:
        file.seek(offset)
        before = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([before ^ 1 << chance.randrange(8)]))
    return Flip(chunk.path, chunk.id, place, offset, size, before)


def all_chunks(qfs: QfsCluster) -> dict[int, dict[str, Chunk]]:
    """Id → address → copy."""
    found: dict[int, dict[str, Chunk]] = {}
    for address in SERVERS:
        for directory in qfs.chunk_dirs(address):
            for chunk in chunks_in(directory):
                found.setdefault(chunk.id, {})[address] = chunk
    return found


def wait_for_copies(qfs: QfsCluster, count: int) -> None:
    """Until so many chunk files have the names that they keep."""
    QfsCluster.wait(lambda: sum(len(one) for one in all_chunks(qfs).values()) == count, "copies of all chunks", 120)


def write_files(qfs: QfsCluster, count: int, chance: random.Random) -> dict[str, bytes]:
    """Files of one chunk with two copies."""
    folder = qfs.home / "files"
    folder.mkdir()
    contents = {}
    for number in range(count):
        contents[f"/files/{number}"] = chance.randbytes(SIZES[number % len(SIZES)])
        (folder / str(number)).write_bytes(contents[f"/files/{number}"])
    qfs.run("-D", "fs.createParams=2", "-put", str(folder), "/files")
    return contents


def scrub_argv(qfs: QfsCluster, address: str, when: str = "now") -> tuple[str, ...]:
    """runtime/bin/scrub of one node."""
    meta = ("127.0.0.1", str(qfs.client_port), address, when, str(RATE), str(qfs.home / f"{address}.scrub.json"))
    return (sys.executable, "-I", str(PROGRAMS / "scrub"), *meta, *map(str, qfs.chunk_dirs(address)))


def scrub(qfs: QfsCluster, address: str) -> str:
    """One pass on one node; its log."""
    answer = subprocess.run(scrub_argv(qfs, address), check=False, capture_output=True, text=True, timeout=600)
    return answer.stderr


@dataclass
class Reads:
    """One reader's."""

    all: int = 0
    wrong: int = 0
    """Other bytes than were written, or an error."""


def upstreams(qfs: QfsCluster, contents: dict[str, bytes]) -> Callable[[str], bool]:
    """QFS's own tool, a process each time."""
    return lambda name: qfs.read(name, 120.0) == contents[name]


def ours(reader: Reader) -> Callable[[str], bool]:
    """Our Hadoop file system on the first node beside upstream's, in one process."""

    def is_same(name: str) -> bool:
        try:
            reader("open", name, "flips")
            answer = reader("scan", "flips")
            reader("close", "flips")
        except BrokenPipeError:
            if not reader.start_again():
                raise
            return is_same(name)
        return "differences 0" in answer

    return is_same


def read_on(read: Callable[[str], bool], names: list[str], reads: Reads, ended: threading.Event) -> None:
    """Reads one file after the other."""
    while not ended.is_set():
        reads.wrong += not read(names[reads.all % len(names)])
        reads.all += 1


def is_whole(qfs: QfsCluster, ids: set[int], copies: int = 2) -> bool:
    """Whether each of these chunks has so many copies, and all are good."""
    chunks = all_chunks(qfs)
    return all(
        len(chunks.get(id, {})) == copies and all(damage_of(one) is None for one in chunks[id].values()) for id in ids
    )


def run(qfs: QfsCluster, count: int, reader: Reader, seed: int = 1) -> Result:
    """So many flips, each in one copy of another chunk, then a pass on each node while two readers read."""
    chance = random.Random(seed)
    contents = write_files(qfs, count, chance)
    wait_for_copies(qfs, 2 * count)
    time.sleep(2)  # the chunkservers have what they wrote in memory no longer than they use it
    places: tuple[Place, ...] = ("data", "header", "padding", "data")
    flips = [
        flip(copies[chance.choice(SERVERS)], places[number % len(places)], chance)
        for number, copies in enumerate(all_chunks(qfs).values())
    ]
    result, ended = Result(flips, flipped=dict(Counter(one.place for one in flips))), threading.Event()
    result.reads = {"upstream's": Reads(), "ours": Reads()}
    threads = [
        threading.Thread(target=read_on, args=(read, list(contents), result.reads[name], ended))
        for name, read in (("upstream's", upstreams(qfs, contents)), ("ours", ours(reader)))
    ]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        logs = [scrub(qfs, address) for address in SERVERS]
        QfsCluster.wait(lambda: is_whole(qfs, {one.chunk for one in flips}), "two good copies of every chunk", 300)
        result.seconds = time.monotonic() - begun
        result.healed = count
        logs += [scrub(qfs, address) for address in SERVERS]
        result.left = sum("0 damaged" not in log for log in logs[-2:])
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    qfs.stop()  # which writes the ends of their logs
    logs += [(qfs.home / f"{address}.log").read_text(errors="replace") for address in SERVERS]
    seen = {int(one) for log in logs for one in re.findall(r"(?:scrub: \S*/\d+\.|corrupted chunk: )(\d+)", log)}
    result.found = dict(Counter(one.place for one in flips if one.chunk in seen))
    return result


def main(words: list[str]) -> int:
    """Prints one JSON document."""
    folder = Path(words[1])
    kit = make_kit(folder)
    with QfsCluster(kit.qfs_home, folder / "home", addresses=SERVERS, server_extra=AS_SHIPPED) as qfs:
        reader = Reader(kit, qfs)
        result = run(qfs, int(words[0]), reader)
        reader.close()
    document = {key: value for key, value in vars(result).items() if key not in ("flips", "reads")}
    print(json.dumps(document | {"reads": {name: vars(reads) for name, reads in result.reads.items()}}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The scrub on a real metaserver and chunkservers: flipped bits are found and healed, and the last copy is kept."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.flips import AS_SHIPPED, SERVERS, all_chunks, flip, is_whole, run, scrub, wait_for_copies
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import Kit, Reader


@pytest.fixture
def qfs(kit: Kit, tmp_path: Path) -> Iterator[QfsCluster]:
    with QfsCluster(kit.qfs_home, tmp_path / "home", addresses=SERVERS, server_extra=AS_SHIPPED) as running:
        yield running


@pytest.fixture
def reader(kit: Kit, qfs: QfsCluster) -> Iterator[Reader]:
    process = Reader(kit, qfs)
    yield process
    process.close()


def test_two_hundred_flipped_bits_are_found_and_healed_and_no_reader_gets_one(qfs: QfsCluster, reader: Reader) -> None:
    """Each in one copy of a chunk: in the data, the header and its padding."""
    result = run(qfs, 200, reader)
    assert result.found == result.flipped and sum(result.flipped.values()) == 200
    assert (result.healed, result.left) == (200, 0)
    assert all(reads.all > 0 and reads.wrong == 0 for reads in result.reads.values())


def test_the_only_copy_is_kept_as_it_is_and_said(qfs: QfsCluster) -> None:
    (qfs.home / "data").write_bytes(bytes(range(256)) * 1000)
    qfs.run("-D", "fs.createParams=1", "-put", str(qfs.home / "data"), "/only")
    wait_for_copies(qfs, 1)
    ((address, chunk),) = next(iter(all_chunks(qfs).values())).items()
    flip(chunk, "data", random.Random(1))
    damaged = chunk.path.read_bytes()
    assert "kept: it is the only copy" in scrub(qfs, address)
    assert chunk.path.read_bytes() == damaged
    state = json.loads((qfs.home / f"{address}.scrub.json").read_text())
    assert (state["damaged"], state["healed"], state["kept"], state["running"]) == (1, 0, 1, False)
    assert state["damages"][0]["block"] == str(chunk.id)


def test_where_no_other_copy_is_good_it_is_kept(qfs: QfsCluster) -> None:
    (qfs.home / "data").write_bytes(bytes(range(256)) * 1000)
    qfs.run("-D", "fs.createParams=2", "-put", str(qfs.home / "data"), "/both")
    wait_for_copies(qfs, 2)
    copies = next(iter(all_chunks(qfs).values()))
    for address in SERVERS:
        flip(copies[address], "data", random.Random(1))
    damaged = copies[SERVERS[0]].path.read_bytes()
    assert "kept: no other copy could be read without a fault" in scrub(qfs, SERVERS[0])
    assert copies[SERVERS[0]].path.read_bytes() == damaged


def test_a_damaged_piece_of_a_file_of_pieces_is_made_again_from_the_others(qfs: QfsCluster) -> None:
    """Reed-Solomon, six pieces and three more; each is the only copy of its chunk."""
    (qfs.home / "data").write_bytes(random.Random(1).randbytes(700_000))
    qfs.run("-D", "fs.createParams=1,6,3,65536,2", "-put", str(qfs.home / "data"), "/pieces")
    wait_for_copies(qfs, 9)
    chunks = sorted(all_chunks(qfs).items())
    ((address, chunk),) = chunks[0][1].items()
    flip(chunk, "data", random.Random(1))
    assert "reported: its chunkserver has found it, too" in scrub(qfs, address)
    QfsCluster.wait(lambda: is_whole(qfs, {chunk.id}, copies=1), "the piece again", 120)
    assert qfs.read("/pieces", 60) == (qfs.home / "data").read_bytes()

    for _, copies in chunks[1:5]:
        ((holder, piece),) = copies.items()
        flip(piece, "data", random.Random(1))
    assert "kept: 4 pieces of its group are bad, and 3 may be" in scrub(qfs, holder)

"""The scrub on a real metaserver and chunkservers: flipped bits are found and healed, and the last copy is kept."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkqfs_runtime.scrub.chunk_files import Chunk
from tests.storage.flips import AS_SHIPPED, SERVERS, all_chunks, flip, is_whole, run, scrub
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


@pytest.fixture(scope="module")
def quiet(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QfsCluster]:
    """A file system that nobody reads meanwhile."""
    home = tmp_path_factory.mktemp("quiet")
    with QfsCluster(kit.qfs_home, home, addresses=SERVERS, server_extra=AS_SHIPPED) as running:
        yield running


def put(qfs: QfsCluster, name: str, params: str, count: int) -> dict[int, dict[str, Chunk]]:
    """A file; its chunks, which are so many files in all."""
    before = all_chunks(qfs).keys()
    (qfs.home / "data").write_bytes(random.Random(1).randbytes(700_000))
    qfs.run("-D", f"fs.createParams={params}", "-put", str(qfs.home / "data"), name)

    def new() -> dict[int, dict[str, Chunk]]:
        return {id: copies for id, copies in sorted(all_chunks(qfs).items()) if id not in before}

    QfsCluster.wait(lambda: sum(map(len, new().values())) == count, "its chunks")
    return new()


def test_the_only_copy_is_kept_as_it_is_and_said(quiet: QfsCluster) -> None:
    ((address, chunk),) = next(iter(put(quiet, "/only", "1", 1).values())).items()
    flip(chunk, "data", random.Random(1))
    damaged = chunk.path.read_bytes()
    assert f"{chunk.path}: data" in (log := scrub(quiet, address)) and "kept: it is the only copy" in log
    assert chunk.path.read_bytes() == damaged
    state = json.loads((quiet.home / f"{address}.scrub.json").read_text())
    assert (state["damaged"], state["healed"], state["kept"], state["running"]) == (1, 0, 1, False)
    assert state["damages"][0]["block"] == str(chunk.id)


def test_a_copy_whose_file_somebody_removed_is_made_again_and_an_only_one_is_said(quiet: QfsCluster) -> None:
    both = next(iter(put(quiet, "/removed", "2", 2).values()))
    only = next(iter(put(quiet, "/removed-only", "1", 1).values()))
    ((holder, lone),) = only.items()
    for address in SERVERS:
        scrub(quiet, address)  # it sees them all
    gone = both[holder]
    for chunk in (gone, lone):
        chunk.path.unlink()
    log = scrub(quiet, holder)
    assert f"{gone.path.name}: missing, it is gone; reported: its chunkserver does not have it either" in log
    assert f"{lone.path.name}: missing, it is gone; kept: it is the only copy" in log
    QfsCluster.wait(lambda: is_whole(quiet, {gone.id}, copies=2), "the copy again", 120)
    assert "kept: it is the only copy" in scrub(quiet, holder), "as long as nobody does something about it"
    assert quiet.read("/removed", 60) == (quiet.home / "data").read_bytes()


def test_where_no_other_copy_is_good_it_is_kept(quiet: QfsCluster) -> None:
    copies = next(iter(put(quiet, "/both", "2", 2).values()))
    for address in SERVERS:
        flip(copies[address], "data", random.Random(1))
    damaged = copies[SERVERS[0]].path.read_bytes()
    assert "kept: no other copy could be read without a fault" in scrub(quiet, SERVERS[0])
    assert copies[SERVERS[0]].path.read_bytes() == damaged


def test_a_damaged_piece_of_a_file_of_pieces_is_made_again_from_the_others(quiet: QfsCluster) -> None:
    """Reed-Solomon, six pieces and three more; each is the only copy of its chunk."""
    chunks = list(put(quiet, "/pieces", "1,6,3,65536,2", 9).items())
    ((address, chunk),) = chunks[0][1].items()
    flip(chunk, "data", random.Random(1))
    assert "reported: its chunkserver has found it, too" in scrub(quiet, address)
    QfsCluster.wait(lambda: is_whole(quiet, {chunk.id}, copies=1), "the piece again", 120)
    assert quiet.read("/pieces", 60) == (quiet.home / "data").read_bytes()

    for _, copies in chunks[1:5]:
        ((holder, piece),) = copies.items()
        flip(piece, "data", random.Random(1))
    assert "kept: 4 pieces of its group are bad, and 3 may be" in scrub(quiet, holder)

"""The scrub's reading of chunk files, its pace and what it does with what it finds; the chunkserver is a double."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from sparkqfs_runtime.pages.sources import Unasked
from sparkqfs_runtime.scrub import command, healing
from sparkqfs_runtime.scrub.chunk_files import (
    BLOCK_BYTES,
    FIELDS,
    FIELDS_BYTES,
    HEADER_BYTES,
    Chunk,
    Damage,
    chunks_in,
    damage_of,
)
from sparkqfs_runtime.scrub.healing import Copies, Healer


def a_chunk(folder: Path, data: bytes, *, name: str = "7.65540.1") -> Chunk:
    """A chunk file as QFS writes it."""
    file, number, version = map(int, name.split("."))
    blocks = [data[at : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES)]
    sums = [zlib.adler32(block.ljust(BLOCK_BYTES, b"\0")) for block in blocks]
    fields = FIELDS.pack(0xCAFECAFE, 1, file, number, version, len(data), *sums, *[0] * (1024 - len(sums)))
    header = fields.ljust(FIELDS_BYTES, b"\0")
    whole = (header + zlib.adler32(header).to_bytes(8, "little")).ljust(HEADER_BYTES, b"\0") + data
    (folder / name).write_bytes(whole)
    return Chunk(folder / name, file, number, version)


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 7, (1 << 20) + 5])
def test_a_chunk_as_it_was_written_is_well_and_any_flipped_byte_of_it_is_not(tmp_path: Path, size: int) -> None:
    chunk = a_chunk(tmp_path, os.urandom(size))
    assert damage_of(chunk) is None
    well = chunk.path.read_bytes()
    last = {HEADER_BYTES, len(well) - 1} if size else set()
    for at in {0, 31, 40, FIELDS_BYTES - 1, FIELDS_BYTES, FIELDS_BYTES + 7, FIELDS_BYTES + 8, HEADER_BYTES - 1} | last:
        chunk.path.write_bytes(well[:at] + bytes([well[at] ^ 4]) + well[at + 1 :])
        found = damage_of(chunk)
        expected = "header" if at < FIELDS_BYTES + 8 else "padding" if at < HEADER_BYTES else "data"
        assert found is not None and found.what == expected, at
    chunk.path.write_bytes(well[:-1])
    short = damage_of(chunk)
    assert short is not None and short.what == "short"


def test_what_is_gone_is_no_damage_and_a_part_that_was_never_written_is_none(tmp_path: Path) -> None:
    assert damage_of(Chunk(tmp_path / "1.2.3", 1, 2, 3)) is None
    chunk = a_chunk(tmp_path, bytes(BLOCK_BYTES))
    header = bytearray(chunk.path.read_bytes())
    header[40:44] = bytes(4)
    header[FIELDS_BYTES : FIELDS_BYTES + 8] = zlib.adler32(header[:FIELDS_BYTES]).to_bytes(8, "little")
    chunk.path.write_bytes(header)
    assert damage_of(chunk) is None


def test_a_file_under_another_chunks_name_is_damaged(tmp_path: Path) -> None:
    chunk = a_chunk(tmp_path, b"data")
    other = Chunk(tmp_path / "7.65541.1", 7, 65541, 1)
    chunk.path.rename(other.path)
    assert damage_of(other) == Damage("header", "it is another chunk's")


def test_only_chunks_that_nobody_writes_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    for name in ("1.2.3", "1.2.0", "1.2.-3", "0-fsid-1", "1.2.3.4", "a.2.3", "lost+found/1.2.4"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "4.5.6").symlink_to(tmp_path / "1.2.3")
    assert [(chunk.file, chunk.id, chunk.version) for chunk in chunks_in(tmp_path)] == [(1, 2, 3)]


class Cluster:
    """What a metaserver and chunkservers would say."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, copies: Copies | None, good: tuple[str, ...] = ()) -> None:
        self.copies, self.good, self.read = copies, good, list[str]()
        monkeypatch.setattr(Healer, "copies", lambda _self, _chunk: copies)
        monkeypatch.setattr(healing, "read_all", self.read_all)
        self.is_busy = False
        monkeypatch.setattr(healing, "PAUSE_S", 0.0)
        monkeypatch.setattr(healing, "MOVED_S", 0.0)

    def read_all(self, address: str, _port: int, chunk: Chunk, _read: object) -> str | None:
        self.read.append(address)
        if address == HERE and address not in self.good and not self.is_busy:
            chunk.path.unlink()
        return None if address in self.good else "status -1001"


HERE, THERE = "10.0.0.2", "10.0.0.3"
BOTH = Copies(1, {HERE: 22000, THERE: 22000})
DAMAGE = Damage("data", "block 0")


@pytest.mark.parametrize(
    ("copies", "good", "outcome", "read"),
    [
        (BOTH, (THERE,), "reported", [THERE, HERE]),
        (BOTH, (), "kept", [THERE]),
        (Copies(1, {HERE: 22000}), (), "kept", []),
        (Copies(2, BOTH.ports), (THERE,), "gone", []),
        (Copies(1, {THERE: 22000}), (THERE,), "gone", []),
        (None, (), "gone", []),
        (BOTH, (THERE, HERE), "kept", [THERE, HERE, HERE, HERE]),
    ],
)
def test_a_damaged_copy_is_reported_only_where_another_one_was_read_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, copies: Copies | None, good: tuple[str, ...], outcome: str,
    read: list[str],
) -> None:  # fmt: skip
    chunk = a_chunk(tmp_path, b"data")
    chunk.path.write_bytes(chunk.path.read_bytes()[:-1] + b"?")
    damaged = chunk.path.read_bytes()
    cluster = Cluster(monkeypatch, copies, good)
    assert Healer("meta", 1, HERE).heal(chunk, DAMAGE)[0] == outcome
    assert cluster.read == read
    assert not chunk.path.exists() if outcome == "reported" else chunk.path.read_bytes() == damaged


def test_a_chunkserver_that_refuses_and_keeps_the_file_has_reported_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chunk = a_chunk(tmp_path, b"data")
    chunk.path.write_bytes(chunk.path.read_bytes()[:-1] + b"?")
    cluster = Cluster(monkeypatch, BOTH, (THERE,))
    cluster.is_busy = True
    outcome, why = Healer("meta", 1, HERE).heal(chunk, DAMAGE)
    assert (outcome, cluster.read) == ("kept", [THERE, HERE, HERE, HERE])
    assert "found status -1001, and still has it" in why


def test_a_flipped_bit_behind_the_header_is_put_back_in_place(tmp_path: Path) -> None:
    chunk = a_chunk(tmp_path, b"data")
    well = chunk.path.read_bytes()
    chunk.path.write_bytes(well[:9000] + b"\x10" + well[9001:])
    found = damage_of(chunk)
    assert found is not None
    assert Healer("meta", 1, HERE).heal(chunk, found)[0] == "healed"
    assert chunk.path.read_bytes() == well


def test_the_pace_is_kept() -> None:
    slept: list[float] = []
    slow = command.Slow(1000, slept.append)
    for _ in range(3):
        slow.read(1000)
    assert 2.9 < slept[-1] <= 3.1


def test_a_pass_counts_and_goes_on_when_the_metaserver_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "chunks"
    folder.mkdir()
    for number in range(1, 5):
        chunk = a_chunk(folder, b"data", name=f"7.{number}.1")
    chunk.path.write_bytes(chunk.path.read_bytes()[:-1] + b"?")

    def silent(_self: Healer, _chunk: Chunk) -> Copies:
        raise Unasked("GETPATHNAME: refused")

    monkeypatch.setattr(Healer, "copies", silent)
    state = command.State(hour="2", bytes_per_second=1)
    command.Scrub(Healer("meta", 1, HERE), (folder, tmp_path / "none"), state, tmp_path / "state").run_pass()
    assert (state.blocks, state.damaged, state.kept, state.errors) == (4, 1, 1, 1)
    assert "kept: GETPATHNAME: refused" in capsys.readouterr().err
    assert json.loads((tmp_path / "state").read_text())["kept"] == 1
    assert command.main(["scrub", "--state", str(tmp_path / "state")]) == 0
    assert command.main(["scrub", "--state", str(tmp_path / "no")]) == 1
    assert command.main(["scrub", "meta", "1", HERE, "24", "1", "s", "d"]) == 64
    assert command.main(["scrub", "meta", "1", HERE, "2", "0", "s", "d"]) == 64


def test_what_a_pass_has_left_counts_until_the_next_one_has_ended(tmp_path: Path) -> None:
    (tmp_path / "chunk").mkdir()
    state = command.State(kept=2)
    scrub = command.Scrub(Healer("meta", 1, HERE), (tmp_path / "chunk",), state, tmp_path / "state")
    seen: list[tuple[int, int]] = []

    def fails(_directory: Path) -> list[Chunk]:
        seen.append((state.kept, state.kept_before))
        raise RuntimeError("broken off")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "chunks_in", fails)
        for _ in range(2):
            with pytest.raises(RuntimeError):
                scrub.run_pass()
    assert seen == [(0, 2), (0, 2)]
    scrub.run_pass()
    assert (state.kept, state.kept_before) == (0, 0)


def test_a_pass_begins_when_its_hour_does_and_not_in_the_middle_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that is started at 2:30 waits until the next night."""
    hours = iter([2, 2, 3, 23, 0, 1, 2, 2])
    slept: list[float] = []

    class Clock:
        sleep = slept.append

        @staticmethod
        def gmtime() -> SimpleNamespace:
            return SimpleNamespace(tm_hour=next(hours))

    monkeypatch.setattr(command, "time", Clock)
    command.wait_for(2)
    assert list(hours) == [2] and len(slept) == 6

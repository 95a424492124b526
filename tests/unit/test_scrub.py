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


def test_a_chunk_file_that_is_gone_is_asked_about_until_there_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "chunks"
    folder.mkdir()
    (folder / f"{command.FILE_SYSTEM}9").touch()
    chunks = [a_chunk(folder, b"data", name=f"7.{number}.1") for number in range(1, 6)]
    state = command.State(hour="2", bytes_per_second=1)
    scrub = command.Scrub(Healer("meta", 1, HERE), (folder,), state, tmp_path / "state")
    asked: list[int] = []
    answers: dict[int, Copies | None] = {}

    def answered(_self: Healer, chunk: Chunk) -> Copies | None:
        asked.append(chunk.id)
        if chunk.id not in answers:
            raise Unasked("GETPATHNAME: refused")
        return answers[chunk.id]

    def seen() -> tuple[list[int], int, int, int]:
        asked.clear()
        scrub.run_pass()
        return asked[:], state.damaged, state.kept, state.errors

    monkeypatch.setattr(Healer, "copies", answered)
    assert seen() == ([], 0, 0, 0), "the first pass knows of none"
    for chunk in chunks[:4]:
        chunk.path.unlink()
    assert seen() == ([1], 0, 0, 1), "one that cannot be asked about is no damage, and the others wait with it"
    answers |= {1: None, 2: Copies(1, {"127.0.0.9": 1}), 3: Copies(2, {HERE: 1}), 4: Copies(1, {HERE: 1})}
    assert seen() == ([1, 2, 3, 4], 1, 1, 0), "removed, another server's, written again; the last is the only copy"
    assert seen() == ([4], 1, 1, 0)
    (folder / f"{command.FILE_SYSTEM}9").rename(folder / f"{command.FILE_SYSTEM}10")
    assert seen() == ([], 0, 0, 0), "chunks of another file system"
    (folder / "7.5.1").unlink()
    scrub.directories = (folder, tmp_path / "none")
    assert seen() == ([], 0, 0, 1), "with a directory that cannot be read nothing is missing"


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


def test_a_container_that_is_started_within_the_hour_waits_until_the_next_night() -> None:
    now = 2.5 * 3600
    assert command.first_time(2, command.State(since=now), now) == (24 + 2) * 3600


class Clock:
    """A machine that sleeps at some hours, and whose clock may jump; times are seconds since 1970."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: float, jumps: dict[float, float]) -> None:
        self.now, self.jumps = now, jumps
        fake = SimpleNamespace(time=lambda: self.now, monotonic=lambda: self.now, sleep=self.sleep)
        monkeypatch.setattr(command, "time", fake)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for at in [at for at in self.jumps if self.now >= at]:
            self.now = self.jumps.pop(at)


HOUR = 3600.0
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("jumps", "begun"),
    [
        ({}, DAY + 2 * HOUR),
        ({DAY + HOUR: DAY + 7 * HOUR}, DAY + 7 * HOUR),  # asleep at two
        ({23 * HOUR: 400 * DAY}, 400 * DAY),  # put forward
        ({23 * HOUR: 3 * HOUR}, DAY + 2 * HOUR),  # put back
    ],
)
def test_a_pass_begins_at_its_hour_or_as_soon_as_the_machine_is_awake_again(
    monkeypatch: pytest.MonkeyPatch, jumps: dict[float, float], begun: float
) -> None:
    clock, beats = Clock(monkeypatch, 20 * HOUR, jumps), list[float]()
    begin = command.first_time(2, command.State(since=clock.now), clock.now)
    command.wait_until(begin, lambda: beats.append(clock.now))
    assert begun <= clock.now <= begun + command.LOOK_S and len(beats) > 100


def test_a_clock_that_was_a_year_ahead_when_the_pass_was_fixed_does_not_put_it_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, 400 * DAY, {400 * DAY + HOUR: 20 * HOUR})
    command.wait_until(command.next_time(2, clock.now), lambda: None)
    assert clock.now == DAY + 2 * HOUR


@pytest.mark.parametrize(
    ("state", "begin"),
    [
        ({"since": 10 * DAY}, 10 * DAY + 2 * HOUR),
        ({"since": 8 * DAY}, 10 * DAY + command.START_S),  # off every night, and never a pass
        ({"since": 1.0, "began": 9 * DAY, "ended": 9 * DAY + 9 * HOUR}, 10 * DAY + 2 * HOUR),
        ({"since": 1.0, "began": 8 * DAY, "ended": 8 * DAY + 9 * HOUR}, 10 * DAY + command.START_S),  # off for a night
        ({"since": 1.0, "began": 9.5 * DAY, "ended": 8 * DAY}, 10 * DAY + command.START_S),  # broken off
        ({"since": 1.0, "began": 9.5 * DAY, "ended": None}, 10 * DAY + command.START_S),
        ({"since": 1.0, "began": 90 * DAY, "ended": 91 * DAY}, 10 * DAY + 2 * HOUR),  # by a wrong clock
    ],
)
def test_a_daemon_that_starts_begins_soon_where_a_pass_was_missed(state: dict[str, float], begin: float) -> None:
    assert command.first_time(2, command.State(**state), 10 * DAY) == begin  # type: ignore[arg-type]


def test_what_was_left_is_known_after_the_containers_next_start_and_forgotten_with_the_file_system(
    tmp_path: Path,
) -> None:
    folder, file = tmp_path / "chunk", tmp_path / "state"
    folder.mkdir()
    (folder / "0-fsid-7-1").touch()
    state = command.State(since=5.0, began=6.0, ended=7.0, blocks=9, kept=1, damages=[{"block": "3"}])
    scrub = command.Scrub(Healer("meta", 1, HERE), (folder,), state, file)
    scrub.write(0)
    again = command.earlier(file, (folder,))
    assert (again.since, again.ended, again.blocks, again.kept, again.damages) == (5.0, 7.0, 9, 1, [{"block": "3"}])
    state.running = True
    scrub.write(0)
    again = command.earlier(file, (folder,))
    assert (again.running, again.blocks, again.kept, again.kept_before) == (False, 0, 0, 1)
    (folder / "0-fsid-7-1").rename(folder / "0-fsid-8-1")
    assert command.earlier(file, (folder,)) == command.State()
    for text in ("", "[]", "{}", '{"schema": 1, "of": "0-fsid-8-1"}', "[" * 100_000):
        file.write_text(text)
        assert command.earlier(file, (folder,)) == command.State()


def test_the_state_says_how_old_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "state"
    scrub = command.Scrub(Healer("meta", 1, HERE), (), command.State(), file)
    scrub.write(0)
    assert command.show(file) == 0
    assert 0 <= json.loads(capsys.readouterr().out)["age_s"] < 60
    file.write_text(json.dumps(json.loads(file.read_text()) | {"at": scrub.state.at - DAY}))
    assert command.show(file) == 0
    assert DAY <= json.loads(capsys.readouterr().out)["age_s"] < DAY + 60
    file.write_text("{")
    assert command.show(file) == 1

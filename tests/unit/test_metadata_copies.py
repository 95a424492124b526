"""Copies of the metadata without any process: what is a whole record, what stays, and what status says."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import pytest

from sparkqfs import durable
from sparkqfs_runtime.metadata import accepted, guard, states
from sparkqfs_runtime.metadata.compare import Compared, compare
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.pieces import grown
from sparkqfs_runtime.metadata.store import Store, StoreError, read_sums
from sparkqfs_runtime.metadata.thinning import DAY_S, Image, Keep, kept_images

NOW = 1_800_000_000.0


def record(transaction: int, body: bytes = b"mkdir") -> bytes:
    """Of HDFS's edits."""
    data = struct.pack(">BIQ", 3, 12 + len(body), transaction) + body
    return data + struct.pack(">I", zlib.crc32(data))


HEAD = bytes.fromhex("ffffffbd00000000")


@pytest.mark.parametrize("cut", range(1, len(record(2))))
def test_a_record_of_hdfs_that_is_not_whole_is_left(cut: int) -> None:
    hdfs, whole = KINDS["hdfs"], HEAD + record(1)
    data = whole + record(2)[:cut]
    assert hdfs.whole(data, 0) == len(whole) and hdfs.last_operation(data[: len(whole)], 0) == 1
    assert hdfs.whole(data + b"\xff" * 5000, 0) == len(whole)


def test_the_rest_of_hdfs_file_is_no_record() -> None:
    hdfs, data = KINDS["hdfs"], HEAD + record(1) + record(2)
    assert hdfs.whole(data + b"\xff" * 4096, 0) == len(data)
    assert hdfs.whole(record(3) + b"\xff" * 9, len(data)) == len(record(3))
    assert hdfs.whole(HEAD[:5], 0) == 0 and hdfs.whole(b"", 8) == 0


@pytest.mark.parametrize("head", [b"\xff" * 8, HEAD[:4] + b"\xff" * 4, b"\xff" * 4 + HEAD[4:], b""])
def test_a_log_of_hdfs_that_is_only_room_yet_is_not_copied(tmp_path: Path, head: bytes) -> None:
    """The namenode writes 0xFF over the whole file first, and a copy that begins with it has another log for ever."""
    log = tmp_path / "edits_inprogress_0000000000000000001"
    log.write_bytes(head.ljust(1 << 20, b"\xff"))
    assert list(grown(KINDS["hdfs"], log, 0)) == []
    log.write_bytes((HEAD + record(1)).ljust(1 << 20, b"\xff"))
    assert b"".join(grown(KINDS["hdfs"], log, 0)) == HEAD + record(1)


def test_a_damaged_head_of_hdfs_log_cuts_nothing_off() -> None:
    """It is said, and what is behind it stays: a flipped bit in a copy is not a log that has only room."""
    data = bytes([HEAD[0] ^ 4]) + HEAD[1:] + record(1)
    assert KINDS["hdfs"].whole(data, 0) == len(data) and "first bytes" in KINDS["hdfs"].fault(iter([data]))


BLOCK = b"a/MD=N=d1;z=0 0 1;\nc/0 0 0/4/0/0/0 0 1/1/1/13c6156a\n"


@pytest.mark.parametrize("cut", range(1, len(BLOCK)))
def test_a_block_of_qfs_that_is_not_whole_is_left(cut: int) -> None:
    assert KINDS["qfs"].whole(BLOCK + BLOCK[:cut], 0) == len(BLOCK)


def test_a_closed_log_of_qfs_is_whole_to_its_end_and_a_torn_closing_is_not() -> None:
    closing = b"time/2026-11-29T08:50:57.753693Z\nchecksum/c0fe56a136b1385d2620079db9c80c44\n"
    assert KINDS["qfs"].whole(BLOCK + closing, 0) == len(BLOCK + closing)
    assert KINDS["qfs"].whole(BLOCK + closing[:-1], 0) == len(BLOCK)
    assert KINDS["qfs"].last_operation(BLOCK.replace(b"0 0 1/1", b"0 0 1f/1"), 0) == 31


def images(*ages: float) -> list[Image]:
    """Made so many days ago, the oldest first; each goes on with a log of its own."""
    return [Image(NOW - age * DAY_S, 10 * number) for number, age in enumerate(ages)]


def test_all_of_two_days_stay_then_one_a_day_then_one_a_week() -> None:
    ages = [number / 24 for number in range(70 * 24, 0, -1)]  # one an hour for seventy days
    stay = kept_images(images(*ages), NOW)
    kept = sorted(ages[number] for number in stay.images)
    assert len([age for age in kept if age <= 2]) == 48
    assert len([age for age in kept if 2 < age <= 14]) in (13, 14)
    assert 6 <= len([age for age in kept if age > 14]) <= 8 and max(kept) <= 60


def test_the_logs_from_the_last_image_before_the_two_days_stay_and_of_older_ones_that_which_they_need() -> None:
    stay = kept_images(images(9.0, 5.0, 2.5, 1.0, 0.1), NOW)
    assert stay.images == {0, 1, 2, 3, 4}
    assert stay.from_log == 20 and stay.single_logs == {0, 10}
    assert [order for order in (0, 5, 10, 15, 20, 21, 40) if stay.keeps_log(order)] == [0, 10, 20, 21, 40]


def test_a_clock_that_jumps_and_a_long_time_without_a_master_make_nothing_old() -> None:
    before = kept_images(images(1.5, 1.0, 0.0), NOW)
    assert kept_images(images(1.5, 1.0, 0.0), NOW + 400 * DAY_S) == before
    assert before.images == {0, 1, 2}


def test_without_days_and_weeks_what_is_older_than_the_last_before_the_two_days_goes() -> None:
    stay = kept_images(images(8.0, 4.0, 1.5, 0.0), NOW, Keep(all=2, daily=0, weekly=0))
    assert stay.images == {1, 2, 3} and stay.from_log == 10


def a_store(top: Path) -> Store:
    store = Store(top, KINDS, clock=lambda: NOW)
    store.begin("qfs", "42", "")
    return store


def test_an_image_counts_only_when_its_bytes_are_those_that_were_read(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    store.append("chkpt.0.0.0", 0, b"checkpoint")
    with pytest.raises(StoreError, match="did not arrive whole"):
        store.finish("chkpt.0.0.0", 10, "0" * 64)
    assert store.hello()["images"] == [] and Store(tmp_path, KINDS).hello()["images"] == []


def test_a_history_is_left_only_for_its_mark_and_is_still_there_afterwards(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    store.append("log.0.0.0.0", 0, BLOCK)
    store.sync()
    mark = store.hello()["mark"]
    for other in ("", "0" * 12, store.hello()["identity"]):
        with pytest.raises(StoreError):
            store.begin("qfs", "43", other)
    store.begin("qfs", "43", mark)
    assert store.hello()["identity"] == "43" and store.hello()["logs"] == []
    assert (tmp_path / "000001" / "log.0.0.0.0").read_bytes() == BLOCK
    again = Store(tmp_path, KINDS)
    assert (again.hello()["number"], again.hello()["identity"]) == (2, "43")


def test_the_mark_of_a_copy_is_another_after_each_operation(tmp_path: Path) -> None:
    store, marks = a_store(tmp_path), set()
    for number in range(5):
        store.append("log.0.0.0.0", len(BLOCK) * number, BLOCK)
        marks.add(store.hello()["mark"])
    store.sync()
    assert len(marks) == 5 and Store(tmp_path, KINDS).hello()["mark"] == store.hello()["mark"]


def test_an_earlier_log_that_is_short_after_a_power_cut_is_filled(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    store.append("log.0.0.0.0", 0, BLOCK)
    store.append("log.0.0.1.1", 0, BLOCK)
    again = Store(tmp_path, KINDS)
    assert again.hello()["logs"] == [["log.0.0.0.0", 0, len(BLOCK)], ["log.0.0.1.1", 1, len(BLOCK)]]
    again.append("log.0.0.0.0", len(BLOCK), BLOCK)
    assert (tmp_path / "000001" / "log.0.0.0.0").read_bytes() == 2 * BLOCK


def test_a_log_that_has_lost_bytes_on_the_keepers_disk_is_not_written_on(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    store.append("log.0.0.0.0", 0, BLOCK)
    (tmp_path / "000001" / "log.0.0.0.0").write_bytes(BLOCK[:10])
    with pytest.raises(StoreError, match="lost bytes"):
        store.append("log.0.0.0.0", len(BLOCK), BLOCK)


def test_a_history_that_cannot_be_read_is_not_replaced_by_an_earlier_one(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    store.append("log.0.0.0.0", 0, BLOCK)
    store.begin("qfs", "43", store.hello()["mark"])
    store.append("log.0.0.0.0", 0, BLOCK)
    (tmp_path / "000002" / "about.json").unlink()
    with pytest.raises(ValueError, match="not known what it is a copy of"):
        Store(tmp_path, KINDS)


def test_a_copy_that_began_with_a_log_that_was_only_room_begins_it_again(tmp_path: Path) -> None:
    """As earlier versions made it: its sum is not the storage's, so the storage would not be started beside it."""
    top = tmp_path / "hdfs"
    (top / "name" / "current").mkdir(parents=True)
    log = HEAD + record(1) + record(2)
    (top / "name" / "current" / "VERSION").write_text("blockpoolID=BP-1\n")
    (top / "name" / "current" / "edits_inprogress_0000000000000000001").write_bytes(log.ljust(1 << 20, b"\xff"))
    copies, key = tmp_path / "copies", "edits_0000000000000000001"
    copies.mkdir()
    store = Store(copies, KINDS)
    store.begin("hdfs", "BP-1", "")
    store.append(key, 0, b"\xff" * 8)
    store.append(key, 8, log[8:])
    store.sync()
    assert compare(KINDS["hdfs"], top, store.hello()).verdict == "parted"
    again = Store(copies, KINDS)
    assert (compare(KINDS["hdfs"], top, again.hello()).is_well, again.hello()["logs"]) == (True, [[key, 1, 0]])
    again.append(key, 0, log)
    assert compare(KINDS["hdfs"], top, Store(copies, KINDS).hello()).is_level


def test_a_copy_that_is_damaged_where_it_had_more_still_keeps_an_older_master_from_starting(tmp_path: Path) -> None:
    copies, key = tmp_path / "copies", f"edits_{1:019d}"
    copies.mkdir()
    store = Store(copies, KINDS)
    store.begin("hdfs", "BP-1", "")
    log = HEAD + b"".join(record(number) for number in range(1, 101))
    store.append(key, 0, log)
    store.sync()

    def masters(last: int) -> Path:
        current = tmp_path / f"master{last}" / "name" / "current"
        current.mkdir(parents=True)
        (current / "VERSION").write_text("blockpoolID=BP-1\n")
        records = b"".join(record(number) for number in range(1, last + 1))
        (current / f"edits_inprogress_{1:019d}").write_bytes(HEAD + records + b"\xff" * 999)
        return current.parents[1]

    now, yesterday = masters(100), masters(50)
    path = copies / "000001" / key
    data = bytearray(path.read_bytes())
    data[len(HEAD) + 30 * len(record(1)) + 20] ^= 1
    path.write_bytes(data)
    again = Store(copies, KINDS)
    found = compare(KINDS["hdfs"], yesterday, again.hello())
    assert (found.verdict, found.text) == (
        "behind",
        f"the copy had {len(log)} bytes of {key} once, here are {len(HEAD) + 50 * len(record(1))}",
    )
    assert compare(KINDS["hdfs"], now, again.hello()).is_well
    at = again.hello()["logs"][0][2]
    again.append(key, at, log[at:])  # the master that has it sends it again
    again.sync()
    assert path.read_bytes() == log and Store(copies, KINDS).hello()["operation"] == 100


def test_a_line_of_the_moments_that_cannot_be_read_does_not_end_thinning(tmp_path: Path) -> None:
    clock = [NOW - 100 * DAY_S]
    store = Store(tmp_path, KINDS, Keep(), lambda: clock[0])
    store.begin("qfs", "1", "")
    for number in range(4):
        body = f"checkpoint/1\nfilesysteminfo/fsid/1/1\nlog/logs/log.0.0.0.{number}\n".encode()
        store.append(f"chkpt.0.0.{number}", 0, body)
        store.finish(f"chkpt.0.0.{number}", len(body), hashlib.sha256(body).hexdigest())
        store.append(f"log.0.0.0.{number}", 0, BLOCK)
        store.sync()
        clock[0] += 30 * DAY_S
    times = tmp_path / "000001" / "times"
    data = bytearray(times.read_bytes())
    data[4] |= 0x80
    times.write_bytes(data + b"half a li")
    assert store.thin()
    left = times.read_text(encoding="ascii").splitlines()
    assert left and all(line.split("\t")[1] in store.history.held for line in left if store.history)


def test_a_log_that_got_shorter_is_said_and_nothing_of_it_is_copied(tmp_path: Path) -> None:
    log = tmp_path / "log.0.0.0.0"
    log.write_bytes(BLOCK)
    with pytest.raises(OSError, match="got shorter"):
        list(grown(KINDS["qfs"], log, 2 * len(BLOCK)))


def test_a_copy_is_laid_out_without_an_image_whose_log_is_missing(tmp_path: Path) -> None:
    pieces = []
    for number in (0, 1):
        image = tmp_path / f"chkpt.0.0.{number}"
        image.write_bytes(f"checkpoint/0\nfilesysteminfo/fsid/42/crtime/1\nlog//x/log.0.0.0.{number}\n".encode())
        pieces.append((image.name, image))
    log = tmp_path / "log.0.0.0.0"
    log.write_bytes(BLOCK)
    top = tmp_path / "top"
    top.mkdir()
    KINDS["qfs"].lay_out([*pieces, (log.name, log)], {}, top)
    assert (top / "checkpoint" / "latest").samefile(top / "checkpoint" / "chkpt.0.0.0")
    assert not (top / "checkpoint" / "chkpt.0.0.1").exists()


def test_what_is_no_log_is_neither_cut_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "checkpoint").mkdir()
    log = tmp_path / "logs" / "log.0.0.0.0"
    log.write_bytes(bytes(800_000))
    with pytest.raises(OSError, match="no whole block"):
        KINDS["qfs"].repair(tmp_path)
    assert log.stat().st_size == 800_000


def test_what_is_cut_off_a_log_is_kept(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "logs" / "log.0.0.0.0").write_bytes(BLOCK + b"a/half")
    assert KINDS["qfs"].repair(tmp_path)
    assert (tmp_path / "torn" / f"log.0.0.0.0.{len(BLOCK)}").read_bytes() == b"a/half"


def test_a_copy_of_another_file_system_gives_up_none_of_this_one(tmp_path: Path) -> None:
    """Its operations have higher numbers, and it was accepted when this one was made."""
    (tmp_path / accepted.FILE).write_text("new 42\n")
    asked = guard.Asked(
        found={
            "node2": Compared("other", "a" * 12, "another", 10_000),
            "node3": Compared("behind", "b" * 12, "this one", 100),
        }
    )
    (said,) = guard.objections(asked, tmp_path, "42")
    assert "node3" in said and (tmp_path / accepted.FILE).read_text() == "new 42\n"


def test_thinning_removes_what_the_rule_says_from_disk_and_from_the_list(tmp_path: Path) -> None:
    now = [NOW]
    store = Store(tmp_path, KINDS, Keep(all=1, daily=0, weekly=0), clock=lambda: now[0])
    store.begin("qfs", "42", "")
    for number in range(4):
        head = f"checkpoint/0\nfilesysteminfo/fsid/42/crtime/1\nlog//x/log.0.0.0.{number}\n".encode()
        store.append(f"log.0.0.0.{number}", 0, BLOCK)
        store.append(f"chkpt.0.0.{number}", 0, head)
        store.finish(f"chkpt.0.0.{number}", len(head), hashlib.sha256(head).hexdigest())
        store.sync()
        now[0] += DAY_S
    gone = store.thin()
    assert set(gone) == {"chkpt.0.0.0", "log.0.0.0.0"}
    assert {key for key, _ in store.hello()["images"]} == {"chkpt.0.0.1", "chkpt.0.0.2", "chkpt.0.0.3"}
    lines = (tmp_path / "000001" / "times").read_text().splitlines()
    assert [line.split("\t")[1] for line in lines] == ["log.0.0.0.1", "log.0.0.0.2", "log.0.0.0.3"]
    assert store.thin() == []


def full(_descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def a_short_copy(top: Path) -> Store:
    store = Store(top, KINDS)
    store.begin("qfs", "1", "")
    store.append("log.0.0.0.0", 0, BLOCK)
    store.sync()
    return store


def test_a_full_disk_at_the_beginning_of_a_history_leaves_nothing_that_stands_against_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_short_copy(tmp_path)
    assert store.history is not None
    with monkeypatch.context() as patch:
        patch.setattr(durable, "sync", full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space left"):
                store.begin("qfs", "2", store.history.mark())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001", "000002"]
    assert [kept.identity for kept in states.histories(tmp_path)] == ["1"]
    again = Store(tmp_path, KINDS)
    assert again.history is not None and again.history.identity == "1"
    again.begin("qfs", "2", again.history.mark())
    assert [kept.identity for kept in states.histories(tmp_path)] == ["1", "2"]


def test_a_beginning_that_a_power_cut_has_broken_off_is_none(tmp_path: Path) -> None:
    a_short_copy(tmp_path)
    (tmp_path / "000002").mkdir()
    (tmp_path / "000002" / ".about.json.part").write_text("{")
    assert [kept.number for kept in states.histories(tmp_path)] == [1]
    found = Store(tmp_path, KINDS).history
    assert found is not None and found.number == 1
    (tmp_path / "000002" / "log.0.0.0.0").write_bytes(BLOCK)
    with pytest.raises(ValueError, match=r"has no about\.json"):
        Store(tmp_path, KINDS)


def test_a_small_file_that_was_only_being_written_is_in_no_state(tmp_path: Path) -> None:
    store = a_short_copy(tmp_path)
    store.note("VERSION", b"whole")
    (tmp_path / "000001" / "notes" / ".VERSION.part").write_bytes(b"half")
    body = b"log/x/log.0.0.0.0\n"
    store.append("chkpt.0.0.0", 0, body)
    store.finish("chkpt.0.0.0", len(body), hashlib.sha256(body).hexdigest())
    (kept,) = states.histories(tmp_path)
    assert states._notes(kept) == {"VERSION": b"whole"}
    found = Store(tmp_path, KINDS).history
    assert found is not None and set(found.notes) == {"VERSION"}


def test_lines_are_added_whole_or_not_at_all_and_not_to_one_that_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "SHA256SUMS"
    durable.append(file, "aa  one\n")
    with monkeypatch.context() as patch:
        patch.setattr(durable, "sync", full)
        with pytest.raises(OSError, match="No space left"):
            durable.append(file, "bb  two\n")
    assert file.read_text() == "aa  one\n"
    file.write_text("aa  one\nbb  tw")
    durable.append(file, "bb  two\n")
    assert read_sums(tmp_path) == {"one": "aa", "tw": "bb", "two": "bb"}


def test_a_moment_is_written_down_when_its_bytes_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = a_short_copy(tmp_path)
    times = (tmp_path / "000001" / "times").read_text()
    store.append("log.0.0.0.0", len(BLOCK), BLOCK)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "sync_file", lambda path: full(0))
        with pytest.raises(OSError, match="No space left"):
            store.sync()
    assert (tmp_path / "000001" / "times").read_text() == times
    store.sync()
    assert (tmp_path / "000001" / "times").read_text().splitlines()[-1].endswith(f"\t{2 * len(BLOCK)}")

"""A state of the metadata as one stream: chosen, written, read back whole or refused, and laid out."""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from sparkqfs_runtime.metadata import bundle, hdfs, qfs, states
from sparkqfs_runtime.metadata.command import main
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.store import Store
from sparkqfs_runtime.metadata.thinning import Keep

FSID = "12345"


def log_name(number: int) -> str:
    return f"log.0.1.1.{number}"


def image_bytes(log: int) -> bytes:
    return f"checkpoint/1\nfilesysteminfo/fsid/{FSID}/1\nlog/logs/{log_name(log)}\n".encode()


def block(number: int) -> bytes:
    """Of QFS's log, with one operation in it; that of an odd number is a log's first."""
    text = f"mkdir/{number}\nc/a/{number:x} 1 {number:x}/0/0/".encode()
    return text + b"%x\n" % zlib.adler32((b"" if number % 2 else b"\n") + text)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Two images, three logs, and a moment after each block: block N at second 1000 + N."""
    top, clock = tmp_path / "copies", Clock()
    top.mkdir()
    store = Store(top, KINDS, Keep(), clock)
    store.begin("qfs", FSID, "")
    number = 0
    for log in (1, 2, 3):
        if log != 2:
            add_image(store, log)
        for place in range(2):
            number += 1
            clock.now = 1000.0 + number
            offset = store.history.held[log_name(log)].size if place and store.history else 0
            store.append(log_name(log), offset, block(number))
            store.sync()
    return top


def add_image(store: Store, log: int) -> None:
    body = image_bytes(log)
    store.append(f"chkpt.1.{log}.{log}", 0, body)
    store.finish(f"chkpt.1.{log}.{log}", len(body), hashlib.sha256(body).hexdigest())


def state(copy: Path, at: float | None = None) -> states.State:
    return states.state_at(states.history_at(states.histories(copy), at), at)


def keys(found: states.State) -> list[str]:
    return [part.piece.key for part in found.parts]


def test_the_newest_state_begins_with_the_newest_image(copy: Path) -> None:
    found = state(copy)
    assert (keys(found), found.operation, found.at) == (["chkpt.1.3.3", log_name(3)], 6, 1006.0)


@pytest.mark.parametrize(("at", "log", "operation"), [(1001.0, 1, 1), (1002.9, 1, 2), (1003.5, 2, 3), (1005.0, 3, 5)])
def test_the_state_of_a_time_is_the_last_one_before_it(copy: Path, at: float, log: int, operation: int) -> None:
    found = state(copy, at)
    assert (keys(found)[-1], found.operation) == (log_name(log), operation)
    assert keys(found)[0] == ("chkpt.1.3.3" if log == 3 else "chkpt.1.1.1")


def test_a_time_before_the_first_state_is_refused(copy: Path) -> None:
    with pytest.raises(states.StateError, match=r"no state is as old as that: the first one is of 1001"):
        state(copy, 1000.5)
    with pytest.raises(states.StateError, match=r"no copy as old as that"):
        state(copy, 999.0)


def test_a_damaged_image_is_passed_over_for_the_one_before_it_and_named(copy: Path) -> None:
    image = copy / "000001" / "chkpt.1.3.3"
    image.write_bytes(image.read_bytes().replace(b"/1\n", b"/2\n"))
    found = state(copy)
    assert (found.passed_over, keys(found)) == (("chkpt.1.3.3",), ["chkpt.1.1.1", *map(log_name, (1, 2, 3))])
    assert found.operation == 6
    (copy / "000001" / "chkpt.1.1.1").unlink()
    with pytest.raises(states.StateError, match=r"no image to begin with; damaged: chkpt\.1\.3\.3"):
        state(copy)


def test_half_a_block_at_the_end_of_the_copy_is_not_in_the_state(copy: Path) -> None:
    with (copy / "000001" / log_name(3)).open("ab") as file:
        file.write(block(7)[:-5])
    assert (state(copy).operation, state(copy).parts[-1].size) == (6, len(block(5) + block(6)))


@pytest.mark.parametrize("name", [log_name(3), log_name(2)])
def test_a_log_with_a_flipped_bit_is_no_state(copy: Path, name: str) -> None:
    path = copy / "000001" / name
    if name == log_name(2):  # of a state that begins with an older image
        (copy / "000001" / "chkpt.1.3.3").unlink()
    data = bytearray(path.read_bytes())
    data[2] ^= 1
    path.write_bytes(data)
    with pytest.raises(states.StateError, match=rf"{name} is damaged"):
        state(copy)


def test_a_last_log_that_lacks_what_was_written_down_of_it_is_no_state(copy: Path) -> None:
    path = copy / "000001" / log_name(3)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(states.StateError, match=r"is damaged: \d+ of \d+ bytes are whole records"):
        state(copy)


def test_an_earlier_image_does_not_stand_in_for_a_damaged_one_where_logs_between_them_are_gone(copy: Path) -> None:
    (copy / "000001" / log_name(2)).unlink()
    assert [part.piece.key for part in state(copy).parts] == ["chkpt.1.3.3", log_name(3)]
    path = copy / "000001" / "chkpt.1.3.3"
    path.write_bytes(path.read_bytes() + b"x")
    gone = rf"logs between chkpt\.1\.1\.1 and {log_name(3)} are missing; damaged: chkpt\.1\.3\.3"
    with pytest.raises(states.StateError, match=gone):
        state(copy)


def test_operations_of_hdfs_that_are_missing_between_two_logs_are_no_state(tmp_path: Path) -> None:
    def record(number: int) -> bytes:
        data = struct.pack(">BIQ", 3, 12 + 5, number) + b"mkdir"
        return data + struct.pack(">I", zlib.crc32(data))

    store = Store(tmp_path, KINDS)
    store.begin("hdfs", "BP-1", "")
    store.append(f"fsimage_{0:019d}", 0, b"image")
    store.finish(f"fsimage_{0:019d}", 5, hashlib.sha256(b"image").hexdigest())
    head = bytes.fromhex("ffffffbd00000000")
    for first, last in ((1, 30), (31, 30), (31, 100)):  # the second was empty, and the namenode began it again
        name = f"edits_{first:019d}"
        if store.history is None or name not in store.history.held:
            store.append(name, 0, head)
        for number in range(first, last + 1):
            store.append(name, store.history.held[name].size if store.history else 0, record(number))
        store.sync()
    assert state(tmp_path).operation == 100
    store.append(f"edits_{103:019d}", 0, head + record(103))
    store.sync()
    with pytest.raises(states.StateError, match=rf"logs between fsimage_{0:019d} and edits_{103:019d} are missing"):
        state(tmp_path)


def test_a_history_that_cannot_be_read_does_not_hide_a_later_one_and_is_said_where_it_is_asked_for(copy: Path) -> None:
    store = Store(copy, KINDS, Keep(), lambda: 2000.0)
    assert store.history is not None
    store.begin("qfs", FSID, store.history.mark())
    add_image(store, 5)
    store.append(log_name(5), 0, block(9))
    store.sync()
    (copy / "000001" / "about.json").write_text("{")
    assert state(copy).history == 2
    for at in (1004.0, 1999.0):
        with pytest.raises(states.StateError, match=r"000001/about\.json cannot be read"):
            state(copy, at)
    assert state(copy, 2001.0).history == 2
    (copy / "000002" / "about.json").write_text("{")
    with pytest.raises(states.StateError, match=r"000002/about\.json cannot be read"):
        state(copy)


def sealed(body: bytes) -> bytes:
    """With the line that ends an image, or a log that is closed."""
    return body + b"checksum/%s\n" % hashlib.md5(body, usedforsecurity=False).hexdigest().encode()


@pytest.fixture
def master(tmp_path: Path) -> Path:
    """The disk of a metaserver: two images, three logs, the last of which is being written."""
    for name in ("checkpoint", "logs"):
        (tmp_path / name).mkdir()
    for log in (1, 3):
        (tmp_path / "checkpoint" / f"chkpt.1.{log}.{log}").write_bytes(sealed(image_bytes(log)))
    for log in (1, 2, 3):
        body = block(2 * log - 1) + block(2 * log)
        (tmp_path / "logs" / log_name(log)).write_bytes(body + block(9)[:-4] if log == 3 else sealed(body))
    return tmp_path


def of_master(top: Path, kind: str = "qfs") -> states.State:
    return states.state_of_master(KINDS[kind], top)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_master_that_was_killed_while_it_wrote_has_its_last_whole_state(master: Path) -> None:
    found = of_master(master)
    assert (keys(found), found.operation, found.passed_over) == (["chkpt.1.3.3", log_name(3)], 6, ())


@pytest.mark.parametrize("at", [3, -4])
def test_a_damaged_image_of_a_master_is_passed_over_and_named(master: Path, at: int) -> None:
    flip(master / "checkpoint" / "chkpt.1.3.3", at)
    found = of_master(master)
    assert (found.passed_over, keys(found)) == (("chkpt.1.3.3",), ["chkpt.1.1.1", *map(log_name, (1, 2, 3))])
    assert found.operation == 6
    path = master / "checkpoint" / "chkpt.1.1.1"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(states.StateError, match=r"no image .* to begin with; damaged: chkpt\.1\.3\.3, chkpt\.1\.1\.1"):
        of_master(master)


@pytest.mark.parametrize("log", [1, 2, 3])
def test_a_log_of_a_master_with_a_flipped_bit_is_no_state(master: Path, log: int) -> None:
    if log < 3:
        (master / "checkpoint" / "chkpt.1.3.3").unlink()
    flip(master / "logs" / log_name(log), 2)
    with pytest.raises(states.StateError, match=rf"{log_name(log)} is damaged"):
        of_master(master)


def test_a_log_of_a_master_that_is_cut_off_or_gone_between_others_is_no_state(master: Path) -> None:
    (master / "checkpoint" / "chkpt.1.3.3").unlink()
    path = master / "logs" / log_name(2)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(states.StateError, match=rf"{log_name(2)} is damaged: it has no whole record at byte \d+"):
        of_master(master)
    path.unlink()
    with pytest.raises(states.StateError, match=rf"logs between chkpt\.1\.1\.1 and {log_name(3)} are missing"):
        of_master(master)


def test_the_state_of_a_namenodes_disk_has_no_hole_either(tmp_path: Path) -> None:
    def record(number: int) -> bytes:
        data = struct.pack(">BIQ", 3, 12 + 5, number) + b"mkdir"
        return data + struct.pack(">I", zlib.crc32(data))

    current = tmp_path / "name" / "current"
    current.mkdir(parents=True)
    (current / "VERSION").write_text("blockpoolID=BP-1\n")
    image = current / f"fsimage_{0:019d}"
    image.write_bytes(b"image")
    image.with_name(f"{image.name}.md5").write_text(f"{hashlib.md5(b'image').hexdigest()} *{image.name}\n")
    head, room = bytes.fromhex("ffffffbd00000000"), b"\xff" * 4096
    closed = current / f"edits_{1:019d}-{3:019d}"
    closed.write_bytes(head + record(1) + record(2) + record(3) + room)
    newest = current / f"edits_inprogress_{4:019d}"
    newest.write_bytes(head + record(4) + record(5) + record(6)[:-6] + room)
    assert of_master(tmp_path, "hdfs").operation == 5
    with pytest.MonkeyPatch.context() as patch:  # two more operations were written while it was read
        short = len(head + record(4))
        extent = states._extent
        patch.setattr(states, "_extent", lambda *args: (short, 4) if args[1] == newest else extent(*args))
        assert of_master(tmp_path, "hdfs").operation == 4
    for path, at in ((newest, len(head) + 14), (newest, len(head) + 3), (closed, len(head) + 14), (image, 0)):
        well = path.read_bytes()
        flip(path, at)
        with pytest.raises(states.StateError, match="damaged"):
            of_master(tmp_path, "hdfs")
        path.write_bytes(well)


def archive_of(copy: Path) -> bytes:
    stream = io.BytesIO()
    bundle.write(state(copy, 1004.0), stream)
    return stream.getvalue()


def test_a_state_comes_back_with_every_byte_and_what_was_there_is_kept(copy: Path, tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "logs").mkdir(parents=True)
    (top / "logs" / "mine").write_text("mine")
    for _ in range(2):  # again after a crash at the end
        bundle.lay_out(io.BytesIO(archive_of(copy)), top, "before")
        assert (top / "checkpoint" / "chkpt.1.1.1").read_bytes() == image_bytes(1)
        assert (top / "logs" / log_name(2)).read_bytes() == block(3) + block(4)
        assert not (top / "logs" / log_name(3)).exists()
        assert [(top / name).stat().st_mode & 0o777 for name in ("checkpoint", "logs")] == [0o750, 0o750]
    assert (top / "before" / "1" / "logs" / "mine").read_text() == "mine"
    assert sorted(path.name for path in top.iterdir()) == ["before", "checkpoint", "logs"]


def test_a_broken_off_beginning_does_not_stand_in_the_way(copy: Path, tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / bundle.ARRIVING / "made" / "checkpoint").mkdir(parents=True)
    (top / "checkpoint").mkdir()
    bundle.lay_out(io.BytesIO(archive_of(copy)), top, "before")
    assert (top / "checkpoint" / "latest").samefile(top / "checkpoint" / "chkpt.1.1.1")
    assert not (top / "before").exists(), "an empty directory is nothing to keep"


def test_any_changed_byte_of_a_file_is_found_and_nothing_is_touched(copy: Path, tmp_path: Path) -> None:
    whole, top = archive_of(copy), tmp_path / "top"
    (top / "checkpoint").mkdir(parents=True)
    (top / "checkpoint" / "mine").write_text("mine")
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        spans = [(one.offset_data, one.size) for one in archive.getmembers()]
    chance = random.Random(7)
    for begin, size in spans[1:]:
        at = begin + chance.randrange(size)
        with pytest.raises(states.StateError, match="its checksum is another one"):
            bundle.lay_out(io.BytesIO(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]), top, "before")
        assert (top / "checkpoint" / "mine").is_file()


@pytest.mark.parametrize("cut", [0, 100, 511, 3000, -1024, -11000])
def test_an_archive_that_is_cut_off_is_refused(copy: Path, tmp_path: Path, cut: int) -> None:
    whole = archive_of(copy)
    (tmp_path / "top").mkdir()
    end = cut if cut >= 0 else len(whole.rstrip(b"\0")) + cut + 512
    with pytest.raises(states.StateError):
        bundle.read(io.BytesIO(whole[: max(0, end)]), tmp_path / "top")


def made(index: dict[str, Any], members: list[tuple[str, bytes]], **kind: Any) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in [("state.json", json.dumps(index).encode()), *members]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            if name in kind:
                member.type = kind[name]
            archive.addfile(member, io.BytesIO(data))
    stream.seek(0)
    return stream


INDEX: dict[str, Any] = {"schema": 1, "kind": "qfs", "identity": FSID, "at": 1.0, "pieces": [], "notes": []}


@pytest.mark.parametrize(
    "index",
    [
        {**INDEX, "schema": 2},
        {**INDEX, "kind": "ext4"},
        {**INDEX, "pieces": [["../../etc/passwd", 1, "0" * 64]]},
        {**INDEX, "pieces": [["passwd", 1, "0" * 64]]},
        {**INDEX, "pieces": [["chkpt.1.1.1", -1, "0" * 64]]},
        {**INDEX, "pieces": [["chkpt.1.1.1", 1, "0"]]},
        {**INDEX, "notes": [["VERSION", 1 << 20, "0" * 64]]},
        {**INDEX, "pieces": 3},
        {**INDEX, "pieces": [["chkpt.1.1.1", 1, "0" * 64]]},
        {key: INDEX[key] for key in INDEX if key != "notes"},
        [],
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, index: Any) -> None:
    with pytest.raises(states.StateError):
        bundle.read(made(index, []), tmp_path)


@pytest.mark.parametrize("name", ["pieces/../../x", "/etc/x", "pieces/chkpt.1.1.1", "notes/VERSION"])
def test_a_member_that_the_index_does_not_name_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(states.StateError, match="is not what"):
        bundle.read(made(INDEX, [(name, b"x")]), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"] and not any(folder.iterdir())


def test_the_command_lists_and_says_what_is_missing(copy: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["", "list", str(copy)]) == 0
    (row,) = json.loads(capsys.readouterr().out)["histories"]
    keeper = Store(copy, KINDS).history
    assert keeper is not None and row["mark"] == keeper.mark()
    assert (row["first"], row["last"], row["moments"], row["images"], row["operation"]) == (1001, 1006, 6, 2, 6)
    (tmp_path / "none").mkdir()
    assert main(["", "take", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == "there is no copy\n"
    assert main(["", "take", str(tmp_path / "absent")]) == 74
    for words in ([], ["take"], ["take", str(copy), "nan"], ["take-master", "ext4", "/"], ["lay-out", "/x", "../y"]):
        assert main(["", *words]) == 64, words


STEP = 1 << 50


@pytest.mark.parametrize(("last", "beyond", "number"), [(77, 100, 100), (100, 100, 100 + STEP), (200, 100, 200 + STEP)])
def test_new_blocks_have_numbers_that_none_had_also_where_the_clock_was_put_back_between_two_restores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int, beyond: int, number: int
) -> None:
    image, made = tmp_path / "image", tmp_path / "made"
    image.write_bytes(sealed(image_bytes(1) + b"chunkId/%d\n" % last))
    assert qfs._copy_beyond(image, made, beyond)
    assert made.read_bytes() == sealed(image_bytes(1) + b"chunkId/%d\n" % number)
    assert not qfs._copy_beyond(image, tmp_path / "other", 0), "as it is"

    log, head = tmp_path / "edits", bytes.fromhex("ffffffbd00000000")
    log.write_bytes(head)
    monkeypatch.setattr(hdfs, "_last_block", lambda _image: last)
    hdfs._give_beyond(Path(f"fsimage_{7:019d}"), [log], log, beyond)
    code, _length, operation = struct.unpack_from(">BIQ", log.read_bytes(), len(head))
    assert (code, operation, struct.unpack_from(">q", log.read_bytes(), len(head) + 13)[0]) == (32, 8, number)
    written = log.read_bytes()
    hdfs._give_beyond(Path(f"fsimage_{7:019d}"), [log], log, 0)
    assert log.read_bytes() == written

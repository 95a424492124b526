"""A keeper's daily check: every changed byte of what it has is found, told, and seen in `invoke status`."""

from __future__ import annotations

import hashlib
import os
import random
import struct
import threading
import time
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.plan.storage.health import parse_memory
from sparkqfs_runtime.metadata import checking
from sparkqfs_runtime.metadata.checking import Checker, check, to_check
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.store import Store

QFS, HDFS = KINDS["qfs"], KINDS["hdfs"]


def qfs_log(blocks: int, *, closed: bool) -> bytes:
    """With the checksums that the metaserver writes."""
    text = b""
    for number in range(blocks):
        head = b"version/1\nchecksum/last-line\n" if number == 0 else b"a/MD=N=d%d;z=0 0 %x;\n" % (number, number)
        head += b"c/0 0 0/4/0/0/0 0 %x/0/0/" % number
        text += head + b"%x\n" % zlib.adler32((b"\n" if number else b"") + head)
    if closed:
        text += b"time/2026-01-01T00:00:00Z\n"
        text += b"checksum/%s\n" % hashlib.md5(text, usedforsecurity=False).hexdigest().encode()
    return text


def hdfs_log(records: int) -> bytes:
    text = struct.pack(">ii", -66, 0)
    for number in range(records):
        body = struct.pack(">BIQ", 3, 8 + 4 + 5, number + 1) + b"hello"
        text += body + struct.pack(">I", zlib.crc32(body))
    return text


def a_store(top: Path, kind: Any, image: str, log: str, data: bytes) -> Store:
    top.mkdir()
    store = Store(top, KINDS)
    store.begin(kind.name, "12345", "")
    body = b"checkpoint/1\nfilesysteminfo/fsid/12345/1\nlog/logs/" + log.encode() + b"\n"
    store.append(image, 0, body)
    store.finish(image, len(body), hashlib.sha256(body).hexdigest())
    store.append(log, 0, data)
    store.sync()
    return store


@pytest.fixture(params=["qfs", "qfs, closed", "hdfs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "hdfs":
        return a_store(tmp_path / "copies", HDFS, f"fsimage_{0:019d}", f"edits_{1:019d}", hdfs_log(30))
    data = qfs_log(30, closed="closed" in request.param)
    return a_store(tmp_path / "copies", QFS, "chkpt.0.0.0", "log.0.0.0.0", data)


def damaged(store: Store, *, is_held: bool = True) -> tuple[str, ...]:
    assert store.history is not None
    kind, files = KINDS[store.history.kind], to_check(store)
    return check(kind, files, lambda _count: None, time.time, lambda _key: is_held).damaged


@pytest.mark.parametrize("again", [False, True])
def test_every_changed_byte_is_found_also_by_a_keeper_that_was_started_again(store: Store, again: bool) -> None:
    assert damaged(store) == ()
    assert store.history is not None
    chance = random.Random(3)
    for key, held in store.history.held.items():
        path = store.history.path / key
        whole = path.read_bytes()
        # No checksum guards the first four bytes of HDFS's logs, the number of its layout.
        for place in {4, held.size - 2, *(chance.randrange(4, held.size) for _ in range(40))}:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << chance.randrange(8))]) + whole[place + 1 :])
            if again:  # the checksum of its log's bytes is not known any more
                held.digest = None
            (text,) = damaged(store)
            assert text.startswith(key), (place, text)
        path.write_bytes(whole[:-3])
        (text,) = damaged(store)
        assert text.startswith(key)
        path.write_bytes(whole)
    assert damaged(store) == ()


def test_what_was_thinned_out_meanwhile_is_no_damage(store: Store) -> None:
    for file in to_check(store):
        file.path.unlink()
    assert damaged(store, is_held=False) == ()


def test_what_is_gone_from_the_disk_is_damage_and_an_image_is_asked_for_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_pause", lambda _count: None)
    files = {file.key: file for file in to_check(store)}
    for file in files.values():
        file.path.unlink()
    checker = Checker(store, threading.Lock(), 0)
    checker.look()
    assert checker.verdict is not None
    assert set(checker.verdict.damaged) == {f"{key}: it is gone" for key in files}
    assert [key for key, _ in store.hello()["images"]] == [], "the sender sends it again"
    assert [key for key, _, _ in store.hello()["logs"]] == [key for key, file in files.items() if file.is_log]


@pytest.mark.parametrize("flipped", ["middle", "last record"])
def test_a_flipped_bit_in_the_newest_log_cuts_nothing_off_and_is_found_after_a_start(
    store: Store, flipped: str
) -> None:
    assert store.history is not None
    key, held = store.history.logs[-1]
    path, size = store.history.path / key, held.size
    data = bytearray(path.read_bytes())
    data[size // 2 if flipped == "middle" else size - 2] ^= 0x80
    path.write_bytes(data)
    again = Store(store.top, KINDS)
    assert path.read_bytes() == data and again.hello()["reached"] == size
    (text,) = damaged(again)
    assert text.startswith(f"{key}: ")


def test_what_a_power_cut_left_behind_the_last_moment_is_cut_off(store: Store) -> None:
    assert store.history is not None
    key, held = store.history.logs[-1]
    path, size = store.history.path / key, held.size
    with path.open("ab") as file:
        file.write(b"half a record")
    again = Store(store.top, KINDS)
    assert path.stat().st_size == size and damaged(again) == ()


def test_the_result_is_kept_and_the_next_check_is_on_its_hour(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_pause", lambda _count: None)
    now = [1_000_000 * 86400.0 + 7200]
    checker = Checker(store, threading.Lock(), 3 * 3600, lambda: now[0])
    assert checker.told() is None and checker.wait_s() == checking.SOON_S
    checker.look()
    assert checker.wait_s() == 3600
    now[0] += 3600
    assert checker.wait_s() == 86400, "not twice"
    assert checker.told() == {"age_s": 3600, "depth": 1, "ok": True, "damaged": []}
    again = Checker(store, threading.Lock(), 3 * 3600, lambda: now[0])
    assert again.told() == checker.told()
    now[0] += 2 * 86400
    assert again.wait_s() == checking.SOON_S, "the machine was off for two days"


def test_damage_that_was_put_right_is_not_told_for_the_rest_of_the_day(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_pause", lambda _count: None)
    checker = Checker(store, threading.Lock(), 3 * 3600, lambda: 1_000_000 * 86400.0)
    file = next(one.path for one in to_check(store) if not one.is_log)
    whole = file.read_bytes()
    file.write_bytes(b"x" * len(whole))
    checker.look()
    assert checker.verdict is not None and checker.verdict.damaged and checker.wait_s() == checking.SOON_S
    checker.verdict = replace(checker.verdict, took_s=900.0)
    assert checker.wait_s() == 9000, "a large copy is not read all the time"
    file.write_bytes(whole)
    checker.look()
    assert (checker.told() or {})["ok"] and checker.wait_s() == 3 * 3600


def test_what_a_keeper_tells_reaches_the_facts_of_status() -> None:
    copy = {"node": "node2", "age_s": 1.0, "up_s": 9.0, "verdict": "continues", "mark": "m", "error": ""}
    told = {"age_s": 60.0, "depth": 1, "ok": False, "damaged": ["chkpt.1: its checksum is another one"]}
    for verified in (told, None):
        memory = parse_memory({"schema": 1, "copies": [{**copy, "verified": verified}]})
        assert memory.metadata_copies is not None
        (found,) = memory.metadata_copies
        assert (found.verified is None) == (verified is None)
    bad = parse_memory({"schema": 1, "copies": [{**copy, "verified": told}]}).metadata_copies
    assert bad is not None and bad[0].verified is not None and not bad[0].verified.ok
    assert bad[0].verified.damaged == ("chkpt.1: its checksum is another one",)
    assert replace(bad[0].verified, ok=True).ok


def test_a_check_that_fails_in_an_unforeseen_way_is_made_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checker, looks = Checker(store, threading.Lock(), 0), list[int]()

    class Over(BaseException):
        """The end of the thread."""

    def look() -> None:
        looks.append(1)
        raise RuntimeError("changed size") if len(looks) < 3 else Over

    monkeypatch.setattr(checker, "look", look)
    monkeypatch.setattr(checking, "time", SimpleNamespace(sleep=lambda _seconds: None))
    monkeypatch.setattr(os, "setpriority", lambda *_args: None)
    with pytest.raises(Over):
        checker.run()
    assert len(looks) == 3 and "RuntimeError: changed size" in capsys.readouterr().err

"""Keepers of copies and the start of a storage's master as real processes; the metadata is text as QFS writes it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.sender import Sender, open_link
from sparkqfs_runtime.metadata.store import read_sums
from sparkqfs_runtime.metadata.wire import GREETING, Link, Refused, WireError
from tests.doubles.servers import closed_port
from tests.runtime.container import Container
from tests.runtime.keepers import KEY, Keeping, Metadata, block, keeping, settle

__all__ = ["keeping"]


@pytest.fixture
def container(tmp_path: Path) -> Container:
    made = Container(tmp_path / "master")
    (made.root / "secrets" / "metadata-key").write_bytes(KEY + b"\n")
    return made


@pytest.fixture
def metadata(container: Container) -> Metadata:
    return Metadata(container.mount)


@pytest.fixture
def sender(keeping: Keeping, metadata: Metadata) -> Iterator[Sender]:
    made = Sender(KINDS["qfs"], metadata.top, keeping.keeper, KEY)
    made.every_s = 0.02
    made.start()
    yield made
    made.stopping.set()


def held(keeping: Keeping, key: str, number: int = 1) -> bytes:
    return (keeping.top / f"{number:06d}" / key).read_bytes()


def start_master(container: Container, keeping: Keeping, **environ: str) -> tuple[int | None, str]:
    """(exit code, output) of a start of the storage's master; no code when it came as far as its metaserver."""
    usual = {"SPARKQFS_COPIES": f"127.0.0.1:{keeping.port}=node2", "SPARKQFS_COPIES_DEADLINE_S": "3"}
    process = container.start("qfs-master", **{**usual, **environ})
    end = time.monotonic() + 30
    while process.poll() is None and "metaserver started" not in container.notes():
        assert time.monotonic() < end
        time.sleep(0.02)
    code = process.poll()
    process.send_signal(signal.SIGTERM)  # it ends its daemons
    output, _ = process.communicate(timeout=60)
    return code, output


def test_whole_blocks_are_copied_and_half_a_block_waits(keeping: Keeping, metadata: Metadata, sender: Sender) -> None:
    metadata.write(3)
    settle(sender)
    whole = metadata.newest.read_bytes()
    assert held(keeping, "log.0.0.0.0") == whole
    half = block(4)
    with metadata.newest.open("ab") as file:
        file.write(half[:-9])
    settle(sender)
    assert held(keeping, "log.0.0.0.0") == whole
    with metadata.newest.open("ab") as file:
        file.write(half[-9:])
    settle(sender)
    assert held(keeping, "log.0.0.0.0") == whole + half


def test_new_logs_and_checkpoints_follow_and_a_checkpoint_has_its_checksum(
    keeping: Keeping, metadata: Metadata, sender: Sender
) -> None:
    metadata.write(2)
    settle(sender)
    metadata.log(1, 2)
    metadata.image(1)
    metadata.write(2)
    settle(sender)
    for name in ("log.0.0.0.0", "log.0.0.1.1"):
        assert held(keeping, name) == (metadata.top / "logs" / name).read_bytes()
    image = (metadata.top / "checkpoint" / "chkpt.0.0.1").read_bytes()
    assert held(keeping, "chkpt.0.0.1") == image
    assert read_sums(keeping.top / "000001")["chkpt.0.0.1"] == hashlib.sha256(image).hexdigest()


def test_a_log_behind_one_that_cannot_be_read_whole_makes_no_copy_until_an_image_is_behind_it(
    keeping: Keeping, metadata: Metadata, sender: Sender
) -> None:
    metadata.write(2)
    settle(sender)
    size = metadata.newest.stat().st_size
    with metadata.newest.open("ab") as file:
        file.write(block(3)[:-9])
    metadata.log(1, 3)
    metadata.write()
    end = time.monotonic() + 30
    while "no whole record" not in sender.state.error:
        assert time.monotonic() < end, sender.state
        time.sleep(0.01)
    said = f"log.0.0.0.0 has no whole record at byte {size}, and a log goes on behind it"
    assert said in str(sender.document()["error"])
    assert not (keeping.top / "000001" / "log.0.0.1.1").exists()
    metadata.image(1)
    settle(sender)
    assert held(keeping, "log.0.0.1.1") == metadata.newest.read_bytes()
    assert sender.document()["error"] == ""


def test_an_image_that_is_damaged_on_the_masters_disk_is_not_copied_and_that_is_said(
    keeping: Keeping, metadata: Metadata, sender: Sender
) -> None:
    metadata.write(2)
    settle(sender)
    metadata.log(1, 2)
    image = metadata.top / "checkpoint" / "chkpt.0.0.1"
    part = image.with_name("damaged.tmp")
    part.write_bytes((image.with_name("chkpt.0.0.0")).read_bytes().replace(b"log.0.0.0.0", b"log.0.0.1.1"))
    part.replace(image)
    metadata.write()
    end = time.monotonic() + 30
    while "chkpt.0.0.1 is damaged, and is not copied: it does not end" not in sender.state.error:
        assert time.monotonic() < end, sender.state
        time.sleep(0.01)
    assert held(keeping, "log.0.0.1.1") == metadata.newest.read_bytes(), "the logs are"
    assert not (keeping.top / "000001" / "chkpt.0.0.1").exists()
    metadata.log(2, 3)
    metadata.image(2)
    settle(sender)
    assert sender.document()["error"] == "" and set(read_sums(keeping.top / "000001")) == {"chkpt.0.0.0", "chkpt.0.0.2"}


def test_a_keeper_that_was_killed_goes_on_where_it_was(keeping: Keeping, metadata: Metadata, sender: Sender) -> None:
    metadata.write(50)
    settle(sender)
    keeping.stop()
    metadata.write(50)
    with (keeping.top / "000001" / "log.0.0.0.0").open("ab") as file:
        file.write(b"a/torn by a power cut")
    keeping.start()
    keeping.wait()
    settle(sender)
    assert held(keeping, "log.0.0.0.0") == metadata.newest.read_bytes()
    assert sorted(path.name for path in keeping.top.iterdir()) == ["000001"]


def test_what_the_daily_check_has_found_is_told_to_the_sender_also_after_a_restart(
    keeping: Keeping, metadata: Metadata, sender: Sender
) -> None:
    settle(sender)
    assert sender.document()["verified"] is None, "the first check has not been yet"
    keeping.stop()
    found = {"schema": 1, "at": time.time() - 50, "took_s": 1.0, "bytes": 9, "damaged": ["chkpt.1: it is damaged"]}
    (keeping.top / "verified.json").write_text(json.dumps(found))
    keeping.start()
    keeping.wait()
    settle(sender)
    seen: Any = sender.document()["verified"]
    assert 50 <= seen.pop("age_s") < 100
    assert seen == {"depth": 1, "ok": False, "damaged": ["chkpt.1: it is damaged"]}


def test_a_master_whose_metadata_goes_on_from_the_copy_starts(
    container: Container, keeping: Keeping, metadata: Metadata, sender: Sender
) -> None:
    metadata.write(3)
    settle(sender)
    sender.stopping.set()
    metadata.write(2)  # more than the copy has
    code, output = start_master(container, keeping)
    assert code is None, output


def test_a_master_whose_metadata_is_older_does_not_start_and_says_what_would_be_lost(
    container: Container, keeping: Keeping, metadata: Metadata, sender: Sender
) -> None:
    metadata.write(3)
    before = metadata.newest.read_bytes()
    metadata.write(2)
    settle(sender)
    sender.stopping.set()
    metadata.newest.write_bytes(before)
    code, output = start_master(container, keeping)
    assert code == 78 and "older than its copy on node2" in output, output
    assert "the copy ends with operation 5, here it is 3" in output and "metaserver started" not in container.notes()


def test_other_operations_under_the_same_numbers_are_not_taken_for_the_copys(
    container: Container, keeping: Keeping, metadata: Metadata, sender: Sender
) -> None:
    metadata.write(3)
    settle(sender)
    sender.stopping.set()
    metadata.newest.write_bytes(metadata.newest.read_bytes().replace(b"N=d2", b"N=e2"))
    code, output = start_master(container, keeping)
    assert code == 78, output


def test_nothing_where_the_metadata_was_is_older_too(
    container: Container, keeping: Keeping, metadata: Metadata, sender: Sender
) -> None:
    settle(sender)
    sender.stopping.set()
    for path in (metadata.top / "checkpoint", metadata.top / "logs"):
        for file in path.iterdir():
            file.unlink()
    code, output = start_master(container, keeping)
    assert code == 78 and "here is none" in output, output


def test_with_the_newest_copy_the_older_ones_are_given_up(
    container: Container, keeping: Keeping, metadata: Metadata, sender: Sender, tmp_path: Path
) -> None:
    metadata.write(1)
    before = metadata.newest.read_bytes()
    metadata.write(2)
    settle(sender)
    second = Keeping(tmp_path / "second")
    shutil.copytree(keeping.top, second.top, dirs_exist_ok=True)
    metadata.write(2)
    settle(sender)
    sender.stopping.set()
    metadata.newest.write_bytes(before)
    second.start()
    try:
        second.wait()
        both = f"127.0.0.1:{keeping.port}=node2 127.0.0.1:{second.port}=node3"
        code, output = start_master(container, keeping, SPARKQFS_COPIES=both)
        marks = re.findall(r"its copy on (node\d) \(mark (\w+)\)", output)
        assert code == 78 and [node for node, _ in marks] == ["node3", "node2"], output
        (metadata.top / ".accepted-copies").write_text(marks[0][1] + "\n")
        assert start_master(container, keeping, SPARKQFS_COPIES=both)[0] == 78, "the newer copy was not named"
        (metadata.top / ".accepted-copies").write_text(marks[1][1] + "\n")
        code, output = start_master(container, keeping, SPARKQFS_COPIES=both)
        assert code is None, output
    finally:
        second.stop()


def test_a_master_does_not_start_while_nobody_knows_whether_a_copy_is_newer(
    container: Container, keeping: Keeping, metadata: Metadata
) -> None:
    keeping.stop()
    code, output = start_master(container, keeping)
    assert code == 75 and "is not known: node2 did not answer" in output, output


def test_of_two_keepers_one_that_has_a_copy_is_enough_and_an_empty_one_is_not(
    container: Container, keeping: Keeping, metadata: Metadata, sender: Sender
) -> None:
    two = f"127.0.0.1:{keeping.port}=node2 127.0.0.1:{closed_port()}=node3"
    settle(sender)
    sender.stopping.set()
    code, output = start_master(container, keeping, SPARKQFS_COPIES=two)
    assert code is None and "on node3: ConnectionRefusedError" in output, output


def test_an_empty_keeper_alone_says_nothing_of_the_other(
    container: Container, keeping: Keeping, metadata: Metadata
) -> None:
    two = f"127.0.0.1:{keeping.port}=node2 127.0.0.1:{closed_port()}=node3"
    code, output = start_master(container, keeping, SPARKQFS_COPIES=two)
    assert code == 75, output


def test_nobody_without_the_key_is_told_or_may_write_anything(keeping: Keeping, metadata: Metadata) -> None:
    with pytest.raises(OSError):
        open_link(keeping.keeper, b"another key", 5)
    with socket.create_connection(("127.0.0.1", keeping.port), 5) as connection:
        connection.settimeout(20)
        connection.sendall(GREETING + os.urandom(32) + os.urandom(32))
        answer = b""
        while data := connection.recv(4096):
            answer += data
        assert len(answer) == len(GREETING) + 32, "a number of its own, and nothing else"
    assert list(keeping.top.iterdir()) == []


def test_many_who_say_nothing_do_not_keep_the_sender_out(keeping: Keeping, metadata: Metadata, sender: Sender) -> None:
    idle = [socket.create_connection(("127.0.0.1", keeping.port), 5) for _ in range(60)]
    metadata.write(2)
    settle(sender)
    for connection in idle:
        connection.close()


def test_a_message_that_was_changed_on_the_way_is_not_done() -> None:
    asking, answering = socket.socketpair()
    links: list[Link] = []
    thread = threading.Thread(target=lambda: links.append(Link(answering, KEY, asks=False)))
    thread.start()
    link = Link(asking, KEY, asks=True)
    thread.join(30)
    sent = bytearray()
    link.connection = type("Caught", (), {"sendall": lambda self, data: sent.extend(data)})()
    link.send({"do": "append", "key": "log.0.0.0.0", "offset": 0}, b"one block")
    sent[-40] ^= 1  # in the body, before its code
    asking.sendall(sent)
    with pytest.raises(WireError, match="changed on the way"):
        links[0].receive()
    asking.close()
    answering.close()


@pytest.mark.parametrize(
    "request_", [
        {"do": "append", "key": "../../x", "offset": 0},
        {"do": "append", "key": "about.json", "offset": 0},
        {"do": "append", "key": "log.0.0.0.0", "offset": 5},
        {"do": "append", "key": "log.0.0.0.0", "offset": -1},
        {"do": "finish", "key": "chkpt.0.0.9", "size": 3, "sha256": "0"},
        {"do": "note", "name": "../note"},
        {"do": "begin", "kind": "qfs", "identity": "43", "accepted": ""},
        {"do": "remove"},
    ],
)  # fmt: skip
def test_what_would_harm_a_copy_is_refused(
    request_: dict[str, object], keeping: Keeping, metadata: Metadata, sender: Sender
) -> None:
    settle(sender)
    sender.stopping.set()
    time.sleep(0.1)
    before = {path: path.read_bytes() for path in keeping.container.mount.rglob("*") if path.is_file()}
    link, _ = open_link(keeping.keeper, KEY, 10)
    with link.connection, pytest.raises(Refused):
        link.ask(request_, b"abc")
    assert {path: path.read_bytes() for path in keeping.container.mount.rglob("*") if path.is_file()} == before


def test_a_keeper_refuses_a_disk_that_is_not_mounted(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path)
    (keeping.container.mount / ".cluster-id").unlink()
    process = keeping.start()
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 78 and "is the disk of" in output


def test_a_keeper_stops_when_it_is_told_to_and_does_not_show_its_key(keeping: Keeping) -> None:
    assert keeping.process is not None
    keeping.process.send_signal(signal.SIGTERM)
    output, _ = keeping.process.communicate(timeout=30)
    assert keeping.process.returncode == 0 and "stopping" in output and KEY.decode() not in output

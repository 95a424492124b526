"""Our Hadoop file system against upstream's, on a real metaserver and chunkservers, while the files are disturbed."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import (
    CHUNK,
    CHUNK_HEADER,
    NODE,
    SIZE,
    Driver,
    Kit,
    Reader,
    flip,
    put,
)

HEADER_FIELDS = 4_400
FILE_SYSTEM_ID = 4_156
FILE_SYSTEM_MARK = b"\0QFSFsId\xe4\x5e\x23\x0e\x34\x9a\x07\xce"
"""What is before the id in the header of a chunk file: QFS 2.2.8, src/cc/chunk/Chunk.h."""


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 262_144, 5_000_001])
def test_every_kind_of_read_gives_what_upstream_gives(reader: Reader, size: int) -> None:
    reader("write", f"/size{size}", size, size, 3)
    reader.open(f"/size{size}")
    reader.same(f"/size{size}", 600, size)
    assert "differences 0" in reader("scan", f"/size{size}")
    assert reader("close", f"/size{size}").split()[0] == "0"


def test_reads_over_chunk_borders_and_from_four_threads_are_the_same_and_all_local(
    cluster: QfsCluster, reader: Reader
) -> None:
    reader("write", "/big", 150_000_007, 2, 3)
    assert [len(hosts) for hosts in cluster.locations("/big", 150_000_007) if NODE in hosts] == [3, 3, 3]
    reader.open("/big")
    before = int(reader("statistics"))
    gained = reader.during(lambda: reader.same("/big", 6_000, 4))
    assert set(gained) == {"local"}
    assert int(reader("statistics")) - before == gained["local"]
    assert "differences 0" in reader("scan", "/big")
    assert "differences 0" in reader("threads", "/big", 60)
    assert reader("close", "/big").split()[0] == "0"


def test_a_copy_elsewhere_is_read_through_upstream_and_counted_as_remote(cluster: QfsCluster, reader: Reader) -> None:
    for number in range(20):
        reader("write", f"/one{number}", SIZE, 1, 1)
        if NODE not in cluster.locations(f"/one{number}", SIZE)[-1]:
            break
    reader.open(f"/one{number}")
    (owner,) = cluster.locations(f"/one{number}", SIZE)[-1]
    before = reader.sources().get(owner, 0)
    gained = reader.during(lambda: reader.same(f"/one{number}", 300, 1))
    assert set(gained) == {"remote"}
    assert reader.sources()[owner] - before == gained["remote"]


def test_a_file_keeps_its_length_while_it_is_appended_to(reader: Reader) -> None:
    reader("write", "/append", SIZE, 1, 3)
    reader.open("/append")
    reader.same("/append", 50, 1)
    reader("append", "/append", 700_000, 9)
    reader.same("/append", 300, 2)
    reader.open("/append")
    reader.same("/append", 300, 3, limit=1_500_000)


@pytest.mark.parametrize("change", ["write {} 3000000 2 3", "write {} 1000000 2 2", "delete {}"])
@pytest.mark.parametrize("reads_before", [0, 50])
def test_an_open_file_that_is_replaced_or_deleted_reads_as_upstream_reads_it(
    reader: Reader, change: str, reads_before: int
) -> None:
    path = f"/changed{reads_before}{change.replace(' ', '-').replace('{}', '')}"
    reader("write", path, SIZE, 1, 3)
    reader.open(path)
    reader.same(path, reads_before, 1)
    reader(*change.format(path).split())
    reader.same(path, 200, 2)
    if "write" in change:
        reader.open(path)
        reader.same(path, 200, 3)


@pytest.mark.parametrize(
    ("reason", "damage"),
    [
        ("CHECKSUM", lambda file: flip(file, CHUNK_HEADER + 1_000_000)),
        ("HEADER", lambda file: flip(file, 100)),
        ("SHORT", lambda file: os.truncate(file, CHUNK_HEADER + 2_000_000)),
        ("HEADER", lambda file: os.truncate(file, 1_000)),
        ("MISSING", lambda file: file.unlink()),
    ],
)
def test_a_damaged_replica_is_seen_and_left_to_upstream(
    cluster: QfsCluster, reader: Reader, reason: str, damage: Callable[[Path], None]
) -> None:
    for _ in range(3):  # when upstream reads the damaged replica first, the chunkserver takes it away
        path = f"/{reason}{time.monotonic_ns()}"
        damage(put(cluster, reader, path))
        reader.open(path)
        gained = reader.during(functools.partial(reader.same, path, 400, 1))
        if reason in gained:
            break
    assert gained.get(reason, 0) >= 1, gained
    assert gained["fallback"] > 0
    assert reader.sources()["127.0.0.2,127.0.0.3,127.0.0.4"] >= gained["fallback"]
    assert "differences 0" in reader("scan", path)


@pytest.mark.parametrize(("change", "gained"), [(1, {"HEADER": 1, "fallback": 1000}), (0, {"local": 1000})])
def test_a_chunk_of_another_file_system_is_not_read_but_one_that_does_not_say_is(
    cluster: QfsCluster, reader: Reader, change: int, gained: dict[str, int]
) -> None:
    """As on a disk that comes from another cluster; QFS, too, takes a chunk that does not say."""
    file = put(cluster, reader, f"/foreign{change}")
    header = bytearray(file.read_bytes()[:HEADER_FIELDS])
    assert header[FILE_SYSTEM_ID - 16 : FILE_SYSTEM_ID] == FILE_SYSTEM_MARK
    if change:
        header[FILE_SYSTEM_ID] ^= change
    else:
        header[FILE_SYSTEM_ID - 16 : FILE_SYSTEM_ID + 8] = bytes(24)
    with file.open("r+b") as chunk:
        chunk.write(header + zlib.adler32(header).to_bytes(8, "little"))
    reader.open(f"/foreign{change}")
    assert reader.during(lambda: reader("first", f"/foreign{change}")) == gained
    reader.same(f"/foreign{change}", 100, 1)


def test_damage_after_the_chunk_was_opened_is_seen_too(cluster: QfsCluster, reader: Reader) -> None:
    file = put(cluster, reader, "/later")
    reader.open("/later")
    reader.same("/later", 50, 1)
    for block in range(0, SIZE, 65_536):
        flip(file, CHUNK_HEADER + block)
    gained = reader.during(lambda: reader.same("/later", 200, 2))
    assert gained.keys() & {"CHECKSUM", "CHANGED"}


def test_a_chunk_file_that_vanishes_is_left_to_upstream(cluster: QfsCluster, reader: Reader) -> None:
    file = put(cluster, reader, "/vanish")
    reader.open("/vanish")
    reader.same("/vanish", 50, 1)
    file.unlink()
    assert reader.during(lambda: reader.same("/vanish", 200, 2))["CHANGED"] == 1


def test_a_chunk_in_two_directories_is_left_to_upstream(cluster: QfsCluster, reader: Reader) -> None:
    file = put(cluster, reader, "/twice")
    other = next(path for path in cluster.chunk_dirs(NODE) if path != file.parent)
    shutil.copy(file, other)
    reader.open("/twice")
    assert reader.during(lambda: reader.same("/twice", 200, 1))["DUPLICATE"] == 1
    (other / file.name).unlink()


def test_a_striped_file_is_upstreams(cluster: QfsCluster, reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(os.urandom(1_000_000))
    cluster.run("-D", "fs.createParams=1,6,3,65536,2", "-put", str(tmp_path / "blob"), "/striped")
    gained = reader.during(lambda: reader("open", "/striped", "/striped"))
    assert gained == {"STRIPED": 1}
    before = int(reader("statistics"))
    gained = reader.during(lambda: reader.same("/striped", 200, 1))
    assert set(gained) == {"fallback"}
    assert reader.sources()["unknown"] >= gained["fallback"]
    # Upstream takes one off for each read at the end.
    assert gained["fallback"] - 200 <= int(reader("statistics")) - before <= gained["fallback"]
    assert "differences 0" in reader("scan", "/striped")
    assert reader("close", "/striped").split()[0] == "0"
    put(cluster, reader, "/plain")
    assert (reader("striped", "/striped"), reader("striped", "/plain")) == ("true", "false")


def test_a_hole_is_upstreams(reader: Reader) -> None:
    reader("sparse", "/sparse")
    reader.open("/sparse")
    assert reader.during(lambda: reader.same("/sparse", 20, 1, limit=20_000_000))["HOLE"] == 1


def test_a_missing_path_and_a_directory_open_as_upstream_opens_them(reader: Reader) -> None:
    ours, upstreams = reader("open", "/no/such", "missing").split(" | ")
    assert ours == upstreams
    assert ours.startswith("java.io.FileNotFoundException")
    assert reader("open", "/", "directory") == "FallbackInputStream | QFSInputStream"


def test_a_directory_that_another_client_has_made_anew_is_written_to_at_once(
    cluster: QfsCluster, reader: Reader
) -> None:
    """As when one job after the other appends to a table: the driver removes `_temporary`, executors remember it."""
    for number in range(3):
        reader("write", f"/anew/_temporary/0/task-{number}/file", 1000, number, 1)
        cluster.run("-rmr", "-skipTrash", "/anew/_temporary")
        cluster.run("-mkdir", "/anew/_temporary/0")


def test_a_file_that_its_writer_holds_open_reads_as_upstream_reads_it(reader: Reader) -> None:
    path = "/held"
    reader("hold", path, CHUNK + 1_500_000, 3)
    reader.open(path)
    # The second chunk is being written: QFS's client waits for minutes there, now and then.
    assert reader.during(lambda: reader.same(path, 100, 1, limit=CHUNK)).keys() & {"local", "fallback"}
    reader("release", path)
    reader.open(path)
    assert set(reader.during(lambda: reader.same(path, 200, 3))) == {"local"}


def test_a_replica_that_comes_and_goes_is_followed(kit: Kit, tmp_path: Path) -> None:
    with QfsCluster(kit.qfs_home, tmp_path / "qfs") as cluster:
        reader = Reader(kit, cluster)
        try:
            cluster.stop_server(NODE)
            cluster.wait_for_servers(2)
            reader("write", "/comes", SIZE, 1, 2)
            cluster.start_server(NODE)
            cluster.wait_for_servers(3)
            reader.open("/comes")
            assert set(reader.during(lambda: reader.same("/comes", 100, 1))) == {"remote"}
            reader("copies", "/comes", 3)
            cluster.wait(lambda: cluster.chunk_files(NODE), "copy on the reading node")
            cluster.wait(lambda: "local" in reader.during(lambda: reader("first", "/comes")), "local read")
            reader.open("/comes")
            assert set(reader.during(lambda: reader.same("/comes", 100, 2))) == {"local"}
            for address in cluster.addresses[1:]:  # the copy here is then the only one
                cluster.stop_server(address)
            assert reader.during(lambda: reader("first", "/comes")) == {"local": 1000}
            for address in cluster.addresses[1:]:
                cluster.start_server(address)
            cluster.wait_for_servers(3)
            cluster.stop_server(NODE)
            cluster.wait_for_servers(2)
            time.sleep(5.5)
            reader.same("/comes", 100, 3)
        finally:
            reader.close()


def test_reads_go_on_while_the_metaserver_restarts(kit: Kit, tmp_path: Path) -> None:
    with QfsCluster(kit.qfs_home, tmp_path / "qfs") as cluster:
        reader = Reader(kit, cluster)
        try:
            put(cluster, reader, "/restart")
            reader.open("/restart")
            reader.same("/restart", 50, 1)
            restart = threading.Thread(target=cluster.restart_meta)
            restart.start()
            for seed in range(5):
                reader.same("/restart", 100, seed)
            restart.join()
            cluster.wait_for_servers(3)
            time.sleep(5.5)
            reader.open("/restart")
            assert set(reader.during(lambda: reader.same("/restart", 100, 9))) == {"local"}
        finally:
            reader.close()


def test_a_silent_metaserver_is_not_waited_for_long(cluster: QfsCluster, reader: Reader) -> None:
    reader("write", "/silent", SIZE, 1, 3)
    reader.open("/silent")
    meta = cluster.processes["meta"]
    meta.send_signal(signal.SIGSTOP)
    awake = threading.Timer(5.0, meta.send_signal, (signal.SIGCONT,))
    awake.start()
    assert reader.during(lambda: reader.same("/silent", 100, 1))["METASERVER"] >= 1
    awake.join()


def test_nobody_reads_more_than_qfs_lets_them(kit: Kit, cluster: QfsCluster, reader: Reader) -> None:
    reader("write", "/private", SIZE, 1, 3)
    cluster.run("-chmod", "0600", "/private")
    stranger = Reader(kit, cluster, user="4711")
    try:
        ours, upstreams = stranger("open", "/private", "x").split(" | ")
        assert ours == upstreams
        assert "ermission denied" in ours
        cluster.run("-chmod", "0644", "/private")
        stranger.open("/private")
        stranger.same("/private", 100, 1)
    finally:
        stranger.close()


def test_nobody_reads_through_a_directory_that_is_not_theirs(kit: Kit, cluster: QfsCluster, reader: Reader) -> None:
    cluster.run("-mkdir", "/closed")
    reader("write", "/closed/open", SIZE, 1, 3)
    cluster.run("-chmod", "0644", "/closed/open")
    cluster.run("-chmod", "0700", "/closed")
    stranger = Reader(kit, cluster, user="4711")
    try:
        ours, upstreams = stranger("open", "/closed/open", "x").split(" | ")
        assert ours == upstreams
        assert "ermission denied" in ours
        assert stranger.counters() == {"local": 0, "remote": 0, "fallback": 0}
    finally:
        stranger.close()


def test_nobody_reads_a_file_that_took_the_place_of_theirs_for_a_moment(
    kit: Kit, cluster: QfsCluster, reader: Reader
) -> None:
    reader("write", "/theirs", SIZE, 1, 3)
    put(cluster, reader, "/not-theirs")
    reader("write", "/not-theirs", SIZE, 2, 3)
    stranger = Reader(kit, cluster, user="4711")
    try:
        cluster.run("-chmod", "0600", "/not-theirs")
        assert stranger("swapped", "/theirs", "/not-theirs") == "FallbackInputStream true"
        assert stranger.counters()["FILE"] == 1
        cluster.run("-chmod", "0644", "/not-theirs")
        assert stranger("swapped", "/theirs", "/not-theirs") == "LocalReadInputStream false"
    finally:
        stranger.close()


@pytest.mark.parametrize(
    ("mode", "owner", "group", "is_allowed"),
    [
        (0o400, 4711, 1, True),
        (0o077, 4711, 4712, False),
        (0o040, 1, 4712, True),
        (0o404, 1, 4712, False),
        (0o004, 1, 1, True),
        (0o770, 1, 1, False),
    ],
)
def test_rights_are_those_of_the_first_of_owner_group_and_others(
    inside: Driver, mode: int, owner: int, group: int, is_allowed: bool
) -> None:
    assert inside("rights", 4711, 4712, owner, group, mode) == str(is_allowed).lower()
    assert inside("rights", 0, 0, owner, group, mode) == "true"


@pytest.mark.parametrize("copies", [1, 2, 3])
@pytest.mark.parametrize("how", ["write", "in-parent"])
def test_files_get_as_many_copies_as_are_asked_for(cluster: QfsCluster, reader: Reader, copies: int, how: str) -> None:
    path = f"/copies-{how}-{copies}"
    if how == "write":
        reader("write", path, SIZE, 1, copies)
        cluster.wait(lambda: len(cluster.locations(path, SIZE)[-1]) == copies, f"{copies} copies")
    else:
        reader("create", path, copies, how)
    assert reader("status", path).split()[1] == str(copies)


def test_the_setting_is_the_default_for_file_systems_and_file_contexts(reader: Reader) -> None:
    assert reader("create", "/by-default", 0, "default") == "2"
    assert reader("create", "/by-context", 0, "context") == "2 LocalReadInputStream"


def test_a_replica_that_moves_away_is_followed(kit: Kit, tmp_path: Path) -> None:
    with QfsCluster(kit.qfs_home, tmp_path / "qfs") as cluster:
        reader = Reader(kit, cluster)
        try:
            file = put(cluster, reader, "/moved", copies=1)
            reader.open("/moved")
            # Through ours alone: upstream's reader holds a lease, and a leased chunk stays for minutes.
            assert reader.during(lambda: reader("first", "/moved")) == {"local": 1000}
            (file.parent / "evacuate").touch()
            cluster.wait(lambda: not file.exists(), "empty directory", 120)
            reader.same("/moved", 200, 3)
            time.sleep(5.5)
            assert set(reader.during(lambda: reader.same("/moved", 200, 4))) == {"remote"}
        finally:
            reader.close()


def test_the_disk_of_a_chunkserver_that_is_gone_is_not_read_for_long(cluster: QfsCluster, reader: Reader) -> None:
    put(cluster, reader, "/gone", copies=2)
    reader.open("/gone")
    reader.same("/gone", 50, 1)
    cluster.stop_server(NODE, signal.SIGKILL)
    try:
        reader.same("/gone", 100, 2)
        cluster.wait(lambda: cluster.up_servers() == 2, "metaserver that has noticed")
        time.sleep(5.5)
        assert set(reader.during(lambda: reader.same("/gone", 200, 3))) == {"remote"}
    finally:
        cluster.start_server(NODE)
        cluster.wait_for_servers(3)


def test_a_scheduler_is_told_of_each_chunks_own_hosts(cluster: QfsCluster, reader: Reader) -> None:
    for number in range(20):  # until one is not the one before's
        reader("write", f"/four{number}", 4 * CHUNK, 7, 1)
        ours, theirs = told(cluster, reader, f"/four{number}", 4)
        assert ours == theirs
        if theirs[1:] != theirs[:3]:
            return
    raise AssertionError("all chunks of twenty files are on the same node")


def test_a_scheduler_is_told_of_the_hosts_that_have_most_of_the_neighbouring_chunks(
    cluster: QfsCluster, reader: Reader
) -> None:
    reader("write", "/smaller", 3 * CHUNK, 7, 2)
    ours, theirs = told(cluster, reader, "/smaller", 3)
    assert [len(set(block)) for block in theirs] == [2] * 3
    for index, block in enumerate(theirs):
        beside = [theirs[other] for other in (index - 1, index + 1) if 0 <= other < len(theirs)]
        held = {host: sum(host in other for other in beside) for host in block}
        assert sorted(ours[index]) == sorted(host for host in block if held[host] == max(held.values()))


def test_a_scheduler_does_not_send_all_of_a_large_file_to_its_writer(cluster: QfsCluster, reader: Reader) -> None:
    reader("write", "/large", 6 * CHUNK, 7, 2)
    ours, theirs = told(cluster, reader, "/large", 6)
    assert all(set(named) <= set(owners) for named, owners in zip(ours, theirs, strict=True))
    alone = Counter(named[0] for named in ours if len(named) == 1)
    assert max(alone.values()) <= 6 / len({host for owners in theirs for host in owners})


def test_a_part_of_a_file_has_the_hosts_that_it_has_in_the_whole(reader: Reader) -> None:
    size, most = 6 * CHUNK - 1_000, 2**63 - 1
    reader("write", "/parts", size, 7, 2)
    whole = blocks(reader("blocks", "/parts", 0, size).split(" | ")[0])
    assert [(start, length) for start, length, _ in whole] == [
        (at, min(CHUNK, size - at)) for at in range(0, size, CHUNK)
    ]
    for start, length in [(0, most), (5, most), (CHUNK + 7, most), (CHUNK, 1), (3 * CHUNK - 1, 2), (size - 1, CHUNK)]:
        end = min(size, start + length)
        ours, theirs = (blocks(part) for part in reader("blocks", "/parts", start, length).split(" | "))
        assert ours == [
            (max(at, start), min(at + bytes_, end) - max(at, start), hosts)
            for at, bytes_, hosts in whole
            if at < end and at + bytes_ > start
        ]
        if start + length <= most:
            assert [block[:2] for block in ours] == [block[:2] for block in theirs]
    for start, length in [(size, 1), (size + 5, most - size - 5), (0, 0), (7, 0)]:
        empty = reader("blocks", "/parts", start, length).split(" | ")
        assert empty[0] == empty[1] and len(empty) == 2


def blocks(text: str) -> list[tuple[int, int, set[str]]]:
    """Offset, length and hosts, which the metaserver names in any order."""
    found = [re.fullmatch(r"(\d+)\+(\d+):(.*)", word) for word in text.split()]
    return [(int(match[1]), int(match[2]), set(match[3].split(","))) for match in found if match]


def told(cluster: QfsCluster, reader: Reader, path: str, chunks: int) -> tuple[list[list[str]], list[list[str]]]:
    """The hosts of each chunk, from our file system and from the metaserver."""
    ours = [block.split(",") for block in reader("hosts", path).split(" | ")[0].split()]
    return ours, cluster.locations(path, chunks * CHUNK)[-chunks:]


DAMAGES: dict[str, Callable[[Path], None]] = {
    "CHECKSUM": lambda file: flip(file, CHUNK_HEADER + 1_000_000),
    "HEADER": lambda file: flip(file, 100),
    "SHORT": lambda file: os.truncate(file, CHUNK_HEADER + 2_000_000),
}


def same_or_neither(reader: Reader, name: str) -> None:
    """Both readers give the same bytes. In the moment in which a copy is taken away both may fail: then once more."""
    for _ in range(5):
        answer = reader("random", name, 20, 1, 300_000)
        if "differences 0" in answer:
            return
        assert re.search(r"ours java\.\S+ upstream java\.", answer), answer
        time.sleep(0.5)
    raise AssertionError(answer)


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_replica_is_read_by_its_chunkserver_reported_and_made_again(
    cluster: QfsCluster, reader: Reader, reason: str
) -> None:
    """Upstream reads any copy: of five files each, one would stay damaged."""
    files = [put(cluster, reader, f"/healed{reason}{number}") for number in range(5)]
    for file in files:
        DAMAGES[reason](file)
    damaged = {file: file.read_bytes() for file in files}
    for number in range(len(files)):
        reader("open", f"/healed{reason}{number}", "heal")
        same_or_neither(reader, "heal")

    def is_gone() -> bool:  # the copy that is made instead may get the very name of the damaged one
        return not any(file.exists() and file.read_bytes() == damaged[file] for file in files)

    cluster.wait(is_gone, "end of the damaged copies", 30)
    ids = {file.name.split(".")[1] for file in files}

    def again() -> bool:
        return all(
            sum(id in {file.name.split(".")[1] for file in cluster.chunk_files(node)} for node in cluster.addresses)
            == 3
            for id in ids
        )

    cluster.wait(again, "third copies", 60)

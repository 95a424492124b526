"""Places and patterns as they are written, and files that change or are left behind on this computer."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from sparkqfs.errors import ConfigError, ExitCode, RefusedError
from sparkqfs.files import local
from sparkqfs.files.places import Places
from sparkqfs.files.storage import LocalError


def test_a_file_that_changes_while_it_is_read_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"x" * 600_000)
    reading = local.Reading(path, lambda _size: None)
    blocks = reading.blocks()
    next(blocks)
    with path.open("ab") as file:
        file.write(b"more")
    list(blocks)
    with pytest.raises(LocalError, match="changed"):
        reading.finish()


def test_a_stream_that_has_nothing_for_a_while_is_read_to_its_end_though_it_was_told_not_to_wait() -> None:
    read, write = os.pipe()
    os.set_blocking(read, False)

    def feed() -> None:
        for _ in range(3):
            time.sleep(0.05)
            os.write(write, b"some")
        os.close(write)

    thread = threading.Thread(target=feed)
    thread.start()
    assert b"".join(local.Reading(read, lambda _size: None).blocks()) == b"somesomesome"
    thread.join()
    os.close(read)


def test_a_name_that_begins_with_a_tilde_is_a_name_where_there_is_no_such_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "~$report.xlsx").write_bytes(b"one")
    monkeypatch.chdir(tmp_path)
    assert local.sources("~$report.xlsx") == [Path("~$report.xlsx")]
    with pytest.raises(ConfigError, match="is not there"):
        local.sources("~nobody-of-this-name/x")


def test_of_a_killed_get_nothing_stays_that_nobody_writes(tmp_path: Path) -> None:
    (tmp_path / ".sparkqfs-part-dead").write_bytes(b"half")
    alive = local.Part(tmp_path / "target", lambda _size: None)
    assert local.sweep(tmp_path) == 1
    alive.write(b"whole")
    alive.finish(hashlib.sha256(b"whole").hexdigest(), overwrite=False)
    alive.close()
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


PLACES = Places(root="qfs://qfs-master:20000", shared="file:///data/shared", user="spark")


@pytest.mark.parametrize(
    ("written", "uri"),
    [
        ("/user//spark/a b", "qfs://qfs-master:20000/user/spark/a b"),
        ("shared:/x/", "file:///data/shared/x/"),
        ("file:///data/shared/x", "file:///data/shared/x"),
        ("hdfs://other:8020/x", "hdfs://other:8020/x"),
        ("hdfs://other:8020", "hdfs://other:8020/"),
    ],
)
def test_a_place_is_written_as_in_copy(written: str, uri: str) -> None:
    assert PLACES.read(written).uri == uri


@pytest.mark.parametrize("written", ["relative", "", "/a/../b", "shared:x", "hdfs://h/a/../b", "/a\0b", "/\udcff"])
def test_what_names_no_place_is_bad_input(written: str) -> None:
    with pytest.raises(ConfigError):
        PLACES.read(written)


@pytest.mark.parametrize(
    "written", ["file:///etc", "file:///data/sharedx", "file:///data/qfs/chunk", "file://host/data/shared"]
)
def test_a_path_in_the_containers_is_no_place_for_files(written: str) -> None:
    with pytest.raises(ConfigError, match="another place on each machine"):
        PLACES.read(written)


@pytest.mark.parametrize(
    "written",
    ["/", "/user", "/user/", "/tmp", "//tmp//", "/history/spark-events", "/user/spark", "shared:/", "hdfs://other/tmp"],
)
def test_what_the_cluster_needs_is_not_removed(written: str) -> None:
    with pytest.raises(RefusedError) as caught:
        PLACES.check_removable(PLACES.read(written))
    assert caught.value.exit_code == ExitCode.REFUSED


@pytest.mark.parametrize(
    ("pattern", "path", "takes"),
    [
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/.b", False),
        ("/a/.*", "/a/.b", True),
        ("/a/\\.*", "/a/.b", True),
        ("/a/{x,.b}", "/a/.b", True),
        ("/*/b", "/.a/b", False),
        ("/.?/b", "/.a/b", True),
        ("/.a/*", "/.a/b", True),
        ("/{a/b,c}*", "/a/b1", True),
        ("/a/.*", "/a/.sparkqfs-part-1-x", False),
        ("/a/.sparkqfs-part-1-x", "/a/.sparkqfs-part-1-x", True),
        ("/*/", "/a", True),
        ("/", "/", True),
    ],
)
def test_a_pattern_takes_what_a_shells_pattern_takes(pattern: str, path: str, takes: bool) -> None:
    assert PLACES.read(pattern).takes(path) is takes
    assert PLACES.read(f"shared:{pattern}").takes(f"/data/shared{path}") is takes

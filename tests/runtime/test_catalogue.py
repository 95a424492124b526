"""The catalogue of tables outlives its machine: copies of the real metastore's database while it runs, and back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkqfs_runtime.metadata import catalogue
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.states import StateError
from sparkqfs_runtime.metadata.store import Store
from sparkqfs_runtime.names.opening import open_catalogue
from tests.builders.backups import FSID, IMAGE, LOG, PIECES
from tests.doubles.real_metastore import RealMetastore, make_spark_home
from tests.paths import PROGRAMS


@pytest.fixture(scope="module")
def spark_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_spark_home(tmp_path_factory.mktemp("spark"))


@pytest.fixture(scope="module")
def metastore(tmp_path_factory: pytest.TempPathFactory, spark_home: Path) -> Iterator[RealMetastore]:
    made = RealMetastore(tmp_path_factory.mktemp("metastore"), spark_home)
    made.start()
    yield made
    made.kill()


def names(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(table["database"], table["name"]) for table in found["tables"]]


def test_what_was_just_written_is_in_the_copy_that_is_asked_for(metastore: RealMetastore) -> None:
    said = metastore.do(
        "database lab file:///lab",
        "table default books file:///elsewhere/books",
        "table lab books file:///lab/books",
        "partition lab books 1",
        "partition lab books 2",
    )
    assert said == ["ok"] * 5
    found = metastore.tables()
    assert names(found) == [("default", "books"), ("lab", "books")]
    assert found["partitions"] == [{"database": "lab", "name": "books", "count": "2"}]
    assert {one["name"] for one in found["databases"]} == {"default", "lab"}
    assert found["tables"][0]["location"] == "file:/elsewhere/books"
    assert found["tables"][0]["provider"] == "parquet"
    metastore.do("drop lab books")
    assert names(metastore.tables()) == [("default", "books")]


def test_copies_made_while_two_sessions_write_open_and_have_no_half_table(
    metastore: RealMetastore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATH", "SPARK_HOME", "SPARKQFS_RUN_DIR", "SPARK_DAEMON_MEMORY"):
        monkeypatch.setenv(name, metastore.environ[name])
    sessions = [metastore.client(), metastore.client()]
    for number, session in enumerate(sessions):
        assert session.stdin is not None
        session.stdin.write("".join(f"table default t{number}_{one} file:///x/{one}\n" for one in range(25)))
        session.stdin.flush()
    seen: list[int] = []
    while True:
        path = catalogue.fresh(metastore.copies, 60)
        held = tmp_path / f"{len(seen)}.zip"
        held.write_bytes(path.read_bytes())
        seen.append(len(catalogue.contents(held)["tables"]))
        if seen[-1] == 51:
            break
        assert len(seen) < 200
    for session in sessions:
        session.kill()
        session.wait()
    middle = tmp_path / f"{next((n for n, count in enumerate(seen) if 1 < count < 51), len(seen) - 1)}.zip"
    opened = open_catalogue(middle, tmp_path, time.monotonic() + 60)
    assert opened == {"databases": 2, "tables": seen[int(middle.stem)]}


def test_a_copy_whose_pages_are_damaged_does_not_open(
    metastore: RealMetastore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATH", "SPARK_HOME", "SPARKQFS_RUN_DIR", "SPARK_DAEMON_MEMORY"):
        monkeypatch.setenv(name, metastore.environ[name])
    good = catalogue.newest(metastore.copies)
    assert good is not None
    bad = tmp_path / good.name
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for member in source.infolist():
            data = source.read(member)
            if member.filename.startswith("files/seg0/c") and len(data) > 20_000:
                data = data[:9000] + os.urandom(4000) + data[13000:]
            target.writestr(member.filename, data)
    with pytest.raises(StateError, match="catalogue of tables"):
        open_catalogue(bad, tmp_path, time.monotonic() + 60)


def test_a_machine_that_is_lost_with_its_disk_gets_its_tables_back_by_name(metastore: RealMetastore) -> None:
    metastore.do("table default kept file:///elsewhere/kept")
    assert ("default", "kept") in names(metastore.tables())
    metastore.kill()
    shutil.rmtree(metastore.names)
    metastore.names.mkdir()
    newest = catalogue.newest(metastore.copies)
    assert newest is not None
    damaged = metastore.copies / f"catalogue.{int(newest.name.split('.')[1]) + 1}.zip"
    damaged.write_bytes(newest.read_bytes()[:-2000])  # the newest one is not whole: the one before it is taken
    metastore.start()
    assert "is not used" in metastore.said() and "is in its place" in metastore.said()
    assert "kept" in metastore.do("list default")[0].split()
    assert metastore.do("table default later file:///elsewhere/later") == ["ok"]
    assert ("default", "later") in names(metastore.tables())


def test_what_a_restore_puts_back_on_another_machine_has_the_tables_by_name(
    metastore: RealMetastore, spark_home: Path, tmp_path: Path
) -> None:
    """As `invoke restore --to` does it: a keeper's state goes to a new manager, whose metastore starts from it."""
    metastore.do("table default moved file:///elsewhere/moved")
    assert ("default", "moved") in names(metastore.tables())
    newest = catalogue.newest(metastore.copies)
    assert newest is not None
    copies = a_copy_with(newest.name, newest.read_bytes(), tmp_path)
    metastore.kill()
    manager = RealMetastore(tmp_path / "manager", spark_home)
    (tmp_path / "top").mkdir()
    program = [sys.executable, "-I", str(PROGRAMS / "metadata-state")]
    taken = subprocess.run([*program, "take", str(copies)], capture_output=True, check=True).stdout
    put = [*program, "lay-out", str(tmp_path / "top"), "before-1", str(manager.names)]
    said = json.loads(subprocess.run(put, input=taken, capture_output=True, check=True).stdout)
    assert said["tables"] == len(catalogue.contents(newest)["tables"])
    try:
        manager.start()
        assert "made an empty catalogue" not in manager.said()
        assert "moved" in manager.do("list default")[0].split()
        assert manager.do("table default again file:///elsewhere/again") == ["ok"]
    finally:
        manager.kill()


def a_copy_with(key: str, body: bytes, folder: Path) -> Path:
    """A keeper's directory: a small QFS, and a copy of the catalogue."""
    top = folder / "copies"
    top.mkdir()
    kept = Store(top, KINDS)
    kept.begin("qfs", FSID, "")
    for image, data in ((IMAGE, PIECES[IMAGE]), (key, body)):
        kept.append(image, 0, data)
        kept.finish(image, len(data), hashlib.sha256(data).hexdigest())
    text = b"mkdir/1\nc/a/1 1 1/0/0/"
    kept.append(LOG, 0, text + b"%x\n" % zlib.adler32(text))
    kept.sync()
    return top

"""The catalogue of tables goes with the copies of the metadata: to a real keeper, into a state, into its place."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkqfs_runtime.metadata import bundle, catalogue, notebooks, states
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.sender import Sender, open_link
from sparkqfs_runtime.metadata.thinning import Keep
from sparkqfs_runtime.metadata.wire import Refused
from tests.runtime.keepers import KEY, Keeping, Metadata, keeping, settle

__all__ = ["keeping"]


@pytest.fixture
def metadata(tmp_path: Path) -> Metadata:
    return Metadata(tmp_path / "master")


def key_of(number: int) -> str:
    return f"catalogue.{number:013d}.zip"


class Names:
    """The metastore's directory, as the storage's master sees it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.copies = top / "copies"
        self.copies.mkdir(parents=True)

    def make(self, number: int, *tables: str, error: str = "") -> str:
        """A copy that the metastore has made, with tables of these names."""
        key = key_of(number)
        with zipfile.ZipFile(self.copies / key, "w") as archive:
            rows = [{"database": "default", "name": name} for name in tables]
            index = {"schema": 1, "at": float(number), "databases": [{"name": "default"}], "tables": rows}
            archive.writestr("catalogue.json", json.dumps(index))
            archive.writestr("files/service.properties", "derby\n")
            archive.writestr("files/seg0/c10.dat", " ".join(tables))
        self.say(time.time(), key, error)
        return key

    def say(self, at: float, key: str, error: str = "") -> None:
        text = json.dumps({"schema": 1, "at": at, "copy": key, "error": error})
        (self.copies / ".looked").write_text(text)
        (self.copies / ".looked").replace(self.copies / "looked.json")


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names(tmp_path / "names")


@pytest.fixture
def sender(keeping: Keeping, metadata: Metadata, names: Names) -> Iterator[Sender]:
    made = Sender(KINDS["qfs"], metadata.top, keeping.keeper, KEY, names=names.top)
    made.every_s = 0.02
    made.start()
    yield made
    made.stopping.set()


def taken(keeping: Keeping, at: float | None = None) -> states.State:
    return states.state_at(states.histories(keeping.top)[-1], at)


def bundled(state: states.State) -> io.BytesIO:
    stream = io.BytesIO()
    bundle.write(state, stream)
    stream.seek(0)
    return stream


def said(sender: Sender) -> Any:
    return sender.document()["catalogue"]


def test_a_new_copy_is_with_the_keeper_at_once_and_its_age_is_told(
    keeping: Keeping, names: Names, sender: Sender
) -> None:
    settle(sender)
    assert not said(sender)["is_kept"] and "no copy yet" in said(sender)["error"]
    first = names.make(1, "books")
    settle(sender)
    assert (keeping.top / "000001" / first).read_bytes() == (names.copies / first).read_bytes()
    assert said(sender) == {"age_s": pytest.approx(0, abs=20), "is_kept": True, "error": ""}
    names.say(time.time() - 500, first, "the disk is full")
    settle(sender)
    assert said(sender)["age_s"] >= 500 and said(sender)["error"] == "the disk is full"
    second = names.make(2, "books", "more")
    (names.copies / first).unlink()
    settle(sender)
    assert [part.piece.key for part in taken(keeping).parts][-1] == second


def test_a_state_goes_into_its_place_with_its_catalogue_and_what_was_there_is_kept(
    keeping: Keeping, metadata: Metadata, names: Names, sender: Sender, tmp_path: Path
) -> None:
    metadata.write(3)
    names.make(7, "books", "more")
    settle(sender)
    top, place = tmp_path / "top", tmp_path / "place"
    for folder in (top, place / "catalogue"):
        folder.mkdir(parents=True)
    (place / "catalogue" / "old").touch()
    index = bundle.lay_out(bundled(taken(keeping)), top, "before-1", place)
    assert index["tables"] == 2 and index["catalogue"] == {"at": 7.0, "databases": 1, "tables": 2}
    assert (top / "logs" / "log.0.0.0.0").read_bytes() == metadata.newest.read_bytes()
    assert not list(top.rglob("catalogue*")), "nothing of it among the storage's files"
    assert (place / "catalogue" / "seg0" / "c10.dat").read_text() == "books more"
    assert (place / "before-1" / "1" / "catalogue" / "old").exists()


def test_a_state_of_a_time_has_the_catalogue_of_that_time(
    keeping: Keeping, metadata: Metadata, names: Names, sender: Sender
) -> None:
    keys = []
    for number in (1, 2, 3):
        metadata.write(1)
        keys.append(names.make(number, *("t" * number)))
        settle(sender)
    now = time.time()
    for number, key in enumerate(keys):
        os.utime(keeping.top / "000001" / key, (now + 100 * number,) * 2)
    assert [one.piece.key for one in taken(keeping, now + 150).parts][-1] == keys[1]
    assert [one.piece.key for one in taken(keeping).parts][-1] == keys[2]


def test_a_damaged_copy_is_passed_over_and_the_daily_check_names_it(
    keeping: Keeping, names: Names, sender: Sender
) -> None:
    settle(sender)
    names.make(1, "books")
    settle(sender)
    second = names.make(2, "books", "more")
    settle(sender)
    place = keeping.top / "000001" / second
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)
    found = taken(keeping)
    assert found.parts[-1].piece.key == key_of(1) and found.passed_over == (second,)


def test_a_copy_of_an_earlier_version_that_takes_no_catalogue_gets_its_metadata_all_the_same(
    keeping: Keeping, metadata: Metadata, names: Names, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = sender.begin
    monkeypatch.setattr(
        sender, "begin", lambda link, hello: begin(link, {k: v for k, v in hello.items() if k != "catalogues"})
    )
    settle(sender)
    names.make(1, "books")
    metadata.write(2)
    sender.stopping.wait(0.1)
    settle(sender)
    assert (keeping.top / "000001" / "log.0.0.0.0").read_bytes() == metadata.newest.read_bytes()


@pytest.mark.parametrize("name", ["../catalogue.0000000000001.zip", "catalogue.1.zip", "catalogue.0000000000001.zip.x"])
def test_nothing_else_is_taken_for_a_catalogue(name: str, keeping: Keeping, sender: Sender) -> None:
    settle(sender)
    sender.stopping.set()
    time.sleep(0.1)
    link, _ = open_link(keeping.keeper, KEY, 10)
    with link.connection, pytest.raises(Refused):
        link.ask({"do": "append", "key": name, "offset": 0}, b"abc")


@pytest.mark.parametrize("name", ["files/../../x", "/x", "other/x", "files/a/../../../x"])
def test_a_copy_that_reaches_out_of_its_place_is_refused(name: str, names: Names, tmp_path: Path) -> None:
    key = names.make(1)
    with zipfile.ZipFile(names.copies / key, "a") as archive:
        archive.writestr(name, "harm")
    before = sorted(tmp_path.rglob("x"))
    with pytest.raises(catalogue.CatalogueError, match="nothing of a catalogue"):
        catalogue.lay_out(names.copies / key, names.top, "before")
    assert sorted(tmp_path.rglob("x")) == before and not (names.top / "catalogue").exists()


def test_a_copy_without_a_database_leaves_what_is_there(names: Names) -> None:
    (names.top / "catalogue").mkdir()
    (names.top / "catalogue" / "mine").touch()
    path = names.copies / key_of(1)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("files/seg0/c10.dat", "x")
    with pytest.raises(catalogue.CatalogueError, match="no catalogue"):
        catalogue.lay_out(path, names.top, "before")
    assert (names.top / "catalogue" / "mine").exists()


def test_of_many_copies_the_newest_stay_and_one_an_hour_a_day_a_week() -> None:
    day, now = 86_400.0, 1_800_000_000.0
    times = [now - age * 60 for age in range(100 * 24 * 60, 0, -7)]
    stay = sorted(catalogue.kept(times, now, Keep(all=2, daily=14, weekly=60)))
    assert stay[-4:] == list(range(len(times) - 4, len(times)))
    ages = [(now - times[number]) / day for number in stay]
    assert max(ages) <= 60 and 45 <= len([age for age in ages if age <= 2]) <= 54
    assert 12 <= len([age for age in ages if 2 < age <= 14]) <= 15 and 6 <= len([age for age in ages if age > 14]) <= 8
    assert catalogue.kept([], now) == set() and catalogue.kept([5.0], now) == {0}


def test_a_keeper_bounds_what_it_keeps(keeping: Keeping, names: Names, sender: Sender) -> None:
    settle(sender)
    for number in range(1, 12):
        names.make(number, "t")
        settle(sender)
    kept = sorted(path.name for path in (keeping.top / "000001").glob("catalogue.*"))
    assert kept[-4:] == [key_of(number) for number in (8, 9, 10, 11)] and len(kept) <= 5
    digest = hashlib.sha256((keeping.top / "000001" / kept[-1]).read_bytes()).hexdigest()
    assert digest in (keeping.top / "000001" / "SHA256SUMS").read_text()


# --- notebooks ---


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The notebooks' directory; copies of it are in one of the test's."""
    folder = tmp_path / "books"
    monkeypatch.setattr(notebooks, "COPIES", tmp_path / "packed")
    for name in ("mine.ipynb", "team a/Übung.ipynb", "data.csv", ".ipynb_checkpoints/mine.ipynb", ".hidden"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "large.bin").write_bytes(bytes(notebooks.MOST_FILE + 1))
    (folder / "link.ipynb").symlink_to("/etc/passwd")
    return folder


def test_notebooks_go_with_the_metadata_and_come_back_where_they_are_missing(
    keeping: Keeping, metadata: Metadata, sender: Sender, books: Path, tmp_path: Path
) -> None:
    notebooks.Packer(books, tmp_path / "packed").look()
    metadata.write(1)
    settle(sender)
    top, place = tmp_path / "top", tmp_path / "place"
    for folder in (top, place):
        folder.mkdir()
    (place / "mine.ipynb").write_text("newer")
    index = bundle.lay_out(bundled(taken(keeping)), top, "before-1", None, place)
    assert (index["notebooks"], index["tables"]) == (2, None)
    found = {path.relative_to(place).as_posix(): path.read_text() for path in place.rglob("*") if path.is_file()}
    assert found == {"mine.ipynb": "newer", "team a/Übung.ipynb": "team a/Übung.ipynb", "data.csv": "data.csv"}
    assert not list(top.rglob("notebooks*"))


def test_notebooks_are_packed_after_a_change_and_else_not(books: Path, tmp_path: Path) -> None:
    packer = notebooks.Packer(books, tmp_path / "packed")
    packer.look()
    packer.look()
    assert len(list((tmp_path / "packed").iterdir())) == 1
    for number in range(3):
        time.sleep(0.01)
        (books / "mine.ipynb").write_text(f"changed {number}")
        packer.look()
    assert len(list((tmp_path / "packed").iterdir())) == 2


def test_what_is_too_much_is_left_out_and_notebooks_last(books: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "MOST_ALL", 35)
    assert [name for name, _ in notebooks.files_in(books)] == ["mine.ipynb", "team a/Übung.ipynb"]


def test_a_damaged_or_hostile_copy_of_notebooks_harms_nothing(books: Path, tmp_path: Path) -> None:
    bad = tmp_path / "notebooks.0000000000001.zip"
    with zipfile.ZipFile(bad, "w") as archive:
        for name in ("files/../../escaped", "/escaped", "other/x", "files/mine.ipynb", "files/good.ipynb"):
            archive.writestr(name, "x")
    assert notebooks.unpack(bad, books) == 1 and (books / "mine.ipynb").read_text() == "mine.ipynb"
    assert not list(tmp_path.rglob("escaped"))
    bad.write_bytes(b"no archive")
    assert notebooks.unpack(bad, books) == 0


def test_a_file_without_a_place_or_a_name_holds_up_no_other(books: Path, tmp_path: Path) -> None:
    (books / os.fsdecode(b"latin-\xe9.ipynb")).write_text("x")
    (books / "a").mkdir()
    (books / "a" / "b.ipynb").write_text("b")
    notebooks.Packer(books, tmp_path / "packed").look()
    place = tmp_path / "place"
    place.mkdir()
    (place / "a").write_text("a file here")
    assert notebooks.unpack(next((tmp_path / "packed").iterdir()), place) == 3
    assert (place / "a").read_text() == "a file here" and (place / "mine.ipynb").exists()


def test_the_newest_packed_copy_has_the_largest_number_whatever_the_clock_says(
    books: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packer = notebooks.Packer(books, tmp_path / "packed")
    for now, text in ((2e9, "1"), (1.9e9, "22"), (1.8e9, "333")):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        (books / "mine.ipynb").write_text(text)
        packer.look()
    newest = catalogue.newest(tmp_path / "packed", notebooks.KIND)
    assert newest is not None
    with zipfile.ZipFile(newest) as archive:
        assert archive.read("files/mine.ipynb") == b"333"


# --- what must not hold up the metadata ---


def test_what_comes_last_is_the_newest_whatever_its_number_and_the_list_has_no_more_than_is_there(
    keeping: Keeping, names: Names, sender: Sender
) -> None:
    for number in (51, 52, 53, 54, 55, 56, 3):
        names.make(number, f"t{number}")
        settle(sender)
    assert said(sender)["is_kept"] and [part.piece.key for part in taken(keeping).parts][-1] == key_of(3)
    folder = keeping.top / "000001"
    listed = [line.split()[-1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert sorted(name for name in listed if name.startswith("catalogue.")) == sorted(
        path.name for path in folder.glob("catalogue.*")
    )


def test_copies_that_cannot_be_read_here_are_told_and_the_metadata_goes_on(
    keeping: Keeping, metadata: Metadata, names: Names, sender: Sender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(sender)
    (tmp_path / "no directory").write_text("")
    monkeypatch.setattr(notebooks, "COPIES", tmp_path / "no directory")
    (names.copies / key_of(1)).mkdir()
    names.say(time.time(), key_of(1))
    metadata.write(1)
    settle(sender)
    assert sender.state.error == "" and "it is not copied: " in said(sender)["error"]
    assert taken(keeping).parts


def test_a_state_has_its_catalogue_also_when_the_metastore_has_removed_that_copy_meanwhile(
    metadata: Metadata, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(catalogue.FOLDER, str(names.top))
    monkeypatch.setattr(notebooks, "COPIES", tmp_path / "none")
    good = names.make(1, "books")
    (names.copies / names.make(2, "damaged")).write_bytes(b"no archive")
    metadata.write(1)
    state = states.state_of_master(KINDS["qfs"], metadata.top)
    (names.copies / good).unlink()
    top, place = tmp_path / "top", tmp_path / "place"
    for folder in (top, place):
        folder.mkdir()
    assert bundle.lay_out(bundled(state), top, "aside", place)["tables"] == 1

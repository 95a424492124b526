"""A second name for every block: the scripts of a restore, on real directories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sparkqfs.plan.storage.hdfs import Hdfs
from sparkqfs.plan.storage.qfs import Qfs
from sparkqfs.remote import script

NAME = "20260131T120000Z"
WORDS = {backend.kind: (backend.layout.top, backend.layout.blocks) for backend in (Qfs, Hdfs) if backend.layout}


def sh(name: str, *words: str, stdin: str = "") -> list[str]:
    argv = ("sh", "-c", script(name), "sh", *words)
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def block(disk: Path, name: str, text: str = "data", kind: str = "qfs") -> Path:
    path = disk.joinpath(*WORDS[kind], name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def files_of(kind: str) -> str:
    layout = {"qfs": Qfs, "hdfs": Hdfs}[kind].layout
    assert layout is not None
    return layout.block_files


def aside(*disks: Path, kind: str = "qfs") -> list[str]:
    layout = {"qfs": Qfs, "hdfs": Hdfs}[kind].layout
    assert layout is not None
    return sh("set_aside", *WORDS[kind], layout.block_number, NAME, *map(str, disks))


def only(*disks: Path, kind: str = "qfs", most: int = 100) -> list[str]:
    return sh("only_aside", WORDS[kind][0], NAME, files_of(kind), str(most), *map(str, disks))


def test_what_is_deleted_afterwards_is_still_there_and_named_without_its_version(tmp_path: Path) -> None:
    one, two = tmp_path / "disk one", tmp_path / "two"
    kept, gone = block(one, "7.70.1"), block(two, "8.80.3", "only here")
    block(one, "0-fsid-12", "")
    block(one, "lost+found/9.90.1")
    assert aside(one, two) == [f"kept\t{disk}/qfs/kept/{NAME}" for disk in (one, two)]
    kept.rename(kept.with_name("7.70.2"))  # the chunk got another version
    gone.unlink()
    assert only(one, two) == ["kept\t2", "count\t1", "only\t8.80\t9", "end"]
    assert (two / "qfs" / "kept" / NAME / "8.80.3").read_text() == "only here"


def test_a_block_takes_no_room_twice_and_a_second_run_keeps_the_first_ones_files(tmp_path: Path) -> None:
    path = block(tmp_path, "7.70.1")
    aside(tmp_path)
    second = tmp_path / "qfs" / "kept" / NAME / "7.70.1"
    assert second.samefile(path) and (tmp_path / "qfs" / "kept").stat().st_mode & 0o777 == 0o700
    path.unlink()
    aside(tmp_path)
    assert second.read_text() == "data"


@pytest.mark.parametrize(
    ("kind", "name"), [("qfs", "7.70.1"), ("hdfs", "current/BP-1/current/finalized/subdir0/blk_1073741826")]
)
def test_what_an_earlier_restore_has_kept_is_in_its_place_again_unless_something_else_is(
    tmp_path: Path, kind: str, name: str
) -> None:
    top = tmp_path / WORDS[kind][0]
    path = block(tmp_path, name, kind=kind)
    live = block(tmp_path, name.replace("7", "8"), "live", kind=kind)
    earlier = top / "kept" / "20260130T110000Z"
    for lost in (path, live):
        kept = earlier / lost.relative_to(tmp_path.joinpath(*WORDS[kind]))
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text("kept")
    (earlier / "gone").mkdir()
    (earlier / "gone" / "9.90.1").write_text("a directory that is not there any more")
    path.unlink()
    said = aside(tmp_path, kind=kind)
    assert said == [f"kept\t{top}/kept/{NAME}", f"back\t{earlier}\t1"]
    assert path.read_text() == "kept" and live.read_text() == "live"
    assert not (top / "kept" / NAME / path.name).exists(), "it is kept under the earlier name"
    assert aside(tmp_path, kind=kind)[-1] == f"back\t{earlier}\t0", "done again"


@pytest.mark.parametrize(
    ("kind", "kept", "newer"),
    [
        ("qfs", ("526.66053.1",), ("530.66053.1",)),
        ("qfs", ("526.66053.1",), ("526.66053.2",)),
        ("hdfs", ("blk_1073741826", "blk_1073741826_1002.meta"), ("blk_1073741826", "blk_1073741826_1003.meta")),
        ("hdfs", ("blk_-16", "blk_-16_1002.meta"), ("blk_-16", "blk_-16_1003.meta")),
    ],
)
def test_a_kept_block_does_not_go_beside_a_newer_one_with_its_number_on_any_disk_of_the_machine(
    tmp_path: Path, kind: str, kept: tuple[str, ...], newer: tuple[str, ...]
) -> None:
    one, two = tmp_path / "one", tmp_path / "disk two"
    folder = "current/BP-1/current/finalized/subdir0" if kind == "hdfs" else "."
    earlier = one / WORDS[kind][0] / "kept" / "20260130T110000Z"
    other = "7.66054.1" if kind == "qfs" else "blk_1073741827"
    for name in (*kept, other):
        block(one, f"{folder}/{name}", kind=kind).unlink()
        (earlier / folder).mkdir(parents=True, exist_ok=True)
        (earlier / folder / name).write_text("kept")
    for name in newer:
        block(two, f"{folder}/{name}", "newer", kind=kind)
    assert f"back\t{earlier}\t1" in aside(one, two, kind=kind)
    place = one.joinpath(*WORDS[kind], folder)
    assert [path.name for path in place.iterdir() if path.is_file()] == [other]
    assert {path.name for path in (earlier / folder).iterdir()} == {*kept, other}


def test_a_run_that_was_broken_off_is_done_again_whole(tmp_path: Path) -> None:
    block(tmp_path, "7.70.1")
    half = tmp_path / "qfs" / "kept" / f"{NAME}.new"
    half.mkdir(parents=True)
    (half / "rest").write_text("of a run that was killed")
    aside(tmp_path)
    assert [path.name for path in (tmp_path / "qfs" / "kept" / NAME).iterdir()] == ["7.70.1"]


def test_a_moved_block_of_hdfs_is_found_whatever_directory_it_is_in(tmp_path: Path) -> None:
    old = block(tmp_path, "current/BP-1/current/rbw/blk_1073741825", kind="hdfs")
    block(tmp_path, "current/BP-1/current/rbw/blk_1073741825_1001.meta", kind="hdfs")
    lost = block(tmp_path, "current/BP-1/current/finalized/subdir0/blk_1073741826", kind="hdfs")
    aside(tmp_path, kind="hdfs")
    new = old.parents[1] / "finalized" / "subdir1" / old.name
    new.parent.mkdir(parents=True)
    old.rename(new)
    lost.unlink()
    assert only(tmp_path, kind="hdfs") == ["kept\t2", "count\t1", "only\tblk_1073741826\t4", "end"]


def test_the_list_has_a_bound_and_the_count_has_not(tmp_path: Path) -> None:
    for number in range(5):
        block(tmp_path, f"1.{number}.1")
    aside(tmp_path)
    for path in (tmp_path / "qfs" / "chunk").iterdir():
        path.unlink()
    lines = only(tmp_path, most=2)
    assert lines[:2] == ["kept\t5", "count\t5"] and len(lines) == 5


def test_another_machine_says_which_of_them_it_has(tmp_path: Path) -> None:
    block(tmp_path, "7.70.4")
    block(tmp_path, "9.90.1")
    words = (*WORDS["qfs"], files_of("qfs"), str(tmp_path))
    assert sh("live_among", *words, stdin="8.80\t4\n7.70\t4\n9.90\t5\n") == ["7.70\t4", "end"]


def test_what_is_let_go_is_that_of_one_restore_and_no_block_in_its_place(tmp_path: Path) -> None:
    path = block(tmp_path, "7.70.1")
    aside(tmp_path)
    other = tmp_path / "qfs" / "kept" / "20250101T000000Z"
    other.mkdir()
    assert sh("let_go", "qfs", NAME, "all", str(tmp_path)) == [f"gone\t{tmp_path}/qfs/kept/{NAME}"]
    assert path.is_file() and other.is_dir()
    assert sh("list_kept", "qfs", str(tmp_path), str(tmp_path / "none")) == ["20250101T000000Z"]
    assert sh("let_go", "qfs", NAME, "all", str(tmp_path)) == []


def test_second_names_of_blocks_in_place_go_and_last_names_stay(tmp_path: Path) -> None:
    block(tmp_path, "7.70.1")
    gone = block(tmp_path, "8.80.1", "last")
    aside(tmp_path)
    gone.unlink()
    kept = tmp_path / "qfs" / "kept" / NAME
    assert sh("list_kept", "qfs", str(tmp_path)) == [NAME]
    assert sh("let_go", "qfs", NAME, "in place", str(tmp_path)) == [f"left\t{kept}"]
    assert [path.name for path in kept.iterdir()] == ["8.80.1"]
    assert (tmp_path / "qfs" / "chunk" / "7.70.1").stat().st_nlink == 1
    assert only(tmp_path) == ["kept\t1", "count\t1", "only\t8.80\t4", "end"]


@pytest.mark.parametrize("kind", ["qfs", "hdfs"])
def test_of_a_restore_that_keeps_nothing_no_directory_stays(tmp_path: Path, kind: str) -> None:
    path = block(tmp_path, "current/BP-1/current/finalized/subdir0/blk_1", kind=kind)
    aside(tmp_path, kind=kind)
    top = tmp_path / WORDS[kind][0]
    assert sh("let_go", top.name, NAME, "in place", str(tmp_path)) == [f"gone\t{top}/kept/{NAME}"]
    assert path.read_text() == "data" and not (top / "kept").exists()
    assert sh("list_kept", top.name, str(tmp_path)) == []


def test_a_new_block_under_the_number_of_a_lost_one_is_not_taken_for_it(tmp_path: Path) -> None:
    path = block(tmp_path, "7.70.1", "lost")
    aside(tmp_path)
    path.unlink()
    block(tmp_path, "7.70.1", "another file")
    assert only(tmp_path)[1:3] == ["count\t1", "only\t7.70\t4"]


@pytest.mark.parametrize("link", ["qfs", "qfs/chunk", "qfs/kept"])
def test_a_link_is_not_followed(tmp_path: Path, link: str) -> None:
    disk, elsewhere = tmp_path / "disk", tmp_path / "elsewhere"
    (elsewhere / "chunk").mkdir(parents=True)
    (disk / "qfs" / "chunk").mkdir(parents=True)
    target = disk / link
    if target.is_dir():
        target.rename(tmp_path / "was")
    target.symlink_to(elsewhere)
    argv = ("sh", "-c", script("set_aside"), "sh", *WORDS["qfs"], "^[0-9]+[.][0-9]+", NAME, str(disk))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "") and "symbolic link" in done.stderr
    assert [path.name for path in elsewhere.iterdir()] == ["chunk"]

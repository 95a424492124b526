"""put, get, ls, du and rm where a file server or a reader does not do as it should, with the stand-in."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sparkqfs.errors import ClusterError, ConfigError, DeadlineError, ExitCode, RefusedError
from sparkqfs.files import local, looking, moving
from sparkqfs.files.transfer import PROGRESS_S, Access
from sparkqfs.files.wire import ProcessPipe
from tests.builders.trees import NAMES, a_tree
from tests.doubles.file_servers import World, stand_in


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return a_tree(tmp_path)


def test_one_bad_name_among_those_that_a_pattern_matches_does_not_stop_the_others(tmp_path: Path, tree: Path) -> None:
    world = stand_in(tmp_path / "storage")
    (tree / os.fsdecode(b"b\xff")).touch()
    result = world.put(tree / "b*", "/some")
    assert [problem.what for problem in result.problems] == ["/some/b?: not copied: the name is not UTF-8"]
    assert result.problems[0].code == ExitCode.FAILED and world.names("/some") == ["big"]


def test_a_server_that_ends_in_the_middle_is_tried_once_more_and_its_last_words_are_told(
    tmp_path: Path, tree: Path
) -> None:
    world = stand_in(tmp_path / "storage", "dies")
    result = world.put(tree / "big", "/big")
    assert [problem.what for problem in result.problems] == ["/big: not copied: no space left for living"]
    assert any("once more" in text for text in world.said) and len(world.servers) == 2
    assert list((tmp_path / "storage").iterdir()) == []


@pytest.mark.parametrize("size", [1, 1_500_000])
def test_a_stream_whose_server_ends_in_the_middle_is_not_stored_without_its_beginning(
    tmp_path: Path, size: int
) -> None:
    world = replace(stand_in(tmp_path / "storage"), faults=["dies"])
    source = tmp_path / "stream"
    source.write_bytes(os.urandom(size))
    with source.open("rb") as file:
        result = world.put("-", "/stream", stdin=file.fileno())
    assert result.state == "failed" and "no space left for living" in result.problems[0].what
    assert result.problems[0].what.startswith("/stream: not copied: the connection ended, and a stream cannot be read")
    assert list((tmp_path / "storage").iterdir()) == [] and len(world.servers) == 1


def test_a_named_pipe_whose_server_ends_is_no_reason_to_leave_the_next_file_out(tmp_path: Path) -> None:
    world = replace(stand_in(tmp_path / "storage"), faults=["dies", "dies"])
    source = tmp_path / "source"
    source.mkdir()
    os.mkfifo(source / "pipe")
    (source / "plain").write_bytes(b"plain")
    with subprocess.Popen(["sh", "-c", 'exec echo piped >"$1"', "sh", str(source / "pipe")]):
        result = world.put(source / "p*", "/x")
    assert [problem.what.split(":")[0] for problem in result.problems] == ["/x/pipe"]
    assert [path.name for path in (tmp_path / "storage" / "x").iterdir()] == ["plain"]


def test_bytes_that_changed_on_the_way_are_not_given_the_files_name(tmp_path: Path, tree: Path) -> None:
    good, bad = stand_in(tmp_path / "storage"), stand_in(tmp_path / "storage", "lies")
    assert "other bytes arrived" in bad.put(tree / "big", "/big").problems[0].what
    assert good.names("/") == []
    good.put(tree / "big", "/big")
    back = tmp_path / "back"
    assert "other bytes arrived" in bad.get("/big", back).problems[0].what
    assert not back.exists() and not list(tmp_path.glob(".sparkqfs*"))
    with (tmp_path / "out").open("wb") as file:
        result = moving.get_stream(bad.access(), bad.place("/big"), file)
    assert "do not use" in result.problems[0].what


def test_a_server_that_says_in_the_middle_of_a_file_that_it_is_alive_gets_the_rest(tmp_path: Path) -> None:
    world = stand_in(tmp_path / "storage", "alive")
    (tmp_path / "file").write_bytes(os.urandom(3_000_000))
    assert world.put(tmp_path / "file", "/x").state == "changed"


def test_a_server_of_another_version_says_so(tmp_path: Path, tree: Path) -> None:
    with pytest.raises(ClusterError, match="another version"):
        stand_in(tmp_path / "storage", "version").put(tree, "/x")


def test_a_program_that_is_no_file_server_is_quoted(tmp_path: Path, tree: Path) -> None:
    with pytest.raises(ClusterError, match=r"node1.*no file server: it broke"):
        World(["sh", "-c", "echo it broke >&2"], f"file://{tmp_path}").put(tree, "/x")


def test_a_run_that_takes_too_long_is_given_up_with_exit_code_4(tmp_path: Path, tree: Path) -> None:
    world = stand_in(tmp_path / "storage")
    read, write = os.pipe()
    started = time.monotonic()
    try:
        with pytest.raises(DeadlineError) as caught:
            access = world.access(timeout_s=1)
            moving.put(access, "-", world.place("/x"), overwrite=False, stdin=read)
    finally:
        os.close(write)
    assert caught.value.exit_code == ExitCode.TIMEOUT and time.monotonic() - started < 15


COMMANDS: dict[str, Callable[[World, Access, Path], object]] = {
    "ls": lambda world, access, _: looking.ls(access, world.place("/"), recursive=True),
    "du": lambda world, access, _: looking.du(access, world.place("/")),
    "rm": lambda world, access, _: looking.rm(access, world.places, world.place("/x"), recursive=True, if_there=False),
    "put": lambda world, access, tree: moving.put(access, str(tree), world.place("/x"), overwrite=False),
    "get": lambda world, access, tree: moving.get(access, world.place("/"), str(tree / "back"), overwrite=False),
}


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_storage_that_says_nothing_within_the_time_ends_each_command_with_exit_code_4(
    verb: str, tmp_path: Path, tree: Path
) -> None:
    world = stand_in(tmp_path / "storage", "hangs")
    with pytest.raises(DeadlineError, match=f"{verb} did not end within 1 s") as caught:
        COMMANDS[verb](world, world.access(timeout_s=1), tree)
    assert caught.value.exit_code == ExitCode.TIMEOUT


def test_a_server_that_does_not_start_within_the_time_is_exit_code_4_too(tmp_path: Path) -> None:
    world = World(["sh", "-c", "sleep 1.1; exit 124"], f"file://{tmp_path}")
    with pytest.raises(DeadlineError, match="ls did not end within 1 s"):
        looking.ls(world.access(timeout_s=1), world.place("/"), recursive=False)


def test_a_file_that_vanishes_while_its_directory_is_read_does_not_hide_the_others(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, take = stand_in(tmp_path / "storage"), local._take

    def vanishing(tree: local.LocalTree, name: str, item: os.DirEntry[str]) -> list[str]:
        if name == "big":
            Path(item.path).unlink()
        return take(tree, name, item)

    everything = set(local.walk(tree).files)
    monkeypatch.setattr(local, "_take", vanishing)
    result = world.put(tree, "/copy")
    assert [problem.what for problem in result.problems] == [f"{tree}/big: not copied: No such file or directory"]
    assert {one.name for one in (tmp_path / "storage" / "copy").rglob("*") if one.is_file()} >= {
        Path(name).name for name in everything - {"big"}
    }


def test_a_server_on_this_machine_is_out_of_reach_of_ctrl_c(tmp_path: Path) -> None:
    pipe = ProcessPipe(["cat"])
    assert os.getpgid(pipe._process.pid) != os.getpgid(0)
    pipe.close()


def test_a_reader_of_standard_output_that_has_enough_is_no_error(tmp_path: Path, tree: Path) -> None:
    world = stand_in(tmp_path / "storage")
    world.put(tree / "big", "/big")
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as out:  # noqa: PTH123 - a number
        assert moving.get_stream(world.access(), world.place("/big"), out).problems == ()
    with open("/dev/full", "wb") as out:  # noqa: PTH123
        result = moving.get_stream(world.access(), world.place("/big"), out)
        assert "standard output: No space left" in result.problems[0].what
        with contextlib.suppress(OSError):
            out.close()


def test_progress_names_bytes_files_and_rate(tmp_path: Path) -> None:
    world = stand_in(tmp_path / "storage")
    read, write = os.pipe()

    def feed() -> None:
        with open(write, "wb") as file:  # noqa: PTH123 - a number
            for _ in range(5):
                file.write(b"x" * 1_000_000)
                time.sleep(0.6)

    thread = threading.Thread(target=feed)
    thread.start()
    started = time.monotonic()
    assert world.put("-", "/x", stdin=read).state == "changed"
    took = time.monotonic() - started
    thread.join()
    assert 1 <= len(world.said) <= took / PROGRESS_S
    assert world.said[0].startswith("put: ") and world.said[0].endswith(" MB/s")


def test_a_dry_run_counts_and_does_nothing(tmp_path: Path, tree: Path) -> None:
    world = stand_in(tmp_path / "storage")
    world.put(tree / "big", "/tree/big")
    access = world.access(dry_run=True)
    result = moving.put(access, str(tree), world.place("/tree"), overwrite=False)
    assert result.state == "planned" and world.names("/tree") == ["big"]
    found = result.document["put"]
    assert isinstance(found, dict) and (found["new"], found["same_size"]) == (len(NAMES) + 1, 1)
    result = moving.get(access, world.place("/tree"), str(tmp_path / "back"), overwrite=False)
    assert result.state == "planned" and not (tmp_path / "back").exists()
    assert looking.rm(access, world.places, world.place("/tree"), recursive=True, if_there=False).state == "planned"
    assert world.names("/tree") == ["big"]


@pytest.mark.parametrize("name", ["part.csv", "sub"])
def test_a_pattern_that_matches_one_name_in_two_directories_moves_nothing(tmp_path: Path, name: str) -> None:
    world = stand_in(tmp_path / "storage")
    for letter in ("a", "b"):
        folder = tmp_path / "in" / letter
        (folder / "sub").mkdir(parents=True)
        (folder / "part.csv").write_bytes(letter.encode())
        (folder / "sub" / letter).touch()
    with pytest.raises(ConfigError) as caught:
        world.put(tmp_path / "in" / "*" / name, "/x", overwrite=True)
    one, other = (tmp_path / "in" / letter / name for letter in ("a", "b"))
    assert [problem.what for problem in caught.value.problems] == [f"{one} and {other} would both become /x/{name}"]
    assert world.names("/") == []
    for letter in ("a", "b"):
        world.put(tmp_path / "in" / letter, "/in/")
    back = tmp_path / "back"
    with pytest.raises(ConfigError) as caught:
        world.get(f"/in/*/{name}", back, overwrite=True)
    assert caught.value.problems[0].what == f"/in/a/{name} and /in/b/{name} would both become {back}/{name}"
    assert caught.value.exit_code == ExitCode.USAGE and not back.exists()


def test_a_pattern_that_takes_in_what_the_cluster_needs_removes_nothing(tmp_path: Path) -> None:
    world = stand_in(tmp_path / "storage")
    (tmp_path / "storage" / "tmp").mkdir()
    (tmp_path / "storage" / "x").touch()
    with pytest.raises(RefusedError, match="/tmp: the cluster needs"):
        world.rm("/*", recursive=True)
    assert world.names("/") == ["/tmp", "/x"] or sorted(world.names("/")) == ["tmp", "x"]


def test_control_characters_in_a_name_do_not_reach_the_terminal(tmp_path: Path) -> None:
    world = stand_in(tmp_path / "storage")
    (tmp_path / "storage" / "a\nb\x1b[2J").touch()
    assert looking.ls(world.access(), world.place("/"), recursive=False).text.endswith("/a\\nb\\x1b[2J")


CALLS: list[Callable[[World], object]] = [
    lambda world: world.get("/none", "x"),
    lambda world: world.rm("/none"),
    lambda world: looking.ls(world.access(), world.place("/none"), recursive=False),
    lambda world: looking.du(world.access(), world.place("/none")),
]


@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_there_is_bad_input_with_a_hint(call: Callable[[World], object], tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        call(stand_in(tmp_path / "storage"))
    assert caught.value.problems[0].what == "/none is not there" and caught.value.problems[0].hint

"""put, get, ls, du and rm through real file servers: a stand-in, our Java one on plain files, and that on real QFS."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkqfs.errors import ClusterError, ConfigError, DeadlineError, ExitCode, RefusedError
from sparkqfs.files import local, looking, moving, wire
from sparkqfs.files.results import Result
from sparkqfs.files.transfer import PROGRESS_S, Access
from sparkqfs.files.wire import ProcessPipe
from tests.storage.file_servers import World, compiled, java, on_plain_files, stand_in
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import Kit

NODE = "127.0.0.2"
NAMES = ("a b", "xäöx", "sub/deep/x", "sub/y", ".hidden", "[x]*", "100%", "-n")


@pytest.fixture(scope="module")
def qfs(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    class_path = compiled(kit.class_path, tmp_path_factory.mktemp("classes"))
    with QfsCluster(kit.qfs_home, tmp_path_factory.mktemp("qfs")) as running:
        environment = {
            "LD_LIBRARY_PATH": running.environment["LD_LIBRARY_PATH"],
            "LANG": "C.UTF-8",
            "SPARKQFS_REPLICATION": "2",
            "SPARKQFS_ROOT": running.uri,
            "NODE_IP": NODE,
            "SPARKQFS_CHUNK_DIRS": " ".join(str(path) for path in running.chunk_dirs(NODE)),
        }
        yield World(java(class_path), running.uri, environment)


@pytest.fixture(params=["stand-in", "java"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """An empty storage, or an empty directory of one. The Java server is that of QFS where its tarball is there."""
    if request.param == "stand-in":
        return stand_in(tmp_path / "storage")
    try:
        whole: World = request.getfixturevalue("qfs")
    except pytest.skip.Exception:
        return on_plain_files(request.getfixturevalue("java_server"), tmp_path / "storage")
    return replace(whole, root=f"{whole.root}/{tmp_path.name}", said=[], asked=[], servers=[])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Names that need care, an empty directory, a link, an empty file and one of some size."""
    top = tmp_path / "tree"
    for name in NAMES:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 100)
    (top / "empty").mkdir()
    (top / "zero").touch()
    (top / "big").write_bytes(os.urandom(3_000_001))
    (top / "link").symlink_to("zero")
    return top


def same(one: Path, other: Path) -> bool:
    """Whether two trees have the same files, apart from links."""

    def contents(top: Path) -> dict[str, bytes | None]:
        found = [path for path in top.rglob("*") if not path.is_symlink()]
        return {str(path.relative_to(top)): None if path.is_dir() else path.read_bytes() for path in found}

    return contents(one) == contents(other)


# --- on every kind of server ------------------------------------------------------------------------------------------


def test_a_tree_goes_there_and_back_whole_and_the_second_time_nothing_is_done(
    world: World, tree: Path, tmp_path: Path
) -> None:
    first = world.put(tree, "/tree")
    assert first.state == "changed", first.problems
    document = first.document["put"]
    assert isinstance(document, dict)
    assert (document["files"], document["copied"], document["links"]) == (len(NAMES) + 2, len(NAMES) + 2, 1)
    assert world.put(tree, "/tree").state == "unchanged"
    back = tmp_path / "back"
    assert world.get("/tree", back).state == "changed"
    assert same(tree, back)
    assert world.get("/tree", back).state == "unchanged"
    assert sorted(world.names("/tree")) == sorted([*NAMES, "big", "empty", "sub", "sub/deep", "zero"])


def test_a_file_that_differs_is_refused_unless_it_may_be_replaced(world: World, tree: Path, tmp_path: Path) -> None:
    world.put(tree, "/tree")
    (tree / "a b").write_bytes(b"x" * 300)  # the same size
    (tree / "zero").write_bytes(b"longer")
    refused = world.put(tree, "/tree")
    assert {problem.code for problem in refused.problems} == {ExitCode.REFUSED}
    assert sorted(problem.what.split(":")[0] for problem in refused.problems) == ["/tree/a b", "/tree/zero"]
    assert world.put(tree, "/tree", overwrite=True).state == "changed"
    back = tmp_path / "back"
    world.get("/tree", back)
    assert same(tree, back)
    (back / "big").write_bytes(b"mine")
    refused = world.get("/tree", back)
    assert [problem.code for problem in refused.problems] == [ExitCode.REFUSED]
    assert (back / "big").read_bytes() == b"mine"
    world.get("/tree", back, overwrite=True)
    assert same(tree, back)
    assert not [name for name in world.names("/tree") if ".sparkqfs-" in name]


def test_standard_input_goes_there_and_standard_output_gets_it_back(world: World, tmp_path: Path) -> None:
    payload = os.urandom(1_500_000)
    source = tmp_path / "stream"
    source.write_bytes(payload)

    def put() -> Result:
        with source.open("rb") as file:
            return world.put("-", "/stream", stdin=file.fileno())

    assert (put().state, put().state) == ("changed", "unchanged")
    out = tmp_path / "out"
    with out.open("wb") as file:
        assert moving.get_stream(world.access(), world.place("/stream"), file).problems == ()
    assert out.read_bytes() == payload
    source.write_bytes(b"others")
    assert [problem.code for problem in put().problems] == [ExitCode.REFUSED]


def test_patterns_name_several_on_both_sides(world: World, tree: Path, tmp_path: Path) -> None:
    assert world.put(tree / "?[ i]?", "/some").state == "changed"
    assert world.names("/some") == ["a b", "big"]
    world.put(tree / "[x]*", "/some/")  # there as it is written
    assert world.names("/some") == ["[x]*", "a b", "big"]
    back = tmp_path / "back"
    world.get("/some/?[ i]?", back)
    assert sorted(path.name for path in back.iterdir()) == ["a b", "big"]
    with pytest.raises(ConfigError, match="is not there"):
        world.get("/some/z*", back)


def test_a_file_goes_into_a_directory_that_is_there(world: World, tree: Path, tmp_path: Path) -> None:
    world.put(tree / "empty", "/dir")
    for _ in range(2):
        world.put(tree / "big", "/dir")
        assert world.names("/dir") == ["big"]
    world.put(tree / "zero", "/new/")
    assert world.names("/new") == ["zero"]
    world.get("/dir/big", tmp_path)
    assert (tmp_path / "big").read_bytes() == (tree / "big").read_bytes()


def test_a_file_and_a_directory_do_not_take_each_others_place(world: World, tree: Path, tmp_path: Path) -> None:
    world.put(tree / "zero", "/taken")
    inside = world.put(tree, "/taken")
    assert inside.problems and inside.problems[0].what.startswith("/taken: not copied: a file of this name")
    world.put(tree, "/tree")
    shutil.rmtree(tree / "sub")
    (tree / "sub").write_bytes(b"now a file")
    assert [problem.what for problem in world.put(tree, "/tree").problems] == [
        "/tree/sub: not copied: a directory of this name is there"
    ]
    world.get("/taken", tmp_path / "tree" / "empty" / "x")
    assert (tree / "empty" / "x").read_bytes() == b""


def test_du_counts_each_thing_in_a_directory(world: World, tree: Path) -> None:
    world.put(tree, "/tree")
    found = looking.du(world.access(), world.place("/tree")).document["du"]
    assert isinstance(found, dict)
    sizes = {one["path"]: one["bytes"] for one in found["entries"]}
    assert sizes["/tree/big"] == 3_000_001 and sizes["/tree/sub"] == 100 * len("sub/deep/xsub/y")
    assert found["bytes"] == sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    copies = int(world.environment.get("SPARKQFS_REPLICATION", "1"))
    assert found["bytes_with_copies"] == copies * found["bytes"]


def test_rm_asks_and_then_removes(world: World, tree: Path) -> None:
    world.put(tree, "/tree")
    with pytest.raises(RefusedError, match="is a directory"):
        world.rm("/tree")
    world.yes = False
    with pytest.raises(RefusedError, match="not removed"):
        world.rm("/tree", recursive=True)
    assert "11 files" in world.asked[-1] or f"{len(NAMES) + 2} files" in world.asked[-1]
    world.yes = True
    assert world.rm("/tree/?[ i]?").state == "changed"
    assert "big" not in world.names("/tree") and "zero" in world.names("/tree")
    assert world.rm("/tree", recursive=True).state == "changed"
    with pytest.raises(ConfigError, match="/tree is not there"):
        world.rm("/tree", recursive=True)
    assert world.rm("/tree", if_there=True).state == "unchanged"


def test_what_a_writer_that_was_killed_long_ago_left_is_removed_and_what_is_being_written_stays(
    world: World, tree: Path, tmp_path: Path
) -> None:
    world.put(tree, "/tree")
    now = int(time.time())
    names = [f".sparkqfs-part-{now - 9000}-0123abcd", f".sparkqfs-part-{now}-0123abcd"]
    for name in names:
        (tmp_path / name).write_bytes(b"half")
        world.put(tmp_path / name, f"/tree/{name}")
    world.put(tree, "/tree")
    assert [name for name in world.names("/tree") if "part" in name] == names[1:]


def test_a_name_that_the_storage_cannot_hold_is_one_clear_error(world: World, tree: Path) -> None:
    (tree / os.fsdecode(b"\xff")).touch()
    (tree / ("n" * 255)).touch()
    failed = {problem.what for problem in world.put(tree, "/tree").problems}
    assert "/tree/?: not copied: the name is no UTF-8" in failed
    assert len(failed) <= 2
    assert set(NAMES) <= set(world.names("/tree"))


def test_one_bad_name_among_those_that_a_pattern_matches_does_not_stop_the_others(tmp_path: Path, tree: Path) -> None:
    world = stand_in(tmp_path / "storage")
    (tree / os.fsdecode(b"b\xff")).touch()
    result = world.put(tree / "b*", "/some")
    assert [problem.what for problem in result.problems] == ["/some/b?: not copied: the name is no UTF-8"]
    assert result.problems[0].code == ExitCode.FAILED and world.names("/some") == ["big"]


def test_a_name_that_qfs_does_not_take_says_what_it_would_take(qfs: World, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("t", "tä", "öt", "t ", " t", "t\nt"):
        (tree / name).write_bytes(name.encode())
    for _ in range(2):
        failed = [problem.what for problem in qfs.put(tree, "/odd").problems]
        assert len(failed) == 5 and all("QFS takes no name" in what for what in failed)
        assert qfs.names("/odd") == ["t"]
    qfs.get("/odd/t", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"t"


def test_on_plain_files_a_colon_is_refused_and_checksum_files_of_hadoop_do_not_outlive_their_file(
    java_server: list[str], tmp_path: Path
) -> None:
    world = on_plain_files(java_server, tmp_path / "storage")
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("a:b", "c"):
        (tree / name).write_bytes(b"new")
    stored = tmp_path / "storage" / "t"
    stored.mkdir()
    (stored / "c").write_bytes(b"old")
    (stored / ".c.crc").write_bytes(b"crc\0\0\0\2\0" + bytes(4))  # of other bytes
    failed = [problem.what for problem in world.put(tree, "/t", overwrite=True).problems]
    assert len(failed) == 1 and "no colon" in failed[0] and "/t/a:b" in failed[0]
    assert [path.name for path in stored.iterdir()] == ["c"]
    world.get("/t/c", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"new"


def on_odd_files(java_server: list[str], folder: Path, **moods: int) -> World:
    """Plain files on a storage with the moods of OddFileSystem."""
    folder.mkdir(exist_ok=True)
    conf = {"file.impl": "OddFileSystem"} | {f"odd.{name}": str(value).lower() for name, value in moods.items()}
    lines = [f"spark.hadoop.fs.{name} {value}\n" for name, value in conf.items()]
    (folder.parent / "spark-defaults.conf").write_text("".join(lines))
    return World(java_server, f"file://{folder}", {"SPARK_CONF_DIR": str(folder.parent)})


def test_a_file_is_replaced_without_a_moment_in_which_nothing_has_its_name(
    java_server: list[str], tmp_path: Path
) -> None:
    world = on_odd_files(java_server, tmp_path / "storage", halts=True)
    (tmp_path / "storage" / "x").write_bytes(b"old")
    (tmp_path / "x").write_bytes(b"new")
    assert world.put(tmp_path / "x", "/x", overwrite=True).problems == () and len(world.servers) == 1
    assert world.names("/") == ["/x"] and (tmp_path / "storage" / "x").read_bytes() == b"new"


def test_an_old_file_that_a_killed_writer_had_moved_away_gets_its_name_back_unless_that_is_taken(
    java_server: list[str], tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    world = on_odd_files(java_server, storage, halts=True, replaces=False)
    (storage / "x").write_bytes(b"old")
    (tmp_path / "x").write_bytes(b"new")
    world.put(tmp_path / "x", "/x", overwrite=True)
    (left,) = storage.glob(".sparkqfs-old-*")
    for part in storage.glob(".sparkqfs-part-*"):  # of the same killed writer
        part.unlink()
    long_ago = storage / f".sparkqfs-old-1-{left.name.split('-', 3)[3]}"
    left.rename(long_ago)
    (storage / "x").unlink()
    world = on_odd_files(java_server, storage)
    (tmp_path / "y").write_bytes(b"other")
    assert world.get("/", tmp_path / "back").problems == () and list((tmp_path / "back").iterdir()) == []
    world.put(tmp_path / "y", "/y")
    assert sorted(path.name for path in storage.iterdir()) == ["x", "y"] and (storage / "x").read_bytes() == b"old"
    long_ago.write_bytes(b"older")
    world.put(tmp_path / "y", "/y")
    assert sorted(path.name for path in storage.iterdir()) == ["x", "y"] and (storage / "x").read_bytes() == b"old"


def test_a_file_that_was_replaced_is_no_failure_because_the_old_one_stays(
    java_server: list[str], tmp_path: Path
) -> None:
    world = on_odd_files(java_server, tmp_path / "storage", replaces=False, keeps=True)
    (tmp_path / "storage" / "x").write_bytes(b"old")
    (tmp_path / "x").write_bytes(b"new")
    result = world.put(tmp_path / "x", "/x", overwrite=True)
    assert (result.state, result.problems) == ("changed", ()) and len(world.servers) == 1
    assert (tmp_path / "storage" / "x").read_bytes() == b"new"


def test_more_files_than_fit_into_one_message_are_found_by_a_pattern(java_server: list[str], tmp_path: Path) -> None:
    world = on_odd_files(java_server, tmp_path / "storage", many=50_000)
    found = looking.du(world.access(), world.place("/*")).document["du"]
    assert isinstance(found, dict) and found["files"] == 50_000


def test_a_directory_is_listed_that_does_not_fit_into_the_servers_memory(
    java_server: list[str], tmp_path: Path
) -> None:
    small = ["-Xmx40m" if word == "-Xmx256m" else word for word in java_server]
    world = on_odd_files(small, tmp_path / "storage", many=50_000)
    storage = world.access().connect(0)
    assert sum(1 for _ in storage.walk(world.place("/").uri, deep=True)) == 50_001
    assert storage.sweep(world.place("/").uri) == 0
    storage.close()


def test_a_storage_that_takes_long_is_not_given_up(
    java_server: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = on_odd_files(java_server, tmp_path / "storage", sleeps=12_000)
    (tmp_path / "storage" / "x").touch()
    storage = world.access().connect(0)
    storage.stat(world.place("/x").uri)
    monkeypatch.setattr(wire, "STALL_S", 9.0)
    assert storage.delete(world.place("/x").uri, deep=False)
    storage.close()


# --- faults -----------------------------------------------------------------------------------------------------------


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


def test_a_name_that_is_taken_while_a_copy_is_read_back_stays_its_owners(
    java_server: list[str], tmp_path: Path
) -> None:
    world = on_odd_files(java_server, tmp_path / "storage", taken=1)
    (tmp_path / "mine").write_bytes(b"mine")
    result = world.put(tmp_path / "mine", "/name")
    assert int(result.problems[0].code) == ExitCode.REFUSED and "--overwrite" in str(result.problems[0])
    assert (tmp_path / "storage" / "name").read_bytes() == b"another's"


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


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["/.", "/./", "/tmp/.", "/./tmp", "/user/./spark/", "/t[m]p", "/{tmp,x}", "/%74mp"])
def test_no_spelling_of_what_the_cluster_needs_removes_it(tmp_path: Path, java_server: list[str], written: str) -> None:
    world = on_plain_files(java_server, tmp_path / "storage")
    for name in ("tmp/x", "user/spark/x", "x"):
        (tmp_path / "storage" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "storage" / name).touch()
    with pytest.raises(ConfigError if "%" in written else RefusedError):
        world.rm(written, recursive=True)
    assert all((tmp_path / "storage" / name).exists() for name in ("tmp/x", "user/spark/x", "x"))


def test_a_pattern_that_takes_in_what_the_cluster_needs_removes_nothing(tmp_path: Path) -> None:
    world = stand_in(tmp_path / "storage")
    (tmp_path / "storage" / "tmp").mkdir()
    (tmp_path / "storage" / "x").touch()
    with pytest.raises(RefusedError, match="/tmp: the cluster needs"):
        world.rm("/*", recursive=True)
    assert world.names("/") == ["/tmp", "/x"] or sorted(world.names("/")) == ["tmp", "x"]


def test_a_pattern_takes_hidden_names_only_when_it_begins_with_a_dot_and_never_ours(
    world: World, tmp_path: Path
) -> None:
    ours = {f".sparkqfs-part-{int(time.time())}-0123abcd", f".sparkqfs-old-{int(time.time())}-0123abcd-y"}
    names = {"x", ".hidden", ".Trash/x", *ours}
    for name in sorted(names):
        source = tmp_path / "tree" / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(b"x")
        world.put(source, f"/t/{name}")
    world.get("/t/*", tmp_path / "back")
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["x"]
    with pytest.raises(ConfigError, match="is not there"):
        world.rm("/t/*/x", recursive=True)
    with pytest.raises(ConfigError, match="is not there"):
        world.rm("/t/.sparkqfs-*")
    world.rm("/t/*", recursive=True)
    assert set(world.names("/t")) == names - {"x"} | {".Trash"}
    world.rm("/t/.[hT]*", recursive=True)
    assert set(world.names("/t")) == ours
    for name in ours:
        world.rm(f"/t/{name}")
    assert world.names("/t") == []


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

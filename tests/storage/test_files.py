"""put, get, ls, du and rm through real file servers: our Java one on plain files and on real QFS, and the stand-in."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkqfs.errors import ConfigError, ExitCode, RefusedError
from sparkqfs.files import looking, moving, wire
from sparkqfs.files.results import Result
from sparkqfs.files.storage import StorageError
from tests.builders.trees import NAMES, a_tree, same
from tests.doubles.file_servers import World, stand_in
from tests.storage.file_servers import compiled, java, on_plain_files
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import Kit

NODE = "127.0.0.2"


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


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return a_tree(tmp_path)


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
    assert "/tree/?: not copied: the name is not UTF-8" in failed
    assert len(failed) <= 2
    assert set(NAMES) <= set(world.names("/tree"))


def test_names_that_qfs_itself_does_not_take_go_there_and_back_and_one_that_is_too_long_says_so(
    qfs: World, tmp_path: Path
) -> None:
    tree, long = tmp_path / "tree", "ü" * 127
    names = ("t", "tä", "öt", "t ", " t", "t\nt", "😀", "t😀t", "city=Málagá/part ", "ü" * 122, "x" * 255)
    for name in (*names, long):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (failed,) = [problem.what for problem in qfs.put(tree, "/odd").problems]
    assert "QFS takes names of 256 bytes at most, and this one has 265 as it is stored" in failed
    assert sorted(qfs.names("/odd")) == sorted([*names, "city=Málagá"])
    (tree / long).unlink()
    assert qfs.get("/odd", tmp_path / "back").state == "changed"
    assert same(tree, tmp_path / "back")
    assert qfs.rm("/odd/?t").state == "changed"
    assert not {"öt", " t"} & set(qfs.names("/odd"))


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


def test_a_place_is_a_uri_with_a_server_or_without_and_one_that_is_none_ends_nothing(
    java_server: list[str], tmp_path: Path
) -> None:
    world = on_plain_files(java_server, tmp_path / "storage")
    (tmp_path / "storage" / "a:b").mkdir()
    (tmp_path / "storage" / "a:b" / "c").write_bytes(b"1234")
    storage = world.access().connect(0)
    for uri in (f"file:{tmp_path}/storage", f"file://{tmp_path}/storage"):
        assert [entry.size for entry in storage.walk(uri, deep=True) if entry.is_file] == [4]
    for uri in ("s3a://bucket/x", "s3a:/x", "nothing://x/y", f"{tmp_path}", "/a:/b", "file:x", ":/x"):
        with pytest.raises(StorageError) as caught:
            list(storage.walk(uri))
        assert caught.value.kind == "failed"
    assert len(list(storage.walk(f"file:{tmp_path}/storage"))) == 2
    storage.close()


def on_odd_files(java_server: list[str], folder: Path, **moods: int) -> World:
    """Plain files on a storage with the moods of OddFileSystem."""
    folder.mkdir(exist_ok=True)
    conf = {"file.impl": "OddFileSystem"} | {f"odd.{name}": str(value).lower() for name, value in moods.items()}
    lines = ["spark.hadoop.fs.goes.on a\\\\\n", *(f"spark.hadoop.fs.{name} {value}\n" for name, value in conf.items())]
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


def test_a_name_that_is_taken_while_a_copy_is_read_back_stays_its_owners(
    java_server: list[str], tmp_path: Path
) -> None:
    world = on_odd_files(java_server, tmp_path / "storage", taken=1)
    (tmp_path / "mine").write_bytes(b"mine")
    result = world.put(tmp_path / "mine", "/name")
    assert int(result.problems[0].code) == ExitCode.REFUSED and "--overwrite" in str(result.problems[0])
    assert (tmp_path / "storage" / "name").read_bytes() == b"another's"


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

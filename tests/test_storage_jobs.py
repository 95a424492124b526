"""jobs/storage.py: what stands against a new file system, and the script that erases, run for real on directories."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from builders import a_cluster
from facts_builders import a_node, prepared, with_path

from sparkqfs.clients.parallel import Results
from sparkqfs.config import NotebooksConfig, SharedConfig, StorageConfig, StorageKind
from sparkqfs.errors import ConfigError, ExitCode, RefusedError
from sparkqfs.facts import NodeFacts
from sparkqfs.jobs import base
from sparkqfs.jobs.base import Session
from sparkqfs.jobs.storage import ERASE_SCRIPT, data_directories, init, refusals

HDFS = a_cluster(storage=StorageConfig(kind="hdfs", replication=2))


def a_session(facts: dict[str, NodeFacts], **more: Any) -> Session:
    return Session(more.pop("config", HDFS), None, lambda _text: None, _facts=facts, **more)  # type: ignore[arg-type]


def erase(top: str, *directories: Path) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-s", "--", top, *map(str, directories)]
    return subprocess.run(command, input=ERASE_SCRIPT, capture_output=True, text=True, check=False, timeout=30)


def test_a_prepared_cluster_has_nothing_against_a_file_system() -> None:
    facts = {name: with_path(fact, "/mnt/data/hdfs/name", empty=True) for name, fact in prepared(HDFS).items()}
    assert refusals(a_session(facts)) == ()


def test_a_name_directory_left_by_a_format_that_was_broken_off_is_refused() -> None:
    facts = prepared(HDFS, node1=with_path(a_node("node1", HDFS), "/mnt/data/hdfs/name", empty=False))
    (problem,) = refusals(a_session(facts))
    assert (problem.node, problem.code) == ("node1", ExitCode.REFUSED)
    assert "/mnt/data/hdfs/name is not empty" in problem.what and "init-storage --erase spark" in str(problem.hint)


NOTEBOOKS = PurePosixPath("/mnt/nfs/notebooks")
SHARED = SharedConfig(path=PurePosixPath("/mnt/nfs"))


@pytest.mark.parametrize("path", [str(NOTEBOOKS), "/mnt/nfs", "/mnt/nfs/spark"])
def test_a_link_to_what_no_task_erases_is_no_reason_to_refuse(path: str) -> None:
    config = a_cluster(
        notebooks=NotebooksConfig(path=NOTEBOOKS, shared=True), storage=StorageConfig(kind="hdfs", shared=SHARED)
    )
    facts = prepared(config, node1=with_path(a_node("node1", config), path, kind="link"))
    assert refusals(a_session(facts, config=config)) == ()


@pytest.mark.parametrize("path", ["/mnt/data", "/mnt/data/hdfs", "/mnt/data/hdfs/data"])
def test_a_link_on_the_way_to_the_data_is_refused_past_the_name_too(path: str) -> None:
    facts = prepared(HDFS, node2=with_path(a_node("node2", HDFS), path, kind="link"))
    for name in (None, "spark"):
        with pytest.raises(RefusedError, match=f"{path} is a symbolic link"):
            init(a_session(facts), erase_name=name)


def test_blocks_are_counted_for_a_refusal_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def gather(_config: Any, _clients: Any, _layout: Any, *, counted: bool) -> Results[NodeFacts]:
        asked.append(counted)
        return Results(prepared(HDFS, node3=a_node("node3", HDFS, blocks=7 if counted else 0)), {})

    monkeypatch.setattr(base, "gather_nodes", gather)
    assert refusals(a_session(prepared(HDFS))) == () and asked == []
    (disk,) = a_node("node3", HDFS).disks
    unknown = prepared(HDFS, node3=a_node("node3", HDFS, disks=(replace(disk, has_blocks=True),)))
    (problem,) = refusals(a_session(unknown))
    assert asked == [True] and "/mnt/data/hdfs/data holds 7 blocks, 7340032 bytes" in problem.what


@pytest.mark.parametrize("kind", ["qfs", "hdfs", "shared"])
def test_a_wrong_name_is_bad_input_whatever_the_storage(kind: Any) -> None:
    config = a_cluster(storage=StorageConfig(kind=kind))
    with pytest.raises(ConfigError, match="this cluster is called spark"):
        init(a_session(prepared(config), config=config), erase_name="other")


def test_erasing_empties_directories_with_any_name_and_keeps_them(tmp_path: Path) -> None:
    data = tmp_path / "it's a disk" / "hdfs" / "data"
    (data / "current" / "deep").mkdir(parents=True)
    (data / "current" / "blk_1").write_text("x")
    (data / ".hidden").write_text("x")
    beside = data.parent / ".cluster-id"
    beside.write_text("id")
    done = erase("hdfs", data, tmp_path / "absent")
    assert (done.returncode, done.stdout) == (0, f"erased\t{data}\n")
    assert list(data.iterdir()) == [] and beside.exists()


@pytest.mark.parametrize("linked", ["hdfs", "hdfs/data"])
def test_erasing_follows_no_link_and_erases_nothing_then(tmp_path: Path, linked: str) -> None:
    elsewhere = tmp_path / "elsewhere" / "data"
    elsewhere.mkdir(parents=True)
    (elsewhere / "precious").write_text("x")
    (tmp_path / "disk2" / "hdfs" / "data").mkdir(parents=True)
    other = tmp_path / "disk2" / "hdfs" / "data"
    (other / "blk_1").write_text("x")
    link = tmp_path / "disk" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere if linked == "hdfs/data" else elsewhere.parent)
    done = erase("hdfs", other, tmp_path / "disk" / "hdfs" / "data")
    assert done.returncode == 1 and "symbolic link" in done.stderr
    assert (elsewhere / "precious").exists() and (other / "blk_1").exists()


@pytest.mark.parametrize(
    ("kind", "tops"), [("qfs", {"qfs", "spark"}), ("hdfs", {"hdfs", "spark"}), ("shared", {"spark"})]
)
def test_purge_erases_nothing_but_this_storages_data_and_sparks_work(kind: StorageKind, tops: set[str]) -> None:
    config = a_cluster(storage=StorageConfig(kind=kind, shared=SharedConfig(path=PurePosixPath("/mnt/data/shared"))))
    for node in config.nodes:  # what is beside it: notebooks, sparkqfs, another kind's data, the shared path
        found = data_directories(a_session({}, config=config), node.name, everything=True)
        assert {str(PurePosixPath(path).relative_to("/mnt/data").parts[0]) for path in found} == tops

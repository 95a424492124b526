"""The scripts that erase, and the container of a killed init, on this computer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sparkqfs.jobs.storage.file_system import ERASE_SCRIPT, INIT_SCRIPT, WAIT_SCRIPT


def erase(top: str, *directories: Path, mode: str = "erase") -> subprocess.CompletedProcess[str]:
    command = ["sh", "-s", "--", mode, top, *map(str, directories)]
    return subprocess.run(command, input=ERASE_SCRIPT, capture_output=True, text=True, check=False, timeout=30)


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


def test_a_link_in_the_place_of_all_names_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "qfs").mkdir(parents=True)
    (elsewhere / "qfs" / "file").touch()
    (tmp_path / "metastore").symlink_to(elsewhere)
    done = erase("qfs", tmp_path / "metastore" / "qfs")
    assert done.returncode == 1 and "metastore is a symbolic link" in done.stderr
    assert (elsewhere / "qfs" / "file").exists()


@pytest.mark.parametrize("inside", ["qfs/qfs", "qfs/chunk/qfs", "spark/hdfs"])
def test_nothing_is_erased_where_a_disk_of_another_cluster_is_inside(tmp_path: Path, inside: str) -> None:
    for name in ("qfs", "spark"):
        (tmp_path / name / "chunk").mkdir(parents=True)
    (tmp_path / "qfs" / ".cluster-id").write_text("ours")
    (tmp_path / "qfs" / "chunk" / "1.2.3").write_text("a chunk of ours")
    other = tmp_path / inside
    other.mkdir(parents=True)
    (other / ".cluster-id").write_text("theirs")
    done = erase("qfs", tmp_path / "qfs", tmp_path / "spark")
    assert done.returncode == 1 and f"{other}/.cluster-id is in there" in done.stderr
    assert (tmp_path / "qfs" / "chunk" / "1.2.3").exists() and (other / ".cluster-id").exists()
    assert erase("qfs", tmp_path / "qfs", tmp_path / "spark", mode="look").stderr == done.stderr
    (other / ".cluster-id").unlink()
    assert erase("qfs", tmp_path / "qfs", tmp_path / "spark", mode="look").returncode == 0
    assert (tmp_path / "qfs" / "chunk" / "1.2.3").exists()
    assert erase("qfs", tmp_path / "qfs", tmp_path / "spark").returncode == 0
    assert not (tmp_path / "qfs" / "chunk").exists()


@pytest.mark.parametrize("running", ["", "c1 c2"])
def test_the_container_of_a_killed_init_is_waited_for_and_no_other(tmp_path: Path, running: str) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n[ "$1" != ps ] || echo {running}\n')
    docker.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-s", "--", "the-id"], input=WAIT_SCRIPT, env=env, text=True, check=False, timeout=30)
    assert done.returncode == 0
    waited = [f"wait {running}"] if running else []
    assert (tmp_path / "asked").read_text().splitlines() == ["ps -q --filter label=sparkqfs.init=the-id", *waited]
    assert '--label "sparkqfs.init=$id"' in INIT_SCRIPT

"""remote/throw_away.sh: the container in which a state is read or opened, by a stand-in for docker."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from sparkqfs.jobs.storage.backup_streams import THROW_AWAY_SCRIPT

DOCKER = """#!/bin/sh
case $1-$2 in
  image-inspect) [ "$3" = here:1 ] ;;
  image-ls) printf 'id1 here:5000/spark/spark-master\\nid2 here:5000/spark/worker-node\\nid3 x/worker-node\\n' ;;
  run-*) printf '%s\\n' "$@" ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    return tmp_path


def run(folder: Path, image: str, source: str, *words: str, names: str = "") -> subprocess.CompletedProcess[str]:
    argv = (
        "sh",
        "-c",
        THROW_AWAY_SCRIPT,
        "sh",
        "spark",
        image,
        "6700:6700",
        "60",
        "256",
        source,
        "/data/qfs",
        names,
        *words,
    )
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(argv, env=path, capture_output=True, text=True, check=False, timeout=30)


def test_it_has_no_network_little_memory_an_end_and_a_name_that_it_can_look_up(folder: Path) -> None:
    words = run(folder, "here:1", "", "list-names", "state", "50").stdout.splitlines()
    assert words[words.index("here:1") :] == ["here:1", "-k", "5", "60", "list-names", "state", "50"]
    flags = dict(itertools.pairwise(words))
    wanted = {"--network": "none", "--hostname": "localhost", "--memory": "256m", "--memory-swap": "256m"}
    assert flags.items() >= (wanted | {"--user": "6700:6700", "--cap-drop": "ALL", "--entrypoint": "timeout"}).items()
    assert "--rm" in words and "-v" not in words


def test_a_directory_of_the_machine_can_only_be_read(folder: Path) -> None:
    words = run(folder, "here:1", str(folder), "metadata-state", "list", "/data/qfs").stdout.splitlines()
    assert words[words.index("-v") + 1] == f"{folder}:/data/qfs:ro"
    missing = run(folder, "here:1", str(folder / "none"), "metadata-state")
    assert missing.returncode == 69 and "there is no directory" in missing.stderr, "docker would make one"


def test_an_image_of_another_version_does_where_this_ones_is_not_there(folder: Path) -> None:
    assert "id2" in run(folder, "none", "", "x").stdout.splitlines()
    (folder / "docker").write_text(DOCKER.replace("worker-node", "other"))
    none = run(folder, "none", "", "x")
    assert none.returncode == 69 and "no image of cluster spark" in none.stderr


def test_the_metastores_directory_is_read_only_there_and_its_place_is_told(folder: Path) -> None:
    words = run(folder, "here:1", str(folder), "metadata-state", names=str(folder)).stdout.splitlines()
    assert f"{folder}:/data/metastore:ro" in words and f"{folder}:/data/qfs:ro" in words
    assert words[words.index("-e") + 1] == "SPARKQFS_CATALOGUE=/data/metastore"
    missing = run(folder, "here:1", str(folder), "metadata-state", names=f"{folder}/nothing").stdout
    assert "/data/metastore" not in missing, "a cluster that never had a metastore has its backups too"

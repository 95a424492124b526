"""The power goes after a storage has answered: with the shipped settings nothing is lost, without the syncs much is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkqfs.errors import ClusterError
from tests.storage.hdfs_cluster import HdfsCluster
from tests.storage.loop_disk import why_not
from tests.storage.power_cut import cut_hdfs, cut_qfs
from tests.storage.qfs_reader import find_tarball, unpack_programs

FILES = 100


@pytest.fixture(autouse=True)
def loop_mounts(tmp_path: Path) -> None:
    if why := why_not(tmp_path):
        pytest.skip(why)


@pytest.mark.long
@pytest.mark.parametrize("is_off", [False, True], ids=["with", "without"])
def test_qfs(is_off: bool, tmp_path: Path) -> None:
    tarball = find_tarball()
    if tarball is None:
        pytest.skip("no QFS tarball in the download cache or SPARKQFS_QFS_TARBALL")
    unpack_programs(tarball, tmp_path / "programs")
    home = tmp_path / "drill"
    home.mkdir()
    outcome = cut_qfs(tmp_path / "programs", home, FILES, is_off=is_off)
    assert outcome.acknowledged == FILES
    assert outcome.lost > 0 if is_off else outcome.lost == 0, outcome


@pytest.mark.long
@pytest.mark.parametrize("is_off", [False, True], ids=["with", "without"])
def test_hdfs(is_off: bool, tmp_path: Path) -> None:
    try:
        class_path = HdfsCluster.find_class_path()
    except ClusterError as error:
        pytest.skip(f"no Hadoop servers: {error}")
    outcome = cut_hdfs(class_path, tmp_path, FILES, is_off=is_off)
    assert outcome.acknowledged == FILES
    assert outcome.lost > 0 if is_off else outcome.lost == 0, outcome

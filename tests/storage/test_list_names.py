"""All names of a real namenode, and the same ones of a state of its metadata that another namenode is started on."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.errors import ClusterError
from sparkqfs_runtime.metadata import checking
from sparkqfs_runtime.metadata.kinds import KINDS
from tests.paths import PROGRAMS
from tests.storage.hdfs_cluster import HdfsCluster

DIRECTORIES = ("a b", "p%q", "p%2fq", "s;t", "plus+x", "line\nfeed", "é", "q?r#", "back\\slash", '"quoted"', "deep/er")
STATE = (sys.executable, str(PROGRAMS / "metadata-state"))
LIST = (sys.executable, str(PROGRAMS / "list-names"))


@dataclass(frozen=True)
class Namenode:
    """One that runs, and what its programs need."""

    top: Path
    port: str
    hadoop: Path

    def make(self, path: str) -> None:
        url = f"http://127.0.0.1:{self.port}/webhdfs/v1/{urllib.parse.quote(path)}?op=MKDIRS&user.name=root"
        urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=20).close()

    def running(self) -> list[str]:
        return lines_of(subprocess.run((*LIST, "running", "hdfs", str(self.top), "127.0.0.1", self.port, "30"),
                                       check=True, capture_output=True).stdout)  # fmt: skip

    def state(self, *place: str) -> list[str]:
        taken = subprocess.run((*STATE, "take-master", "hdfs", str(self.top)), check=True, capture_output=True).stdout
        environment = {**os.environ, "HADOOP_HOME": str(self.hadoop)}
        argv = (*LIST, "state", "60", "256", *place)
        return lines_of(subprocess.run(argv, check=True, input=taken, env=environment, capture_output=True).stdout)


def lines_of(packed: bytes) -> list[str]:
    return gzip.decompress(packed).decode().splitlines()


@pytest.fixture(scope="module")
def namenode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namenode]:
    try:
        class_path = HdfsCluster.find_class_path()
    except ClusterError as error:
        pytest.skip(f"no Hadoop: {error}")
    folder = tmp_path_factory.mktemp("hdfs")
    for name in ("home", "names", "data", "hadoop/lib"):
        (folder / name).mkdir(parents=True)
    for jar in map(Path, class_path.split(":")):
        (folder / "hadoop" / "lib" / jar.name).symlink_to(jar)
    with HdfsCluster(class_path, folder / "home", folder / "names", folder / "data", "true") as hdfs:
        yield Namenode(folder / "names", str(hdfs.http_port()), folder / "hadoop")


@pytest.mark.skipif(os.geteuid() != 0, reason="the superuser is who starts the namenode, here root")
def test_a_state_of_hdfs_has_the_names_that_the_namenode_had(namenode: Namenode) -> None:
    for name in DIRECTORIES:
        namenode.make(name)
    seen = namenode.running()
    names = [urllib.parse.unquote(row.split(" ")[1]) for row in seen[1:-1]]
    assert set(names) == {f"/{name}" for name in (*DIRECTORIES, "deep")} and len(names) == len(set(names))
    begin, end = json.loads(seen[0]), json.loads(seen[-1])
    assert begin["position"] == end["position"] and end["directories"] == len(names)
    namenode.make("later")
    log, size, _operation = end["position"]
    assert namenode.state(log, str(size))[1:-1] == seen[1:-1], "as it was then, and not as it is now"


def test_a_log_of_a_real_namenode_has_its_checksums(namenode: Namenode) -> None:
    kind: Any = KINDS["hdfs"]
    (log,) = kind.logs(namenode.top)
    size = sum(len(data) for data in whole(kind, log.path))
    assert size > 8
    file = checking.ToCheck(log.key, log.path, True, size, "")
    assert checking.damage(kind, file, lambda _count: None) is None


def whole(kind: Any, path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    yield data[: kind.whole(data, 0)]

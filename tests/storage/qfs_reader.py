"""What the tests of our Hadoop file system share: its compiled classes, and processes that read through them.

Needs a JDK, the QFS tarball (SPARKQFS_QFS_TARBALL or the download cache) and Hadoop's client of Maven Central; is
skipped with the reason otherwise.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from sparkqfs.clients.download import cache_directory, fetch_jars
from sparkqfs.errors import ClusterError
from sparkqfs.plan.storage.qfs import CLIENT_ENVIRONMENT
from tests.paths import JAVA, RUNTIME
from tests.storage.qfs_cluster import QfsCluster

SOURCES = RUNTIME / "java"
NODE = "127.0.0.2"
SIZE = 3_000_000
CHUNK = 67_108_864
CHUNK_HEADER = 16_384
NO_MEMORY = "QFS_CLIENT_DEFAULT_FATTR_REVALIDATE_TIME"
WANTED = re.compile(
    r"[^/]+/(lib/[^/]*\.(so[.0-9]*|jar)|bin/(metaserver|chunkserver|qfsfsck)|bin/tools/(qfs|qfsping)|webui/.*)"
)


@dataclass(frozen=True)
class Kit:
    """What the tests run."""

    qfs_home: Path
    class_path: str


def find_jars() -> tuple[Path, ...]:
    """Hadoop's client of Spark's own version and what it logs with, from the download cache or Maven Central."""
    try:
        return fetch_jars(JAVA / "jars.lock", offline=None, on_progress=lambda _done, _total: None)
    except ClusterError as error:
        pytest.skip(f"no Hadoop client: {error}")


def find_tarball() -> Path | None:
    """The user's own or the newest in the download cache."""
    named = os.environ.get("SPARKQFS_QFS_TARBALL")
    found = [Path(named)] if named else sorted(cache_directory().glob("qfs-*-x86_64.tgz"))
    return found[-1] if found else None


def unpack_programs(tarball: Path, target: Path) -> None:
    """QFS's daemons, its tools and its libraries."""
    with tarfile.open(tarball) as archive:
        for member in archive:
            if WANTED.fullmatch(member.name):
                member.name = member.name.split("/", 1)[1]
                archive.extract(member, target, filter="data")


def unpack_qfs(top: Path) -> Path:
    """Programs, libraries and the status server of the tarball; skips the test where there is none."""
    tarball = find_tarball()
    if tarball is None:
        pytest.skip("no QFS tarball in the download cache or SPARKQFS_QFS_TARBALL")
    unpack_programs(tarball, top)
    return top


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Our classes and the tests' driver, compiled as in the image; most of a minute, once a run."""
    return make_kit(tmp_path_factory.mktemp("kit"))


def make_kit(top: Path) -> Kit:
    """Skips without a JDK, the tarball or the jars."""
    tarball = find_tarball()
    if shutil.which("javac") is None:
        pytest.skip("no JDK (javac)")
    if tarball is None:
        pytest.skip("no QFS tarball in the download cache or SPARKQFS_QFS_TARBALL")
    jars = find_jars()
    unpack_programs(tarball, top / "qfs")
    path = ":".join(str(jar) for jar in [*jars, *(top / "qfs" / "lib").glob("*.jar")])
    parts = ("com", "sparkqfs/fs", "sparkqfs/hdfs")
    ours = [str(path) for part in parts for path in sorted((SOURCES / part).rglob("*.java"))]
    classes = str(top / "classes")
    drivers = [str(path) for path in sorted(JAVA.rglob("*.java"))]
    for sources, class_path in ((ours, path), (drivers, f"{path}:{classes}")):
        argv = ("javac", "-Xlint:all,-classfile,-path", "-Werror", "-cp", class_path, "-d", classes, *sources)
        subprocess.run(argv, check=True)
    return Kit(top / "qfs", f"{classes}:{path}")


ABORTED = b"poll add waker fd"
"""QFS's client says so before it ends its process."""


class Driver:
    """A process that answers commands, one a line."""

    def __init__(self, kit: Kit, log: Path, environment: Mapping[str, str], *program: str) -> None:
        argv = ("java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", kit.class_path, *program)
        self.log = log.open("ab")
        self.path = log
        self._argv, self._environment = argv, environment
        self.process = self._started()

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._argv,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def start_again(self) -> bool:
        """A new process, where QFS's own client has ended the last one.

        2.2.8 aborts when a busy machine does not let it watch one more file (qcdio/QCFdPoll.cpp): rare, and no answer.
        """
        if self.process.wait(30) != -signal.SIGABRT or ABORTED not in self.path.read_bytes()[-2000:]:
            return False
        self.process = self._started()
        return True

    def __call__(self, *words: object, deadline_s: float = 90.0) -> str:
        """The answer to a command. Raises AssertionError when there is none in time or the command failed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(deadline_s), f"no answer to {words}"
        line = self.process.stdout.readline()
        if not line:
            raise BrokenPipeError(f"{words}: the process has ended")
        answer = line.strip()
        assert not answer.startswith("failed"), f"{words}: {answer}"
        return answer

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
        self.log.close()


def node_environment(cluster: QfsCluster) -> dict[str, str]:
    """Of a process in the container of the chunkserver at NODE."""
    return cluster.environment | {
        NO_MEMORY: CLIENT_ENVIRONMENT[NO_MEMORY],
        "NODE_IP": NODE,
        "SPARKQFS_CHUNK_DIRS": " ".join(str(path) for path in cluster.chunk_dirs(NODE)),
    }


class Reader(Driver):
    """Reads through ours and upstream's, as if it ran in the container of the chunkserver at NODE."""

    def __init__(self, kit: Kit, cluster: QfsCluster, user: str = "") -> None:
        log = cluster.home / "driver.log"
        super().__init__(kit, log, node_environment(cluster), "ReadDifference", cluster.uri, *([user] if user else []))

    def counters(self) -> dict[str, int]:
        """Bytes by origin, and doubts by reason."""
        answer = json.loads(self("counters"))
        assert answer["host"] == NODE
        doubts: dict[str, int] = answer["doubts"]
        return {key: int(answer[key]) for key in ("local", "remote", "fallback")} | doubts

    def sources(self) -> dict[str, int]:
        """Remote and fallback bytes by the nodes that may have given them; together they are all of them."""
        answer = json.loads(self("counters"))
        assert sum(answer["sources"].values()) == answer["remote"] + answer["fallback"]
        return dict(answer["sources"])

    def during(self, action: Callable[[], object]) -> dict[str, int]:
        """What the counters gained while `action` ran."""
        before = self.counters()
        action()
        after = self.counters()
        return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}

    def open(self, path: str) -> None:
        """Both streams, under the name of the path."""
        assert self("open", path, path) == "LocalReadInputStream | QFSInputStream"

    def same(self, path: str, count: int, seed: int, limit: int | None = None) -> None:
        """`count` random reads of all kinds, none of which may differ."""
        answer = self("random", path, count, seed, 300_000, *([limit] if limit else []))
        assert "differences 0" in answer, answer


@pytest.fixture(scope="module")
def cluster(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QfsCluster]:
    """Three nodes."""
    with QfsCluster(kit.qfs_home, tmp_path_factory.mktemp("qfs")) as running:
        yield running


@pytest.fixture(scope="module")
def reader(kit: Kit, cluster: QfsCluster) -> Iterator[Reader]:
    """One driver for the module."""
    process = Reader(kit, cluster)
    yield process
    process.close()


@pytest.fixture(scope="module")
def inside(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """The classes of the package, one at a time."""
    driver = Driver(kit, tmp_path_factory.mktemp("inside") / "log", os.environ, "sparkqfs.fs.Inside")
    yield driver
    driver.close()


def file_id(chunk: Path) -> int:
    """The first part of the name; a later file has a higher one."""
    return int(chunk.name.split(".")[0])


def put(cluster: QfsCluster, reader: Reader, path: str, copies: int = 3) -> Path:
    """Writes until one copy is on NODE; its chunk file."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        last = max((file_id(file) for node in cluster.addresses for file in cluster.chunk_files(node)), default=0)
        reader("write", path, SIZE, 1, copies)
        new = [file for file in cluster.chunk_files(NODE) if file_id(file) > last]
        if new:
            return new[0]
        time.sleep(0.5)
    raise TimeoutError(f"no copy of {path} on {NODE}")


def flip(file: Path, offset: int) -> None:
    """Changes one bit on the disk."""
    with file.open("r+b") as chunk:
        chunk.seek(offset)
        byte = chunk.read(1)[0]
        chunk.seek(offset)
        chunk.write(bytes([byte ^ 1]))

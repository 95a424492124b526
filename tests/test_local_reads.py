"""Our Hadoop file system against upstream's, on a real metaserver and chunkservers, while the files are disturbed.

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
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from qfs_cluster import QfsCluster

from sparkqfs.clients.download import fetch_jars
from sparkqfs.errors import ClusterError
from sparkqfs.plan.storage.qfs import CLIENT_ENVIRONMENT

HERE = Path(__file__).parent
SOURCES = HERE.parent / "docker" / "worker-node" / "java"
NODE = "127.0.0.2"
SIZE = 3_000_000
CHUNK_HEADER = 16_384
NO_MEMORY = "QFS_CLIENT_DEFAULT_FATTR_REVALIDATE_TIME"
WANTED = re.compile(r"[^/]+/(lib/[^/]*\.(so[.0-9]*|jar)|bin/(metaserver|chunkserver)|bin/tools/(qfs|qfsping))")


@dataclass(frozen=True)
class Kit:
    """What the tests run."""

    qfs_home: Path
    class_path: str


def find_jars() -> tuple[Path, ...]:
    """Hadoop's client of Spark's own version and what it logs with, from the download cache or Maven Central."""
    try:
        return fetch_jars(HERE / "java" / "jars.lock", offline=None, on_progress=lambda _done, _total: None)
    except ClusterError as error:
        pytest.skip(f"no Hadoop client: {error}")


def find_tarball() -> Path | None:
    """The user's own or the newest in the download cache."""
    named = os.environ.get("SPARKQFS_QFS_TARBALL")
    found = [Path(named)] if named else sorted((Path.home() / ".cache" / "sparkqfs").glob("qfs-*-x86_64.tgz"))
    return found[-1] if found else None


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Our classes and the tests' driver, compiled as in the image."""
    tarball = find_tarball()
    if shutil.which("javac") is None:
        pytest.skip("no JDK (javac)")
    if tarball is None:
        pytest.skip("no QFS tarball in the download cache or SPARKQFS_QFS_TARBALL")
    jars = find_jars()
    top = tmp_path_factory.mktemp("kit")
    with tarfile.open(tarball) as archive:
        for member in archive:
            if WANTED.fullmatch(member.name):
                member.name = member.name.split("/", 1)[1]
                archive.extract(member, top / "qfs", filter="data")
    path = ":".join(str(jar) for jar in [*jars, *(top / "qfs" / "lib").glob("*.jar")])
    ours = [str(path) for part in ("com", "sparkqfs/fs") for path in sorted((SOURCES / part).rglob("*.java"))]
    classes = str(top / "classes")
    for sources, class_path in ((ours, path), ([str(HERE / "java" / "ReadDifference.java")], f"{path}:{classes}")):
        argv = ("javac", "-Xlint:all,-classfile,-path", "-Werror", "-cp", class_path, "-d", classes, *sources)
        subprocess.run(argv, check=True)
    return Kit(top / "qfs", f"{classes}:{path}")


class Reader:
    """The driver's process, as if it ran in the container of the chunkserver at NODE."""

    def __init__(self, kit: Kit, cluster: QfsCluster, user: str = "") -> None:
        environment = cluster.environment | {
            NO_MEMORY: CLIENT_ENVIRONMENT[NO_MEMORY],
            "NODE_IP": NODE,
            "SPARKQFS_CHUNK_DIRS": " ".join(str(path) for path in cluster.chunk_dirs(NODE)),
        }
        argv = ["java", "-Xmx512m", "-cp", kit.class_path, "ReadDifference", cluster.uri, *([user] if user else [])]
        self.log = (cluster.home / "driver.log").open("ab")
        self.process = subprocess.Popen(
            argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True
        )

    def __call__(self, *words: object, deadline_s: float = 90.0) -> str:
        """The answer to a command. Raises AssertionError when there is none in time or the command failed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(deadline_s), f"no answer to {words}"
        answer = self.process.stdout.readline().strip()
        assert not answer.startswith("failed"), f"{words}: {answer}"
        return answer

    def counters(self) -> dict[str, int]:
        """Bytes by origin, and doubts by reason."""
        answer = json.loads(self("counters"))
        assert answer["host"] == NODE
        return {key: answer[key] for key in ("local", "remote", "fallback")} | answer["doubts"]

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

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
        self.log.close()


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


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 262_144, 5_000_001])
def test_every_kind_of_read_gives_what_upstream_gives(reader: Reader, size: int) -> None:
    reader("write", f"/size{size}", size, size, 3)
    reader.open(f"/size{size}")
    reader.same(f"/size{size}", 600, size)
    assert "differences 0" in reader("scan", f"/size{size}")
    assert reader("close", f"/size{size}").split()[0] == "0"


def test_reads_over_chunk_borders_and_from_four_threads_are_the_same_and_all_local(
    cluster: QfsCluster, reader: Reader
) -> None:
    reader("write", "/big", 150_000_007, 2, 3)
    assert [len(hosts) for hosts in cluster.locations("/big", 150_000_007) if NODE in hosts] == [3, 3, 3]
    reader.open("/big")
    before = int(reader("statistics"))
    gained = reader.during(lambda: reader.same("/big", 6_000, 4))
    assert set(gained) == {"local"}
    assert int(reader("statistics")) - before == gained["local"]
    assert "differences 0" in reader("scan", "/big")
    assert "differences 0" in reader("threads", "/big", 60)
    assert reader("close", "/big").split()[0] == "0"


def test_a_copy_elsewhere_is_read_through_upstream_and_counted_as_remote(cluster: QfsCluster, reader: Reader) -> None:
    for number in range(20):
        reader("write", f"/one{number}", SIZE, 1, 1)
        if NODE not in cluster.locations(f"/one{number}", SIZE)[-1]:
            break
    reader.open(f"/one{number}")
    assert set(reader.during(lambda: reader.same(f"/one{number}", 300, 1))) == {"remote"}


def test_a_file_keeps_its_length_while_it_is_appended_to(reader: Reader) -> None:
    reader("write", "/append", SIZE, 1, 3)
    reader.open("/append")
    reader.same("/append", 50, 1)
    reader("append", "/append", 700_000, 9)
    reader.same("/append", 300, 2)
    reader.open("/append")
    reader.same("/append", 300, 3, limit=1_500_000)


@pytest.mark.parametrize("change", ["write {} 3000000 2 3", "write {} 1000000 2 2", "delete {}"])
@pytest.mark.parametrize("reads_before", [0, 50])
def test_an_open_file_that_is_replaced_or_deleted_reads_as_upstream_reads_it(
    reader: Reader, change: str, reads_before: int
) -> None:
    path = f"/changed{reads_before}{change.replace(' ', '-').replace('{}', '')}"
    reader("write", path, SIZE, 1, 3)
    reader.open(path)
    reader.same(path, reads_before, 1)
    reader(*change.format(path).split())
    reader.same(path, 200, 2)
    if "write" in change:
        reader.open(path)
        reader.same(path, 200, 3)


@pytest.mark.parametrize(
    ("reason", "damage"),
    [
        ("CHECKSUM", lambda file: flip(file, CHUNK_HEADER + 1_000_000)),
        ("HEADER", lambda file: flip(file, 100)),
        ("SHORT", lambda file: os.truncate(file, CHUNK_HEADER + 2_000_000)),
        ("HEADER", lambda file: os.truncate(file, 1_000)),
        ("MISSING", lambda file: file.unlink()),
    ],
)
def test_a_damaged_replica_is_seen_and_left_to_upstream(
    cluster: QfsCluster, reader: Reader, reason: str, damage: Callable[[Path], None]
) -> None:
    for _ in range(3):  # when upstream reads the damaged replica first, the chunkserver takes it away
        path = f"/{reason}{time.monotonic_ns()}"
        damage(put(cluster, reader, path))
        reader.open(path)
        gained = reader.during(lambda path=path: reader.same(path, 400, 1))
        if reason in gained:
            break
    assert gained.get(reason, 0) >= 1, gained
    assert gained["fallback"] > 0
    assert "differences 0" in reader("scan", path)


def test_damage_after_the_chunk_was_opened_is_seen_too(cluster: QfsCluster, reader: Reader) -> None:
    file = put(cluster, reader, "/later")
    reader.open("/later")
    reader.same("/later", 50, 1)
    for block in range(0, SIZE, 65_536):
        flip(file, CHUNK_HEADER + block)
    gained = reader.during(lambda: reader.same("/later", 200, 2))
    assert gained.keys() & {"CHECKSUM", "CHANGED"}


def test_a_chunk_file_that_vanishes_is_left_to_upstream(cluster: QfsCluster, reader: Reader) -> None:
    file = put(cluster, reader, "/vanish")
    reader.open("/vanish")
    reader.same("/vanish", 50, 1)
    file.unlink()
    assert reader.during(lambda: reader.same("/vanish", 200, 2))["CHANGED"] == 1


def test_a_chunk_in_two_directories_is_left_to_upstream(cluster: QfsCluster, reader: Reader) -> None:
    file = put(cluster, reader, "/twice")
    other = next(path for path in cluster.chunk_dirs(NODE) if path != file.parent)
    shutil.copy(file, other)
    reader.open("/twice")
    assert reader.during(lambda: reader.same("/twice", 200, 1))["DUPLICATE"] == 1
    (other / file.name).unlink()


def test_a_striped_file_is_upstreams(cluster: QfsCluster, reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(os.urandom(1_000_000))
    cluster.run("-D", "fs.createParams=1,6,3,65536,2", "-put", str(tmp_path / "blob"), "/striped")
    assert reader.during(lambda: reader("open", "/striped", "/striped")) == {"STRIPED": 1}
    reader.same("/striped", 200, 1)
    put(cluster, reader, "/plain")
    assert (reader("striped", "/striped"), reader("striped", "/plain")) == ("true", "false")


def test_a_hole_is_upstreams(reader: Reader) -> None:
    reader("sparse", "/sparse")
    reader.open("/sparse")
    assert reader.during(lambda: reader.same("/sparse", 20, 1, limit=20_000_000))["HOLE"] == 1


def test_a_missing_path_and_a_directory_open_as_upstream_opens_them(reader: Reader) -> None:
    ours, upstreams = reader("open", "/no/such", "missing").split(" | ")
    assert ours == upstreams
    assert ours.startswith("java.io.FileNotFoundException")
    assert reader("open", "/", "directory") == "QFSInputStream | QFSInputStream"


def test_a_directory_that_another_client_has_made_anew_is_written_to_at_once(
    cluster: QfsCluster, reader: Reader
) -> None:
    """As when one job after the other appends to a table: the driver removes `_temporary`, executors remember it."""
    for number in range(3):
        reader("write", f"/anew/_temporary/0/task-{number}/file", 1000, number, 1)
        cluster.run("-rmr", "-skipTrash", "/anew/_temporary")
        cluster.run("-mkdir", "/anew/_temporary/0")


def test_a_silent_metaserver_is_not_waited_for_long(cluster: QfsCluster, reader: Reader) -> None:
    reader("write", "/silent", SIZE, 1, 3)
    reader.open("/silent")
    meta = cluster.processes["meta"]
    meta.send_signal(signal.SIGSTOP)
    awake = threading.Timer(5.0, meta.send_signal, (signal.SIGCONT,))
    awake.start()
    assert reader.during(lambda: reader.same("/silent", 100, 1))["METASERVER"] >= 1
    awake.join()


def test_nobody_reads_more_than_qfs_lets_them(kit: Kit, cluster: QfsCluster, reader: Reader) -> None:
    reader("write", "/private", SIZE, 1, 3)
    cluster.run("-chmod", "0600", "/private")
    stranger = Reader(kit, cluster, user="4711")
    try:
        ours, upstreams = stranger("open", "/private", "x").split(" | ")
        assert ours == upstreams
        assert "ermission denied" in ours
        cluster.run("-chmod", "0644", "/private")
        stranger.open("/private")
        stranger.same("/private", 100, 1)
    finally:
        stranger.close()


@pytest.mark.parametrize("copies", [1, 2, 3])
@pytest.mark.parametrize("how", ["write", "in-parent"])
def test_files_get_as_many_copies_as_are_asked_for(cluster: QfsCluster, reader: Reader, copies: int, how: str) -> None:
    path = f"/copies-{how}-{copies}"
    if how == "write":
        reader("write", path, SIZE, 1, copies)
        cluster.wait(lambda: len(cluster.locations(path, SIZE)[-1]) == copies, f"{copies} copies")
    else:
        reader("create", path, copies, how)
    assert reader("status", path).split()[1] == str(copies)


def test_the_setting_is_the_default_for_file_systems_and_file_contexts(reader: Reader) -> None:
    assert reader("create", "/by-default", 0, "default") == "2"
    assert reader("create", "/by-context", 0, "context") == "2 LocalReadInputStream"


def test_a_replica_that_moves_away_is_followed(kit: Kit, tmp_path: Path) -> None:
    with QfsCluster(kit.qfs_home, tmp_path / "qfs") as cluster:
        reader = Reader(kit, cluster)
        try:
            file = put(cluster, reader, "/moved", copies=1)
            reader.open("/moved")
            # Through ours alone: upstream's reader holds a lease, and a leased chunk stays for minutes.
            assert reader.during(lambda: reader("first", "/moved")) == {"local": 1000}
            (file.parent / "evacuate").touch()
            cluster.wait(lambda: not file.exists(), "empty directory", 120)
            reader.same("/moved", 200, 3)
            time.sleep(5.5)
            assert set(reader.during(lambda: reader.same("/moved", 200, 4))) == {"remote"}
        finally:
            reader.close()


def test_the_disk_of_a_chunkserver_that_is_gone_is_not_read_for_long(cluster: QfsCluster, reader: Reader) -> None:
    put(cluster, reader, "/gone", copies=2)
    reader.open("/gone")
    reader.same("/gone", 50, 1)
    cluster.stop_server(NODE, signal.SIGKILL)
    try:
        reader.same("/gone", 100, 2)
        cluster.wait(lambda: cluster.up_servers() == 2, "metaserver that has noticed")
        time.sleep(5.5)
        assert set(reader.during(lambda: reader.same("/gone", 200, 3))) == {"remote"}
    finally:
        cluster.start_server(NODE)
        cluster.wait_for_servers(3)


def test_a_scheduler_is_told_of_the_hosts_that_have_most_of_the_neighbouring_chunks(
    cluster: QfsCluster, reader: Reader
) -> None:
    reader("write", "/large", 5 * 67_108_864, 7, 2)
    ours, theirs = ([block.split(",") for block in part.split()] for part in reader("hosts", "/large").split(" | "))
    assert [len(set(block)) for block in theirs] == [2] * 5
    for index, block in enumerate(theirs):
        beside = [theirs[other] for other in (index - 1, index + 1) if 0 <= other < len(theirs)]
        held = {host: sum(host in other for other in beside) for host in block}
        assert sorted(ours[index]) == sorted(host for host in block if held[host] == max(held.values()))

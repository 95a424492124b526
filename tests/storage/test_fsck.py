"""`invoke fsck` against a real metaserver, real chunkservers, a real namenode: what it says of lost and short files."""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import StorageConfig
from sparkqfs.errors import ClusterError
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import fsck
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.storage.hdfs import Hdfs
from sparkqfs.plan.storage.qfs import Qfs
from sparkqfs_runtime import trash
from sparkqfs_runtime.fsck import qfs as checker
from tests.doubles.servers import engine_machine, serve
from tests.doubles.stack_pages import SERVICES, engine_of
from tests.paths import JAVA, PROGRAMS
from tests.storage.flips import scrub
from tests.storage.hdfs_cluster import HdfsCluster
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import unpack_qfs
from tests.storage.status_page import until

SERVERS = ("127.0.0.2", "127.0.0.3")
NAMES = (b"/tab\there", "/rtl\u202egpj.exe".encode(), b"/esc\x1b[31m", b"/B", b"/dir/below it")


def asked(folder: Path, kind: Any, master: str, address: str, **values: Any) -> JobResult:
    """`invoke fsck` of a machine whose containers are the machine itself."""
    engine = engine_of(*SERVICES, master, address=address)
    with serve(engine) as port, engine_machine(folder, port) as server:
        config = server.cluster(folder / "known_hosts", storage=StorageConfig(kind=kind, replication=2))
        clients = Clients(config)
        try:
            return fsck.run(Session(config, clients, lambda _: None), **({"most": 100, "timeout_s": 60} | values))
        finally:
            clients.close()


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsck, "PROGRAM", str(PROGRAMS / "fsck"))
    monkeypatch.setattr(fsck, "SCRUB", str(PROGRAMS / "scrub"))


@pytest.fixture(scope="module")
def qfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QfsCluster]:
    home = unpack_qfs(tmp_path_factory.mktemp("qfs"))
    with QfsCluster(home, tmp_path_factory.mktemp("home"), addresses=SERVERS) as running:
        data = running.home / "data"
        data.write_bytes(os.urandom(100_000))
        running.run("-mkdir", "/dir")
        for name in (b"/two", *NAMES):
            put(running, name, 2)
        put(running, b"/one", 1)
        running.run("-chmod", "0700", "/dir")
        running.run("-chown", "1234:1234", "/dir")  # of somebody else, who lets nobody look
        yield running


def put(qfs: QfsCluster, name: bytes, copies: int) -> None:
    tool = str(qfs.qfs_home / "bin" / "tools" / "qfs")
    argv = (tool, "-fs", qfs.uri, "-D", f"fs.createParams={copies}", "-put", str(qfs.home / "data"), name)
    subprocess.run(argv, check=True, env=qfs.environment, capture_output=True, timeout=60)


def test_on_qfs_short_and_lost_files_are_named_with_their_copies(
    qfs: QfsCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Qfs, "check_port", qfs.client_port)
    well = asked(tmp_path, "qfs", "qfs-master", SERVERS[0])
    assert (well.exit_code, well.document["lost_files"], well.document["damaged"]) == (1, 0, [])
    assert [problem.what.partition(": ")[0] for problem in well.problems] == [
        "whether copies here are damaged is not known"
    ]
    unknown: Any = well.document["scrub"]
    assert [one["node"] for one in unknown] == ["node1"] and "No such file" in unknown[0]["error"]
    monkeypatch.setattr(Qfs, "scrub_state", str(qfs.home / f"{SERVERS[0]}.scrub.json"))
    scrub(qfs, SERVERS[0])
    count = len(qfs.chunk_files(SERVERS[0]))
    well = fresh(tmp_path, SERVERS[0])
    text = well.text
    assert well.exit_code == 0 and "scrub  node1: ended 20" in text and f": {count} chunks, 0 damaged" in text
    holder, other = sorted(SERVERS, key=lambda address: -len(qfs.chunk_files(address)))

    qfs.stop_server(other)
    short = until_seen(tmp_path, holder, "short_files")
    assert (short.exit_code, short.document["lost_files"], short.document["short_files"]) == (1, 0, 6)
    assert {one["path"].encode() for one in short.document["damaged"]} == {b"/two", *NAMES}
    copies = [block["copies"] for one in short.document["damaged"] for block in one["blocks"]]
    assert copies == [[{"node": "node1", "address": holder, "state": "live"}]] * 6
    assert re.search(r"^short  /rtl\\u202egpj\.exe$", short.text, re.MULTILINE)
    (problem,) = short.problems
    assert "6 files with too few copies: 6 chunks" in problem.what

    monkeypatch.setattr(checker, "ENTRIES", 4)  # as a large directory: in several answers, with questions between
    assert checker.check("127.0.0.1", qfs.client_port, 100, 60.0).short_files == 6
    bounded = fresh(tmp_path, holder, most=2)
    assert (len(bounded.document["damaged"]), bounded.document["short_files"]) == (2, 6)
    assert bounded.document["files_not_shown"] == 4

    qfs.start_server(other)
    QfsCluster.wait(lambda: qfs.up_servers() == 2, "chunkserver")
    qfs.stop_server(holder)
    lost = until_seen(tmp_path, other, "lost_files")
    assert (lost.exit_code, lost.document["lost_files"], lost.document["short_files"]) == (1, 1, 6)
    assert (lost.document["damaged"][0]["path"], lost.document["damaged"][0]["state"]) == ("/one", "lost")
    assert "1 file: 1 chunk without a good copy" in lost.problems[0].what
    assert "invoke rm" in (lost.problems[0].hint or "")

    qfs.run("-rm", "-skipTrash", "/one")
    removed = fresh(tmp_path, other)
    assert (removed.document["lost_files"], removed.document["short_files"]) == (0, 6)


def fresh(folder: Path, address: str, **values: Any) -> Any:
    """The task again, on a machine of its own."""
    return asked(Path(tempfile.mkdtemp(dir=folder)), "qfs", "qfs-master", address, **values)


def until_seen(folder: Path, address: str, key: str) -> Any:
    """The first report that counts some."""

    def look() -> Any:
        seen = fresh(folder, address)
        return seen.document[key] and seen

    return until(look, key)


def test_a_metaserver_that_does_not_answer_is_no_clean_bill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Qfs, "check_port", 1)
    with pytest.raises(ClusterError, match="Connection refused"):
        asked(tmp_path, "qfs", "qfs-master", SERVERS[0])


def test_a_stack_without_the_program_is_told_to_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsck, "PROGRAM", "/opt/none/bin/fsck")
    with pytest.raises(ClusterError, match="invoke deploy"):
        asked(tmp_path, "qfs", "qfs-master", SERVERS[0])


def test_a_shared_directory_says_that_it_has_no_check(tmp_path: Path) -> None:
    found = asked(tmp_path, "shared", "spark-master", SERVERS[0])
    assert (found.exit_code, found.document["checks"], found.text.count("\n")) == (0, False, 0)


@pytest.fixture(scope="module")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HdfsCluster]:
    top = tmp_path_factory.mktemp("hdfs")
    for name in ("home", "name", "data"):
        (top / name).mkdir()
    try:
        class_path = HdfsCluster.find_class_path()
    except ClusterError as error:
        pytest.skip(f"no Hadoop: {error}")
    with HdfsCluster(class_path, top / "home", top / "name", top / "data", "false") as running:
        argv = running.java("-Dfile.encoding=UTF-8", str(JAVA / "NamedFiles.java"), running.uri)
        subprocess.run(argv, check=True, capture_output=True, timeout=120)
        yield running


def test_on_hdfs_short_and_lost_files_are_named_with_their_copies(
    hdfs: HdfsCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hdfs, "check_port", hdfs.http_port())
    with urllib.request.urlopen(f"http://127.0.0.1:{hdfs.http_port('datanode')}/blockScannerReport") as page:
        assert b"Block Scanner Statistics" in page.read()  # else: Periodic block scanner is not running
    found: Any = asked(tmp_path, "hdfs", "hdfs-namenode", "127.0.0.1")
    assert (found.exit_code, found.document["lost_files"], found.document["short_files"]) == (1, 0, 3)
    names = {one["path"] for one in found.document["damaged"]}
    assert names == {"/two", "/new\nline", "/rtl\u202egpj.exe"}
    assert "short  /new\\nline" in found.text
    for one in found.document["damaged"]:
        (block,) = one["blocks"]
        assert (one["copies_asked"], one["bytes"]) == (2, 1000)
        assert block["copies"] == [{"node": "node1", "address": "127.0.0.1", "state": "live"}]
    (block_file,) = [path for path in (hdfs.home.parent / "data").rglob("blk_*") if path.stat().st_size == 777]
    block_file.unlink()
    read_file(hdfs, "/one")
    words = (sys.executable, str(PROGRAMS / "fsck"), "hdfs", "127.0.0.1", str(hdfs.http_port()), "5", "60")

    def lost() -> Any:
        answer = subprocess.run(words, check=True, capture_output=True, timeout=60).stdout
        return (seen := json.loads(answer))["lost_files"] and seen

    seen = until(lost, "the loss", 60)
    assert (seen["lost_files"], seen["short_files"], seen["lost_blocks"]) == (1, 3, 1)
    assert seen["damaged"][0]["state"] == "lost" and seen["damaged"][0]["size"] == 777


def read_file(hdfs: HdfsCluster, path: str) -> None:
    """A read that fails makes the client report the block."""
    argv = hdfs.java("org.apache.hadoop.fs.FsShell", "-Ddfs.client.max.block.acquire.failures=0", "-cat", path)
    subprocess.run(argv, check=False, capture_output=True, timeout=120)


def test_what_qfs_own_tool_removed_is_gone_after_eight_days(qfs: QfsCluster) -> None:
    home, day = f"/user/{getpass.getuser()}", timedelta(days=1)
    qfs.run("-mkdir", "/user", home, f"{home}/a dir")
    put(qfs, f"{home}/a dir/file".encode(), 1)
    qfs.run("-rm", f"{home}/a dir/file")
    now = datetime.now(UTC)
    said: list[str] = []
    for days in (0, 1, 6):
        trash.empty_all(qfs.run, now + days * day, said.append)
        assert "a dir/file" in qfs.run("-lsr", f"{home}/.Trash"), f"after {days} days"
    trash.empty_all(qfs.run, now + 8 * day, said.append)
    assert [text.partition(":")[0] for text in said] == [f"removed {home}/.Trash/{now:%y%m%d%H%M}"]
    assert qfs.run("-lsr", f"{home}/.Trash") == ""

"""A real metaserver and real chunkservers: what status says of a lost file and of missing copies."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.plan.steps import JobResult
from tests.doubles.servers import closed_port, engine_machine, serve
from tests.doubles.stack_pages import SERVICES, engine_of, look, other_pages
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import unpack_qfs
from tests.storage.status_page import status_page, until

SERVERS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")
Look = Callable[[], JobResult]


@pytest.fixture(scope="module")
def qfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QfsCluster]:
    home = unpack_qfs(tmp_path_factory.mktemp("qfs"))
    with QfsCluster(home, tmp_path_factory.mktemp("home"), addresses=SERVERS) as running:
        yield running


@pytest.fixture(scope="module")
def look_now(qfs: QfsCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., JobResult]]:
    """`invoke status` of a machine on which these daemons run."""
    folder = tmp_path_factory.mktemp("machine")
    engine = engine_of(*SERVICES, "qfs-master", address=SERVERS[0])
    with (
        status_page(qfs) as port,
        other_pages(*SERVERS) as pages,
        serve(engine) as engine_port,
        engine_machine(folder, engine_port) as server,
    ):
        yield lambda **ports: look(server, folder, "qfs", pages | {"qfs_ui": port} | ports)


def put(qfs: QfsCluster, folder: Path, name: str, copies: int) -> list[tuple[str, Path]]:
    """A small file; the address and the path of each of its chunk's copies."""
    (folder / "data").write_bytes(os.urandom(100_000))

    def chunks() -> set[tuple[str, Path]]:
        return {(address, path) for address in SERVERS for path in qfs.chunk_files(address)}

    before = chunks()
    qfs.run("-D", f"fs.createParams={copies}", "-put", str(folder / "data"), name)
    QfsCluster.wait(lambda: len(chunks() - before) == copies, "chunks")
    return sorted(chunks() - before)


def restart(qfs: QfsCluster, address: str) -> None:
    """And wait until the metaserver has seen it go: what it says of its servers is up to 2 s old."""
    qfs.stop_server(address)
    QfsCluster.wait(lambda: qfs.up_servers() == len(SERVERS) - 1, "end of a chunkserver")
    qfs.start_server(address)
    QfsCluster.wait(lambda: qfs.up_servers() == len(SERVERS), "chunkserver")


@contextlib.contextmanager
def no_copies_made(qfs: QfsCluster) -> Iterator[None]:
    """As long as it lasts, so that what needs a copy can be seen however slow this computer is."""
    config = qfs.home / "meta.prp"
    text = config.read_text()
    limit = "metaServer.maxConcurrentWriteReplicationsPerNode"
    try:
        qfs.configure(f"{text}\n{limit} = 0\n")
        yield
    finally:
        qfs.configure(f"{text}\n{limit} = 5\n")


def in_the_container(qfs: QfsCluster, command: str) -> str:
    """Run what status says, with the metaserver that is here instead of the one in a container."""
    line = command.partition(") ")[2].replace("-p 20000", f"-p {qfs.client_port}")
    environment = {**qfs.environment, "PATH": f"{qfs.qfs_home}/bin:{os.environ['PATH']}"}
    argv = ("sh", "-c", line)
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout


def storage_in(result: JobResult) -> Any:
    return result.document["storage"]


def test_a_chunk_that_a_restarted_chunkserver_no_longer_has_is_a_problem(
    qfs: QfsCluster, look_now: Look, tmp_path: Path
) -> None:
    ((address, chunk),) = put(qfs, tmp_path, "/only copy", 1)
    put(qfs, tmp_path, "/other", 1)
    well = look_now()
    assert [str(problem) for problem in well.problems] == []
    assert well.document["state"] == "healthy" and storage_in(well)["lost_files"] == 0

    chunk.unlink()
    restart(qfs, address)
    lost = until(lambda: storage_in(seen := look_now()).get("lost_files") and seen, "word of the loss")
    assert (lost.exit_code, lost.document["state"], storage_in(lost)["lost_files"]) == (1, "degraded", 1)
    (problem,) = lost.problems
    assert "1 file cannot be read" in problem.what
    command = (problem.hint or "").split("`")[3]
    assert command.startswith("docker exec $(docker ps -qf name=spark_qfs-master) qfsfsck -m 127.0.0.1 ")
    said = in_the_container(qfs, command)
    assert said.count("\n") == 1 and said.endswith(" /only copy\n")

    qfs.run("-rm", "-skipTrash", "/only copy")
    well = until(lambda: (seen := look_now()).exit_code == 0 and seen, "health after the file was removed")
    assert (well.document["state"], well.document["storage"]["lost_blocks"]) == ("healthy", 0)


def test_a_copy_that_is_being_made_again_is_recovery(qfs: QfsCluster, look_now: Look, tmp_path: Path) -> None:
    (address, chunk), _ = put(qfs, tmp_path, "/two", 2)
    chunk.unlink()
    with no_copies_made(qfs):
        restart(qfs, address)
        found = until(lambda: (seen := look_now()).document["state"] == "recovering" and seen, "recovery")
        assert (found.exit_code, found.problems) == (0, ())
        storage = found.document["storage"]
        assert (storage["copies_missing"], storage["files_with_one_copy_left"]) == (1, 1)
    until(lambda: look_now().document["state"] == "healthy", "second copy")


def test_a_metaserver_that_does_not_answer_is_said_and_not_called_a_loss(look_now: Callable[..., JobResult]) -> None:
    found = look_now(qfs_ui=closed_port())
    assert [problem.what.partition(":")[0] for problem in found.problems] == ["QFS"]
    assert found.exit_code == 1

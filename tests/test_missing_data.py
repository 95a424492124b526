"""A real metaserver and a real chunkserver: a file whose only chunk is gone is a problem."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from qfs_cluster import QfsCluster
from qfs_reader import unpack_qfs
from servers import closed_port, engine_machine, serve
from status_page import SERVICES, engine_of, look, other_pages, status_page, until

ADDRESS = "127.0.0.2"


@pytest.fixture(scope="module")
def qfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QfsCluster]:
    home = unpack_qfs(tmp_path_factory.mktemp("qfs"))
    with QfsCluster(home, tmp_path_factory.mktemp("home"), addresses=(ADDRESS,)) as running:
        yield running


def test_status_says_what_a_restarted_chunkserver_no_longer_has(qfs: QfsCluster, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(os.urandom(100_000))
    before = set(qfs.chunk_files(ADDRESS))
    qfs.run("-D", "fs.createParams=1", "-put", str(tmp_path / "data"), "/only copy")
    qfs.run("-D", "fs.createParams=1", "-put", str(tmp_path / "data"), "/other")
    QfsCluster.wait(lambda: len(set(qfs.chunk_files(ADDRESS)) - before) == 2, "chunks")
    engine = engine_of(*SERVICES, "qfs-master", address=ADDRESS)
    with status_page(qfs) as port, other_pages(ADDRESS) as pages, serve(engine) as engine_port:
        (tmp_path / "machine").mkdir()
        with engine_machine(tmp_path / "machine", engine_port) as server:
            ports = pages | {"qfs_ui": port}
            well = look(server, tmp_path, "qfs", ports)
            assert [str(problem) for problem in well.problems] == []
            assert well.document["state"] == "healthy"
            assert well.document["storage"]["lost_files"] == 0

            min(set(qfs.chunk_files(ADDRESS)) - before, key=lambda path: int(path.name.split(".")[0])).unlink()
            qfs.stop_server(ADDRESS)
            qfs.start_server(ADDRESS)
            qfs.wait_for_servers(1)
            lost = look(server, tmp_path, "qfs", ports)
            assert (lost.exit_code, lost.document["state"]) == (1, "degraded")
            assert lost.document["storage"]["lost_files"] == 1
            (problem,) = lost.problems
            assert "1 file cannot be read" in problem.what
            command = (problem.hint or "").split("`")[1]
            assert command.startswith("docker exec $(docker ps -qf name=spark_qfs-master) qfsfsck -m 127.0.0.1 ")
            said = in_the_container(qfs, command)
            assert said.splitlines() == [said.rstrip("\n")] and said.endswith(" /only copy\n")

            qfs.run("-rm", "-skipTrash", "/only copy")
            until(lambda: look(server, tmp_path, "qfs", ports).exit_code == 0, "health after the file was removed")


def in_the_container(qfs: QfsCluster, command: str) -> str:
    """Run what status says, with the metaserver that is here instead of the one in a container."""
    line = command.partition(") ")[2].replace("-p 20000", f"-p {qfs.client_port}")
    environment = {**qfs.environment, "PATH": f"{qfs.qfs_home}/bin:{os.environ['PATH']}"}
    return subprocess.run(
        ("sh", "-c", line), env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_a_metaserver_that_is_gone_is_said_and_not_called_a_loss(qfs: QfsCluster, tmp_path: Path) -> None:
    engine = engine_of(*SERVICES, "qfs-master", address=ADDRESS)
    with other_pages(ADDRESS) as pages, serve(engine) as engine_port:
        (tmp_path / "machine").mkdir()
        with engine_machine(tmp_path / "machine", engine_port) as server:
            found = look(server, tmp_path, "qfs", pages | {"qfs_ui": closed_port()})
    assert [problem.what.partition(":")[0] for problem in found.problems] == ["QFS"]
    assert found.exit_code == 1

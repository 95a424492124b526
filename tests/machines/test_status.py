"""jobs/watching/status.py over a real SSH connection: what is said of a cluster of which a part does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import ClusterConfig, NotebooksConfig, StorageConfig
from sparkqfs.errors import ClusterError, ExitCode
from sparkqfs.facts.record import DiskName, text_of
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan import services
from sparkqfs.plan.services.seam import Service
from sparkqfs.plan.steps import JobResult
from tests.builders.clusters import a_cluster
from tests.builders.facts import a_record
from tests.doubles.servers import Answer, Sshd, an_engine, body, closed_port, engine_machine, payload, serve


@dataclass(frozen=True, slots=True)
class Machine:
    """A manager, the ports of its pages, and the file that says where its engine is."""

    server: Sshd
    pages: dict[str, int]
    engine_port: Path

    def config(self, folder: Path, **ports: int) -> ClusterConfig:
        """A cluster of this machine; `ports` replace those of its pages."""
        config = self.server.cluster(folder / "known_hosts", storage=StorageConfig(kind="shared", replication=1))
        return replace(config, ports=replace(config.ports, **(self.pages | ports)))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("sshd")
    with ExitStack() as stack:
        spark = stack.enter_context(serve({"/json/": Answer(body=payload("spark-4.1-master.json"))}))
        jupyter = stack.enter_context(serve({"/api": body({"version": "2"})}))
        history = stack.enter_context(serve({"/api/v1/applications": body([])}))
        pages = {"spark_ui": spark, "jupyter": jupyter, "history": history}
        server = stack.enter_context(engine_machine(folder, closed_port()))
        yield Machine(server, pages, folder / "engine-port")


def looked(config: ClusterConfig, clients: Clients) -> JobResult:
    return status.run(Session(config, clients, lambda _: None))


def look_once(machine: Machine, folder: Path, port: int, **ports: int) -> JobResult:
    machine.engine_port.write_text(str(port))
    config = machine.config(folder, **ports)
    clients = Clients(config)
    try:
        return looked(config, clients)
    finally:
        clients.close()


def test_without_an_engine_the_pages_are_shown_all_the_same(machine: Machine, tmp_path: Path) -> None:
    result = look_once(machine, tmp_path, closed_port())
    found: Any = result.document
    assert found["swarm"]["answers"] is False and "Docker Engine" in found["swarm"]["error"]
    assert found["spark"]["answers"] and found["jupyter"]["answers"] and found["history"]["answers"]
    assert found["urls"]["Spark master"] == f"http://127.0.0.1:{machine.pages['spark_ui']}"
    assert (found["state"], found["services"], result.exit_code) == ("degraded", [], ExitCode.FAILED)
    assert [problem.node for problem in result.problems if "Docker Engine" in problem.what] == ["node1"]


def test_a_page_that_does_not_answer_either_has_no_address(machine: Machine, tmp_path: Path) -> None:
    found: Any = look_once(machine, tmp_path, closed_port(), jupyter=closed_port()).document
    assert found["jupyter"] == {"answers": False, "error": found["jupyter"]["error"]}
    assert set(found["urls"]) == {"Spark master", "History server"}


class Extra(Service):
    """A service with a page of which status reads nothing."""

    name = "extra"

    def __init__(self, port: int) -> None:
        self.ports: Any = (SimpleNamespace(inside=port, published=lambda _config: port, title="Extra"),)


@pytest.mark.parametrize("answers", [True, False])
def test_a_page_that_nothing_reads_has_its_address_without_swarm_when_it_takes_connections(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    with serve({}) as port:
        extra = Extra(port if answers else closed_port())
        monkeypatch.setattr(services, "ALL", (*services.ALL, extra))
        found: Any = look_once(machine, tmp_path, closed_port()).document
    assert found["urls"].get("Extra") == (f"http://127.0.0.1:{port}" if answers else None)
    assert found["urls"]["Jupyter"] == f"http://127.0.0.1:{machine.pages['jupyter']}"


@pytest.mark.parametrize("state", ["pending", "error", "locked"])
def test_a_swarm_that_only_starts_is_not_taken_for_one_without_a_stack(
    machine: Machine, tmp_path: Path, state: str
) -> None:
    with serve(an_engine(LocalNodeState=state, ControlAvailable=False, Error="no leader")) as port:
        found: Any = look_once(machine, tmp_path, port).document
    assert found["state"] == "degraded" and found["swarm"]["error"] == f"Swarm is {state} no leader"


def test_a_manager_outside_any_swarm_has_no_stack(machine: Machine, tmp_path: Path) -> None:
    with serve(an_engine(LocalNodeState="inactive", ControlAvailable=False)) as port:
        found: Any = look_once(machine, tmp_path, port).document
    assert found["state"] == "down" and found["swarm"] == {"answers": True}


def test_the_next_look_finds_an_engine_that_is_back(machine: Machine, tmp_path: Path) -> None:
    config = machine.config(tmp_path)
    clients = Clients(config)
    seen: list[Any] = []
    for answers in (an_engine(), {}, an_engine()):
        with serve(answers, keep_alive=True) as port:
            machine.engine_port.write_text(str(port if answers else closed_port()))
            seen.append(looked(config, clients).document)
    clients.close()
    assert [one["swarm"]["answers"] for one in seen] == [True, False, True]
    assert [bool(one["services"]) for one in seen] == [True, False, True]


def test_a_master_that_still_looks_for_its_workers_is_not_healthy(machine: Machine, tmp_path: Path) -> None:
    page = json.loads(payload("spark-4.1-master.json"))
    recovering = {"/json/": body(page | {"status": "RECOVERING"})}
    with serve(recovering) as port, serve(an_engine(), keep_alive=True) as engine:
        found = look_once(machine, tmp_path, engine, spark_ui=port)
    assert found.code == ExitCode.FAILED
    assert any(problem.what == "the Spark master is RECOVERING" for problem in found.problems)


def test_other_tasks_are_told_that_swarm_does_not_answer(machine: Machine, tmp_path: Path) -> None:
    machine.engine_port.write_text(str(closed_port()))
    config = machine.config(tmp_path)
    clients = Clients(config)
    with pytest.raises(ClusterError, match="Docker Engine"):
        status.gather_status(Session(config, clients, lambda _: None))
    clients.close()


def test_a_notebook_server_that_swarm_moved_is_found_without_swarm() -> None:
    config = a_cluster(notebooks=NotebooksConfig(path=PurePosixPath("/mnt/nfs/notebooks"), shared=True))
    session = Session(config, clients=None, on_event=print)  # type: ignore[arg-type]
    assert status._possible_places(session, "jupyter-server") == ("192.168.1.11", "192.168.1.12", "192.168.1.13")
    assert status._possible_places(session, "spark-master") == ("192.168.1.11",)
    assert status._possible_places(session, "history-server") == ("192.168.1.11",)


def test_a_node_that_is_written_down_and_not_in_the_cluster_file_is_a_problem(machine: Machine, tmp_path: Path) -> None:
    machine.engine_port.write_text(str(closed_port()))
    node = replace(machine.config(tmp_path).nodes[0], data_dirs=(PurePosixPath(tmp_path),))
    storage = StorageConfig(replication=1)
    config = replace(machine.config(tmp_path), nodes=(node,), storage=storage)
    disks = {DiskName(name, 0): PurePosixPath(tmp_path) for name in ("node1", "node2")}
    record = a_record(config, initialised=True, disks=disks)
    (tmp_path / "sparkqfs").mkdir()
    (tmp_path / "sparkqfs" / "spark.qfs.json").write_text(text_of(record, "node1"))
    clients = Clients(config)
    try:
        result = looked(config, clients)
    finally:
        clients.close()
    (problem,) = [one for one in result.problems if "hosts.yml does not have node2" in one.what]
    assert "`invoke prep --forget node2`" in str(problem.hint) and result.exit_code == ExitCode.FAILED
    found: Any = result.document
    assert problem.what in [one["what"] for one in found["problems"]] and found["state"] == "degraded"

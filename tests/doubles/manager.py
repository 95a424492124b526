"""A manager on this computer: scripts run in a real directory, pages are real servers, its engine is kept in memory."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sparkqfs.clients.ssh import Output
from sparkqfs.config.model import ClusterConfig, PortsConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.jobs.programs.drivers import ENTER
from sparkqfs.jobs.session import Session
from tests.builders.clusters import a_cluster, a_node_config
from tests.doubles.servers import Answer, serve

STACK = ("spark-master", "worker-node", "jupyter-server", "history-server")
JUPYTER: dict[str, Any] = {
    "ContainerSpec": {
        "Image": "192.168.1.11:5000/spark/jupyter-server@sha256:0",
        "Env": ["SPARKQFS_STORAGE=qfs"],
        "Configs": [{"File": {"Name": "/etc/sparkqfs/spark-defaults.conf"}, "ConfigID": "conf-1"}],
    },
    "Networks": [{"Target": "network-id"}],
}


def nothing(_submission: str) -> None:
    """A driver that only runs."""


class Engine:
    """What the jobs ask of an engine, over lists."""

    def __init__(self) -> None:
        self.stack = list(STACK)
        self.drivers: dict[str, dict[str, Any]] = {}
        """Service name → its task template, labels and the state of its task."""
        self.starts: Callable[[str], None] = nothing
        """Called with the submission when a driver's service is made."""
        self.defaults = {
            "spark.executor.cores": "2",
            "spark.executor.memory": "1024m",
            "spark.deploy.defaultCores": "4",
            "spark.driver.memory": "1024m",
        }
        self.broken: set[str] = set()
        """Methods that fail."""

    def _may(self, method: str) -> None:
        if method in self.broken:
            raise ClusterError(Problem(node="node1", what=f"{method}: the Docker Engine does not answer"))

    @contextlib.contextmanager
    def answering_within(self, _timeout_s: float) -> Iterator[None]:
        yield

    def info(self) -> dict[str, Any]:
        return {"Swarm": {"ControlAvailable": True}}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"ID": "n1", "Spec": {"Labels": {"sparkqfs.node": "node1"}}}]

    def services(self, _stack: str) -> list[dict[str, Any]]:
        return [
            {"ID": name, "Spec": {"Name": f"spark_{name}", "TaskTemplate": JUPYTER if "jupyter" in name else {}}}
            for name in self.stack
        ]

    def tasks(self, _stack: str) -> list[dict[str, Any]]:
        return [
            {"ServiceID": name, "NodeID": "n1", "DesiredState": "running", "Status": {"State": "running"}}
            for name in self.stack
        ]

    def labelled_services(self, _label: str) -> list[dict[str, Any]]:
        return [
            {"Spec": {"Name": name, "Labels": one["labels"], "TaskTemplate": one["task"]}}
            for name, one in self.drivers.items()
        ]

    def service_tasks(self, name: str) -> list[dict[str, Any]]:
        one = self.drivers.get(name)
        return [{"Status": {"State": one["state"]}, "Spec": one["task"]}] if one else []

    def config_text(self, config_id: str) -> str:
        assert config_id == "conf-1"
        return "".join(f"{name} {value}\n" for name, value in self.defaults.items())

    def create_service(self, name: str, task: Mapping[str, Any], labels: Mapping[str, str]) -> None:
        self.drivers[name] = {"task": dict(task), "labels": dict(labels), "state": "running"}
        self.starts(labels["sparkqfs.app"])

    def remove_service(self, name: str) -> None:
        self._may("remove_service")
        self.drivers.pop(name, None)

    def containers(self, _label: str) -> list[dict[str, Any]]:
        return []

    def memory_used_mib(self, _container_id: str) -> int:
        return 0


class Machine:
    """What the jobs ask of the manager's connection."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken = False

    def open(self) -> None:
        """It is."""

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", **_limits: Any) -> Output:
        """A script for the service user runs in the directory, as ourselves."""
        if self.broken:
            raise ClusterError(Problem(node="node1", what="the connection broke"))
        assert argv[:4] == ["sh", "-c", ENTER, "sh"], argv
        done = subprocess.run(["sh", "-c", *argv[7:]], cwd=self.folder, input=stdin, capture_output=True, check=False)
        if done.returncode:
            raise ClusterError(Problem(node="node1", what=done.stderr.decode()))
        return Output(0, done.stdout.decode(), done.stderr.decode())

    def tcp_channel(self, host: str, port: int, timeout_s: float) -> socket.socket:
        return socket.create_connection((host, port), timeout=timeout_s)


class Clients:
    """One machine, one engine."""

    def __init__(self, folder: Path) -> None:
        self.manager = Machine(folder)
        self.machine_engine = Engine()

    def node(self, _name: str) -> Machine:
        return self.manager

    def engine(self, _name: str | None = None) -> Engine:
        return self.machine_engine


class Manager:
    """The session, what it said, and what answers it."""

    def __init__(self, folder: Path, config: ClusterConfig, pages: dict[str, Answer]) -> None:
        self.pages = pages
        self.said: list[str] = []
        clients = Clients(folder)
        self.apps = folder / "apps"
        self.engine, self.machine = clients.machine_engine, clients.manager
        self.session = Session(config, clients, self.said.append)  # type: ignore[arg-type]

    def spark(self, *apps: Mapping[str, Any], workers: Sequence[tuple[int, int]] = ((2, 1024), (2, 1024))) -> None:
        """The master answers: these run, on workers of so many cores and MiB."""
        seen = [
            {"host": f"10.0.0.{at}", "state": "ALIVE", "cores": cores, "memory": memory}
            for at, (cores, memory) in enumerate(workers)
        ]
        known = {"name": "one", "user": "spark", "state": "RUNNING", "starttime": 1000, "duration": 1000, "cores": 2}
        self.pages["/json/"] = answer(
            {
                "status": "ALIVE",
                "workers": seen,
                "cores": sum(cores for cores, _ in workers),
                "coresused": 0,
                "memory": sum(memory for _, memory in workers),
                "memoryused": 0,
                "activeapps": [known | dict(app) for app in apps],
                "completedapps": [],
            }
        )

    def history(self, *ids: str) -> None:
        """The history server answers: these have begun and, so far as it knows, not ended."""
        attempt = {
            "startTimeEpoch": 1000,
            "endTimeEpoch": -1,
            "duration": 1000,
            "sparkUser": "spark",
            "completed": False,
        }
        self.pages["/api/v1/applications?limit=100"] = answer(
            [{"id": one, "name": "one", "attempts": [attempt]} for one in ids]
        )

    def silence(self) -> None:
        """The master answers no more."""
        self.pages.pop("/json/", None)


def answer(body: object) -> Answer:
    """JSON."""
    return Answer(body=json.dumps(body).encode())


@contextlib.contextmanager
def a_manager(folder: Path) -> Iterator[Manager]:
    """A deployed cluster on which nothing runs."""
    pages: dict[str, Answer] = {}
    with serve(pages) as port:
        node = a_node_config("node1", address="127.0.0.1")
        ports = PortsConfig(spark_ui=port, history=port, jupyter=port)
        manager = Manager(folder, a_cluster("node1", nodes=(node,), ports=ports), pages)
        manager.spark()
        manager.history()
        yield manager

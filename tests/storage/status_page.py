"""A cluster of one machine for `invoke status`: its engine, its pages, and the status page of a real metaserver."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparkqfs.clients.connect import Clients
from sparkqfs.config import ClusterConfig, StorageConfig
from sparkqfs.jobs import status
from sparkqfs.jobs.base import Session
from sparkqfs.plan.steps import JobResult
from tests.doubles.servers import API, Answer, Sshd, body, serve
from tests.paths import PROGRAMS
from tests.storage.qfs_cluster import QfsCluster, free_port

SERVICES = ("spark-master", "worker-node", "jupyter-server", "history-server", "metastore")


@contextlib.contextmanager
def status_page(qfs: QfsCluster, check_s: float = 300.0) -> Iterator[int]:
    """runtime/bin/webui_guard.py in front of this metaserver, as in its container; the port."""
    port = free_port()
    config = qfs.home / "webui.conf"
    config.write_text(
        f"[webserver]\nwebServer.metaserverHost = 127.0.0.1\nwebServer.metaserverPort = {qfs.client_port}\n"
        f"webServer.host = 127.0.0.1\nwebServer.port = {port}\nwebServer.docRoot = {qfs.qfs_home}/webui/files\n"
        "webServer.socketTimeout = 20\n[chunk]\nrefreshInterval = 10\n"
    )
    environment = {**os.environ, "QFS_HOME": str(qfs.qfs_home), "SPARKQFS_CHECK_S": str(check_s)}
    argv = (sys.executable, "-u", str(PROGRAMS / "webui_guard.py"), str(config))
    with (qfs.home / "webui.log").open("wb") as log:
        server = subprocess.Popen(argv, env=environment, stdout=log, stderr=log, cwd=qfs.home)
    try:
        QfsCluster.wait(lambda: page(port, "/query/meta"), "status page", 20)
        yield port
    finally:
        server.kill()
        server.wait(10)


def page(port: int, path: str) -> Any:
    """What a loopback page says; `None` when it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return json.load(answer)
    except OSError:
        return None


def engine_of(*services: str, address: str, strangers: tuple[tuple[str, str], ...] = ()) -> dict[str, Answer]:
    """A manager on whose swarm each service runs a task; strangers are machines, and their workers' addresses."""
    nodes = [("node1", address), *strangers]
    tasks = []
    for number, (name, at) in enumerate(nodes):
        for service in services if number == 0 else ("worker-node",):
            tasks.append(
                {
                    "ServiceID": f"s-{service}",
                    "NodeID": name,
                    "DesiredState": "running",
                    "Status": {"State": "running", "ContainerStatus": {"ContainerID": f"c-{service}"}},
                    "NetworksAttachments": [{"Addresses": [f"{at}/24"]}],
                }
            )
    labels = "sparkqfs.cluster", "sparkqfs.node"
    described = [{"ID": name, "Spec": {"Labels": dict(zip(labels, ("spark", name), strict=True))}} for name, _ in nodes]
    return {
        f"{API}/info": body({"Swarm": {"LocalNodeState": "active", "ControlAvailable": True}}),
        f"{API}/services": body([{"ID": f"s-{one}", "Spec": {"Name": f"spark_{one}"}} for one in services]),
        f"{API}/nodes": body(described),
        f"{API}/tasks": body(tasks),
    }


def spark_page(*hosts: str) -> Answer:
    """A Spark master with these workers."""
    worker = {"state": "ALIVE", "cores": 2, "memory": 1024}
    counts = {"cores": 2, "coresused": 0, "memory": 1024, "memoryused": 0, "status": "ALIVE"}
    lists = {"activeapps": [], "completedapps": [], "workers": [worker | {"host": host} for host in hosts]}
    return body(counts | lists)


@contextlib.contextmanager
def other_pages(*hosts: str) -> Iterator[dict[str, int]]:
    """The pages of all services but the storage's, all well."""
    with (
        serve({"/json/": spark_page(*hosts)}) as spark,
        serve({"/api": body({"version": "2"})}) as jupyter,
        serve({"/api/v1/applications": body([])}) as history,
    ):
        yield {"spark_ui": spark, "jupyter": jupyter, "history": history}


def look(server: Sshd, folder: Path, kind: Any, ports: dict[str, int]) -> JobResult:
    """`invoke status` of this machine."""
    storage = StorageConfig(kind=kind, replication=1)
    config: ClusterConfig = server.cluster(folder / "known_hosts", storage=storage)
    clients = Clients(replace(config, ports=replace(config.ports, **ports)))
    try:
        return status.run(Session(clients.config, clients, lambda _: None))
    finally:
        clients.close()


def until(condition: Any, what: str, deadline_s: float = 30.0) -> Any:
    """Polls until there is something; that. Raises TimeoutError."""
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} within {deadline_s:.0f} s")
        time.sleep(0.3)
    return found

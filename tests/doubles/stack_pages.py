"""A manager whose engine and whose stack's pages `invoke status` asks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparkqfs import topology
from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import ClusterConfig, StorageConfig
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan import services
from sparkqfs.plan.steps import JobResult
from tests.doubles.servers import API, CREATED_AT, RUNS_SINCE, SYSTEM_TIME, Answer, Sshd, body, serve

SERVICES = (topology.WORKER_NODE, *(service.name for service in services.ALL))
"""All but the storage's master."""


def engine_of(*names: str, address: str, strangers: tuple[tuple[str, str], ...] = ()) -> dict[str, Answer]:
    """A manager on whose swarm each service runs a task; strangers are machines, and their workers' addresses."""
    nodes = [("node1", address), *strangers]
    tasks = []
    for number, (name, at) in enumerate(nodes):
        for service in names if number == 0 else ("worker-node",):
            tasks.append(
                {
                    "ServiceID": f"s-{service}",
                    "NodeID": name,
                    "CreatedAt": CREATED_AT,
                    "DesiredState": "running",
                    "Status": {
                        "Timestamp": RUNS_SINCE,
                        "State": "running",
                        "ContainerStatus": {"ContainerID": f"c-{service}"},
                    },
                    "NetworksAttachments": [{"Addresses": [f"{at}/24"]}],
                }
            )
    labels = "sparkqfs.cluster", "sparkqfs.node"
    described = [{"ID": name, "Spec": {"Labels": dict(zip(labels, ("spark", name), strict=True))}} for name, _ in nodes]
    return {
        f"{API}/info": body(
            {"Swarm": {"LocalNodeState": "active", "ControlAvailable": True}, "SystemTime": SYSTEM_TIME}
        ),
        f"{API}/services": body([{"ID": f"s-{one}", "Spec": {"Name": f"spark_{one}"}} for one in names]),
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

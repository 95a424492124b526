"""What `status` has asked: a healthy cluster of three nodes, on which a program runs and one has ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sparkqfs.config.model import ClusterConfig
from sparkqfs.facts.pages import AppFact, SparkFact, StorageFact
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.jobs.session import Session
from sparkqfs.plan.storage.health import HealthFact, parse_memory
from sparkqfs.plan.watching.cluster_status import ClusterStatus
from tests.builders.clusters import a_cluster

HOSTS = ("10.20.30.4", "10.20.30.5", "10.20.30.6")
APP = AppFact(
    id="app-20260101120100-0001", name="pi", user="spark", state="RUNNING", started_s=2.0, duration_s=7.0, cores=2
)
ENDED = replace(APP, id="app-20260101120000-0000", name="primes", state="FINISHED", started_s=1.0)

MEMORY: dict[str, Any] = {
    "schema": 1,
    "up_s": 5000.0,
    "look": {"age_s": 1.0, "ready": True, "copying": 0, "held": 0, "place": ""},
    "look_error": "",
    "missing": 0,
    "per_minute": 0.0,
    "still_s": 0.0,
    "check_s": 300.0,
    "check": {
        "lost_files": 0,
        "single_files": 0,
        "short_chunks": 0,
        "lost_chunks": 0,
        "files": 9,
        "most_copies": 2,
        "partial": "",
        "age_s": 5.0,
        "took_s": 0.02,
        "is_current": True,
    },
    "check_error": "",
}
"""What a checker of QFS remembers when all is well."""


def a_session(config: ClusterConfig | None = None) -> Session:
    """One that can ask nobody."""
    return Session(config or a_cluster(), clients=None, on_event=print)  # type: ignore[arg-type]


def a_task(service: str, node: str = "node1", **more: Any) -> TaskFact:
    """One that runs. `more` are fields of TaskFact."""
    values: dict[str, Any] = {"state": "running", "desired": "running", "error": "", "container_id": "c"}
    return TaskFact(service=service, node=node, **(values | more))


def a_copy(node: str, **more: Any) -> dict[str, Any]:
    """What the storage's master says of a copy of its metadata that is fresh."""
    values: dict[str, Any] = {"age_s": 1.0, "up_s": 500.0, "bytes": 9000, "history": 1, "verdict": "continues"}
    values["catalogue"] = {"age_s": 4.0, "is_kept": True, "error": ""}
    values["verified"] = {"age_s": 7200.0, "depth": 1, "ok": True, "damaged": []}
    return {"node": node, "mark": "", "error": "", **values, **more}


def a_status(**overrides: Any) -> ClusterStatus:
    """`overrides` are fields of ClusterStatus."""
    values: dict[str, Any] = {
        "tasks": tuple(a_task(name) for name in ("spark-master", "qfs-master", "jupyter-server", "history-server")),
        "deployed": True,
        "spark": SparkFact(
            alive_hosts=HOSTS,
            dead=0,
            cores=12,
            cores_used=2,
            memory_mib=24576,
            memory_used_mib=4096,
            applications=("pi",),
            status="ALIVE",
            active=(APP,),
        ),
        "storage": StorageFact(
            up_hosts=HOSTS,
            down=0,
            total_bytes=600 << 30,
            used_bytes=1 << 30,
            free_bytes=598 << 30,
            recovering=False,
            files=12,
            blocks=34,
            replications_pending=0,
            file_system_id="1",
        ),
        "health": HealthFact(memory=parse_memory(MEMORY | {"copies": [a_copy("node2"), a_copy("node3")]})),
        "jupyter": None,
        "urls": {
            "Spark master": "http://192.168.1.11:8080",
            "Jupyter": "http://192.168.1.11:7777",
            "History server": "http://192.168.1.11:18080",
            "QFS": "http://192.168.1.11:20050",
        },
        "history": (ENDED,),
    }
    return ClusterStatus(**(values | overrides))

"""What `invoke status` sees of a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sparkqfs.facts.pages import AppFact, SparkFact, StorageFact
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.plan.watching.cluster_status import ClusterStatus

APP = AppFact(id="app-1", name="pi", user="spark", state="RUNNING", started_s=1.0, duration_s=1.0, cores=1)


def a_status(**overrides: Any) -> ClusterStatus:
    """The status of a healthy cluster."""
    task: dict[str, Any] = {"node": "node1", "state": "running", "desired": "running", "error": "", "container_id": "c"}
    values: dict[str, Any] = {
        "tasks": (TaskFact(service="jupyter-server", **task),),
        "deployed": True,
        "spark": SparkFact(
            alive_hosts=("10.0.0.2",),
            dead=0,
            cores=4,
            cores_used=0,
            memory_mib=1024,
            memory_used_mib=0,
            applications=("pi",),
            status="ALIVE",
            active=(APP,),
        ),
        "storage": StorageFact(
            up_hosts=("10.0.0.2",),
            down=0,
            total_bytes=1,
            used_bytes=0,
            free_bytes=1,
            recovering=False,
            files=0,
            blocks=0,
            replications_pending=0,
            file_system_id="1",
        ),
        "jupyter": None,
        "urls": {"Jupyter": "http://192.168.1.11:7777"},
        "history": (replace(APP, id="app-2"),),
    }
    return ClusterStatus(**(values | overrides))

"""The JSON document of `invoke status`; its schema is in docs/status.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sparkqfs.errors import Problem
from sparkqfs.facts import AppFact
from sparkqfs.jobs.base import Session
from sparkqfs.plan.layout import layout_document

if TYPE_CHECKING:
    from sparkqfs.jobs.status import ClusterStatus

SCHEMA = 1
SHOWN = 5
"""Ended applications in the report."""


def document(session: Session, status: ClusterStatus, problems: tuple[Problem, ...]) -> dict[str, object]:
    """What a program reads."""
    is_down = status.swarm is None and not status.deployed
    state = "healthy" if not problems else ("down" if is_down else "degraded")
    return {
        "schema": SCHEMA,
        "cluster": session.config.name,
        "state": state,
        "swarm": {"answers": status.swarm is None, **({"error": status.swarm.what} if status.swarm else {})},
        "spark": _spark(session, status),
        "storage": _storage(session, status),
        "jupyter": {"answers": status.jupyter is None, **({"error": status.jupyter} if status.jupyter else {})},
        "history": {"answers": False, "error": status.history}
        if isinstance(status.history, str)
        else {"answers": True, "finished": _finished(status)},
        "services": _services(status),
        "urls": status.urls,
        "problems": [{"node": problem.node, "what": problem.what, "hint": problem.hint} for problem in problems],
    }


def _spark(session: Session, status: ClusterStatus) -> dict[str, object]:
    if isinstance(status.spark, str):
        return {"answers": False, "error": status.spark}
    fact = status.spark
    return {
        "answers": True,
        "workers_alive": len(fact.alive_hosts),
        "workers_dead": fact.dead,
        "workers_expected": len(session.config.nodes),
        "worker_hosts": list(fact.alive_hosts),
        "cores": fact.cores,
        "cores_used": fact.cores_used,
        "memory_mib": fact.memory_mib,
        "memory_used_mib": fact.memory_used_mib,
        "applications": list(fact.applications),
        "running": _applications(fact.active, status.urls.get("Spark master"), "proxy"),
    }


def _storage(session: Session, status: ClusterStatus) -> dict[str, object]:
    config = session.config
    found = status.storage
    if found is None:
        return {"kind": config.storage.kind}
    if isinstance(found, str):
        return {"kind": config.storage.kind, "answers": False, "error": found}
    return {
        "kind": config.storage.kind,
        "answers": True,
        "replication": config.storage.replication,
        "layout": layout_document(config),
        "server_name": session.backend.words.servers,
        "servers_up": len(found.up_hosts),
        "servers_expected": len(config.nodes),
        "server_hosts": list(found.up_hosts),
        "total_bytes": found.total_bytes,
        "used_bytes": found.used_bytes,
        "free_bytes": found.free_bytes,
        "recovering": found.recovering,
        "replications_pending": found.replications_pending,
        "files": found.files,
        "blocks": found.blocks,
        "file_system_id": found.file_system_id,
    }


def _ended(status: ClusterStatus) -> list[AppFact]:
    """Ended applications, the latest first; one that the master still has is not among them."""
    active = () if isinstance(status.spark, str) else status.spark.active
    names = {app.id for app in active}
    found = [] if isinstance(status.history, str) else [app for app in status.history if app.id not in names]
    return sorted(found, key=lambda app: -app.started_s)


def _finished(status: ClusterStatus) -> list[dict[str, object]]:
    return _applications(_ended(status)[:SHOWN], status.urls.get("History server"), "history")


def _applications(apps: Iterable[AppFact], url: str | None, way: str) -> list[dict[str, object]]:
    return [
        {"id": app.id, "name": app.name, "state": app.state, "link": f"{url}/{way}/{app.id}/" if url else None}
        for app in apps
    ]


def _services(status: ClusterStatus) -> list[dict[str, object]]:
    found = []
    for name in sorted({task.service for task in status.tasks}):
        nodes = sorted(task.node for task in status.tasks if task.service == name and task.is_up)
        found.append({"service": name, "running": len(nodes), "nodes": nodes})
    return found

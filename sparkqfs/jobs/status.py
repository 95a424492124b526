"""invoke status: Swarm, Spark and the storage at the same time; one that is down never hides the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from sparkqfs import topology
from sparkqfs.clients.wait import wait_until
from sparkqfs.clients.web import WebError, get_json
from sparkqfs.errors import ClusterError, ExitCode, Problem, UnreachableError
from sparkqfs.facts import AppFact, SparkFact, StorageFact, TaskFact, parse_history, parse_spark
from sparkqfs.gather import gather_tasks
from sparkqfs.jobs.base import Session
from sparkqfs.plan.layout import incomplete, layout_document
from sparkqfs.plan.steps import JobResult

SCHEMA = 1
WEB_TIMEOUT_S = 5.0
HISTORY_PATH = "/api/v1/applications?limit=100"
SHOWN = 5
"""Ended applications in the report."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """What answered, and why the rest did not."""

    tasks: tuple[TaskFact, ...]
    deployed: bool
    spark: SparkFact | str
    storage: StorageFact | str | None
    """`None` where no daemon of ours keeps the data."""
    jupyter: str | None
    """Why Jupyter does not answer; `None` when it does."""
    urls: dict[str, str]
    history: tuple[AppFact, ...] | str = ()
    """The latest applications of the history server, or why it does not answer."""


def running(tasks: tuple[TaskFact, ...], service: str) -> tuple[TaskFact, ...]:
    """Tasks of a service that run and should."""
    return tuple(task for task in tasks if task.service == service and task.is_up)


def is_worker(service: str) -> bool:
    """True for the worker-node service of any class."""
    return service == topology.WORKER_NODE or service.startswith(topology.WORKER_NODE + "-")


def worker_addresses(session: Session, tasks: tuple[TaskFact, ...]) -> dict[str, str]:
    """Address → node of all worker-node containers that run: addresses of their machines without an overlay."""
    found = [task for task in tasks if is_worker(task.service) and task.state == "running"]
    if session.config.network == "host":
        running_on = {task.node for task in found}
        return {node.advertise: node.name for node in session.config.nodes if node.name in running_on}
    return {address: task.node for task in found for address in task.addresses}


def single_services(session: Session) -> tuple[str, ...]:
    """The services that run once in the cluster."""
    master = session.backend.master
    return (*([master.name] if master is not None else []), topology.SPARK_MASTER, topology.JUPYTER_SERVER)


def links(status: ClusterStatus) -> tuple[str | None, str | None]:
    """Addresses of the master's page and of the history server; `None` where none runs."""
    return status.urls.get("Spark master"), status.urls.get("History server")


def place_of(session: Session, tasks: tuple[TaskFact, ...], service: str) -> str | None:
    """Address of the machine that runs a service."""
    for task in running(tasks, service):
        for node in session.config.nodes:
            if node.name == task.node:
                return node.advertise
    return None


def _ask(
    session: Session, tasks: tuple[TaskFact, ...], service: str, port: int, path: str, parse: Callable[[object], T]
) -> T | str:
    host = place_of(session, tasks, service)
    if host is None:
        return "not running"
    try:
        return parse(get_json(session.clients.manager, host, port, path, timeout_s=WEB_TIMEOUT_S))
    except (WebError, ValueError, KeyError, TypeError, ClusterError) as error:
        return str(error) or type(error).__name__


def gather_status(session: Session) -> ClusterStatus:
    """Ask everything; needs the manager only. Raises `UnreachableError` when that cannot be reached."""
    config = session.config
    session.clients.manager.open()
    tasks: tuple[TaskFact, ...] = ()
    deployed = False
    if session.clients.engine().info().get("Swarm", {}).get("ControlAvailable"):
        tasks = gather_tasks(config, session.clients)
        deployed = bool(tasks) or bool(session.clients.engine().services(config.name))
    with ThreadPoolExecutor(max_workers=4) as pool:
        spark = pool.submit(_ask_spark, session, tasks)
        history = pool.submit(_ask_history, session, tasks)
        backend, master = session.backend, session.backend.master
        storage = (
            pool.submit(_ask, session, tasks, master.name, backend.ui_port(config), master.status_path, backend.status)
            if master is not None
            else None
        )
        jupyter = pool.submit(
            _ask, session, tasks, topology.JUPYTER_SERVER, config.ports.jupyter, "/api", lambda body: None
        )
        return ClusterStatus(
            tasks=tasks,
            deployed=deployed,
            spark=spark.result(),
            storage=storage.result() if storage is not None else None,
            jupyter=jupyter.result(),
            urls=_urls(session, tasks),
            history=history.result(),
        )


def _ask_spark(session: Session, tasks: tuple[TaskFact, ...]) -> SparkFact | str:
    return _ask(session, tasks, topology.SPARK_MASTER, session.config.ports.spark_ui, "/json/", parse_spark)


def _ask_history(session: Session, tasks: tuple[TaskFact, ...]) -> tuple[AppFact, ...] | str:
    return _ask(session, tasks, topology.HISTORY_SERVER, session.config.ports.history, HISTORY_PATH, parse_history)


def ask_spark(session: Session) -> SparkFact | str:
    """The Spark master alone."""
    return _ask_spark(session, gather_tasks(session.config, session.clients))


def has_master(session: Session) -> bool:
    """Whether the stack has a Spark master, running or not."""
    name = f"{session.config.name}_{topology.SPARK_MASTER}"
    return name in {one["Spec"]["Name"] for one in session.clients.engine().services(session.config.name)}


def wait_for_history(session: Session) -> None:
    """The last thing of a deploy: its directory was only just made."""
    last = {"why": "nothing yet"}

    def answers() -> bool:
        found = _ask_history(session, gather_tasks(session.config, session.clients))
        last["why"] = found if isinstance(found, str) else ""
        return not isinstance(found, str)

    wait_until(
        answers,
        what="the history server to answer",
        timeout_s=session.config.timeouts.deploy_s,
        hint="`invoke logs --service history-server`",
        detail=lambda: last["why"],
    )


def _urls(session: Session, tasks: tuple[TaskFact, ...]) -> dict[str, str]:
    ports = session.config.ports
    wanted = {
        "Spark master": (topology.SPARK_MASTER, ports.spark_ui),
        "Jupyter": (topology.JUPYTER_SERVER, ports.jupyter),
        "History server": (topology.HISTORY_SERVER, ports.history),
    }
    backend = session.backend
    if backend.master is not None:
        wanted[backend.words.storage] = (backend.master.name, backend.ui_port(session.config))
    places = {name: (place_of(session, tasks, service), port) for name, (service, port) in wanted.items()}
    return {name: f"http://{host}:{port}" for name, (host, port) in places.items() if host is not None}


def find_problems(session: Session, status: ClusterStatus) -> tuple[Problem, ...]:
    """What is wrong, each with a hint."""
    config = session.config
    if not status.deployed:
        return (Problem(what=f"stack {config.name} is not deployed", hint="`invoke deploy`, or `invoke up`"),)
    found = [*_spark_problems(session, status), *_storage_problems(session, status)]
    if status.jupyter is not None:
        found.append(Problem(what=f"Jupyter: {status.jupyter}", hint="`invoke logs --service jupyter-server`"))
    if isinstance(status.history, str):
        hint = "`invoke logs --service history-server`"
        found.append(Problem(what=f"history server: {status.history}", hint=hint))
    found += _task_problems(session, status)
    return tuple(found)


def _spark_problems(session: Session, status: ClusterStatus) -> list[Problem]:
    nodes = len(session.config.nodes)
    if isinstance(status.spark, str):
        return [Problem(what=f"Spark master: {status.spark}", hint="`invoke logs --service spark-master`")]
    alive = len(status.spark.alive_hosts)
    if alive < nodes:
        return [Problem(what=f"{alive} of {nodes} Spark workers are alive", hint="`invoke logs --service worker-node`")]
    return []


def _storage_problems(session: Session, status: ClusterStatus) -> list[Problem]:
    backend = session.backend
    if status.storage is None or backend.master is None:
        return []
    if isinstance(status.storage, str):
        hint = f"`invoke logs --service {backend.master.name}`"
        return [Problem(what=f"{backend.words.storage}: {status.storage}", hint=hint)]
    hosts = () if isinstance(status.spark, str) else status.spark.alive_hosts
    why = backend.unready(session.config, status.storage, hosts or status.storage.up_hosts)
    problems = [Problem(what=why)] if why is not None else []
    lacking = incomplete(session.config, len(status.storage.up_hosts))
    if lacking is not None:
        hint = "the missing copies are made when they are back"
        problems.append(Problem(what=lacking, config_path="storage.replication", hint=hint))
    return problems


def _task_problems(session: Session, status: ClusterStatus) -> list[Problem]:
    """Services without their task, with the last error of each."""
    found = []
    wanted = {node.name for node in session.config.nodes}
    up = {task.node for task in status.tasks if is_worker(task.service) and task.is_up}
    places = [(topology.WORKER_NODE, name) for name in sorted(wanted - up)]
    for service in (*single_services(session), topology.HISTORY_SERVER):
        if not running(status.tasks, service):
            places.append((service, ""))
    for service, node in places:
        errors = [
            task.error
            for task in status.tasks
            if (task.service == service or (is_worker(service) and is_worker(task.service)))
            and (not node or task.node == node)
            and task.error
        ]
        what = f"{service} is not running" + (f": {errors[-1]}" if errors else "")
        found.append(Problem(node=node or None, what=what))
    return found


def document(session: Session, status: ClusterStatus, problems: tuple[Problem, ...]) -> dict[str, object]:
    """The JSON document; its schema is in docs/status.md."""
    config = session.config
    spark: dict[str, object]
    if isinstance(status.spark, str):
        spark = {"answers": False, "error": status.spark}
    else:
        fact = status.spark
        spark = {
            "answers": True,
            "workers_alive": len(fact.alive_hosts),
            "workers_dead": fact.dead,
            "workers_expected": len(config.nodes),
            "worker_hosts": list(fact.alive_hosts),
            "cores": fact.cores,
            "cores_used": fact.cores_used,
            "memory_mib": fact.memory_mib,
            "memory_used_mib": fact.memory_used_mib,
            "applications": list(fact.applications),
            "running": _applications(fact.active, links(status)[0], "proxy"),
        }
    storage: dict[str, object] = {"kind": config.storage.kind}
    if isinstance(status.storage, str):
        storage |= {"answers": False, "error": status.storage}
    elif status.storage is not None:
        found = status.storage
        storage |= {
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
    state = "healthy" if not problems else ("degraded" if status.deployed else "down")
    return {
        "schema": SCHEMA,
        "cluster": config.name,
        "state": state,
        "spark": spark,
        "storage": storage,
        "jupyter": {"answers": status.jupyter is None, **({"error": status.jupyter} if status.jupyter else {})},
        "history": {"answers": False, "error": status.history}
        if isinstance(status.history, str)
        else {"answers": True, "finished": _applications(_ended(status)[:SHOWN], links(status)[1], "history")},
        "services": _services(session, status),
        "urls": status.urls,
        "problems": [{"node": problem.node, "what": problem.what, "hint": problem.hint} for problem in problems],
    }


def _ended(status: ClusterStatus) -> list[AppFact]:
    """Ended applications, the latest first; one that the master still has is not among them."""
    active = () if isinstance(status.spark, str) else status.spark.active
    names = {app.id for app in active}
    found = [] if isinstance(status.history, str) else [app for app in status.history if app.id not in names]
    return sorted(found, key=lambda app: -app.started_s)


def _applications(apps: Iterable[AppFact], url: str | None, way: str) -> list[dict[str, object]]:
    return [
        {"id": app.id, "name": app.name, "state": app.state, "link": f"{url}/{way}/{app.id}/" if url else None}
        for app in apps
    ]


def _services(session: Session, status: ClusterStatus) -> list[dict[str, object]]:
    names = sorted({task.service for task in status.tasks})
    return [
        {
            "service": name,
            "running": len(running(status.tasks, name)),
            "nodes": sorted(task.node for task in running(status.tasks, name)),
        }
        for name in names
    ]


def run(session: Session) -> JobResult:
    """One look. Exit code 0 healthy, 1 degraded or not deployed, 3 when the manager cannot be reached."""
    try:
        status = gather_status(session)
    except UnreachableError as error:
        document_: dict[str, object] = {
            "schema": SCHEMA,
            "cluster": session.config.name,
            "state": "unreachable",
            "problems": [{"node": p.node, "what": p.what, "hint": p.hint} for p in error.problems],
        }
        return JobResult(task="status", problems=error.problems, document=document_, code=ExitCode.UNREACHABLE)
    problems = find_problems(session, status)
    return JobResult(
        task="status",
        problems=problems,
        document=document(session, status, problems),
        code=ExitCode.FAILED if problems else ExitCode.OK,
    )

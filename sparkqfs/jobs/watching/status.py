"""invoke status: Swarm, Spark and the storage at the same time; one that is down never hides the others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from sparkqfs import topology
from sparkqfs.clients.broken import close
from sparkqfs.clients.wait import wait_until
from sparkqfs.clients.web import WebError, get_json
from sparkqfs.errors import ClusterError, ExitCode, Problem, UnreachableError
from sparkqfs.facts.pages import AppFact, SparkFact, StorageFact, parse_history, parse_spark
from sparkqfs.facts.swarm import SwarmNode, TaskFact
from sparkqfs.gather.nodes import gather_swarm_nodes, gather_tasks
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import record
from sparkqfs.jobs.watching.status_document import SCHEMA, data_of, document
from sparkqfs.plan import services
from sparkqfs.plan.cluster.layout import incomplete
from sparkqfs.plan.cluster.restore import ABSENT_LABEL, without
from sparkqfs.plan.stack import CLUSTER_LABEL, NODE_LABEL
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.storage.health import HealthFact, MemoryFact, parse_memory
from sparkqfs.plan.storage.seam import Master
from sparkqfs.plan.watching.cluster_status import ClusterStatus, is_worker
from sparkqfs.plan.watching.health import Stranger

WEB_TIMEOUT_S = 5.0
ENGINE_TIMEOUT_S = 15.0
HISTORY_PATH = "/api/v1/applications?limit=100"
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Swarm:
    """What Swarm says, or `problem`: why it does not."""

    tasks: tuple[TaskFact, ...] = ()
    deployed: bool = False
    problem: Problem | None = None
    nodes: tuple[SwarmNode, ...] = ()


@dataclass(frozen=True, slots=True)
class _Page(Generic[T_co]):
    """What a service's page says, or why it does not, and the machine that it is on."""

    value: T_co | str
    host: str | None


def running(tasks: tuple[TaskFact, ...], service: str) -> tuple[TaskFact, ...]:
    """Tasks of a service that run and should."""
    return tuple(task for task in tasks if task.service == service and task.is_up)


def worker_addresses(session: Session, tasks: tuple[TaskFact, ...]) -> dict[str, str]:
    """Address → node of all worker-node containers that run: addresses of their machines without an overlay."""
    found = [task for task in tasks if is_worker(task.service) and task.state == "running"]
    if session.config.network == "host":
        running_on = {task.node for task in found}
        return {node.advertise: node.name for node in session.config.nodes if node.name in running_on}
    return {address: task.node for task in found for address in task.addresses}


def single_services(session: Session) -> tuple[str, ...]:
    """The services that run once in the cluster."""
    return tuple(one.name for one in services.single_services(session.config) if not one.is_late)


def late_services(session: Session) -> tuple[str, ...]:
    """Those that begin to work when deploy has made their directory on the storage."""
    return tuple(one.name for one in services.single_services(session.config) if one.is_late)


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


def _ask(session: Session, swarm: _Swarm, service: str, port: int, path: str, parse: Callable[[object], T]) -> _Page[T]:
    """Ask a service's page."""
    return _ask_where_it_runs(session, swarm, service, partial(_ask_at, session, port, path, parse))


def _ask_where_it_runs(session: Session, swarm: _Swarm, service: str, ask: Callable[[str], _Page[T]]) -> _Page[T]:
    """Ask on the machine that runs a service; on all that may run it where Swarm does not say."""
    hosts = _possible_places(session, service)
    if swarm.problem is None:
        place = place_of(session, swarm.tasks, service)
        hosts = () if place is None else (place,)
    if not hosts:
        return _Page("not running", None)
    with ThreadPoolExecutor(max_workers=min(len(hosts), session.config.ssh.parallel)) as pool:
        pages = list(pool.map(ask, hosts))
    return next((page for page in pages if not isinstance(page.value, str)), pages[0])


def _ask_at(session: Session, port: int, path: str, parse: Callable[[object], T], host: str) -> _Page[T]:
    try:
        return _Page(parse(get_json(session.clients.manager, host, port, path, timeout_s=WEB_TIMEOUT_S)), host)
    except (WebError, ValueError, RecursionError, ClusterError) as error:
        return _Page(str(error) or type(error).__name__, host)


def _connect(session: Session, port: int, host: str) -> _Page[object]:
    """Whether somebody takes connections there."""
    try:
        close(session.clients.manager.tcp_channel(host, port, WEB_TIMEOUT_S))
    except (OSError, ClusterError) as error:
        return _Page(str(error) or type(error).__name__, host)
    return _Page(None, host)


def _possible_places(session: Session, service: str) -> tuple[str, ...]:
    """Addresses of the machines on which Swarm may have put a service, the manager's first."""
    config = session.config
    moves = any(one.may_move(config) for one in services.single_services(config) if one.name == service)
    others = [node.advertise for node in config.nodes if moves and not node.manager]
    return (config.manager.advertise, *others)


def _ask_swarm(session: Session) -> _Swarm:
    """Raises `ClusterError` when the engine does not answer, or Swarm is only just starting."""
    engine = session.clients.engine()
    with engine.answering_within(ENGINE_TIMEOUT_S):
        found = engine.info().get("Swarm", {})
        state = str(found.get("LocalNodeState", ""))
        if state in ("pending", "error", "locked"):
            what = f"Swarm is {state} {found.get('Error', '')}".rstrip()
            hint = "`docker info` says more there"
            raise ClusterError(Problem(node=session.config.manager.name, what=what, hint=hint))
        if not found.get("ControlAvailable"):
            return _Swarm()
        tasks = gather_tasks(session.config, session.clients)
        deployed = bool(tasks) or bool(engine.services(session.config.name))
        return _Swarm(tasks=tasks, deployed=deployed, nodes=gather_swarm_nodes(session.clients))


def gather_status(session: Session) -> ClusterStatus:
    """Ask everything, for tasks that need Swarm: raises `ClusterError` when that does not answer."""
    session.clients.manager.open()
    return _ask_pages(session, _ask_swarm(session))


def look(session: Session) -> ClusterStatus:
    """Ask everything, keep what does not answer; raises only `UnreachableError`, when the manager cannot be reached."""
    session.clients.manager.open()
    try:
        swarm = _ask_swarm(session)
    except UnreachableError:
        raise
    except ClusterError as error:
        swarm = _Swarm(problem=replace(error.problems[0], code=ExitCode.FAILED))
    return _with_record(session, swarm)


def _with_record(session: Session, swarm: _Swarm) -> ClusterStatus:
    """With what the manager remembers of the cluster; an older cluster has nothing written down."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(record.ask, session)
        seen = _ask_pages(session, swarm)
        found = asked.result()
        identity = record.problems(session, found, seen.storage)
        return replace(seen, identity=identity, is_restoring=found.is_restoring)


def _ask_pages(session: Session, swarm: _Swarm) -> ClusterStatus:
    config, backend = session.config, session.backend
    with ThreadPoolExecutor(max_workers=4) as pool:
        spark = pool.submit(_ask_spark, session, swarm)
        history = pool.submit(_ask_history, session, swarm)
        master = backend.master
        storage = pool.submit(_ask_storage, session, swarm, master) if master is not None else None
        jupyter = pool.submit(
            _ask, session, swarm, topology.JUPYTER_SERVER, config.ports.jupyter, "/api", lambda body: None
        )
        pages: dict[str, _Page[object]] = {
            topology.SPARK_MASTER: spark.result(),
            topology.JUPYTER_SERVER: jupyter.result(),
            topology.HISTORY_SERVER: history.result(),
        }
        if storage is not None and master is not None:
            pages[master.name] = _Page(_fact_of(storage.result()), storage.result().host)
        pages |= _ask_others(session, swarm, pages.keys())
        return ClusterStatus(
            tasks=swarm.tasks,
            deployed=swarm.deployed,
            spark=spark.result().value,
            storage=_fact_of(storage.result()) if storage is not None else None,
            jupyter=jupyter.result().value,
            urls=_urls(session, swarm, pages),
            history=history.result().value,
            swarm=swarm.problem,
            health=_health_of(storage.result()) if storage is not None else None,
            strangers=_strangers(session, swarm),
            absent=_absent(session, swarm),
        )


def _ask_others(session: Session, swarm: _Swarm, read: Collection[str]) -> dict[str, _Page[object]]:
    """Where Swarm does not say what runs: a connection to each page of which nothing is read."""
    if swarm.problem is None:
        return {}
    pages = {}
    for service in services.single_services(session.config):
        if service.ports and service.name not in read:
            ask = partial(_connect, session, service.ports[0].published(session.config))
            pages[service.name] = _ask_where_it_runs(session, swarm, service.name, ask)
    return pages


def _ask_storage(session: Session, swarm: _Swarm, master: Master) -> _Page[tuple[StorageFact, HealthFact]]:
    """The storage's page, and what its container remembers; a stack of an older version has no such page."""
    backend = session.backend
    port = master.published(session.config)

    def parse(body: object) -> tuple[StorageFact, HealthFact]:
        return backend.status(body), backend.health(body, remembered.value)

    remembered: _Page[MemoryFact] = _ask(session, swarm, master.name, port, master.health_path, parse_memory)
    return _ask(session, swarm, master.name, port, master.status_path, parse)


def _fact_of(page: _Page[tuple[StorageFact, HealthFact]]) -> StorageFact | str:
    return page.value if isinstance(page.value, str) else page.value[0]


def _health_of(page: _Page[tuple[StorageFact, HealthFact]]) -> HealthFact | None:
    return None if isinstance(page.value, str) else page.value[1]


def _strangers(session: Session, swarm: _Swarm) -> tuple[Stranger, ...]:
    """By Swarm's labels, which stay on a machine that was taken out of hosts.yml."""
    config = session.config
    known = {node.name for node in config.nodes}
    found = []
    for node in swarm.nodes:
        name = node.labels.get(NODE_LABEL, "")
        if node.labels.get(CLUSTER_LABEL) != config.name or not name or name in known:
            continue
        tasks = [task for task in swarm.tasks if task.node == name and is_worker(task.service) and task.is_up]
        addresses = [address for task in tasks for address in task.addresses]
        found.append(Stranger(node=name, addresses=(*addresses, node.address)))
    return tuple(found)


def _absent(session: Session, swarm: _Swarm) -> tuple[str, ...]:
    """By the label that a restore leaves at the manager, until the machine is back in the swarm."""
    there = {node.labels.get(NODE_LABEL) for node in swarm.nodes if node.state == "ready"}
    said = {name for node in swarm.nodes for name in node.labels.get(ABSENT_LABEL, "").split(",")}
    return tuple(node.name for node in session.config.nodes if node.name in said - there)


def _ask_spark(session: Session, swarm: _Swarm) -> _Page[SparkFact]:
    return _ask(session, swarm, topology.SPARK_MASTER, session.config.ports.spark_ui, "/json/", parse_spark)


def _ask_history(session: Session, swarm: _Swarm) -> _Page[tuple[AppFact, ...]]:
    return _ask(session, swarm, topology.HISTORY_SERVER, session.config.ports.history, HISTORY_PATH, parse_history)


def ask_spark(session: Session) -> SparkFact | str:
    """The Spark master alone."""
    return _ask_spark(session, _Swarm(tasks=gather_tasks(session.config, session.clients))).value


def has_master(session: Session) -> bool:
    """Whether the stack has a Spark master, running or not."""
    name = f"{session.config.name}_{topology.SPARK_MASTER}"
    return name in {one["Spec"]["Name"] for one in session.clients.engine().services(session.config.name)}


def wait_for_history(session: Session) -> None:
    """The last thing of a deploy: its directory was only just made."""
    last = {"why": "nothing yet"}

    def answers() -> bool:
        found = _ask_history(session, _Swarm(tasks=gather_tasks(session.config, session.clients))).value
        last["why"] = found if isinstance(found, str) else ""
        return not isinstance(found, str)

    wait_until(
        answers,
        what="the history server to answer",
        timeout_s=session.config.timeouts.deploy_s,
        hint="`invoke logs --service history-server`",
        detail=lambda: last["why"],
    )


def wait_for_metastore(session: Session) -> None:
    """Until Swarm says that it runs, which is when its health check has seen it answer. Nothing where there is none."""
    if topology.METASTORE not in late_services(session):
        return
    wait_until(
        lambda: bool(running(gather_tasks(session.config, session.clients), topology.METASTORE)),
        what="the metastore to answer",
        timeout_s=session.config.timeouts.deploy_s,
        hint="`invoke logs --service metastore`",
    )


def _urls(session: Session, swarm: _Swarm, pages: dict[str, _Page[object]]) -> dict[str, str]:
    """Pages whose service runs; where Swarm does not say, those that answered."""
    master = session.backend.master
    found = {}
    order = sorted(
        services.single_services(session.config),
        key=lambda one: (master is not None and one.name == master.name, one.is_late),
    )
    for service in order:
        asked = pages.get(service.name) or _Page(None, place_of(session, swarm.tasks, service.name))
        for port in service.ports:
            is_known = asked.host is not None and (swarm.problem is None or not isinstance(asked.value, str))
            if port.title and is_known:
                found[port.title] = f"http://{asked.host}:{port.published(session.config)}"
    return found


def find_problems(session: Session, status: ClusterStatus) -> tuple[Problem, ...]:
    """What is wrong, each with a hint."""
    config = session.config
    if status.swarm is None and not status.deployed:
        hint = None if status.is_restoring else "`invoke deploy`, or `invoke up`"
        down = Problem(what=f"stack {config.name} is not deployed", hint=hint)
        return (down, *status.identity)
    found = [*status.identity] if status.swarm is None else [status.swarm, *status.identity]
    found += [*_spark_problems(session, status), *_storage_problems(session, status)]
    if status.jupyter is not None:
        found.append(Problem(what=f"Jupyter: {status.jupyter}", hint="`invoke logs --service jupyter-server`"))
    if isinstance(status.history, str):
        hint = "`invoke logs --service history-server`"
        found.append(Problem(what=f"history server: {status.history}", hint=hint))
    if status.swarm is None:
        found += _task_problems(session, status)
    return tuple(found)


def ours(status: ClusterStatus, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Of some addresses those that are not a machine's that hosts.yml does not have."""
    strange = {address for stranger in status.strangers for address in stranger.addresses}
    return tuple(host for host in hosts if host not in strange)


def _spark_problems(session: Session, status: ClusterStatus) -> list[Problem]:
    nodes = len(session.config.nodes)
    if isinstance(status.spark, str):
        return [Problem(what=f"Spark master: {status.spark}", hint="`invoke logs --service spark-master`")]
    problems = []
    if status.spark.status != "ALIVE":
        hint = "it finds its workers and applications again; `invoke logs --service spark-master` if it stays so"
        problems.append(Problem(what=f"the Spark master is {status.spark.status}", hint=hint))
    alive = len(ours(status, status.spark.alive_hosts))
    if alive < nodes:
        what = f"{alive} of {nodes} Spark workers are alive"
        problems.append(Problem(what=what, hint="`invoke logs --service worker-node`"))
    return problems


def _storage_problems(session: Session, status: ClusterStatus) -> list[Problem]:
    backend = session.backend
    if status.storage is None or backend.master is None:
        return []
    if isinstance(status.storage, str):
        hint = f"`invoke logs --service {backend.master.name}`"
        if not running(status.tasks, backend.master.name):
            hint = f"`invoke deploy` says what keeps it from starting; {hint}"
        return [Problem(what=f"{backend.words.storage}: {status.storage}", hint=hint)]
    hosts = () if isinstance(status.spark, str) else ours(status, status.spark.alive_hosts)
    up = ours(status, status.storage.up_hosts)
    why = backend.unready(session.config, replace(status.storage, up_hosts=up), hosts or up)
    problems = [Problem(what=why)] if why is not None else []
    lacking = incomplete(session.config, len(up))
    if lacking is not None:
        hint = "the missing copies are made when they are back"
        problems.append(Problem(what=lacking, config_path="storage.replication", hint=hint))
    return [*problems, *data_of(session, status).problems]


def _task_problems(session: Session, status: ClusterStatus) -> list[Problem]:
    """Services without their task, with the last error of each."""
    found = []
    wanted = {node.name for node in session.config.nodes}
    up = {task.node for task in status.tasks if is_worker(task.service) and task.is_up}
    places = [(topology.WORKER_NODE, name) for name in sorted(wanted - up)]
    for service in (*single_services(session), *late_services(session)):
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


def _may_be_moved(session: Session, problem: Problem) -> Problem:
    """What helps when the manager is gone for good."""
    if session.backend.layout is None or len(session.config.nodes) < 2:
        return problem
    hint = f"{problem.hint}; if it is gone for good: `invoke restore --to NODE`"
    return replace(problem, hint=hint)


def run(session: Session) -> JobResult:
    """One look. Exit code 0 healthy, 1 degraded or not deployed, 3 when the manager cannot be reached."""
    try:
        status = look(session)
    except UnreachableError as error:
        error = UnreachableError(*map(partial(_may_be_moved, session), error.problems))
        document_: dict[str, object] = {
            "schema": SCHEMA,
            "cluster": session.config.name,
            "state": "unreachable",
            "problems": [{"node": p.node, "what": p.what, "hint": p.hint} for p in error.problems],
        }
        return JobResult(task="status", problems=error.problems, document=document_, code=ExitCode.UNREACHABLE)
    for name in status.absent:
        session.config = without(session.config, name)
    problems = find_problems(session, status)
    return JobResult(
        task="status",
        problems=problems,
        document=document(session, status, problems),
        code=ExitCode.FAILED if problems else ExitCode.OK,
    )

"""What was found on the machines, as frozen data, and the parsers of their raw answers. Pure."""

from __future__ import annotations

import base64
import functools
import ipaddress
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFact:
    """One path on a node. `kind` is `directory`, `file`, `link`, `other` or `missing`."""

    path: PurePosixPath
    kind: str
    uid: int = -1
    gid: int = -1
    mode: int = 0
    empty: bool = True
    """Nothing is in it, but for the `lost+found` of a new file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFact:
    """One data directory of a node. Sizes are bytes; `marker` is the cluster id found on it."""

    path: PurePosixPath
    marker: str | None
    cluster: str | None = None
    """Name of the cluster whose data this is, as it lies beside the id."""
    free_bytes: int
    total_bytes: int
    has_blocks: bool
    """There are files that hold the storage's data."""
    blocks: int = 0
    """Their number, and below it their size: only where it was asked for that they are counted."""
    block_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFact:
    """One running container. `stack` is empty for one outside any stack."""

    name: str
    stack: str
    sources: tuple[PurePosixPath, ...]
    """Directories of the machine that are mounted in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLayout:
    """Where a storage keeps its state on the machines; names under each data directory."""

    top: str
    """Directory that carries the marker, for example `qfs`."""
    blocks: str
    """Directory of the data, under `top`."""
    block_files: str
    """Words for find(1), true for a file that holds data."""
    metadata: tuple[str, ...]
    """Directories of the metadata, under the manager's first `top`."""
    metadata_script: str
    """Shell lines that look at `$base` and set n, l, latest, when, fsid, kib and init (see `MetaFact`)."""
    undo_script: str
    """Shell lines that remove what an init that did not end has left in `$base`, by name, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaFact:
    """The directories of the storage's metadata on the manager."""

    checkpoints: int = 0
    logs: int = 0
    latest: bool = False
    date: str | None = None
    file_system_id: str | None = None
    bytes: int = 0
    init: str = ""
    """`begun`: all that is there was left by an init that did not end; `unused`: an init ended, and no daemon has
    written anything since; empty: there is nothing, or more than that."""

    @property
    def exists(self) -> bool:
        """True when a file system is there, whole or in part; not for what an init that did not end has left."""
        return self.init != "begun" and (self.latest or self.checkpoints > 0 or self.logs > 0)

    @property
    def is_whole(self) -> bool:
        """True when a daemon finds what it starts from."""
        return self.exists and self.latest and self.checkpoints > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What one machine said. Memory is MiB, clock seconds since the epoch."""

    name: str
    hostname: str = ""
    architecture: str = ""
    cores: int = 0
    memory_mib: int = 0
    clock_s: float = 0.0
    clock_skew_s: float = 0.0
    engine_version: str | None = None
    swarm_state: str = "inactive"
    swarm_node_id: str = ""
    swarm_cluster_id: str = ""
    swarm_address: str = ""
    user_by_name: tuple[str, int] | None = None
    user_by_id: tuple[str, int] | None = None
    group_by_name: tuple[str, int] | None = None
    group_by_id: tuple[str, int] | None = None
    paths: dict[PurePosixPath, PathFact] = field(default_factory=dict)
    disks: tuple[DiskFact, ...] = ()
    containers: tuple[ContainerFact, ...] | None = None
    """What runs there; `None` where no engine lists it."""
    meta: MetaFact = MetaFact()
    trusted_ca: str | None = None
    """SHA-256 of the registry certificate that this machine's engine trusts."""
    ca_pem: str | None = None
    """The cluster's CA certificate (manager only)."""
    daemon_json: str | None = None
    """The text of the engine's /etc/docker/daemon.json."""
    insecure_registries: tuple[str, ...] = ()
    """Registries (`host:port`) and ranges of addresses to which the running engine talks plain HTTP."""
    has_secrets: bool = False
    routes: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    """TCP ports that something listens on."""

    def accepts_plain_http(self, registry: str) -> bool:
        """True when the running engine would talk plain HTTP to `host:port`, for its name or its range of addresses."""
        if registry in self.insecure_registries:
            return True
        try:
            address = ipaddress.ip_address(registry.rpartition(":")[0])
        except ValueError:
            return False  # a name: which address it has on that machine is not known here
        ranges = (entry for entry in self.insecure_registries if "/" in entry)
        return any(address in ipaddress.ip_network(entry, strict=False) for entry in ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPathFact:
    """The shared directory as one machine sees it."""

    state: str
    """`written` (the token), `seen`, `unseen`, `usable` (no token was looked for), `unprepared` (the cluster's own
    directory is missing), `unusable`, or `silent` (no answer in time)."""
    why: str = ""
    """What stands against using it, in the machine's words."""
    mount: str = "unknown"
    """The file system that the path is on, for example `nfs4 on server:/export`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmNode:
    """A node as the swarm sees it."""

    id: str
    hostname: str
    address: str
    state: str
    availability: str
    is_manager: bool
    labels: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFact:
    """One Swarm task that should be running, or the last failure of one."""

    service: str
    node: str
    state: str
    desired: str
    error: str
    container_id: str
    addresses: tuple[str, ...] = ()
    created: str = ""

    @property
    def is_up(self) -> bool:
        """It runs, and should: a task of a machine that went away stays `running` for ever."""
        return self.state == "running" and self.desired == "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFact:
    """One Spark application, in the words of the master or of the history server. Times are seconds."""

    id: str
    name: str
    user: str
    state: str
    started_s: float
    duration_s: float
    cores: int | None = None
    """`None` where the history server alone knows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFact:
    """A Spark worker that is alive: what it has for executors, used or not."""

    host: str
    cores: int
    memory_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkFact:
    """The Spark master's answer. Memory is MiB."""

    alive_hosts: tuple[str, ...]
    dead: int
    cores: int
    cores_used: int
    memory_mib: int
    memory_used_mib: int
    applications: tuple[str, ...]
    status: str
    active: tuple[AppFact, ...] = ()
    completed: tuple[AppFact, ...] = ()
    """Since the master's start."""
    workers: tuple[WorkerFact, ...] = ()
    """Those that are alive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFact:
    """What the storage's master says. Sizes are bytes."""

    up_hosts: tuple[str, ...]
    down: int
    total_bytes: int
    used_bytes: int
    free_bytes: int
    recovering: bool
    files: int
    blocks: int
    replications_pending: int
    file_system_id: str


def parse_node(name: str, text: str) -> NodeFacts:
    """Read the lines `key<TAB>value…` that gather.FACTS_SCRIPT prints. Raises `ValueError` on another shape."""
    values: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        key, *rest = line.split("\t")
        values.setdefault(key, []).append(rest)
    if "end" not in values:
        raise ValueError("the machine's answer is cut off")

    def one(key: str, default: str = "") -> str:
        rows = values.get(key)
        return rows[0][0] if rows and rows[0] else default

    swarm = json.loads(one("swarm") or "{}") or {}
    paths = {fact.path: fact for fact in map(_path_fact, values.get("path", []))}
    return NodeFacts(
        name=name,
        hostname=one("hostname"),
        architecture=one("arch"),
        cores=int(one("cores", "0")),
        memory_mib=int(one("memory_kib", "0")) // 1024,
        clock_s=float(one("clock", "0")),
        engine_version=one("engine") or None,
        swarm_state=str(swarm.get("LocalNodeState") or "inactive"),
        swarm_node_id=str(swarm.get("NodeID") or ""),
        swarm_cluster_id=str((swarm.get("Cluster") or {}).get("ID") or ""),
        swarm_address=str(swarm.get("NodeAddr") or ""),
        user_by_name=_account(one("user_name")),
        user_by_id=_account(one("user_id")),
        group_by_name=_account(one("group_name")),
        group_by_id=_account(one("group_id")),
        paths=paths,
        disks=tuple(_disk_fact(row) for row in values.get("disk", [])),
        containers=tuple(map(_container_fact, values.get("container", []))) if "containers" in values else None,
        meta=_meta_fact(values.get("meta", [[]])[0]),
        trusted_ca=one("trusted_ca") or None,
        ca_pem="\n".join(row[0] for row in values.get("ca", [])) + "\n" if "ca" in values else None,
        daemon_json=base64.b64decode(one("daemon_json")).decode(errors="replace") if "daemon_json" in values else None,
        insecure_registries=_insecure_registries(values.get("swarm", [[]])[0]),
        has_secrets=one("secrets") == "yes",
        routes=tuple(row[0] for row in values.get("route", []) if row),
        ports=tuple(sorted({int(row[0]) for row in values.get("port", []) if row and row[0].isdigit()})),
    )


def parse_shared_path(text: str) -> SharedPathFact:
    """Read the lines `key<TAB>value…` that jobs/shared_path.TOKEN_SCRIPT prints. Raises `ValueError` on others."""
    lines = text.splitlines()
    if not lines or lines[-1] != "end":
        raise ValueError("it is cut off")
    values = {key: rest for key, *rest in (line.split("\t") for line in lines)}
    state, why = values.get("state", [])
    kind, _, source = "".join(values.get("mount", [])).partition(" ")
    return SharedPathFact(state=state, why=why, mount=f"{kind} on {source}" if source else "unknown")


def _insecure_registries(engine: list[str]) -> tuple[str, ...]:
    """From the engine's answer `swarm<TAB>registries`, both JSON."""
    found = json.loads(engine[1]) if len(engine) > 1 and engine[1] else None
    if not isinstance(found, dict):
        return ()
    named = [name for name, index in (found.get("IndexConfigs") or {}).items() if not index["Secure"]]
    return (*named, *(found.get("InsecureRegistryCIDRs") or ()))


def _account(line: str) -> tuple[str, int] | None:
    """`name:x:number:…` of getent."""
    fields = line.split(":")
    return (fields[0], int(fields[2])) if len(fields) > 2 else None


def _path_fact(row: list[str]) -> PathFact:
    path, kind, uid, gid, mode, empty = row
    return PathFact(
        path=PurePosixPath(path),
        kind=kind,
        uid=int(uid or -1),
        gid=int(gid or -1),
        mode=int(mode or "0", 8),
        empty=empty == "yes",
    )


def _disk_fact(row: list[str]) -> DiskFact:
    path, marker, cluster, total_kib, free_kib, has_blocks, blocks, block_kib = row
    return DiskFact(
        path=PurePosixPath(path),
        marker=marker or None,
        cluster=cluster or None,
        total_bytes=int(total_kib or 0) * 1024,
        free_bytes=int(free_kib or 0) * 1024,
        has_blocks=has_blocks == "yes",
        blocks=int(blocks or 0),
        block_bytes=int(block_kib or 0) * 1024,
    )


def _container_fact(row: list[str]) -> ContainerFact:
    """Of `docker ps`: a mounted volume is there by its name, a directory by its path."""
    name, stack, mounts = row
    sources = tuple(PurePosixPath(source) for source in mounts.split(",") if source.startswith("/"))
    return ContainerFact(name=name, stack=stack, sources=sources)


def _meta_fact(row: list[str]) -> MetaFact:
    if not row:
        return MetaFact()
    checkpoints, logs, latest, date, file_system_id, kib, init = row
    return MetaFact(
        checkpoints=int(checkpoints or 0),
        logs=int(logs or 0),
        latest=latest == "yes",
        date=date or None,
        file_system_id=file_system_id or None,
        bytes=int(kib or 0) * 1024,
        init=init,
    )


def parse_swarm_nodes(raw: list[dict[str, object]]) -> tuple[SwarmNode, ...]:
    """Read the engine's `GET /nodes`."""
    found = []
    for item in raw:
        spec = _mapping(item, "Spec")
        status = _mapping(item, "Status")
        found.append(
            SwarmNode(
                id=str(item["ID"]),
                hostname=str(_mapping(item, "Description").get("Hostname", "")),
                address=str(status.get("Addr", "")),
                state=str(status.get("State", "")),
                availability=str(spec.get("Availability", "")),
                is_manager=spec.get("Role") == "manager",
                labels={str(k): str(v) for k, v in _mapping(spec, "Labels").items()},
            )
        )
    return tuple(found)


def parse_tasks(raw: list[dict[str, object]], services: dict[str, str], nodes: dict[str, str]) -> tuple[TaskFact, ...]:
    """Read the engine's `GET /tasks`; `services` and `nodes` map ids to names."""
    found = []
    for item in raw:
        status = _mapping(item, "Status")
        container = _mapping(status, "ContainerStatus")
        attachments = item.get("NetworksAttachments") or []
        addresses = [
            str(address).split("/")[0]
            for attachment in (attachments if isinstance(attachments, list) else [])
            for address in (attachment.get("Addresses") or [])
        ]
        found.append(
            TaskFact(
                service=services.get(str(item.get("ServiceID", "")), "?"),
                node=nodes.get(str(item.get("NodeID", "")), ""),
                state=str(status.get("State", "")),
                desired=str(item.get("DesiredState", "")),
                error=_explained(str(status.get("Err", "") or "")),
                container_id=str(container.get("ContainerID", "")),
                addresses=tuple(addresses),
                created=str(item.get("CreatedAt", "")),
            )
        )
    return tuple(sorted(found, key=lambda task: task.created))


def _explained(error: str) -> str:
    """Swarm's words for why a task failed; a directory of ours that is missing is on a disk that is not mounted."""
    missing = "bind source path does not exist: "
    return f"{error}: is the disk mounted on this machine?" if missing in error else error


def _mapping(item: object, key: str) -> dict[str, object]:
    value = item.get(key) if isinstance(item, dict) else None
    return value if isinstance(value, dict) else {}


def only_value_errors(parse: Callable[[object], T]) -> Callable[[object], T]:
    """A parser that raises `ValueError` for any answer of another shape, wherever in it the difference is."""

    @functools.wraps(parse)
    def wrapped(body: object) -> T:
        try:
            return parse(body)
        except ValueError:
            raise
        except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"its answer is not understood: {type(error).__name__}: {error}") from error

    return wrapped


def parse_app(item: dict[str, object]) -> AppFact:
    """One of `activeapps` and `completedapps` of the Spark master's answer."""
    return AppFact(
        id=str(item["id"]),
        name=str(item["name"]),
        user=str(item["user"]),
        state=str(item["state"]),
        started_s=_number(item["starttime"]) / 1000,
        duration_s=_number(item["duration"]) / 1000,
        cores=_number(item["cores"]),
    )


@only_value_errors
def parse_history(body: object) -> tuple[AppFact, ...]:
    """Read the history server's `/api/v1/applications`. Source: Spark 4.1, status/api/v1. Raises `ValueError`.

    A log without an end is `RUNNING` here: whether the application still runs only the master knows.
    """
    if not isinstance(body, list):
        raise ValueError("no list of applications in the history server's answer")
    found = []
    for item in body:
        last = item["attempts"][0]
        found.append(
            AppFact(
                id=str(item["id"]),
                name=str(item["name"]),
                user=str(last["sparkUser"]),
                state="FINISHED" if last["completed"] else "RUNNING",
                started_s=_number(last["startTimeEpoch"]) / 1000,
                duration_s=_number(last["duration"]) / 1000,
            )
        )
    return tuple(found)


@only_value_errors
def parse_spark(body: object) -> SparkFact:
    """Read the Spark master's `/json/`. Source: Spark 4.1, deploy/JsonProtocol.scala. Raises `ValueError`."""
    if not isinstance(body, dict) or "workers" not in body or "status" not in body:
        raise ValueError("no `workers` in the Spark master's answer")
    alive = [worker for worker in body["workers"] if worker["state"] == "ALIVE"]
    return SparkFact(
        alive_hosts=tuple(sorted(str(worker["host"]) for worker in alive)),
        dead=len(body["workers"]) - len(alive),
        cores=int(body["cores"]),
        cores_used=int(body["coresused"]),
        memory_mib=int(body["memory"]),
        memory_used_mib=int(body["memoryused"]),
        applications=tuple(str(app["name"]) for app in body["activeapps"]),
        active=tuple(parse_app(app) for app in body["activeapps"]),
        completed=tuple(parse_app(app) for app in body["completedapps"]),
        status=str(body["status"]),
        workers=tuple(
            WorkerFact(host=str(one["host"]), cores=int(one["cores"]), memory_mib=int(one["memory"])) for one in alive
        ),
    )


@only_value_errors
def parse_qfs(body: object) -> StorageFact:
    """Read the QFS status server's `/query/meta`. Source: QFS 2.2.8, webui/qfsstatus.py. Raises `ValueError`."""
    if not isinstance(body, dict) or not isinstance(body.get("systemInfo"), dict):
        raise ValueError("no `systemInfo` in the QFS status server's answer")
    info = body["systemInfo"]
    up = body.get("upServers") or []
    return StorageFact(
        up_hosts=tuple(sorted(str(server["host"]) for server in up)),
        down=len(body.get("downServers") or []),
        total_bytes=_number(info.get("totalSpace")),
        used_bytes=_number(info.get("usedSpace")),
        free_bytes=_number(info.get("freeFsSpace")),
        recovering=str(info.get("isInRecovery")).lower() in ("1", "true"),
        files=_number(info.get("fileCount")),
        blocks=_number(info.get("chunks")),
        replications_pending=_number(info.get("replicationBacklog")) + _number(info.get("pendingReplication")),
        file_system_id=str(info.get("fileSystemId", "")),
    )


def namenode_beans(body: object) -> dict[str, dict[object, object]]:
    """The beans of `/jmx` by name, NameNodeInfo and FSNamesystem among them. Raises `ValueError` without these."""
    beans = body.get("beans") if isinstance(body, dict) else None
    listed = [bean for bean in beans if isinstance(bean, dict)] if isinstance(beans, list) else []
    named = {str(bean.get("name", "")).rpartition("name=")[2]: bean for bean in listed}
    if not {"NameNodeInfo", "FSNamesystem"} <= set(named):
        raise ValueError("no `NameNodeInfo` in the namenode's answer")
    return named


@only_value_errors
def parse_hdfs(body: object) -> StorageFact:
    """Read the namenode's `/jmx` beans. Source: Hadoop 3, NameNodeMXBean and FSNamesystem. Raises `ValueError`."""
    beans = namenode_beans(body)
    info, system = beans["NameNodeInfo"], beans["FSNamesystem"]
    live = json.loads(str(info.get("LiveNodes") or "{}"))
    dead = json.loads(str(info.get("DeadNodes") or "{}"))
    return StorageFact(
        up_hosts=tuple(sorted(str(server["xferaddr"]).rpartition(":")[0] for server in live.values())),
        down=len(dead),
        total_bytes=_number(info.get("Total")),
        used_bytes=_number(info.get("Used")),
        free_bytes=_number(info.get("Free")),
        recovering=bool(info.get("Safemode")),
        files=_number(system.get("FilesTotal")),
        blocks=_number(system.get("BlocksTotal")),
        replications_pending=_number(system.get("UnderReplicatedBlocks"))
        + _number(system.get("PendingReplicationBlocks")),
        file_system_id=str(info.get("BlockPoolId", "")),
    )


def _number(value: object) -> int:
    try:
        return max(0, int(float(str(value))))
    except (ValueError, OverflowError):
        return 0

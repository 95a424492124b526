"""What the web pages of Spark and of the storage say. Pure."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


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
    recovering_why: str = ""
    """In the master's own words, where it says so."""


WHY_CHARACTERS = 600
"""Of a master's own words."""


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
        recovering_why=str(info.get("Safemode") or "").removeprefix("Safe mode is ON").strip(" .")[:WHY_CHARACTERS],
    )


def _number(value: object) -> int:
    try:
        return max(0, int(float(str(value))))
    except (ValueError, OverflowError):
        return 0

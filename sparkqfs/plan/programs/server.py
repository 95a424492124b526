"""The server for programs and tools outside the cluster: its service, what it says of itself, which clients fit it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkqfs.errors import ConfigError, Problem
from sparkqfs.plan.programs.apps import ENDED_STATES, one_shot_task
from sparkqfs.plan.programs.user import Program
from sparkqfs.plan.stack import CLUSTER_LABEL
from sparkqfs.topology import SERVICE_LABEL

SERVER_LABEL = "sparkqfs.server"
ROLE = "connect-server"
"""Of the runtime, and what its service and label are named after."""
TITLE = "Connect server"
APP_NAME = "Spark Connect"
"""Under which `apps` and Spark's pages list it."""
USUAL_PORT = 15002
"""Of this computer: Spark's own, so that the address stays the same from one day to the next."""
IDLE_MINUTES = 30
IDLE_RANGE = 1, 7 * 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a new server is started with."""

    idle_minutes: int = IDLE_MINUTES
    cores: int | None = None
    take_all: bool = False
    driver_memory_mib: int | None = None

    def program(self) -> Program:
        """As the driver that it is, for the arithmetic that all drivers share. Its sessions run Python too."""
        return Program(program="connect.py", cores=self.cores, driver_memory_mib=self.driver_memory_mib)


def check_idle(minutes: int) -> int:
    """Raises `ConfigError`."""
    least, most = IDLE_RANGE
    if not least <= minutes <= most:
        raise ConfigError(Problem(what=f"--idle {minutes}: {least} to {most} minutes"))
    return minutes


def service_name(cluster: str) -> str:
    """Of the Swarm service; Swarm makes no second one of this name."""
    return f"{cluster}-{ROLE}"


def server_labels(cluster: str, deployed: str) -> dict[str, str]:
    """By which the service, and its container, are found again; `deployed` is the stack that it belongs to."""
    return {CLUSTER_LABEL: cluster, SERVER_LABEL: service_name(cluster), SERVICE_LABEL: deployed}


def server_task(
    jupyter: Mapping[str, Any], cluster: str, manager: str, program: Program, idle_minutes: int, memory_mib: int
) -> dict[str, Any]:
    """The task of its service. The token is none of it: the container makes its own."""
    return one_shot_task(
        jupyter,
        cluster,
        manager,
        labels=server_labels(cluster, deployed_as(jupyter)),
        role=ROLE,
        environment={
            "SPARKQFS_SERVER_SETTINGS": json.dumps(program.flag_settings()),
            "SPARKQFS_IDLE_S": str(idle_minutes * 60),
        },
        memory_mib=memory_mib,
    )


def deployed_as(service: Mapping[str, Any]) -> str:
    """The digest of the stack that a service came with; empty where it does not say."""
    return str((service["Spec"].get("Labels") or {}).get(SERVICE_LABEL) or "")


# --- what it says of itself ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A server that takes connections."""

    connect_port: int
    """On its container's loopback."""
    token: str
    spark: str
    """Its version."""
    python: str
    """Minor version of the workers' Python."""
    app_id: str | None
    idle_s: int


def parse_ready(text: str) -> Ready:
    """What runtime/sparkqfs_runtime/supervise/server.py has written. Raises `ValueError` on another shape."""
    try:
        found = json.loads(text)
        ready = Ready(
            connect_port=int(found["connect_port"]),
            token=str(found["token"]),
            spark=str(found["spark"]),
            python=str(found["python"]),
            app_id=None if found["app_id"] is None else str(found["app_id"]),
            idle_s=int(found["idle_s"]),
        )
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"the server does not say {error}") from error
    if not re.fullmatch(r"[A-Za-z0-9_-]{20,}", ready.token):
        raise ValueError("the server has no token")
    return ready


def parse_jdbc(text: str) -> int:
    """Port of its JDBC server, from the file that runtime/java/sparkqfs/connect/JdbcOnDemand.java writes.

    Raises `ValueError` with the reason when there is none.
    """
    found = re.fullmatch(r"port (\d{1,5})", text.strip())
    if found is None:
        raise ValueError(f"the JDBC server cannot start: {text.strip().removeprefix('failed ') or 'no reason given'}")
    return int(found[1])


def jdbc_url(port: int) -> str:
    """What a JDBC client is told; its password is the token."""
    return f"jdbc:hive2://localhost:{port}/default"


JDBC_PORT = 10000
"""Of this computer: the usual one of such servers."""
JDBC_USER = "spark"
"""Any would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What Swarm says of the server's task."""

    state: str
    """Swarm's word; empty when there is no service."""
    error: str = ""
    container_id: str = ""

    @property
    def is_there(self) -> bool:
        """Whether it runs, or will."""
        return bool(self.state) and self.state not in ENDED_STATES

    @property
    def is_idle_end(self) -> bool:
        """Whether it has ended because nobody used it: that is how its own first process ends it."""
        return self.state == "complete"


def life_of(task: Mapping[str, Any] | None) -> Life:
    """From the engine's account of the task; `None` is none."""
    if task is None:
        return Life(state="")
    status = task["Status"]
    container = status.get("ContainerStatus") or {}
    return Life(
        state=str(status["State"]),
        error=str(status.get("Err") or ""),
        container_id=str(container.get("ContainerID") or ""),
    )


# --- clients ---


def minor(version: str) -> str:
    """`4.1` of `4.1.4`."""
    return ".".join(version.split(".")[:2])


def install_line(spark: str) -> str:
    """For the newest client of the server's minor version; it needs no Java.

    With pandas 3 its pandas API cannot be imported (tried: pyspark-client 4.1.3), and the client takes any pandas.
    """
    return f"pip install 'pyspark-client=={minor(spark)}.*' 'pandas<3'"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPython:
    """A Python of this computer, and the client that it has."""

    path: str
    python: str
    """Its version."""
    package: str = ""
    """`pyspark-client` or `pyspark`; empty for neither."""
    version: str = ""
    has_grpc: bool = False


def parse_local(path: str, text: str) -> LocalPython | None:
    """The line that remote/find_client.py prints; `None` for another one."""
    words = text.strip().split(" ")
    if len(words) != 4:
        return None
    python, package, version, grpc = ("" if word == "-" else word for word in words)
    return LocalPython(path=path, python=python, package=package, version=version, has_grpc=grpc == "grpc")


def check_client(found: LocalPython, spark: str) -> None:
    """Raises `ConfigError` with the line to type for a client that does not fit the server."""
    line = install_line(spark)
    if not found.package:
        raise ConfigError(Problem(what=f"{found.path} has no client of Spark", hint=f"{line}, or `--python` another"))
    if minor(found.version) != minor(spark):
        what = f"{found.path} has {found.package} {found.version}, and the server is Spark {spark}"
        raise ConfigError(Problem(what=what, hint=line))
    if not found.has_grpc:
        what = f"{found.path} has {found.package} {found.version} without what Connect needs"
        raise ConfigError(Problem(what=what, hint=f"pip install 'pyspark[connect]=={minor(spark)}.*'"))


def python_note(found: LocalPython, ready: Ready) -> str | None:
    """What is said of a Python that cannot send functions; `None` where it can."""
    if minor(found.python) == ready.python:
        return None
    return (
        f"{found.path} is Python {minor(found.python)}, the workers' is {ready.python}: Python functions (UDFs) do not "
        f"run from here, all else does"
    )


def address(port: int, token: str) -> str:
    """What a client is told. The token goes over plain gRPC, and to `localhost` alone."""
    return f"sc://localhost:{port}/;token={token}"


def lines_to_paste(port: int, ready: Ready) -> tuple[str, ...]:
    """What a person types once, and what opens a session."""
    return (
        f"# once, in an environment with Python {ready.python}:",
        install_line(ready.spark),
        "# in Python:",
        "from pyspark.sql import SparkSession",
        f'spark = SparkSession.builder.remote("{address(port, ready.token)}").getOrCreate()',
    )

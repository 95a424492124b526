"""The storage seam: one module a backend; `backend_of` is the one place that looks at the kind."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Protocol

from sparkqfs.config import ClusterConfig, NodeConfig
from sparkqfs.facts import QfsFact
from sparkqfs.plan.storage import qfs, shared


class Backend(Protocol):
    """What a storage backend says; every function is pure."""

    kind: str
    has_metaserver: bool
    """A service of its own keeps the metadata, pinned to the manager."""
    probe_host: str
    """Service whose route decides a container's address."""

    def disk_directories(self, first: bool) -> tuple[str, ...]:
        """Directories under each data directory."""
        ...

    def manager_directories(self) -> tuple[str, ...]:
        """Directories under the manager's first data directory."""
        ...

    def shared_directories(self, config: ClusterConfig) -> tuple[PurePosixPath, ...]:
        """Directories that the manager makes once for all nodes, on a file system they share."""
        ...

    def root_uri(self, config: ClusterConfig) -> str:
        """The file system's root, as Spark writes it."""
        ...

    def spark_conf(self, config: ClusterConfig) -> dict[str, str]:
        """Lines for spark-defaults.conf."""
        ...

    def daemon_configs(self, config: ClusterConfig) -> dict[str, dict[str, str]]:
        """Template name → values to fill in."""
        ...

    def container_environment(self, config: ClusterConfig, node_disks: int) -> dict[str, str]:
        """Environment of every container."""
        ...

    def worker_mounts(self, config: ClusterConfig, node: NodeConfig) -> list[dict[str, object]]:
        """Bind mounts of the storage in a worker-node container."""
        ...

    def client_mounts(self, config: ClusterConfig) -> list[dict[str, object]]:
        """Bind mounts of a container that is only a client."""
        ...

    def unready(self, config: ClusterConfig, fact: QfsFact | None, hosts: tuple[str, ...]) -> str | None:
        """Why the storage is not ready for use; `None` when it is."""
        ...

    def prepare_commands(self, config: ClusterConfig) -> tuple[str, tuple[str, ...]]:
        """Service to run in, and shell lines that make the directories a running file system needs."""
        ...


_BACKENDS: dict[str, Backend] = {"qfs": qfs.Qfs(), "shared": shared.Shared()}


def backend_of(config: ClusterConfig) -> Backend:
    """The backend that the configuration names."""
    return _BACKENDS[config.storage.kind]

"""A directory that every node mounts from one shared file system: no locality, the baseline."""

from __future__ import annotations

from pathlib import PurePosixPath

from sparkqfs import topology
from sparkqfs.config import ClusterConfig, NodeConfig
from sparkqfs.facts import QfsFact

TARGET = "/data/shared"


class Shared:
    """See `Backend`."""

    kind = "shared"
    has_metaserver = False
    probe_host = topology.SPARK_MASTER

    def disk_directories(self, first: bool) -> tuple[str, ...]:
        """None: the data is elsewhere."""
        return ()

    def manager_directories(self) -> tuple[str, ...]:
        """None."""
        return ()

    def shared_directories(self, config: ClusterConfig) -> tuple[PurePosixPath, ...]:
        """A directory of the cluster's own: what else lies on that file system is the user's."""
        return (config.shared_directory,) if config.shared_directory is not None else ()

    def root_uri(self, config: ClusterConfig) -> str:
        """A plain path, the same in every container."""
        return f"file://{TARGET}"

    def spark_conf(self, config: ClusterConfig) -> dict[str, str]:
        """Nothing beyond the root: absolute `file:` addresses need no settings."""
        return {}

    def daemon_configs(self, config: ClusterConfig) -> dict[str, dict[str, str]]:
        """No daemons."""
        return {}

    def container_environment(self, config: ClusterConfig, node_disks: int) -> dict[str, str]:
        """Nothing."""
        return {}

    def worker_mounts(self, config: ClusterConfig, node: NodeConfig) -> list[dict[str, object]]:
        """The shared directory."""
        return self.client_mounts(config)

    def client_mounts(self, config: ClusterConfig) -> list[dict[str, object]]:
        """The same directory for drivers."""
        return [{"type": "bind", "source": str(config.shared_directory), "target": TARGET}]

    def unready(self, config: ClusterConfig, fact: QfsFact | None, hosts: tuple[str, ...]) -> str | None:
        """Always ready: nothing of ours serves it."""
        return None

    def prepare_commands(self, config: ClusterConfig) -> tuple[str, tuple[str, ...]]:
        """The same directories as on a file system of our own."""
        return topology.SPARK_MASTER, tuple(
            f"[ -d {TARGET}{path} ] || {{ mkdir -p -m {mode} {TARGET}{path} && echo made {path}; }}"
            for path, mode in (
                (f"/user/{config.owner.user}", "0750"),
                ("/tmp", "1777"),
                ("/history/spark-events", "0770"),
            )
        )

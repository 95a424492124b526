"""The Quantcast File System: metaserver on the manager, a chunkserver in every worker-node container."""

from __future__ import annotations

from pathlib import PurePosixPath

from sparkqfs import topology
from sparkqfs.config import ClusterConfig, NodeConfig
from sparkqfs.facts import QfsFact

ROOT = f"qfs://{topology.QFS_MASTER}:{topology.META_CLIENT_PORT}"


class Qfs:
    """See `Backend`. Property names and their reasons: QFS 2.2.8, conf/MetaServer.prp and conf/ChunkServer.prp."""

    kind = "qfs"
    has_metaserver = True
    probe_host = topology.QFS_MASTER

    def disk_directories(self, first: bool) -> tuple[str, ...]:
        """Chunks on every disk; the logs directory on the first."""
        return ("qfs", "qfs/chunk", "qfs/logs") if first else ("qfs", "qfs/chunk")

    def manager_directories(self) -> tuple[str, ...]:
        """The metaserver's checkpoints; its transaction log is in qfs/logs."""
        return ("qfs/checkpoint",)

    def shared_directories(self, config: ClusterConfig) -> tuple[PurePosixPath, ...]:
        """None: nothing is shared."""
        return ()

    def root_uri(self, config: ClusterConfig) -> str:
        """By service name: the address changes with each reschedule."""
        return ROOT

    def spark_conf(self, config: ClusterConfig) -> dict[str, str]:
        """createParams must be set: unset means Reed-Solomon 6+3, any value means plain copies."""
        return {
            "spark.hadoop.fs.qfs.impl": "com.quantcast.qfs.hadoop.QuantcastFileSystem2",
            "spark.hadoop.fs.AbstractFileSystem.qfs.impl": "com.quantcast.qfs.hadoop.Qfs",
            "spark.hadoop.fs.qfs.metaServerHost": topology.QFS_MASTER,
            "spark.hadoop.fs.qfs.metaServerPort": str(topology.META_CLIENT_PORT),
            "spark.hadoop.fs.qfs.createParams": str(config.storage.replication),
            "spark.hadoop.fs.defaultFS": ROOT,
            "spark.sql.hive.metastore.sharedPrefixes": "com.quantcast.qfs",
            "spark.executorEnv.QFS_CLIENT_CONFIG": "client.useOsResolver=1",
        }

    def daemon_configs(self, config: ClusterConfig) -> dict[str, dict[str, str]]:
        """Values for stack/*.prp and the status server's configuration."""
        return {
            "MetaServer.prp": {
                "root_uid": str(config.owner.uid),
                "root_gid": str(config.owner.gid),
                "min_chunkservers": str(max(1, (len(config.nodes) + 1) // 2)),
                "max_replicas": str(max(3, config.storage.replication)),
            },
            "ChunkServer.prp": {},
            "webui.conf": {},
        }

    def container_environment(self, config: ClusterConfig, node_disks: int) -> dict[str, str]:
        """The OS resolver everywhere: QFS's own cannot live with Docker's."""
        dirs = ["/data/qfs/chunk", *(f"/data/qfs{number}/chunk" for number in range(1, node_disks))]
        return {
            "QFS_CLIENT_CONFIG": "client.useOsResolver=1",
            "SPARKQFS_REPLICATION": str(config.storage.replication),
            "SPARKQFS_CHUNK_DIRS": " ".join(dirs),
        }

    def worker_mounts(self, config: ClusterConfig, node: NodeConfig) -> list[dict[str, object]]:
        """One mount a disk."""
        return [
            {"type": "bind", "source": str(disk / "qfs"), "target": f"/data/qfs{number or ''}"}
            for number, disk in enumerate(node.data_dirs)
        ]

    def client_mounts(self, config: ClusterConfig) -> list[dict[str, object]]:
        """Clients reach QFS over the network."""
        return []

    def unready(self, config: ClusterConfig, fact: QfsFact | None, hosts: tuple[str, ...]) -> str | None:
        """Every chunkserver up, out of recovery, under the workers' addresses."""
        if fact is None:
            return "the metaserver does not answer"
        if len(fact.up_hosts) < len(config.nodes):
            return f"{len(fact.up_hosts)} of {len(config.nodes)} chunkservers are up"
        if fact.recovering:
            return "QFS is recovering"
        if set(fact.up_hosts) != set(hosts):
            return f"chunkservers {sorted(fact.up_hosts)} and workers {sorted(hosts)} have different addresses"
        return None

    def prepare_commands(self, config: ClusterConfig) -> tuple[str, tuple[str, ...]]:
        """User directory, /tmp and the event log directory, owned by the service user."""
        user = config.owner.user
        return topology.QFS_MASTER, tuple(
            f"qfs -test -d {path} || {{ qfs -mkdir {path} && qfs -chmod {mode} {path} && echo made {path}; }}"
            for path, mode in (
                ("/user", "0755"),
                (f"/user/{user}", "0750"),
                ("/tmp", "1777"),
                ("/history", "0755"),
                ("/history/spark-events", "0770"),
            )
        )

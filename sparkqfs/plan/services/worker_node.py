"""The service with a container on every machine of a class: the Spark worker and the storage's data server."""

from __future__ import annotations

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.plan.services.seam import (
    DEFAULTS,
    OWN_SCRATCH,
    SPARK_SECRET,
    Mount,
    Service,
    Share,
    Surroundings,
    spark_mount,
)
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.seam import shared_mounts

MEMORY_MIB = 384
"""The Spark worker's own JVM, its heap a part of it, and the supervisor."""
HEAP_MIB = 256
FILE_SERVER_MIB = 256
"""The JVM that `put`, `get` and the like start beside them, from LARGE_MIB on. Smaller machines have no room for it."""
LARGE_MIB = 6144


class WorkerNode(Service):
    """On machines like `node`, whose executors have so many cores and so much memory in all."""

    name = topology.WORKER_NODE
    listens = (topology.SPARK_WORKER_PORT, topology.SPARK_WORKER_UI_PORT)
    """Besides those of the storage's data server."""

    def __init__(self, config: ClusterConfig, node: NodeConfig, *, cores: int, heap_mib: int) -> None:
        self.node, self.cores, self.heap_mib = node, cores, heap_mib
        self.disks = len(node.data_dirs)
        self.secrets = (SPARK_SECRET, *backend_of(config).worker_secrets)

    def configs(self, around: Surroundings) -> tuple[str, ...]:
        return (*around.backend.worker_configs, DEFAULTS)

    def mounts(self, around: Surroundings) -> list[Mount]:
        blocks = around.backend.worker_mounts(self.node)
        return [*blocks, *shared_mounts(around.config), spark_mount(self.node)]

    def environment(self, around: Surroundings) -> dict[str, str]:
        return {
            "SPARK_WORKER_CORES": str(self.cores),
            "SPARK_WORKER_MEMORY": f"{self.heap_mib}m",
            "SPARK_DAEMON_MEMORY": f"{HEAP_MIB}m",
            "SPARK_WORKER_DIR": "/data/spark/work",
            **dict([OWN_SCRATCH.split("=")]),
            "SPARKQFS_KEEP_DAYS": str(around.config.logs.days),
            "SPARK_LOCAL_DIRS": "/data/spark/local",
            **around.backend.worker_environment(around.config),
        }


def shares_inside(config: ClusterConfig, machine_mib: int) -> tuple[Share, ...]:
    """Memory of the container on a machine of so many MiB (0 is unknown), besides the executors."""
    backend = backend_of(config)
    server = (Share(backend.words.servers.removesuffix("s"), backend.server_mib),) if backend.server_mib else ()
    files = () if 0 < machine_mib < LARGE_MIB else (Share("file server", FILE_SERVER_MIB),)
    return (Share("Spark worker", MEMORY_MIB), *server, *files)

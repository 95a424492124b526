"""The Spark master, on the manager, with what it needs to go on where another one ended."""

from __future__ import annotations

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig
from sparkqfs.plan.cluster.ownership import RECOVERY
from sparkqfs.plan.services.seam import QUICK, SPARK_SECRET, Mount, Port, Service, Share, Surroundings, bind

MEMORY_MIB = 384


class SparkMaster(Service):
    """Workers and applications wait for it."""

    name = topology.SPARK_MASTER
    ports = (Port(inside=topology.SPARK_UI_PORT, setting="spark_ui", title="Spark master"),)
    listens = (topology.SPARK_MASTER_PORT,)
    secrets = (SPARK_SECRET,)
    is_called = True
    pace = QUICK

    def mounts(self, around: Surroundings) -> list[Mount]:
        return [*super().mounts(around), bind(around.config.manager.data_dirs[0] / RECOVERY, "/data/spark-master")]

    def environment(self, around: Surroundings) -> dict[str, str]:
        return {
            "SPARKQFS_PROBE_HOST": "",  # its own name is in no DNS before it is healthy
            "SPARKQFS_SERVICE": "{{.Service.ID}}",  # Swarm fills it in; another one after `down` and `deploy`
        }

    def shares(self, config: ClusterConfig, machine_mib: int) -> tuple[Share, ...]:
        return (Share("Spark master", MEMORY_MIB),)

"""The tables' names, in a database of its own on the manager's disk; it makes and removes tables' directories."""

from __future__ import annotations

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig
from sparkqfs.plan import catalogue
from sparkqfs.plan.services.seam import Mount, Service, Share, Surroundings

MEMORY_MIB = 256
HEAP_MIB = 96
"""A part of it. With 64 it works as well, for fewer partitions at a time. Measured: docs/measured/memory.md."""


class Metastore(Service):
    """It runs in the Spark master's image, where the catalogue of tables is Hive's."""

    name = topology.METASTORE
    image = topology.SPARK_MASTER
    listens = (topology.METASTORE_PORT,)
    is_late = True
    is_called = True

    def is_in(self, config: ClusterConfig) -> bool:
        return config.has_metastore

    def mounts(self, around: Surroundings) -> list[Mount]:
        return [*super().mounts(around), catalogue.mount(around.config)]

    def environment(self, around: Surroundings) -> dict[str, str]:
        return {"SPARK_DAEMON_MEMORY": f"{HEAP_MIB}m"}

    def shares(self, config: ClusterConfig, machine_mib: int) -> tuple[Share, ...]:
        return (Share("metastore", MEMORY_MIB),)

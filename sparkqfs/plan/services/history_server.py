"""What ended applications did, from their event logs on the storage; a service of its own restarts alone."""

from __future__ import annotations

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig
from sparkqfs.plan.services.seam import Port, Service, Share, Surroundings

MEMORY_MIB = 512, 256
"""On a machine from LARGE_MIB on, and on a smaller one."""
LARGE_MIB = 8192
OUTSIDE_HEAP_MIB = 128


def memory_mib(machine_mib: int) -> int:
    """What it may have on a machine of so much memory; 0 is unknown."""
    return MEMORY_MIB[0 < machine_mib < LARGE_MIB]


class HistoryServer(Service):
    """It runs in the Spark master's image."""

    name = topology.HISTORY_SERVER
    image = topology.SPARK_MASTER
    ports = (Port(inside=topology.HISTORY_PORT, setting="history", title="History server"),)
    listens = (topology.HISTORY_OWN_PORT,)
    is_late = True

    def environment(self, around: Surroundings) -> dict[str, str]:
        return {"SPARK_DAEMON_MEMORY": f"{memory_mib(around.manager_mib) - OUTSIDE_HEAP_MIB}m"}

    def shares(self, config: ClusterConfig, machine_mib: int) -> tuple[Share, ...]:
        return (Share("history server", memory_mib(machine_mib)),)

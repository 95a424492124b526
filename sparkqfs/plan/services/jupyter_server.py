"""Jupyter, whose kernels are Spark drivers, and the page of all applications that run."""

from __future__ import annotations

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig
from sparkqfs.plan.programs import downloads
from sparkqfs.plan.services.seam import (
    OWN_SCRATCH,
    SPARK_SECRET,
    Mount,
    Port,
    Service,
    Share,
    Surroundings,
    bind,
    spark_mount,
)

MEMORY_MIB = 256
"""Jupyter's server and a kernel's Python, without the driver's JVM."""
JVM_BASE_MIB = 224
"""What a JVM needs outside its heap, but for its cores: classes, compiled code."""
WITH_DRIVER = "Jupyter and a driver"


class JupyterServer(Service):
    """On the manager, or anywhere when the notebooks are on a shared file system."""

    name = topology.JUPYTER_SERVER
    ports = (
        Port(inside=topology.JUPYTER_PORT, setting="jupyter", title="Jupyter"),
        Port(inside=topology.APP_UI_PORT, setting="app_ui"),
    )
    secrets = (SPARK_SECRET, "jupyter-token")

    def may_move(self, config: ClusterConfig) -> bool:
        return config.notebooks.shared

    def configs(self, around: Surroundings) -> tuple[str, ...]:
        more = (downloads.FILE,) if downloads.are_special(around.config) else ()
        return (*super().configs(around), *more)

    def mounts(self, around: Surroundings) -> list[Mount]:
        config = around.config
        notebooks = bind(config.notebooks_path, "/data/notebooks")
        return [*super().mounts(around), notebooks, spark_mount(config.manager)]

    def environment(self, around: Surroundings) -> dict[str, str]:
        return {
            "SPARK_LOCAL_DIRS": "/data/spark/local",
            **dict([OWN_SCRATCH.split("=")]),
            "SPARKQFS_PROGRAM_LOG_BYTES": str(around.config.logs.program_mib << 20),
            "SPARKQFS_CORES": str(around.cores),
        }

    def shares(self, config: ClusterConfig, machine_mib: int) -> tuple[Share, ...]:
        driver = config.spark.driver_memory_mib
        return (Share(WITH_DRIVER, MEMORY_MIB + driver + max(JVM_BASE_MIB, driver // 10)),)

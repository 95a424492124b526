"""Delta's settings in Spark, where `spark.delta` asks for it. Pure."""

from __future__ import annotations

from sparkqfs import topology
from sparkqfs.config.delta import SETTINGS
from sparkqfs.config.model import ClusterConfig

IMAGES = (topology.WORKER_NODE, topology.JUPYTER_SERVER)
"""Where programs run: executors, and drivers of all kinds. Masters have no use for Delta's jars."""
MOST_PARTITIONS = 50
"""Delta's own default for reading a table's log."""


def has_layer(config: ClusterConfig, name: str) -> bool:
    """Whether the image gets Delta's layer."""
    return config.spark.delta and name in IMAGES


def spark_conf(config: ClusterConfig, parallelism: int) -> dict[str, str]:
    """Lines for spark-defaults.conf. Delta's own numbers of tasks, 50 and 10,000, are for hundreds of cores."""
    if not config.spark.delta:
        return {}
    return {
        **SETTINGS,
        "spark.databricks.delta.snapshotPartitions": str(min(MOST_PARTITIONS, parallelism)),
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(parallelism),
        "spark.delta.logStore.file.impl": "sparkqfs.tables.NoLocalTables",
    }

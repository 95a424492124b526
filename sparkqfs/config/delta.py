"""`spark.delta`: what it sets in Spark, and what it does not go with."""

from __future__ import annotations

from sparkqfs.config.model import ClusterConfig
from sparkqfs.config.reading import Faults

EXTENSIONS = "spark.sql.extensions"
CATALOG = "spark.sql.catalog.spark_catalog"
SETTINGS = {
    EXTENSIONS: "io.delta.sql.DeltaSparkSessionExtension",
    CATALOG: "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
"""Source: Delta 4.4, docs, Set up Apache Spark with Delta Lake."""


def check_delta(config: ClusterConfig, faults: Faults) -> None:
    """Tables are updated only where one writer at a time can win, and where Spark's settings let Delta in."""
    if not config.spark.delta:
        return
    if config.storage.kind == "shared":
        what = f"true cannot be with storage.kind {config.storage.kind}: two writers can both win one commit there"
        faults.add("spark.delta", what, "remove it, or choose another storage")
    conf = dict(config.spark.conf)
    for key, value in SETTINGS.items():
        if value not in (name.strip() for name in conf.get(key, value).split(",")):
            way = f"add {value}" if key == EXTENSIONS else "remove it"
            faults.add(f"spark.conf.{key}", f"with spark.delta it must have {value}", way)

"""The Spark sessions of our own programs: on every node, whatever the default is, and without Spark's chatter."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pyspark.sql import SparkSession

ALL_EXECUTORS = {
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "60s",
    "spark.barrier.sync.timeout": "120",
    "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "4",
    "spark.dynamicAllocation.enabled": "false",
}
"""For a program that measures: every executor from the beginning, and an answer from each."""


def start(name: str, settings: Mapping[str, str]) -> SparkSession:
    """The session of a program, which has these settings too. No task is run twice: two must not write one file."""
    common = {
        "spark.cores.max": os.environ.get("SPARKQFS_CORES") or "1000000",
        "spark.ui.showConsoleProgress": "false",
        "spark.speculation": "false",
    }
    builder = SparkSession.builder.appName(name)
    for key, value in (common | dict(settings)).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session

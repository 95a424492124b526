"""The roles of containers: what each one starts, and the question that tells whether it is healthy.

`supervise` and `health` read this one table. The health check runs every few seconds and imports nothing that starts
something: so a role names its function, and `supervise` imports that when it is to start it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sparkqfs import topology
from sparkqfs_runtime import probes


class Role(NamedTuple):
    """One role."""

    start: str
    """`MODULE:FUNCTION` below `supervise`: from the set-up of the container to its daemons, or to an exit code."""
    probe: Callable[[], None] | None = None
    """What `health ROLE` asks; `None` for a role that is asked by its port, or that ends by itself."""


ROLES = {
    topology.WORKER_NODE: Role("spark:worker_node", probes.worker_node),
    topology.QFS_MASTER: Role("storage.qfs:qfs_master", probes.qfs_master),
    topology.HDFS_NAMENODE: Role("storage.hdfs:hdfs_namenode", probes.hdfs_namenode),
    topology.SPARK_MASTER: Role("spark:spark_master", probes.spark_master),
    topology.JUPYTER_SERVER: Role("jupyter:jupyter_server", probes.jupyter_server),
    topology.HISTORY_SERVER: Role("spark:history_server", probes.history_server),
    topology.METASTORE: Role("metastore:metastore", probes.metastore),
}
"""Those with daemons; the container ends when one of them does."""
PROGRAMS = {
    topology.METADATA_COPY: Role("copies:metadata_copy", probes.metadata_copy),
    "init-storage": Role("init_storage:init_storage"),
    "driver": Role("driver:run_driver"),
    "connect-server": Role("server:connect_server"),
}
"""Not daemons: one that runs in this process, and those that end by themselves, with an exit code of their own."""

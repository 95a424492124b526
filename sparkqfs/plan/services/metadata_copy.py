"""A copy of the storage's metadata on another machine's disk, seconds behind; one service for each such machine."""

from __future__ import annotations

from sparkqfs import topology
from sparkqfs.config.copies import copy_nodes
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.plan.services.seam import Mount, Service, Share, Surroundings, bind
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.seam import COPIES, MARKER

MEMORY_MIB = 16
"""One Python process. Measured: docs/measured/memory.md."""
FIRST_CHECK = 2.5
"""Hour of the day, UTC, when the first of them reads all that it has; the others at other hours."""


class MetadataCopy(Service):
    """On the machine `node`; its directory is in no container of users' programs."""

    image = topology.WORKER_NODE
    role = topology.METADATA_COPY
    probe = (topology.METADATA_COPY,)
    secrets = (topology.METADATA_SECRET,)
    listens = (topology.METADATA_COPY_PORT,)
    is_called = True

    def __init__(self, number: int, node: NodeConfig) -> None:
        self.number = number
        self.name = f"{topology.METADATA_COPY}-{number}"
        self.node = node

    def place(self, config: ClusterConfig) -> NodeConfig:
        return self.node

    def configs(self, around: Surroundings) -> tuple[str, ...]:
        return ()

    def mounts(self, around: Surroundings) -> list[Mount]:
        layout = around.backend.layout
        assert layout is not None
        source, target = self.node.data_dirs[0] / layout.top, f"/data/{layout.top}"
        marker = {**bind(source / MARKER, f"{target}/{MARKER}"), "read_only": True}
        return [marker, bind(source / COPIES, f"{target}/{COPIES}")]

    def environment(self, around: Surroundings) -> dict[str, str]:
        copies = around.config.storage.copies
        itself = {"SPARKQFS_SELF": self.name} if around.config.network == "host" else {}
        days = f"{copies.all_days} {copies.daily_days} {copies.weekly_days}"
        hour = (FIRST_CHECK + (self.number - 1) * 24 / max(1, copies.nodes)) % 24
        return {"SPARKQFS_COPY_DAYS": days, "SPARKQFS_COPY_CHECK": f"{hour:.2f}", **itself}

    def shares(self, config: ClusterConfig, machine_mib: int) -> tuple[Share, ...]:
        return (Share("copy of the metadata", MEMORY_MIB),)


def metadata_copies(config: ClusterConfig) -> tuple[MetadataCopy, ...]:
    """Those of this cluster; none where the storage has no metadata of ours."""
    if backend_of(config).layout is None:
        return ()
    return tuple(MetadataCopy(number, node) for number, node in enumerate(copy_nodes(config), 1))

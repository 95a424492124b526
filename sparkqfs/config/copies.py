"""Which machines keep copies of the storage's metadata."""

from __future__ import annotations

from sparkqfs.config.model import ClusterConfig, NodeConfig


def copy_nodes(config: ClusterConfig) -> tuple[NodeConfig, ...]:
    """The first ones of hosts.yml that are not the manager; none for a storage that keeps no metadata with us."""
    if config.storage.kind == "shared":
        return ()
    others = [node for node in config.nodes if not node.manager]
    return tuple(others[: config.storage.copies.nodes])

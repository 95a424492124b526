"""Builders for tests: complete objects of which a test names only what matters to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparkqfs.config.model import ClusterConfig, NodeConfig, StorageConfig


def a_cluster(*names: str, **overrides: Any) -> ClusterConfig:
    """A cluster of these nodes (default: node1, node2, node3), the first the manager, at 192.168.1.11 and up.

    `overrides` are fields of ClusterConfig, `nodes` among them. A single node keeps one copy, as after load_config.
    """
    names = names or ("node1", "node2", "node3")
    values: dict[str, Any] = {
        "file": Path("hosts.yml"),
        "nodes": tuple(a_node_config(name, index) for index, name in enumerate(names)),
        "storage": StorageConfig(replication=min(2, len(names))),
    }
    return ClusterConfig(**(values | overrides))


def a_node_config(name: str = "node1", index: int = 0, **overrides: Any) -> NodeConfig:
    """The node of this place in the cluster; number 0 is the manager. `overrides` are fields of NodeConfig."""
    address = overrides.get("address", f"192.168.1.{11 + index}")
    values: dict[str, Any] = {"name": name, "address": address, "advertise": address, "manager": index == 0}
    return NodeConfig(**(values | overrides))

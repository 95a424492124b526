"""Machines of some size, and the executors on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sparkqfs.config.model import ClusterConfig
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.sizes import Sizing, sizing
from tests.builders.clusters import a_cluster, a_node_config
from tests.builders.facts import a_node

Machine = tuple[int, int]


def cluster(
    *machines: Machine, nodes: dict[int, dict[str, Any]] | None = None, **overrides: Any
) -> tuple[ClusterConfig, dict[str, NodeFacts]]:
    """Machines of (cores, MiB), the first the manager; `nodes` are settings of single ones by their place."""
    names = tuple(f"node{number + 1}" for number in range(len(machines)))
    settings = nodes or {}
    configs = tuple(a_node_config(name, i, **settings.get(i, {})) for i, name in enumerate(names))
    config = a_cluster(*names, nodes=configs, **overrides)
    facts = {
        name: replace(a_node(name, config), cores=cores, memory_mib=mib)
        for name, (cores, mib) in zip(names, machines, strict=True)
    }
    return config, facts


def sized(*machines: Machine, **settings: Any) -> Sizing:
    return sizing(*cluster(*machines, **settings))

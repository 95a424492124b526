"""What prep plans for a cluster of two."""

from __future__ import annotations

from typing import Any

from sparkqfs.config.model import ClusterConfig
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.cluster.nodes import plan_prep
from sparkqfs.plan.steps import Plan
from tests.builders.clusters import a_cluster
from tests.builders.facts import fresh

CLUSTER = a_cluster()
ALL = ("node1", "node2", "node3")


def planned(config: ClusterConfig, facts: dict[str, NodeFacts], **more: Any) -> Plan:
    """plan_prep for every node of the cluster."""
    only = more.pop("only", tuple(node.name for node in config.nodes))
    return plan_prep(config, facts, more.pop("fresh", fresh()), only=only, **more)

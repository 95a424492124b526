"""Asks the machines and turns their answers into facts: one read-only script a node, all at once."""

from __future__ import annotations

import dataclasses
import time

from sparkqfs import topology
from sparkqfs.clients.connect import Clients
from sparkqfs.clients.parallel import Results
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.nodes import NodeFacts, StorageLayout, parse_node
from sparkqfs.facts.swarm import SwarmNode, TaskFact, parse_swarm_nodes, parse_tasks
from sparkqfs.remote import script

COUNT_TIMEOUT_S = 3600.0
"""Counting millions of files takes its time."""
FACTS_SCRIPT = script("facts")


def facts_script(layout: StorageLayout | None) -> str:
    """The question, as shell lines that only read."""
    return FACTS_SCRIPT.replace("@METADATA@", layout.metadata_script.strip("\n") if layout is not None else ":")


def layout_arguments(layout: StorageLayout | None) -> tuple[str, str, str, str]:
    """What `facts_script` wants to know of the storage: top, blocks, block_files, metadata."""
    if layout is None:
        return "", "", "", ""
    return layout.top, layout.blocks, layout.block_files, ":".join(layout.metadata)


def facts_arguments(
    config: ClusterConfig, node: NodeConfig, layout: StorageLayout | None, *, counted: bool = False
) -> tuple[str, ...]:
    """The words of `facts_script` for a machine."""
    owner, first = config.owner, node.data_dirs[0]
    catalogue = first / topology.CATALOGUE_TOP
    more = (
        first / topology.RECOVERY_TOP,
        catalogue,
        catalogue / config.storage.kind,
        config.notebooks_path,
        config.shared_directory,
        config.storage.shared.path,
    )
    return (
        owner.user,
        owner.group,
        str(owner.uid),
        str(owner.gid),
        config.registry_address,
        "yes" if node.manager else "no",
        ":".join(map(str, filter(None, more))) if node.manager else "",
        *layout_arguments(layout),
        "yes" if counted else "no",
        config.name,
        *map(str, node.data_dirs),
    )


def gather_nodes(
    config: ClusterConfig, clients: Clients, layout: StorageLayout | None, *, counted: bool = False
) -> Results[NodeFacts]:
    """Facts of each node, one exchange a node, in parallel; a node that cannot be asked is among the failures.

    With `counted` the blocks are counted and measured: that reads every directory of them.
    """
    names = tuple(node.name for node in config.nodes)
    return clients.on(names, lambda name: _gather_node(config, clients, layout, name, counted))


def _gather_node(
    config: ClusterConfig, clients: Clients, layout: StorageLayout | None, name: str, counted: bool
) -> NodeFacts:
    node = config.node(name)
    client = clients.node(name)
    client.open()
    asked = time.time()
    output = client.script(
        facts_script(layout),
        *facts_arguments(config, node, layout, counted=counted),
        timeout_s=max(COUNT_TIMEOUT_S, config.timeouts.command_s) if counted else None,
    )
    try:
        facts = parse_node(name, output.stdout)
    except (ValueError, IndexError) as error:
        what = f"cannot read the machine's answer: {error}; it said: {output.last_lines(3)}"
        raise ClusterError(Problem(node=name, what=what)) from error
    return dataclasses.replace(facts, clock_skew_s=skew_s(facts, asked, time.time()))


def skew_s(facts: NodeFacts, asked: float, answered: float) -> float:
    """By how many seconds at least the machine's clock is ahead of ours.

    It said its time after we asked and before we had the answer: how long the way there took, a login shell's start-up
    files included, is not taken for a clock that is off.
    """
    most, least = facts.clock_s - asked, (facts.clock_end_s or facts.clock_s) - answered
    return min(most, 0.0) if least <= 0.0 else least


def gather_swarm_nodes(clients: Clients) -> tuple[SwarmNode, ...]:
    """The swarm's nodes, as the manager sees them."""
    return parse_swarm_nodes(clients.engine().nodes())


def gather_tasks(config: ClusterConfig, clients: Clients) -> tuple[TaskFact, ...]:
    """The stack's tasks with service and node names of ours."""
    engine = clients.engine()
    services = {
        item["ID"]: item["Spec"]["Name"].removeprefix(f"{config.name}_") for item in engine.services(config.name)
    }
    nodes = {node.id: node.labels.get("sparkqfs.node", node.hostname) for node in parse_swarm_nodes(engine.nodes())}
    return parse_tasks(engine.tasks(config.name), services, nodes)

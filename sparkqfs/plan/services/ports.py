"""Which ports a machine must have free for the services that may run there."""

from __future__ import annotations

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.plan.services import single_services
from sparkqfs.plan.services.worker_node import WorkerNode
from sparkqfs.plan.storage import backend_of


def ports_on(config: ClusterConfig, node: NodeConfig) -> frozenset[int]:
    """TCP ports that Swarm, the registry and our services may take on a machine."""
    ports = {topology.SWARM_NODES_PORT}
    if node.manager:
        ports |= {topology.SWARM_PORT, config.registry.port}
    here = [one for one in single_services(config) if one.may_move(config) or one.place(config) == node]
    ports |= {port.published(config) for service in here for port in service.ports}
    if config.network == "host":
        listening = (WorkerNode.listens, backend_of(config).server_listens, *(service.listens for service in here))
        ports |= {port for listens in listening for port in listens}
    return frozenset(ports)

"""What must hold between the settings of hosts.yml."""

from __future__ import annotations

import re
from dataclasses import fields
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import get_args

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig, NodeConfig, StorageKind
from sparkqfs.config.reading import Faults
from sparkqfs.config.redundancy import Redundancy, fitting, spark_setting

IN_DATA_DIR = ("qfs", "hdfs", "spark", "spark-master", "metastore", "sparkqfs")
"""What clusters make in a data directory."""


def too_many(wanted: Redundancy, node_count: int) -> str:
    what = f"{wanted.copies} copies need" if not wanted.data else f"{wanted.name} needs"
    return f"{what} {wanted.nodes} nodes; there {'is' if node_count == 1 else 'are'} {node_count}"


def addresses_needed(node_count: int) -> int:
    """Of the overlay: three a node and eight more."""
    return 3 * node_count + 8


def default_subnet(node_count: int) -> str:
    """The model's own up to 82 nodes, above that the smallest network around it that has room."""
    subnet = IPv4Network(ClusterConfig(file=Path(), nodes=()).subnet)
    while subnet.num_addresses - 2 < addresses_needed(node_count) and subnet.prefixlen > 8:
        subnet = subnet.supernet()
    return str(subnet)


def check_addresses(config: ClusterConfig, faults: Faults) -> None:
    owners: dict[str, str] = {}
    subnet = IPv4Network(config.subnet)
    room, needed = subnet.num_addresses - 2, addresses_needed(len(config.nodes))
    is_subnet_read = not _has_fault(faults, "subnet")
    if room < needed and is_subnet_read:
        faults.add("subnet", f"{subnet} has {max(room, 0)} addresses; {len(config.nodes)} nodes need {needed}")
    for node in config.nodes:
        for path, address in _addresses(node):
            owner = owners.setdefault(address.lower(), node.name)
            if owner != node.name:
                faults.add(path, f"{address} is {owner}'s already; every node needs its own")
            if is_subnet_read and re.fullmatch(r"[0-9.]+", address) and ip_address(address) in subnet:
                faults.add(path, f"{address} is in the overlay's subnet {subnet}", "choose another `subnet`")
        if config.network == "host" and node.advertise and not re.fullmatch(r"[0-9.]+", node.advertise):
            what = f"`network: host` needs an IPv4 address; {node.advertise} is a name"
            faults.add(_addresses(node)[-1][0], what, "set `advertise` to the machine's address")
        is_loopback = node.advertise == "localhost" or node.advertise.startswith("127.")
        if is_loopback and len(config.nodes) > 1:
            path = _addresses(node)[-1][0]
            faults.add(path, f"the other nodes cannot reach {node.advertise}", "set `advertise` to an address they can")


def _addresses(node: NodeConfig) -> list[tuple[str, str]]:
    """Path and value of what the node is reached by, each value once; nothing for what could not be read."""
    path = f"nodes.{node.name}"
    own = [(f"{path}.address", node.address), (f"{path}.advertise", node.advertise)]
    return [(path, value) for path, value in (own if node.address != node.advertise else own[:1]) if value]


def published_ports(config: ClusterConfig) -> dict[str, int]:
    """The ports under `ports` that this cluster uses: not the page of a storage of another kind."""
    others = {f"{kind}_ui" for kind in get_args(StorageKind) if kind != config.storage.kind}
    return {each.name: getattr(config.ports, each.name) for each in fields(config.ports) if each.name not in others}


def check_ports(config: ClusterConfig, faults: Faults) -> None:
    settings = {f"ports.{name}": port for name, port in published_ports(config).items()}
    settings["registry.port"] = config.registry.port
    taken = topology.FIXED_PORTS | (topology.INNER_PORTS if config.network == "host" else {})
    # what the file sets comes last, so that the fault is on a line of the file
    for path, port in sorted(settings.items(), key=lambda setting: setting[0] in faults.lines):
        if port in taken:
            faults.add(path, f"port {port} is {taken[port]}")
        taken.setdefault(port, f"{path}'s already")


def check_paths(config: ClusterConfig, faults: Faults) -> None:
    shared, notebooks = config.storage.shared.path, config.notebooks.path
    data_dirs = sorted({path for node in config.nodes for path in node.data_dirs})
    if config.storage.kind == "shared" and shared is None and not _has_fault(faults, "storage.shared"):
        what = "missing; must be the directory that every node mounts, since storage.kind is shared"
        faults.add("storage.shared.path", what)
    if config.notebooks.shared and notebooks is None and not _has_fault(faults, "notebooks.path"):
        faults.add("notebooks.shared", "true needs notebooks.path, a directory that every node mounts")
    for data_dir in data_dirs:
        if shared is not None and (shared.is_relative_to(data_dir) or data_dir.is_relative_to(shared)):
            faults.add("storage.shared.path", f"{shared} and the data directory {data_dir}: one is inside the other")
        ours = tuple(data_dir / name for name in IN_DATA_DIR)
        if notebooks is not None and (data_dir.is_relative_to(notebooks) or any(map(notebooks.is_relative_to, ours))):
            faults.add("notebooks.path", f"{notebooks} holds or is in what the daemons write in {data_dir}")


def check_layout(config: ClusterConfig, faults: Faults) -> None:
    """What `spark.conf` asks of the storage must be something that this many nodes can hold."""
    path = f"spark.conf.{spark_setting(config.storage.kind)}"
    nodes = len(config.nodes)
    try:
        wanted = config.redundancy
    except ValueError as error:
        faults.add(path, str(error))
        return
    if wanted != Redundancy(config.storage.replication) and wanted.nodes > nodes > 0:
        faults.add(path, too_many(wanted, nodes), f"remove it: storage.replication counts then; {fitting(nodes)}")


def _has_fault(faults: Faults, path: str) -> bool:
    return any((problem.config_path or "").startswith(path) for problem in faults.problems)

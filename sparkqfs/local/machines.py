"""Containers that stand for machines: network, volumes, start, readiness, and what is laid into them."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool, LogConfig, Mount

from sparkqfs.errors import ClusterError, Problem
from sparkqfs.local.hosts_file import (
    free_networks,
    name_servers,
    node_subnets,
    overlay_subnets,
    route_mtu,
    taken_networks,
)
from sparkqfs.local.images import Deadline

LABEL = "sparkqfs.local"
"""On every object of a local cluster; its value is the cluster's name."""
NODE_LABEL = "sparkqfs.local.node"
COUNT_LABEL = "sparkqfs.local.nodes"
OVERLAY_LABEL = "sparkqfs.local.overlay"
MOUNT_LABEL = "sparkqfs.local.shared-mount"
SHARED_MOUNTS = ("glusterfs", "bind")
"""What may be at /mnt/shared of every node: a real shared file system, or the same directory of this computer."""
FIRST_ADDRESS = 11
STOP_TIMEOUT_S = 70
"""A node's own containers get up to a minute to end."""
DEFAULT_MTU = 1500
# Bit → name, as in linux/capability.h, as far as Engine 20.10 knows them.
_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ"
)
# GlusterFS says in .meta which parts of the volume, one on each node, it is connected to. A bind mount has none.
_MOUNTED = """mountpoint -q /mnt/shared && ! grep -qs '^connected = 0' /mnt/shared/.meta/graphs/active/*/private"""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node container: what it is called and where it is reached."""

    cluster: str
    node: str
    """Its name in the hosts file."""
    address: str
    shared_mount: str
    """One of `SHARED_MOUNTS`."""

    @property
    def container(self) -> str:
        """Name of the container and host name of the node."""
        return f"{self.cluster}-{self.node}"

    @property
    def volumes(self) -> dict[str, str]:
        """Volume name → where it is mounted. With `bind` the last one is shared by all nodes of the cluster."""
        shared = {
            "glusterfs": {
                f"{self.container}-glusterd": "/var/lib/glusterd",
                f"{self.container}-brick": "/srv/glusterfs",
            },
            "bind": {f"{self.cluster}-shared": "/mnt/shared"},
        }
        return {
            f"{self.container}-docker": "/var/lib/docker",
            f"{self.container}-data": "/mnt/data",
            **shared[self.shared_mount],
        }

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the container."""
        return {LABEL: self.cluster, NODE_LABEL: self.node}


def node_specs(cluster: str, count: int, network: Any) -> tuple[NodeSpec, ...]:
    """The nodes of a cluster; all they are follows from the network that `make_network` made, so that it stays."""
    first = network_subnet(network).network_address + FIRST_ADDRESS
    mount = shared_mount_of(network)
    return tuple(NodeSpec(cluster, f"node{index + 1}", str(first + index), mount) for index in range(count))


def network_subnet(network: Any) -> IPv4Network:
    """The subnet of a network that `make_network` made."""
    return IPv4Network(network.attrs["IPAM"]["Config"][0]["Subnet"])


def shared_mount_of(network: Any) -> str:
    """Which of `SHARED_MOUNTS` the cluster of a network has."""
    return str(network.attrs["Labels"].get(MOUNT_LABEL, "bind"))


def make_network(engine: Any, cluster: str, count: int, shared_mount: str) -> Any:
    """Make the nodes' own bridge network, with a subnet that collides neither with routes nor with other networks."""
    taken = [*taken_networks(), *_engine_networks(engine)]
    for subnet in free_networks(node_subnets(), taken):
        overlay = free_networks(overlay_subnets(), [*taken, subnet])[0]
        pool = IPAMPool(subnet=str(subnet), gateway=str(subnet.network_address + 1))
        labels = {
            LABEL: cluster,
            COUNT_LABEL: str(count),
            OVERLAY_LABEL: str(overlay),
            MOUNT_LABEL: shared_mount,
        }
        try:
            network = engine.networks.create(
                cluster_network(cluster),
                driver="bridge",
                ipam=IPAMConfig(pool_configs=[pool]),
                labels=labels,
                check_duplicate=True,
            )
        except APIError as failure:
            if "overlap" in str(failure.explanation).lower():  # taken in the meantime
                continue
            raise
        network.reload()
        return network
    raise ClusterError(
        Problem(
            what="no private subnet is free for the nodes' network",
            hint="remove Docker networks that nobody uses: docker network prune",
        )
    )


def cluster_network(cluster: str) -> str:
    """Name of the nodes' network."""
    return f"{cluster}-nodes"


def make_volume(engine: Any, name: str, cluster: str) -> bool:
    """Make a volume unless the cluster has it; true if made. Raises `ClusterError` if somebody else has it."""
    try:
        volume = engine.volumes.get(name)
    except NotFound:
        engine.volumes.create(name, labels={LABEL: cluster})
        return True
    if (volume.attrs.get("Labels") or {}).get(LABEL) != cluster:
        raise ClusterError(
            Problem(what=f"a volume {name} exists that is not this cluster's", hint="choose another cluster name")
        )
    return False


def create_node(engine: Any, spec: NodeSpec, image: str, addresses: Sequence[str]) -> Any:
    """Create a node's container, without starting it. `addresses` are those of all nodes, the manager's first.

    Not privileged, because that asks for every capability there is and fails where this computer itself has fewer.
    """
    mounts = [Mount(target, source, type="volume") for source, target in spec.volumes.items()]
    if Path("/lib/modules").is_dir():
        mounts.append(Mount("/lib/modules", "/lib/modules", type="bind", read_only=True))
    environment = {"NODE_DNS": " ".join(name_servers())}
    mtu = route_mtu()
    if mtu is not None and mtu < DEFAULT_MTU:
        environment["NODE_MTU"] = str(mtu)
    if spec.shared_mount == "glusterfs":
        environment["NODE_GLUSTERFS"] = " ".join(addresses)
    api = engine.api
    host_config = api.create_host_config(
        mounts=mounts,
        cap_add=host_capabilities(),
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        device_cgroup_rules=["a *:* rwm"],
        network_mode=cluster_network(spec.cluster),
        log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "2"}),
    )
    # What the client's `systempaths=unconfined` and `--cgroupns private` stand for.
    host_config.update({"MaskedPaths": [], "ReadonlyPaths": [], "CgroupnsMode": "private"})
    endpoint = api.create_endpoint_config(ipv4_address=spec.address, aliases=[spec.node])
    config = api.create_container_config(
        image,
        None,
        hostname=spec.container,
        labels=spec.labels,
        environment=environment,
        host_config=host_config,
        networking_config=api.create_networking_config({cluster_network(spec.cluster): endpoint}),
    )
    config["StopTimeout"] = STOP_TIMEOUT_S
    created = api.create_container_from_config(config, spec.container)
    return engine.containers.get(created["Id"])


def host_capabilities() -> list[str]:
    """The names of the capabilities that this computer allows: the bounding set of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    bounding = next(int(line.split()[1], 16) for line in lines if line.startswith("CapBnd:"))
    return [f"CAP_{name}" for bit, name in enumerate(_CAPABILITIES.split()) if bounding >> bit & 1]


def put_files(container: Any, files: Mapping[str, tuple[int, bytes]]) -> None:
    """Lay files, owned by root, into a container that may be stopped. `files`: path from / → (mode, content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, (mode, content) in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    container.put_archive("/", buffer.getvalue())


def start_node(container: Any) -> bool:
    """Start a node that does not run; true if it had to be started."""
    container.reload()
    if container.status == "running":
        return False
    if container.status == "paused":
        container.unpause()
    else:
        container.start()
    return True


def wait_for_node(container: Any, spec: NodeSpec, deadline: Deadline) -> None:
    """Wait until sshd greets at the node's address and its engine answers; `ClusterError` if the container ends."""
    _wait(lambda: _greets(spec.address), f"waiting for sshd at {spec.address}:22", container, spec, deadline)
    mounted = ["sh", "-c", _MOUNTED]
    _wait(lambda: _succeeds(container, mounted), "waiting for all of /mnt/shared", container, spec, deadline)
    answers = ["docker", "version", "-f", "{{.Server.Version}}"]
    _wait(lambda: _succeeds(container, answers), "waiting for dockerd", container, spec, deadline)


def load_image(container: Any, spec: NodeSpec, image: str, image_id: str, deadline: Deadline) -> bool:
    """Copy an image from this computer's engine to the node's; false if it is there."""
    present = container.exec_run(["docker", "image", "inspect", "-f", "{{.Id}}", image])
    if present.exit_code == 0 and present.output.decode().strip() == image_id:
        return False
    environment = {"DOCKER_HOST": "unix:///var/run/docker.sock", **os.environ}
    save = ["docker", "save", image]
    load = ["docker", "exec", "-i", spec.container, "docker", "load"]
    what = f"loading {image}"
    try:
        with subprocess.Popen(save, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as source:
            try:
                subprocess.run(
                    load, stdin=source.stdout, check=True, capture_output=True, text=True, env=environment,
                    timeout=deadline.left_s(what, node=spec.node),
                )  # fmt: skip
            finally:
                source.terminate()
    except FileNotFoundError as missing:
        raise ClusterError(
            Problem(what="the docker command is not on PATH", hint="install the Docker CLI")
        ) from missing
    except subprocess.TimeoutExpired:
        deadline.left_s(what, node=spec.node)
        raise
    except subprocess.CalledProcessError as failure:
        raise ClusterError(Problem(node=spec.node, what=f"{what} failed: {failure.stderr.strip()}")) from failure
    return True


def _wait(condition: Any, what: str, container: Any, spec: NodeSpec, deadline: Deadline) -> None:
    pause_s = 0.1
    while not condition():
        container.reload()
        if container.status != "running":
            raise ClusterError(
                Problem(
                    node=spec.node, what=f"{what}: the container is {container.status}", hint=_last_lines(container)
                )
            )
        deadline.left_s(what, node=spec.node, hint=f"see `docker logs {spec.container}`")
        time.sleep(pause_s)
        pause_s = min(1.0, pause_s * 1.5)


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _succeeds(container: Any, command: list[str]) -> bool:
    try:
        return bool(container.exec_run(command).exit_code == 0)
    except APIError:  # the container has just ended
        return False


def _last_lines(container: Any) -> str:
    return str(container.logs(tail=5).decode(errors="replace").strip())


def _engine_networks(engine: Any) -> Sequence[IPv4Network]:
    found = []
    for network in engine.networks.list():
        for pool in (network.attrs.get("IPAM") or {}).get("Config") or ():
            if "." in pool.get("Subnet", ""):
                found.append(IPv4Network(pool["Subnet"], strict=False))
    return found

"""What a local cluster keeps on this computer: its SSH keys, its known_hosts and its hosts file; free subnets."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path

import yaml

from sparkqfs import durable
from sparkqfs.config import model as config
from sparkqfs.errors import ClusterError, ConfigError, Problem, RefusedError

STATE_ROOT = Path("~/.local/share/sparkqfs/local")
MIN_NODE_MEMORY_MIB = 1024
MAX_NODE_MEMORY_MIB = 3072
BESIDE_MIB = 2816
"""Of this computer's memory, what is left to the rest."""
SMALL_MIB = 8192
"""On a computer with less, drivers are small, and what runs beside the executors is reckoned tighter."""
MEMORY_SHARE = 0.6
"""Of this computer's memory, what Spark may use on all nodes together."""
_HEADER = "# Written by `local.up` for the local cluster {name!r}; `local.down` removes it. Content: {digest}\n"


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The cluster's directory under the user's home: key pairs and known_hosts, for this user only."""

    path: Path

    @property
    def key(self) -> Path:
        """The private key that opens every node."""
        return self.path / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Host keys of the nodes, by address."""
        return self.path / "known_hosts"

    def host_key(self, node: str) -> Path:
        """The private host key of a node's sshd."""
        return self.path / "host_keys" / node

    def make(self, nodes: Sequence[str]) -> tuple[str, ...]:
        """Make the keys that are missing; the names of the nodes that have to be given new ones."""
        (self.path / "host_keys").mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.chmod(0o700)
        all_new = _make_key(self.key, "sparkqfs local cluster")
        made = [node for node in nodes if _make_key(self.host_key(node), node)]
        return tuple(nodes if all_new else made)

    def write_known_hosts(self, addresses: Mapping[str, str]) -> None:
        """One line a node. `addresses` are by node name."""
        lines = []
        for node, address in addresses.items():
            kind, key = _public(self.host_key(node)).split()[:2]
            lines.append(f"{address} {kind} {key}\n")
        _write_if_other(self.known_hosts, "".join(lines))

    def node_files(self, node: str) -> dict[str, tuple[int, bytes]]:
        """What has to lie in the node's container: path → (mode, content)."""
        host_key = self.host_key(node)
        return {
            "etc/ssh/ssh_host_ed25519_key": (0o600, host_key.read_bytes()),
            "etc/ssh/ssh_host_ed25519_key.pub": (0o644, _public(host_key).encode()),
            "root/.ssh/authorized_keys": (0o600, _public(self.key).encode()),
        }

    def remove(self) -> bool:
        """Remove the directory; false if there is none."""
        if not self.path.exists():
            return False
        shutil.rmtree(self.path)
        return True


def state_directory(name: str) -> StateDirectory:
    """The directory of the cluster of this name, whether it exists or not."""
    return StateDirectory((STATE_ROOT / name).expanduser())


def sized_nodes(addresses: Mapping[str, str], cores: int, total_mib: int) -> dict[str, object]:
    """`nodes` of the hosts file, the first the manager, on a computer of so many cores and MiB.

    Each node sees all of the computer's memory. On a small one what runs beside the executors is reckoned tighter than
    docs/sizing.md does for machines of their own.
    """
    count = len(addresses)
    share = min(int(total_mib * MEMORY_SHARE) // count, total_mib - BESIDE_MIB)
    memory = max(MIN_NODE_MEMORY_MIB, min(MAX_NODE_MEMORY_MIB, share))
    sizes: dict[str, object] = {"cores": max(1, cores // count), "memory": f"{memory}m"}
    of_manager: dict[str, object] = {"manager": True}
    if total_mib < SMALL_MIB:
        sizes["system_memory"] = "256m"
        of_manager["services_memory"] = "1536m"
    return {
        node: {"address": address, **(of_manager if not index else {}), **sizes}
        for index, (node, address) in enumerate(addresses.items())
    }


def hosts_data(
    *,
    addresses: Mapping[str, str],
    state: StateDirectory,
    storage: str,
    overlay: str,
    base: str,
    environment: Mapping[str, str],
) -> dict[str, object]:
    """The content of the hosts file. Nodes are sized to this computer: its cores shared out, at most 60 % of memory."""
    count = len(addresses)
    total_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    nodes = sized_nodes(addresses, os.cpu_count() or 1, total_mib)
    kept: dict[str, object] = {"kind": storage, "replication": min(2, count)}
    if storage == "shared":
        kept["shared"] = {"path": "/mnt/shared"}
    build: dict[str, object] = {"base": base}
    bundles = (environment.get(key) for key in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"))
    bundle = next((path for path in bundles if path and Path(path).is_file()), None)
    if bundle:
        build["ca_certificates"] = [bundle]
    if environment.get("PIP_INDEX_URL"):
        build["pip_index"] = environment["PIP_INDEX_URL"]
    proxy = environment.get("https_proxy") or environment.get("HTTPS_PROXY")
    if proxy:
        build["proxy"] = proxy
    return {
        "cluster": "spark",
        "ssh": {"user": "root", "key": str(state.key), "known_hosts": str(state.known_hosts), "host_keys": "strict"},
        "nodes": nodes,
        "data_dir": "/mnt/data",
        "subnet": overlay,
        "storage": kept,
        "spark": {"executors_per_worker": 1, "driver_memory": "512m" if total_mib < SMALL_MIB else "1g"},
        "build": build,
    }


def check_hosts_file(file: Path, name: str) -> None:
    """Raise `RefusedError` if the file exists and is not this local cluster's, `ConfigError` if it cannot be made."""
    if not file.absolute().parent.is_dir():
        raise ConfigError(Problem(what=f"{file} cannot be written: {file.absolute().parent} is not a directory"))
    if file.exists() and not _is_ours(file, name):
        raise RefusedError(
            Problem(
                what=f"{file} exists and was not written for the local cluster {name!r}",
                hint="name another file, or move this one away",
            )
        )


def write_hosts_file(file: Path, name: str, content: Mapping[str, object]) -> str:
    """Write the file unless it is there; says what came of it. A file that the user has changed is kept.

    It is kept only while it still names the nodes' addresses; else it is put aside as FILE.bak.
    """
    body = _dump(content)
    digest = hashlib.sha256(body.encode()).hexdigest()[:16]
    text = _HEADER.format(name=name, digest=digest) + body
    if not file.exists():
        _write_private(file, text)
        return "written"
    present = file.read_text()
    if present == text:
        return "unchanged"
    head, _, old_body = present.partition("\n")
    if not head.endswith(hashlib.sha256(old_body.encode()).hexdigest()[:16]):
        if _addresses(old_body) == _addresses(body):
            return "kept with your changes"
        file.replace(file.with_name(file.name + ".bak"))
        _write_private(file, text)
        return f"written again; yours, for other addresses, is now {file.name}.bak"
    _write_private(file, text)
    return "updated"


def move_manager(file: Path, name: str, node: str) -> None:
    """Another node is the manager from now on, and has the memory that the manager keeps for services.

    Raises `RefusedError` for a file that is not this local cluster's.
    """
    check_hosts_file(file, name)
    content = yaml.safe_load(file.read_text())
    nodes: dict[str, dict[str, object]] = content["nodes"]
    moved = {key: one.pop(key) for one in nodes.values() for key in ("manager", "services_memory") if key in one}
    nodes[node].update(moved)
    _write_private(file, _HEADER.format(name=name, digest="changed") + _dump(content))


def remove_hosts_file(file: Path, name: str) -> bool:
    """Remove the file if it is this local cluster's."""
    if not file.exists() or not _is_ours(file, name):
        return False
    file.unlink()
    return True


def taken_networks() -> tuple[IPv4Network, ...]:
    """What this computer's IPv4 routes and name servers use. Empty where /proc/net/route does not exist."""
    taken = [IPv4Network(f"{server}/32") for server in name_servers() if "." in server]
    for fields in _routes():
        destination, mask = (int.from_bytes(bytes.fromhex(fields[index]), "little") for index in (1, 7))
        if mask:
            taken.append(IPv4Network((destination, IPv4Address(mask).__str__()), strict=False))
    return tuple(taken)


def name_servers() -> tuple[str, ...]:
    """This computer's name servers that a container can reach: those that are not on the loopback device."""
    try:
        lines = Path("/etc/resolv.conf").read_text().splitlines()
    except OSError:
        return ()
    words = (line.split() for line in lines)
    found = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver" and "%" not in word[1]]
    return tuple(server for server in found if not ip_address(server).is_loopback)


def route_mtu() -> int | None:
    """The MTU (bytes) of the device of the default route, if that is known."""
    for fields in _routes():
        if int(fields[7], 16) == 0:
            try:
                return int((Path("/sys/class/net") / fields[0] / "mtu").read_text())
            except (OSError, ValueError):
                return None
    return None


def free_networks(candidates: Iterable[str], taken: Sequence[IPv4Network]) -> list[IPv4Network]:
    """Those of the candidates that overlap none of the networks taken."""
    networks = (IPv4Network(candidate) for candidate in candidates)
    return [network for network in networks if not any(network.overlaps(other) for other in taken)]


def node_subnets() -> list[str]:
    """Where the nodes' own network may lie, in order of preference. Engines inside the nodes use 172.17 and 172.18."""
    private_b = [f"172.{second}.{third}.0/24" for second in range(28, 32) for third in (77, 111, 155, 199, 233)]
    private_a = [f"10.{second}.77.0/24" for second in range(200, 251)]
    return private_b + private_a + [f"192.168.{third}.0/24" for third in range(64, 240)]


def overlay_subnets() -> list[str]:
    """Where the stack's overlay may lie, in order of preference. Swarm itself takes 10.0.x from below."""
    return [f"10.{second}.30.0/24" for second in range(20, 200)]


def _routes() -> list[list[str]]:
    try:
        return [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
    except OSError:
        return []


def _make_key(path: Path, comment: str) -> bool:
    if path.exists() and path.with_name(path.name + ".pub").exists():
        return False
    path.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    except FileNotFoundError as missing:
        raise ClusterError(
            Problem(what="ssh-keygen is not installed on this computer", hint="install the OpenSSH client")
        ) from missing
    except subprocess.CalledProcessError as failure:
        raise ClusterError(Problem(what=f"cannot make the key {path}: {failure.stderr.strip()}")) from failure
    return True


def _public(key: Path) -> str:
    return key.with_name(key.name + ".pub").read_text()


def _dump(content: Mapping[str, object]) -> str:
    dump = getattr(config, "dump_config", None)
    return str(dump(content) if dump else yaml.safe_dump(dict(content), sort_keys=False))


def _addresses(body: str) -> dict[str, object] | None:
    try:
        nodes = yaml.safe_load(body)["nodes"]
        return {name: node["address"] for name, node in nodes.items()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return None


def _is_ours(file: Path, name: str) -> bool:
    with file.open() as lines:
        return lines.readline().startswith(_HEADER.format(name=name, digest="").rstrip("\n"))


def _write_if_other(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        _write_private(path, text)


def _write_private(path: Path, text: str) -> None:
    """For this user only (a proxy's address may hold a password), and whole or not at all."""
    durable.replace_file(path, text.encode(), 0o600)

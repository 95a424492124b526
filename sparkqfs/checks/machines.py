"""Pure: configuration and facts in, problems out. What `doctor` finds, each with what mends it."""

from __future__ import annotations

import hashlib
import ipaddress
import re

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.cluster.recovery import recovery_path
from sparkqfs.plan.cluster.secret_copies import outdated_copies
from sparkqfs.plan.services.ports import ports_on
from sparkqfs.topology import OLDEST_ENGINE

MAX_SKEW_S = 0.5
"""Seconds. NTP keeps machines within milliseconds of each other."""
WHOLE_SECONDS_S = 5.0
MIN_FREE_BYTES = 5 << 30
HALF = 1
"""A VPN that all traffic goes through has two routes of this length in place of a default one."""


def parse_version(text: str) -> tuple[int, ...]:
    """`20.10.24+dfsg1` → (20, 10, 24)."""
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0].split("-")[0])[:3])


def check_nodes(config: ClusterConfig, facts: dict[str, NodeFacts]) -> tuple[Problem, ...]:
    """Everything wrong with the machines that answered."""
    found: list[Problem] = []
    for name, fact in facts.items():
        found += _check_engine(name, fact)
        found += _check_machine(config, name, fact)
        found += _check_subnet(config, name, fact)
        found += _check_trust(config, name, fact, facts.get(config.manager.name))
    found += _check_architectures(facts)
    found += _check_ports(config, facts)
    found += _check_copies(config, facts)
    return tuple(found)


def _check_engine(name: str, fact: NodeFacts) -> list[Problem]:
    if fact.engine_version is None:
        return _check_silent_engine(name, fact)
    if parse_version(fact.engine_version) < OLDEST_ENGINE:
        wanted = ".".join(map(str, OLDEST_ENGINE))
        what = f"Docker Engine {fact.engine_version} is too old: {wanted} or newer"
        return [Problem(node=name, what=what, hint="apt-get install --only-upgrade docker.io")]
    return []


def _check_silent_engine(name: str, fact: NodeFacts) -> list[Problem]:
    if fact.is_podman:
        what = "no Docker Engine answers: docker is Podman there, which has no Swarm"
        hint = "apt-get remove podman-docker, then invoke prep --install-engine"
        return [Problem(node=name, what=what, hint=hint)]
    if fact.has_dockerd:
        what = "no Docker Engine answers, although one is installed"
        hint = "systemctl start docker; where it does not start, `journalctl -u docker` says why"
        return [Problem(node=name, what=what, hint=hint)]
    return [Problem(node=name, what="no Docker Engine answers", hint="invoke prep --install-engine")]


def _check_machine(config: ClusterConfig, name: str, fact: NodeFacts) -> list[Problem]:
    found = []
    if abs(fact.clock_skew_s) > MAX_SKEW_S:
        digits = 0 if abs(fact.clock_skew_s) >= WHOLE_SECONDS_S else 1
        what = f"its clock is {fact.clock_skew_s:+.{digits}f} s off this machine's"
        found.append(Problem(node=name, what=what, hint="timedatectl set-ntp true"))
    for disk in fact.disks:
        if disk.free_bytes < MIN_FREE_BYTES:
            what = f"{disk.path} has {disk.free_bytes / (1 << 30):.1f} GiB free"
            found.append(Problem(node=name, what=what, hint="free space there, or set another data_dir"))
    return found


def _check_subnet(config: ClusterConfig, name: str, fact: NodeFacts) -> list[Problem]:
    if config.network != "overlay":
        return []
    ours = ipaddress.ip_network(config.subnet)
    for route in fact.routes:
        try:
            other = ipaddress.ip_network(route)
        except ValueError:
            continue
        if other.prefixlen > HALF and ours.overlaps(other):
            what = f"subnet {config.subnet} collides with {route} there"
            return [Problem(node=name, what=what, config_path="subnet", hint="set another subnet in hosts.yml")]
    return []


def _check_trust(config: ClusterConfig, name: str, fact: NodeFacts, manager: NodeFacts | None) -> list[Problem]:
    """Only once prep has made the CA on the manager: before that there is nothing to trust."""
    if manager is None or not manager.has_secrets or fact.engine_version is None:
        return []
    wanted = hashlib.sha256(manager.ca_pem.encode()).hexdigest() if manager.ca_pem is not None else fact.trusted_ca
    if config.registry.tls and (fact.trusted_ca is None or fact.trusted_ca != wanted):
        other = (
            "does not trust the registry" if fact.trusted_ca is None else "trusts another certificate of the registry"
        )
        return [Problem(node=name, what=f"its engine {other}", hint="invoke prep")]
    if not config.registry.tls and not fact.accepts_plain_http(config.registry_address):
        what = f"its engine refuses plain HTTP to the registry {config.registry_address}"
        hint = (
            "invoke prep: it adds the address to insecure-registries in /etc/docker/daemon.json and reloads the engine"
        )
        return [Problem(node=name, what=what, config_path="registry.tls", hint=hint)]
    return []


def _check_architectures(facts: dict[str, NodeFacts]) -> list[Problem]:
    kinds = {fact.architecture for fact in facts.values()}
    if len(kinds) < 2:
        return []
    listed = ", ".join(f"{name}: {fact.architecture}" for name, fact in facts.items())
    return [Problem(what=f"the nodes have different CPU architectures ({listed})", hint="use machines of one kind")]


def _check_ports(config: ClusterConfig, facts: dict[str, NodeFacts]) -> list[Problem]:
    """Ports taken by something else, looked at before a machine is in a swarm: afterwards they are our own."""
    found = []
    for name, fact in facts.items():
        if fact.swarm_state != "inactive":
            continue
        for port in sorted(ports_on(config, config.node(name)) & set(fact.ports)):
            hint = f"ss -ltnp 'sport = :{port}' names it"
            found.append(Problem(node=name, what=f"port {port} is taken there", hint=hint))
    return found


def _check_copies(config: ClusterConfig, facts: dict[str, NodeFacts]) -> list[Problem]:
    """Copies of the manager's secrets that are missing or are not what the manager has."""
    return [
        Problem(node=name, what=f"copy of the secrets {recovery_path(config, name)}: {why}", hint="invoke prep")
        for name, why in outdated_copies(config, facts).items()
    ]

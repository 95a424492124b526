"""Pure: what stops people at their machines: engines, disks, kernels, desktops, firewalls, and what is between them."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import Problem
from sparkqfs.facts.firewall import lets_in
from sparkqfs.facts.host import EngineFact, HostFact, Reached
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.facts.swarm import SwarmNode

ENGINE_BYTES, MANAGER_BYTES = 2 << 30, 4 << 30
"""Least free space on the engine's disk: a worker's for its images, the manager's also for builds and the registry."""
FREE_INODES_PERCENT = 2
ARCHITECTURES = ("x86_64", "aarch64")
"""As uname(1) calls them."""
LEAST_SESSIONS = 4
"""What a task opens at once over one connection: the lock, the engine, a script, its end."""
SWARM_PORTS = (2377, 7946)
"""Over TCP: the manager's, and that of every node. Source: Docker's documentation of Swarm mode."""
NEEDED_MODULES = ("overlay", "vxlan")
"""Without br_netfilter only some rules of firewalls do not count."""
SLEEPERS = "sleep.target suspend.target hibernate.target hybrid-sleep.target"
NODE_PORTS = (7946, 4789)
"""Every node's, TCP or UDP, with those of the overlay."""
UFW_PORTS = "2377/tcp, 7946/tcp, 7946/udp, 4789/udp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem, and what doctor may run by itself."""

    problem: Problem
    fix: str = ""
    """Shell lines for root on the problem's node; none where a person must decide."""
    stops: bool = False
    """Nothing can work so: `plan` and `up` refuse before anything is changed."""


def check_stops(config: ClusterConfig, facts: Mapping[str, NodeFacts]) -> tuple[Problem, ...]:
    """What must be fixed before anything is changed."""
    return tuple(finding.problem for finding in check_hosts(config, facts) if finding.stops)


def check_hosts(config: ClusterConfig, facts: Mapping[str, NodeFacts]) -> tuple[Finding, ...]:
    """What every task's facts show."""
    found: list[Finding] = []
    for name, fact in facts.items():
        found += _check_cpu(name, fact)
        if fact.engine is not None:
            found += _check_kind(name, fact.engine)
            found += _check_engine_disk(config, name, fact, fact.engine)
            found += _check_settings(name, fact, fact.engine)
        found += _check_disks(name, fact)
        found += _check_kernel(config, name, fact)
    found += _check_copies_of_machines(facts)
    return tuple(found)


def _check_cpu(name: str, fact: NodeFacts) -> list[Finding]:
    """What the images run on: Python's and Java's packages are made for these CPUs only."""
    if fact.architecture and fact.architecture not in ARCHITECTURES:
        what = f"its CPU architecture is {fact.architecture}: the images are for {' and '.join(ARCHITECTURES)}"
        hint = "take another machine, or a system of 64 bits where the CPU has them"
    elif fact.bits == 32:
        what = "its system is one of 32 bits: the images are for 64"
        hint = "install a system of 64 bits, such as Raspberry Pi OS (64-bit)"
    elif fact.lacking_flags:
        what = f"its CPU lacks {', '.join(fact.lacking_flags)}: NumPy of the images does not start there"
        hint = "take a newer CPU (Intel from 2009, AMD from 2011); a virtual machine needs CPU type `host` or x86-64-v2"
        return [Finding(problem=Problem(node=name, what=what, hint=hint))]  # what needs no NumPy runs
    else:
        return []
    return [Finding(problem=Problem(node=name, what=what, hint=hint), stops=True)]


def _check_kind(name: str, engine: EngineFact) -> list[Finding]:
    """Engines whose directories are not the machine's."""
    if engine.root.startswith("/var/snap/"):
        what = f"its Docker Engine is the snap: it does not see the machine's directories (its own is {engine.root})"
        hint = "snap remove docker, then invoke prep --install-engine, or install docker.io or docker-ce"
    elif "rootless" in engine.security:
        what = "its Docker Engine is rootless: it can neither be in a swarm with an overlay nor use directories of root"
        hint = "systemctl --user disable --now docker as that user, then install docker.io or docker-ce for root"
    elif "userns" in engine.security:
        what = (
            "its Docker Engine gives containers other user numbers (userns-remap): they cannot use the data directories"
        )
        hint = 'take "userns-remap" out of /etc/docker/daemon.json, then systemctl restart docker'
    elif "selinux" in engine.security:
        what = "its Docker Engine may keep containers from the data directories by SELinux"
        hint = 'take "selinux-enabled" out of /etc/docker/daemon.json, then systemctl restart docker'
        return [Finding(problem=Problem(node=name, what=what, hint=hint))]  # a policy may let them in
    else:
        return []
    return [Finding(problem=Problem(node=name, what=what, hint=hint), stops=True)]


def _check_engine_disk(config: ClusterConfig, name: str, fact: NodeFacts, engine: EngineFact) -> list[Finding]:
    """Images have to fit; on a machine where the cluster was before they may be there, and nobody is stopped."""
    runs = any(container.stack == config.name for container in fact.containers or ())
    least = MANAGER_BYTES if config.node(name).manager else ENGINE_BYTES
    if engine.free_bytes is None or engine.free_bytes >= (least // 4 if runs else least):
        return []
    gib = engine.free_bytes / (1 << 30)
    what = f"{engine.root}, where its engine keeps images, has {gib:.1f} GiB free"
    rest = "`docker system df` shows what takes the room; or move the engine: data-root in daemon.json"
    hint = f"`invoke clean` removes images of earlier versions; {rest}" if _was_there(config, fact) else rest
    return [Finding(problem=Problem(node=name, what=what, hint=hint), stops=not runs and not _was_there(config, fact))]


def _was_there(config: ClusterConfig, fact: NodeFacts) -> bool:
    """`prep` of this cluster has left something on the machine: an `up` has come past the look at its disk."""
    return any(disk.cluster == config.name or disk.marker is not None for disk in fact.disks) or any(
        one.record is not None and one.record.cluster == config.name for one in fact.records
    )


def _check_settings(name: str, fact: NodeFacts, engine: EngineFact) -> list[Finding]:
    found = []
    restart = "in /etc/docker/daemon.json, then systemctl restart docker"
    if engine.live_restore:
        what = "its engine has live-restore on, which Swarm does not take"
        found.append(
            Finding(problem=Problem(node=name, what=what, hint=f'"live-restore": false {restart}'), stops=True)
        )
    if engine.driver == "vfs":
        what = "its engine stores images with vfs: each layer is a whole copy"
        found.append(Finding(problem=Problem(node=name, what=what, hint=f'"storage-driver": "overlay2" {restart}')))
    if not engine.limits_memory:
        what = "its kernel does not limit the memory of containers"
        hint = (
            "add cgroup_enable=memory to the kernel's command line (Raspberry Pi: /boot/firmware/cmdline.txt), reboot"
        )
        found.append(Finding(problem=Problem(node=name, what=what, hint=hint)))
    if '"iptables":false' in (fact.daemon_json or "").replace(" ", ""):
        what = "its engine may not write firewall rules (iptables: false): the overlay and its ports need yours"
        found.append(Finding(problem=Problem(node=name, what=what, hint=f'"iptables": true {restart}')))
    if fact.swarm_state in ("error", "locked"):
        what = f"its engine's swarm is in state {fact.swarm_state}"
        hint = "docker swarm unlock" if fact.swarm_state == "locked" else "`docker info` on that machine says why"
        found.append(Finding(problem=Problem(node=name, what=what, hint=hint)))
    return found


def _check_disks(name: str, fact: NodeFacts) -> list[Finding]:
    found = []
    for disk in fact.disk_kinds:
        free = disk.free_inodes_percent
        if disk.type in ("tmpfs", "ramfs"):
            what = f"{disk.path} is in memory ({disk.type}): its files are gone after a reboot"
            found.append(Finding(problem=Problem(node=name, what=what, hint="set another data_dir"), stops=True))
        elif not disk.is_writable:
            what = f"{disk.path} is on a file system that is mounted read-only"
            hint = "dmesg says why; after a check of the disk: mount -o remount,rw"
            found.append(Finding(problem=Problem(node=name, what=what, hint=hint), stops=True))
        if free is not None and free < FREE_INODES_PERCENT:
            what = f"{disk.path} has {free} % of its inodes free: it takes hardly any new file"
            hint = "remove small files there (df -i shows inodes), or set another data_dir"
            found.append(Finding(problem=Problem(node=name, what=what, hint=hint)))
    return found


def _check_kernel(config: ClusterConfig, name: str, fact: NodeFacts) -> list[Finding]:
    found = []
    needed = [module for module in fact.lacking_modules if module == "overlay" or config.network == "overlay"]
    if needed:
        what = f"its kernel has no module {', '.join(needed)}"
        hint = 'apt-get install "linux-modules-extra-$(uname -r)" (Raspberry Pi: linux-modules-extra-raspi), or reboot'
        stops = any(module in NEEDED_MODULES for module in needed)
        found.append(Finding(problem=Problem(node=name, what=what, hint=hint), stops=stops))
    if not fact.forwards:
        fix = "sysctl -w net.ipv4.ip_forward=1 && echo net.ipv4.ip_forward=1 > /etc/sysctl.d/60-sparkqfs.conf"
        what = "its kernel passes no packets on to containers (net.ipv4.ip_forward is 0)"
        found.append(Finding(problem=Problem(node=name, what=what, hint=fix), fix=fix, stops=True))
    if fact.strict_memory:
        what = "its kernel refuses memory that programs may not use (vm.overcommit_memory is 2): Java does not start"
        hint = "sysctl -w vm.overcommit_memory=0, and take the line out of /etc/sysctl.conf"
        found.append(Finding(problem=Problem(node=name, what=what, hint=hint)))
    return found


def _check_copies_of_machines(facts: Mapping[str, NodeFacts]) -> list[Finding]:
    """A machine that has two names, and disks that were cloned when the machine was in a swarm: Swarm knows its nodes
    by this ID."""
    found = []
    doubles = _doubles(facts)
    for name, first in doubles.items():
        what = f"it is the same machine as {first}: both names lead to one"
        hint = "name each machine once in the cluster file"
        found.append(Finding(problem=Problem(node=name, what=what, hint=hint), stops=True))
    in_swarm = {name: fact.swarm_node_id for name, fact in facts.items() if fact.swarm_state == "active"}
    for names in _sharing({name: swarm_id for name, swarm_id in in_swarm.items() if name not in doubles}):
        what = f"it is the same node of a swarm as {', '.join(names[:-1])}: one system was copied"
        hint = "docker swarm leave --force on the copy, then invoke swarm"
        found.append(Finding(problem=Problem(node=names[-1], what=what, hint=hint), stops=True))
    return found


def _doubles(facts: Mapping[str, NodeFacts]) -> dict[str, str]:
    """Nodes that are the machine of another one → that one."""
    itself = {
        name: f"{fact.boot} {fact.hostname} {fact.engine.id}"
        for name, fact in facts.items()
        if fact.boot and fact.engine is not None and fact.engine.id
    }
    return {name: names[0] for names in _sharing(itself) for name in names[1:]}


def _sharing(ids: Mapping[str, str]) -> list[list[str]]:
    """Machines that say the same, those that say nothing left out."""
    owners: dict[str, list[str]] = {}
    for name, found in ids.items():
        if found:
            owners.setdefault(found, []).append(name)
    return [names for names in owners.values() if len(names) > 1]


# -- what doctor alone asks -------------------------------------------------------------------------------------------


def addresses_of(config: ClusterConfig, hosts: Mapping[str, HostFact]) -> dict[str, str]:
    """Node → its IPv4 address. One that has a name is left out unless its machine says which address that is."""
    said = {name: host.address for name, host in hosts.items() if host.address is not None}
    found = {node.name: said.get(node.name, node.advertise) for node in config.nodes}
    return {
        name: address
        for name, address in found.items()
        if _is_ipv4(address) and (name not in said or not _is_loopback(address))
    }


def _is_ipv4(text: str) -> bool:
    with suppress(ValueError):
        return ip_address(text).version == 4
    return False


def _is_loopback(address: str) -> bool:
    return address.startswith("127.")


def check_host(
    config: ClusterConfig, name: str, host: HostFact, addresses: Mapping[str, str] | None = None
) -> list[Finding]:
    """What one machine says of its clock, its engine, its firewall and its names.

    `addresses` are those of all nodes; without them the nodes' own words count.
    """
    found = _check_names(config, name, host)
    if host.clock_synchronised is False:
        fix = "timedatectl set-ntp true"
        found.append(Finding(problem=Problem(node=name, what="its clock is not synchronised", hint=fix), fix=fix))
    if host.engine_at_boot == "disabled":
        fix = "systemctl enable docker.service"
        what = "its Docker Engine does not start when the machine does"
        found.append(Finding(problem=Problem(node=name, what=what, hint=fix), fix=fix))
    found += _check_firewall(name, host, addresses_of(config, {}) if addresses is None else addresses)
    if host.nameservers == 0:
        what = "it has no name server (/etc/resolv.conf): it cannot load images or packages"
        found.append(Finding(problem=Problem(node=name, what=what, hint="add nameserver ADDRESS to /etc/resolv.conf")))
    if not host.knows_itself:
        fix = 'echo "127.0.1.1 $(uname -n)" >> /etc/hosts'
        what = "its own host name has no address: Java and sudo wait for it"
        found.append(Finding(problem=Problem(node=name, what=what, hint=fix), fix=fix))
    return found


def _check_names(config: ClusterConfig, name: str, host: HostFact) -> list[Finding]:
    """Names of machines on the machines: Swarm takes addresses, and each machine says its own."""
    found = []
    manager = config.manager
    asked = [(config.node(name), host.address, "its name", "on the machine itself")]
    asked += [(manager, host.manager_address, "the manager's name", "there")] if name != manager.name else []
    for node, address, whose, where in asked:
        if address is None or (address and not _is_loopback(address)):
            continue
        what = f"{whose} {node.advertise} {f'is {address}' if address else 'has no address'} {where}"
        hint = f"set nodes.{node.name}.advertise to an IPv4 address that the other machines reach"
        path = f"nodes.{node.name}.advertise"
        found.append(Finding(problem=Problem(node=name, what=what, config_path=path, hint=hint)))
    return found


def _check_firewall(name: str, host: HostFact, addresses: Mapping[str, str]) -> list[Finding]:
    """A firewall that does not let the other machines in by their addresses, nor the ports of Swarm from all."""
    others = [address for other, address in addresses.items() if other != name]
    if not host.firewall or not others:
        return []
    closed = [address for address in others if not lets_in(host.allowed, address, NODE_PORTS)]
    if not closed:
        return []
    if host.firewall == "ufw":
        fix = " && ".join(f"ufw allow from {shlex.quote(address)}" for address in closed)
    else:
        fix = " && ".join(
            f"firewall-cmd --permanent --zone=trusted --add-source={shlex.quote(address)}" for address in closed
        )
        fix += " && firewall-cmd --reload"
    what = f"{host.firewall} is active and does not let {', '.join(closed)} in ({UFW_PORTS}, and the storage's ports)"
    return [Finding(problem=Problem(node=name, what=what, hint=fix), fix=fix)]


def host_notes(config: ClusterConfig, hosts: Mapping[str, HostFact], facts: Mapping[str, NodeFacts]) -> tuple[str, ...]:
    """What is right as it is, if people know it."""
    notes = []
    doubles = _doubles(facts)
    engines = {name: fact.engine.id for name, fact in facts.items() if fact.engine is not None and name not in doubles}
    for names in _sharing(engines):
        notes.append(
            f"{', '.join(names)}: their engines have the same ID, as of one system that was copied. Swarm does without "
            "it; for one of its own: rm /var/lib/docker/engine-id, then systemctl restart docker"
        )
    awake = [name for name, host in hosts.items() if host.suspends]
    if awake:
        notes.append(
            f"{', '.join(awake)}: a desktop runs there, which may suspend the machine when nobody uses it. To keep it "
            f"awake: systemctl mask {SLEEPERS}"
        )
    dynamic = [name for name, host in hosts.items() if host.address_by_dhcp]
    if dynamic:
        notes.append(
            f"{', '.join(dynamic)}: the address is by DHCP. Reserve it in your router, or set a fixed one: the cluster "
            "does not find a machine whose address changes"
        )
    filtered = [name for name, host in hosts.items() if host.firewall == "ufw"]
    if filtered:
        notes.append(
            f"{', '.join(filtered)}: ufw does not filter ports that Docker publishes (docs/security.md): "
            f"{', '.join(str(port) for port in sorted(dataclasses.asdict(config.ports).values()))}"
        )
    return tuple(notes)


def check_sessions(name: str, sessions: int) -> list[Finding]:
    """`sessions` could be opened at once over one connection."""
    if sessions >= LEAST_SESSIONS:
        return []
    what = f"its sshd allows {sessions} sessions a connection: {LEAST_SESSIONS} are needed"
    hint = "MaxSessions 10 in /etc/ssh/sshd_config, then systemctl reload ssh"
    return [Finding(problem=Problem(node=name, what=what, hint=hint))]


def check_swarm(config: ClusterConfig, nodes: Iterable[SwarmNode]) -> list[Finding]:
    """Nodes of the cluster that Swarm gives nothing to do."""
    found = []
    ours = {node.advertise: node.name for node in config.nodes}
    for node in nodes:
        name = node.labels.get("sparkqfs.node") or ours.get(node.address)
        if name not in ours.values():
            continue
        if node.state in ("down", "unknown", "disconnected"):
            what = f"Swarm does not reach it (state {node.state})"
            hint = "is its engine running? systemctl restart docker there; then invoke swarm"
            found.append(Finding(problem=Problem(node=name, what=what, hint=hint)))
        elif node.availability in ("drain", "pause"):
            what = f"Swarm gives it no tasks (availability {node.availability})"
            hint = f"docker node update --availability active {node.hostname} on the manager"
            found.append(Finding(problem=Problem(node=name, what=what, hint=hint)))
    return found


def check_between(reached: Iterable[Reached], closed: Iterable[tuple[str, str, int]]) -> list[Finding]:
    """Large packets between machines, and (from, to, port) of connections that do not come through."""
    found = []
    for one in reached:
        if one.large is False and one.small:
            what = (
                f"packets of {one.mtu} bytes do not come through to {one.target}: something between has a smaller MTU"
            )
            hint = (
                "set one MTU on all machines and switches; `ip link set CARD mtu 1400` shows whether that is the cause"
            )
            found.append(Finding(problem=Problem(node=one.source, what=what, hint=hint)))
    for source, target, port in closed:
        what = f"{target}:{port} cannot be reached from there: Swarm's ports are closed in between"
        hint = f"open {UFW_PORTS} between the machines"
        found.append(Finding(problem=Problem(node=source, what=what, hint=hint)))
    return found

"""Pure: configuration and facts in, problems out. What `doctor` and `verify` find, each with what mends it."""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from sparkqfs.config import ClusterConfig, published_ports
from sparkqfs.errors import Problem
from sparkqfs.facts import NodeFacts
from sparkqfs.topology import OLDEST_ENGINE, SPARK_MASTER_PORT, SPARK_WORKER_PORT, SPARK_WORKER_UI_PORT

MAX_SKEW_S = 5.0
MIN_FREE_BYTES = 5 << 30
SWARM_PORT = 2377
HOST_PORTS = {SPARK_MASTER_PORT, SPARK_WORKER_PORT, SPARK_WORKER_UI_PORT}
"""What Spark's daemons take on the machines themselves without an overlay; those of its storage come on top."""


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
        found += _check_trust(config, name, fact, any(other.has_secrets for other in facts.values()))
    found += _check_architectures(facts)
    found += _check_ports(config, facts)
    return tuple(found)


def _check_engine(name: str, fact: NodeFacts) -> list[Problem]:
    if fact.engine_version is None:
        return [Problem(node=name, what="no Docker Engine answers", hint="invoke prep --install-engine")]
    if parse_version(fact.engine_version) < OLDEST_ENGINE:
        wanted = ".".join(map(str, OLDEST_ENGINE))
        what = f"Docker Engine {fact.engine_version} is too old: {wanted} or newer"
        return [Problem(node=name, what=what, hint="apt-get install --only-upgrade docker.io")]
    return []


def _check_machine(config: ClusterConfig, name: str, fact: NodeFacts) -> list[Problem]:
    found = []
    if abs(fact.clock_skew_s) > MAX_SKEW_S:
        what = f"its clock is {fact.clock_skew_s:+.0f} s off this machine's"
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
        if ours.overlaps(other):
            what = f"subnet {config.subnet} collides with {route} there"
            return [Problem(node=name, what=what, config_path="subnet", hint="set another subnet in hosts.yml")]
    return []


def _check_trust(config: ClusterConfig, name: str, fact: NodeFacts, prepared: bool) -> list[Problem]:
    """Only once prep has made the CA on the manager: before that there is nothing to trust."""
    if not prepared or fact.engine_version is None:
        return []
    if config.registry.tls and fact.trusted_ca is None:
        return [Problem(node=name, what="its engine does not trust the registry", hint="invoke prep")]
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
    """Ports taken by something else, looked at before a swarm exists: afterwards they are our own."""
    manager = facts.get(config.manager.name)
    if manager is None or manager.swarm_state == "active":
        return []
    wanted = {*published_ports(config).values(), config.registry.port, SWARM_PORT}
    taken = [(manager.name, port) for port in sorted(wanted & set(manager.ports))]
    if config.network == "host":
        taken += [(name, port) for name, fact in facts.items() for port in sorted(HOST_PORTS & set(fact.ports))]
    return [
        Problem(node=name, what=f"port {port} is taken there", hint=f"ss -ltnp 'sport = :{port}' names it")
        for name, port in taken
    ]


# --- verify: a measurement and what the cluster should be in, a verdict out ---------------------------------------

MAX_REMOTE = 0.05
MIN_LOCAL = 0.95
OVERHEAD_BYTES = 2_000_000
"""Per worker: what Spark itself sends while files are read (tasks, broadcasts, heartbeats, our own counting)."""
TASK_OVERHEAD_BYTES = 20_000
"""Per task: its description and its answer."""
LITTLE = 0.05
"""Where the overhead may be more than this share of what is read, its bytes say nothing."""
MIXED = 0.01
"""The share of bytes without a copy on the host of their task from which on partitions are named as a reason."""
LOCAL_LEVELS = ("PROCESS_LOCAL", "NODE_LOCAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What `judge_locality` holds a measurement against."""

    server: str
    """One daemon that keeps data."""
    blocks: str
    """What it keeps, plural."""
    nodes: tuple[str, ...]
    """Names of all nodes."""
    workers: dict[str, str]
    """Address of each running worker container → its node."""
    up_hosts: tuple[str, ...] | None
    """Data servers that are up; `None` where none of ours keep this data."""
    replication: int
    remote_reads: str | None = None
    """Why the storage's own client does not read the nearest copy; `None` when it does."""
    max_remote: float | None = None
    """Greatest share of bytes received over the network; `None` for the default."""
    min_local: float | None = None
    """Least share of tasks that run where their data is; `None` for the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a measurement proves."""

    state: Literal["local", "not local", "no locality", "too little data"]
    text: str
    problems: tuple[Problem, ...] = ()
    """Thresholds that are missed, then the reasons that can be seen."""
    notes: tuple[Problem, ...] = ()
    """The same reasons, where the thresholds are met."""


def judge_locality(found: dict[str, Any], expected: Expected) -> Verdict:
    """Whether what `found` (the document of `verify`) measured is local, and why not."""
    if not found["placement"]["bytes_by_host"]:
        return _no_locality(found, expected)
    missed = _missed(found, expected)
    reasons = _reasons(found, expected)
    if missed:
        if not reasons:
            what = "no reason can be seen from here"
            hint = "other applications at the same time? Their bytes are in the same counters: `invoke status`"
            reasons = (Problem(what=what, hint=hint),)
        return Verdict(state="not local", text="not local", problems=(*missed, *reasons))
    overhead, read = _overhead(found), int(found["bytes_read"])
    if overhead > LITTLE * read:
        text = (
            f"too little data for a judgement: {_mb(read)} were read, and Spark's own messages may be {_mb(overhead)}; "
            f"{_mb(overhead / LITTLE)} would do"
        )
        return Verdict(state="too little data", text=text, notes=reasons)
    text = f"local: {found['remote_share']:.1%} of {_mb(read)} came over the network"
    if int(found["received_total"]) > (MAX_REMOTE if expected.max_remote is None else expected.max_remote) * read:
        text += f", up to {_mb(overhead)} of them Spark's own messages"
    return Verdict(state="local", text=text, notes=reasons)


def _no_locality(found: dict[str, Any], expected: Expected) -> Verdict:
    where = "shared storage" if str(found["path"]).startswith("file:") else f"the storage of {found['path']}"
    text = f"no locality on {where}: it names no places, and its bytes cross the network below the containers' counters"
    wanted = [
        f"--max-remote {expected.max_remote:g}" if expected.max_remote is not None and expected.max_remote < 1 else "",
        f"--min-local {expected.min_local:g}" if expected.min_local is not None and expected.min_local > 0 else "",
    ]
    problems = [
        Problem(what=f"no locality on {where}: {flag} cannot be met", hint="a storage that keeps data on the nodes")
        for flag in wanted
        if flag
    ]
    return Verdict(state="no locality", text=text, problems=tuple(problems))


def _missed(found: dict[str, Any], expected: Expected) -> tuple[Problem, ...]:
    """The thresholds that the measurement misses. A fraction of a task counts as a whole one."""
    max_remote = MAX_REMOTE if expected.max_remote is None else expected.max_remote
    min_local = MIN_LOCAL if expected.min_local is None else expected.min_local
    missed = []
    read, received = int(found["bytes_read"]), int(found["received_total"])
    if received - _overhead(found) > max_remote * read:
        what = f"{received / read:.1%} of the bytes read came over the network ({_mb(received)} of {_mb(read)})"
        missed.append(Problem(what=what, hint=f"--max-remote allows {max_remote:g}"))
    total = sum(found["tasks"].values())
    local = sum(found["tasks"].get(level, 0) for level in LOCAL_LEVELS)
    if total - local > math.ceil((1 - min_local) * total - 1e-9):
        what = f"{local} of {total} tasks ran where their data is"
        missed.append(Problem(what=what, hint=f"--min-local wants {min_local:g}"))
    return tuple(missed)


def _overhead(found: dict[str, Any]) -> int:
    tasks = sum(int(count) for count in found["tasks"].values())
    return OVERHEAD_BYTES * len(found["hosts"]) + TASK_OVERHEAD_BYTES * tasks


def _reasons(found: dict[str, Any], expected: Expected) -> tuple[Problem, ...]:
    return (
        *_absent_nodes(expected),
        *_unlike_hosts(found, expected),
        *_copies(found, expected),
        *_mixed_partitions(found, expected),
        *_remote_reader(found, expected),
        *_busy_cores(found),
    )


def _absent_nodes(expected: Expected) -> list[Problem]:
    """Nodes without a worker, or whose data server is not up."""
    absent = [
        Problem(node=name, what="no worker runs there", hint="`invoke status`; `invoke logs --service worker-node`")
        for name in expected.nodes
        if name not in expected.workers.values()
    ]
    if expected.up_hosts is None:
        return absent
    for host, name in expected.workers.items():
        if host not in expected.up_hosts:
            hint = "`invoke logs --service worker-node`"
            absent.append(Problem(node=name, what=f"no {expected.server} is up at {host}", hint=hint))
    return absent


def _unlike_hosts(found: dict[str, Any], expected: Expected) -> list[Problem]:
    """Executors and data under different hosts: Spark compares strings."""
    executors = set(found["hosts"])
    held: dict[str, int] = found["placement"]["blocks_by_host"]
    up = set(held) if expected.up_hosts is None else set(expected.up_hosts)
    problems = []
    without_data = sorted(executors - up - set(held))
    without_executor = sorted((up | set(held)) - executors)
    for host in without_data:
        other = ", ".join(without_executor)
        what = (
            f"executor host {host} ≠ {expected.server} host {other}" if other else f"executor host {host} has no data"
        )
        hint = "Spark compares strings: both must be the container's address. `invoke status` shows them"
        problems.append(Problem(what=what, hint=hint))
    blocks = found["placement"]["blocks"]
    for host in sorted(held):
        node = expected.workers.get(host)
        if host not in up:
            what = (
                f"{held[host]} of {blocks} {expected.blocks} have a copy on {host}, which is no live {expected.server}"
            )
            problems.append(
                Problem(node=node, what=what, hint="`invoke status`; lost copies are made anew by themselves")
            )
        elif host not in executors and not without_data:
            what = f"{held[host]} of {blocks} {expected.blocks} have a copy on {host}, where no executor of ours runs"
            hint = "another application has its cores, or its worker is down: `invoke status`"
            problems.append(Problem(node=node, what=what, hint=hint))
    return problems


def _copies(found: dict[str, Any], expected: Expected) -> list[Problem]:
    """Blocks that too few nodes can read locally."""
    placed = found["placement"]
    copies = {int(count): number for count, number in placed["copies"].items()}
    problems = []
    if placed["striped_blocks"]:
        what = (
            f"{placed['striped_blocks']} of {placed['blocks']} {expected.blocks} are striped: each host has a part only"
        )
        problems.append(Problem(what=what, hint="write them again as plain copies"))
        return problems
    if copies.get(0):
        what = f"{copies[0]} of {placed['blocks']} {expected.blocks} have no copy on a live {expected.server}"
        problems.append(Problem(what=what, hint="`invoke status`"))
    few = sum(number for count, number in copies.items() if 0 < count < expected.replication)
    if few:
        one = copies.get(1, 0)
        what = f"{few} of {placed['blocks']} {expected.blocks} have fewer than {expected.replication} copies"
        what += f", {one} of them one: only its node's cores are near it" if one else ""
        hint = "copies are made anew after a lost node; files written with fewer keep them: write them again"
        problems.append(Problem(what=what, config_path="storage.replication", hint=hint))
    elif copies.get(1) and expected.replication == 1:
        what = f"{copies[1]} {expected.blocks} with a single copy: only its node's cores are near it"
        problems.append(Problem(what=what, config_path="storage.replication", hint="two copies or more"))
    return problems


def _mixed_partitions(found: dict[str, Any], expected: Expected) -> list[Problem]:
    """Partitions of pieces that lie on different nodes."""
    scan = found["scan"]
    size = int(scan["bytes_judged"])
    if scan["bytes_elsewhere"] <= MIXED * size:
        return []
    away = f"{scan['bytes_elsewhere'] / size:.0%} of the bytes have no copy where their NODE_LOCAL task ran"
    if scan["files_per_partition"] > 1:
        what = f"{scan['files_per_partition']:.3g} files of {_mb(found['average_file_bytes'])} per partition: {away}"
        hint = "write larger files, or set spark.sql.files.openCostInBytes as high as maxPartitionBytes in spark.conf"
        return [Problem(what=what, hint=hint)]
    block = found["placement"]["largest_block_bytes"]
    what = f"partitions of {_mb(scan['bytes_per_partition'])} over {expected.blocks} of {_mb(block)}: {away}"
    return [Problem(what=what, hint="spark.sql.files.maxPartitionBytes under spark.conf: a whole part of that")]


def _remote_reader(found: dict[str, Any], expected: Expected) -> list[Problem]:
    """A reader that does not take the copy beside it."""
    reader = found["reader"]
    if reader is not None:
        if not reader["fallback_bytes"]:
            return []
        why = ", ".join(f"{reason} {count}" for reason, count in sorted(reader["fallbacks"].items()))
        what = (
            f"{_mb(reader['fallback_bytes'])} of local {expected.blocks} were read through the {expected.server}: {why}"
        )
        return [Problem(what=what)]
    most = max((int(count) for count in found["placement"]["copies"]), default=0)
    if expected.remote_reads is None or most < 2:
        return []
    what = (
        f"{expected.remote_reads} of {most}: about {1 - 1 / most:.0%} of the bytes come from another node; "
        "local reading is off"
    )
    return [Problem(what=what, hint="take the setting that switches it off out of spark.conf")]


def _busy_cores(found: dict[str, Any]) -> list[Problem]:
    """Tasks that went elsewhere although executors stood beside their data."""
    away = sum(count for level, count in found["tasks"].items() if level not in LOCAL_LEVELS)
    if not away or not set(found["hosts"]) & set(found["placement"]["bytes_by_host"]):
        return []
    total = sum(found["tasks"].values())
    what = f"{away} of {total} tasks ran elsewhere: the cores near their data were busy longer than spark.locality.wait"
    return [Problem(what=what, hint="let other work end, or set a longer spark.locality.wait")]


def _mb(count: float) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 10e6 else f"{count / 1e6:,.0f} MB"

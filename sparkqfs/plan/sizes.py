"""Cores and memory: from what each machine reports to executors that fit, with the arithmetic."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkqfs.amounts import amount
from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.driver_size import size_of
from sparkqfs.plan.services import single_services
from sparkqfs.plan.services.jupyter_server import JVM_BASE_MIB, WITH_DRIVER
from sparkqfs.plan.services.seam import Share
from sparkqfs.plan.services.worker_node import shares_inside
from sparkqfs.plan.storage import backend_of

REGISTRY_MIB = 64
CONNECT_SERVER = "Connect server"
JVM_CORE_MIB = 32
"""What a JVM needs outside its heap beside JVM_BASE_MIB: threads, network buffers of each core's task."""
PYTHON_CORE_MIB = 192
"""A Python worker with pandas and Arrow, a core."""
HEAP_MIN_MIB = 480
"""Spark starts no executor that sees less than 450 MiB; of its heap a JVM does not show all."""
SYSTEM_MIB = 320, 4096
"""A twelfth of the machine, but at least and at most this."""
CORE_MIB = 1024
"""Cores stay idle rather than that an executor gets less than this for each."""
UNKNOWN_MIB = 1024
SMALL_MIB = 4096
ROUND_MIB = 64, 16
"""A machine counts down to a multiple of this, one below SMALL_MIB to one of the second: a new kernel leaves a few
MiB more or less, for which no worker is to start anew."""
_UNITS = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1024**2, "p": 1024**3}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSize:
    """One executor; Spark standalone has one size for a whole application. Memory is MiB."""

    cores: int
    heap_mib: int
    overhead_mib: int
    """The JVM outside its heap."""
    python_mib: int
    """Python workers; Spark does not count them."""

    @property
    def memory_mib(self) -> int:
        """All three."""
        return self.heap_mib + self.overhead_mib + self.python_mib

    @property
    def python_worker_mib(self) -> int:
        """What one Python worker may hold before it spills."""
        return max(64, self.python_mib // self.cores - PYTHON_CORE_MIB // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSize:
    """What one machine gives to Spark, and how that was reckoned. Memory is MiB."""

    name: str
    machine_mib: int
    """As reported; 0 is unknown."""
    rounded_mib: int
    """What the reckoning starts with."""
    outside: tuple[Share, ...]
    """The system, and the services that may run here beside the worker-node container."""
    inside: tuple[Share, ...]
    """In the worker-node container, beside the executors."""
    cores: int
    memory_mib: int
    """For executors."""
    is_set: bool
    """True when hosts.yml says `memory_mib`."""
    cpus: float | None
    """Limit of the container in CPUs; `None` is no limit."""
    count: int
    """Executors wanted here."""
    is_count_set: bool
    on_demand: tuple[Share, ...] = ()
    """What starts here when it is asked for, out of what is free then; nothing is kept for it."""

    @property
    def reserved_mib(self) -> int:
        """Memory that executors cannot have."""
        return sum(share.mib for share in (*self.outside, *self.inside))

    @property
    def arithmetic(self) -> str:
        """For people: the machine's memory, less each share."""
        taken = " ".join(f"- {share.what} {share.mib}" for share in (*self.outside, *self.inside))
        if self.is_set:
            most = f"{self.machine_mib} MiB {taken} = {self.machine_mib - self.reserved_mib} at most"
            return f"{self.memory_mib} MiB as set; " + (most if self.machine_mib else "the machine did not say its own")
        if not self.machine_mib:
            return f"{self.memory_mib} MiB assumed: the machine did not say how much it has"
        rounded = "" if self.rounded_mib == self.machine_mib else f", rounded {self.rounded_mib}"
        return f"{self.machine_mib} MiB{rounded} {taken} = {self.rounded_mib - self.reserved_mib} for executors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """The executor, and how many of them each node runs."""

    executor: ExecutorSize
    nodes: tuple[NodeSize, ...]
    counts: dict[str, int]
    """Executors by node."""

    @property
    def cores(self) -> int:
        """Cores of all executors."""
        return self.executor.cores * sum(self.counts.values())

    def of(self, name: str) -> NodeSize:
        """The node of this name."""
        return next(node for node in self.nodes if node.name == name)

    def unused(self, node: NodeSize) -> tuple[int, int]:
        """Cores and MiB that no executor uses there."""
        count = self.counts[node.name]
        return node.cores - count * self.executor.cores, node.memory_mib - count * self.executor.memory_mib

    def limit_mib(self, node: NodeSize) -> int:
        """Limit of the worker-node container: its executors and daemons; equal machines get one limit."""
        return self.counts[node.name] * self.executor.memory_mib + sum(share.mib for share in node.inside)


def node_size(config: ClusterConfig, node: NodeConfig, fact: NodeFacts | None) -> NodeSize:
    """hosts.yml first, then what the machine reports."""
    reported_mib = fact.memory_mib if fact else 0
    machine = reported_mib - reported_mib % ROUND_MIB[reported_mib < SMALL_MIB]
    reported = fact.cores if fact else 0
    cores = node.cores or reported or 1
    outside = _outside(config, node, machine)
    inside = _inside(config, node, machine)
    left = machine - sum(share.mib for share in (*outside, *inside))
    memory = node.memory_mib or (max(0, left) if machine else UNKNOWN_MIB)
    return NodeSize(
        name=node.name,
        machine_mib=reported_mib,
        rounded_mib=machine,
        outside=outside,
        inside=inside,
        cores=cores,
        memory_mib=memory,
        is_set=node.memory_mib is not None,
        cpus=round((reported or cores) * node.cpu_share, 2) if node.cpu_share < 1 else None,
        count=node.executors or _wanted(config.spark.executors_per_worker, cores, memory),
        is_count_set=node.executors is not None,
        on_demand=(Share(CONNECT_SERVER, _connect_server_mib(config)),) if node.manager else (),
    )


def _connect_server_mib(config: ClusterConfig) -> int:
    """A driver of the cluster's usual size. What `spark.conf` says counts, as it does when the server starts."""
    conf = dict(config.spark.conf)
    heap = _mebibytes(conf, "spark.driver.memory")
    overhead = _mebibytes(conf, "spark.driver.memoryOverhead")
    return size_of(config.spark.driver_memory_mib if heap is None else heap, overhead, has_python=True).memory_mib


def _wanted(count: int, cores: int, memory: int) -> int:
    """As many executors as are wished for, or as the node has cores and memory for."""
    counts = range(min(count, cores), 1, -1)
    return next((n for n in counts if memory // n >= _least(1).memory_mib), 1)


def _least(cores: int) -> ExecutorSize:
    """The smallest executor of so many cores."""
    overhead = JVM_BASE_MIB + JVM_CORE_MIB * cores
    return ExecutorSize(cores=cores, heap_mib=HEAP_MIN_MIB, overhead_mib=overhead, python_mib=PYTHON_CORE_MIB * cores)


def _outside(config: ClusterConfig, node: NodeConfig, machine: int) -> tuple[Share, ...]:
    least, most = SYSTEM_MIB
    system = node.system_memory_mib if node.system_memory_mib is not None else max(least, min(most, machine // 12))
    if node.services_memory_mib is not None:
        return (Share("system", system), Share("services", node.services_memory_mib))
    registry = (Share("registry", REGISTRY_MIB),) if node.manager else ()
    shares: list[Share] = []
    for service in single_services(config):
        if service.may_move(config) or service.place(config) == node:
            shares += service.shares(config, machine)
    at = 1 if backend_of(config).master is not None and node.manager else 0
    return (Share("system", system), *shares[:at], *registry, *shares[at:])


def _inside(config: ClusterConfig, node: NodeConfig, machine: int) -> tuple[Share, ...]:
    if node.daemons_memory_mib is not None:
        return (Share("daemons", node.daemons_memory_mib),)
    return shares_inside(config, machine)


def sizing(config: ClusterConfig, facts: dict[str, NodeFacts]) -> Sizing:
    """One executor for all nodes: the smallest node's share decides, a larger node runs more of them.

    Raises `ClusterError`, with the arithmetic, for each node on which it does not fit.
    """
    nodes = tuple(node_size(config, node, facts.get(node.name)) for node in config.nodes)
    conf = _from_conf(config)
    cores = conf.cores or _cores_of(nodes)
    executor = _executor(conf, cores, _memory(nodes, cores))
    counts = {node.name: _count(node, executor) for node in nodes}
    problems = [problem for node in nodes if (problem := _too_large(node)) is not None]
    told = {problem.node for problem in problems}
    for node in nodes:
        if counts[node.name] < (node.count if node.is_count_set else 1) and node.name not in told:
            problems.append(_unfit(node, executor))
    if problems:
        raise ClusterError(*problems)
    return Sizing(executor=executor, nodes=nodes, counts=counts)


def _cores_of(nodes: tuple[NodeSize, ...]) -> int:
    """Cores of an executor: a smallest node's share, fewer where the memory is too little for so many."""
    cores = min(max(1, node.cores // node.count) for node in nodes)
    memory = min(node.memory_mib // node.count for node in nodes)
    return next((count for count in range(cores, 1, -1) if _least(count).memory_mib <= memory), 1)


def _memory(nodes: tuple[NodeSize, ...], cores: int) -> int:
    """Memory of an executor: so much that all cores are used, but for that not less than 1 GiB a core."""
    for_all_cores = min(node.memory_mib // _slots(node, cores) for node in nodes)
    share = min(node.memory_mib // node.count for node in nodes)
    return max(for_all_cores, min(share, HEAP_MIN_MIB + cores * CORE_MIB), _least(cores).memory_mib)


def _slots(node: NodeSize, cores: int) -> int:
    """Executors of so many cores that the node has cores for."""
    own = max(1, node.cores // node.count)
    return node.count if node.is_count_set or own <= cores else max(1, node.cores // cores)


def _count(node: NodeSize, executor: ExecutorSize) -> int:
    fits = min(node.cores // executor.cores, node.memory_mib // executor.memory_mib)
    return min(fits, _slots(node, executor.cores))


def _executor(conf: _Conf, cores: int, memory: int) -> ExecutorSize:
    """Of one executor's memory: a fifth for Python, a tenth of the heap for the JVM, or what its cores need."""
    least = _least(cores)
    python = conf.python_mib if conf.python_mib is not None else max(least.python_mib, memory // 5)
    heap = conf.heap_mib or (memory - python - conf.off_heap_mib) * 10 // 11
    overhead = conf.overhead_mib if conf.overhead_mib is not None else max(least.overhead_mib, heap // 10)
    overhead += conf.off_heap_mib
    heap = conf.heap_mib or max(HEAP_MIN_MIB, memory - python - overhead)
    return ExecutorSize(cores=cores, heap_mib=heap, overhead_mib=overhead, python_mib=python)


# --- What spark.conf says ---


@dataclass(frozen=True, slots=True, kw_only=True)
class _Conf:
    """Figures of `spark.conf`, which win over ours; `None` where it does not say."""

    cores: int | None = None
    heap_mib: int | None = None
    overhead_mib: int | None = None
    python_mib: int | None = None
    off_heap_mib: int = 0


def _from_conf(config: ClusterConfig) -> _Conf:
    conf = dict(config.spark.conf)
    cores = conf.get("spark.executor.cores")
    if cores is not None and not re.fullmatch(r"[1-9][0-9]{0,3}", cores):
        raise ClusterError(_bad("spark.executor.cores", cores, "a number of cores"))
    is_off_heap = conf.get("spark.memory.offHeap.enabled") == "true"
    return _Conf(
        cores=int(cores) if cores is not None else None,
        heap_mib=_mebibytes(conf, "spark.executor.memory"),
        overhead_mib=_mebibytes(conf, "spark.executor.memoryOverhead"),
        python_mib=_mebibytes(conf, "spark.executor.pyspark.memory"),
        off_heap_mib=(_mebibytes(conf, "spark.memory.offHeap.size", "b") or 0) if is_off_heap else 0,
    )


def _mebibytes(conf: dict[str, str], name: str, unit: str = "m") -> int | None:
    text = conf.get(name)
    if text is None:
        return None
    found = mebibytes(text, unit)
    if found is None:
        raise ClusterError(_bad(name, text, "a size such as 4g or 512m"))
    return found


def mebibytes(text: str, unit: str = "m") -> int | None:
    """MiB of a size as Spark reads it, in `unit` when it names none; `None` for what is no size.

    Source: Spark 4.1, network/util/JavaUtils.java, byteStringAs: no fractions, no space before the unit.
    """
    found = re.fullmatch(r"([0-9]{1,15})(?:(b)|([kmgtp])b?)?", text.strip().lower(), re.ASCII)
    return int(int(found[1]) * (_UNITS | {"b": 1 / 1024**2})[found[2] or found[3] or unit]) if found else None


def _bad(name: str, text: str, allowed: str) -> Problem:
    return Problem(what=f"found '{text}'; must be {allowed}", config_path=f"spark.conf.{name}")


# --- What does not fit ---


def _too_large(node: NodeSize) -> Problem | None:
    """`memory` of hosts.yml that the machine does not have beside what else runs there."""
    if not node.is_set or not node.machine_mib or node.memory_mib + node.reserved_mib <= node.machine_mib:
        return None
    left = node.machine_mib - node.reserved_mib
    hint = f"set memory to {left}m or less" if left >= HEAP_MIN_MIB else "a larger machine, or less beside it"
    return Problem(
        node=node.name,
        what=f"the memory set for Spark does not fit: {node.arithmetic}",
        config_path=f"nodes.{node.name}.memory",
        hint=f"{hint}; system_memory, services_memory and daemons_memory of the node change the other figures",
    )


def _unfit(node: NodeSize, executor: ExecutorSize) -> Problem:
    count = node.count if node.is_count_set else 1
    wanted = "an executor" if count == 1 else f"{count} executors"
    size = f"{amount(executor.cores, 'core')} and {executor.memory_mib} MiB ({_split(executor)})"
    what = f"{wanted} of {size} {'does' if count == 1 else 'do'} not fit into {amount(node.cores, 'core')} and "
    what += f"{max(0, node.memory_mib)} MiB; memory: {node.arithmetic}"
    hint = "raise the node's memory, or lower its executors, system_memory or services_memory"
    if any(share.what == WITH_DRIVER for share in node.outside):
        hint += "; on the manager spark.driver_memory counts too"
    return Problem(node=node.name, what=what, config_path=f"nodes.{node.name}", hint=hint)


# --- For people and programs ---


def _split(executor: ExecutorSize) -> str:
    return f"heap {executor.heap_mib}, JVM {executor.overhead_mib}, Python {executor.python_mib}"


def sizing_lines(found: Sizing) -> tuple[str, ...]:
    """The arithmetic, a line a node."""
    size = found.executor
    lines = [f"sizing: an executor has {amount(size.cores, 'core')} and {size.memory_mib} MiB ({_split(size)})"]
    for node in found.nodes:
        count = found.counts[node.name]
        idle_cores, idle_mib = found.unused(node)
        parts = [f"  {node.name}: {node.arithmetic}", amount(count, "executor")]
        unused = [amount(idle_cores, "core")] if idle_cores else []
        unused += [f"{idle_mib} MiB"] if idle_mib >= 64 else []
        parts += [f"unused: {' and '.join(unused)}"] if unused else []
        parts.append(f"container limit {found.limit_mib(node)} MiB" + (f", {node.cpus:g} CPUs" if node.cpus else ""))
        parts += [f"when asked for: {share.what} {share.mib} MiB" for share in node.on_demand]
        lines.append("; ".join(parts))
    return tuple(lines)


def sizing_document(found: Sizing) -> dict[str, object]:
    """The same for a program."""
    size = found.executor
    return {
        "executor": {
            "cores": size.cores,
            "memory_mib": size.memory_mib,
            "heap_mib": size.heap_mib,
            "overhead_mib": size.overhead_mib,
            "python_mib": size.python_mib,
        },
        "nodes": [_row(found, node) for node in found.nodes],
    }


def _row(found: Sizing, node: NodeSize) -> dict[str, object]:
    idle_cores, idle_mib = found.unused(node)
    return {
        "node": node.name,
        "machine_mib": node.machine_mib,
        "rounded_mib": node.rounded_mib,
        "outside": [{"what": share.what, "mib": share.mib} for share in node.outside],
        "inside": [{"what": share.what, "mib": share.mib} for share in node.inside],
        "on_demand": [{"what": share.what, "mib": share.mib} for share in node.on_demand],
        "cores": node.cores,
        "memory_mib": node.memory_mib,
        "executors": found.counts[node.name],
        "unused_cores": idle_cores,
        "unused_mib": idle_mib,
        "limit_mib": found.limit_mib(node),
        "limit_cpus": node.cpus,
    }

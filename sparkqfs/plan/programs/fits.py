"""What a program asks of the cluster, held against what is there: Spark waits in silence for what never fits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sparkqfs.amounts import amount
from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.facts.pages import WorkerFact
from sparkqfs.plan.driver_size import DriverSize, size_of
from sparkqfs.plan.programs.settings import settings_of
from sparkqfs.plan.programs.user import Program
from sparkqfs.plan.sizes import mebibytes

CORES_MAX, DEFAULT_CORES = "spark.cores.max", "spark.deploy.defaultCores"
EXECUTOR_CORES, EXECUTOR_MEMORY = "spark.executor.cores", "spark.executor.memory"
INSTANCES = "spark.executor.instances"
DRIVER_MEMORY, DRIVER_OVERHEAD = "spark.driver.memory", "spark.driver.memoryOverhead"


def parse_defaults(text: str) -> dict[str, str]:
    """Settings of a spark-defaults.conf as we write it: `name value` lines, the last one of a name counts."""
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {words[0]: re.sub(r"\\(.)", r"\1", words[1].strip()) for words in lines if len(words) == 2}


def fit_executors(
    program: Program, defaults: Mapping[str, str], workers: Sequence[WorkerFact]
) -> tuple[Program, tuple[str, ...]]:
    """The program with whole executors' cores, and what is to be said of it.

    Raises `ConfigError` with the arithmetic where Spark would start no executor. Source: Spark 4.1,
    deploy/master/Master.scala: it allocates nothing while the cores left are fewer than an executor's, and only on
    workers with its cores and its heap free.
    """
    found = settings_of(program, defaults)
    cores, memory = _number(found, EXECUTOR_CORES), _size(found, EXECUTOR_MEMORY)
    notes: list[str] = []
    count = _count(program, found)
    if count is not None:
        notes += _wanted(count, cores, memory, workers)
        program = replace(program, cores=count * cores)
        found = settings_of(program, defaults)
    if program.cores is not None and program.cores % cores:
        rounded = -(-program.cores // cores) * cores
        notes.append(f"--cores {program.cores}: an executor has {amount(cores, 'core')}, so it asks for {rounded}")
        program = replace(program, cores=rounded)
        found = settings_of(program, defaults)
    if not workers:
        notes.append("no Spark worker is alive: it waits for one")
    elif not any(worker.cores >= cores and worker.memory_mib >= memory for worker in workers):
        raise ConfigError(_too_large(cores, memory, workers))
    limit = next((name for name in (CORES_MAX, DEFAULT_CORES) if name in found), None)
    if limit is not None and _number(found, limit) < cores:
        what = f"{limit} is {found[limit]}, and an executor has {amount(cores, 'core')}: Spark would start none"
        raise ConfigError(Problem(what=what, hint=f"`--cores {cores}` or more, or a smaller {EXECUTOR_CORES}"))
    return program, tuple(notes)


def _count(program: Program, settings: Mapping[str, str]) -> int | None:
    """How many executors it asks for; `None` when it does not. Spark's standalone master counts cores only."""
    is_said = CORES_MAX in settings or settings.get("spark.dynamicAllocation.enabled", "").strip().lower() == "true"
    name = "--num-executors" if program.num_executors is not None else INSTANCES
    count = program.num_executors
    if count is None and INSTANCES in settings and not is_said:
        count = _number(settings, INSTANCES)
    if count is not None and CORES_MAX in settings:
        asked = count * _number(settings, EXECUTOR_CORES)
        if asked != _number(settings, CORES_MAX):
            what = (
                f"{name} {count} is {amount(asked, 'core')}, but --cores or {CORES_MAX} asks for {settings[CORES_MAX]}"
            )
            raise ConfigError(Problem(what=what, hint="one of the two is enough"))
    return count


def _wanted(count: int, cores: int, memory: int, workers: Sequence[WorkerFact]) -> list[str]:
    """A note where the workers hold fewer executors, even when they are empty."""
    most = sum(min(worker.cores // cores, worker.memory_mib // max(1, memory)) for worker in workers)
    if not workers or most >= count or not most:
        return []
    return [
        f"--num-executors {count}: the workers hold {most} of {amount(cores, 'core')} and {memory} MiB; it gets those"
    ]


# --- The driver ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Memory of the manager, MiB, at one moment."""

    total_mib: int
    available_mib: int
    """What programs can still get."""
    promised_mib: int
    """What the drivers that run may take beyond what they have."""
    drivers: int


def driver_size(program: Program, defaults: Mapping[str, str]) -> DriverSize:
    """From the settings that it gets."""
    found = settings_of(program, defaults)
    overhead = _size(found, DRIVER_OVERHEAD) if DRIVER_OVERHEAD in found else None
    return size_of(_size(found, DRIVER_MEMORY), overhead, has_python=program.main_class is None)


def parse_memory(text: str) -> tuple[int, int]:
    """(total, available) of /proc/meminfo's lines, MiB. Raises `ValueError` on another shape."""
    found = dict(re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB$", text, re.MULTILINE))
    if len(found) != 2:
        raise ValueError("no memory in the machine's answer")
    return int(found["MemTotal"]) // 1024, int(found["MemAvailable"]) // 1024


def check_driver(size: DriverSize, room: Room, node: str) -> None:
    """Raises `ConfigError` for a driver that the machine can never hold, `ClusterError` for one that it cannot now."""
    left = room.available_mib - room.promised_mib
    if size.memory_mib <= left:
        return
    hint = "a smaller `--driver-memory`"
    if size.memory_mib > room.total_mib:
        what = f"a driver of {size.arithmetic} does not fit into the machine's {room.total_mib} MiB"
        raise ConfigError(Problem(node=node, what=what, hint=hint))
    what = f"a driver of {size.arithmetic} does not fit: {room.available_mib} of {room.total_mib} MiB are free"
    if room.drivers:
        count = f"{room.drivers} driver{'' if room.drivers == 1 else 's'} that run{'s' if room.drivers == 1 else ''}"
        what += f", less {room.promised_mib} that {count} may still take = {max(0, left)} MiB"
    raise ClusterError(Problem(node=node, what=what, hint=f"{hint}, or wait for others to end: `invoke apps`"))


# --- The arithmetic ---


def _too_large(cores: int, memory: int, workers: Sequence[WorkerFact]) -> Problem:
    sizes = dict.fromkeys(f"{amount(worker.cores, 'core')} and {worker.memory_mib} MiB" for worker in workers)
    size = f"an executor of {amount(cores, 'core')} and {memory} MiB"
    return Problem(
        what=f"{size} fits on none of the {len(workers)} Spark workers, which have {', '.join(sizes)}",
        hint=f"a smaller {EXECUTOR_CORES} or {EXECUTOR_MEMORY}; without them executors have the cluster's own size",
    )


def _number(settings: Mapping[str, str], name: str) -> int:
    text = settings.get(name, "1").strip()
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise ConfigError(Problem(what=f"--conf {name}={text}: must be 1 or more"))
    return int(text)


def _size(settings: Mapping[str, str], name: str) -> int:
    text = settings.get(name, "1g")
    found = mebibytes(text)
    if found is None:
        raise ConfigError(Problem(what=f"--conf {name}={text}: expected a size, such as 4g or 512m"))
    return found

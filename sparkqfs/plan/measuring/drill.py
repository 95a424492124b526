"""invoke drill: which faults there are, what a run of one has shown, and whether that is good. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ConfigError, Problem
from sparkqfs.plan.steps import JobResult, Outcome

SCHEMA = 1
SHOWN = 5
"""Sentences of `status` and names of lost files in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to fail."""

    name: str
    what: str
    is_local: bool = False
    """It needs machines that can be switched off: only on a cluster made by `local.up`."""
    hold_s: float = 0.0
    """How long it lasts before it is undone."""
    is_healed_unseen: bool = False
    """A read may find and heal it before `status` is asked."""
    names_may_be_lost_s: float = 0.0
    """Files acknowledged in so many seconds before it may be gone, when they are listed afterwards."""


FAULTS = (
    Fault(name="storage-server", what="a data server is killed with signal 9"),
    Fault(name="storage-master", what="the storage's master is killed with signal 9"),
    Fault(name="spark-worker", what="a Spark worker is killed with signal 9"),
    Fault(name="spark-master", what="the Spark master is killed with signal 9"),
    Fault(name="worker-node-container", what="a worker-node container is killed"),
    Fault(name="storage-master-container", what="the container of the storage's master is killed"),
    Fault(name="spark-master-container", what="the container of the Spark master is killed"),
    Fault(name="history-server-container", what="the container of the history server is killed"),
    Fault(name="jupyter-server-container", what="the container of Jupyter is killed"),
    Fault(name="metastore-container", what="the container of the metastore is killed"),
    Fault(name="metadata-copy-container", what="the container that keeps a copy of the metadata is killed"),
    Fault(name="engine-killed", what="the Docker Engine of a node is killed with signal 9", is_local=True),
    Fault(name="node-killed", what="a node is switched off for 20 s", is_local=True, hold_s=20.0),
    Fault(name="manager-killed", what="the manager is switched off for 20 s", is_local=True, hold_s=20.0),
    Fault(name="node-frozen", what="a node stands still for a minute", is_local=True, hold_s=60.0),
    Fault(name="network-cut", what="a node has no network for a minute", is_local=True, hold_s=60.0),
    Fault(name="all-nodes-off", what="all nodes are switched off in the middle of writing", is_local=True, hold_s=5.0),
    Fault(
        name="bits-flipped",
        what="one bit in each of up to 20 block files of a node is flipped",
        is_local=True,
        is_healed_unseen=True,
    ),
    Fault(name="older-metadata", what="an older copy of the metadata is put in its place", is_local=True),
    Fault(
        name="manager-lost",
        what="the manager is destroyed with its disks; another node becomes the manager",
        is_local=True,
        names_may_be_lost_s=5.0,
    ),
)


def choose(names: Sequence[str], *, has_machines: bool) -> tuple[Fault, ...]:
    """Those that were asked for, in the table's order; all that this cluster can have where none was named.

    Raises `ConfigError`.
    """
    known = {fault.name: fault for fault in FAULTS}
    strange = [name for name in names if name not in known]
    if strange:
        raise ConfigError(Problem(what=f"no fault {', '.join(strange)}", hint=f"one of {', '.join(known)}"))
    wanted = [fault for fault in FAULTS if fault.name in names or not names]
    if names and not has_machines and (local := [fault.name for fault in wanted if fault.is_local]):
        hint = "`invoke local.up` makes one on this computer"
        what = f"{', '.join(local)}: only on a cluster made by local.up, whose machines can be switched off from here"
        raise ConfigError(Problem(what=what, hint=hint))
    return tuple(fault for fault in wanted if has_machines or not fault.is_local)


@dataclass(frozen=True, slots=True)
class Look:
    """One look of `status`: seconds since the fault, its exit code, and what it said that is not well."""

    at_s: float
    code: int
    said: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Healthy: copies that are still being made are exit code 0, and said."""
        return not self.code and not self.said


@dataclass(frozen=True, slots=True)
class Answered:
    """A file that the storage has acknowledged: its number, SHA-256, bytes, and seconds since the fault."""

    number: int
    digest: str
    size: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one fault has shown."""

    fault: Fault
    node: str
    ended_s: float
    """When it was undone, in seconds since it began."""
    stopped_s: float
    """When the writer was told to stop, in seconds since it began."""
    looks: tuple[Look, ...]
    answered: tuple[Answered, ...]
    lost: tuple[int, ...] = ()
    """Numbers of acknowledged files that cannot be read, or read as something else."""
    reads: int = 0
    wrong_reads: int = 0
    failed_reads: int = 0
    failed_writes: int = 0
    fsck_lost: int | None = None
    """Files without all their blocks, as the storage's own check says; `None` where it was not asked."""
    extra: dict[str, object] = field(default_factory=dict)

    @property
    def seen_s(self) -> float | None:
        """When `status` first said that something was wrong."""
        return next((look.at_s for look in self.looks if look.at_s >= 0 and not look.is_well), None)

    @property
    def healthy_s(self) -> float | None:
        """When `status` began to say that all is well, and went on saying it."""
        bad = [look.at_s for look in self.looks if not look.is_well]
        good = [look.at_s for look in self.looks if look.is_well and look.at_s > max([0.0, *bad])]
        return good[0] if good else None

    @property
    def longest_pause_s(self) -> float:
        """The longest time from the fault on without an acknowledged file."""
        times = sorted(one.at_s for one in self.answered if one.at_s <= self.stopped_s)
        spans = itertools.pairwise([*times, self.stopped_s])
        return max((later - earlier for earlier, later in spans if later > 0), default=0.0)

    @property
    def oldest_lost_s(self) -> float | None:
        """How long before the fault the oldest lost file was acknowledged."""
        times = [-one.at_s for one in self.answered if one.number in set(self.lost)]
        return max(times, default=None)

    @property
    def _may_be_lost(self) -> bool:
        """Nothing that was acknowledged may, but for names of the last seconds before some faults."""
        allowed, lost = self.fault.names_may_be_lost_s, set(self.lost)
        times = [one.at_s for one in self.answered if one.number in lost]
        return allowed > 0 and all(-allowed <= time <= self.ended_s for time in times)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What must not be."""
        name, found = self.fault.name, []
        if self.lost and not self._may_be_lost:
            found.append(f"{len(self.lost)} acknowledged files are lost")
        if self.wrong_reads:
            found.append(f"{self.wrong_reads} reads gave other bytes than were written")
        if self.extra.get("older_taken"):
            found.append("the older metadata was taken")
        if self.extra.get("damaged_kept"):
            found.append(f"{self.extra['damaged_kept']} damaged blocks were not healed")
        if self.extra.get("not_read_again"):
            found.append("not all block files were read again: whether all damage was healed is not known")
        if self.seen_s is None and not self.fault.is_healed_unseen:
            found.append("status never said that anything was wrong")
        if self.healthy_s is None:
            found.append(f"status does not say that all is well: {'; '.join(self.said[:1]) or 'no look'}")
        if not [one for one in self.answered if one.at_s > self.ended_s]:
            found.append("nothing was written after it")
        return tuple(Problem(what=f"{name}: {what}") for what in found)

    @property
    def said(self) -> tuple[str, ...]:
        """What status said from the fault on, each sentence once."""
        return tuple(dict.fromkeys(text for look in self.looks if look.at_s >= 0 for text in look.said))

    def document(self) -> dict[str, object]:
        """What a program reads."""
        return {
            "fault": self.fault.name,
            "what": self.fault.what,
            "node": self.node,
            "lasted_s": rounded(self.ended_s),
            "seen_s": rounded(self.seen_s),
            "healthy_s": rounded(self.healthy_s),
            "status_said": list(self.said[:SHOWN]),
            "looks": len(self.looks),
            "acknowledged": len(self.answered),
            "acknowledged_bytes": sum(one.size for one in self.answered),
            "lost": len(self.lost),
            "lost_oldest_s": rounded(self.oldest_lost_s),
            "fsck_lost": self.fsck_lost,
            "reads": self.reads,
            "wrong_reads": self.wrong_reads,
            "failed_reads": self.failed_reads,
            "failed_writes": self.failed_writes,
            "longest_pause_s": rounded(self.longest_pause_s),
            "ok": not self.problems,
            **self.extra,
        }


def rounded(seconds: float | None) -> float | None:
    """To a tenth of a second."""
    return None if seconds is None else round(seconds, 1)


def table(rows: Iterable[Row]) -> str:
    """A line for each fault."""
    heads = ("fault", "on", "seen after", "healthy after", "no write for", "acknowledged", "lost", "wrong reads")
    lines: list[tuple[str, ...]] = [heads]
    for row in rows:
        seconds = [row.seen_s, row.healthy_s, row.longest_pause_s]
        shown = ["never" if one is None else f"{one:.1f} s" for one in seconds]
        counts = [str(len(row.answered)), str(len(row.lost)), str(row.wrong_reads)]
        lines.append((row.fault.name, row.node, *shown, *counts))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def report(config: ClusterConfig, seed: int, rows: Sequence[Row], skipped: Sequence[dict[str, str]]) -> JobResult:
    """What came of a drill. `skipped`: the faults that this cluster cannot have, and why."""
    document: dict[str, object] = {
        "schema": SCHEMA,
        "cluster": config.name,
        "kind": config.storage.kind,
        "replication": config.storage.replication,
        "nodes": len(config.nodes),
        "seed": seed,
        "rows": [row.document() for row in rows],
        "skipped": list(skipped),
    }
    problems = tuple(problem for row in rows for problem in row.problems)
    left_out = [f"left out: {one['fault']}: {one['why']}" for one in skipped]
    return JobResult(task="drill", text="\n".join([table(rows), *left_out]), document=document, problems=problems)


def planned(config: ClusterConfig, faults: Sequence[Fault], skipped: Sequence[dict[str, str]]) -> JobResult:
    """What a drill would do."""
    outcome = Outcome(subject=f"cluster {config.name}", state="planned", changes=tuple(one.what for one in faults))
    notes = tuple(f"left out: {one['fault']}: {one['why']}" for one in skipped)
    return JobResult(task="drill", outcomes=(outcome,), notes=notes)


def listed() -> JobResult:
    """All faults there are."""
    width = max(len(fault.name) for fault in FAULTS)
    lines = [
        f"{fault.name.ljust(width)}  {fault.what}{' (only on a cluster of local.up)' if fault.is_local else ''}"
        for fault in FAULTS
    ]
    faults = [{"fault": one.name, "what": one.what, "only_local": one.is_local} for one in FAULTS]
    return JobResult(task="drill", text="\n".join(lines), document={"schema": SCHEMA, "faults": faults})

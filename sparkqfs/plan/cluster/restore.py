"""Which machine is to be the manager, which copy is put back, and what stands against a restore. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from sparkqfs.config.model import ClusterConfig
from sparkqfs.config.names import check_nodes
from sparkqfs.errors import ConfigError, ExitCode, Problem
from sparkqfs.facts.copies import CopiesFact, KeptCopy
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.cluster.identity import newest_record
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.times import about

RECORD = "restore.json"
"""In the root-only directory of the manager, while a restore has not ended."""
SAME_S = 60.0
ABSENT_LABEL = "sparkqfs.absent"
"""Of the manager's node in the swarm: machines whose place another one has taken, with commas between."""


def unfinished(manager: str) -> Problem:
    """A restore that was broken off: nothing else is done before its end."""
    hint = "`invoke restore` goes on with it; `--at TIME` or `--backup DIR` puts another state back"
    return Problem(node=manager, what="a restore has not ended", hint=hint, code=ExitCode.REFUSED)


def with_manager(config: ClusterConfig, name: str) -> ClusterConfig:
    """The same cluster with another manager. Raises `ConfigError` for a node that it does not have."""
    check_nodes(config, "--to", (name,))
    return replace(config, nodes=tuple(replace(node, manager=node.name == name) for node in config.nodes))


def without(config: ClusterConfig, name: str) -> ClusterConfig:
    """The same cluster without a machine."""
    return replace(config, nodes=tuple(node for node in config.nodes if node.name != name))


def lines_to_change(old: str, new: str) -> tuple[str, ...]:
    """What hosts.yml must say after the manager has moved."""
    return (f"nodes.{old}: take out the line `manager: true`", f"nodes.{new}: add the line `manager: true`")


def manager_problems(config: ClusterConfig, facts: dict[str, NodeFacts]) -> tuple[Problem, ...]:
    """Another machine than hosts.yml's manager manages this cluster's swarm: a restore has moved it there."""
    found = []
    for name, fact in facts.items():
        is_ours = any(disk.cluster == config.name for disk in fact.disks)
        if name != config.manager.name and fact.swarm_cluster_id and is_ours:
            what = f"this machine manages the swarm of cluster {config.name}, hosts.yml says {config.manager.name}"
            hint = "; ".join(lines_to_change(config.manager.name, name))
            listed = facts.get(config.manager.name)
            if listed is not None and listed.swarm_cluster_id:
                hint = f"the one that was the manager before a restore must leave its old swarm: on {name}, or on "
                hint += f"{config.manager.name}, `docker swarm leave --force`"
            path = f"nodes.{name}.manager"
            found.append(Problem(node=name, what=what, config_path=path, hint=hint, code=ExitCode.REFUSED))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The copies that can be put back, the best one first."""

    copies: tuple[KeptCopy, ...]

    @property
    def best(self) -> KeptCopy:
        """Where the state is taken from."""
        return self.copies[0]

    def as_new(self) -> tuple[KeptCopy, ...]:
        """Those that may stand in for the best one where that is damaged: at most some seconds older."""
        return tuple(copy for copy in self.copies if abs(self.best.at - copy.at) <= SAME_S)

    def older(self) -> tuple[KeptCopy, ...]:
        """The others: with one of them names are given up that nobody was asked about."""
        return tuple(copy for copy in self.copies if copy not in self.as_new())


def choose(found: dict[str, CopiesFact], kind: str, now: float = math.inf) -> Source | None:
    """The newest history of each machine, the newest of all first; `None` where none of this storage is kept.

    `now` is this computer's time, seconds since the epoch.
    """
    newest = [one.newest for one in found.values()]
    copies = [one for one in newest if one is not None and one.kind == kind]
    ordered: list[KeptCopy] = []
    for copy in copies:
        place = next((n for n, other in enumerate(ordered) if copy.is_newer_than(other, now)), len(ordered))
        ordered.insert(place, copy)
    return Source(copies=tuple(ordered)) if ordered else None


def cluster_id(facts: dict[str, NodeFacts], known: str | None) -> tuple[str | None, tuple[Problem, ...]]:
    """The id that the disks carry and the copy of the secrets says; problems where they differ."""
    seen = {disk.marker: (name, disk) for name, fact in facts.items() for disk in fact.disks if disk.marker is not None}
    ids = {*seen, *([known] if known is not None else [])}
    if len(ids) > 1:
        problems = tuple(
            Problem(
                node=name,
                what=f"the disk at {disk.path} is of cluster {marker}, others: {', '.join(sorted(ids - {marker}))}",
                hint="take the disk of the other cluster away, or the machine out of hosts.yml",
                code=ExitCode.REFUSED,
            )
            for marker, (name, disk) in seen.items()
        )
        return None, problems
    return next(iter(ids), None), ()


def parse_time(text: str) -> float:
    """Seconds since the epoch of `--at`: an ISO time with its distance from UTC, this computer's time without, or
    `15m`, `3h`, `2d` ago. Raises `ConfigError`."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    try:
        if text[:-1].isdecimal() and text[-1:] in units:
            seconds = datetime.now(UTC).timestamp() - int(text[:-1]) * units[text[-1]]
        else:
            seconds = datetime.fromisoformat(text).astimezone(UTC).timestamp()
        if seconds < 0:
            raise ValueError("before 1970")
        return seconds
    except (ValueError, OverflowError) as error:
        hint = "for example 2026-01-31T12:00, 2026-01-31T12:00:00Z, or 3h for three hours ago"
        raise ConfigError(Problem(what=f"--at {text}: it is not a time", hint=hint)) from error


def time_text(seconds: float) -> str:
    """In UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Origin(NamedTuple):
    """Where a state comes from."""

    text: str
    at: float
    """Of when it is."""


def question(
    config: ClusterConfig, fact: NodeFacts, origin: Origin, at: float | None, now: float, old: str = ""
) -> str:
    """What is about to be done, in sentences."""
    manager, backend = config.manager.name, backend_of(config)
    when = f"the last state before {time_text(at)}" if at is not None else f"the state of {time_text(origin.at)}"
    age = "" if at is not None else f", {about(max(0.0, now - origin.at))} old"
    there = f" The metadata that is there is kept in {manager}'s data directory." if fact.meta.exists else ""
    new = [str(disk.path) for disk in fact.disks if disk.marker is None]
    disks = f" {', '.join(new)} there carry no mark of this cluster, and are taken for new disks." if new else ""
    gone = f" {old} must be off, or it goes on by itself." if old not in ("", manager) else ""
    return (
        f"{manager} becomes the manager of cluster {config.name}, and gets {when}{age}, from {origin.text}. "
        f"What was written later has no names afterwards; its {backend.words.blocks} are kept aside.{there} "
        f"The stack, and all that runs in it, is stopped first; machines leave a swarm that {manager} does not manage."
        f"{disks}{gone}"
    )


def of_another(config: ClusterConfig, facts: dict[str, NodeFacts], file_system: str) -> str:
    """A sentence where a backup is of another file system than the cluster has, or had last; else nothing."""
    record = newest_record(config, facts)
    now = facts[config.manager.name].meta.file_system_id or (record.file_system_id if record is not None else None)
    if now in (None, file_system):
        return ""
    return (
        f"That is file system {file_system}; the one of cluster {config.name} now is {now}, as after its files were "
        "erased. The files that were written to it have no names afterwards."
    )


def refusals(config: ClusterConfig, facts: dict[str, NodeFacts]) -> tuple[Problem, ...]:
    """Containers of others on machines whose swarm is left or whose data is put aside."""
    return tuple(
        Problem(
            node=name,
            what=f"container {container.name} of stack {container.stack} runs here, and would be stopped",
            hint=f"`invoke down` with that cluster's file; or take {name} out of this one",
            code=ExitCode.REFUSED,
        )
        for name, fact in facts.items()
        for container in fact.containers or ()
        if container.stack not in ("", config.name)
    )


def ids_line(names: Iterable[str], most: int = 10, total: int = 0) -> str:
    """Some of them, for a sentence; `total` where there are more than these."""
    found = list(names)
    hidden = max(total, len(found)) - len(found[:most])
    return ", ".join(found[:most]) + (f" and {hidden} more" if hidden else "")

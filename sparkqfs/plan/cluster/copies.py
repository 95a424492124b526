"""The copies of a cluster's record on each node: where they are, and which differ. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.facts.record import ClusterRecord, DiskName, body_of, line_of, next_serial
from sparkqfs.plan.cluster.disk_names import Place
from sparkqfs.plan.cluster.record_paths import disk_path, memory_path, private_path
from sparkqfs.plan.steps import Step, write_file
from sparkqfs.plan.storage import backend_of

RECORD_STEP = "record "
"""What the description of a step begins with that writes a copy."""


def is_record(step: Step) -> bool:
    """Whether a step writes a copy: such steps come when all others of all nodes are done."""
    return step.what.startswith(RECORD_STEP)


class Copies:
    """Every copy of one record."""

    def __init__(self, config: ClusterConfig, record: ClusterRecord, names: dict[Place, DiskName]) -> None:
        self._config, self._record, self._names = config, record, names
        self._body = body_of(record)
        self._is_same: dict[int, bool] = {}

    def steps(self, node: NodeConfig, fact: NodeFacts) -> list[Step]:
        """The copies of a node that are missing or differ."""
        there = {copy.path: copy for copy in fact.records}
        steps: list[Step] = []
        for path, disk, mode in self._places(node, fact):
            copy = there.get(path)
            written, record = (copy.record if copy is not None else None), self._record
            if copy is None:
                why = "missing"
            elif written is None:
                why = f"it cannot be read: {copy.fault}"
            elif (copy.node, copy.disk) == (disk.node if disk else node.name, disk) and self._is_current(written):
                continue
            else:
                why = f"it says {written.id}, serial {written.serial}; now {record.id}, serial {record.serial}"
            text = line_of(node.name, disk) + self._body
            steps.append(
                write_file(node.name, path, text, uid=0, gid=0, mode=mode, what=f"{RECORD_STEP}{path}", why=why)
            )
        return steps

    def _is_current(self, written: ClusterRecord) -> bool:
        """Compared once for all copies that were read as one."""
        if id(written) not in self._is_same:
            self._is_same[id(written)] = written == self._record
        return self._is_same[id(written)]

    def _places(self, node: NodeConfig, fact: NodeFacts) -> Iterator[tuple[PurePosixPath, DiskName | None, int]]:
        """Every copy that a node has: path, the disk that it is on, mode."""
        config = self._config
        if node.manager:
            yield private_path(config), None, 0o600
        for at, disk in enumerate(fact.disks):
            if (node.name, at) in self._names and backend_of(config).layout is not None:
                yield disk_path(config, disk), self._names[node.name, at], 0o444
        if fact.has_memory:
            yield memory_path(config), None, 0o644


def withdrawal_steps(
    config: ClusterConfig, node: NodeConfig, fact: NodeFacts, others: tuple[ClusterRecord, ...]
) -> list[Step]:
    """Another kind of storage that may be begun, and was not, may not any more: what a machine remembers of it."""
    steps: list[Step] = []
    for record in others:
        changed = replace(record, confirmed=False, serial=next_serial(record.serial))
        kind = replace(config, storage=replace(config.storage, kind=record.storage))  # type: ignore[arg-type]
        for path in (memory_path(kind), private_path(kind)):
            copy = next((copy for copy in fact.records if copy.path == path), None)
            if copy is not None:
                text = line_of(copy.node or node.name, None) + body_of(changed)
                why = f"{config.storage.kind} is used, and {record.storage} was not begun"
                mode = 0o644 if path == memory_path(kind) else 0o600
                steps.append(
                    write_file(node.name, path, text, uid=0, gid=0, mode=mode, what=f"{RECORD_STEP}{path}", why=why)
                )
    return steps

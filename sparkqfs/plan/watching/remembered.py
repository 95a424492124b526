"""What the manager remembers of its cluster, compared with hosts.yml: for tasks that do not ask all machines. Pure."""

from __future__ import annotations

from dataclasses import replace

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.record import ClusterRecord, RecordFact, Remembered
from sparkqfs.plan.cluster import questions
from sparkqfs.plan.cluster.record_paths import RECORD, memory_path, private_path
from sparkqfs.plan.cluster.restore import unfinished
from sparkqfs.plan.storage import backend_of


def remembered_problems(config: ClusterConfig, found: Remembered, file_system_id: str | None) -> tuple[Problem, ...]:
    """A restore that has not ended, and what contradicts hosts.yml, or the file system that answers.

    Nothing of the latter for a cluster that has no record yet. None of it is refused: it is said.
    """
    restoring = [unfinished(config.manager.name)] if found.is_restoring else []
    problems = (*restoring, *_problems(config, found.copies, file_system_id))
    return tuple(replace(one, code=ExitCode.FAILED) for one in problems)


def _problems(config: ClusterConfig, copies: tuple[RecordFact, ...], file_system_id: str | None) -> tuple[Problem, ...]:
    manager, kind = config.manager.name, config.storage.kind
    ours = (memory_path(config), private_path(config))
    bad = [copy for copy in copies if copy.fault and (copy.path in ours or copy.path.name == RECORD)]
    problems = [
        Problem(node=manager, what=f"{copy.path} cannot be read: {copy.fault}", hint="`invoke prep` says more")
        for copy in bad
    ]
    made = [
        (copy, copy.record)
        for copy in copies
        if copy.record and copy.record.cluster == config.name and copy.record.initialised
    ]
    mine = [(copy, record) for copy, record in made if record.storage == kind]
    if not mine:
        own = [copy.record for copy in copies if copy.record and copy.record.cluster == config.name]
        is_asked_for = any(record.confirmed for record in own if record.storage == kind)
        others = [] if is_asked_for else [record for _, record in made]
        return (*problems, *([questions.other_kind(config, _newest(others))] if others else []))
    on_disk = [record for copy, record in mine if copy.disk is not None]
    record = _newest(on_disk or [record for _, record in mine])
    problems += [
        questions.other_id(config, manager, other, record.id, is_new=False, is_mixed=False)
        for copy, other in mine
        if other.id != record.id and copy.disk is None
    ][:1]
    return (*problems, *_contradictions(config, copies, record, file_system_id))


def _newest(records: list[ClusterRecord]) -> ClusterRecord:
    return max(records, key=lambda record: record.serial)


def _contradictions(
    config: ClusterConfig, copies: tuple[RecordFact, ...], record: ClusterRecord, file_system_id: str | None
) -> list[Problem]:
    layout = backend_of(config).layout
    if layout is None:
        is_other = record.shared_path != config.shared_directory
        return [questions.other_shared_path(config, record)] if is_other else []
    first = config.manager.data_dirs[0]
    is_there = record.metadata in [copy.disk for copy in copies if copy.path == first / layout.top / RECORD]
    place = (record.metadata.node, record.disks.get(record.metadata))
    problems = []
    if not is_there and place != (config.manager.name, first):
        problems.append(questions.elsewhere(config, record, is_bare=False))
    if file_system_id and record.file_system_id and file_system_id != record.file_system_id:
        problems.append(questions.other_file_system(config, record, file_system_id))
    nodes = {node.name: node for node in config.nodes}
    missing = []
    for name in record.nodes:
        disks = [disk for disk in sorted(record.disks) if disk.node == name]
        dirs = nodes[name].data_dirs if name in nodes else ()
        others = [disk for disk in disks if record.disks[disk] not in dirs]
        missing += others[: max(0, len(disks) - len(dirs))]
    return [*problems, *questions.gone(config, record, missing)]

"""What stands against a new file system, and against a start: metadata and data, there or missing. Pure."""

from __future__ import annotations

from sparkqfs.amounts import amount
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.storage import backend_of

LOST_METADATA = "`invoke restore`, docs/restore.md"


def metadata_refusals(config: ClusterConfig, fact: NodeFacts) -> list[Problem]:
    """A file system, a part of one, or something else where its metadata would be. Only the first may be erased.

    What an init has left is no reason to refuse.
    """
    backend, meta = backend_of(config), fact.meta
    assert backend.layout is not None
    top = config.manager.data_dirs[0] / backend.layout.top
    if meta.init:
        return []
    if meta.is_whole:
        what = f"there is a file system already: {_described(config, fact)}"
        erase = f"invoke {backend.init_task} --erase {config.name}"
        hint = f"to use it, go on with `invoke deploy`; to erase it: {erase}"
        return [Problem(node=fact.name, what=what, hint=hint, code=ExitCode.REFUSED)]
    if meta.exists:
        return [_partial(config, fact)]
    left = [part for part in backend.layout.metadata if (path := fact.paths.get(top / part)) and not path.empty]
    hint = "it is neither a file system nor what an init has left: look at it, and move it to another place"
    return [
        Problem(node=fact.name, what=f"{top / part} is not empty", hint=hint, code=ExitCode.REFUSED) for part in left
    ]


def block_refusals(config: ClusterConfig, fact: NodeFacts, *, is_whole: bool) -> list[Problem]:
    """Data on this machine. `is_whole`: the metadata that it belongs to is there."""
    backend, manager = backend_of(config), config.manager
    assert backend.layout is not None
    problems = []
    for disk in fact.disks:
        if not disk.has_blocks:
            continue
        where = f"{disk.path}/{backend.layout.top}/{backend.layout.blocks}"
        what = f"{where} holds {amount(disk.blocks, backend.words.block)}, {amount(disk.block_bytes, 'byte')}"
        hint = f"they belong to the file system on {manager.name}"
        if not is_whole:
            what += f", and {manager.name} has no metadata for them"
            hint = f"keep them: {_what_helps(config)}"
        problems.append(Problem(node=fact.name, what=what, hint=hint, code=ExitCode.REFUSED))
    return problems


def start_problem(config: ClusterConfig, facts: dict[str, NodeFacts]) -> Problem | None:
    """Why the storage's master must not be started; `facts` are those of all machines."""
    fact, backend = facts[config.manager.name], backend_of(config)
    if fact.meta.is_whole:
        return None
    if fact.meta.exists:
        return _partial(config, fact)
    holders = [name for name, one in facts.items() if any(disk.has_blocks for disk in one.disks)]
    if holders:
        what = f"there is no metadata for the {backend.words.blocks} on {', '.join(holders)}"
        return Problem(node=fact.name, what=what, hint=_what_helps(config), code=ExitCode.REFUSED)
    return Problem(
        node=fact.name, what="the file system is not initialised", hint=f"run `invoke {backend.init_task}` first"
    )


def _partial(config: ClusterConfig, fact: NodeFacts) -> Problem:
    what = f"there is a part of a file system's metadata: {_described(config, fact)}"
    return Problem(node=fact.name, what=what, hint=_what_helps(config), code=ExitCode.REFUSED)


def _what_helps(config: ClusterConfig) -> str:
    manager = config.manager
    disk = f"mount the disk that belongs at {manager.data_dirs[0]} on {manager.name}"
    return f"{disk}, or put the metadata back from a copy: {LOST_METADATA}"


def _described(config: ClusterConfig, fact: NodeFacts) -> str:
    backend, meta = backend_of(config), fact.meta
    assert backend.layout is not None
    found = f"{amount(meta.checkpoints, 'checkpoint')} and {amount(meta.logs, 'log')}"
    size = amount(meta.bytes, "byte")
    return (
        f"{found} in {config.manager.data_dirs[0]}/{backend.layout.top}, "
        f"last of {meta.date or 'unknown date'}, file-system id {meta.file_system_id or 'unknown'}, {size}"
    )

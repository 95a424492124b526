"""plan_copies: which nodes get a copy of what is root's alone on the manager, and which keep none any more. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from sparkqfs.config.copies import copy_nodes
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.facts.nodes import NodeFacts, RecoveryFact
from sparkqfs.plan.cluster.ownership import ownership_fault
from sparkqfs.plan.cluster.recovery import FILE_MODE, PRIVATE_MODE, recovery_path, recovery_text, state_of
from sparkqfs.plan.steps import ShellStep, Step, make_directory, write_file


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyStep(Step):
    """A copy of the files that the manager has when the step is carried out: they are not known before."""

    cluster_id: str
    written: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveCopyStep(ShellStep):
    """Carried out once every copy of this plan is written."""


def plan_copies(
    config: ClusterConfig, facts: dict[str, NodeFacts], cluster_id: str | None, fit: tuple[str, ...], *, is_new: bool
) -> tuple[list[Step], list[Problem]]:
    """The steps of the nodes of `fit`: on those that keep copies what is missing or differs, on others what is left.

    `is_new`: the manager gets other files by this very plan. Nothing is planned while it has none, or no id.
    """
    manager = facts.get(config.manager.name)
    if cluster_id is None or manager is None or not (is_new or manager.material):
        return [], []
    wanted = "" if is_new else state_of(config, cluster_id, manager.material or "")
    written = _next_number(manager, facts)
    steps: list[Step] = []
    problems: list[Problem] = []
    behind = False
    for name in (node.name for node in copy_nodes(config)):
        fact = facts.get(name)
        problem = copy_refusal(config, fact, manager, cluster_id) if fact is not None else None
        why = copy_fault(config, fact, wanted) if fact is not None else None
        if name not in fit or fact is None:
            behind = behind or fact is None or why is not None
        elif problem is not None:
            problems.append(problem)
        else:
            steps += _copy_steps(config, fact, cluster_id, written, why)
    if not behind and not problems:
        steps += _removals(config, facts, manager, cluster_id, fit)
    return steps, problems


def outdated_copies(config: ClusterConfig, facts: dict[str, NodeFacts]) -> dict[str, str]:
    """Why prep would write the copy of these nodes; not of those that it refuses to touch."""
    manager = facts.get(config.manager.name)
    cluster_id = manager.disks[0].marker if manager is not None and manager.disks else None
    if manager is None or cluster_id is None or manager.material is None:
        return {}
    wanted = state_of(config, cluster_id, manager.material)
    return {
        name: why
        for name in (node.name for node in copy_nodes(config))
        if (fact := facts.get(name)) is not None
        and copy_refusal(config, fact, manager, cluster_id) is None
        and (why := copy_fault(config, fact, wanted)) is not None
    }


def copy_fault(config: ClusterConfig, fact: NodeFacts, wanted: str) -> str | None:
    """Why this node's copy must be written; `None` when it is whole and tells what it should."""
    why = ownership_fault(fact.paths.get(recovery_path(config, fact.name)), 0, 0, FILE_MODE)
    if why is not None or fact.recovery is None:
        return why or "missing"
    if not fact.recovery.whole:
        return "damaged"
    return None if fact.recovery.state == wanted else "differs"


def whose(config: ClusterConfig, found: RecoveryFact, manager: NodeFacts, cluster_id: str) -> str | None:
    """Why a copy is another cluster's; `None` for one of ours, and for one that is too damaged to say.

    With another kind of storage a cluster has another id, and the same secrets.
    """
    kind = config.storage.kind
    is_other_kind = found.storage not in ("", kind) and found.material == manager.material
    if found.cluster not in ("", config.name):
        return f"cluster {found.cluster}, this one is {config.name}"
    if found.cluster_id not in ("", cluster_id) and not is_other_kind:
        return f"id {found.cluster_id}, this cluster's is {cluster_id}"
    return None


def copy_refusal(config: ClusterConfig, fact: NodeFacts, manager: NodeFacts, cluster_id: str) -> Problem | None:
    """What stands against writing there: something else that has the file's name, or another cluster's copy."""
    path = recovery_path(config, fact.name)
    entry = fact.paths.get(path)
    hint = f"move {path} away, then `invoke prep` again"
    if entry is not None and entry.kind not in ("file", "missing"):
        kind = "symbolic link" if entry.kind == "link" else entry.kind
        what = f"{path} is a {kind}, expected: a file"
        return Problem(node=fact.name, what=what, hint=hint, code=ExitCode.REFUSED)
    other = whose(config, fact.recovery, manager, cluster_id) if fact.recovery is not None else None
    if other is None:
        return None
    what = f"{path} says {other}: it may be the only copy of another cluster's secrets"
    hint = f"choose another data_dir; only if that cluster is gone, or is this one under an earlier name: {hint}"
    return Problem(node=fact.name, what=what, hint=hint, code=ExitCode.REFUSED)


def filled(config: ClusterConfig, step: CopyStep, files: Mapping[str, str]) -> ShellStep:
    """The step with what the manager has."""
    path = recovery_path(config, step.node)
    text = recovery_text(config, step.cluster_id, step.written, files)
    made = write_file(step.node, path, text, uid=0, gid=0, mode=FILE_MODE, what=step.what, why=step.why)
    return ShellStep(node=made.node, what=made.what, why=made.why, lines=(_no_link(str(path.parent)), *made.lines))


def _next_number(manager: NodeFacts, facts: dict[str, NodeFacts]) -> int:
    """Higher than in every copy that was seen, whatever the manager's clock says."""
    known = [fact.recovery.written for fact in facts.values() if fact.recovery is not None and fact.recovery.whole]
    return max(int(manager.clock_s), *(number + 1 for number in known), 1)


def _copy_steps(config: ClusterConfig, fact: NodeFacts, cluster_id: str, written: int, why: str | None) -> list[Step]:
    path = recovery_path(config, fact.name)
    steps: list[Step] = []
    fault = ownership_fault(fact.paths.get(path.parent), 0, 0, PRIVATE_MODE)
    if fault is not None:
        steps.append(make_directory(fact.name, path.parent, uid=0, gid=0, mode=PRIVATE_MODE, why=fault))
    if why is not None:
        what = f"copy of the secrets {path}"
        steps.append(CopyStep(node=fact.name, what=what, why=why, cluster_id=cluster_id, written=written))
    return steps


def removal_steps(config: ClusterConfig, facts: dict[str, NodeFacts]) -> dict[str, RemoveCopyStep]:
    """For every node that has a copy of this cluster's, by its name, and its id while the manager has one."""
    manager = facts.get(config.manager.name)
    marker = manager.disks[0].marker if manager is not None and manager.disks else None
    steps: dict[str, RemoveCopyStep] = {}
    for name, fact in facts.items():
        found = fact.recovery
        if found is not None and found.cluster == config.name and marker in (None, found.cluster_id):
            steps[name] = _removal(config, name, found.cluster_id)
    return steps


def _removals(
    config: ClusterConfig, facts: dict[str, NodeFacts], manager: NodeFacts, cluster_id: str, fit: tuple[str, ...]
) -> list[Step]:
    """Of the nodes that hosts.yml no longer names for copies. The manager's own directory is left alone."""
    keep = {config.manager.name, *(node.name for node in copy_nodes(config))}
    return [
        _removal(config, name, found.cluster_id)
        for name in fit
        if name not in keep
        and (found := facts[name].recovery) is not None
        and found.cluster == config.name
        and found.cluster_id
        and whose(config, found, manager, cluster_id) is None
    ]


def _removal(config: ClusterConfig, name: str, cluster_id: str) -> RemoveCopyStep:
    """Looks again whose it is; the directory goes too if nothing else is in it."""
    path = recovery_path(config, name)
    folder, file = shlex.quote(str(path.parent)), shlex.quote(str(path))
    line = shlex.quote(f' "id": "{cluster_id}",')
    lines = (
        _no_link(str(path.parent)),
        _no_link(str(path)),
        f"if [ -f {file} ]; then",
        f"  grep -qxF {line} {file} || {{ echo {file} 'is of another cluster now' >&2; exit 1; }}",
        f"  rm -f {file} {file}.new",
        f"  rmdir {folder} 2>/dev/null || to_disk {folder}",
        f"  to_disk {shlex.quote(str(path.parent.parent))}",
        "fi",
    )
    what = f"remove the copy of the secrets {path}"
    return RemoveCopyStep(node=name, what=what, why="this node keeps no copies any more", lines=lines)


def _no_link(path: str) -> str:
    return f"no_link {shlex.quote(path)}"

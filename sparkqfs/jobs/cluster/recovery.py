"""Copies of what is root's alone on the manager, on the nodes that keep the metadata's copies: read, made, removed."""

from __future__ import annotations

import base64

from sparkqfs.errors import ClusterError, ExitCode, Problem, RefusedError, UnreachableError
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.nodes import private_directory
from sparkqfs.plan.cluster.recovery import MATERIAL, MAX_BYTES, Recovery, check_files, parse_recovery, recovery_path
from sparkqfs.plan.cluster.secret_copies import CopyStep, filled, removal_steps
from sparkqfs.plan.steps import Secret, Step, script_of
from sparkqfs.remote import script

READ_SCRIPT = script("read_recovery")
MATERIAL_SCRIPT = script("read_material")
MAX_FILE_BYTES = 32 << 10
"""Each of the manager's files is about 1 KiB."""


def read_recovery(session: Session, node_name: str) -> Recovery | None:
    """The copy that a node keeps, read as root; `None` where it has none.

    Raises `ClusterError` for one that is damaged, `UnreachableError` for a node that does not answer.
    """
    path = recovery_path(session.config, node_name)
    words = (str(path.parent), path.name, str(MAX_BYTES + 1))
    output = session.clients.node(node_name).script(READ_SCRIPT, *words, check=False)
    if output.exit_code != 0:
        raise ClusterError(
            Problem(node=node_name, what=f"{path} cannot be read: {output.last_lines(1) or 'no output'}")
        )
    first, _, encoded = output.stdout.partition("\n")
    if first == "missing":
        return None
    try:
        if first != "file":
            raise ValueError("the machine's answer is cut off")
        return parse_recovery(node_name, base64.b64decode(encoded))
    except ValueError as error:
        what = f"{path} is damaged: {error}"
        hint = "while the manager has its secrets, `invoke prep` writes it again; another node's copy may be whole"
        raise ClusterError(Problem(node=node_name, what=what, hint=hint)) from error


def newest_recovery(session: Session, names: tuple[str, ...] | None = None) -> Recovery | None:
    """The newest copy that these nodes keep (default: all nodes, asked at once); `None` where there is none.

    One that is damaged or out of reach does not count while another is whole; nor does one from before another kind of
    storage was set, while there is one from after that. Raises `ClusterError` when none is whole, and `RefusedError`
    for copies of another cluster or another kind of storage than hosts.yml names, or of clusters with different ids.
    """
    config = session.config
    asked = names if names is not None else tuple(node.name for node in config.nodes)
    results = session.clients.on(asked, lambda name: read_recovery(session, name))
    found = [copy for copy in results.values.values() if copy is not None]
    for problem in results.problems:
        session.on_event(f"[{problem.node}] no copy of the secrets from there: {problem.what}")
    if not found:
        lost = [
            error
            for name, error in results.failures.items()
            if name != config.manager.name or not isinstance(error, UnreachableError)
        ]
        if lost:
            raise ClusterError(*(problem for error in lost for problem in error.problems))
        return None
    return max(_of_one_cluster(session, found), key=lambda copy: copy.written)


def _of_one_cluster(session: Session, found: list[Recovery]) -> list[Recovery]:
    """Those for the storage of hosts.yml; all must be of its cluster, and these of one id. Raises `RefusedError`."""
    config = session.config
    kind = config.storage.kind
    counting = [copy for copy in found if copy.storage == kind]
    problems = []
    for copy in found:
        if copy.cluster != config.name:
            what, setting = f"is of cluster {copy.cluster}, hosts.yml says {config.name}", "cluster"
        elif not counting:
            what, setting = f"is of storage {copy.storage}, hosts.yml says {kind}", "storage.kind"
        else:
            continue
        hint = "is this the right hosts.yml, and is each disk in the right machine?"
        what = f"{recovery_path(config, copy.node)} {what}"
        problems.append(Problem(node=copy.node, what=what, config_path=setting, hint=hint, code=ExitCode.REFUSED))
    if problems:
        raise RefusedError(*problems)
    if len({copy.cluster_id for copy in counting}) > 1:
        listed = ", ".join(f"{copy.node}: {copy.cluster_id}" for copy in counting)
        what = f"the copies of the secrets are of clusters with different ids ({listed})"
        hint = "move the file that is not this cluster's away on that node, then try again"
        raise RefusedError(Problem(what=what, hint=hint, code=ExitCode.REFUSED))
    return counting


def with_material(session: Session, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The same steps, copies among them with what the manager has now. Raises `ClusterError` when it cannot be read."""
    if not any(isinstance(step, CopyStep) for step in steps):
        return steps
    files = read_material(session)
    return tuple(filled(session.config, step, files) if isinstance(step, CopyStep) else step for step in steps)


def read_material(session: Session) -> dict[str, Secret]:
    """The manager's root-only files by name, over SSH's streams.

    Raises `ClusterError` when one is damaged: a copy of it would replace a good one.
    """
    manager = session.config.manager.name
    folder = private_directory(session.config)
    output = session.clients.manager.script(MATERIAL_SCRIPT, str(folder), str(MAX_FILE_BYTES + 1), *MATERIAL)
    *lines, end = output.stdout.splitlines() or [""]
    try:
        if end != "end":
            raise ValueError("the machine's answer is cut off")
        words = (line.partition(" ") for line in lines)
        files = {name: Secret(base64.b64decode(encoded).decode("ascii")) for name, _, encoded in words}
        too_long = [name for name, text in files.items() if len(text) > MAX_FILE_BYTES]
        if too_long:
            raise ValueError(f"{too_long[0]} is longer than {MAX_FILE_BYTES >> 10} KiB")
        check_files(files)
    except ValueError as error:
        why = "a file is not text" if isinstance(error, UnicodeError) else str(error)
        what = f"what is in {folder} is damaged and was not copied: {why}"
        raise ClusterError(Problem(node=manager, what=what)) from None
    return files


def remove_copies(session: Session) -> dict[str, tuple[str, ...]]:
    """For purge: removes this cluster's copies on every node, the manager too; what goes, by node."""
    steps = removal_steps(session.config, session.all_facts())

    def remove(name: str) -> None:
        session.clients.node(name).script(script_of((steps[name],)))

    if not session.dry_run:
        session.clients.on(tuple(steps), remove).raise_failures()
    return {name: (str(recovery_path(session.config, name)),) for name in steps}

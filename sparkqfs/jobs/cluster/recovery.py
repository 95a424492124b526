"""Copies of what is root's alone on the manager, on the nodes that keep the metadata's copies: how they are read."""

from __future__ import annotations

import base64

from sparkqfs.errors import ClusterError, ExitCode, Problem, RefusedError, UnreachableError
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.recovery import MAX_BYTES, Recovery, parse_recovery, recovery_path
from sparkqfs.remote import script

READ_SCRIPT = script("read_recovery")


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

    One that is damaged or out of reach does not count while another is whole. Raises `ClusterError` when only such are
    left, and `RefusedError` for copies of another cluster than hosts.yml names, or of clusters with different ids.
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
    _check_one_cluster(session, found)
    return max(found, key=lambda copy: copy.written)


def _check_one_cluster(session: Session, found: list[Recovery]) -> None:
    name = session.config.name
    others = [copy for copy in found if copy.cluster != name]
    hint = "a node that belongs to another cluster is not for this hosts.yml; see docs/backup.md"
    if others:
        raise RefusedError(
            *(
                Problem(
                    node=copy.node,
                    what=f"{recovery_path(session.config, copy.node)} is of cluster {copy.cluster}, not of {name}",
                    config_path="cluster",
                    hint=hint,
                    code=ExitCode.REFUSED,
                )
                for copy in others
            )
        )
    if len({copy.cluster_id for copy in found}) > 1:
        listed = ", ".join(f"{copy.node}: {copy.cluster_id}" for copy in found)
        what = f"the copies of the secrets are of clusters with different ids ({listed})"
        raise RefusedError(Problem(what=what, hint=hint, code=ExitCode.REFUSED))

"""Is storage.shared.path one and the same directory on every machine? A token written on one is read on the others."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

from sparkqfs.clients.broken import BROKEN, close
from sparkqfs.errors import ClusterError, ExitCode, Problem
from sparkqfs.facts.nodes import SharedPathFact, parse_shared_path
from sparkqfs.jobs.session import Session
from sparkqfs.remote import script

ANSWER_S = 30.0
"""A network file system whose server is away lets a machine wait for ever."""
REMOVAL_S = 5.0
CACHE_S = 5
"""How long a token may take to be seen: clients of network file systems keep what they knew for a while."""

# As the owner of the data, since a server may map root to nobody. The writer keeps the token until its standard input
# ends, the connection with it.
TOKEN_SCRIPT = script("shared_token")


def check_shared_path(session: Session) -> None:
    """Raise `ClusterError`, every machine's faults together, unless the shared directory is the same everywhere."""
    problems = shared_path_problems(session, prepared=True)
    if problems:
        raise ClusterError(*problems)


def shared_path_problems(session: Session, *, prepared: bool) -> tuple[Problem, ...]:
    """What is wrong with the shared directory, in node order; nothing on a cluster that has none.

    Unless `prepared`, the cluster's own directory need not be there yet; the token is left out then. Raises
    `UnreachableError` when the manager cannot be reached.
    """
    config = session.config
    if config.shared_directory is None:
        return ()
    manager = config.manager.name
    others = tuple(node.name for node in config.nodes if node.name != manager)
    token = secrets.token_hex(8)
    with _written(session, token) as first:
        role = "read" if first.state == "written" else "look"
        results = session.clients.on(others, lambda name: _look(session, name, role, token))
    found = {manager: first, **results.values}
    problems = [
        *(problem for name in found if (problem := _problem(session, name, found[name], first, prepared)) is not None),
        *results.problems,
    ]
    order = [node.name for node in config.nodes]
    return tuple(sorted(problems, key=lambda problem: order.index(problem.node or manager)))


@contextlib.contextmanager
def _written(session: Session, token: str) -> Iterator[SharedPathFact]:
    """The token is on the manager while the block runs, if it can be written; its removal is waited for."""
    command = ["sh", "-c", TOKEN_SCRIPT, "sh", *_arguments(session, "write", token)]
    channel = session.clients.manager.exec_channel(command)
    channel.settimeout(ANSWER_S)
    answer = ""
    try:
        try:
            for line in channel.makefile("r"):
                answer += line
                if line == "end\n":
                    break
        except BROKEN:
            yield SharedPathFact(state="silent")
        else:
            yield _parsed(session.config.manager.name, answer)
    finally:
        with contextlib.suppress(Exception):
            channel.shutdown_write()
            channel.status_event.wait(REMOVAL_S)
        close(channel)


def _look(session: Session, name: str, role: str, token: str) -> SharedPathFact:
    try:
        output = session.clients.node(name).script(TOKEN_SCRIPT, *_arguments(session, role, token), timeout_s=ANSWER_S)
    except ClusterError as error:
        if error.exit_code == ExitCode.TIMEOUT:
            return SharedPathFact(state="silent")
        raise
    return _parsed(name, output.stdout)


def _arguments(session: Session, role: str, token: str) -> list[str]:
    config = session.config
    paths = [str(config.storage.shared.path), str(config.shared_directory)]
    return [role, *paths, token, str(config.owner.uid), str(config.owner.gid), str(CACHE_S)]


def _parsed(name: str, answer: str) -> SharedPathFact:
    try:
        return parse_shared_path(answer)
    except ValueError as error:
        raise ClusterError(Problem(node=name, what=f"cannot read the machine's answer: {error}")) from error


def _problem(
    session: Session, name: str, fact: SharedPathFact, first: SharedPathFact, prepared: bool
) -> Problem | None:
    path, manager = session.config.storage.shared.path, session.config.manager.name
    hint = f"mount the shared file system at {path} on every node"
    match fact.state:
        case "unusable":
            return Problem(node=name, what=f"{path}: {fact.why}", hint=hint)
        case "silent":
            return Problem(
                node=name,
                what=f"{path} does not answer within {ANSWER_S:.0f} s",
                hint="is the server that it is on up?",
            )
        case "unseen":
            what = (
                f"{path} is not the directory that {manager} has under that name: a token written there is not seen "
                f"here ({manager}: {first.mount}, {name}: {fact.mount})"
            )
            return Problem(node=name, what=what, hint=hint)
        case "unprepared" if prepared:
            what = f"{session.config.shared_directory} is missing"
            return Problem(node=name, what=what, hint="run `invoke prep` first")
    return None

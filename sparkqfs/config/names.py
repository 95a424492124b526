"""Names of nodes that a task is given, compared with those of the cluster's file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ConfigError, ExitCode, Problem


def meant(word: str, names: Iterable[str]) -> str:
    """The end of a message about a word that is not among these names; empty where none is near."""
    near = difflib.get_close_matches(word[:80].lower(), list(names), 1, 0.6)
    return f": did you mean {near[0]}?" if near else ""


def unknown_nodes(config: ClusterConfig, flag: str, names: Iterable[str]) -> tuple[Problem, ...]:
    """A problem for each name that `flag` was given and that is not a node's."""
    known = [node.name for node in config.nodes]
    hint = f"nodes: {', '.join(known)}"
    return tuple(
        Problem(what=f"{flag}: no node {name} in hosts.yml{meant(name, known)}", hint=hint, code=ExitCode.USAGE)
        for name in names
        if name not in known
    )


def check_nodes(config: ClusterConfig, flag: str, names: Iterable[str]) -> None:
    """Raises `ConfigError` with all of them."""
    if problems := unknown_nodes(config, flag, names):
        raise ConfigError(*problems)

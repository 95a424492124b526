"""Asks a machine how busy it is: one read-only script, two looks for rates."""

from __future__ import annotations

from sparkqfs.clients.connect import Clients
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.usage import UsageSample, parse_usage
from sparkqfs.remote import script

USAGE_SCRIPT = script("usage")


def ask_usage(config: ClusterConfig, clients: Clients, name: str) -> UsageSample:
    """One look at a machine. Raises `ClusterError` when it cannot be asked."""
    output = clients.node(name).script(USAGE_SCRIPT, *map(str, config.node(name).data_dirs))
    try:
        return parse_usage(output.stdout)
    except ValueError as error:
        what = f"cannot read the machine's answer: {error}; it said: {output.last_lines(3)}"
        raise ClusterError(Problem(node=name, what=what)) from error

"""Asks the manager what it remembers of its cluster: a short read-only script, for `status`."""

from __future__ import annotations

from pathlib import PurePosixPath

from sparkqfs.clients.connect import Clients
from sparkqfs.facts.nodes import parse_records
from sparkqfs.facts.record import Remembered
from sparkqfs.remote import script

RECORDS_SCRIPT = script("records") + script("remembered")
"""Its words are the cluster's name, and the files outside /var/lib/sparkqfs that may be a copy of its record."""


def gather_records(clients: Clients, cluster: str, places: tuple[PurePosixPath, ...]) -> Remembered:
    """What the manager has at these places and in its memory. Raises `ClusterError`."""
    output = clients.manager.script(RECORDS_SCRIPT, cluster, *map(str, places))
    values: dict[str, list[list[str]]] = {}
    for line in output.stdout.splitlines():
        key, *rest = line.split("\t")
        values.setdefault(key, []).append(rest)
    return Remembered(copies=parse_records(values), is_restoring="restoring" in values)

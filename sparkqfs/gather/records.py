"""Asks the manager what it remembers of its cluster: a short read-only script, for `status`."""

from __future__ import annotations

from pathlib import PurePosixPath

from sparkqfs.clients.connect import Clients
from sparkqfs.facts.nodes import parse_records
from sparkqfs.facts.record import RecordFact
from sparkqfs.remote import script

RECORDS_SCRIPT = script("records") + 'records_in /var/lib/sparkqfs\nfor file in "$@"; do record "$file"; done\n'
"""Its words are the files that may be a copy of the record; it looks also at those of /var/lib/sparkqfs."""


def gather_records(clients: Clients, places: tuple[PurePosixPath, ...]) -> tuple[RecordFact, ...]:
    """The copies that the manager has at these places and in its memory. Raises `ClusterError`."""
    output = clients.manager.script(RECORDS_SCRIPT, *map(str, places))
    values: dict[str, list[list[str]]] = {}
    for line in output.stdout.splitlines():
        key, *rest = line.split("\t")
        values.setdefault(key, []).append(rest)
    return parse_records(values)

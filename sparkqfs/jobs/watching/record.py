"""What the manager remembers of its cluster, for `status`, which does not ask the other machines."""

from __future__ import annotations

from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.pages import StorageFact
from sparkqfs.facts.record import Remembered
from sparkqfs.gather.records import gather_records
from sparkqfs.jobs.session import Session
from sparkqfs.plan.cluster.record_paths import RECORD, private_path
from sparkqfs.plan.watching.remembered import remembered_problems


def ask(session: Session) -> Remembered:
    """The manager's copies of the cluster's record, and whether a restore is at work.

    Nothing where it gives no answer, which is told elsewhere.
    """
    config, layout = session.config, session.backend.layout
    places = [private_path(config)]
    if layout is not None:
        places += [path / layout.top / RECORD for path in config.manager.data_dirs]
    try:
        return gather_records(session.clients, config.name, tuple(places))
    except ClusterError:
        return Remembered()


def problems(session: Session, found: Remembered, storage: StorageFact | str | None) -> tuple[Problem, ...]:
    """A restore that has not ended, and what contradicts hosts.yml, or the file system that answers."""
    file_system_id = storage.file_system_id if isinstance(storage, StorageFact) else None
    return remembered_problems(session.config, found, file_system_id)

"""A backup before a task erases: without one it refuses, unless the user has said so."""

from __future__ import annotations

from sparkqfs.errors import ClusterError, ExitCode, Problem, RefusedError
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import backup, backup_store
from sparkqfs.plan.cluster.identity import was_made
from sparkqfs.plan.steps import Outcome


def before_erasing(session: Session, *, no_backup: bool) -> tuple[Outcome, ...]:
    """What was done; nothing where there is no file system to lose, or with `no_backup`.

    One whose metadata the manager has not is one too: its disk may not be mounted, and the other nodes have copies.
    Raises `RefusedError` when there is one and no backup of it can be made.
    """
    meta = session.manager_facts().meta
    is_there = meta.exists or was_made(session.config, session.facts()[0])
    if no_backup or session.backend.master is None or meta.init or not is_there:
        return ()
    hint = "`--no-backup` erases without one"
    try:
        place = backup.place_of(session, None)
        if session.dry_run:
            return (Outcome(subject="backup", state="planned", changes=(f"in {place}",)),)
        path, manifest = backup.make(session, place, backup.TIMEOUT_S)
        backup_store.open_backup(path)  # all of it is read again: soon there is nothing else
    except ClusterError as error:
        what = "nothing was erased, because no backup could be made first"
        refused = Problem(what=what, hint=hint, code=ExitCode.REFUSED)
        raise RefusedError(*error.problems, refused) from error
    session.on_event(f"a backup of what is erased is in {path}")
    changes = (str(path), *backup.described(session, path, manifest))
    return (Outcome(subject="backup", state="changed", changes=changes),)

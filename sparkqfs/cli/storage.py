"""Making the storage, and erasing it: only the cluster's name erases, `--yes` never."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sparkqfs.cli.flags import Flags, cluster_task
from sparkqfs.cli.running import run

if TYPE_CHECKING:
    from sparkqfs.cli.running import Job
    from sparkqfs.jobs.session import Session
    from sparkqfs.plan.steps import JobResult

ERASE = "the cluster's name: erases, after a backup"
NO_BACKUP = "erase without a backup on this computer"


def run_guarded(name: str, job: Job, given: Flags, *, lock: bool) -> None:
    """As `run`, but `--yes` answers no question."""
    run(name, job, replace(given, yes=False), lock=lock)


@cluster_task("dry_run", "yes", help={"erase": ERASE, "no_backup": NO_BACKUP})
def init_qfs(given: Flags, erase: str | None = None, no_backup: bool = False) -> None:
    """Make an empty QFS file system; refuses (exit 5) when there is one, or a chunk anywhere."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.storage import file_system as storage

        return storage.init(session, erase_name=erase, no_backup=no_backup, task="init-qfs")

    run_guarded("init-qfs", job, given, lock=True)


@cluster_task("dry_run", "yes", help={"erase": ERASE, "no_backup": NO_BACKUP})
def init_storage(given: Flags, erase: str | None = None, no_backup: bool = False) -> None:
    """Make the storage ready for its first use, whatever its kind; refuses (exit 5) when there is data anywhere."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.storage import file_system as storage

        return storage.init(session, erase_name=erase, no_backup=no_backup)

    run_guarded("init-storage", job, given, lock=True)


@cluster_task("dry_run", "yes", help={"erase": "the cluster's name", "no_backup": NO_BACKUP})
def purge(given: Flags, erase: str | None = None, no_backup: bool = False) -> None:
    """Erase the file system's data on every node; needs the cluster's name and a stack that is down."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.storage import file_system as storage

        return storage.purge(session, erase_name=erase, no_backup=no_backup)

    run_guarded("purge", job, given, lock=erase is not None)

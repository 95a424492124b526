"""Making the storage, and erasing it: only the cluster's name erases, `--yes` never."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sparkqfs.cli.flags import Flags, cluster_task, path_of
from sparkqfs.cli.running import ask_word, named, reporter_of, run

if TYPE_CHECKING:
    from sparkqfs.cli.running import Job
    from sparkqfs.config.model import ClusterConfig
    from sparkqfs.jobs.session import Session
    from sparkqfs.plan.steps import JobResult

ERASE = "the cluster's name: erases, after a backup"
NO_BACKUP = "erase without a backup on this computer"


NEWEST = "newest"
"""`--at newest`: the newest state of the copies, also where there is metadata."""


def run_guarded(
    name: str,
    job: Job,
    given: Flags,
    *,
    lock: bool,
    erases: bool = False,
    changes: bool = True,
    adapt: Callable[[ClusterConfig], ClusterConfig] = lambda config: config,
) -> None:
    """As `run`, but `--yes` answers no question."""
    run(name, job, replace(given, yes=False), lock=lock, erases=erases, changes=changes, adapt=adapt)


@cluster_task("dry_run", "yes", help={"erase": ERASE, "no_backup": NO_BACKUP})
def init_qfs(given: Flags, erase: str | None = None, no_backup: bool = False) -> None:
    """Make an empty QFS file system; refuses (exit 5) when there is one, or a chunk anywhere."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.storage import file_system as storage

        return storage.init(session, erase_name=erase, no_backup=no_backup, task="init-qfs")

    run_guarded("init-qfs", job, given, lock=True, erases=erase is not None, adapt=named("erase", erase))


@cluster_task("dry_run", "yes", help={"erase": ERASE, "no_backup": NO_BACKUP})
def init_storage(given: Flags, erase: str | None = None, no_backup: bool = False) -> None:
    """Make the storage ready for its first use, whatever its kind; refuses (exit 5) when there is data anywhere."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.storage import file_system as storage

        return storage.init(session, erase_name=erase, no_backup=no_backup)

    run_guarded("init-storage", job, given, lock=True, erases=erase is not None, adapt=named("erase", erase))


@cluster_task("dry_run", "yes", help={"erase": "the cluster's name", "no_backup": NO_BACKUP})
def purge(given: Flags, erase: str | None = None, no_backup: bool = False) -> None:
    """Erase the file system's data on every node; needs the cluster's name and a stack that is down."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.storage import file_system as storage

        return storage.purge(session, erase_name=erase, no_backup=no_backup)

    is_meant = erase is not None
    run_guarded("purge", job, given, lock=is_meant, erases=True, changes=is_meant, adapt=named("erase", erase))


@cluster_task(
    "dry_run",
    "yes",
    help={
        "to": "the node that becomes the manager, where the old one is gone for good",
        "at": "the last state before a time: 2026-01-31T12:00, or 3h for three hours ago; newest",
        "backup": "a backup on this computer, in place of the copies on the nodes",
        "cluster": "the cluster's name, in place of the question",
        "let-go": "remove what an earlier restore has kept under this name",
    },
)
def restore(
    given: Flags,
    to: str | None = None,
    at: str | None = None,
    backup: str | None = None,
    cluster: str | None = None,
    let_go: str | None = None,
) -> None:
    """Bring the cluster back after its manager, or the manager's disk, is lost: names, secrets, swarm, registry."""
    from sparkqfs.plan.cluster import restore as plans

    old = ""

    def adapt(config: ClusterConfig) -> ClusterConfig:
        nonlocal old
        old = config.manager.name
        return plans.with_manager(config, to) if to is not None else config

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.cluster import restore as jobs
        from sparkqfs.jobs.cluster.restore_look import Wishes

        wishes = Wishes(
            old_manager=old,
            at=plans.parse_time(at) if at is not None and at != NEWEST else None,
            newest=at == NEWEST,
            backup=path_of("--backup", backup) if backup is not None else None,
            said=" ".join([f"--at {at}"] * (at is not None) + [f"--backup {backup}"] * (backup is not None)),
            name=cluster,
            typed=ask_word,
            on_stage=reporter_of(given).stage,
        )
        return jobs.run(session, wishes) if let_go is None else jobs.remove_kept(session, wishes, let_go)

    run_guarded("restore", job, given, lock=True, erases=let_go is not None, adapt=adapt)

"""Backups on this computer: made, listed, verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkqfs.cli.flags import Flags, cluster_task
from sparkqfs.cli.running import run

if TYPE_CHECKING:
    from sparkqfs.jobs.session import Session
    from sparkqfs.plan.steps import JobResult

TO = "directory of backups, also without --to (default: below $XDG_DATA_HOME or ~/.local/share, one a cluster)"


@cluster_task(name="make", default=True, word="to", help={"to": TO, "timeout": "seconds for each part"})
def backup(given: Flags, to: str | None = None, timeout: int = 3600) -> None:
    """Back up the storage's metadata and the cluster's secrets to a directory of this computer."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.storage import backup

        return backup.run(session, to=to, timeout_s=timeout)

    run("backup", job, given)


@cluster_task(name="list", word="to", help={"to": TO})
def backup_list(given: Flags, to: str | None = None) -> None:
    """Which backups there are, and which states the copies on the nodes have."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.storage import backup_list

        return backup_list.run(session, to=to)

    run("backup.list", job, given)


@cluster_task(
    name="verify",
    word="backup",
    help={
        "backup": "a backup, or a directory of which the newest is taken; also without --backup",
        "depth": "1: its files are whole, 2: it opens, 3: it has the names that the storage had",
        "timeout": "seconds for each part",
    },
)
def backup_verify(given: Flags, backup: str | None = None, depth: str | None = None, timeout: int = 3600) -> None:
    """Whether a backup is whole, opens, and has every name. Exit 0 it does, 1 it is damaged."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.storage import backup_verify

        wanted = backup_verify.depth_of(depth) if depth is not None else None
        return backup_verify.run(session, backup=backup, depth=wanted, timeout_s=timeout)

    run("backup.verify", job, given)

"""Files: between this computer and the storage, between storages, and on the storage."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from sparkqfs.cli.flags import Flags, cluster_task
from sparkqfs.cli.running import reporting, run
from sparkqfs.errors import ConfigError, Problem

if TYPE_CHECKING:
    from sparkqfs.jobs.session import Session
    from sparkqfs.plan.steps import JobResult

PATH = "/path on the storage, shared:/path, or a whole URI; a pattern in quotes"
OVERWRITE = "replace files that differ"


@cluster_task(
    "dry_run",
    positional=["source", "target"],
    help={
        "source": "what to copy: /path on the storage, shared:/path, or a whole URI",
        "target": "destination path",
        "overwrite": OVERWRITE,
        "timeout": "seconds",
    },
)
def copy(given: Flags, source: str, target: str, overwrite: bool = False, timeout: int = 86400) -> None:
    """Copy a file or a tree between storages, in parallel and verified; what is there and equal is left alone."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.files import copy

        return copy.copy(session, source, target, overwrite=overwrite, timeout_s=timeout)

    run("copy", job, given)


@cluster_task(
    "dry_run",
    positional=["local", "path"],
    help={
        "local": "file, directory or pattern on this computer; - is standard input",
        "path": PATH,
        "overwrite": OVERWRITE,
        "timeout": "seconds",
    },
)
def put(given: Flags, local: str, path: str, overwrite: bool = False, timeout: int = 86400) -> None:
    """Files of this computer to the storage, in parallel and verified; what is there and equal is left alone."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.files import tasks as files

        return files.put(session, local, path, overwrite=overwrite, stdin=0, timeout_s=timeout)

    run("put", job, given)


@cluster_task(
    "dry_run",
    positional=["path", "local"],
    help={
        "path": PATH,
        "local": "destination on this computer; - is standard output",
        "overwrite": OVERWRITE,
        "timeout": "seconds",
    },
)
def get(given: Flags, path: str, local: str, overwrite: bool = False, timeout: int = 86400) -> None:
    """Files of the storage to this computer, in parallel and verified; what is there and equal is left alone."""
    with reporting(replace(given, json=given.json and local != "-"), "get"):
        if given.json and local == "-":
            raise ConfigError(Problem(what="--json and the file itself cannot both go to standard output"))

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.files import tasks as files

        return files.get(session, path, local, overwrite=overwrite, out=sys.stdout.buffer, timeout_s=timeout)

    run("get", job, given)


@cluster_task(positional=["path"], help={"path": PATH, "recursive": "all that is below, too", "timeout": "seconds"})
def ls(given: Flags, path: str, recursive: bool = False, timeout: int = 600) -> None:
    """What is in a directory of the storage: mode, copies, owner, group, bytes, time, path."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.files import tasks as files

        return files.ls(session, path, recursive=recursive, timeout_s=timeout)

    run("ls", job, given)


@cluster_task(
    "dry_run",
    "yes",
    positional=["path"],
    help={
        "path": PATH,
        "yes": "remove without a question",
        "recursive": "directories too, with all that is in them",
        "if_there": "a file that is missing is not an error",
        "timeout": "seconds",
    },
)
def rm(given: Flags, path: str, recursive: bool = False, if_there: bool = False, timeout: int = 3600) -> None:
    """Remove files of the storage, for good; asks first. Directories that the cluster needs are refused."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.files import tasks as files

        return files.rm(session, path, recursive=recursive, if_there=if_there, timeout_s=timeout)

    run("rm", job, given)


@cluster_task(positional=["path"], help={"path": PATH, "timeout": "seconds"})
def du(given: Flags, path: str, timeout: int = 600) -> None:
    """Bytes of each thing in a directory of the storage, and with all copies."""

    def job(session: Session) -> JobResult:
        from sparkqfs.jobs.files import tasks as files

        return files.du(session, path, timeout_s=timeout)

    run("du", job, given)

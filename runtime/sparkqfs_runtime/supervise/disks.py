"""Markers of mounted disks, scratch directories, and what is answered for being on the disk."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

from sparkqfs_runtime import scratch, tidy
from sparkqfs_runtime.supervise.setup import EX_CONFIG, EX_TEMPFAIL, STOP_SIGNALS, Setup, die, make_writable, say

LOCK_S = 75.0
"""Longer than a container is given to end (60 s), shorter than the time until a health check counts (90 s)."""


def check_markers(setup: Setup, mounts: tuple[Path, ...]) -> None:
    """An unmounted disk must never look like an empty one: exits 78 unless every mount carries the cluster's id."""
    expected = setup.get("SPARKQFS_CLUSTER_ID")
    if not expected:
        die(EX_CONFIG, "SPARKQFS_CLUSTER_ID is not set: the disks cannot be checked; nothing started")
    for mount in mounts:
        marker = mount / ".cluster-id"
        try:
            found = marker.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            die(EX_CONFIG, f"{marker} is missing: is the disk of {mount} mounted on this machine? nothing started")
        except (OSError, UnicodeDecodeError) as error:
            die(EX_CONFIG, f"cannot read {marker}: {error}; nothing started")
        if found != expected:
            text = f"{marker} says {found!r}, this cluster is {expected!r}: a disk of another cluster; nothing started"
            die(EX_CONFIG, text)


def listed_dirs(setup: Setup, listed: str) -> tuple[Path, ...]:
    """Directories with a blank between them, each there and on a disk of this cluster. Exits 78 otherwise."""
    dirs = tuple(Path(item) for item in listed.split())
    check_markers(setup, tuple(dict.fromkeys(item.parent for item in dirs)))
    for item in dirs:
        if not item.is_dir():
            die(EX_CONFIG, f"the data directory {item} is missing; nothing started")
    return dirs


def wait_until_free(setup: Setup, files: tuple[Path, ...]) -> None:
    """Until no process holds a lock on these files: the server of an earlier container may still be ending.

    That happens when the machine stood still or was cut off: Swarm starts a new container there at the same moment as
    it ends the old one. Exits 75 when it takes too long; Swarm starts the container again then.
    """
    deadline = time.monotonic() + float(setup.get("SPARKQFS_LOCK_S", str(LOCK_S)))
    said = False
    while (busy := next((file for file in files if _is_locked(file)), None)) is not None:
        if time.monotonic() > deadline:
            die(EX_TEMPFAIL, f"another server still has {busy.parent}; nothing started")
        if not said:
            say(f"another server still has {busy.parent}: waiting for its end")
            said = True
        if signal.sigtimedwait(STOP_SIGNALS, 0.2) is not None:
            die(EX_TEMPFAIL, "told to stop before anything was started")


def _is_locked(path: Path) -> bool:
    """By flock(2) or fcntl(2): they do not know of each other."""
    try:
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # none yet, or a disk that fails: the server itself says so
        return False
    return False


def enter_scratch(setup: Setup, owner: str, listed: str, every_s: float = 365 * tidy.DAY_S) -> None:
    """SPARK_LOCAL_DIRS of this container's own; what dead ones left there goes, now and every so many seconds."""
    bases = [Path(item) for item in listed.split(",")]
    for base in bases:
        make_writable(base)
    try:
        try:
            mine = scratch.enter(bases, owner)
        except OSError:  # a disk that dead containers have filled
            tidy.tidy_scratch(bases)
            mine = scratch.enter(bases, owner)
    except OSError as error:
        die(EX_CONFIG, f"cannot make a scratch directory: {error}")
    setup.environ["SPARK_LOCAL_DIRS"] = ",".join(map(str, mine))
    every_s = float(setup.get("SPARKQFS_TIDY_S", str(every_s)))
    tidy.regularly("scratch", every_s, lambda: tidy.tidy_scratch(bases))


def look_after(setup: Setup, work: Path) -> None:
    """What a worker tidies beside scratch: Spark removes old directories in `work` itself."""
    days = float(setup.get("SPARKQFS_KEEP_DAYS", "7"))
    tidy.regularly("programs", tidy.PROGRAMS_S, lambda: tidy.tidy_programs(apps_dir(setup), days))
    tidy.regularly("executors' logs", 0.0, tidy.Rolled(work).run)


def apps_dir(setup: Setup) -> Path:
    """Of the programs that `submit` sent; on the manager."""
    return Path(setup.get("SPARKQFS_APPS_DIR", "/data/spark/apps"))


def sync(path: Path) -> None:
    """What is answered for is on the disk: a file's bytes, or the names in a directory. Links are not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(top: Path) -> None:
    """All files and directories below a directory, and the directory."""
    for folder, _, names in os.walk(top):
        for path in (*(Path(folder) / name for name in names), Path(folder)):
            if not path.is_symlink():
                sync(path)

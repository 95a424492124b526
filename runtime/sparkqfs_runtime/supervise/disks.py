"""Markers of mounted disks, scratch directories, and what is answered for being on the disk."""

from __future__ import annotations

import os
from pathlib import Path

from sparkqfs_runtime import scratch, tidy
from sparkqfs_runtime.supervise.setup import EX_CONFIG, Setup, die, make_writable


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

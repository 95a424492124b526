"""A scratch directory for each container, and the end of those whose container is gone. Standard library only.

PID 1 holds a lock (flock) on the file `.lock` in its directory for its whole life. The kernel gives it up with the
process, whatever ended that: SIGKILL, lack of memory, the engine. A lock is on the file itself, not on a path: all
containers of a machine that mount the directory see it. So what nobody locks belongs to nobody, and may go.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

PREFIX = "scratch-"
GONE = "gone-"
"""What is being removed: taken out of the way first, so that it is one step."""
NEW = "new-"
"""What is being made; it gets its name with the lock held."""
LOCK = ".lock"
ABANDONED_S = 3600.0
"""A container that has not come further than `NEW` by then never will."""
LEAVE_S = 3.0
"""For removing our own at the end; the next container goes on."""

_held: dict[Path, int] = {}
"""Our own directories → the descriptor that holds the lock. Not inherited by the daemons."""
_kept: list[int] = []


def enter(bases: Iterable[Path], owner: str) -> tuple[Path, ...]:
    """A directory of our own under each of `bases`, which exist. Raises OSError. Those of dead containers may stay."""
    made = []
    for base in bases:
        name = f"{owner}-{secrets.token_hex(6)}"
        young = base / f"{NEW}{name}"
        young.mkdir(mode=0o750)
        try:
            descriptor = os.open(young / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        except OSError:
            remove(young)
            raise
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = young.rename(base / f"{PREFIX}{name}")
        _held[path] = descriptor
        made.append(path)
    return tuple(made)


def hold(folder: Path) -> None:
    """Locks a directory that is not scratch for as long as this process lives. Raises OSError.

    It waits: `is_dead` holds the lock for a moment when it looks, and nobody else does.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    _kept.append(descriptor)


def is_dead(folder: Path) -> bool:
    """Whether somebody held this directory and does not any more; false for one that nobody ever held."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def leave() -> None:
    """Removes our own, after the last daemon has ended. Not longer than `LEAVE_S`: what is left is nobody's then."""
    gone = []
    for path, descriptor in _held.items():
        with contextlib.suppress(OSError):
            gone.append(path.rename(path.with_name(f"{GONE}{path.name}")))
        os.close(descriptor)
    _held.clear()
    remover = threading.Thread(target=lambda: remove_all(gone), daemon=True)
    remover.start()
    remover.join(LEAVE_S)


def tidy(base: Path) -> list[str]:
    """Removes the scratch directories under `base` whose container is gone; their names."""
    removed = []
    for path in sorted(base.iterdir()):
        if path.name.startswith(GONE) or _is_abandoned(path):
            remove(path)
        elif path.name.startswith(PREFIX) and path not in _held and (gone := _take(path)) is not None:
            remove(gone)
            removed.append(path.name)
    return removed


def _is_abandoned(path: Path) -> bool:
    """Whether a container ended while it made this."""
    try:
        return path.name.startswith(NEW) and time.time() - path.lstat().st_mtime > ABANDONED_S
    except OSError:
        return False


def _take(path: Path) -> Path | None:
    """Renames a directory that nobody locks. `None` when its container lives, or somebody else takes it."""
    try:
        descriptor = os.open(path / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = None  # made whole or not at all: its program has removed the lock, or it is a file
    except OSError:
        return None
    try:
        if descriptor is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return path.rename(path.with_name(f"{GONE}{path.name}"))
    except OSError:
        return None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def remove_all(paths: Iterable[Path]) -> None:
    """Each of them."""
    for path in paths:
        remove(path)


def remove(path: Path) -> None:
    """A directory and all in it, links not followed; what cannot be removed stays until the next time, and is said."""
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        for folder, _, _ in os.walk(path):  # some program has made a directory that we may not change
            Path(folder).chmod(0o700)
        shutil.rmtree(path)
    except FileNotFoundError:
        pass  # another container was quicker
    except OSError as error:
        print(f"sparkqfs: cannot remove {path}: {error}", file=sys.stderr, flush=True)

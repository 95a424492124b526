"""What a container looks after while it runs: scratch of dead containers, old programs, what rolled logs have lost.

Runs in threads of PID 1. A fault here is said once and ends nothing. Standard library only.
"""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import scratch

SCRATCH_S = 60.0
"""Between two looks for scratch directories of dead containers."""
PROGRAMS_S = 1800.0
"""Between two looks for programs that ended long ago."""
ROLLED_S = 2.0
"""Between two looks at what Spark's worker has rolled: a file that is never seen is not counted."""
SUBMISSION = re.compile(r"submit-\d{14}-[0-9a-f]{4}")
DAY_S = 86400.0


def regularly(name: str, every_s: float, work: Callable[[], object]) -> None:
    """Calls `work` now and every so many seconds, in a thread that ends with the process."""

    def loop() -> None:
        said = ""
        while True:
            try:
                work()
                said = ""
            except Exception as error:  # noqa: BLE001 - tidying must not end what it tidies for
                if said != (said := f"{type(error).__name__}: {error}"):
                    print(f"sparkqfs: {name}: {said}", file=sys.stderr, flush=True)
            time.sleep(every_s)

    threading.Thread(target=loop, name=name, daemon=True).start()


def tidy_scratch(bases: Iterable[Path]) -> None:
    """Removes what dead containers have left, and says it."""
    for base in bases:
        removed = scratch.tidy(base)
        if removed:
            print(f"sparkqfs: removed the scratch of {len(removed)} dead containers: {', '.join(removed)}",
                  file=sys.stderr, flush=True)  # fmt: skip


def tidy_programs(apps: Path, days: float) -> None:
    """Removes the directories of submissions that ended so many days ago, as `invoke submit` does too.

    One that wrote no end and whose driver is dead ended with its last output.
    """
    for folder in apps.iterdir() if apps.is_dir() else ():
        if not SUBMISSION.fullmatch(folder.name) or folder.is_symlink():
            continue
        try:
            ended = (folder / "exit").lstat().st_mtime
        except OSError:
            if not scratch.is_dead(folder):
                continue  # it runs, or never started: the next submit asks Swarm
            ended = max(path.lstat().st_mtime for path in (folder, *folder.glob("std*")))
        if time.time() - ended > days * DAY_S:
            shutil.rmtree(folder, ignore_errors=True)


class Rolled:
    """Counts what Spark's worker removes of executors' logs when it rolls them.

    Spark names a finished piece `stdout--DATE--TIME--MILLISECONDS` and removes the oldest beyond its limit, without a
    word of its size. Here each piece is seen while it is there; when it is not any more, its size goes into the file
    `.stdout.gone`. As the oldest goes first, nothing was missed while a piece that was seen before is still there; else
    the number gets a `+`: at least.
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        self._looked: dict[Path, int] = {}
        """Directory → its time of change when it was last looked at, in nanoseconds."""
        self._seen: dict[tuple[Path, str], dict[str, int]] = {}

    def look(self) -> None:
        """Looks at each executor's directory that has changed."""
        apps = [path for path in self._folders(self.work) if path.name.startswith("app-")]
        executors = [path for app in apps for path in self._folders(app)]
        for gone in self._looked.keys() - set(executors):
            del self._looked[gone]
            for stream in ("stdout", "stderr"):
                self._seen.pop((gone, stream), None)
        for folder in executors:
            try:
                changed = folder.stat().st_mtime_ns
                if self._looked.get(folder) != changed:
                    for stream in ("stdout", "stderr"):
                        self._count(folder, stream)
                    self._looked[folder] = folder.stat().st_mtime_ns
            except OSError:
                continue  # removed meanwhile

    def _count(self, folder: Path, stream: str) -> None:
        there = {path.name: path.stat().st_size for path in folder.glob(f"{stream}--*")}
        before = self._seen.get((folder, stream), {})
        lost = sum(size for name, size in before.items() if name not in there)
        if lost:
            known, exact = read_gone(folder / f".{stream}.gone")
            exact = exact and any(name in there for name in before)
            temporary = folder / f".{stream}.gone.new"
            temporary.write_text(f"{known + lost}{'' if exact else '+'}\n", encoding="ascii")
            temporary.replace(folder / f".{stream}.gone")
        self._seen[folder, stream] = there

    @staticmethod
    def _folders(path: Path) -> list[Path]:
        try:
            return [found for found in path.iterdir() if found.is_dir() and not found.is_symlink()]
        except OSError:
            return []


def read_gone(path: Path) -> tuple[int, bool]:
    """(bytes, whether there were no more) of a file `.stdout.gone`; nothing when there is none."""
    try:
        found = re.fullmatch(r"(\d{1,18})(\+?)\n?", path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0, True
    return (int(found[1]), not found[2]) if found else (0, True)

"""What a container looks after while it runs: scratch of dead containers, old programs, what rolled logs have lost.

Runs in threads of PID 1. A fault here is said once and ends nothing. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sparkqfs_runtime import kept_output, scratch

SCRATCH_S = 60.0
"""Between two looks for scratch directories of dead containers."""
PROGRAMS_S = 1800.0
"""Between two looks for programs that ended long ago."""
EXECUTORS_S = 2.0
"""Between two looks for executors."""
ROLLED_S = 0.05
"""Between two looks at the logs of those that run: a piece that was never seen is not counted."""
SUBMISSION = re.compile(r"submit-\d{14}-[0-9a-f]{4}")
RUNS = ".runs.json"
"""Of a program that runs again, as supervise/restarts.py writes it: without an end it waits for its machine."""
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
            if not scratch.is_dead(folder) or runs_again(folder):
                continue  # it runs, will run again, or never started: the next submit asks Swarm
            ended = max(path.lstat().st_mtime for path in (folder, *kept_output.pieces_of(folder)))
        if time.time() - ended > days * DAY_S:
            shutil.rmtree(folder, ignore_errors=True)


def runs_again(folder: Path) -> bool:
    """Whether this program was sent to run again, and has run; a file of its own of that name means nothing."""
    try:
        known = json.loads((folder / "app.json").read_text(encoding="utf-8"))
        return known.get("restart") is True and (folder / RUNS).exists()
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


class Rolled:
    """Counts what Spark's worker removes of executors' logs when it rolls them.

    Spark names a finished piece `stdout--DATE--TIME--MILLISECONDS` and removes the oldest beyond its limit, without a
    word of its size. Here each piece of an executor that runs is seen while it is there; when it is not any more, its
    size goes into the file `.stdout.gone`. The number gets a `+`, at least, when pieces may have gone unseen: the first
    look found as many as Spark keeps, or nothing is there that was there at the last look (the oldest goes first).
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        self._changed: dict[Path, int] = {}
        """Directory of an executor that runs → when it had changed at the last look, in nanoseconds."""
        self._seen: dict[tuple[Path, str], dict[str, int]] = {}

    def run(self) -> None:
        """Looks for executors for a while, and often at those that run."""
        self.find(running_in(self.work))
        end = time.monotonic() + EXECUTORS_S
        while time.monotonic() < end:
            self.look()
            time.sleep(ROLLED_S if self._changed else EXECUTORS_S)

    def find(self, running: set[Path]) -> None:
        """The executors' directories, from now on. Those that have ended are looked at once more."""
        self.look()
        for ended in self._changed.keys() - running:
            del self._changed[ended]
            for stream in kept_output.STREAMS:
                self._seen.pop((ended, stream), None)
        for folder in running - self._changed.keys():
            self._changed[folder] = 0

    def look(self) -> None:
        """Looks at each directory that has changed: a name came or went."""
        for folder, before in self._changed.items():
            try:
                changed = folder.stat().st_mtime_ns
                if changed != before:
                    for stream in kept_output.STREAMS:
                        self._count(folder, stream)
                    self._changed[folder] = changed
            except OSError:
                continue  # removed meanwhile

    def _count(self, folder: Path, stream: str) -> None:
        there = {}
        for path in folder.glob(f"{stream}--*"):
            with contextlib.suppress(FileNotFoundError):
                there[path.name] = path.stat().st_size
        before = self._seen.get((folder, stream))
        self._seen[folder, stream] = there
        lost = sum(size for name, size in (before or {}).items() if name not in there)
        if before is None:
            is_exact = len(there) < kept_output.PIECES - 1
        else:
            is_exact = not before or any(name in there for name in before)
        if lost or not is_exact:
            known, was_exact = read_gone(folder / f".{stream}.gone")
            temporary = folder / f".{stream}.gone.new"
            sign = "" if is_exact and was_exact else "+"
            temporary.write_text(f"{known + lost}{sign}\n", encoding="ascii")
            temporary.replace(folder / f".{stream}.gone")


def running_in(work: Path) -> set[Path]:
    """Directories `APP/N` under `work` in which a process of this container runs."""
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                folder = (process / "cwd").readlink()
                if folder.parent.parent == work:
                    found.add(folder)
    return found


def read_gone(path: Path) -> tuple[int, bool]:
    """(bytes, whether there were no more) of a file `.stdout.gone`; nothing when there is none."""
    try:
        found = re.fullmatch(r"(\d{1,18})(\+?)\n?", path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0, True
    return (int(found[1]), not found[2]) if found else (0, True)

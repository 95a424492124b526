"""What the storage's master knows of missing data: a thread asks it from time to time and remembers the answers.

A part of the status page's process (webui_guard.py, hdfs_guard.py), which gives `Watcher.document` as JSON under PATH.
The master's counts are looked at every LOOK_S. Which files are concerned only the metaserver's fsck knows, for which it
forks: that is asked every SPARKQFS_CHECK_S, sooner when the servers or their counts of bad chunks have changed, and
while something is missing; never so often that it takes more than one fiftieth of the time.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from sparkqfs_runtime.pages.sources import Check, Look, Source, Unasked

PATH = "/sparkqfs/health.json"
SCHEMA = 1
LOOK_S = 10.0
CHECK_S = 300.0
"""The default of SPARKQFS_CHECK_S."""
SHARE = 50
"""A check that took a second is followed by the next after that many seconds at the earliest."""
MIN_GAP_S = 2.0
AGAIN_S = 10.0
"""Between checks while something is missing, and after one that failed."""
ANSWER_S = 3.0
"""How long a reader of the page waits for a fresh look."""
WINDOW_S = 300.0
"""What the pace is an average of."""


@dataclass
class Progress:
    """How the number of missing copies goes down. Times are those of a monotonic clock."""

    missing: int | None = None
    since: float = 0.0
    """When there was something missing for the first time after a time without."""
    moved: float = 0.0
    """When copies were made for the last time, or none could be expected."""
    made: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, now: float, missing: int, held: int) -> None:
        """A new count."""
        before = self.missing or 0
        if not before:
            self.since = self.moved = now
            self.made.clear()
        if missing < before:
            self.made.append((now, before - missing))
        if missing < before or held or not missing:
            self.moved = now
        self.missing = missing

    def per_minute(self, now: float) -> float:
        """Copies made a minute, of the last WINDOW_S or as long as there is something to copy."""
        while self.made and self.made[0][0] < now - WINDOW_S:
            self.made.popleft()
        minutes = min(WINDOW_S, max(LOOK_S, now - self.since)) / 60
        return sum(count for _, count in self.made) / minutes


class Watcher:
    """The thread, and what it has found."""

    def __init__(self, source: Source, check_s: float = CHECK_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.source = source
        self.copies: Callable[[], list[dict[str, object]]] = list
        """What is known of the copies of the metadata."""
        self.check_s = check_s
        self.clock = clock
        self.progress = Progress()
        self.look: Look | None = None
        self.looked = self.started = clock()
        self.look_error = ""
        self.found: Check | None = None
        self.found_mark: tuple[object, ...] = ()
        self.checked = 0.0
        self.took = 0.0
        self.cost = 0.0
        """Seconds of the last check that count for SHARE: those of the metaserver's child, of all when it failed."""
        self.tried: float | None = None
        self.check_error = ""
        self.begun = self.ended = 0
        self.changed = threading.Condition()
        self.wake = threading.Event()

    def start(self) -> Watcher:
        """For as long as the process lives."""
        threading.Thread(target=self.run, name="storage-health", daemon=True).start()
        return self

    def run(self) -> None:
        """A turn every LOOK_S, and one whenever somebody reads the page."""
        while True:
            asked = self.wake.is_set()
            self.wake.clear()
            try:
                self.turn(asked=asked)
            except Exception as error:  # noqa: BLE001 - whatever it was: the page must go on, and say it
                self.look_error = f"{type(error).__name__}: {error}"
                print(f"storage health: {self.look_error}", file=sys.stderr, flush=True)
            with self.changed:
                self.ended = self.begun
                self.changed.notify_all()
            self.wake.wait(LOOK_S)

    def turn(self, *, asked: bool = False) -> None:
        """One look, and a check where that is due."""
        with self.changed:
            self.begun += 1
        try:
            look = self.source.look()
        except Unasked as error:
            self.look_error = str(error)[:300]
            return
        self.look, self.looked, self.look_error = look, self.clock(), ""
        if look.missing is not None and look.ready:
            self.progress.add(self.looked, look.missing, look.held)
        elif self.is_due(look, asked=asked):
            self.check(look)
        elif self.progress.missing and look.held:
            self.progress.add(self.looked, self.progress.missing, look.held)

    def is_due(self, look: Look, *, asked: bool) -> bool:
        """Whether the files are to be checked now."""
        if not look.ready or look.missing is not None:
            return False
        if self.tried is None:
            return True
        ago = self.clock() - self.tried
        if ago < max(MIN_GAP_S, SHARE * self.cost):
            return False
        if self.check_error or self.found is None:
            return ago >= AGAIN_S
        if look.mark != self.found_mark:
            return True
        is_bad = self.found.lost_files or self.found.missing
        return ago >= self.check_s or bool(is_bad and (asked or ago >= AGAIN_S))

    def check(self, look: Look) -> None:
        """Asks for the files; what was known before stays when that fails."""
        before = self.clock()
        try:
            found = self.source.check()
            self.check_error = ""
            if found is not None:
                self.found, self.found_mark, self.checked = found, look.mark, self.clock()
                self.progress.add(self.checked, found.missing, look.held)
                self.took, self.cost = self.checked - before, found.run_s
        except Unasked as error:
            self.check_error = str(error)[:300]
            self.cost = self.clock() - before
        self.tried = self.clock()

    def document(self) -> bytes:
        """JSON for PATH, after a fresh look if there is one in time."""
        with self.changed:
            if self.clock() - self.looked >= 1.0 or self.look is None:
                wanted = self.begun + 1
                self.wake.set()
                self.changed.wait_for(lambda: self.ended >= wanted, ANSWER_S)
        now, look, found, progress = self.clock(), self.look, self.found, self.progress
        document: dict[str, object] = {
            "schema": SCHEMA,
            "up_s": round(now - self.started, 1),
            "look": None
            if look is None
            else {"age_s": round(now - self.looked, 1), "ready": look.ready, "copying": look.copying, "held": look.held}
            | {"place": look.place},
            "look_error": self.look_error,
            "missing": progress.missing,
            "per_minute": round(progress.per_minute(now), 2),
            "still_s": round(now - progress.moved, 1) if progress.missing else 0.0,
            "check_s": self.check_s if look is None or look.missing is None else None,
            "check": None
            if found is None
            else asdict(found)
            | {"age_s": round(now - self.checked, 1), "took_s": round(self.took, 3)}
            | {"is_current": look is not None and look.mark == self.found_mark},
            "check_error": self.check_error,
            "copies": self.copies(),
        }
        return json.dumps(document).encode()


def interval() -> float:
    """SPARKQFS_CHECK_S, seconds; the default for anything else than a number above zero."""
    try:
        seconds = float(os.environ.get("SPARKQFS_CHECK_S") or CHECK_S)
    except ValueError:
        return CHECK_S
    return seconds if 0 < seconds < float("inf") else CHECK_S

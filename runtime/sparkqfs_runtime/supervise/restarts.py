"""A program that runs again when it fails, as `submit --restart` asks for it.

Each run is a container of its own, which Swarm starts again after this one has failed and after the machine was down.
What must outlive a container is in the file `.runs.json` of the program's directory: how often it was started, and how
often it failed in a row. Swarm ends with exit code 0 only, so that is the container's once the program's end is final;
the program's own code is in `exit`. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sparkqfs import durable
from sparkqfs_runtime import kept_output, scratch
from sparkqfs_runtime.supervise.setup import STOP_SIGNALS, WAITED_SIGNALS, say

FILE = ".runs.json"
ENDING = ".ending"
"""`invoke kill` and `invoke down` make this file before they remove the service: the stop that follows is for good."""
FIRST_S, LONGEST_S = 10.0, 300.0
"""Between a failure and the next run: twice as long after each, up to the longest."""
SOUND_S = 600.0
"""A run that lasted so long was a sound one: what failed before it does not count any more."""
BEAT_S = 60.0
"""While a run lasts its container touches the lock so often: a program may be quiet for days, and its end unseen."""
MOST = 20
"""Failures in a row, then it is not started again: after an hour and a quarter of waiting."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Another one after each start of the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What is known of a program's runs. Times are seconds since the epoch."""

    number: int = 0
    """Of the latest run; 0 before the first."""
    failed: int = 0
    """Failures in a row."""
    started: float = 0.0
    ended: float | None = None
    """`None` while it runs."""
    how: str = ""
    """Words on its end, for people."""
    boot: str = ""


def read(folder: Path) -> Runs:
    """Of a program's directory; what cannot be read counts as none, so that the program runs."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Runs(
            number=int(found["number"]),
            failed=int(found["failed"]),
            started=float(found["started"]),
            ended=None if found["ended"] is None else float(found["ended"]),
            how=str(found["how"]),
            boot=str(found["boot"]),
        )
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return Runs()


def write(folder: Path, runs: Runs) -> None:
    """On the disk before it returns. Raises OSError."""
    durable.replace_file(folder / FILE, f"{json.dumps(asdict(runs))}\n".encode(), 0o640)


def pause_s(failed: int) -> float:
    """Seconds between the end of a run and the next one, after so many failures in a row."""
    return min(LONGEST_S, FIRST_S * 2.0 ** min(failed - 1, 16)) if failed else 0.0


def found_open(runs: Runs, boot: str, last_seen: float, now: float) -> Runs:
    """A run without an end: its machine went down, which is no fault of it, or its container was lost, which may be."""
    if runs.number == 0 or runs.ended is not None:
        return runs
    lasted_s = last_seen - runs.started
    if boot != runs.boot:
        return without_failure(replace(runs, how="its machine went down"), now, lasted_s)
    return with_failure(replace(runs, how="its container was lost"), now, lasted_s)


def without_failure(runs: Runs, now: float, lasted_s: float) -> Runs:
    """After a run that something else ended."""
    return replace(runs, ended=now, failed=0 if lasted_s >= SOUND_S else runs.failed)


def with_failure(runs: Runs, now: float, lasted_s: float) -> Runs:
    """After a run that failed."""
    return replace(runs, ended=now, failed=1 if lasted_s >= SOUND_S else runs.failed + 1)


def wait_s(runs: Runs, now: float) -> float:
    """Seconds until the next run; a clock that was set does not make it longer."""
    pause = pause_s(runs.failed)
    return min(pause, max(0.0, (runs.ended or now) + pause - now))


class Restarts:
    """The runs of the program in a directory, this container's the latest. `tell` writes a line of its standard error;
    `finish` keeps its end: exit code, word, a last line."""

    def __init__(self, folder: Path, tell: Callable[[str], None], finish: Callable[[int, str, str], None]) -> None:
        self.folder, self._tell, self._finish = folder, tell, finish
        try:
            self._boot = BOOT_ID.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            self._boot = ""
        self._written = read(folder)
        self.runs = found_open(self._written, self._boot, self._last_seen(), time.time())

    def begin(self) -> int | None:
        """Waits until it is time for the next run; the container's exit code when there is to be none."""
        if (self.folder / "exit").exists():
            return 0
        if self._is_ending():
            return self._stopped(143)
        try:
            return self._begin()
        except OSError as error:  # a full disk: what is not written down does not run
            say(f"the next run cannot be written down: {error}")
            return self._stopped(143) if wait(LONGEST_S) else 1

    def _begin(self) -> int | None:
        """Raises OSError."""
        if self.runs.failed >= MOST:  # its container was lost so often
            return self._give_up(1, "ended")
        if self.runs != self._written:  # the pause counts from now, however often this container is lost, too
            write(self.folder, self.runs)
        if wait(wait_s(self.runs, time.time())) or self._is_ending():
            return self._stopped(143)
        before = self.runs
        runs = replace(before, number=before.number + 1, started=time.time(), ended=None, how="", boot=self._boot)
        write(self.folder, runs)
        self.runs = runs
        if before.number:
            self._tell(f"run {self.runs.number}; of the one before: {before.how}")
        return None

    def end(self, code: int, word: str, text: str) -> int:
        """After a run: keeps its end, and returns the container's exit code."""
        if word == "stopped":
            return self._stopped(code)
        if code == 0:
            return self._over(0, word, text)
        if self._is_ending():  # it fails because what it uses is being removed
            return self._stopped(code)
        now = time.time()
        self.runs = with_failure(replace(self.runs, how=f"exit code {code}"), now, now - self.runs.started)
        if text:
            self._tell(text.removeprefix("sparkqfs: ").rstrip())
        if self.runs.failed >= MOST:
            return self._give_up(code, word)
        pause = pause_s(self.runs.failed)
        self._tell(f"exit code {code}: runs again in {pause:.0f} s, failure {self.runs.failed} of {MOST} in a row")
        self._keep()
        return code

    def _is_ending(self) -> bool:
        """Whether `kill` or `down` has begun to end it for good."""
        return (self.folder / ENDING).exists()

    def _stopped(self, code: int) -> int:
        """By `kill` or `down` for good; by the engine until the machine is back."""
        if self._is_ending():
            return self._over(code, "stopped", "")
        if self.runs.number and self.runs.ended is None:
            now = time.time()
            stopped = replace(self.runs, how="its container was stopped")
            self.runs = without_failure(stopped, now, now - self.runs.started)
            self._keep()
        return code or 143

    def _give_up(self, code: int, word: str) -> int:
        self._keep()
        text = f"sparkqfs: {self.runs.failed} failures in a row, the last one: {self.runs.how}; it is not run again\n"
        return self._over(code, word, text)

    def _keep(self) -> None:
        """What is known of the runs. An end that is not written down counts as a lost container later."""
        try:
            write(self.folder, self.runs)
        except OSError as error:
            say(f"the end of run {self.runs.number} cannot be written down: {error}")

    def _over(self, code: int, word: str, text: str) -> int:
        """The end of all runs; a disk that does not take it does not make the program run again."""
        try:
            self._finish(code, word, text)
        except OSError as error:
            say(f"the program's end, {code} {word}, cannot be written down: {error}")
        return 0

    def _last_seen(self) -> float:
        """When the run before was there last: it wrote, or its container said so."""
        times = [0.0]
        with contextlib.suppress(OSError):
            for path in (self.folder / scratch.LOCK, *kept_output.pieces_of(self.folder)):
                times.append(path.stat().st_mtime)
        return max(times)


def wait(seconds: float) -> bool:
    """True when the container is stopped meanwhile. The signals are blocked, as main.py does it."""
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        received = signal.sigtimedwait(WAITED_SIGNALS, max(0.0, left))
        if received is not None and received.si_signo in STOP_SIGNALS:
            say(f"{signal.Signals(received.si_signo).name}: stopping")
            return True
        if left <= 0:
            return False

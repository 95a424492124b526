"""Many files over a few file servers at once: a queue, one thread a server, progress, a deadline."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sparkqfs.amounts import amount
from sparkqfs.errors import ClusterError, DeadlineError, ExitCode, Problem
from sparkqfs.files.places import Place
from sparkqfs.files.storage import LocalError, Storage, StorageError
from sparkqfs.progress import time_left

PROGRESS_S = 2.0
TRIES = 2
"""A file whose connection breaks is tried once more, perhaps over another machine; a stream is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file to be sent, fetched or compared."""

    local: Path
    place: Place
    size: int
    """Bytes at the source; -1 where nobody knows."""
    exists: bool
    """A file of this name is at the target."""
    same_size: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach a cluster's storage, and whom to tell."""

    connect: Callable[[int], Storage]
    """Opens the file server of this number, from 0 to `width` - 1. Raises `ClusterError`."""
    width: int
    on_event: Callable[[str], None]
    confirm: Callable[[str], bool]
    timeout_s: float
    dry_run: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """Whether the time is; file servers end by themselves then."""
        return time.monotonic() - self.started >= int(self.timeout_s)

    def late(self, verb: str) -> DeadlineError:
        """What to raise then."""
        what = f"{verb} did not end within {self.timeout_s:.0f} s"
        goes_on = "" if verb in ("ls", "du") else "the same command again goes on with what is left; "
        hint = f"{goes_on}--timeout SECONDS gives it longer"
        return DeadlineError(Problem(what=what, code=ExitCode.TIMEOUT, hint=hint))


@dataclass(slots=True)
class Tally:
    """What came of the files."""

    copied: int = 0
    copied_bytes: int = 0
    streamed_bytes: int = 0
    """Of sources whose size nobody knew."""
    unchanged: int = 0
    differs: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    """Of machines rather than files."""


One = Callable[["Transfer", Storage, Item], str]
"""Does what is to be done with one file: `copied`, `unchanged` or `differs`."""


class Stopped(Exception):
    """The run was given up: Ctrl-C, or the time is over."""


class Transfer:
    """Carries out items; `one` does it for each of them."""

    def __init__(self, access: Access, verb: str, items: list[Item], one: One) -> None:
        self._access = access
        self._verb = verb
        self._one = one
        self._count = len(items)
        self._total = sum(max(0, item.size) for item in items)
        self._queue = deque((item, 1) for item in sorted(items, key=lambda item: -item.size))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._open: list[Storage] = []
        self._done = self._bytes = 0
        self._defect: BaseException | None = None
        self.tally = Tally()

    def count(self, item: Item, size: int) -> None:
        """So many bytes more. Raises `Stopped` when the run was given up."""
        with self._lock:
            self._bytes += size
            if item.size < 0:
                self.tally.streamed_bytes += size
        if self._stop.is_set():
            raise Stopped

    def run(self, first: Storage) -> Tally:
        """All items; `first` serves the first thread. Raises `DeadlineError`."""
        width = max(1, min(self._access.width, self._count))
        threads = [
            threading.Thread(target=self._work, args=(number, first if number == 0 else None), daemon=True)
            for number in range(width)
        ]
        started = time.monotonic()
        try:
            for thread in threads:
                thread.start()
            self._watch(threads, started)
        finally:
            self._stop.set()
            for storage in [*self._open]:
                storage.close()
        if self._defect is not None:
            raise self._defect
        for item, _ in self._queue:
            self.tally.failed[str(item.place)] = "no machine is left that answers"
        return self.tally

    def _watch(self, threads: list[threading.Thread], started: float) -> None:
        said = started
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.05)
            now = time.monotonic()
            if self._access.is_over:
                raise self._access.late(self._verb)
            if now - said >= PROGRESS_S:
                self._say(now - started)
                said = now

    def _say(self, seconds: float) -> None:
        with self._lock:
            done, size = self._done, self._bytes
        total = f" of {self._total / 1e6:,.0f}" if self._total else ""
        rate = size / seconds / 1e6
        text = f"{self._verb}: {size / 1e6:,.0f}{total} MB, {done} of {amount(self._count, 'file')}, {rate:,.0f} MB/s"
        text += time_left(size, self._total, seconds)
        self._access.on_event(text)

    def _take(self) -> tuple[Item, int] | None:
        with self._lock:
            return self._queue.popleft() if self._queue and not self._stop.is_set() else None

    def _work(self, number: int, storage: Storage | None) -> None:
        try:
            while (taken := self._take()) is not None:
                item, tries = taken
                if storage is None or not storage.is_open:
                    try:
                        storage = self._access.connect(number)
                    except ClusterError as error:
                        with self._lock:
                            self._queue.appendleft(taken)
                            self.tally.problems += error.problems
                        return
                    self._open.append(storage)
                try:
                    self._note(item, self._one(self, storage, item))
                except StorageError as error:
                    self._fail(str(item.place), str(error))
                except LocalError as error:
                    self._fail(str(item.local), str(error))
                except OSError as error:
                    said = storage.pipe.last_words() or str(error) or type(error).__name__
                    storage.close()
                    storage = None
                    if self._stop.is_set():
                        return
                    self._again(item, tries, said)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - a defect: raised where it is seen
            self._defect = error
            self._stop.set()
        finally:
            if storage is not None and number:
                with contextlib.suppress(OSError):
                    storage.close()

    def _again(self, item: Item, tries: int, said: str) -> None:
        """A stream can be read once only: what it gave is gone, and a second try would store the rest as the whole."""
        if item.size < 0:
            self._fail(str(item.place), f"the connection ended, and a stream cannot be read again: {said}")
        elif tries < TRIES:
            self._access.on_event(f"{item.place}: once more, because the connection ended: {said}")
            with self._lock:
                self._queue.append((item, tries + 1))
        else:
            self._fail(str(item.place), said)

    def _note(self, item: Item, state: str) -> None:
        with self._lock:
            self._done += 1
            if state == "copied":
                self.tally.copied += 1
                self.tally.copied_bytes += max(0, item.size)
            elif state == "unchanged":
                self.tally.unchanged += 1
            else:
                self.tally.differs[str(item.place)] = "another file of this name is there"

    def _fail(self, name: str, why: str) -> None:
        with self._lock:
            self._done += 1
            self.tally.failed[name] = why

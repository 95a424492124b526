"""Once a day a keeper reads what it has kept of the current history: images by their checksums, logs record by record.

Every few minutes while something is damaged: it may have been put right.

In a thread of the lowest priority, so much a second and a piece at a time: memory does not grow with what there is.
What comes of it is told to the sender, and so reaches `invoke status`. Whether a state opens is not tried here: that
takes the memory of the storage's master (`invoke backup.verify`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sparkqfs import durable
from sparkqfs_runtime.metadata.pieces import Kind
from sparkqfs_runtime.metadata.store import Held, Store

FILE = "verified.json"
"""Beside the histories: what the last check has found."""
SCHEMA = DEPTH = 1
DAY_S = 86400
SOON_S = 300.0
"""After the start, where none is known of the last day."""
BREAK = 10
"""While something is damaged a check takes at most one part of so many of the time."""
BYTES_S = 32 << 20
READ_BYTES = 1 << 18
MOST_TOLD = 5
MOST_TEXT = 200


@dataclass(frozen=True, slots=True)
class ToCheck:
    """A file of the current history, as it is now."""

    key: str
    path: Path
    is_log: bool
    size: int
    sha256: str
    """Of so many bytes; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it. Times are seconds since the epoch."""

    at: float
    took_s: float
    bytes: int
    damaged: tuple[str, ...]
    schema: int = SCHEMA
    depth: int = DEPTH

    def told(self, now: float) -> dict[str, Any]:
        """For the sender."""
        return {
            "age_s": round(max(0.0, now - self.at)),
            "depth": self.depth,
            "ok": not self.damaged,
            "damaged": [text[:MOST_TEXT] for text in self.damaged[:MOST_TOLD]],
        }


def to_check(store: Store) -> list[ToCheck]:
    """The files of the current history; to be asked for behind the store's lock."""
    history = store.history
    if history is None:
        return []
    return [
        ToCheck(
            key,
            history.path / key,
            held.is_log,
            max(held.size, held.reached),
            held.sha256 if not held.is_log else _digest_of(held),
        )
        for key, held in history.held.items()
    ]


def _digest_of(held: Held) -> str:
    """Of a log as far as it was looked at; empty where that is not all of it."""
    return held.digest.hexdigest() if held.digest is not None and held.size >= held.reached else ""


def damage(kind: Kind, file: ToCheck, pause: Callable[[int], None]) -> str | None:
    """What is wrong with a file; `None` when nothing is. Raises FileNotFoundError."""
    digest, size = hashlib.sha256(), 0

    def read() -> Iterator[bytes]:
        nonlocal size
        with file.path.open("rb") as source:
            while size < file.size and (data := source.read(min(READ_BYTES, file.size - size))):
                digest.update(data)
                size += len(data)
                pause(len(data))
                yield data

    try:
        said = kind.fault(read()) if file.is_log else _pass(read())
    except FileNotFoundError:
        raise
    except OSError as error:
        return f"{file.key}: {error.strerror or error}"
    if size != file.size:
        return f"{file.key}: it has {size} bytes, {file.size} were written"
    if file.sha256 and digest.hexdigest() != file.sha256:
        return f"{file.key}: its checksum is another one"
    return f"{file.key}: {said}" if said else None


def _pass(pieces: Iterator[bytes]) -> str:
    """An image is compared by its checksum alone."""
    for _ in pieces:
        pass
    return ""


def check(
    kind: Kind,
    files: list[ToCheck],
    pause: Callable[[int], None],
    clock: Callable[[], float],
    is_held: Callable[[str], bool],
) -> Verdict:
    """All of them. A file that is gone may have been thinned out meanwhile: then it is not held any more."""
    begun, damaged = clock(), []
    for file in files:
        try:
            text = damage(kind, file, pause)
        except FileNotFoundError:
            text = f"{file.key}: it is gone" if is_held(file.key) else None
        if text is not None:
            damaged.append(text)
    return Verdict(clock(), round(clock() - begun, 1), sum(file.size for file in files), tuple(damaged))


class Checker:
    """The thread of one keeper."""

    def __init__(self, store: Store, lock: threading.Lock, second: int, clock: Callable[[], float] = time.time) -> None:
        """`second` of the day, UTC, is when it begins."""
        self.store, self.lock, self.second, self.clock = store, lock, second, clock
        self.verdict = read_verdict(store.top)

    def told(self) -> dict[str, Any] | None:
        """What is known; `None` before the first check."""
        return self.verdict.told(self.clock()) if self.verdict is not None else None

    def wait_s(self) -> float:
        """Until the next one."""
        now = self.clock()
        if self.verdict is None or not 0 <= now - self.verdict.at < 1.1 * DAY_S:
            return SOON_S
        if self.verdict.damaged:
            return max(SOON_S, BREAK * self.verdict.took_s)
        return (self.second - now) % DAY_S or DAY_S

    def look(self) -> None:
        """Once, now. What came of it is on the disk. Raises OSError."""
        with self.lock:
            history, files = self.store.history, to_check(self.store)
        if history is None:
            return

        def is_held(key: str) -> bool:
            with self.lock:
                return key in history.held

        self.verdict = check(self.store.kinds[history.kind], files, _pause, self.clock, is_held)
        with self.lock:  # an image that is gone is not held from now on, so that the sender sends it again
            for key in [key for key, one in history.held.items() if not one.is_log]:
                if not (history.path / key).exists():
                    del history.held[key]
        for text in self.verdict.damaged:
            print(f"metadata copy: damaged: {text}", file=sys.stderr, flush=True)
        durable.replace_file(self.store.top / FILE, json.dumps(asdict(self.verdict)).encode(), 0o640)

    def run(self) -> None:
        """For as long as the process lives."""
        with contextlib.suppress(OSError):  # of this thread alone
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while True:
            time.sleep(self.wait_s())
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - whatever it was: there is another day
                print(f"metadata copy: the daily check: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


def _pause(count: int) -> None:
    time.sleep(count / BYTES_S)


def read_verdict(top: Path) -> Verdict | None:
    """What the last check has found; `None` where that is not known."""
    try:
        found = json.loads((top / FILE).read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA:
            return None
        damaged = tuple(map(str, found["damaged"]))
        return Verdict(float(found["at"]), float(found["took_s"]), int(found["bytes"]), damaged)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None

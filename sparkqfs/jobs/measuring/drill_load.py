"""What goes on while a drill breaks something: a writer and a reader that compare checksums, and looks of `status`.

The writer counts a file as acknowledged when the file server has said so. Each of the three has a connection of its own
to the cluster, and makes a new one when it breaks.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from sparkqfs.clients.broken import BROKEN
from sparkqfs.errors import ClusterError, ExitCode, Problem
from sparkqfs.files.storage import Storage, StorageError
from sparkqfs.jobs.files.tasks import access
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.measuring.drill import Answered, Look

Open = Callable[[], AbstractContextManager[Session]]
"""A session of its own, read from hosts.yml as that is now."""
FAILURES = (ClusterError, StorageError, *BROKEN)
SERVER_S = 7200.0
STALL_S = 30.0
"""A file server that says nothing for so long is left for another one."""
PAUSE_S = 0.5
"""After something that failed."""
FILES_A_SECOND = 20.0
SIZES = (4 << 10, 4 << 10, 64 << 10, 4 << 10, 64 << 10, 1 << 20, 4 << 10, 64 << 10)
"""Bytes of the files, one after the other."""
LOOK_S = 1.0
LOOK_LIMIT_S = 20.0
READ_ALL_S = 300.0
TRIES_S = 90.0
"""When for so long no further file could be read, those that are left count as lost."""


def content(row: str, number: int) -> bytes:
    """A file's bytes: the same for the same row and number."""
    return random.Random(f"{row}/{number}").randbytes(SIZES[number % len(SIZES)])


@dataclass
class Load:
    """A writer, a reader and a watcher of one row."""

    open_session: Open
    directory: str
    """URI of the row's own directory on the storage."""
    started: float = 0.0
    """When it began to write, on the monotonic clock."""
    began: float = 0.0
    """When the fault was begun, on the monotonic clock; 0 before."""
    answered: list[tuple[int, str, int, float]] = field(default_factory=list)
    """(number, SHA-256, bytes, when), acknowledged by the storage."""
    seen: list[tuple[float, int, tuple[str, ...]]] = field(default_factory=list)
    """(when, exit code, what was said) of each look."""
    reads: int = 0
    wrong_reads: int = 0
    failed_reads: int = 0
    failed_writes: int = 0
    stopped: float = 0.0
    """When the last write was begun, on the monotonic clock."""
    _over: threading.Event = field(default_factory=threading.Event)
    _quiet: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _turn: int = 0
    _last: int = 0

    def start(self) -> None:
        """All three."""
        self.started = time.monotonic()
        self._threads = [self._begin(job) for job in (self._write, self._read, self._watch)]

    def _begin(self, job: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=job, daemon=True, name=f"drill {job.__name__}")
        thread.start()
        return thread

    def stop_files(self) -> None:
        """No more writes and reads; `status` is still looked at."""
        self._quiet.set()
        for thread in self._threads[:2]:
            thread.join(STALL_S * 2)

    def resume(self) -> None:
        """Writes and reads go on."""
        self._quiet.clear()
        self._threads[:2] = [self._begin(self._write), self._begin(self._read)]

    def note(self, code: int, said: tuple[str, ...]) -> None:
        """What another task has said of the fault, as if it were a look."""
        self.seen.append((time.monotonic(), code, said))

    def stop(self) -> None:
        """The end of all three."""
        self.stopped = time.monotonic()
        self._over.set()
        self.stop_files()
        self._threads[2].join(LOOK_LIMIT_S * 2)

    def looks(self) -> tuple[Look, ...]:
        """What `status` has said, by seconds since the fault."""
        return tuple(Look(when - self.began, code, said) for when, code, said in tuple(self.seen))

    def acknowledged(self) -> tuple[Answered, ...]:
        """All acknowledged files, by seconds since the fault."""
        return tuple(Answered(number, sha, size, when - self.began) for number, sha, size, when in self.answered)

    def is_well(self, calm_s: float, since: float = 0.0) -> bool:
        """Whether `status` has said for so many seconds that all is well, and nothing else, after `since`."""
        looks = self.looks()
        bad = max([look.at_s for look in looks if not look.is_well], default=-self.began)
        good = [look.at_s for look in looks if look.is_well and look.at_s > max(bad, since - self.began)]
        return bool(good) and good[-1] - good[0] >= calm_s

    def is_seen(self) -> bool:
        """Whether `status` has said since the fault that something is wrong."""
        return any(look.at_s > 0 and not look.is_well for look in self.looks())

    def has_written_since(self, when: float) -> bool:
        """Whether a file was acknowledged after that."""
        return bool(self.answered) and self.answered[-1][3] > when

    # -- files --------------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        while not self._quiet.is_set():
            try:
                with self._server() as storage:
                    storage.make_directory(self.directory)
                    while not self._quiet.is_set():
                        began = time.monotonic()
                        self._last += 1
                        self._write_one(storage, self._last)
                        self._quiet.wait(max(0.0, began + 1 / FILES_A_SECOND - time.monotonic()))
            except FAILURES:
                self.failed_writes += 1
                self._quiet.wait(PAUSE_S)

    def _write_one(self, storage: Storage, number: int) -> None:
        data = content(self.directory, number)
        digest = hashlib.sha256(data).hexdigest()
        state = storage.put(self.name(number), iter((data,)), lambda: digest, overwrite=False)
        if state in ("copied", "unchanged"):
            self.answered.append((number, digest, len(data), time.monotonic()))

    def name(self, number: int) -> str:
        """URI of a file."""
        return f"{self.directory}/{number:06d}"

    def _read(self) -> None:
        chance = random.Random(self.directory)
        while not self._quiet.is_set():
            try:
                with self._server() as storage:
                    while not self._quiet.is_set():
                        if self.answered:
                            self._read_one(storage, chance.choice(self.answered))
                        self._quiet.wait(1 / FILES_A_SECOND)
            except FAILURES:
                self.failed_reads += 1
                self._quiet.wait(PAUSE_S)

    def _read_one(self, storage: Storage, one: tuple[int, str, int, float]) -> None:
        found = hashlib.sha256()
        storage.get(self.name(one[0]), found.update)
        self.reads += 1
        if found.hexdigest() != one[1]:
            self.wrong_reads += 1

    @contextlib.contextmanager
    def _server(self, node: str | None = None) -> Iterator[Storage]:
        with self.open_session() as session:
            servers = access(session, SERVER_S, stall_s=STALL_S, only=node)
            storage = servers.connect(random.randrange(1000))
            try:
                yield storage
            finally:
                storage.close(at_once=True)

    def read_all_on(self, node: str) -> None:
        """Every acknowledged file once, where a copy on that machine is the one that is read."""
        left = list(self.answered)
        ends = time.monotonic() + READ_ALL_S
        while left and time.monotonic() < ends:
            try:
                with self._server(node) as storage:
                    while left:
                        self._read_one(storage, left.pop())
            except FAILURES:
                self.failed_reads += 1
                time.sleep(PAUSE_S)

    def lost(self) -> tuple[int, ...]:
        """Numbers of the acknowledged files that cannot be read with their bytes; each is asked for again and again."""
        left = {number: digest for number, digest, _, _ in self.answered}
        progress = time.monotonic()
        while left and time.monotonic() - progress < TRIES_S:
            before = len(left)
            with contextlib.suppress(*FAILURES), self._server() as storage:
                for number, digest in tuple(left.items()):
                    if self._is_right(storage, number, digest):
                        del left[number]
            if len(left) < before:
                progress = time.monotonic()
            elif left:
                time.sleep(PAUSE_S)
        return tuple(sorted(left))

    def _is_right(self, storage: Storage, number: int, digest: str) -> bool:
        try:
            storage.start_sum(self.name(number))
            return storage.answer()[0] == digest
        except StorageError:
            return False

    # -- status -------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """One look after the other; whoever does not come back in time is not waited for, nor heard later."""
        while not self._over.is_set():
            self._turn += 1
            looking = threading.Thread(target=self._look_until_it_fails, args=(self._turn,), daemon=True)
            looking.start()
            count = -1
            while looking.is_alive() and count != len(self.seen) and not self._over.is_set():
                count = len(self.seen)
                ends = time.monotonic() + LOOK_LIMIT_S
                while looking.is_alive() and count == len(self.seen) and time.monotonic() < ends:
                    self._over.wait(0.2)
                    if self._over.is_set():
                        return
            if looking.is_alive():
                self._note(self._turn, 3, (f"no answer within {LOOK_LIMIT_S:.0f} s",))

    def _note(self, turn: int, code: int, said: tuple[str, ...]) -> None:
        if turn == self._turn:
            self.seen.append((time.monotonic(), code, said))

    def _look_until_it_fails(self, turn: int) -> None:
        """Looks through one connection; the first that is not well ends it: hosts.yml may have changed."""
        try:
            with self.open_session() as session:
                while turn == self._turn and not self._over.is_set():
                    result = status.run(session.again())
                    said = tuple(map(_text, result.problems))
                    is_recovering = result.document.get("state") == "recovering"
                    self._note(turn, result.exit_code, said or (("recovering",) if is_recovering else ()))
                    if result.exit_code == ExitCode.UNREACHABLE:
                        return
                    self._over.wait(LOOK_S)
                    if result.exit_code:
                        return
        except FAILURES as error:
            text = _text(error.problems[0]) if isinstance(error, ClusterError) else str(error) or type(error).__name__
            self._note(turn, int(ExitCode.UNREACHABLE), (text,))
            self._over.wait(LOOK_S)


def _text(problem: Problem) -> str:
    """Without its hint."""
    return f"[{problem.node}] {problem.what}" if problem.node else problem.what

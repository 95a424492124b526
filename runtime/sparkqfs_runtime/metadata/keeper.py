"""The service that keeps a copy of the storage's metadata on its machine's disk.

One connection at a time writes: that of the newest master. Nothing is told to, or taken from, anybody without the
cluster's key for copies.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sparkqfs_runtime.metadata import kinds
from sparkqfs_runtime.metadata.checking import DAY_S, Checker
from sparkqfs_runtime.metadata.store import Store, StoreError
from sparkqfs_runtime.metadata.thinning import Keep
from sparkqfs_runtime.metadata.wire import Link, WireError

IDLE_S = 120.0
"""The sender says something every second."""
GREETING_S = 3.0
MOST_LINKS = 128
THIN_S = 3600.0


class Keeping:
    """The store behind its lock."""

    def __init__(self, store: Store, second: int = 0) -> None:
        self.store = store
        self.lock = threading.Lock()
        self.checker = Checker(store, self.lock, second)
        self.writer = 0
        self.count = 0

    def number(self) -> int:
        """Of a new connection."""
        with self.lock:
            self.count += 1
            return self.count

    def do(self, number: int, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        """One request's answer."""
        what = header.get("do")
        with self.lock:
            if what == "hello":
                self.writer = number  # who connects last is the master; an older connection is one that died
                return {**self.store.hello(), **self.verified()}
            if what == "nothing":
                return self.verified()
            if number != self.writer:
                return {"error": "another connection has come since"}
            try:
                return self.change(str(what), header, body)
            except StoreError as error:
                return {"error": str(error)}
            except OSError as error:
                return {"error": f"the disk there does not take it: {error}"}

    def verified(self) -> dict[str, Any]:
        """What the daily check has found, for an answer."""
        return {"verified": self.checker.told()}

    def change(self, what: str, header: dict[str, Any], body: bytes) -> dict[str, Any]:
        """A request that writes. Raises StoreError, OSError."""
        store = self.store
        if what == "begin":
            store.begin(str(header.get("kind")), str(header.get("identity")), str(header.get("accepted")))
            return store.hello()
        if what == "append":
            store.append(str(header.get("key")), _count(header, "offset"), body)
        elif what == "finish":
            store.finish(str(header.get("key")), _count(header, "size"), str(header.get("sha256")))
        elif what == "note":
            store.note(str(header.get("name")), body)
        elif what == "sync":
            store.sync()
            return self.verified()
        else:
            raise StoreError(f"{what!r} is nothing that can be asked for")
        return {}


def _count(header: dict[str, Any], name: str) -> int:
    value = header.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise StoreError(f"{name} is no number of bytes")
    return value


def serve_link(keeping: Keeping, connection: socket.socket, key: bytes) -> None:
    """One connection to its end."""
    with connection, contextlib.suppress(OSError):
        connection.settimeout(GREETING_S)
        link = Link(connection, key, asks=False, within_s=GREETING_S)
        number = keeping.number()
        connection.settimeout(IDLE_S)
        while True:
            try:
                header, body = link.receive()
            except WireError as error:
                if "closed" not in str(error):
                    print(f"metadata copy: {error}", file=sys.stderr, flush=True)
                return
            link.send(keeping.do(number, header, body))


def serve(keeping: Keeping, listener: socket.socket, key: bytes) -> None:
    """Takes connections until the process ends."""
    room = threading.BoundedSemaphore(MOST_LINKS)

    def one(connection: socket.socket) -> None:
        try:
            serve_link(keeping, connection, key)
        finally:
            room.release()

    while True:
        connection, _ = listener.accept()
        if not room.acquire(blocking=False):
            connection.close()
            continue
        threading.Thread(target=one, args=(connection,), daemon=True).start()


def thin_regularly(keeping: Keeping) -> None:
    """Every hour; what went is said."""
    while True:
        time.sleep(THIN_S)
        try:
            with keeping.lock:
                gone = keeping.store.thin()
        except Exception as error:  # noqa: BLE001 - whatever it was: without this thread the copies fill the disk
            print(f"metadata copy: thinning: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            continue
        if gone:
            print(f"metadata copy: {len(gone)} old files removed, {gone[0]} the first", file=sys.stderr, flush=True)


def keep_of(days: str) -> Keep:
    """SPARKQFS_COPY_DAYS: three numbers of days. Raises ValueError."""
    if not days:
        return Keep()
    whole, daily, weekly = (float(word) for word in days.split())
    return Keep(all=whole, daily=daily, weekly=weekly)


def second_of(hour: str) -> int:
    """SPARKQFS_COPY_CHECK, the hour of the daily check in UTC, as a second of the day. Raises ValueError."""
    found = float(hour or 0) * 3600
    if not 0 <= found < DAY_S:
        raise ValueError(f"{hour} is no hour of the day")
    return int(found)


def start(top: Path, address: tuple[str, int], key: bytes, keep: Keep, second: int = 0) -> None:
    """Serves from now on, in threads; the daily check begins at that second of the day.

    Raises OSError, ValueError when the directory or the address is not usable.
    """
    keeping = Keeping(Store(top, kinds.KINDS, keep), second)
    listener = socket.create_server(address, backlog=MOST_LINKS)
    for work in (lambda: thin_regularly(keeping), lambda: serve(keeping, listener, key), keeping.checker.run):
        threading.Thread(target=work, daemon=True).start()

"""Whether a machine still answers: paramiko waits for ever for one whose network is gone."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Iterator

import paramiko

from sparkqfs.clients.wait import in_time

ASK_S = 15.0
"""Between two questions to a machine on which somebody sits at a terminal."""
SILENT_S = 30.0
"""It may say nothing for so long after a question; TCP itself sends it again meanwhile."""
ANSWER_S = 5.0
_ASKING: weakref.WeakKeyDictionary[paramiko.Transport, threading.Lock] = weakref.WeakKeyDictionary()
"""One question at a time: paramiko takes the next answer of a connection for that of its last question."""


def has_answered(transport: paramiko.Transport, wait_s: float) -> bool:
    """Whether the machine answers a question within so many seconds."""
    answered = threading.Event()

    def ask() -> None:
        with _ASKING.setdefault(transport, threading.Lock()):
            transport.global_request("keepalive@openssh.com", wait=True)
        answered.set()

    in_time(ask, wait_s)
    return answered.is_set()


def is_connected(transport: paramiko.Transport) -> bool:
    """Whether a connection is still there, of which a channel has ended: paramiko ends channels before it says so."""
    return has_answered(transport, ANSWER_S) and transport.is_active()


class Watch:
    """What is known of a connection that somebody uses."""

    def __init__(self) -> None:
        self.heard = time.monotonic()
        """When something last came."""

    def note(self) -> None:
        """Something has come: an answer may be behind much output."""
        self.heard = time.monotonic()


@contextlib.contextmanager
def watched(transport: paramiko.Transport) -> Iterator[Watch]:
    """Asks from time to time, and closes a connection that stays silent: whoever reads or writes there wakes."""
    watch, over = Watch(), threading.Event()

    def ask() -> None:
        while not over.wait(ASK_S):
            if has_answered(transport, SILENT_S):
                watch.note()
            elif time.monotonic() - watch.heard >= SILENT_S and not over.is_set():
                transport.close()
                return

    threading.Thread(target=ask, daemon=True).start()
    try:
        yield watch
    finally:
        over.set()

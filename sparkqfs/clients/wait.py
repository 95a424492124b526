"""Waiting: one function with a deadline, a subject and a hint."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sparkqfs.errors import DeadlineError, ExitCode, Problem

T = TypeVar("T")


def wait_until(
    probe: Callable[[], T | None],
    *,
    what: str,
    timeout_s: float,
    interval_s: float = 1.0,
    hint: str | None = None,
    detail: Callable[[], str] | None = None,
) -> T:
    """Call `probe` until it gives something other than `None` or `False`, and return that.

    Raises `DeadlineError` naming `what` (and `detail()`, what was last seen) after `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        if time.monotonic() >= deadline:
            seen = f": {detail()}" if detail is not None else ""
            text = f"timed out after {timeout_s:.0f} s waiting for {what}{seen}"
            raise DeadlineError(Problem(what=text, hint=hint, code=ExitCode.TIMEOUT))
        time.sleep(min(interval_s, max(0.05, deadline - time.monotonic())))


CLOSING_S = 2.0
"""What closing something may take after Ctrl-C."""


def in_time(function: Callable[[], object], seconds: float | None = None) -> None:
    """Calls it in a thread of its own and waits no longer; what it raises is dropped.

    For closing after Ctrl-C: an interrupt between two lines of paramiko's BufferedPipe leaves its lock taken, and
    whoever closes the channel then waits for ever.
    """

    def call() -> None:
        with contextlib.suppress(Exception):
            function()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(CLOSING_S if seconds is None else seconds)

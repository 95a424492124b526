"""How far something with a number of bytes is: bytes, and the time that is left at its pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

EVERY_S = 2.0
"""Between two lines."""
SURE_S = 3.0
"""Before that a pace says nothing."""


def time_left(done: int, total: int, seconds: float) -> str:
    """`, about 40 s left` at the pace until now; empty where that is not known. `total` 0 is not known."""
    if seconds < SURE_S or not 0 < done < total:
        return ""
    left = (total - done) / done * seconds
    if left < 90:
        return f", about {max(5, round(left / 5) * 5)} s left"
    return f", about {left / 60:.0f} min left" if left < 5400 else f", about {left / 3600:.0f} h left"


def how_far(done: int, total: int, seconds: float) -> str:
    """`123 of 455 MB, about 40 s left`."""
    of = f" of {total / 1e6:,.0f}" if total else ""
    return f"{done / 1e6:,.0f}{of} MB{time_left(done, total, seconds)}"


class Progress:
    """Called with the bytes that are done and their total, says a line now and then. Any thread may call it."""

    def __init__(self, what: str, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._say, self._clock = what, say, clock
        self._lock = threading.Lock()
        self._started = self._said = clock()
        self._last = -1

    def __call__(self, done: int, total: int) -> None:
        """`total` 0 is not known."""
        with self._lock:
            now = self._clock()
            is_end = 0 < total <= done
            if done == self._last or (not is_end and now - self._said < EVERY_S):
                return
            self._said, self._last = now, done
            self._say(f"{self._what}: {how_far(done, total, now - self._started)}")

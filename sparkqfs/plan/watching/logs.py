"""Which lines of logs are shown, in which order, and how many are kept meanwhile. Pure."""

from __future__ import annotations

import heapq
import re
import warnings
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from sparkqfs.errors import ConfigError, Problem
from sparkqfs.facts.log_lines import LogLine, Printed

TAIL = 50
"""Lines of each container, where neither a number nor a time nor a pattern is given."""
LINE_BYTES = 4000
"""Of a line, its time included; with the container's id it is written to a pipe as a whole."""
MOST_LINES, MOST_BYTES = 20_000, 4 << 20
"""Of one container, before following."""
HOLD_S = 0.5
"""A line waits so long for earlier ones of other machines."""
MOST_HELD = 20_000
"""Lines that wait at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a user asks for."""

    service: str | None = None
    tail: int | None = None
    since: float | None = None
    """Seconds since the epoch."""
    grep: re.Pattern[str] | None = None

    @property
    def most(self) -> int:
        """Lines of each container."""
        if self.tail is not None:
            return min(self.tail, MOST_LINES)
        return TAIL if self.since is None and self.grep is None else MOST_LINES

    @property
    def engine_tail(self) -> str:
        """The engine's own `--tail`: all where lines are chosen afterwards; one more than we take tells of a cut."""
        return "all" if self.grep is not None else str(self.most + (self.most == MOST_LINES))

    def matches(self, text: str) -> bool:
        """Whether a line is shown."""
        return self.grep is None or self.grep.search(text) is not None


def pattern_of(text: str | None) -> re.Pattern[str] | None:
    """A pattern of Python's `re`. Raises `ConfigError`."""
    if text is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        what = f"--grep {text}: it is not a regular expression ({error})"
        raise ConfigError(Problem(what=what, hint="a \\ before a sign takes it as it is: --grep 'f\\('")) from error


class Kept:
    """The last lines of a container; never more than `most`, nor than `MOST_BYTES`."""

    def __init__(self, most: int) -> None:
        self.lines: deque[Printed] = deque()
        self.is_cut = False
        """Lines are missing that nobody asked to leave out."""
        self._most = most
        self._bytes = 0

    def add(self, line: Printed) -> None:
        """One more, and the oldest away."""
        self.lines.append(line)
        self._bytes += len(line.text)
        while len(self.lines) > self._most or self._bytes > MOST_BYTES:
            self.is_cut = self.is_cut or self._most == MOST_LINES or self._bytes > MOST_BYTES
            self._bytes -= len(self.lines.popleft().text)


class Place:
    """Where the reading of a container's log is, so that it can go on there: each line once."""

    def __init__(self) -> None:
        self.time = ""
        """Of the last line; others before it may have a later one: clocks are set back, and two streams are mixed."""
        self._latest = ""
        self._same = self._skipped = 0
        self._is_sought = False

    def again(self) -> None:
        """The log is read once more, from the time of the last line on, or from earlier."""
        self._skipped, self._is_sought = 0, bool(self.time)

    def is_new(self, time: str) -> bool:
        """Whether a line of this time was not read before; it has been from now on. Each is, but between `again` and
        the place, or a line later than all that were read: the engine has thrown the place away then."""
        if self._is_sought and time <= self._latest:
            self._skipped += time == self.time
            self._is_sought = self._skipped < self._same
            return False
        self._is_sought = False
        self._same = self._same + 1 if time == self.time else 1
        self.time, self._latest = time, max(self._latest, time)
        return True


class Merge:
    """Lines of several machines in the order of their times, each held back for a moment."""

    def __init__(self, hold_s: float = HOLD_S) -> None:
        self._hold_s = hold_s
        self._waiting: list[tuple[str, int, LogLine]] = []
        self._arrived: deque[tuple[float, str]] = deque()
        self._number = 0

    def add(self, lines: Iterable[LogLine], now: float) -> None:
        """Lines that have come at `now`, a monotonic time in seconds."""
        newest = ""
        for line in lines:
            self._number += 1
            heapq.heappush(self._waiting, (line.time, self._number, line))
            newest = max(newest, line.time)
        if newest:
            self._arrived.append((now, newest))

    def due(self, now: float) -> list[LogLine]:
        """Those that have waited long enough, with all that are earlier; all of them where too many wait."""
        upto = ""
        is_full = len(self._waiting) > MOST_HELD
        while self._arrived and (is_full or self._arrived[0][0] <= now - self._hold_s):
            upto = max(upto, self._arrived.popleft()[1])
        found = []
        while self._waiting and self._waiting[0][0] <= upto:
            found.append(heapq.heappop(self._waiting)[2])
        return found

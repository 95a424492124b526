"""Spans of time as text, and the engine's clock. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sparkqfs.errors import ConfigError, Problem

_SPAN = re.compile(r"(?:[0-9]{1,12}[wdhms])+")
_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}


def about(seconds: float) -> str:
    """How long ago, for a sentence: `12 s`, `7 min`, `3 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def exactly(seconds: float) -> str:
    """How long something took, for a table: `12.3s`, `7m05s`, `3h02m`."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f}s"
    return f"{whole // 60}m{whole % 60:02}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02}m"


def engine_time(text: str) -> str:
    """A time of the engine in UTC, whole seconds, so that two can be compared as text: `2026-01-31T12:00:00`.

    `SystemTime` of its `/info` is local time with its distance from UTC, a task's `CreatedAt` is UTC; both have
    nanoseconds. Raises `ValueError` on what is not such a time.
    """
    whole = re.sub(r"\.\d+", "", text)
    return datetime.fromisoformat(whole).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def moment(flag: str, text: str, now: float) -> float:
    """Seconds since the epoch of a time that a user has written; `now` is such a time.

    `10m`, `1h30m`, `2d` are so long ago; an ISO time without its distance from UTC is this computer's. Raises
    `ConfigError` for another text, and for a time that is to come.
    """
    if _SPAN.fullmatch(text):
        parts = re.findall(r"([0-9]+)([wdhms])", text)
        return max(0.0, now - sum(int(number) * _UNITS[unit] for number, unit in parts))
    try:
        found = datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        hint = "for example 2026-01-31T12:00, 2026-01-31T12:00:00Z, or 10m for ten minutes ago"
        raise ConfigError(Problem(what=f"{flag} {text}: it is not a time, nor a span of time", hint=hint)) from error
    if found > now:
        raise ConfigError(Problem(what=f"{flag} {text}: this time is still to come"))
    return max(0.0, found)


def seconds_between(first: str, second: str) -> float:
    """Between two times of the engine, in whole seconds; negative when the first is the later one."""
    earlier, later = (datetime.fromisoformat(engine_time(text)) for text in (first, second))
    return (later - earlier).total_seconds()

"""Lines of containers' logs, as an engine prints them with their times. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"(?P<id>[0-9a-f]{12,64}) (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z)(?: (?P<text>.*))?", re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """What a container has printed. `time` is its engine's, in UTC with nine digits: as text it sorts as time does."""

    time: str
    node: str
    service: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A line as the machine sends it."""

    container: str
    time: str
    text: str


def parse_line(line: str) -> Printed | None:
    """`None` for what is no line of a container: an engine's own words have no time."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    return Printed(container=found["id"], time=found["time"], text=(found["text"] or "").rstrip("\r"))

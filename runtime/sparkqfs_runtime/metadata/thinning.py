"""Which images and logs of a history stay: all of the last days, then one a day, then one a week. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """For how long, in days; each at least as long as the one before it is useful."""

    all: float = 2.0
    """Every moment."""
    daily: float = 14.0
    weekly: float = 60.0


USUAL = Keep()


class Image(NamedTuple):
    """When it came (seconds since the epoch), and the log that goes on from it."""

    at: float
    first_log: int


@dataclass(frozen=True, slots=True)
class Stay:
    """What stays."""

    images: set[int]
    """Their places in the list."""
    from_log: int
    """Every log from this one on."""
    single_logs: set[int] = field(default_factory=set)
    """Logs without which an older image cannot be used."""

    def keeps_log(self, order: int) -> bool:
        """Whether a log stays."""
        return order >= self.from_log or order in self.single_logs


def kept_images(images: Sequence[Image], now: float, keep: Keep = USUAL) -> Stay:
    """`images` are in the order in which they were made. The newest stays however old it is."""
    if not images:
        return Stay(set(), 0)
    now = min(now, images[-1].at)  # a clock that jumped, or a time without a master, makes nothing old
    ages = [(now - image.at) / DAY_S for image in images]
    recent = [number for number, age in enumerate(ages) if age <= keep.all]
    older = [number for number, age in enumerate(ages) if age > keep.all]
    # One more than the recent ones: what happened between the two needs the older one to begin with.
    whole = sorted({*older[-1:], *recent, len(images) - 1})
    stay = set(whole)
    for length, most in ((1.0, keep.daily), (7.0, keep.weekly)):
        newest: dict[int, int] = {}
        for number in older:
            if ages[number] <= most:
                newest[int(images[number].at // (length * DAY_S))] = number
        stay |= set(newest.values())
    single = {images[number].first_log for number in stay if number < whole[0]}
    return Stay(stay, images[whole[0]].first_log, single)

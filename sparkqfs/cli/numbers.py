"""Numbers on a command line: a wrong one is one sentence with the flag and what was given."""

from __future__ import annotations

import math
from typing import Any

from invoke import Argument, Exit
from invoke.exceptions import ParseError

from sparkqfs.errors import ExitCode

MAY_BE_NOTHING = ("load", "seed", "tail", "last")
"""Flags that may be 0."""
MOST = 10**15


class Number(Argument):  # type: ignore[misc]
    """A flag with a number. `1e7` and `10_000_000` are whole numbers too."""

    def set_value(self, value: Any, cast: bool = True) -> None:
        """Ends the program with exit code 2, under `invoke` too, for what cannot be."""
        self.raw_value = value
        least = 0 if self.may_be_nothing else 1
        try:
            self._value = read(f"--{self.name.replace('_', '-')}", str(value), self.kind, least)
        except ParseError as error:
            raise Exit(str(error), code=int(ExitCode.USAGE)) from None

    @property
    def may_be_nothing(self) -> bool:
        """Whether 0 means something."""
        return self.name in MAY_BE_NOTHING


def as_numbers(arguments: list[Argument]) -> list[Argument]:
    """The same arguments, those with numbers as `Number`."""
    return [_number(one) if one.kind in (int, float) else one for one in arguments]


def _number(one: Argument) -> Number:
    return Number(
        names=one.names,
        kind=one.kind,
        default=one.default,
        help=one.help,
        positional=one.positional,
        optional=one.optional,
        incrementable=one.incrementable,
        attr_name=one.attr_name,
    )


def read(flag: str, text: str, kind: type, least: int) -> int | float:
    """The number that a flag was given. Raises `ParseError`; a `float`'s range is its task's matter."""
    word = "whole number" if kind is int else "number"
    try:
        number = float(text)
    except ValueError:
        raise ParseError(f"{flag} {text}: expected a {word}") from None
    if not math.isfinite(number) or (kind is int and number != int(number)):
        raise ParseError(f"{flag} {text}: expected a {word}")
    if kind is not int:
        return number
    whole = _exactly(text)
    if whole < least:
        raise ParseError(f"{flag} {text}: must be {least} or more")
    if whole > MOST:
        raise ParseError(f"{flag} {text}: must be {MOST} or less")
    return whole


def _exactly(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # 1e7
        return int(float(text))

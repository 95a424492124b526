"""What remote/list_copies.sh has printed: a machine's copies of the metadata, and a restore that has begun. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass

MOMENT = re.compile(r"(\d+\.\d+)\t(\S+)\t(\d+)")
AHEAD_S = 3600.0
"""Clocks may be so far apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCopy:
    """One history that a machine keeps (docs/backup.md)."""

    node: str
    number: int
    kind: str
    identity: str
    """The file system's own id."""
    began: float
    """Seconds since the epoch, as `at`."""
    at: float
    """The newest state that was written down; the beginning where none was."""
    order: tuple[int, int] = (0, 0)
    """Number of the log at that moment, and its length."""

    def is_newer_than(self, other: KeptCopy, now: float = math.inf) -> bool:
        """Of two copies of one file system. Clocks of machines differ by seconds, numbers of operations do not.

        A time that is yet to come, after `now`, is of a clock that was wrong, and says nothing.
        """
        is_told = abs(self.at - other.at) >= 60.0 and max(self.at, other.at) <= now + AHEAD_S
        if self.identity == other.identity and not is_told:
            return (self.order, self.at) > (other.order, other.at)
        return self.at > other.at


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreFact:
    """A restore that has begun on a machine and has not ended."""

    id: str
    """Its name: that of the directories in which blocks are kept."""
    laid_out: bool
    """Its state of the metadata is in its place."""
    state: dict[str, object]
    """What that is, for the report."""
    wanted: str = ""
    """Which state was asked for: seconds since the epoch, `newest` or `backup NAME`."""
    said: str = ""
    """In which words of the command line; empty for none, and in the note of an earlier version."""
    backup: str = ""
    """Where the backup was, on the computer that began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesFact:
    """What one machine has."""

    histories: tuple[KeptCopy, ...]
    restore: RestoreFact | None = None

    @property
    def newest(self) -> KeptCopy | None:
        """The latest history; `None` where there is none."""
        return max(self.histories, key=lambda one: one.number, default=None)


def parse_copies(node: str, text: str) -> CopiesFact:
    """Raises `ValueError` on another shape."""
    lines = text.splitlines()
    if not lines or not lines[-1].startswith("end"):
        raise ValueError("the machine's answer is cut off")
    histories: list[KeptCopy] = []
    restore, damaged = None, ""
    for line in lines:
        key, _, rest = line.partition("\t")
        if key == "history":
            try:
                histories.append(_history(node, rest))
                damaged = ""
            except ValueError as error:  # an earlier one is nothing that is put back
                damaged = str(error)
        elif key == "record":
            restore = _restore(rest)
    if damaged:
        raise ValueError(damaged)
    return CopiesFact(histories=tuple(histories), restore=restore)


def _history(node: str, row: str) -> KeptCopy:
    number, about, *last = row.split("\t", 2)
    try:
        document = json.loads(base64.b64decode(about, validate=True))
        began = float(document["began"])
        match = MOMENT.fullmatch(last[0]) if last else None
        log = int(re.findall(r"\d+", match[2])[-1]) if match and re.search(r"\d", match[2]) else 0
        return KeptCopy(
            node=node,
            number=int(number),
            kind=str(document["kind"]),
            identity=str(document["identity"]),
            began=began,
            at=float(match[1]) if match else began,
            order=(log, int(match[3])) if match else (0, 0),
        )
    except (binascii.Error, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"its copy {number} cannot be read: {error}") from error


def _restore(row: str) -> RestoreFact:
    try:
        document = json.loads(base64.b64decode(row, validate=True))
        if not re.fullmatch(r"\d{8}T\d{6}Z", document["id"]):
            raise ValueError("its name is none")
        return RestoreFact(
            id=document["id"],
            laid_out=bool(document["laid_out"]),
            state=dict(document["state"]),
            wanted=str(document.get("wanted", "")),
            said=str(document.get("said", "")),
            backup=str(document.get("backup", "")),
        )
    except (binascii.Error, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the note of a restore that has begun cannot be read: {error}") from error

"""Whether the metadata on a disk goes on from a copy of it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sparkqfs_runtime.metadata.pieces import Kind, Piece, last_operation, whole_pieces

EMPTY_BYTES = 8
"""The head of HDFS's logs."""
Verdict = Literal["first", "continues", "behind", "parted", "other"]
"""`first`: there is no copy yet. `behind`: the copy has operations that are not here. `parted`: both have some that the
other has not. `other`: a copy of another file system."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of it."""

    verdict: Verdict
    mark: str = ""
    """Names the state of the copy."""
    text: str = ""
    """For people: what the copy has that is not here."""
    operation: int = -1
    """The last one of the copy; -1 where it is not known."""
    is_level: bool = False
    """The copy has all that is here."""

    @property
    def is_well(self) -> bool:
        """Nothing that the copy has is missing here."""
        return self.verdict in ("first", "continues")


def compare(kind: Kind, top: Path, hello: dict[str, Any]) -> Compared:
    """`hello` is what a keeper says of its copy (store.py). Raises OSError, and ValueError for another shape."""
    if not hello.get("number"):
        return Compared("first")
    mark, identity = str(hello["mark"])[:64], kind.identity(top)
    operation = hello["operation"] if isinstance(hello.get("operation"), int) else -1
    if hello["kind"] != kind.name or hello["identity"] != identity:
        here = f"{kind.name} {identity}" if identity else "none"
        text = f"the copy is of the file system {hello['kind']} {hello['identity']}, here is {here}"
        return Compared("other", mark, text, operation)
    logs = kind.logs(top)
    if hello["newest"] is None:
        return Compared("continues", mark, is_level=not logs)
    key, size, digest = str(hello["newest"][0]), int(hello["newest"][1]), str(hello["newest"][2])
    there = next((order for one, order, _ in hello["logs"] if one == key), 0)
    same = next((log for log in logs if log.key == key), None)
    if same is None and logs and (logs[0].order > there or _is_empty(kind, logs, hello, size)):
        return Compared("continues", mark)  # the storage has no more use for it, or nothing was in it
    found = _digest(same.path, size) if same is not None else None
    if found == digest and same is not None:
        length = sum(len(data) for _, data in whole_pieces(kind, logs[-1].path)) if logs[-1] == same else -1
        reached = hello.get("reached")
        if length >= 0 and isinstance(reached, int) and length < reached:  # what it has behind `size` is damaged there
            text = f"the copy had {reached} bytes of {key} once, here are {length}"
            return Compared("behind", mark, text, operation)
        return Compared("continues", mark, is_level=length == size)
    return Compared("behind" if found is None else "parted", mark, _lost(kind, logs, hello), operation)


def _is_empty(kind: Kind, logs: list[Piece], hello: dict[str, Any], size: int) -> bool:
    """The copy's newest log had nothing in it but its head: the namenode moves such a one away."""
    here = _last_operation(kind, logs)
    there = hello.get("operation")
    return size <= EMPTY_BYTES and isinstance(there, int) and here is not None and here >= there


def _digest(path: Path, size: int) -> str | None:
    """SHA-256 of the first `size` bytes; `None` when there are fewer."""
    digest, left = hashlib.sha256(), size
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < size:
            return None
        while left:
            data = file.read(min(left, 1 << 20))
            if not data:
                return None
            digest.update(data)
            left -= len(data)
    return digest.hexdigest()


def _last_operation(kind: Kind, logs: list[Piece]) -> int | None:
    """The number of the last operation that is here."""
    for log in reversed(logs[-2:]):
        found = last_operation(kind, log.path)
        if found is not None:
            return found
    return None


def _lost(kind: Kind, logs: list[Piece], hello: dict[str, Any]) -> str:
    here, there = _last_operation(kind, logs), hello.get("operation")
    if not isinstance(there, int):
        return "the copy has operations that are not here"
    return f"the copy ends with operation {there}, here it is {'none' if here is None else here}"

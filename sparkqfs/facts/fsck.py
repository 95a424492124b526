"""What runtime/sparkqfs_runtime/fsck has printed. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

STATES: dict[str, Literal["lost", "short"]] = {"lost": "lost", "short": "short"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFact:
    """One copy of a block."""

    address: str
    """Of the server that has it."""
    state: str
    """`live`, or the storage's own word for one that does not count, as `corrupt`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFact:
    """A block with too few copies."""

    name: str
    offset: int | None
    """Bytes into the file; `None` where that is not known."""
    copies: tuple[CopyFact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedFact:
    """A file that is lost or short of copies."""

    path: bytes
    state: Literal["lost", "short"]
    size: int | None
    asked: int | None
    """Copies that were asked for."""
    blocks: tuple[BlockFact, ...]
    """The first of those with too few copies."""
    blocks_count: int
    """How many have too few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckFact:
    """Counts of all files, and the first that lack something."""

    took_s: float
    ready: bool
    """False while the master waits for its servers."""
    partial: str
    """Why not everything was looked at; empty when all was."""
    files: int | None
    lost_files: int
    short_files: int | None
    """`None` when the search for them did not come to its end."""
    lost_blocks: int
    short_blocks: int
    bad_blocks: int
    """Found corrupt or missing by the servers since they started."""
    damaged: tuple[DamagedFact, ...]


def parse_fsck(text: str) -> FsckFact:
    """Read the program's JSON document. Raises `ValueError` on any other shape."""
    try:
        body = json.loads(text)
        if not isinstance(body, dict) or body.get("schema") != 1:
            raise ValueError("no document of schema 1")
        return FsckFact(
            took_s=float(body["took_s"]),
            ready=body["ready"] is True,
            partial=str(body["partial"]),
            files=_optional(body["files"]),
            lost_files=int(body["lost_files"]),
            short_files=_optional(body["short_files"]),
            lost_blocks=int(body["lost_blocks"]),
            short_blocks=int(body["short_blocks"]),
            bad_blocks=int(body["bad_blocks"]),
            damaged=tuple(_damaged(one) for one in body["damaged"]),
        )
    except (KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise ValueError(f"not the answer of fsck: {type(error).__name__}: {error}") from error


def _optional(value: object) -> int | None:
    return int(value) if isinstance(value, (int, str)) else None


def _damaged(found: Mapping[str, object]) -> DamagedFact:
    blocks, count = found["blocks"], _optional(found["blocks_count"])
    if not isinstance(blocks, list) or count is None:
        raise TypeError("blocks")
    return DamagedFact(
        path=base64.b64decode(str(found["path"]), validate=True),
        state=STATES[str(found["state"])],
        size=_optional(found["size"]),
        asked=_optional(found["asked"]),
        blocks=tuple(
            BlockFact(
                name=str(block["name"]),
                offset=_optional(block["offset"]),
                copies=tuple(CopyFact(address=str(c["address"]), state=str(c["state"])) for c in block["copies"]),
            )
            for block in blocks
        ),
        blocks_count=count,
    )


def shown_name(path: bytes) -> str:
    """A name for people, on one line, that steers no terminal and cannot be taken for another.

    What is not printable (controls, marks that turn the direction of writing, bytes that are not UTF-8) and the
    backslash are written as in a Python string.
    """
    parts = []
    for char in path.decode("utf-8", "surrogateescape"):
        if "\udc80" <= char <= "\udcff":
            parts.append(f"\\x{ord(char) - 0xDC00:02x}")
        elif char == "\\":
            parts.append("\\\\")
        elif char.isprintable():
            parts.append(char)
        else:
            parts.append(char.encode("unicode_escape").decode("ascii"))
    return "".join(parts)

"""What a check of all files has found: all counted, some kept. Standard library only."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Literal

State = Literal["lost", "short"]
"""Lost: some of the file's data has no copy on a server that is up. Short: fewer copies than asked for."""
MAX_BLOCKS = 16
"""Blocks that are named of one file."""
MAX_COPIES = 64
MAX_NAME = 64 << 10
"""Bytes of a name."""


@dataclass(frozen=True)
class Copy:
    """One copy of a block, on the server at this address."""

    address: str
    state: str = "live"
    """`live`, or the storage's own word: `corrupt`, `stale_node`."""


@dataclass(frozen=True)
class Block:
    """A block with too few copies."""

    name: str
    offset: int | None
    """Its place in the file, bytes; `None` where the storage does not say."""
    copies: tuple[Copy, ...]

    @property
    def live(self) -> int:
        return sum(copy.state == "live" for copy in self.copies)


@dataclass(frozen=True)
class Damaged:
    """A file that is lost or short."""

    path: bytes
    state: State
    size: int | None
    asked: int | None
    """Copies that were asked for."""
    blocks: tuple[Block, ...] = ()
    """The first of those with too few copies."""
    blocks_count: int = 0
    """How many have too few."""


@dataclass
class Findings:
    """Every file is counted, and of each state the first `limit` are kept."""

    limit: int
    files: int | None = None
    """All files of the storage, where that was said."""
    lost_files: int = 0
    short_files: int | None = 0
    """`None` when the search for them did not come to its end."""
    lost_blocks: int = 0
    short_blocks: int = 0
    bad_blocks: int = 0
    """As the servers have found since they started."""
    ready: bool = True
    """False while the master waits for its servers: what is missing then need not be lost."""
    partial: str = ""
    """Why not every file was looked at; empty when all were."""
    kept: dict[State, list[Damaged]] = field(default_factory=lambda: {"lost": [], "short": []})

    def has_room(self, state: State) -> bool:
        """Whether one more would be kept."""
        return len(self.kept[state]) < self.limit

    def keep(self, file: Damaged) -> None:
        """Counts nothing."""
        if self.has_room(file.state):
            self.kept[file.state].append(file)

    def document(self, took_s: float) -> dict[str, object]:
        """For JSON; names are base64, as they are bytes."""
        files = [*self.kept["lost"], *self.kept["short"]][: self.limit]
        return {
            "schema": 1,
            "took_s": round(took_s, 3),
            "ready": self.ready,
            "partial": self.partial,
            "files": self.files,
            "lost_files": self.lost_files,
            "short_files": self.short_files,
            "lost_blocks": self.lost_blocks,
            "short_blocks": self.short_blocks,
            "bad_blocks": self.bad_blocks,
            "damaged": [_file(one) for one in files],
        }


def _file(file: Damaged) -> dict[str, object]:
    return {
        "path": base64.b64encode(file.path[:MAX_NAME]).decode(),
        "state": file.state,
        "size": file.size,
        "asked": file.asked,
        "blocks_count": file.blocks_count,
        "blocks": [
            {
                "name": block.name,
                "offset": block.offset,
                "copies": [{"address": copy.address, "state": copy.state} for copy in block.copies[:MAX_COPIES]],
            }
            for block in file.blocks[:MAX_BLOCKS]
        ],
    }

"""Pure: what came over the network of what was read, told from what Spark itself sends meanwhile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

OVERHEAD_BYTES = 2_000_000
"""Per worker: what Spark itself sends while files are read (tasks, broadcasts, heartbeats, our own counting)."""
TASK_OVERHEAD_BYTES = 20_000
"""Per task: its description and its answer."""
LITTLE = 0.5
"""Where the overhead may be more than this part of the threshold, received bytes above the threshold say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """Bytes of what was read that came over the network, as closely as the counters tell them from Spark's own."""

    read: int
    received: int
    overhead: int
    """What Spark's own messages may be of the received."""
    allowed: float
    from_elsewhere: int | None
    """What a reader of ours took from other nodes, at most: what it did not see may have come from there."""
    least: int
    most: int

    @property
    def shown(self) -> int:
        """The closest figure; what was received where the counters contradict each other."""
        return self.most if self.least <= self.most else self.received

    @property
    def is_told(self) -> bool:
        """Whether the threshold can be judged."""
        return self.least > self.allowed or self.most <= self.allowed or self.overhead <= LITTLE * self.allowed


def crossed_bytes(found: dict[str, Any], max_remote: float) -> Crossed:
    """What the counters of `found` (the document of `verify`) say. `max_remote` is the share that may cross."""
    read, received, reader = int(found["bytes_read"]), int(found["received_total"]), found["reader"]
    overhead = OVERHEAD_BYTES * len(found["hosts"]) + TASK_OVERHEAD_BYTES * count_tasks(found)
    least, elsewhere = received - overhead, None
    if reader is not None:
        remote, fallback = int(reader["remote_bytes"]), int(reader["fallback_bytes"])
        unseen = max(0, read - int(reader["local_bytes"]) - remote - fallback)
        elsewhere, least = remote + fallback + unseen, max(least, min(remote, received))
    return Crossed(
        read=read,
        received=received,
        overhead=overhead,
        allowed=max_remote * read,
        from_elsewhere=elsewhere,
        least=max(0, least),
        most=received if elsewhere is None else min(received, elsewhere),
    )


def count_tasks(found: dict[str, Any]) -> int:
    """All tasks that read."""
    return sum(int(count) for count in found["tasks"].values())


def untold(
    found: dict[str, Any], max_remote: float, crossed: Crossed
) -> tuple[Literal["too little data", "files too small"], str]:
    """State and text where Spark's own messages may be what is above the threshold, and what would do."""
    spoken = f"{mb(crossed.received)} were received, and of these Spark's own messages may be {mb(crossed.overhead)}"
    part = LITTLE * max_remote
    size = crossed.read / (count_tasks(found) or 1)
    spare = part - TASK_OVERHEAD_BYTES / size
    enough = 2 * TASK_OVERHEAD_BYTES / part if part else math.inf
    workers = OVERHEAD_BYTES * len(found["hosts"])
    if enough > found["scan"]["max_partition_bytes"]:
        return (
            "too little data",
            f"{max_remote:g} is too little to judge: more data does not help: {spoken}",
        )
    if spare < part / 2:
        text = (
            f"the files are too small for a judgement: {mb(crossed.read)} in tasks of {mb(size)}; {spoken}; "
            f"files of {mb(enough)} and more are enough, {mb(2 * workers / part)} in all"
        )
        return "files too small", text
    text = (
        f"too little data for a judgement: {mb(crossed.read)}; {spoken}; {mb(workers / spare)} of such files are enough"
    )
    return "too little data", text


def mb(count: float) -> str:
    """Megabytes for people."""
    return f"{count / 1e6:,.1f} MB" if count < 10e6 else f"{count / 1e6:,.0f} MB"

"""Before the storage's master starts: its metadata must not be older than a copy of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sparkqfs_runtime.metadata import accepted
from sparkqfs_runtime.metadata.compare import Compared, compare
from sparkqfs_runtime.metadata.pieces import Kind
from sparkqfs_runtime.metadata.sender import Keeper, open_link

DEADLINE_S = 60.0
AGAIN_S = 0.5
QUIET_S = 3.0
"""The others get so long once one with a copy of all that is here has answered."""
LATE_S = 30.0
"""And so long when that copy has less: another may have more than both."""


@dataclass
class Asked:
    """What the keepers said."""

    found: dict[str, Compared] = field(default_factory=dict)
    """By node."""
    silent: dict[str, str] = field(default_factory=dict)
    """Why there is no answer."""

    @property
    def is_enough(self) -> bool:
        """One that has a copy has answered, or all have."""
        return not self.silent or any(one.verdict != "first" for one in self.found.values())

    @property
    def is_level(self) -> bool:
        """A copy of all that is here has answered, or one that is reason enough not to start."""
        return any(one.is_level or not one.is_well for one in self.found.values())


def ask_keepers(
    kind: Kind, top: Path, keepers: list[Keeper], key: bytes, say: Callable[[str], None], deadline_s: float = DEADLINE_S
) -> Asked:
    """Asks all of them until there is enough, or the time is over."""
    asked = Asked(silent={keeper.node: "not asked" for keeper in keepers})
    end = time.monotonic() + deadline_s
    enough: float | None = None
    is_said = False
    while asked.silent and time.monotonic() < end:
        for keeper in keepers:
            if keeper.node in asked.silent:
                _ask(asked, kind, top, keeper, key)
        if asked.is_enough and enough is None:
            enough = time.monotonic()
        if enough is not None and time.monotonic() - enough >= (QUIET_S if asked.is_level else LATE_S):
            break
        if asked.silent:
            if not is_said and time.monotonic() > end - deadline_s + 10:
                say(f"waiting for those who keep copies of the metadata: {', '.join(asked.silent)}")
                is_said = True
            time.sleep(AGAIN_S)
    return asked


def _ask(asked: Asked, kind: Kind, top: Path, keeper: Keeper, key: bytes) -> None:
    try:
        link, hello = open_link(keeper, key, 10.0)
        link.connection.close()
        asked.found[keeper.node] = compare(kind, top, hello)
        del asked.silent[keeper.node]
    except (OSError, ValueError, KeyError, TypeError) as error:
        asked.silent[keeper.node] = f"{type(error).__name__}: {error}"


def objections(asked: Asked, top: Path, identity: str) -> list[str]:
    """Why the master must not start, one line for each copy that has more than is here; nothing when it may.

    The last line is that of the newest copy. With it those are given up that are older than it.
    """
    more = {node: one for node, one in asked.found.items() if not one.is_well}
    order = sorted(more, key=lambda node: more[node].operation)
    left = [node for node in order if not accepted.is_accepted(top, more[node], identity)]
    same = [node for node in order if more[node].verdict != "other"]  # numbers of another file system say nothing
    if same and accepted.is_accepted(top, more[same[-1]], identity):
        for node in set(left) & set(same):
            accepted.also(top, more[node])
            left.remove(node)
    what = "the metadata is older than its copy on"
    return [f"{what} {node} (mark {more[node].mark}): {more[node].text}" for node in left]

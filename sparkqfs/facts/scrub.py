"""What runtime/sparkqfs_runtime/scrub has written down on a node. Pure."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubFact:
    """One node's scrub; times are seconds since 1970, `None` where there was no pass yet."""

    node: str
    error: str = ""
    """Why it could not be asked; what follows says nothing then."""
    hour: int | None = None
    """UTC; `None` where it is off."""
    bytes_per_second: int | None = None
    running: bool = False
    began: float | None = None
    ended: float | None = None
    blocks: int = 0
    """Looked at in this pass, and so on."""
    bytes: int = 0
    damaged: int = 0
    healed: int = 0
    kept: int = 0
    """Damaged and left as it is."""
    kept_before: int = 0
    """In the pass before, while one runs."""
    errors: int = 0
    """Directories and blocks that could not be looked at."""
    age_s: float | None = None
    """Since it last wrote that down, which it does every minute; `None` of one of an earlier version."""


def parse_scrub(node: str, text: str) -> ScrubFact:
    """Read the state. Raises `ValueError` on any other shape."""
    try:
        body = json.loads(text)
        if not isinstance(body, dict) or body.get("schema") != 1:
            raise ValueError("no state of schema 1")
        return ScrubFact(
            node=node,
            hour=None if body["hour"] == "now" else int(body["hour"]),
            bytes_per_second=int(body["bytes_per_second"]),
            running=body["running"] is True,
            began=_time(body["began"]),
            ended=_time(body["ended"]),
            blocks=int(body["blocks"]),
            bytes=int(body["bytes"]),
            damaged=int(body["damaged"]),
            healed=int(body["healed"]),
            kept=int(body["kept"]),
            kept_before=int(body.get("kept_before", 0)),
            errors=int(body["errors"]),
            age_s=_time(body.get("age_s")),
        )
    except (KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a scrub's state: {type(error).__name__}: {error}") from error


def _time(value: object) -> float | None:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or not 0 <= value < 1e11:
        return None
    return float(value)

"""Rows of a drill as they are found."""

from __future__ import annotations

from typing import Any

from sparkqfs.plan.measuring.drill import FAULTS, Answered, Look, Row

BY_NAME = {fault.name: fault for fault in FAULTS}


def a_row(name: str = "storage-server", **values: Any) -> Row:
    """A fault that was seen after 2 s and over after 12 s, with a file every four seconds from -4 s on."""
    usual: dict[str, Any] = {
        "node": "node2",
        "ended_s": 1.0,
        "stopped_s": 40.0,
        "looks": (
            Look(-3.0, 0),
            Look(2.0, 1, ("2 of 3 chunkservers are up",)),
            Look(9.0, 0, ("recovering",)),
            Look(12.0, 0),
            Look(16.0, 0),
        ),
        "answered": tuple(Answered(number, "d", 10, float(number * 4 - 8)) for number in range(1, 13)),
    }
    return Row(fault=BY_NAME[name], **{**usual, **values})

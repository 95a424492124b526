"""How far something is, in words."""

from __future__ import annotations

import pytest

from sparkqfs.clients.engine import _Layers
from sparkqfs.progress import Progress, how_far, time_left


@pytest.mark.parametrize(
    ("done", "total", "seconds", "said"),
    [
        (0, 455_000_000, 9, "0 of 455 MB"),
        (45_500_000, 455_000_000, 2, "46 of 455 MB"),
        (45_500_000, 455_000_000, 10, "46 of 455 MB, about 2 min left"),
        (200_000_000, 400_000_000, 31, "200 of 400 MB, about 30 s left"),
        (399_000_000, 400_000_000, 100, "399 of 400 MB, about 5 s left"),
        (100, 700_000_000_000, 1, "0 of 700,000 MB"),
        (1_000_000_000, 61_000_000_000, 60, "1,000 of 61,000 MB, about 60 min left"),
        (1_000_000_000, 61_000_000_000, 600, "1,000 of 61,000 MB, about 10 h left"),
        (455_000_000, 455_000_000, 60, "455 of 455 MB"),
        (5_000_000, 0, 60, "5 MB"),
        (5_000_000, 4_000_000, 60, "5 of 4 MB"),
    ],
)
def test_bytes_and_the_time_left(done: int, total: int, seconds: float, said: str) -> None:
    assert how_far(done, total, seconds) == said


def test_no_time_before_the_pace_is_known() -> None:
    assert time_left(1, 100, 2.9) == "" and time_left(50, 100, 3.0) == ", about 5 s left"


def test_a_line_every_two_seconds_and_one_at_the_end() -> None:
    now = [0.0]
    said: list[str] = []
    progress = Progress("jars", said.append, clock=lambda: now[0])
    for step in range(1, 101):
        now[0] = step * 0.1
        progress(step * 1_000_000, 100_000_000)
    progress(100_000_000, 100_000_000)
    assert said == [
        "jars: 20 of 100 MB",
        "jars: 40 of 100 MB, about 5 s left",
        "jars: 60 of 100 MB, about 5 s left",
        "jars: 80 of 100 MB, about 5 s left",
        "jars: 100 of 100 MB",
    ]


def test_a_push_has_a_total_once_every_layer_has_said_its_size() -> None:
    layers = _Layers()

    def seen(layer: str, status: str, current: int = 0, total: int = 0) -> tuple[int, int]:
        detail = {"current": current, "total": total} if total else {}
        return layers.seen({"id": layer, "status": status, "progressDetail": detail})

    assert seen("a", "Preparing") == (0, 0)
    assert seen("b", "Preparing") == (0, 0)
    assert layers.seen({"id": "a", "status": "Pushing", "progressDetail": {"total": 100}}) == (0, 0)
    assert seen("c", "Waiting") == (0, 0)
    assert seen("a", "Pushing", 10, 100) == (10, 0)
    assert seen("b", "Layer already exists") == (10, 0)
    assert seen("c", "Pushing", 5, 50) == (15, 150)
    assert seen("a", "Pushing", 110, 100) == (105, 150), "the engine counts the archive's own bytes beyond the layer's"
    assert seen("c", "Pushed") == (150, 150)
    assert seen("a", "Pushed") == (150, 150)

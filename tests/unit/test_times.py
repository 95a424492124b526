"""plan/times.py: spans of time for people, and the engine's clock."""

from __future__ import annotations

import pytest

from sparkqfs.plan.times import about, engine_time, exactly


@pytest.mark.parametrize(
    ("seconds", "rough", "exact"),
    [
        (0, "0 s", "0.0s"),
        (59.94, "60 s", "59.9s"),
        (60, "60 s", "1m00s"),
        (119, "119 s", "1m59s"),
        (120, "2 min", "2m00s"),
        (3599, "60 min", "59m59s"),
        (3600, "60 min", "1h00m"),
        (7200, "2 h", "2h00m"),
        (200_000, "56 h", "55h33m"),
    ],
)
def test_a_span_is_short_in_a_sentence_and_exact_in_a_table(seconds: float, rough: str, exact: str) -> None:
    assert (about(seconds), exactly(seconds)) == (rough, exact)


@pytest.mark.parametrize(
    "text", ["2026-01-31T13:00:00.123456789+01:00", "2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00Z"]
)
def test_times_of_one_moment_are_the_same_text(text: str) -> None:
    assert engine_time(text) == "2026-01-31T12:00:00"
    assert engine_time(text) <= "2026-01-31T12:00:00.000000001Z"  # a task's CreatedAt as it is


def test_what_is_not_a_time_is_refused() -> None:
    with pytest.raises(ValueError):
        engine_time("soon")

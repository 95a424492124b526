"""The health check of a worker: does it follow the master that there is?"""

from __future__ import annotations

import pytest

from sparkqfs_runtime import health


@pytest.mark.parametrize(
    ("followed", "named"),
    [
        ("spark://127.0.0.1:7077", "spark://localhost:7077"),
        ("spark://localhost:7077", "spark://localhost:7077"),
        ("spark://127.0.0.9:7077", "spark://no-such-host.invalid:7077"),
        ("", "spark://localhost:7077"),
        ("spark://127.0.0.9:7077", ""),
    ],
)
def test_a_worker_is_well_with_the_known_master_and_while_none_is_known(followed: str, named: str) -> None:
    health.check_master(followed, named)


def test_a_worker_that_follows_a_master_which_is_gone_is_not_well() -> None:
    with pytest.raises(ValueError, match=r"at 127\.0\.0\.9, which is at 127\.0\.0\.1"):
        health.check_master("spark://127.0.0.9:7077", "spark://localhost:7077")

"""docs/sizing.md against plan/sizes.py: its figures and its sample."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sparkqfs.config.model import StorageConfig
from sparkqfs.plan.services.jupyter_server import WITH_DRIVER
from sparkqfs.plan.sizes import sizing_lines
from tests.builders.sizes import sized
from tests.paths import ROOT
from tests.unit.tables import table_of

PAGE = (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")
FORMULAS = {"system", WITH_DRIVER}
"""Figures that the page gives as one."""


def figures() -> dict[str, str]:
    """Name of a share → what the page says of its size."""
    found = {}
    for names, mib, *_ in table_of(PAGE, "Figure", "MiB", "Where", "Set it with"):
        plain = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", names)
        found.update(dict.fromkeys(plain.split(" / "), mib))
    return found


@pytest.mark.parametrize("kind", ["qfs", "hdfs"])
def test_every_figure_of_the_arithmetic_is_in_the_table(kind: Any) -> None:
    said = figures()
    for manager_mib in (8192 - 64, 16384):
        found = sized((8, manager_mib), (8, 16384), storage=StorageConfig(kind=kind), nodes={0: {"executors": 1}})
        for share in (*found.of("node1").outside, *found.of("node1").inside):
            assert share.what in said, share.what
            assert share.what in FORMULAS or re.search(rf"\b{share.mib}\b", said[share.what]), share


def test_the_sample_is_what_plan_prints() -> None:
    (sample,) = re.findall(r"## What you should see\n\n```\n(.*?)```", PAGE, re.DOTALL)
    lines = sizing_lines(sized((4, 16384), (2, 4096)))
    assert len(sample.splitlines()) == len(lines)
    for shown, line in zip(sample.splitlines(), lines, strict=True):
        assert re.fullmatch(".+".join(map(re.escape, shown.split("…"))), line), line

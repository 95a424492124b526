"""Marks for every test of a class, and not for those of the classes that inherit from it, as pytest's own would be."""

from __future__ import annotations

from typing import TypeVar

import pytest

C = TypeVar("C", bound=type)


def takes_long(cls: C) -> C:
    """Marks the tests that are written in this class as `long`."""
    return _marked(cls, pytest.mark.long)


def _marked(cls: C, mark: pytest.MarkDecorator) -> C:
    for name, test in vars(cls).items():
        if name.startswith("test_"):
            mark(test)
    return cls

"""Where our files are that are not modules of this package: in a clone next to it, in the wheel inside of it.

They are docker/, docs/, runtime/, stack/, notebooks/, tasks.py and hosts.yml. Standard library only.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
"""This package."""
_IN_WHEEL = PACKAGE / "_tree"
"""Where pyproject.toml puts them in the wheel."""
IS_INSTALLED = _IN_WHEEL.is_dir()
"""Installed from a wheel, without a clone."""
TREE = _IN_WHEEL if IS_INSTALLED else PACKAGE.parent
"""The directory that has them."""


def page_address(page: str, program: str) -> str:
    """How a page of docs/ is read here: its file in a clone, else the command that prints it."""
    return f"{program} help docs/{page}.md" if IS_INSTALLED else f"docs/{page}.md"

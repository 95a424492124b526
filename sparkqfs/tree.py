"""Where our files are that are not modules of this package: in a clone next to it, in the wheel inside of it.

They are docker/, runtime/, stack/, notebooks/, tasks.py and hosts.yml. Standard library only.
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

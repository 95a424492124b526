"""Puts the two files of the top level that the wheel needs into it; an editable install uses those of the clone."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = ("hosts.yml", "tasks.py")


class TopLevelFiles(BuildHookInterface):  # type: ignore[type-arg]
    """`sources` in pyproject.toml moves folders only, and `force-include` would copy into editable installs too."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is made: `version` is standard or editable."""
        if version == "standard":
            build_data["force_include"] |= {name: f"sparkqfs/_tree/{name}" for name in FILES}

"""A program as its user describes it, and how a file of this computer is written there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

IN_CONTAINERS = ("/data/shared", "/data/spark", "/data/notebooks")
"""Mounts of containers: `file:///data/shared/x` is a file that they see, not one of this computer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What the user wants to run. A file is a path on this computer, or a URI that Spark reads itself."""

    program: str
    arguments: tuple[str, ...] = ()
    name: str | None = None
    main_class: str | None = None
    py_files: tuple[str, ...] = ()
    """A directory too: it is sent as a zip."""
    jars: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """`FILE#NAME` is FILE under another name."""
    archives: tuple[str, ...] = ()
    """`FILE#NAME` is unpacked as the directory NAME."""
    packages: tuple[str, ...] = ()
    """Maven's `group:artifact:version`."""
    exclude_packages: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    """For the driver alone: they lie beside the program."""
    conf: tuple[str, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    """Settings of --properties-file; `conf` and flags take precedence."""
    restart: bool = False
    """It runs again when it fails, and when its machine was down."""
    cores: int | None = None
    num_executors: int | None = None
    executor_cores: int | None = None
    executor_memory_mib: int | None = None
    driver_memory_mib: int | None = None
    driver_class_path: str | None = None
    driver_library_path: str | None = None
    driver_java_options: str | None = None

    def flag_settings(self) -> dict[str, str]:
        """The settings that flags stand for. They take precedence over --conf, as spark-submit's do."""
        found = {
            "spark.cores.max": self.cores,
            "spark.executor.cores": self.executor_cores,
            "spark.executor.memory": _mib(self.executor_memory_mib),
            "spark.driver.memory": _mib(self.driver_memory_mib),
            "spark.driver.extraClassPath": self.driver_class_path,
            "spark.driver.extraLibraryPath": self.driver_library_path,
            "spark.driver.extraJavaOptions": self.driver_java_options,
        }
        return {name: str(value) for name, value in found.items() if value is not None}


def _mib(size: int | None) -> str | None:
    return None if size is None else f"{size}m"


def is_uri(text: str) -> bool:
    """True for what Spark fetches by itself, or what is in the containers already."""
    scheme = re.match(r"([a-z][a-z0-9+.-]*)://|([a-z][a-z0-9+-]+):/", text)
    if scheme is None:
        return False
    return "file" not in scheme.groups() or local_path(text).startswith(IN_CONTAINERS)


def local_path(text: str) -> str:
    """The path of `file:///a/b` or `file:/a/b`; other text as it is."""
    found = re.match(r"file:(?:///?)?(?=/)", text)
    return unquote(text[found.end() :]) if found else text


def split_alias(text: str) -> tuple[str, str]:
    """`FILE#NAME` → (FILE, NAME)."""
    path, mark, alias = text.rpartition("#")
    return (path, alias) if mark else (text, "")

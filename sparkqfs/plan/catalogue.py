"""The names of tables: where their files are, and where the catalogue is. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig
from sparkqfs.topology import CATALOGUE_TOP

WAREHOUSE = "/warehouse"
"""On the storage: files of the tables that have no place of their own; plan/storage/*.py make it."""
TARGET = PurePosixPath("/data/metastore")
"""Where the metastore's container has it."""
FOLDER_VARIABLE = "SPARKQFS_CATALOGUE"
"""Names TARGET to programs that look for copies."""


def directories(config: ClusterConfig) -> tuple[str, str]:
    """Under the manager's first data directory, parents first: a storage of another kind has other tables."""
    return CATALOGUE_TOP, f"{CATALOGUE_TOP}/{config.storage.kind}"


def place(config: ClusterConfig) -> PurePosixPath:
    """The catalogue of this kind of storage, on the manager."""
    return config.manager.data_dirs[0] / directories(config)[1]


def mount(config: ClusterConfig) -> dict[str, object]:
    """For the metastore's container, which alone writes there."""
    return {"type": "bind", "source": str(place(config)), "target": str(TARGET)}


def copies_mount(config: ClusterConfig) -> dict[str, object]:
    """For the storage's master, which sends the metastore's copies to those who keep them."""
    return {**mount(config), "read_only": True}

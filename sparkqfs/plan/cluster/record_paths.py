"""Where the copies of a cluster's record are. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig
from sparkqfs.facts.nodes import DiskFact
from sparkqfs.plan.cluster.directories import private_directory
from sparkqfs.plan.storage import backend_of

MEMORY = PurePosixPath("/var/lib/sparkqfs")
"""What a machine remembers of its clusters, away from the data: a mistyped `data_dir` does not hide it."""
AUDIT = MEMORY / "audit"
"""On the manager: a file for each cluster with a line for each task that changed something. Root's alone."""
RECORD = ".cluster.json"
"""The copy on a data disk, next to the marker."""


def memory_path(config: ClusterConfig) -> PurePosixPath:
    """The copy that every machine of a cluster has, one for each kind of storage."""
    return MEMORY / f"{config.name}.{config.storage.kind}.json"


def private_path(config: ClusterConfig) -> PurePosixPath:
    """The manager's copy next to the secrets; clusters that use one directory after the other have their own."""
    return private_directory(config) / memory_path(config).name


def disk_path(config: ClusterConfig, disk: DiskFact) -> PurePosixPath:
    """The copy on a data disk."""
    layout = backend_of(config).layout
    assert layout is not None
    return disk.path / layout.top / RECORD

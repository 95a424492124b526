"""The kinds of storage whose metadata is copied."""

from __future__ import annotations

from sparkqfs_runtime.metadata.hdfs import Hdfs
from sparkqfs_runtime.metadata.pieces import Kind
from sparkqfs_runtime.metadata.qfs import Qfs

KINDS: dict[str, Kind] = {"qfs": Qfs(), "hdfs": Hdfs()}

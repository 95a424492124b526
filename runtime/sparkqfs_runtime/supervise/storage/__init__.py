"""The kinds of storage, and which one a container has."""

from __future__ import annotations

from sparkqfs_runtime.supervise.setup import EX_CONFIG, Setup, die
from sparkqfs_runtime.supervise.storage.hdfs import Hdfs
from sparkqfs_runtime.supervise.storage.qfs import Qfs
from sparkqfs_runtime.supervise.storage.seam import Storage
from sparkqfs_runtime.supervise.storage.shared import Shared

KINDS: dict[str, Storage] = {"qfs": Qfs(), "hdfs": Hdfs(), "shared": Shared()}


def of(setup: Setup) -> Storage:
    """The storage of this container. Exits 78 when there is no such kind."""
    found = KINDS.get(setup.storage)
    if found is None:
        die(EX_CONFIG, f"SPARKQFS_STORAGE is {setup.storage!r}, not {', '.join(list(KINDS)[:-1])} or {list(KINDS)[-1]}")
    return found

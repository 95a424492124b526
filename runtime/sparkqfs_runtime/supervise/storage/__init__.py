"""The kinds of storage, and which one a container has."""

from __future__ import annotations

from sparkqfs_runtime.supervise.address import set_address
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


def as_client(setup: Setup) -> str:
    """The address of a container that uses the storage, with what its programs need for that written there."""
    kind = of(setup)
    address = set_address(setup, kind.first_service)
    kind.configure(setup, address)
    return address

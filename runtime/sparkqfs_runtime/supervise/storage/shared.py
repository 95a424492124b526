"""A path that all machines have: nothing of it runs here."""

from __future__ import annotations

from sparkqfs_runtime.supervise.processes import Daemon
from sparkqfs_runtime.supervise.setup import EX_CONFIG, Setup, die
from sparkqfs_runtime.supervise.storage.seam import Storage


class Shared(Storage):
    """The storage `shared`."""

    def init(self, setup: Setup) -> Daemon:
        """Exits 78."""
        die(EX_CONFIG, "a shared path has no file system of its own to make; nothing was changed")

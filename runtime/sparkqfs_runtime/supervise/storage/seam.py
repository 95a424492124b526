"""What a kind of storage does in a container; one object for each kind. All else of the runtime asks these."""

from __future__ import annotations

from pathlib import Path

from sparkqfs_runtime.supervise.processes import Daemon
from sparkqfs_runtime.supervise.setup import Setup


class Storage:
    """A storage without daemons of its own, as a path that all machines have."""

    first_service = "spark-master"
    """Whose address every container asks the way to, unless the stack names another: it is up before them."""
    data_port: int | None = None
    """Where a worker's data server listens; `None` without one. The health check asks it."""

    def data_dirs(self, setup: Setup) -> tuple[Path, ...]:
        """Where a worker's data server has its blocks, each on a disk of this cluster. Exits 78 otherwise."""
        return ()

    def configure(self, setup: Setup, address: str) -> None:
        """Files that clients of this storage need in a container that has this address."""

    def data_server(self, setup: Setup, address: str, dirs: tuple[Path, ...]) -> list[Daemon]:
        """The daemon that serves a worker's blocks, its configuration written."""
        return []

    def is_directory(self, setup: Setup, path: str) -> tuple[str, ...]:
        """A program with exit code 0 when the storage has this directory."""
        return ("test", "-d", setup.get("SPARKQFS_ROOT").removeprefix("file://") + path)

    def init(self, setup: Setup) -> Daemon:
        """The program that makes an empty file system. Exits 78 when there is one, or when there is none to make."""
        raise NotImplementedError

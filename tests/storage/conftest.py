"""What the tests of this folder share: compiled classes, QFS's programs, and processes that use them."""

from __future__ import annotations

from tests.storage.file_servers import java_server
from tests.storage.qfs_reader import cluster, inside, kit, reader

__all__ = ["cluster", "inside", "java_server", "kit", "reader"]

"""The storage seam: one module a backend; `backend_of` is the one place that looks at the kind."""

from __future__ import annotations

from sparkqfs.config.model import ClusterConfig
from sparkqfs.plan.storage import hdfs, qfs, shared
from sparkqfs.plan.storage.seam import Backend

_BACKENDS: dict[str, Backend] = {"qfs": qfs.Qfs(), "hdfs": hdfs.Hdfs(), "shared": shared.Shared()}


def backend_of(config: ClusterConfig) -> Backend:
    """The backend that the configuration names."""
    return _BACKENDS[config.storage.kind]


def words_for_masters() -> frozenset[str]:
    """What people may call the storage, or its master, whatever its kind; in small letters."""
    words = [backend.words for backend in _BACKENDS.values() if backend.master is not None]
    names = [backend.master.name for backend in _BACKENDS.values() if backend.master is not None]
    return frozenset(word.lower() for one in words for word in (one.storage, one.master)) | frozenset(names)


def words_for_servers() -> frozenset[str]:
    """What people may call those that keep the data, one or several; in small letters."""
    servers = [backend.words.servers.lower() for backend in _BACKENDS.values() if backend.master is not None]
    return frozenset(word for one in servers for word in (one, one.removesuffix("s")))

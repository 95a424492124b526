"""The storage seam: one module a backend; `backend_of` is the one place that looks at the kind."""

from __future__ import annotations

from sparkqfs.config.model import ClusterConfig
from sparkqfs.plan.storage import hdfs, qfs, shared
from sparkqfs.plan.storage.seam import Backend

_BACKENDS: dict[str, Backend] = {"qfs": qfs.Qfs(), "hdfs": hdfs.Hdfs(), "shared": shared.Shared()}


def backend_of(config: ClusterConfig) -> Backend:
    """The backend that the configuration names."""
    return _BACKENDS[config.storage.kind]

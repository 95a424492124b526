"""The services of the stack: one module each, and this list of them."""

from __future__ import annotations

from sparkqfs.config.model import ClusterConfig
from sparkqfs.plan.services.history_server import HistoryServer
from sparkqfs.plan.services.jupyter_server import JupyterServer
from sparkqfs.plan.services.metadata_copy import metadata_copies
from sparkqfs.plan.services.metastore import Metastore
from sparkqfs.plan.services.seam import Service
from sparkqfs.plan.services.spark_master import SparkMaster
from sparkqfs.plan.services.storage_master import StorageMaster
from sparkqfs.plan.storage import backend_of

ALL: tuple[Service, ...] = (
    HistoryServer(),
    SparkMaster(),
    Metastore(),
    JupyterServer(),
)
"""Those with one container, in the order of sizing's lines. worker-node has many; the storage adds its master
and the copies of its metadata."""


def single_services(config: ClusterConfig) -> tuple[Service, ...]:
    """The services of this cluster that have one container, the storage's master first."""
    backend = backend_of(config)
    master = (StorageMaster(backend, backend.master),) if backend.master is not None else ()
    return (*master, *(service for service in ALL if service.is_in(config)), *metadata_copies(config))

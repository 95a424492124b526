"""The service that keeps the storage's metadata, with its page."""

from __future__ import annotations

from sparkqfs.config.model import ClusterConfig
from sparkqfs.plan import catalogue
from sparkqfs.plan.services.metadata_copy import metadata_copies
from sparkqfs.plan.services.seam import Mount, Port, Service, Share, Surroundings, bind
from sparkqfs.plan.storage.seam import Backend, Master, disk_mounts

NOTEBOOKS = "/data/notebooks"
"""Where it reads the notebooks, to send copies of them."""


class StorageMaster(Service):
    """What a backend says of its master, as a service."""

    is_called = True

    def __init__(self, backend: Backend, master: Master) -> None:
        self.backend = backend
        self.master = master
        self.name = master.name
        self.secrets = master.secrets
        self.ports = (Port(inside=master.ui_port, setting=master.ui_setting, title=backend.words.storage),)
        self.listens = master.listens
        self.probe = master.probe

    def configs(self, around: Surroundings) -> tuple[str, ...]:
        return self.master.configs

    def mounts(self, around: Surroundings) -> list[Mount]:
        layout = self.backend.layout
        own = disk_mounts(around.config.manager, layout.top)[:1] if layout is not None else []
        if around.config.has_metastore:
            own.append(catalogue.copies_mount(around.config))
        if layout is not None and not around.config.notebooks.shared:
            own.append({**bind(around.config.notebooks_path, NOTEBOOKS), "read_only": True})
        return own

    def environment(self, around: Surroundings) -> dict[str, str]:
        keepers = " ".join(f"{copy.name}={copy.node.name}" for copy in metadata_copies(around.config))
        own = {"SPARKQFS_COPIES": keepers} if keepers else {}
        if around.config.has_metastore:
            own[catalogue.FOLDER_VARIABLE] = str(catalogue.TARGET)
        if keepers and not around.config.notebooks.shared:
            own["SPARKQFS_NOTEBOOKS"] = NOTEBOOKS
        return {**self.backend.master_environment(around.config), **own}

    def shares(self, config: ClusterConfig, machine_mib: int) -> tuple[Share, ...]:
        return (Share(self.backend.words.master, self.backend.master_mib),)

"""A directory that every node mounts from one shared file system: no locality, the baseline."""

from __future__ import annotations

from sparkqfs import topology
from sparkqfs.config.model import ClusterConfig
from sparkqfs.plan.catalogue import WAREHOUSE
from sparkqfs.plan.steps import TO_DISK
from sparkqfs.plan.storage.seam import SHARED_TARGET, Backend, Form, Words


class Shared(Backend):
    """Nothing of ours serves it: always ready. Its mounts are those of `shared_mounts`."""

    kind = "shared"
    words = Words(storage="the shared directory", master="file server", servers="file servers", blocks="files")
    probe_host = topology.SPARK_MASTER

    def root_uri(self, config: ClusterConfig) -> str:
        """A plain path, the same in every container."""
        return f"file://{SHARED_TARGET}"

    def forms(self, config: ClusterConfig) -> tuple[Form, ...]:
        """As it is. What it sends and keeps is below the containers."""
        if config.shared_directory is None:
            return ()
        text = "the shared file system"
        return (Form(name="shared", text=text, root=self.root_uri(config), settings={}, space=0, is_counted=False),)

    def prepare_commands(self, config: ClusterConfig) -> tuple[str, tuple[str, ...]]:
        """The same directories as on a file system of our own."""
        return topology.SPARK_MASTER, tuple(
            f"{TO_DISK}; d={SHARED_TARGET}{path}; "
            f'[ -d "$d" ] || {{ mkdir -p -m {mode} "$d" && to_disk "$d" "${{d%/*}}" && echo made {path}; }}'
            for path, mode in (
                (f"/user/{config.owner.user}", "0750"),
                ("/tmp", "1777"),
                ("/history/spark-events", "0770"),
                (WAREHOUSE, "0770"),
            )
        )

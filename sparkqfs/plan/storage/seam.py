"""What a storage backend must say. The backends are the other modules here; nothing else knows which one runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from sparkqfs.config.model import ClusterConfig, NodeConfig
from sparkqfs.facts.nodes import StorageLayout
from sparkqfs.facts.pages import StorageFact
from sparkqfs.plan.storage.health import HealthFact, MemoryFact


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The storage's own words, for messages."""

    storage: str
    """`QFS`."""
    master: str
    """The daemon that keeps the metadata."""
    servers: str
    """The daemons that keep the data, plural."""
    blocks: str
    """What they keep, plural: with an s."""
    counted_too: str = ""
    """What the master's number of files has besides files; empty: nothing."""

    @property
    def block(self) -> str:
        """One of the blocks."""
        return self.blocks.removesuffix("s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Master:
    """The service that keeps the metadata, pinned to the manager."""

    name: str
    """Of the service and of its image."""
    ui_port: int
    """Its web UI's port in the container."""
    ui_setting: str
    """Where it is published: a key under `ports` in hosts.yml."""
    listens: tuple[int, ...] = ()
    """Its other ports, of topology.FIXED_PORTS or INNER_PORTS."""
    probe: tuple[str, ...] = ()
    """As a service's."""
    status_path: str
    """What `status` asks that port."""
    health_path: str = "/sparkqfs/health.json"
    """And what it asks next: the page of runtime/sparkqfs_runtime/pages/missing_data.py."""
    configs: tuple[str, ...]
    secrets: tuple[str, ...]

    def published(self, config: ClusterConfig) -> int:
        """Its web UI's port on the manager."""
        return int(getattr(config.ports, self.ui_setting))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to read a file of a `Form`."""

    suffix: str
    """Of the form's name; empty for the way that the cluster reads."""
    text: str
    settings: dict[str, str]
    """Hadoop's, for the reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to keep a file on the storage, as the benchmark compares them."""

    name: str
    text: str
    root: str
    """URI of the file system."""
    settings: dict[str, str]
    """Hadoop's, for the writes."""
    space: float
    """Bytes on the nodes' disks per byte of data, about."""
    readings: tuple[Reading, ...] = (Reading(suffix="", text="", settings={}),)
    is_counted: bool = True
    """Whether its traffic and its space are seen from the containers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What it takes to start the master on a state of its metadata, to see whether it opens."""

    share: int
    """Bytes of memory for a byte of metadata on the disk, at most."""
    base_mib: int = 256
    """Besides."""
    outside_mib: int = 0
    """What a JVM takes beside its heap."""

    def memory_mib(self, metadata_bytes: int) -> tuple[int, int]:
        """Of the heap, and of the container."""
        heap = self.base_mib + self.share * (metadata_bytes >> 20)
        return heap, heap + self.outside_mib


class Backend(ABC):
    """What a storage backend says; every function is pure. The defaults are those of a storage without daemons."""

    kind: str
    words: Words
    master: Master | None = None
    """`None` where no daemon of ours keeps the data; then `layout` is `None` too."""
    layout: StorageLayout | None = None
    parts: Literal["qfs-tarball", "hadoop-jars"] | None = None
    """What the images need besides packages."""
    init_task: str = "init-storage"
    """The task that makes an empty file system, in the words of this storage."""
    probe_host: str
    """Service whose route decides a container's address."""
    server_listens: tuple[int, ...] = ()
    """Ports of the data server in a worker-node container."""
    server_mib: int = 0
    """Memory of the data server in a worker-node container."""
    master_mib: int = 0
    """Memory of the master's container."""
    worker_configs: tuple[str, ...] = ()
    worker_secrets: tuple[str, ...] = ()
    client_configs: tuple[str, ...] = ()
    stripes: tuple[tuple[int, int], ...] = ()
    """Reed-Solomon, as far as it is offered: (data, recovery) pieces."""
    check_port: int | None = None
    """Where runtime/bin/fsck asks, on loopback in the master's container; `None` where nothing can be asked."""
    server_process: str = ""
    """In the command line of the data server, and in no other of its container; empty without one."""
    master_process: str = ""
    """In the command line of the master, and in no other of its container."""
    waits_for_older: str = ""
    """In its master's words when it does not begin because servers have blocks that its names are too old for."""
    begin_without: tuple[str, ...] = ()
    """The command in the master's container that has it begin; the servers remove such blocks then."""
    report_blocks: str = ""
    """Shell lines in the master's container that have every data server say at once what blocks it has.

    Empty where a server says all when it begins, and the master has it remove then what has no name.
    """
    scrub_state: str | None = None
    """The file of a worker-node container that says what its scrub has found; `None` where none of ours runs."""
    opening: Opening | None = None
    """`None` where the storage keeps no metadata with us."""
    remote_reads: str | None = None
    """What its client does instead of reading the nearest copy; `None` where it reads that."""

    def opens(self, kind: str) -> bool:
        """Whether this cluster's programs can be started on metadata of that kind."""
        return self.opening is not None and kind == self.kind

    def scrub_now(self, address: str, state: str) -> tuple[str, ...]:
        """A program of a worker-node container of this address that reads all its block files at once.

        It writes what it has found to the file `state`. Empty where the data servers do that by themselves.
        """
        return ()

    @abstractmethod
    def root_uri(self, config: ClusterConfig) -> str:
        """The file system's root, as Spark writes it."""

    @abstractmethod
    def prepare_commands(self, config: ClusterConfig) -> tuple[str, tuple[str, ...]]:
        """Service to run in, and shell lines that make the directories a running file system needs."""

    def disk_directories(self, first: bool) -> tuple[str, ...]:
        """Directories under each data directory."""
        return ()

    def manager_directories(self) -> tuple[str, ...]:
        """Directories under the manager's first data directory."""
        return ()

    def spark_conf(self, config: ClusterConfig) -> dict[str, str]:
        """Lines for spark-defaults.conf."""
        return {}

    def daemon_configs(self, config: ClusterConfig) -> dict[str, dict[str, str]]:
        """Template name → values to fill in."""
        return {}

    def container_environment(self, config: ClusterConfig, node_disks: int) -> dict[str, str]:
        """Environment of every container."""
        return {}

    def worker_environment(self, config: ClusterConfig) -> dict[str, str]:
        """Environment of the worker-node containers alone."""
        return {}

    def forms(self, config: ClusterConfig) -> tuple[Form, ...]:
        """The ways to keep a file that this cluster has nodes for."""
        return ()

    def worker_mounts(self, node: NodeConfig) -> list[dict[str, object]]:
        """Bind mounts of the storage in a worker-node container, besides `shared_mounts`."""
        return block_mounts(node, self.layout) if self.layout is not None else []

    def status(self, answer: object) -> StorageFact:
        """What the master's web UI says. Raises `ValueError` on another shape."""
        raise NotImplementedError

    def health(self, answer: object, memory: MemoryFact | str) -> HealthFact:
        """What the same page says of missing data. Raises `ValueError` on another shape."""
        raise NotImplementedError

    def which_lost(self) -> str:
        """A shell line for the master's container that prints the files without a copy of some block."""
        raise NotImplementedError

    def which_short(self) -> str:
        """The same for files with fewer copies than asked for."""
        raise NotImplementedError

    def master_environment(self, config: ClusterConfig) -> dict[str, str]:
        """Environment of the master's container alone."""
        return {}

    def unready(self, config: ClusterConfig, fact: StorageFact | None, hosts: tuple[str, ...]) -> str | None:
        """Why the storage is not ready for use; `None` when it is."""
        return None


def servers_unready(
    words: Words, config: ClusterConfig, fact: StorageFact | None, hosts: tuple[str, ...]
) -> str | None:
    """Every data server up, out of recovery, under the workers' addresses; else what is missing."""
    if fact is None:
        return f"the {words.master} does not answer"
    if len(fact.up_hosts) < len(config.nodes):
        return f"{len(fact.up_hosts)} of {len(config.nodes)} {words.servers} are up"
    if fact.recovering:
        return f"{words.storage} is recovering{': ' if fact.recovering_why else ''}{fact.recovering_why}"
    if set(fact.up_hosts) != set(hosts):
        servers, workers = (", ".join(sorted(some)) or "none" for some in (fact.up_hosts, hosts))
        return f"{words.servers} ({servers}) and workers ({workers}) have different addresses"
    return None


COPIES = "copies"
"""Of the metadata, under `top` of the machines that keep them."""
MARKER = ".cluster-id"
"""The file beside a disk's blocks that proves that the disk is mounted; the runtime reads it (supervise/disks.py)."""


def disk_mounts(node: NodeConfig, top: str) -> list[dict[str, object]]:
    """One bind mount a disk, for the master: `{disk}/{top}` at /data/{top}, /data/{top}1 and so on."""
    return [
        {"type": "bind", "source": str(disk / top), "target": f"/data/{top}{number or ''}"}
        for number, disk in enumerate(node.data_dirs)
    ]


def block_mounts(node: NodeConfig, layout: StorageLayout) -> list[dict[str, object]]:
    """Two bind mounts a disk, for the data servers: the marker, which nobody can change there, and the blocks.

    Users' programs run beside the data servers under the same account, and on the manager the metadata is in `top`
    too. Swarm makes no container whose sources are missing: without the disk there is no marker.
    """
    found: list[dict[str, object]] = []
    for mount in disk_mounts(node, layout.top):
        marker = {key: f"{mount[key]}/{MARKER}" for key in ("source", "target")}
        blocks = {key: f"{mount[key]}/{layout.blocks}" for key in ("source", "target")}
        found += [{"type": "bind", **marker, "read_only": True}, {"type": "bind", **blocks}]
    return found


SHARED_PREFIXES = "com.mysql.jdbc,org.postgresql,com.microsoft.sqlserver,oracle.jdbc"
"""Spark's own value of `spark.sql.hive.metastore.sharedPrefixes`: setting it replaces that. Source: HiveUtils."""
ONE_PLACE_A_PARTITION = {
    "spark.sql.files.maxPartitionBytes": "64m",
    "spark.sql.files.openCostInBytes": "64m",
    "spark.sql.files.maxPartitionNum": "20000",
}
"""Spark lines for a storage whose blocks have places: no partition mixes files or blocks of several nodes.

A block of 64 or 128 MiB is a whole number of partitions. An open cost as high as a partition keeps files apart; above
20,000 partitions Spark packs again.
"""


SHARED_TARGET = PurePosixPath("/data/shared")
"""Where containers see `storage.shared.path`, whatever the storage is."""


def shared_mounts(config: ClusterConfig) -> list[dict[str, object]]:
    """The cluster's directory on the shared file system, in every container; empty where none is configured."""
    if config.shared_directory is None:
        return []
    return [{"type": "bind", "source": str(config.shared_directory), "target": str(SHARED_TARGET)}]

"""hosts.yml → `ClusterConfig`: typed, frozen and complete, or one `ConfigError` with every fault."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from sparkqfs.config.redundancy import Redundancy, redundancy_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SshConfig:
    """How to reach the machines. `None` leaves the choice to your ssh config, then to OpenSSH's default:
    [ssh.md](ssh.md)."""

    user: str | None = None
    """User to log in as; root, or a user with sudo; a password for that is given with `--sudo-password-file`."""
    port: int | None = None
    """1 to 65535."""
    key: Path | None = None
    """Private key file, offered before all others; `~` is expanded, a relative path starts at this file's directory."""
    host_keys: Literal["accept-new", "strict"] | None = None
    """`accept-new` trusts a machine that known_hosts lacks, `strict` does not; neither accepts a changed key. `None`:
    StrictHostKeyChecking of your ssh config; `accept-new` where that says `ask` or nothing."""
    known_hosts: Path | None = None
    """Where host keys are kept; need not exist. `None`: UserKnownHostsFile, so `~/.ssh/known_hosts` as a rule."""
    parallel: int = 32
    """Connections open at the same time, at most; 1 to 256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """One machine. What is not set is calculated from what the machine reports: [sizing.md](sizing.md)."""

    name: str
    """The key under `nodes`: lower-case letters, digits and dashes, at most 63."""
    address: str
    """IPv4 address or host name, for SSH."""
    advertise: str
    """Address for Swarm and between the machines; defaults to `address`."""
    user: str | None = None
    """User to log in as, before `ssh.user`."""
    port: int | None = None
    """SSH port, before `ssh.port`."""
    key: Path | None = None
    """Private key file, before `ssh.key`."""
    manager: bool = False
    """True for exactly one node; a single node is the manager by itself."""
    data_dirs: tuple[PurePosixPath, ...] = (PurePosixPath("/mnt/data"),)
    """One directory a disk; Spark's work directory and the metaserver's state are on the first."""
    cores: int | None = None
    """Cores for executors, 1 to 1024; `None` means all that the machine has."""
    memory_mib: int | None = None
    """Memory for executors, Python included, at least `256m`; `None` means what the others below leave."""
    executors: int | None = None
    """Executors here, 1 to 64; `None` means `spark.executors_per_worker`, more where there is room for more."""
    system_memory_mib: int | None = None
    """Memory for the system; `None` means a twelfth of the machine's, from `320m` to `4g`."""
    services_memory_mib: int | None = None
    """Memory for what may run here beside the worker; `None` means what each of these services needs."""
    daemons_memory_mib: int | None = None
    """Memory for the daemons beside the executors in the worker's container; `None` means what each of them needs."""
    cpu_share: float = 1.0
    """Share of the cores' time that a worker-node container may use, 0 < share ≤ 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerConfig:
    """User and group that own the data, by number, the same on every machine."""

    user: str = "spark"
    """Name for `uid`; made where it is missing. Not root."""
    group: str = "spark"
    """Name for `gid`; made where it is missing. Not root."""
    uid: int = 6700
    """1 to 2147483647."""
    gid: int = 6700
    """1 to 2147483647."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebooksConfig:
    """Where notebooks live. `path` `None` means `notebooks` under the manager's first data directory."""

    path: PurePosixPath | None = None
    """Absolute path on the manager, or on every node if `shared`."""
    shared: bool = False
    """True if `path` is there on every node, from a shared file system: then Jupyter runs anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QfsConfig:
    """Which QFS release, and where its tarball comes from."""

    version: str = "2.2.8"
    """Upstream's release."""
    tarball: Path | None = None
    """A tarball on this computer; the environment's SPARKQFS_QFS_TARBALL goes before it."""
    url: str | None = None
    """`None` means upstream's address for this version and architecture ([qfs-tarball.md](qfs-tarball.md))."""
    sha256: str | None = None
    """Checksum of the tarball, 64 hexadecimal digits."""
    check_s: float = 300.0
    """How often the metaserver looks at all files for `invoke status`; sooner when something is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedConfig:
    """A directory that every node mounts from the same shared file system."""

    path: PurePosixPath | None = None
    """Absolute path, needed if `storage.kind` is `shared`, a place to copy to if not; outside the data directories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HdfsConfig:
    """Where Hadoop's servers come from: jars of Maven Central, each with its checksum in the product's lock file."""

    jars: Path | None = None
    """A directory or tar archive of these jars on this computer, for want of a way to Maven Central."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesConfig:
    """Copies of the storage's metadata on other nodes than the manager, and for how long earlier states are kept."""

    nodes: int = 2
    """How many nodes keep a copy, 0 to 8, the first ones that are not the manager; 0 means that none does."""
    all_days: int = 2
    """Every state of so many days, 1 to 3650."""
    daily_days: int = 14
    """One state a day of so many days, 0 to 3650."""
    weekly_days: int = 60
    """One state a week of so many days, 0 to 3650."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubConfig:
    """How the storage's own copies are read again and compared with their checksums ([fsck.md](fsck.md#the-scrub))."""

    hour: int = 2
    """QFS: when a pass begins, 0 to 23, UTC; it takes as long as it takes. HDFS reads all the time."""
    rate_mib: int = 8
    """What is read a second at most, for example `8m`, up to `1g`: of QFS a node, of HDFS a disk. `0m`: nothing."""


StorageKind = Literal["qfs", "hdfs", "shared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """Which storage backend, and its settings."""

    kind: StorageKind = "qfs"
    """`qfs` and `hdfs` keep data where it is computed; `shared` is a directory that every node mounts (no locality)."""
    replication: int = 2
    """Copies of every block, 1 to 64, at most one a node; 1 is the default on a single node."""
    qfs: QfsConfig = QfsConfig()
    hdfs: HdfsConfig = HdfsConfig()
    shared: SharedConfig = SharedConfig()
    copies: CopiesConfig = CopiesConfig()
    scrub: ScrubConfig = ScrubConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkConfig:
    """Spark's sizes; `conf` are extra lines for spark-defaults.conf and win over ours."""

    executors_per_worker: int = 2
    """Executors a node, 1 to 64; they share its cores and memory. Fewer where a node has fewer cores."""
    driver_memory_mib: int = 1024
    """Memory of a driver, for example `1g`, at least `512m`."""
    delta: bool = False
    """Tables that can be updated: `USING delta`, on `qfs` and `hdfs` (docs/delta.md)."""
    conf: tuple[tuple[str, str], ...] = ()
    """Spark settings by name, for example `spark.sql.shuffle.partitions: 64`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsConfig:
    """How much is kept of what is written, and for how long; docs/growth.md lists everything that grows."""

    container_mib: int = 50
    """Of each container's own log, at least `1m`; the engine removes what is older."""
    program_mib: int = 64
    """Of each stdout and stderr of a driver and of an executor, at least `1m`; the end is kept."""
    days: int = 7
    """How long files of ended programs and images of earlier versions are kept on the nodes, 1 to 3650."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortsConfig:
    """Ports published on the machine that runs the service."""

    jupyter: int = 7777
    """JupyterLab."""
    spark_ui: int = 8080
    """The Spark master's web UI."""
    app_ui: int = 4040
    """Pages of the applications that run."""
    qfs_ui: int = 20050
    """The QFS status page."""
    hdfs_ui: int = 9870
    """The HDFS status page."""
    history: int = 18080
    """Spark's history server, on the manager."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryConfig:
    """The registry on the manager. `tls: false` is plain HTTP, for a trusted network only."""

    port: int = 5000
    """On the manager."""
    tls: bool = True
    """TLS with the cluster's own certificate authority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """How images are built."""

    base: str = "debian:bookworm-slim"
    """Debian 12 image that all images are built on."""
    ca_certificates: tuple[Path, ...] = ()
    """PEM files to trust in builds, by downloads of this computer and by drivers that load packages; one or a list."""
    pip_index: str | None = None
    """Package index in place of PyPI; without user name and password."""
    proxy: str | None = None
    """HTTP proxy for the build, and for packages that drivers download (without user name and password)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """What is in the image of the workers, and so of every driver."""

    requirements: tuple[str, ...] = ()
    """pip requirements, or the path of a file with them ([packages.md](packages.md))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JupyterConfig:
    """What is in the image of Jupyter besides."""

    requirements: tuple[str, ...] = ()
    """pip requirements, or the path of a file with them, for drivers in notebooks alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutsConfig:
    """Deadlines: `10s`, `5m`, `1h`, or a number of seconds."""

    connect_s: float = 10.0
    """To open an SSH connection."""
    command_s: float = 120.0
    """For one command on a node."""
    build_s: float = 3600.0
    """For building one image."""
    deploy_s: float = 300.0
    """Until every worker, chunkserver and web page answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """Everything hosts.yml says, defaults filled in."""

    file: Path
    """The path it was read from, as given."""
    name: str = "spark"
    """Stack name; what `--erase` must repeat."""
    nodes: tuple[NodeConfig, ...]
    """The machines, by name; a node's value may be its address alone."""
    ssh: SshConfig = SshConfig()
    owner: OwnerConfig = OwnerConfig()
    notebooks: NotebooksConfig = NotebooksConfig()
    network: Literal["overlay", "host"] = "overlay"
    """`overlay` is a network of the cluster's own; `host` uses the machines' addresses, without a fence."""
    subnet: str = "10.20.30.0/24"
    """Overlay subnet: private IPv4, free on all nodes, with 3 addresses a node and 8 more. The default is larger from
    83 nodes on: `10.20.30.0/23`, then `10.20.28.0/22`; a stack that runs keeps its own until `invoke down`."""
    storage: StorageConfig = StorageConfig()
    spark: SparkConfig = SparkConfig()
    logs: LogsConfig = LogsConfig()
    ports: PortsConfig = PortsConfig()
    registry: RegistryConfig = RegistryConfig()
    build: BuildConfig = BuildConfig()
    worker: WorkerConfig = WorkerConfig()
    jupyter: JupyterConfig = JupyterConfig()
    timeouts: TimeoutsConfig = TimeoutsConfig()

    @property
    def manager(self) -> NodeConfig:
        """The one node that manages the swarm."""
        return next(node for node in self.nodes if node.manager)

    @property
    def registry_address(self) -> str:
        """`host:port` under which every engine reaches the registry."""
        return f"{self.manager.advertise}:{self.registry.port}"

    @property
    def notebooks_path(self) -> PurePosixPath:
        """Where notebooks live on the machines."""
        return self.notebooks.path or self.manager.data_dirs[0] / "notebooks"

    @property
    def shared_directory(self) -> PurePosixPath | None:
        """This cluster's own directory on the shared file system; `None` where none is configured."""
        path = self.storage.shared.path
        return path / self.name if path is not None else None

    @property
    def has_metastore(self) -> bool:
        """False where `spark.conf` asks for a catalogue in memory, or names a metastore elsewhere."""
        conf = dict(self.spark.conf)
        is_elsewhere = any(name.endswith("hive.metastore.uris") for name in conf)
        return conf.get("spark.sql.catalogImplementation", "hive") == "hive" and not is_elsewhere

    @property
    def redundancy(self) -> Redundancy:
        """What is kept of a file that Spark writes."""
        return redundancy_of(self.storage.kind, self.storage.replication, self.spark.conf)

    def node(self, name: str) -> NodeConfig:
        """The node of this name; `KeyError` if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

"""hosts.yml → `ClusterConfig`: typed, frozen and complete, or one `ConfigError` with every fault."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from ipaddress import IPv4Network, ip_address
from pathlib import Path, PurePath, PurePosixPath
from typing import Literal, get_args

import yaml

from sparkqfs import config_yaml as read
from sparkqfs import topology
from sparkqfs.config_layout import Redundancy, fitting, redundancy_of, spark_setting
from sparkqfs.config_packages import take_requirements
from sparkqfs.config_yaml import Faults, Scalar, Section, Table
from sparkqfs.errors import ExitCode, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class SshConfig:
    """How to reach the machines. `None` leaves the choice to the user's ssh config, then to OpenSSH's default."""

    user: str | None = None
    """User to log in as; root, or a user with sudo; a password for that is given with `--sudo-password-file`."""
    port: int | None = None
    """1 to 65535."""
    key: Path | None = None
    """Private key file; `~` is expanded, a relative path starts at this file's directory."""
    host_keys: Literal["accept-new", "strict"] = "accept-new"
    """`accept-new` trusts a machine that known_hosts lacks, `strict` does not; neither accepts a changed key."""
    known_hosts: Path = Path("~/.ssh/known_hosts")
    """Where host keys are kept; need not exist."""
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
    port: int | None = None
    """SSH port, before `ssh.port`."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkConfig:
    """Spark's sizes; `conf` are extra lines for spark-defaults.conf and win over ours."""

    executors_per_worker: int = 2
    """Executors a node, 1 to 64; they share its cores and memory. Fewer where a node has fewer cores."""
    driver_memory_mib: int = 1024
    """Memory of a driver, for example `1g`, at least `512m`."""
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
    """PEM files to trust during the build; one or a list."""
    pip_index: str | None = None
    """Package index in place of PyPI; without user name and password."""
    proxy: str | None = None
    """HTTP proxy for the build."""


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
    """Overlay subnet: private IPv4, free on all nodes, with 3 addresses a node and 8 more."""
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


# --- Loading ---

_PORT = read.integer(1, 65535)
_ID = read.integer(1, 2**31 - 1)
_ACCOUNT = read.matching(r"(?!root$)[a-z_][a-z0-9_-]{0,31}", "a name of a-z, 0-9, - and _, not root, at most 32")
_LOGIN = read.matching(r"[A-Za-z_][A-Za-z0-9._-]{0,31}", "a user name of letters, digits and ._-, at most 32")
_CLUSTER = read.matching(r"[a-z][a-z0-9-]{0,30}", "a name of a-z, 0-9 and -, starting with a letter, at most 31")
_VERSION = read.matching(r"[0-9]+(\.[0-9]+){1,3}([-+.][A-Za-z0-9.]{1,20})?", "a version such as 2.2.8", numbers=True)
_SHA256 = read.matching(r"[0-9a-fA-F]{64}", "64 hexadecimal digits")
_IMAGE = read.matching(r"[a-z0-9][A-Za-z0-9._/:@-]{0,254}", "an image name such as debian:bookworm-slim")
_SHARED_PATH = read.node_path("/media", "/mnt", "/srv")  # only a directory in it is made and owned
_BOOLEAN = read.choice(True, False)
_NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SPARK_KEY = re.compile(r"spark\.[A-Za-z0-9._-]+", re.ASCII)
_TAKEN_PORTS = {
    topology.META_CLIENT_PORT: "the metaserver's, for clients",
    topology.META_CHUNK_PORT: "the metaserver's, for chunkservers",
    topology.CHUNK_PORT: "the chunkservers'",
    topology.NAMENODE_PORT: "the namenode's, for clients",
    topology.DATANODE_PORT: "the datanodes'",
    topology.SPARK_MASTER_PORT: "the Spark master's",
    topology.SPARK_WORKER_PORT: "the Spark workers'",
    topology.SPARK_WORKER_UI_PORT: "the Spark workers' web UI's",
    topology.METASTORE_PORT: "the metastore's",
    2377: "Swarm's own",
    7946: "Swarm's own",
}
_DEFAULT = ClusterConfig(file=Path(), nodes=())
_DEFAULT_DATA_DIRS = (PurePosixPath("/mnt/data"),)
TARBALL_VARIABLE = "SPARKQFS_QFS_TARBALL"


def load_config(path: Path, env: Mapping[str, str] | None = None) -> ClusterConfig:
    """Read a cluster file; `env` is the process's environment unless given.

    Raises `ConfigError` with every fault found, in the order of the file. Reads files, changes nothing.
    """
    faults = Faults(str(path))
    table = read.read_tree(_read_text(path, faults), faults)
    faults.add_secrets(table)
    root = Section(faults, "", table)
    config = _cluster(path, root, os.environ if env is None else env)
    faults.add_unknown_keys()
    _check_addresses(config, faults)
    _check_ports(config, faults)
    _check_paths(config, faults)
    _check_layout(config, faults)
    faults.stop_if_any()
    return config


def _read_text(path: Path, faults: Faults) -> str:
    hint = "name the cluster file with --hosts"
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            faults.fatal("is a directory, not a file" if stat.S_ISDIR(mode) else "is not a regular file", hint=hint)
        with path.open("rb") as file:
            content = file.read(read.MAX_BYTES + 1)
    except (OSError, ValueError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else str(failure)
        faults.fatal(f"cannot be read: {reason}", hint=hint)
    if len(content) > read.MAX_BYTES:
        faults.fatal("larger than 1 MiB: not a cluster file", hint=hint)
    try:
        return content.decode()
    except UnicodeDecodeError as failure:
        line = content.count(b"\n", 0, failure.start) + 1
        faults.fatal(f"not UTF-8: byte 0x{content[failure.start]:02x}", line, "save the file as UTF-8")


def _cluster(path: Path, root: Section, env: Mapping[str, str]) -> ClusterConfig:
    base = path.parent
    name = root.take("cluster", _CLUSTER, _DEFAULT.name)
    ssh = _ssh(root.section("ssh"), base)
    nodes = _nodes(root)
    return ClusterConfig(
        file=path,
        name=name,
        ssh=ssh,
        nodes=nodes,
        owner=_owner(root.section("owner")),
        notebooks=_notebooks(root.section("notebooks")),
        network=root.take("network", read.choice("overlay", "host"), _DEFAULT.network),
        subnet=root.take("subnet", read.subnet(), _DEFAULT.subnet),
        storage=_storage(root.section("storage"), base, env, len(nodes)),
        spark=_spark(root.section("spark")),
        logs=_logs(root.section("logs")),
        ports=_ports(root.section("ports")),
        registry=_registry(root.section("registry")),
        build=_build(root.section("build"), base),
        worker=WorkerConfig(requirements=take_requirements(root.section("worker"), base)),
        jupyter=JupyterConfig(requirements=take_requirements(root.section("jupyter"), base)),
        timeouts=_timeouts(root.section("timeouts")),
    )


def _ssh(section: Section, base: Path) -> SshConfig:
    default = _DEFAULT.ssh
    return SshConfig(
        user=section.take("user", _LOGIN, default.user),
        port=section.take("port", _PORT, default.port),
        key=section.take("key", read.local_path(base), default.key),
        host_keys=section.take("host_keys", read.choice("accept-new", "strict"), default.host_keys),
        known_hosts=section.take("known_hosts", read.local_path(base, must_exist=False), _home(default.known_hosts)),
        parallel=section.take("parallel", read.integer(1, 256), default.parallel),
    )


def _home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # an account without a home
        return path


def _nodes(root: Section) -> tuple[NodeConfig, ...]:
    common = _data_dirs(root, _DEFAULT_DATA_DIRS)
    given = root.value("nodes")
    section = root.section("nodes", is_open=True)
    nodes = [_node(section, name, common) for name in section.table.entries]
    managers = [node for node in nodes if node.manager]
    if not nodes and (given is None or isinstance(given, Table)):
        root.faults.add("nodes", "names no node; must name at least one", "`nodes: {node1: 192.168.1.11}` is enough")
    if len(nodes) == 1:
        nodes = [replace(nodes[0], manager=True)]
    elif nodes and not managers:
        root.faults.add("nodes", "no node is the manager; must be exactly one", "add `manager: true` to one node")
    for node in managers[1:]:
        what = f"node {node.name} is a second manager beside {managers[0].name}; must be exactly one"
        root.faults.add(f"nodes.{node.name}.manager", what)
    return tuple(nodes)


def _node(nodes: Section, name: str, common: tuple[PurePosixPath, ...]) -> NodeConfig:
    if not _NODE_NAME.fullmatch(name):
        what = f"'{read.shown(name)}' cannot name a node; must be a-z, 0-9 and -, at most 63, with no dash at the ends"
        nodes.faults.add(f"nodes.{name}", what)
    given = nodes.value(name)
    if isinstance(given, Scalar):
        address = nodes.take(name, read.address(), "")
        return NodeConfig(name=name, address=address, advertise=address, data_dirs=common)
    section = nodes.section(name)
    if section.value("address") is None and (given is None or isinstance(given, Table)):
        nodes.faults.add(f"nodes.{name}.address", "missing; must be an IPv4 address or a host name")
    address = section.take("address", read.address(), "")
    default = NodeConfig(name=name, address=address, advertise=address, data_dirs=common)
    return NodeConfig(
        name=name,
        address=address,
        advertise=section.take("advertise", read.address(), address),
        port=section.take("port", _PORT, default.port),
        manager=section.take("manager", _BOOLEAN, default.manager),
        data_dirs=_data_dirs(section, common),
        cores=section.take("cores", read.integer(1, 1024), default.cores),
        memory_mib=section.take("memory", read.mebibytes(256), default.memory_mib),
        executors=section.take("executors", read.integer(1, 64), default.executors),
        system_memory_mib=section.take("system_memory", read.mebibytes(64), default.system_memory_mib),
        services_memory_mib=section.take("services_memory", read.mebibytes(0), default.services_memory_mib),
        daemons_memory_mib=section.take("daemons_memory", read.mebibytes(256), default.daemons_memory_mib),
        cpu_share=section.take("cpu_share", read.share(), default.cpu_share),
    )


def _data_dirs(section: Section, default: tuple[PurePosixPath, ...]) -> tuple[PurePosixPath, ...]:
    paths = section.take_all("data_dir", read.node_path(), default)
    for index, path in enumerate(paths):
        for other in paths[:index]:
            if (path.is_relative_to(other) or other.is_relative_to(path)) and paths is not default:
                section.faults.add(read.join(section.path, "data_dir"), f"{path} and {other} are not apart")
    return paths if paths else default


def _owner(section: Section) -> OwnerConfig:
    default = _DEFAULT.owner
    return OwnerConfig(
        user=section.take("user", _ACCOUNT, default.user),
        group=section.take("group", _ACCOUNT, default.group),
        uid=section.take("uid", _ID, default.uid),
        gid=section.take("gid", _ID, default.gid),
    )


def _notebooks(section: Section) -> NotebooksConfig:
    default = _DEFAULT.notebooks
    return NotebooksConfig(
        path=section.take("path", read.node_path(), default.path),
        shared=section.take("shared", _BOOLEAN, default.shared),
    )


def _storage(section: Section, base: Path, env: Mapping[str, str], node_count: int) -> StorageConfig:
    default = _DEFAULT.storage
    copies = replace(read.integer(1, 64), hint=fitting(node_count) if node_count else None)
    replication = section.take("replication", copies, max(1, min(default.replication, node_count)))
    if replication > node_count > 0:
        section.faults.add("storage.replication", _too_many(Redundancy(replication), node_count), fitting(node_count))
    kind = section.take("kind", read.choice(*get_args(StorageKind)), default.kind)
    named = env.get(TARBALL_VARIABLE) if kind == "qfs" else None
    return StorageConfig(
        kind=kind,
        replication=replication,
        qfs=_qfs(section.section("qfs"), base, named or None),
        hdfs=HdfsConfig(jars=section.section("hdfs").take("jars", read.local_path(base), default.hdfs.jars)),
        shared=SharedConfig(path=section.section("shared").take("path", _SHARED_PATH, None)),
    )


def _too_many(wanted: Redundancy, node_count: int) -> str:
    what = f"{wanted.copies} copies need" if not wanted.data else f"{wanted.name} needs"
    return f"{what} {wanted.nodes} nodes; there {'is' if node_count == 1 else 'are'} {node_count}"


def _qfs(section: Section, base: Path, override: str | None) -> QfsConfig:
    default = _DEFAULT.storage.qfs
    tarball = section.take("tarball", read.local_path(base, must_exist=override is None), default.tarball)
    if override is not None:
        try:
            tarball = read.local_path(Path()).read(Scalar(override, override, 0))
        except read.Fault as fault:
            what = f"{TARBALL_VARIABLE}: {fault}"
            problem = Problem(what=what, config_path="storage.qfs.tarball", code=ExitCode.USAGE)
            section.faults.problems.append(problem)
    return QfsConfig(
        version=section.take("version", _VERSION, default.version),
        tarball=tarball,
        url=section.take("url", read.url(with_credentials=False), default.url),
        sha256=(section.take("sha256", _SHA256, default.sha256) or "").lower() or None,
        check_s=section.take("check", read.seconds(), default.check_s),
    )


def _spark(section: Section) -> SparkConfig:
    default = _DEFAULT.spark
    return SparkConfig(
        executors_per_worker=section.take("executors_per_worker", read.integer(1, 64), default.executors_per_worker),
        driver_memory_mib=section.take("driver_memory", read.mebibytes(512), default.driver_memory_mib),
        conf=tuple(_spark_conf(section.section("conf", is_open=True))),
    )


def _spark_conf(section: Section) -> Iterator[tuple[str, str]]:
    setting = read.setting()
    for name in section.table.entries:
        if not _SPARK_KEY.fullmatch(name):
            section.faults.add(read.join(section.path, name), "not a Spark setting; its name must start with `spark.`")
        elif section.value(name) is None:
            section.faults.add(read.join(section.path, name), "has no value; must be text or a number")
        else:
            yield name, section.take(name, setting, "")


def _logs(section: Section) -> LogsConfig:
    default = _DEFAULT.logs
    return LogsConfig(
        container_mib=section.take("container", read.mebibytes(1), default.container_mib),
        program_mib=section.take("program", read.mebibytes(1), default.program_mib),
        days=section.take("days", read.integer(1, 3650), default.days),
    )


def _ports(section: Section) -> PortsConfig:
    default = _DEFAULT.ports
    return PortsConfig(
        jupyter=section.take("jupyter", _PORT, default.jupyter),
        spark_ui=section.take("spark_ui", _PORT, default.spark_ui),
        app_ui=section.take("app_ui", _PORT, default.app_ui),
        qfs_ui=section.take("qfs_ui", _PORT, default.qfs_ui),
        hdfs_ui=section.take("hdfs_ui", _PORT, default.hdfs_ui),
        history=section.take("history", _PORT, default.history),
    )


def _registry(section: Section) -> RegistryConfig:
    default = _DEFAULT.registry
    return RegistryConfig(
        port=section.take("port", _PORT, default.port), tls=section.take("tls", _BOOLEAN, default.tls)
    )


def _build(section: Section, base: Path) -> BuildConfig:
    default = _DEFAULT.build
    return BuildConfig(
        base=section.take("base", _IMAGE, default.base),
        ca_certificates=section.take_all("ca_certificates", read.local_path(base), default.ca_certificates),
        pip_index=section.take("pip_index", read.url(with_credentials=False), default.pip_index),
        proxy=section.take("proxy", read.url(with_credentials=True), default.proxy),
    )


def _timeouts(section: Section) -> TimeoutsConfig:
    default = _DEFAULT.timeouts
    return TimeoutsConfig(
        connect_s=section.take("connect", read.seconds(), default.connect_s),
        command_s=section.take("command", read.seconds(), default.command_s),
        build_s=section.take("build", read.seconds(), default.build_s),
        deploy_s=section.take("deploy", read.seconds(), default.deploy_s),
    )


# --- What must hold between settings ---


def _check_addresses(config: ClusterConfig, faults: Faults) -> None:
    owners: dict[str, str] = {}
    subnet = IPv4Network(config.subnet)
    room, needed = subnet.num_addresses - 2, 3 * len(config.nodes) + 8
    is_subnet_read = not _has_fault(faults, "subnet")
    if room < needed and is_subnet_read:
        faults.add("subnet", f"{subnet} has {max(room, 0)} addresses; {len(config.nodes)} nodes need {needed}")
    for node in config.nodes:
        for path, address in _addresses(node):
            owner = owners.setdefault(address.lower(), node.name)
            if owner != node.name:
                faults.add(path, f"{address} is {owner}'s already; every node needs its own")
            if is_subnet_read and re.fullmatch(r"[0-9.]+", address) and ip_address(address) in subnet:
                faults.add(path, f"{address} is in the overlay's subnet {subnet}", "choose another `subnet`")
        if config.network == "host" and node.advertise and not re.fullmatch(r"[0-9.]+", node.advertise):
            what = f"`network: host` needs an IPv4 address; {node.advertise} is a name"
            faults.add(_addresses(node)[-1][0], what, "set `advertise` to the machine's address")
        is_loopback = node.advertise == "localhost" or node.advertise.startswith("127.")
        if is_loopback and len(config.nodes) > 1:
            path = _addresses(node)[-1][0]
            faults.add(path, f"the other nodes cannot reach {node.advertise}", "set `advertise` to an address they can")


def _addresses(node: NodeConfig) -> list[tuple[str, str]]:
    """Path and value of what the node is reached by, each value once; nothing for what could not be read."""
    path = f"nodes.{node.name}"
    own = [(f"{path}.address", node.address), (f"{path}.advertise", node.advertise)]
    return [(path, value) for path, value in (own if node.address != node.advertise else own[:1]) if value]


def published_ports(config: ClusterConfig) -> dict[str, int]:
    """The ports under `ports` that this cluster uses: not the page of a storage of another kind."""
    others = {f"{kind}_ui" for kind in get_args(StorageKind) if kind != config.storage.kind}
    return {each.name: getattr(config.ports, each.name) for each in fields(config.ports) if each.name not in others}


def _check_ports(config: ClusterConfig, faults: Faults) -> None:
    settings = {f"ports.{name}": port for name, port in published_ports(config).items()}
    settings["registry.port"] = config.registry.port
    taken = dict(_TAKEN_PORTS)
    # what the file sets comes last, so that the fault is on a line of the file
    for path, port in sorted(settings.items(), key=lambda setting: setting[0] in faults.lines):
        if port in taken:
            faults.add(path, f"port {port} is {taken[port]}")
        taken.setdefault(port, f"{path}'s already")


def _check_paths(config: ClusterConfig, faults: Faults) -> None:
    shared, notebooks = config.storage.shared.path, config.notebooks.path
    data_dirs = sorted({path for node in config.nodes for path in node.data_dirs})
    if config.storage.kind == "shared" and shared is None and not _has_fault(faults, "storage.shared"):
        what = "missing; must be the directory that every node mounts, since storage.kind is shared"
        faults.add("storage.shared.path", what)
    if config.notebooks.shared and notebooks is None and not _has_fault(faults, "notebooks.path"):
        faults.add("notebooks.shared", "true needs notebooks.path, a directory that every node mounts")
    for data_dir in data_dirs:
        if shared is not None and (shared.is_relative_to(data_dir) or data_dir.is_relative_to(shared)):
            faults.add("storage.shared.path", f"{shared} and the data directory {data_dir} are not apart")
        ours = tuple(data_dir / name for name in ("qfs", "hdfs", "spark", "spark-master", "metastore", "sparkqfs"))
        if notebooks is not None and (data_dir.is_relative_to(notebooks) or any(map(notebooks.is_relative_to, ours))):
            faults.add("notebooks.path", f"{notebooks} holds or is in what the daemons write in {data_dir}")


def _check_layout(config: ClusterConfig, faults: Faults) -> None:
    """What `spark.conf` asks of the storage must be something that this many nodes can hold."""
    path = f"spark.conf.{spark_setting(config.storage.kind)}"
    nodes = len(config.nodes)
    try:
        wanted = config.redundancy
    except ValueError as error:
        faults.add(path, str(error))
        return
    if wanted != Redundancy(config.storage.replication) and wanted.nodes > nodes > 0:
        faults.add(path, _too_many(wanted, nodes), f"remove it: storage.replication counts then; {fitting(nodes)}")


def _has_fault(faults: Faults, path: str) -> bool:
    return any((problem.config_path or "").startswith(path) for problem in faults.problems)


# --- Writing ---


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """Always: load_config refuses aliases."""
        return True


def dump_config(data: Mapping[str, object]) -> str:
    """The text of a cluster file with this content (hosts.yml's keys), for hosts.local.yml; load_config reads it."""
    text: str = yaml.dump(_plain(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return f"# A cluster file; docs/hosts-yml.md explains the keys.\n{text}"


def resolved(config: ClusterConfig) -> dict[str, object]:
    """The configuration in hosts.yml's keys, defaults filled in; fit for JSON and `dump_config`.

    Sizes are text in MiB, durations seconds. A password in build.proxy is masked.
    """
    values = {key: value for key, value in _keyed(config).items() if key != "file"}
    values["nodes"] = {node.name: {k: v for k, v in _keyed(node).items() if k != "name"} for node in config.nodes}
    plain = _plain(values)
    assert isinstance(plain, dict)
    return plain


def key_of(owner: type, name: str) -> str:
    """The key in hosts.yml for a field of one of the classes above."""
    if owner is ClusterConfig and name == "name":
        return "cluster"
    return {"data_dirs": "data_dir"}.get(name, re.sub(r"_(mib|s)$", "", name))


def _keyed(config: object) -> dict[str, object]:
    """A config object's fields under hosts.yml's keys."""
    assert is_dataclass(config)
    values: dict[str, object] = {}
    for each in fields(config):
        value = getattr(config, each.name)
        if each.name.endswith("_mib") and value is not None:
            value = f"{value}m"
        if each.name == "conf":
            value = dict(value)
        if each.name == "proxy" and value is not None:
            value = re.sub(r"//[^/@]*@", "//***@", value)
        values[key_of(type(config), each.name)] = value
    return values


def _plain(value: object) -> object:
    """Mappings, lists and scalars only."""
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, PurePath):
        return str(value)
    return _plain(_keyed(value)) if is_dataclass(value) and not isinstance(value, type) else value

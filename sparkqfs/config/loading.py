"""hosts.yml → the model: every key read, every fault told with its place."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import get_args

from sparkqfs.config import foreign
from sparkqfs.config import reading as read
from sparkqfs.config.between import check_addresses, check_layout, check_paths, check_ports, default_subnet, too_many
from sparkqfs.config.delta import check_delta
from sparkqfs.config.model import (
    BuildConfig,
    ClusterConfig,
    CopiesConfig,
    HdfsConfig,
    JupyterConfig,
    LogsConfig,
    NodeConfig,
    NotebooksConfig,
    OwnerConfig,
    PortsConfig,
    QfsConfig,
    RegistryConfig,
    ScrubConfig,
    SharedConfig,
    SparkConfig,
    SshConfig,
    StorageConfig,
    StorageKind,
    TimeoutsConfig,
    WorkerConfig,
)
from sparkqfs.config.other_words import STORAGES
from sparkqfs.config.reading import Faults, Items, Scalar, Section, Table
from sparkqfs.config.redundancy import Redundancy, fitting
from sparkqfs.config.requirements import take_requirements
from sparkqfs.errors import ExitCode, Problem

PORT = read.integer(1, 65535)
_ID = read.integer(1, 2**31 - 1)
_ACCOUNT = read.matching(r"(?!root$)[a-z_][a-z0-9_-]{0,31}", "a name of a-z, 0-9, - and _, not root, at most 32")
LOGIN = read.matching(r"[A-Za-z_][A-Za-z0-9._-]{0,31}", "a user name of letters, digits and ._-, at most 32")
_CLUSTER = read.matching(r"[a-z][a-z0-9-]{0,30}", "a name of a-z, 0-9 and -, starting with a letter, at most 31")
_VERSION = read.matching(r"[0-9]+(\.[0-9]+){1,3}([-+.][A-Za-z0-9.]{1,20})?", "a version such as 2.2.8", numbers=True)
_SHA256 = read.matching(r"[0-9a-fA-F]{64}", "64 hexadecimal digits")
_IMAGE = read.matching(r"[a-z0-9][A-Za-z0-9._/:@-]{0,254}", "an image name such as debian:bookworm-slim")
_SHARED_PATH = read.node_path("/media", "/mnt", "/srv")  # only a directory in it is made and owned
_BOOLEAN = read.choice(True, False)
NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SPARK_KEY = re.compile(r"spark\.[A-Za-z0-9._*-]+", re.ASCII)
_DEFAULT = ClusterConfig(file=Path(), nodes=())
_DEFAULT_DATA_DIRS = (PurePosixPath("/mnt/data"),)
TARBALL_VARIABLE = "SPARKQFS_QFS_TARBALL"


HOW_TO_NAME_ONE = "name the cluster file with --hosts; `invoke new ADDRESS…` writes one"


def load_config(path: Path, env: Mapping[str, str] | None = None, *, hint: str | None = None) -> ClusterConfig:
    """Read a cluster file; `env` is the process's environment unless given. `hint`: for one that cannot be read.

    Raises `ConfigError` with every fault found, in the order of the file. Reads files, changes nothing.
    """
    faults = Faults(str(path))
    return _config_of(_read_text(path, faults, hint or HOW_TO_NAME_ONE), path, faults, env)


def parse_config(text: str, path: Path) -> ClusterConfig:
    """As `load_config`, of a file that is not written yet."""
    return _config_of(text, path, Faults(str(path)), None)


def _config_of(text: str, path: Path, faults: Faults, env: Mapping[str, str] | None) -> ClusterConfig:
    foreign.refuse_text(text, faults)
    table = read.read_tree(text, faults)
    foreign.refuse_tree(table, faults)
    faults.add_secrets(table)
    root = Section(faults, "", table)
    config = read_cluster(path, root, os.environ if env is None else env)
    faults.add_unknown_keys()
    check_addresses(config, faults)
    check_ports(config, faults)
    check_paths(config, faults)
    check_layout(config, faults)
    check_delta(config, faults)
    faults.stop_if_any()
    return config


def _read_text(path: Path, faults: Faults, hint: str) -> str:
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


def read_cluster(path: Path, root: Section, env: Mapping[str, str]) -> ClusterConfig:
    """What the file says, key by key; what must hold between keys is not looked at yet."""
    base = path.parent
    name = root.take("cluster", _CLUSTER, _DEFAULT.name)
    ssh = _ssh(root.section("ssh", usual="user"), base)
    nodes = _nodes(root, base)
    return ClusterConfig(
        file=path,
        name=name,
        ssh=ssh,
        nodes=nodes,
        owner=_owner(root.section("owner", usual="user")),
        notebooks=_notebooks(root.section("notebooks", usual="path")),
        network=root.take("network", read.choice("overlay", "host"), _DEFAULT.network),
        subnet=root.take("subnet", read.subnet(), default_subnet(len(nodes))),
        storage=_storage(root.section("storage", usual="kind"), base, env, len(nodes)),
        spark=_spark(root.section("spark")),
        logs=_logs(root.section("logs")),
        ports=_ports(root.section("ports")),
        registry=_registry(root.section("registry", usual="port")),
        build=_build(root.section("build"), base),
        worker=WorkerConfig(requirements=take_requirements(root.section("worker"), base)),
        jupyter=JupyterConfig(requirements=take_requirements(root.section("jupyter"), base)),
        timeouts=_timeouts(root.section("timeouts")),
    )


def _ssh(section: Section, base: Path) -> SshConfig:
    default = _DEFAULT.ssh
    return SshConfig(
        user=section.take("user", LOGIN, default.user),
        port=section.take("port", PORT, default.port),
        key=section.take("key", read.local_path(base), default.key),
        host_keys=section.take("host_keys", read.choice("accept-new", "strict"), default.host_keys),
        known_hosts=section.take("known_hosts", read.local_path(base, must_exist=False), default.known_hosts),
        parallel=section.take("parallel", read.integer(1, 256), default.parallel),
    )


def _nodes(root: Section, base: Path) -> tuple[NodeConfig, ...]:
    plain = NodeConfig(name="", address="", advertise="", data_dirs=_data_dirs(root, _DEFAULT_DATA_DIRS))
    common = _of_node(root.section("defaults"), plain, base)
    given = root.value("nodes")
    if isinstance(given, Items) and (instead := foreign.of_items(given)) is not None:
        root.faults.add("nodes", "found a list; must be a mapping (key: value)", instead)
        return ()
    section = root.section("nodes", is_open=True)
    nodes = [_node(section, name, common, base) for name in section.table.entries]
    managers = [node for node in nodes if node.manager]
    if not nodes and (given is None or isinstance(given, Table)):
        beside = [name for name, (_, value) in root.table.entries.items() if read.looks_like_node(value)]
        hint = (
            f"indent {read.shown(beside[0])} below it"
            if given is None and beside and "nodes" in root.table.entries
            else None
        )
        root.faults.add("nodes", "must name at least one node", hint or "`nodes: {node1: 192.168.1.11}` is enough")
    if len(nodes) == 1:
        nodes = [replace(nodes[0], manager=True)]
    elif nodes and not managers:
        root.faults.add("nodes", "no node is the manager; must be exactly one", "add `manager: true` to one node")
    for node in managers[1:]:
        what = f"node {node.name} is a second manager beside {managers[0].name}; must be exactly one"
        root.faults.add(f"nodes.{node.name}.manager", what)
    return tuple(nodes)


def _node(nodes: Section, name: str, common: NodeConfig, base: Path) -> NodeConfig:
    if not NODE_NAME.fullmatch(name):
        what = f"'{read.shown(name)}' cannot name a node; must be a-z, 0-9 and -, at most 63, with no dash at the ends"
        other = foreign.node_name(name)
        nodes.faults.add(f"nodes.{name}", what, f"call it {other}" if other else None)
    given = nodes.value(name)
    if isinstance(given, Scalar):
        address = nodes.take(name, read.address(), "")
        return replace(common, name=name, address=address, advertise=address)
    section = nodes.section(name)
    if section.value("address") is None and (given is None or isinstance(given, Table)):
        nodes.faults.add(f"nodes.{name}.address", "missing; must be an IPv4 address or a host name")
    address = section.take("address", read.address(), "")
    advertise = section.take("advertise", read.address(), address)
    manager = section.take("manager", _BOOLEAN, False)
    own = replace(common, name=name, address=address, advertise=advertise, manager=manager)
    return _of_node(section, own, base)


def _of_node(section: Section, default: NodeConfig, base: Path) -> NodeConfig:
    """What may be said of one node, or in `defaults` of all of them."""
    return replace(
        default,
        user=section.take("user", LOGIN, default.user),
        port=section.take("port", PORT, default.port),
        key=section.take("key", read.local_path(base), default.key),
        data_dirs=_data_dirs(section, default.data_dirs),
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
                section.faults.add(read.join(section.path, "data_dir"), f"{path} and {other}: one is inside the other")
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
        section.faults.add("storage.replication", too_many(Redundancy(replication), node_count), fitting(node_count))
    kind = section.take("kind", read.choice(*get_args(StorageKind), others=STORAGES), default.kind)
    named = env.get(TARBALL_VARIABLE) if kind == "qfs" else None
    return StorageConfig(
        kind=kind,
        replication=replication,
        qfs=_qfs(section.section("qfs", usual="version"), base, named or None),
        hdfs=HdfsConfig(jars=section.section("hdfs").take("jars", read.local_path(base), default.hdfs.jars)),
        shared=SharedConfig(path=section.section("shared", usual="path").take("path", _SHARED_PATH, None)),
        copies=_copies(section.section("copies")),
        scrub=_scrub(section.section("scrub")),
    )


def _copies(section: Section) -> CopiesConfig:
    default = _DEFAULT.storage.copies
    return CopiesConfig(
        nodes=section.take("nodes", read.integer(0, 8), default.nodes),
        all_days=section.take("all_days", read.integer(1, 3650), default.all_days),
        daily_days=section.take("daily_days", read.integer(0, 3650), default.daily_days),
        weekly_days=section.take("weekly_days", read.integer(0, 3650), default.weekly_days),
    )


def _scrub(section: Section) -> ScrubConfig:
    default = _DEFAULT.storage.scrub
    return ScrubConfig(
        hour=section.take("hour", read.integer(0, 23), default.hour),
        rate_mib=section.take("rate", read.mebibytes(0), default.rate_mib),
    )


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
        delta=section.take("delta", _BOOLEAN, default.delta),
        conf=tuple(_spark_conf(section.section("conf", is_open=True))),
    )


def _spark_conf(section: Section) -> Iterator[tuple[str, str]]:
    setting = read.setting()
    for name in section.table.entries:
        if not SPARK_KEY.fullmatch(name):
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
        jupyter=section.take("jupyter", PORT, default.jupyter),
        spark_ui=section.take("spark_ui", PORT, default.spark_ui),
        app_ui=section.take("app_ui", PORT, default.app_ui),
        qfs_ui=section.take("qfs_ui", PORT, default.qfs_ui),
        hdfs_ui=section.take("hdfs_ui", PORT, default.hdfs_ui),
        history=section.take("history", PORT, default.history),
    )


def _registry(section: Section) -> RegistryConfig:
    default = _DEFAULT.registry
    return RegistryConfig(port=section.take("port", PORT, default.port), tls=section.take("tls", _BOOLEAN, default.tls))


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

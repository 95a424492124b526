"""What was found on the machines, as frozen data, and the parsers of their raw answers. Pure."""

from __future__ import annotations

import base64
import ipaddress
import json
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sparkqfs.facts.host import DiskKind, EngineFact, parse_disk_kinds, parse_engine, rows_of
from sparkqfs.facts.record import RecordFact, parse_record, same_text


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFact:
    """One path on a node. `kind` is `directory`, `file`, `link`, `other` or `missing`."""

    path: PurePosixPath
    kind: str
    uid: int = -1
    gid: int = -1
    mode: int = 0
    empty: bool = True
    """Nothing is in it, but for the `lost+found` of a new file system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFact:
    """One data directory of a node. Sizes are bytes; `marker` is the cluster id found on it."""

    path: PurePosixPath
    marker: str | None
    cluster: str | None = None
    """Name of the cluster whose data this is, as it lies beside the id."""
    free_bytes: int
    total_bytes: int
    has_blocks: bool
    """There are files that hold the storage's data."""
    blocks: int = 0
    """Their number, and below it their size: only where it was asked for that they are counted."""
    block_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFact:
    """One running container. `stack` is empty for one outside any stack."""

    name: str
    stack: str
    sources: tuple[PurePosixPath, ...]
    """Directories of the machine that are mounted in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageLayout:
    """Where a storage keeps its state on the machines; names under each data directory."""

    top: str
    """Directory that carries the marker, for example `qfs`."""
    blocks: str
    """Directory of the data, under `top`."""
    block_files: str
    """Words for find(1), true for a file that holds data."""
    block_number: str
    """Pattern of awk(1) for the beginning of a block's file name, up to and with its number."""
    metadata: tuple[str, ...]
    """Directories of the metadata, under the manager's first `top`."""
    metadata_script: str
    """Shell lines that look at `$base` and set n, l, latest, when, fsid, kib and init (see `MetaFact`)."""
    undo_script: str
    """Shell lines that remove what an init that did not end has left in `$base`, by name, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaFact:
    """The directories of the storage's metadata on the manager."""

    checkpoints: int = 0
    logs: int = 0
    latest: bool = False
    date: str | None = None
    file_system_id: str | None = None
    bytes: int = 0
    init: str = ""
    """`begun`: all that is there was left by an init that did not end; `unused`: an init ended, and no daemon has
    written anything since; empty: there is nothing, or more than that."""

    @property
    def exists(self) -> bool:
        """True when a file system is there, whole or in part; not for what an init that did not end has left."""
        return self.init != "begun" and (self.latest or self.checkpoints > 0 or self.logs > 0)

    @property
    def is_whole(self) -> bool:
        """True when a daemon finds what it starts from."""
        return self.exists and self.latest and self.checkpoints > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryFact:
    """A copy of what is root's alone on the manager (plan/cluster/recovery.py): the words in it that are not secret."""

    cluster: str
    cluster_id: str
    storage: str
    """The storage's kind, which the id belongs to."""
    written: int
    material: str
    """What `NodeFacts.material` was on the manager."""
    state: str
    """A sum of all that it tells."""
    whole: bool
    """True when its own sum is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What one machine said. Memory is MiB, clock seconds since the epoch."""

    name: str
    hostname: str = ""
    architecture: str = ""
    boot: str = ""
    """The kernel's number for the time since its last start; containers of one machine share it."""
    bits: int = 64
    """Of the system's programs: a kernel of 64 bits may have one of 32."""
    lacking_flags: tuple[str, ...] = ()
    """What a CPU of x86-64 cannot do that those since about 2009 can, as /proc/cpuinfo calls it."""
    cores: int = 0
    memory_mib: int = 0
    clock_s: float = 0.0
    clock_end_s: float = 0.0
    """At the end of the machine's answer; 0 where it does not say."""
    clock_skew_s: float = 0.0
    engine_version: str | None = None
    has_dockerd: bool = False
    """The engine's program is there, whether or not it runs."""
    is_podman: bool = False
    """What is called `docker` there is Podman."""
    swarm_state: str = "inactive"
    swarm_node_id: str = ""
    swarm_cluster_id: str = ""
    swarm_address: str = ""
    user_by_name: tuple[str, int] | None = None
    user_by_id: tuple[str, int] | None = None
    group_by_name: tuple[str, int] | None = None
    group_by_id: tuple[str, int] | None = None
    paths: dict[PurePosixPath, PathFact] = field(default_factory=dict)
    disks: tuple[DiskFact, ...] = ()
    containers: tuple[ContainerFact, ...] | None = None
    """What runs there; `None` where no engine lists it."""
    meta: MetaFact = MetaFact()
    trusted_ca: str | None = None
    """SHA-256 of the registry certificate that this machine's engine trusts."""
    ca_pem: str | None = None
    """The cluster's CA certificate (manager only)."""
    daemon_json: str | None = None
    """The text of the engine's /etc/docker/daemon.json."""
    insecure_registries: tuple[str, ...] = ()
    """Registries (`host:port`) and ranges of addresses to which the running engine talks plain HTTP."""
    restoring: bool = False
    """A restore has begun and has not ended (manager only)."""
    has_secrets: bool = False
    records: tuple[RecordFact, ...] = ()
    """Every copy of the record of a cluster that is on this machine, of this cluster or of another."""
    has_memory: bool = True
    """/var/lib/sparkqfs can be written; where it cannot, the machine remembers nothing."""
    metadata_in: tuple[PurePosixPath, ...] = ()
    """The data directories in which there is metadata of a file system, whole or in part, but for the manager's first,
    for which `meta` says it.
    """
    secret_names: tuple[str, ...] | None = None
    """Names of the secrets that are there; `None` where they were not listed."""
    material: str | None = None
    """One sum of the secrets, the CA and the registry's certificate (manager only); `None` where there are none."""
    recovery: RecoveryFact | None = None
    """The copy of them that this machine keeps."""
    routes: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    """TCP ports that something listens on."""
    engine: EngineFact | None = None
    """How the engine is set up; `None` where none says."""
    disk_kinds: tuple[DiskKind, ...] = ()
    lacking_modules: tuple[str, ...] = ()
    """Modules that the kernel cannot load."""
    forwards: bool = True
    """The kernel passes packets on between networks; said only where an engine answers, which turns that on."""
    strict_memory: bool = False
    """The kernel promises no more memory than there is (vm.overcommit_memory = 2)."""

    def accepts_plain_http(self, registry: str) -> bool:
        """True when the running engine would talk plain HTTP to `host:port`, for its name or its range of addresses."""
        if registry in self.insecure_registries:
            return True
        try:
            address = ipaddress.ip_address(registry.rpartition(":")[0])
        except ValueError:
            return False  # a name: which address it has on that machine is not known here
        ranges = (entry for entry in self.insecure_registries if "/" in entry)
        return any(address in ipaddress.ip_network(entry, strict=False) for entry in ranges)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPathFact:
    """The shared directory as one machine sees it."""

    state: str
    """`written` (the token), `seen`, `unseen`, `usable` (no token was looked for), `unprepared` (the cluster's own
    directory is missing), `unusable`, or `silent` (no answer in time)."""
    why: str = ""
    """What stands against using it, in the machine's words."""
    mount: str = "unknown"
    """The file system that the path is on, for example `nfs4 on server:/export`."""


def parse_node(name: str, text: str) -> NodeFacts:
    """Read the lines `key<TAB>value…` that remote/facts.sh prints. Raises `ValueError` on another shape."""
    values = rows_of(text)

    def one(key: str, default: str = "") -> str:
        rows = values.get(key)
        return rows[0][0] if rows and rows[0] else default

    swarm = json.loads(one("swarm") or "{}") or {}
    paths = {fact.path: fact for fact in map(_path_fact, values.get("path", []))}
    return NodeFacts(
        name=name,
        hostname=one("hostname"),
        architecture=one("arch"),
        boot=one("boot"),
        bits=32 if one("bits") == "32" else 64,
        lacking_flags=tuple(row[0] for row in values.get("lacks_flag", []) if row),
        cores=int(one("cores", "0")),
        memory_mib=int(one("memory_kib", "0")) // 1024,
        clock_s=float(one("clock", "0")),
        clock_end_s=float(one("clock_end", "0")),
        engine_version=one("engine") or None,
        has_dockerd=one("dockerd") == "yes",
        is_podman=one("podman") == "yes",
        swarm_state=str(swarm.get("LocalNodeState") or "inactive"),
        swarm_node_id=str(swarm.get("NodeID") or ""),
        swarm_cluster_id=str((swarm.get("Cluster") or {}).get("ID") or ""),
        swarm_address=str(swarm.get("NodeAddr") or ""),
        user_by_name=_account(one("user_name")),
        user_by_id=_account(one("user_id")),
        group_by_name=_account(one("group_name")),
        group_by_id=_account(one("group_id")),
        paths=paths,
        disks=tuple(_disk_fact(row) for row in values.get("disk", [])),
        containers=tuple(map(_container_fact, values.get("container", []))) if "containers" in values else None,
        meta=_meta_fact(values.get("meta", [[]])[0]),
        trusted_ca=one("trusted_ca") or None,
        ca_pem="\n".join(row[0] for row in values.get("ca", [])) + "\n" if "ca" in values else None,
        daemon_json=base64.b64decode(one("daemon_json")).decode(errors="replace") if "daemon_json" in values else None,
        insecure_registries=_insecure_registries(values.get("swarm", [[]])[0]),
        restoring=one("restoring") == "yes",
        has_secrets=one("secrets") == "yes",
        records=parse_records(values),
        has_memory=one("memory", "yes") == "yes",
        metadata_in=tuple(PurePosixPath(row[0]) for row in values.get("metadata_in", []) if row),
        secret_names=_names(values.get("secrets", [[]])[0]),
        material=one("material") or None,
        recovery=_recovery_fact(values.get("recovery", [[]])[0]),
        routes=tuple(row[0] for row in values.get("route", []) if row),
        engine=parse_engine(values),
        disk_kinds=parse_disk_kinds(values),
        lacking_modules=tuple(row[0] for row in values.get("lacks_module", []) if row),
        forwards=one("forwards") != "0",
        strict_memory=one("overcommit") == "2",
        ports=tuple(sorted({int(row[0]) for row in values.get("port", []) if row and row[0].isdigit()})),
    )


def parse_records(values: dict[str, list[list[str]]]) -> tuple[RecordFact, ...]:
    """From the lines of remote/records.sh: `record<TAB>path<TAB>first line<TAB>sum`, `record_rest<TAB>sum<TAB>rest`; of
    a small file `record<TAB>path<TAB>all of it<TAB>whole`.
    """
    rests = {"whole": ""} | {row[0]: same_text(row[1]) for row in values.get("record_rest", []) if len(row) == 2}
    rows = [row for row in values.get("record", []) if len(row) == 3]
    return tuple(parse_record(path, head, rests.get(sum_) if sum_ else None) for path, head, sum_ in rows)


def parse_shared_path(text: str) -> SharedPathFact:
    """Read the lines `key<TAB>value…` that remote/shared_token.sh prints. Raises `ValueError` on others."""
    lines = text.splitlines()
    if not lines or lines[-1] != "end":
        raise ValueError("it is cut off")
    values = {key: rest for key, *rest in (line.split("\t") for line in lines)}
    state, why = values.get("state", [])
    kind, _, source = "".join(values.get("mount", [])).partition(" ")
    return SharedPathFact(state=state, why=why, mount=f"{kind} on {source}" if source else "unknown")


def _insecure_registries(engine: list[str]) -> tuple[str, ...]:
    """From the engine's answer `swarm<TAB>registries`, both JSON."""
    found = json.loads(engine[1]) if len(engine) > 1 and engine[1] else None
    if not isinstance(found, dict):
        return ()
    named = [name for name, index in (found.get("IndexConfigs") or {}).items() if not index["Secure"]]
    return (*named, *(found.get("InsecureRegistryCIDRs") or ()))


def _account(line: str) -> tuple[str, int] | None:
    """`name:x:number:…` of getent."""
    fields = line.split(":")
    return (fields[0], int(fields[2])) if len(fields) > 2 else None


def _path_fact(row: list[str]) -> PathFact:
    path, kind, uid, gid, mode, empty = row
    return PathFact(
        path=PurePosixPath(path),
        kind=kind,
        uid=int(uid or -1),
        gid=int(gid or -1),
        mode=int(mode or "0", 8),
        empty=empty == "yes",
    )


def _disk_fact(row: list[str]) -> DiskFact:
    path, marker, cluster, total_kib, free_kib, has_blocks, blocks, block_kib = row
    return DiskFact(
        path=PurePosixPath(path),
        marker=marker or None,
        cluster=cluster or None,
        total_bytes=int(total_kib or 0) * 1024,
        free_bytes=int(free_kib or 0) * 1024,
        has_blocks=has_blocks == "yes",
        blocks=int(blocks or 0),
        block_bytes=int(block_kib or 0) * 1024,
    )


def _container_fact(row: list[str]) -> ContainerFact:
    """Of `docker ps`: a mounted volume is there by its name, a directory by its path."""
    name, stack, mounts = row
    sources = tuple(PurePosixPath(source) for source in mounts.split(",") if source.startswith("/"))
    return ContainerFact(name=name, stack=stack, sources=sources)


def _names(row: list[str]) -> tuple[str, ...] | None:
    return tuple(row[1].split()) if len(row) > 1 else None


def _recovery_fact(row: list[str]) -> RecoveryFact | None:
    if not row:
        return None
    cluster, cluster_id, storage, written, material, state, whole = row
    return RecoveryFact(
        cluster=cluster,
        cluster_id=cluster_id,
        storage=storage,
        written=int(written) if written.isdecimal() and len(written) < 17 else 0,
        material=material,
        state=state,
        whole=whole == "yes",
    )


def _meta_fact(row: list[str]) -> MetaFact:
    if not row:
        return MetaFact()
    checkpoints, logs, latest, date, file_system_id, kib, init = row
    return MetaFact(
        checkpoints=int(checkpoints or 0),
        logs=int(logs or 0),
        latest=latest == "yes",
        date=date or None,
        file_system_id=file_system_id or None,
        bytes=int(kib or 0) * 1024,
        init=init,
    )

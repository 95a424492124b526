"""What is known of missing data: the counts on the page of the storage's master, and what its container remembers.

Pure. The page is parsed for what `StorageFact` does not hold; the memory is the runtime's (pages/missing_data.py).
Whatever a page says, the parsers return or raise `ValueError`: what they do not understand counts as unknown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sparkqfs.amounts import amount
from sparkqfs.facts.pages import namenode_beans


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFact:
    """What the metaserver's fsck said at its last run."""

    age_s: float
    took_s: float
    is_current: bool
    """No server has come or gone since, and none has found a bad chunk."""
    lost_files: int
    """Files of which a chunk has no copy on any server that is up."""
    single_files: int
    """Files of which a chunk has one copy left although more were asked for."""
    short_blocks: int
    """With fewer copies than asked for, one at least."""
    lost_blocks: int
    """Without a copy: of lost files, or pieces that can be made again from the others."""
    files: int
    most_copies: int
    """The highest number of copies that a file asks for."""
    partial: str
    """Why not every file was looked at; empty when all were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFact:
    """What a keeper has found when it last read all that it has: runtime/sparkqfs_runtime/metadata/checking.py."""

    age_s: float
    depth: int
    ok: bool
    damaged: tuple[str, ...]
    """The first files, and what is wrong with each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueCopyFact:
    """What the master's container knows of the catalogue of tables next to a copy of its metadata."""

    age_s: float
    """Since the newest copy there and the catalogue were last the same; since the sender's start without one."""
    is_kept: bool
    """False before the first copy came there."""
    error: str
    """Why there is no newer one; empty when nothing is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataCopyFact:
    """What the master's container knows of a copy of its metadata: runtime/sparkqfs_runtime/metadata/sender.py."""

    node: str
    age_s: float | None
    """Since it last had all that the master has; `None` when it has not had that yet."""
    up_s: float
    """Since the master's container began to send."""
    bytes: int
    history: int
    """Its number; another begins when the metadata does not go on from the copy."""
    verdict: str
    """`continues`, or how the copy stands against the metadata; empty before they were compared."""
    mark: str
    """Names the state of a copy that has more than the master."""
    error: str
    verified: VerifiedFact | None = None
    """`None` before the first check, and where the stack is of a version that made none."""
    catalogue: CatalogueCopyFact | None = None
    """`None` where the stack has no metastore, or is of a version that did not copy its catalogue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFact:
    """What the master's container remembers: pages/missing_data.py, `Watcher.document`."""

    up_s: float
    """Since it began to look."""
    look_age_s: float | None
    """Since it last had an answer; `None` when it never had one."""
    ready: bool
    """False while the master waits for its servers, and nothing can be said of the files."""
    missing: int | None
    """Copies that are still to be made."""
    copying: int
    held: int
    """Servers that the master still waits for before it copies what they had."""
    per_minute: float
    still_s: float
    """Seconds without a new copy, while some are missing and none is held back."""
    place: str
    """Why no copy can be made; empty when one can."""
    check_s: float | None
    """Seconds between two checks; `None` where none is needed."""
    check: CheckFact | None
    error: str
    """Why the last look or check failed; empty when it did not."""
    metadata_copies: tuple[MetadataCopyFact, ...] | None = None
    """`None` where the stack is of a version that made none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFact:
    """The counts on the page, and the memory or why there is none."""

    lost_blocks: int | None = None
    """HDFS: blocks without a copy; `None` where the page does not know."""
    lost_single: int = 0
    """Of these, those that were to have one copy only."""
    bad: int = 0
    """QFS: chunks that the servers have found corrupt or lost since they started. HDFS: blocks with a corrupt copy."""
    missing: int | None = None
    """HDFS: copies that are still to be made."""
    copying: int = 0
    lost_directories: tuple[str, ...] = ()
    """Data directories out of service, as `10.0.0.2: /data/qfs/chunk`; HDFS gives a number and no name."""
    checkpoint_failures: int = 0
    """Of the metaserver, in a row."""
    retiring: tuple[str, ...] = ()
    """Servers that give their data away or are out of service on purpose."""
    stale: int = 0
    """HDFS: datanodes that have been silent for longer than they should."""
    gone: tuple[str, ...] = ()
    """Addresses that the master remembers and that are not up; in QFS also one that a container had before."""
    memory: MemoryFact | str = field(default="not asked")


def parse_qfs_health(body: object, memory: MemoryFact | str) -> HealthFact:
    """Read `/query/meta`. Source: QFS 2.2.8, webui/qfsstatus.py, and ChunkServer.cc (`Ping`). Raises `ValueError`."""
    if not isinstance(body, Mapping) or not isinstance(body.get("systemInfo"), Mapping):
        raise ValueError("no `systemInfo` in the QFS status server's answer")
    info = body["systemInfo"]
    up, down = tuple(_mappings(body.get("upServers"))), tuple(_mappings(body.get("downServers")))
    here = {_address(server) for server in up}
    leaving = (*_mappings(body.get("retiringServers")), *_mappings(body.get("evacuatingServers")))
    return HealthFact(
        bad=sum(_count(server.get(key)) for server in up for key in ("ncorrupt", "nlost")),
        copying=_count(info.get("replications")),
        lost_directories=tuple(
            f"{server.get('host')}: {directory}"
            for server in up
            for directory in _text(server.get("lostChunkDirs")).split(";")
            if directory.strip()
        ),
        checkpoint_failures=_count(info.get("checkpointConsecutiveFailures")),
        retiring=tuple(sorted({_text(server.get("host")) for server in leaving})),
        gone=tuple(sorted({_text(server.get("host")) for server in down if _address(server) not in here})),
        memory=memory,
    )


def parse_hdfs_health(body: object, memory: MemoryFact | str) -> HealthFact:
    """Read the beans of `/jmx`. Source: Hadoop 3, FSNamesystem and NameNodeMXBean. Raises `ValueError`."""
    beans = namenode_beans(body)
    info, system = beans["NameNodeInfo"], beans["FSNamesystem"]
    lost, pending = _count(system.get("MissingBlocks")), _count(system.get("PendingReplicationBlocks"))
    state = beans.get("FSNamesystemState", {})
    volumes = max(_count(one.get("VolumeFailuresTotal")) for one in (system, state))
    return HealthFact(
        lost_blocks=lost,
        lost_single=max(
            _count(system.get("MissingReplOneBlocks")),
            _count(info.get("NumberOfMissingBlocksWithReplicationFactorOne")),
        ),
        bad=_count(system.get("CorruptBlocks")),
        # Blocks without a copy are among those with too few; those that are being copied are not.
        missing=max(0, _count(system.get("UnderReplicatedBlocks")) - lost) + pending,
        copying=pending,
        lost_directories=(f"{amount(volumes, 'volume')} of the datanodes",) if volumes else (),
        retiring=tuple(
            sorted(
                _host(server)
                for server in _servers(info.get("LiveNodes"))
                if _text(server.get("adminState")) not in ("", "In Service")
            )
        ),
        stale=max(
            _count(one.get("StaleDataNodes")) for one in (system, {"StaleDataNodes": state.get("NumStaleDataNodes")})
        ),
        gone=tuple(sorted(_host(server) for server in _servers(info.get("DeadNodes")))),
        memory=memory,
    )


def parse_memory(body: object) -> MemoryFact:
    """Read the page `health_path` of the master. Raises `ValueError` on another shape."""
    if not isinstance(body, Mapping) or body.get("schema") != 1:
        raise ValueError("no answer of missing_data of schema 1")
    look, check = body.get("look"), body.get("check")
    looked: Mapping[object, object] = look if isinstance(look, Mapping) else {}
    missing, interval = body.get("missing"), body.get("check_s")
    return MemoryFact(
        up_s=_seconds(body.get("up_s")),
        look_age_s=_seconds(looked.get("age_s")) if looked else None,
        ready=looked.get("ready") is True,
        missing=None if missing is None else _count(missing),
        copying=_count(looked.get("copying")),
        held=_count(looked.get("held")),
        per_minute=_seconds(body.get("per_minute")),
        still_s=_seconds(body.get("still_s")),
        place=_text(looked.get("place")),
        check_s=None if interval is None else _seconds(interval),
        check=_check(check) if isinstance(check, Mapping) else None,
        error=_text(body.get("look_error")) or _text(body.get("check_error")),
        metadata_copies=tuple(map(_copy, _mappings(body.get("copies")))) if "copies" in body else None,
    )


def _copy(found: Mapping[object, object]) -> MetadataCopyFact:
    age, verified = found.get("age_s"), found.get("verified")
    return MetadataCopyFact(
        node=_text(found.get("node")),
        age_s=None if age is None else _seconds(age),
        up_s=_seconds(found.get("up_s")),
        bytes=_count(found.get("bytes")),
        history=_count(found.get("history")),
        verdict=_text(found.get("verdict")),
        mark=_text(found.get("mark")),
        error=_text(found.get("error")),
        verified=_verified(verified) if isinstance(verified, Mapping) else None,
        catalogue=_catalogue(names) if isinstance(names := found.get("catalogue"), Mapping) else None,
    )


def _catalogue(found: Mapping[object, object]) -> CatalogueCopyFact:
    return CatalogueCopyFact(
        age_s=_seconds(found.get("age_s")), is_kept=found.get("is_kept") is True, error=_text(found.get("error"))
    )


def _verified(found: Mapping[object, object]) -> VerifiedFact:
    damaged = found.get("damaged")
    return VerifiedFact(
        age_s=_seconds(found.get("age_s")),
        depth=_count(found.get("depth")),
        ok=found.get("ok") is True,
        damaged=tuple(map(str, damaged)) if isinstance(damaged, list) else (),
    )


def _check(found: Mapping[object, object]) -> CheckFact:
    return CheckFact(
        age_s=_seconds(found.get("age_s")),
        took_s=_seconds(found.get("took_s")),
        is_current=found.get("is_current") is True,
        lost_files=_count(found.get("lost_files")),
        single_files=_count(found.get("single_files")),
        short_blocks=_count(found.get("short_chunks")),
        lost_blocks=_count(found.get("lost_chunks")),
        files=_count(found.get("files")),
        most_copies=_count(found.get("most_copies")),
        partial=_text(found.get("partial")),
    )


def _mappings(value: object) -> Iterator[Mapping[object, object]]:
    """The mappings of a list; nothing of anything else."""
    for item in value if isinstance(value, list) else ():
        if isinstance(item, Mapping):
            yield item


def _servers(text: object) -> Iterator[Mapping[object, object]]:
    """`LiveNodes` and `DeadNodes`: JSON in a string, name → what is known."""
    try:
        found = json.loads(text) if isinstance(text, str) and text else {}
    except (ValueError, RecursionError):
        return
    yield from _mappings(list(found.values()) if isinstance(found, Mapping) else None)


def _host(server: Mapping[object, object]) -> str:
    return _text(server.get("xferaddr")).rpartition(":")[0]


def _address(server: Mapping[object, object]) -> tuple[str, str]:
    return _text(server.get("host")), _text(server.get("port"))


def _text(value: object) -> str:
    return str(value)[:1000] if isinstance(value, (str, int, float)) else ""


def _seconds(value: object) -> float:
    """A number of zero or more; what is none counts as zero."""
    try:
        found = float(value) if isinstance(value, (str, int, float)) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return found if math.isfinite(found) and found > 0 else 0.0


def _count(value: object) -> int:
    return int(_seconds(value))

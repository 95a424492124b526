"""What a backup consists of: its files, what is written down of them, and the parser. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ExitCode, Problem

SCHEMA = 1
METADATA, NAMES, RECOVERY, ABOUT, SUMS = "metadata.tar", "names.gz", "recovery.json", "backup.json", "SHA256SUMS"
PARTS = (METADATA, NAMES, RECOVERY)
VERIFIED = "verified.json"
"""Beside them: what the last `backup.verify` has found. It is in no sum."""
FOLDER = re.compile(r"\d{8}T\d{6}Z(-\d{1,4})?")
"""The name of a backup's directory: the time in UTC; of several in one second the later ones have a number."""
MAX_ABOUT = 1 << 20
SUM_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z.0-9]+)")
_WORD = re.compile(r"[0-9A-Za-z._:-]{1,255}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """One file of a backup."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the log of the metadata stood."""

    log: str
    size: int
    operation: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamesPart:
    """The list of names, and where the log stood before and after it was made."""

    exact: bool
    """Nothing was written meanwhile: it is one state."""
    tries: int
    before: Position
    after: Position
    files: int
    directories: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataPart:
    """The state of the metadata."""

    source: str
    """`master`, `copy` or `disk`."""
    node: str
    file_system: str
    at: float
    """Seconds since the epoch: when it was on a disk."""
    operation: int | None
    """The last one in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """backup.json."""

    cluster: str
    cluster_id: str
    kind: str
    time: float
    """Seconds since the epoch, this computer's clock."""
    metadata: MetadataPart | None
    """`None` where the storage keeps no metadata with us."""
    names: NamesPart | None
    """`None` where no storage ran that could have been asked."""
    recovery_node: str | None
    """Where recovery.json is from; `None` where it was not to be had."""
    lacks: tuple[str, ...] = ()
    """What is missing, and why."""
    files: dict[str, FilePart] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(part.bytes for part in self.files.values())

    def is_of(self, config: ClusterConfig) -> bool:
        """Of this cluster, and of the kind of storage that it has now."""
        return self.cluster == config.name and self.kind == config.storage.kind

    def text(self) -> str:
        """The file."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, sort_keys=True) + "\n"


LATEST = 1e11
"""Seconds since the epoch: no time is later."""


def parse_manifest(text: str) -> Manifest:
    """Raises `ValueError` with what is wrong."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or found.pop("schema", None) != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}: another version of sparkqfs wrote it")
        names, metadata = found.pop("names"), found.pop("metadata")
        files = {name: FilePart(**part) for name, part in found.pop("files").items()}
        lacks = tuple(map(str, found.pop("lacks")))
        made = Manifest(
            names=_names(names) if names is not None else None,
            metadata=MetadataPart(**metadata) if metadata is not None else None,
            files=files,
            lacks=lacks,
            **found,
        )
        _check(made)
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"it has another shape ({error})") from error
    return made


def _names(found: dict[str, Any]) -> NamesPart:
    before, after = Position(**found.pop("before")), Position(**found.pop("after"))
    return NamesPart(before=before, after=after, **found)


def _check(made: Manifest) -> None:
    if not all(_WORD.fullmatch(word) for word in (made.cluster, made.cluster_id, made.kind)):
        raise ValueError("cluster, id or kind have characters that do not belong there")
    if not set(made.files) <= set(PARTS):
        raise ValueError("it names files that are not of a backup")
    if any(not _DIGEST.fullmatch(part.sha256) or part.bytes < 0 for part in made.files.values()):
        raise ValueError("a checksum or a length in it is wrong")
    times = [made.time, *([made.metadata.at] if made.metadata is not None else [])]
    if not all(0 <= time < LATEST for time in times):
        raise ValueError("a time in it is wrong")
    wanted = {METADATA: made.metadata, NAMES: made.names, RECOVERY: made.recovery_node}
    for name, told in wanted.items():
        if (told is not None) != (name in made.files):
            raise ValueError(f"it tells of {name} in one place and not in the other")


def sums_text(digests: Mapping[str, str]) -> str:
    """SHA256SUMS, as sha256sum(1) reads it: of all other files."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))


def damage(name: str, what: str) -> Problem:
    """A file of a backup that is not as it was written."""
    return Problem(what=f"{name}: {what}", code=ExitCode.FAILED)

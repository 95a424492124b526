"""What a cluster is, as its machines remember it, and the parser of one copy: bounded, for anything may be there."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

SCHEMA = 1
MAX_BYTES = 1 << 20
"""Of one copy: 1,000 nodes of 20 disks are less. sparkqfs/remote/records.sh reads one byte more."""
MAX_NUMBER = 1 << 53
"""A serial number that has come this far stays there: a copy with a higher one could not be read."""
_NODE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_CLUSTER = re.compile(r"[a-z][a-z0-9-]{0,30}")
_KIND = re.compile(r"[a-z][a-z0-9-]{0,15}")
_ID = re.compile(r"[a-z0-9-]{0,64}")
_FILE_SYSTEM_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_PATH = re.compile(r"/[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,4095}")


class DiskName(NamedTuple):
    """A data directory by the node that it belongs to and its number there, from 0; its path is information only."""

    node: str
    number: int

    def __str__(self) -> str:
        return f"{self.node}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRecord:
    """What a cluster with one kind of storage is."""

    cluster: str
    id: str
    """Of `.cluster-id`; empty for a storage without markers."""
    storage: str
    """The kind."""
    serial: int = 1
    """Grows with every change: of several copies the highest counts."""
    initialised: bool = False
    """A file system was made: a directory that looks new is not."""
    confirmed: bool = False
    """It may be begun, although the cluster has files in another kind of storage or in other directories: somebody has
    said so. Over as soon as there is a file system, or another kind of storage is used again.
    """
    file_system_id: str | None = None
    """The storage's own, where it is known."""
    metadata: DiskName
    """The disk with the names of all files."""
    disks: dict[DiskName, PurePosixPath] = field(default_factory=dict)
    shared_path: PurePosixPath | None = None
    """Where a storage without markers keeps its files."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that have a disk, in order."""
        return tuple(self.disks_by_node)

    @property
    def disks_by_node(self) -> dict[str, tuple[DiskName, ...]]:
        """The disks of each node, nodes and numbers in order."""
        found: dict[str, list[DiskName]] = {}
        for disk in sorted(self.disks):
            found.setdefault(disk.node, []).append(disk)
        return {node: tuple(disks) for node, disks in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFact:
    """One copy as it was found on a machine: a record, or why it cannot be read."""

    path: PurePosixPath
    record: ClusterRecord | None = None
    node: str = ""
    """The node on which it was written."""
    disk: DiskName | None = None
    """The disk that it was written on; `None` for a copy outside the data disks."""
    fault: str = ""
    is_newer: bool = False
    """A later version of this program has written it: it is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What the manager remembers of its cluster."""

    copies: tuple[RecordFact, ...] = ()
    is_restoring: bool = False
    """A restore was begun and has not ended."""


def text_of(record: ClusterRecord, node: str, disk: DiskName | None = None) -> str:
    """One copy as it is written: the first line says where it belongs, the rest is the same everywhere."""
    return line_of(node, disk) + body_of(record)


def line_of(node: str, disk: DiskName | None) -> str:
    """The first line of a copy."""
    here: dict[str, object] = {"node": node} if disk is None else {"node": disk.node, "disk": disk.number}
    return f'{{"here": {json.dumps(here)},\n'


def body_of(record: ClusterRecord) -> str:
    """The other lines of every copy."""
    disks: dict[str, dict[str, str]] = {}
    for name in sorted(record.disks):
        disks.setdefault(name.node, {})[str(name.number)] = str(record.disks[name])
    body = {
        "schema": SCHEMA,
        "cluster": record.cluster,
        "id": record.id,
        "storage": record.storage,
        "serial": record.serial,
        "initialised": record.initialised,
        "confirmed": record.confirmed,
        "file_system_id": record.file_system_id,
        "metadata": {"node": record.metadata.node, "disk": record.metadata.number},
        "nodes": disks,
        "shared_path": str(record.shared_path) if record.shared_path is not None else None,
    }
    return f'"record": {json.dumps(body, indent=1)}}}\n'


def next_serial(serial: int) -> int:
    """The serial number of a record that was changed."""
    return min(serial + 1, MAX_NUMBER - 1)


def parse_record(path: str, head: str, rest: str | None) -> RecordFact:
    """Read a copy: its first line and the rest, both in base64; `None` where the machine could not read the file.

    The rest is the same in most copies of a cluster, and is read once.
    """
    place = PurePosixPath(path)
    if rest is None:
        return RecordFact(path=place, fault="it is not a regular file")
    if len(head) + len(rest) > MAX_BYTES * 4 // 3 + 8:
        return RecordFact(path=place, fault=f"it is larger than {MAX_BYTES} bytes")
    try:
        line, _, body = _decoded(head).partition(b"\n")
        try:
            return _fact(place, line, _parsed(body + _decoded(rest)) if body or not rest else _parsed_base64(rest))
        except (_NewerError, binascii.Error):
            raise
        except (ValueError, RecursionError):  # written by hand, in other lines
            return _other_lines(place, _decoded(head) + _decoded(rest))
    except binascii.Error:
        return RecordFact(path=place, fault="the machine's answer is garbled")
    except _NewerError as error:
        return RecordFact(path=place, fault=str(error), is_newer=True)
    except (ValueError, RecursionError):
        return RecordFact(path=place, fault="it is not a record of a cluster, or it is damaged")


@functools.lru_cache(maxsize=64)
def same_text(text: str) -> str:
    """The first text that was equal to this one: comparing it with itself takes no time."""
    return text


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise binascii.Error(str(error)) from error


class _NewerError(Exception):
    """A later schema."""


def _fact(place: PurePosixPath, line: bytes, record: ClusterRecord) -> RecordFact:
    """Of the first line, `{"here": {…},`, and what came after it."""
    here = _table(_table(_json(line.strip().removesuffix(b",") + b"}")).get("here"))
    node = _text(here.get("node"), _NODE)
    disk = DiskName(node, _number(here["disk"])) if "disk" in here else None
    return RecordFact(path=place, record=record, node=node, disk=disk)


def _other_lines(place: PurePosixPath, text: bytes) -> RecordFact:
    document = _table(_json(text))
    parts = (json.dumps({"here": document.get("here")}), json.dumps({"record": document.get("record")}))
    return _fact(place, parts[0][:-1].encode(), _parsed(parts[1][1:].encode()))


def _json(text: bytes) -> object:
    return json.loads(text.decode("utf-8"))


@functools.lru_cache(maxsize=8)
def _parsed_base64(text: str) -> ClusterRecord:
    return _parsed(_decoded(text))


@functools.lru_cache(maxsize=64)
def _parsed(text: bytes) -> ClusterRecord:
    """What comes after the first line: `"record": {…}}`."""
    body = _table(_table(_json(b"{" + text)).get("record"))
    schema = _number(body.get("schema"))
    if schema > SCHEMA:
        raise _NewerError(f"a newer version has written it (schema {schema})")
    return _record(body)


def _record(body: dict[str, object]) -> ClusterRecord:
    file_system_id, shared, initialised = (body.get(key) for key in ("file_system_id", "shared_path", "initialised"))
    metadata = _table(body.get("metadata"))
    confirmed = body.get("confirmed", False)
    if not isinstance(initialised, bool) or not isinstance(confirmed, bool):
        raise ValueError("not a truth value")
    disks = {
        DiskName(_text(node, _NODE), _number(int(number))): PurePosixPath(_text(path, _PATH))
        for node, paths in _table(body.get("nodes")).items()
        for number, path in _table(paths).items()
        if len(number) < 8
    }
    return ClusterRecord(
        cluster=_text(body.get("cluster"), _CLUSTER),
        id=_text(body.get("id"), _ID),
        storage=_text(body.get("storage"), _KIND),
        serial=_number(body.get("serial")),
        initialised=initialised,
        confirmed=confirmed,
        file_system_id=None if file_system_id is None else _text(file_system_id, _FILE_SYSTEM_ID),
        metadata=DiskName(_text(metadata.get("node"), _NODE), _number(metadata.get("disk"))),
        disks=disks,
        shared_path=None if shared is None else PurePosixPath(_text(shared, _PATH)),
    )


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("not a table")
    return value


def _text(value: object, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError("not a text of the right form")
    return value


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_NUMBER:
        raise ValueError("not a number")
    return value

"""What a metaserver or a namenode answers about missing data. Used by missing_data. Standard library only."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

LOOK_TIMEOUT_S = 10.0
CHECK_TIMEOUT_S = 120.0
MAX_BYTES = 64 << 20
"""Of one answer; the metaserver's own limit for a report of fsck is 20 MiB."""
MAX_LINE = 4 << 20


class Unasked(Exception):
    """No answer, or one that is not understood. The text says why."""


@dataclass(frozen=True)
class Look:
    """The master's counts."""

    mark: tuple[object, ...]
    """Another one is a reason to check the files again."""
    ready: bool
    """False while the master still waits for its servers: what is missing then is not lost."""
    missing: int | None
    """Copies that are still to be made, of data that is there; `None` where only a check knows."""
    copying: int = 0
    """Copies that are being made now."""
    held: int = 0
    """Servers that went away so lately that the master still waits for them before it copies."""
    place: str = ""
    """Why no copy can be made; empty when one can."""
    bad: int = 0
    """Blocks that the servers have found corrupt or lost since they started."""


@dataclass(frozen=True)
class Check:
    """What a look at all files has found."""

    lost_files: int
    """A block of theirs has no copy on any server that is up. Removed files are not among them."""
    single_files: int
    """A block of theirs has one copy left, and more were asked for."""
    short_chunks: int
    """Chunks with fewer copies than asked for, but one at least."""
    lost_chunks: int
    """Chunks without a copy: of lost files, or pieces that can be made again from the others."""
    files: int
    chunks: int
    most_copies: int
    """The highest number of copies that was asked for."""
    run_s: float
    """Seconds that the metaserver's child worked."""
    removed_files: int = 0
    """Lost ones that were removed in the last minutes: QFS keeps them for a while in /dumpster."""
    partial: str = ""
    """Why not all files were looked at."""

    @property
    def missing(self) -> int:
        """Copies that can be made."""
        return self.short_chunks + (0 if self.lost_files or self.removed_files else self.lost_chunks)


class Source(Protocol):
    """A storage's master."""

    def look(self) -> Look:
        """Cheap. Raises `Unasked`."""

    def check(self) -> Check | None:
        """Looks at every file; `None` where `look` says everything. Raises `Unasked`."""


# --- QFS -------------------------------------------------------------------------------------------------------------

COUNT = re.compile(rb"(?:\d  )?(Files|Chunks|File)(?: (?:reachable|checked) ([a-z ]+))?: (\d+)(?: [-+.e0-9]+%)?\s*")
"""A line of fsck's summary; `checked` when its time ran out."""
REMOVED = re.compile(rb"(?:[^ ]+ ){9}/dumpster/")
RUN_TIME = re.compile(rb"Fsck run time: ([0-9.]+(?:e[-+]?\d+)?) sec")
SINGLE = re.compile(rb"2 \d+ (?!1 )[1-9]\d* \d+ \d+ 0 ")
"""A line of its list: lost if one server goes down, two copies asked for at least, no pieces to make it again from."""


@dataclass(frozen=True)
class Qfs:
    """A metaserver. Source: QFS 2.2.8, src/cc/meta: LayoutManager.cc (`Ping`, `FilesChecker`), MetaRequest.cc."""

    host: str
    port: int

    @contextlib.contextmanager
    def ask(self, operation: str, timeout_s: float, *fields: str) -> Iterator[tuple[dict[str, str], BinaryIO]]:
        """The headers of the answer, and what follows them. Raises `Unasked`."""
        lines = (operation, "Version: KFS/1.0", "Cseq: 1", "Client-Protocol-Version: 116", *fields, "", "")
        try:
            with socket.create_connection((self.host, self.port), timeout_s) as connection:
                connection.sendall("\r\n".join(lines).encode())
                with connection.makefile("rb") as answer:
                    yield headers(answer), answer
        except (OSError, ValueError) as error:
            raise Unasked(f"{operation}: {error or type(error).__name__}") from error

    def look(self) -> Look:
        """The counts of a PING."""
        with self.ask("PING", LOOK_TIMEOUT_S) as (found, _):
            if "System Info" not in found or "Servers" not in found:
                raise Unasked("PING: the answer has no `System Info`")
            info = pairs(found["System Info"], "\t")
            servers = [pairs(server, ",") for server in found["Servers"].split("\t") if server.strip()]
        up = [server for server in servers if server.get("connected", "1") != "0"]
        takes = [one for one in up if number(one, "numWritableDrives") and not number(one, "overloaded")]
        bad = tuple(sum(number(server, key) for server in up) for key in ("ncorrupt", "nlost"))
        return Look(  # one that went and came back between two looks is in the history of those that went
            mark=(
                *sorted(f"{server.get('s')}:{server.get('p')}" for server in up),
                *bad,
                found.get("Down Servers", ""),
            ),
            ready=number(info, "In recovery") == 0,
            missing=None,
            copying=number(info, "Replications"),
            held=number(info, "Hibernated servers"),
            place="" if takes else "no chunkserver has room for new chunks",
            bad=sum(bad),
        )

    def check(self) -> Check:
        """The summary of FSCK, and of its list of files those with one copy left."""
        with self.ask("FSCK", CHECK_TIMEOUT_S, "Report-Abandoned-Files: 0") as (found, answer):
            length = int(found.get("Content-length", "0"))
            if not 0 < length <= MAX_BYTES:
                raise Unasked(f"FSCK: an answer of {length} bytes")
            return read_check(limited(answer, length))


def headers(answer: BinaryIO) -> dict[str, str]:
    """Raises `Unasked` when the metaserver refuses; `ValueError` or `OSError` when the answer is cut off."""
    found = fields(answer)
    if found.get("Status", "0") != "0":
        raise Unasked(found.get("Status-message") or f"status {found['Status']}")
    return found


def fields(answer: BinaryIO) -> dict[str, str]:
    """The headers, whatever the status. Raises `ValueError` or `OSError` when the answer is cut off."""
    found: dict[str, str] = {}
    size = 0
    while (line := answer.readline(MAX_LINE)) not in (b"\r\n", b"\n"):
        size += len(line)
        if not line.endswith(b"\n") or size > MAX_BYTES:
            raise ValueError("the answer is cut off")
        key, _, value = line.decode(errors="replace").partition(":")
        found[key.strip()] = value.strip()
    return found


def pairs(text: str, separator: str) -> dict[str, str]:
    """`a= 1<separator>b= 2` as a mapping."""
    split = (item.partition("=") for item in text.split(separator))
    return {key.strip(): value.strip() for key, _, value in split}


def number(values: dict[str, str], key: str) -> int:
    """A count; what is unknown is none."""
    try:
        return max(0, int(values.get(key, "0")))
    except ValueError:
        return 0


def limited(answer: BinaryIO, length: int) -> Iterator[bytes]:
    """Lines until so many bytes have been read. Raises `ValueError` when they end before."""
    while length > 0:
        line = answer.readline(min(length, MAX_LINE))
        if not line:
            raise ValueError("the answer is cut off")
        length -= len(line)
        yield line


def read_check(lines: Iterator[bytes]) -> Check:
    """A report of fsck; its list can have a hundred thousand lines, of which none is kept. Raises `ValueError`."""
    counts: dict[tuple[bytes, bytes], int] = {}
    partial, run_s, single, removed, listing = "", 0.0, 0, 0, False
    for line in lines:
        if listing:
            is_removed = REMOVED.match(line) is not None
            single += SINGLE.match(line) is not None and not is_removed
            removed += is_removed and line.startswith(b"1 ")
        elif line.startswith(b"Files: ["):
            listing = True
        elif line.startswith(b"WARNING"):
            partial = line.decode(errors="replace").strip()[:200]
        elif (match := RUN_TIME.match(line)) is not None:
            run_s = float(match[1])
        elif (match := COUNT.fullmatch(line)) is not None:
            counts[match[1], match[2] or b""] = int(match[3])
    try:
        return Check(
            lost_files=max(0, counts[b"Files", b"lost"] - removed),
            removed_files=removed,
            single_files=single,
            short_chunks=counts[b"Chunks", b"under replicated"],
            lost_chunks=counts[b"Chunks", b"lost"],
            files=counts[b"Files", b""],
            chunks=counts[b"Chunks", b""],
            most_copies=counts[b"File", b"max replication"],
            run_s=run_s,
            partial=partial,
        )
    except KeyError as error:
        raise ValueError("its report has no line for {} {}".format(*error.args[0])) from None


# --- HDFS ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hdfs:
    """A namenode, whose beans have all counts. Source: Hadoop 3, FSNamesystem and BlockManager."""

    host: str
    port: int

    def look(self) -> Look:
        """What FSNamesystem says."""
        bean, state = self.bean("FSNamesystem"), self.bean("FSNamesystemState")
        low, lost, pending = (
            bean.get(name) for name in ("UnderReplicatedBlocks", "MissingBlocks", "PendingReplicationBlocks")
        )
        if not all(isinstance(value, int) for value in (low, lost, pending)):
            raise Unasked("the bean FSNamesystem lacks a count")
        return Look(
            mark=(),
            ready=state.get("FSState") != "safeMode",
            missing=max(0, int(low or 0) - int(lost or 0)) + int(pending or 0),
            copying=int(pending or 0),
            bad=number({key: str(value) for key, value in bean.items()}, "CorruptBlocks"),
        )

    def check(self) -> None:
        """Nothing more is to be known."""

    def bean(self, name: str) -> dict[str, Any]:
        """Raises `Unasked`."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=LOOK_TIMEOUT_S)
        try:
            connection.request("GET", f"/jmx?qry=Hadoop:service=NameNode,name={name}")
            bean = json.loads(connection.getresponse().read(MAX_LINE))["beans"][0]
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, RecursionError) as error:
            raise Unasked(f"{name}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()
        if not isinstance(bean, dict):
            raise Unasked(f"{name}: not a bean")
        return bean

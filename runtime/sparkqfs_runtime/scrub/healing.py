"""What is done about a damaged chunk file: its chunkserver is made to read it, never for the last good copy.

The chunkserver compares the same checksums, tells the metaserver, moves the file into lost+found, and the metaserver
has a new copy made from another one, or from the other pieces. So those are read first, from their own chunkservers,
all of them. Source: QFS
2.2.8, src/cc/chunk: KfsOps.cc (`SizeOp`, `ReadOp`), ChunkManager.cc (`ChunkIOFailed`); src/cc/meta/MetaRequest.cc
(`MetaGetPathName`). Standard library only.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sparkqfs_runtime.pages import sources
from sparkqfs_runtime.pages.sources import Unasked
from sparkqfs_runtime.scrub.chunk_files import CHUNK_BYTES, PIECE_BYTES, Chunk, Damage, damage_of, fill_padding

ANSWER_S = 30.0
MAX_LAYOUT = 16 << 20
TRIES = 3
PAUSE_S = 2.0
"""Between two of them: the chunkserver may have the file in use, and its header in memory."""
MOVED_S = 5.0
Outcome = Literal["healed", "reported", "kept", "gone"]
"""Healed here; reported by its chunkserver, so that it is made again; left as it is; no longer a copy of ours."""


@dataclass(frozen=True)
class Copies:
    """Where a chunk is, as the metaserver says."""

    version: int
    ports: dict[str, int]
    """Of the chunkservers that have it, by their addresses."""
    file: int = 0
    offset: int = 0
    stripes: int = 0
    recovery: int = 0
    """Pieces of a group that may be missing, with Reed-Solomon: each chunk is one and has one copy."""


@dataclass(frozen=True)
class Healer:
    """Of the chunk files of one node."""

    metaserver: str
    port: int
    address: str
    """Of this node's chunkserver, as the metaserver knows it."""
    read: Callable[[int], None] = lambda _bytes: None
    """Hears of each piece that is read."""

    def heal(self, chunk: Chunk, damage: Damage) -> tuple[Outcome, str]:
        """What came of it, and why. Raises `Unasked` when the metaserver does not answer, `OSError`."""
        if damage.what == "padding":
            return ("healed", "zeros were put back") if fill_padding(chunk) else ("kept", "zeros did not stay")
        copies = self.copies(chunk)
        if copies is None or copies.version != chunk.version or self.address not in copies.ports:
            return "gone", "the metaserver does not count it as a copy"
        why = self.why_kept(chunk, copies)
        return ("kept", why) if why else self.report(chunk, damage, copies.ports[self.address])

    def why_kept(self, chunk: Chunk, copies: Copies) -> str:
        """Why its data cannot be had elsewhere; empty when it can: that was tried. Raises `Unasked`."""
        others = {address: port for address, port in copies.ports.items() if address != self.address}
        if any(self.is_good(chunk, address, port) for address, port in others.items()):
            return ""
        if copies.recovery:
            return self.why_not_recoverable(chunk, copies)
        if not others:
            return "it is the only copy: restore the file, or keep it as it is"
        return f"no other copy could be read without a fault: {', '.join(sorted(others))}"

    def why_not_recoverable(self, chunk: Chunk, copies: Copies) -> str:
        """Whether enough of the other pieces of its group can be read."""
        group_bytes = (copies.stripes + copies.recovery) * CHUNK_BYTES
        first = copies.offset // group_bytes * group_bytes
        bad = 1
        for offset, number, version, ports in self.layout(copies.file):
            if first <= offset < first + group_bytes and number != chunk.id:
                piece = Chunk(chunk.path, copies.file, number, version)
                bad += not any(self.is_good(piece, address, port) for address, port in ports.items())
        return "" if bad <= copies.recovery else f"{bad} pieces of its group are bad, and {copies.recovery} may be"

    def layout(self, file: int) -> list[tuple[int, int, int, dict[str, int]]]:
        """Offset, id, version and servers of each chunk of a file. Raises `Unasked`."""
        fields = (f"File-handle: {file}", "Continue-if-no-replicas: 1")
        with sources.Qfs(self.metaserver, self.port).ask("GETLAYOUT", ANSWER_S, *fields) as (found, answer):
            words = answer.read(min(int(found.get("Content-length", "0")), MAX_LAYOUT)).decode().split()
            chunks, at = [], 0
            while at < len(words):
                offset, number, version, count = map(int, words[at : at + 4])
                places = words[at + 4 : at + 4 + 2 * count]
                at += 4 + 2 * count
                ports = {address: int(port) for address, port in zip(places[::2], places[1::2], strict=True)}
                chunks.append((offset, number, version, ports))
            return chunks

    def copies(self, chunk: Chunk) -> Copies | None:
        """`None` when the metaserver does not know the chunk. Raises `Unasked`."""
        try:
            with sources.Qfs(self.metaserver, self.port).ask("GETPATHNAME", ANSWER_S, f"Chunk-handle: {chunk.id}") as (
                found,
                _,
            ):
                words = found.get("Replicas", "").split()
                ports = {address: int(port) for address, port in zip(words[::2], words[1::2], strict=False)}
                return Copies(
                    int(found["Chunk-version"]),
                    ports,
                    file=int(found["File-handle"]),
                    offset=int(found["Chunk-offset"]),
                    stripes=int(found.get("Num-stripes", "0")),
                    recovery=int(found.get("Num-recovery-stripes", "0")),
                )
        except KeyError as error:
            raise Unasked(f"GETPATHNAME: no {error}") from error
        except Unasked as error:
            if "no such chunk" in str(error):
                return None
            raise

    def is_good(self, chunk: Chunk, address: str, port: int) -> bool:
        """Whether that chunkserver gives all of its copy."""
        try:
            return read_all(address, port, chunk, self.read) is None
        except (OSError, ValueError, Unasked):
            return False

    def report(self, chunk: Chunk, damage: Damage, port: int) -> tuple[Outcome, str]:
        """Makes our chunkserver read it, until it has taken the file away or there is no damage any more.

        A file that is gone it may have open, and give it as before at first.
        """
        is_missing = damage.what == "missing"
        answer = "nothing"
        for number in range(TRIES):
            if number:
                time.sleep(PAUSE_S)
            try:
                refusal = read_all(self.address, port, chunk, self.read)
            except (OSError, ValueError, Unasked) as error:
                return "kept", f"its chunkserver could not be made to read it: {error}"
            if refusal is not None and is_taken_away(chunk):
                found = "does not have it either" if is_missing else "has found it, too"
                return "reported", f"its chunkserver {found} ({refusal})"
            if not is_missing and damage_of(chunk, self.read) is None:
                return "gone", "it is well, or no longer there"
            answer = refusal or answer
        if is_missing:
            return "kept", "its chunkserver still gives it; the next pass tries again"
        return "kept", f"its chunkserver has read it, found {answer}, and still has it; the next pass tries again"


def is_taken_away(chunk: Chunk) -> bool:
    """Whether the chunkserver has moved the file within a moment: it does so after its answer."""
    end = time.monotonic() + MOVED_S
    while chunk.path.exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def read_all(address: str, port: int, chunk: Chunk, read: Callable[[int], None]) -> str | None:
    """What a chunkserver answers in place of its copy; `None` when it gives all. Raises `OSError`, `ValueError`.

    The last byte comes first: a chunkserver that has given the end of a chunk closes its file, and reads the header
    from the disk the next time.
    """
    with (
        socket.create_connection((address, port), ANSWER_S) as connection,
        connection.makefile("rb") as answer,
    ):
        sequence = 0

        def ask(operation: str, *fields: str) -> dict[str, str]:
            nonlocal sequence
            sequence += 1
            about = (f"Chunk-handle: {chunk.id}", f"Chunk-version: {chunk.version}")
            head = (operation, "Version: KFS/1.0", f"Cseq: {sequence}", "Client-Protocol-Version: 116")
            connection.sendall("\r\n".join((*head, *about, *fields, "", "")).encode())
            found = sources.fields(answer)
            length = int(found.get("Content-length", "0"))
            if found.get("Cseq") != str(sequence) or not 0 <= length <= PIECE_BYTES:
                raise ValueError(f"an answer to another question, or of {length} bytes")
            if len(answer.read(length)) != length:
                raise ValueError("the answer is cut off")
            read(length)
            return found

        size_answer = ask("SIZE")
        size = int(size_answer.get("Size", "-1"))
        refusal = refused(size_answer)
        if refusal is None and size > 0:
            refusal = refused(ask("READ", f"Offset: {size - 1}", "Num-bytes: 1"))
        for at in range(0, size, PIECE_BYTES):
            if refusal is not None:
                break
            refusal = refused(ask("READ", f"Offset: {at}", f"Num-bytes: {min(PIECE_BYTES, size - at)}"))
        return refusal


def refused(answer: dict[str, str]) -> str | None:
    """The status and its text when it is an error; a read that succeeds has the number of bytes."""
    status = int(answer.get("Status", "-1"))
    return None if status >= 0 else f"status {status} {answer.get('Status-message', '')}".strip()

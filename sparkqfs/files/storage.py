"""What a file server is asked, as functions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sparkqfs.errors import ClusterError, Problem
from sparkqfs.files.wire import Pipe, Wire

PROTOCOL = "1"
FIELDS = 8


class StorageError(Exception):
    """The storage's own no. The kind is `absent`, `denied` or `failed`."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class LocalError(Exception):
    """What cannot be done with a file of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file (`f`), a directory (`d`) or a symbolic link (`l`) of the storage."""

    path: str
    kind: str
    size: int
    mtime_s: float
    mode: str
    owner: str
    group: str
    copies: int

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def is_file(self) -> bool:
        """Neither directory nor link."""
        return self.kind == "f"


class Storage:
    """One file server. Raises `StorageError` for its refusals, `OSError` when the connection is gone."""

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.wire = Wire(pipe)
        self.is_open = True
        try:
            texts = self.wire.read().texts
        except OSError as error:
            said = pipe.last_words() or str(error)
            pipe.close()
            hint = (
                "`invoke status` shows whether the containers run; an image from before this version has no file server"
            )
            raise ClusterError(Problem(node=pipe.where or None, what=f"no file server: {said}", hint=hint)) from error
        if texts is None or texts[:2] != ("ok", PROTOCOL):
            pipe.close()
            what = "the file server in the container is of another version"
            raise ClusterError(
                Problem(node=pipe.where or None, what=what, hint="`invoke up` brings the cluster to this one")
            )

    def close(self, *, at_once: bool = False) -> None:
        """Ends the server; at once where it has nothing to clean up, because it only reads."""
        self.is_open = False
        self.pipe.close(at_once=at_once)

    def answer(self) -> tuple[str, ...]:
        """What follows `ok`."""
        texts = self.wire.read().texts
        if texts and texts[0] == "ok":
            return texts[1:]
        if texts is None or texts[0] != "error":
            raise ConnectionError("an answer of another shape was expected")
        raise StorageError(texts[1], texts[2])

    def ask(self, *texts: str) -> tuple[str, ...]:
        """One request, one answer."""
        self._send(*texts)
        return self.answer()

    def _entries(self, *texts: str) -> Iterator[Entry]:
        self._send(*texts)
        while True:
            found = self.wire.read().texts or ()
            if found[:1] == ("ok",):
                return
            if found[:1] != ("entries",):
                raise StorageError(*found[1:3]) if found[:1] == ("error",) else ConnectionError("no list of files")
            for at in range(1, len(found), FIELDS):
                path, kind, size, millis, mode, owner, group, copies = found[at : at + FIELDS]
                yield Entry(
                    path=path,
                    kind=kind,
                    size=int(size),
                    mtime_s=int(millis) / 1000,
                    mode=mode,
                    owner=owner,
                    group=group,
                    copies=int(copies),
                )

    def walk(self, uri: str, *, deep: bool = False) -> Iterator[Entry]:
        """The place itself first, then what is in it, with `deep` all that is below. To be read to its end."""
        yield from self._entries("list", uri, "1" if deep else "0")

    def find(self, uri: str) -> list[Entry]:
        """What is there under this name, or else what it matches as a pattern; nothing for neither."""
        return sorted(self._entries("find", uri), key=lambda entry: entry.path)

    def stat(self, uri: str) -> Entry | None:
        """The thing of exactly this name."""
        return next(iter(list(self._entries("stat", uri))), None)

    def start_sum(self, uri: str) -> None:
        """Asks for a file's SHA-256; `answer` waits for it."""
        self._send("sum", uri)

    def make_directory(self, uri: str) -> None:
        """With its parents; there already is fine."""
        self.ask("mkdirs", uri)

    def delete(self, uri: str, *, deep: bool) -> bool:
        """False when it was not there."""
        return self.ask("delete", uri, "1" if deep else "0")[0] == "1"

    def sweep(self, uri: str) -> int:
        """Removes what writers left in a directory that were ended by force long ago; how many."""
        return int(self.ask("sweep", uri)[0])

    def get(self, uri: str, write: Callable[[bytes], None]) -> str:
        """Gives the file's bytes to `write`; their SHA-256 as the server saw them."""
        self._send("get", uri)
        while True:
            frame = self.wire.read()
            if frame.texts is not None:
                kind, why = frame.texts[1:3]
                raise StorageError(kind, why)
            if not frame.data:
                return self.answer()[0]
            write(frame.data)

    def put(self, uri: str, blocks: Iterator[bytes], finish: Callable[[], str], *, overwrite: bool) -> str:
        """Writes a file from blocks; then `finish` gives their SHA-256. `LocalError` of either takes all back.

        The state: `copied`, `unchanged` (the same bytes are there), `differs` (others are, and stay).
        """
        self._send("put", uri, "1" if overwrite else "0")
        try:
            for block in blocks:
                self.wire.send_data(block)
                if self.wire.has_answer():  # an error: nothing else comes before we are done
                    self.wire.send("abort")
                    return self.answer()[0]
            digest = finish()
        except LocalError:
            self.wire.send("abort")
            with contextlib.suppress(StorageError):
                self.answer()
            raise
        self.wire.send("sum", digest)
        return self.answer()[0]

    def _send(self, *texts: str) -> None:
        try:
            self.wire.send(*texts)
        except UnicodeEncodeError:
            raise StorageError("failed", "the name is not UTF-8") from None

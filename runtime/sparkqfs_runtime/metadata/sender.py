"""In the container of the storage's master: sends its metadata to those who keep copies, seconds behind.

A thread for each keeper, in the process of the status page: whatever becomes of it, the storage goes on. A keeper whose
copy has more than is here is left alone, and that is said, unless somebody has accepted the loss (guard.py).
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkqfs import topology
from sparkqfs_runtime.metadata import accepted, catalogue, notebooks
from sparkqfs_runtime.metadata.compare import compare
from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.pieces import READ_BYTES, Kind, Piece, grown
from sparkqfs_runtime.metadata.wire import Link, Refused

EVERY_S = 1.0
AGAIN_S = 5.0
"""Between attempts."""
CONNECT_S = 5.0
REFUSED_S = 300.0
"""Until a copy of the catalogue or the notebooks is tried again that was not taken, or could not be read."""
ANSWER_S = 60.0
"""A keeper's disk may be slow; a whole image is checked within that."""


class Unread(Exception):
    """A file of this machine that cannot be read; its connection is well."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who keeps a copy."""

    host: str
    node: str
    port: int = topology.METADATA_COPY_PORT


def keepers_of(text: str) -> list[Keeper]:
    """SPARKQFS_COPIES: `service=node` with blanks between; a port may stand behind the service."""
    found = []
    for word in text.split():
        place, _, node = word.partition("=")
        host, _, port = place.partition(":")
        found.append(Keeper(host, node or host, int(port) if port.isdigit() else topology.METADATA_COPY_PORT))
    return found


def open_link(keeper: Keeper, key: bytes, timeout_s: float = ANSWER_S) -> tuple[Link, dict[str, Any]]:
    """A connection to a keeper, and what it says of its copy. Raises OSError."""
    connection = socket.create_connection((keeper.host, keeper.port), min(CONNECT_S, timeout_s))
    connection.settimeout(timeout_s)
    try:
        link = Link(connection, key, asks=True)
        return link, link.ask({"do": "hello"})
    except BaseException:
        connection.close()
        raise


@dataclass
class State:
    """Of one keeper, for the status page. Times are those of a monotonic clock."""

    error: str = "nothing was sent yet"
    verdict: str = ""
    mark: str = ""
    whole: float | None = None
    """When the copy had last all that was here."""
    bytes: int = 0
    history: int = 0
    verified: dict[str, Any] | None = None
    """What the keeper's daily check has found, as it told it last."""
    told: float = 0.0
    """When that was."""


@dataclass
class CatalogueState:
    """Of the catalogue of tables on one keeper, for the status page. Times are seconds since the epoch."""

    same: float = 0.0
    """When the keeper's newest copy and the catalogue were last the same, as far as is known; 0 for never."""
    error: str = ""

    def document(self, started: float) -> dict[str, object]:
        """For the status page; the age is from the `started` of the sender on where there never was a copy."""
        age = max(0.0, time.time() - (self.same or started))
        return {"age_s": round(age, 1), "is_kept": bool(self.same), "error": self.error}


@dataclass
class Round:
    """What one keeper has, as far as this connection knows."""

    images: set[str] = field(default_factory=set)
    logs: dict[str, int] = field(default_factory=dict)
    newest: int = -1
    """Order of its newest log."""
    ended: set[str] = field(default_factory=set)
    """Logs that another one goes on from and that are whole there."""
    notes: dict[str, str] = field(default_factory=dict)
    catalogues: set[str] | None = None
    """`None` of a keeper of an earlier version, which takes none."""


class Sender:
    """One keeper's thread."""

    def __init__(
        self,
        kind: Kind,
        top: Path,
        keeper: Keeper,
        key: bytes,
        clock: Callable[[], float] = time.monotonic,
        names: Path | None = None,
    ) -> None:
        """`names`: the metastore's directory; `None` where there is none."""
        self.kind, self.top, self.keeper, self.key, self.clock = kind, top, keeper, key, clock
        self.copies = names / catalogue.COPIES if names is not None else None
        self.catalogue = CatalogueState()
        self.faults: dict[str, tuple[str, float]] = {}
        """Of the images here, and when they were looked at."""
        self.again: dict[str, float] = {}
        """When what was not taken is tried again."""
        self.others: list[Sender] = [self]
        self.state = State()
        self.started, self.started_at = clock(), time.time()
        self.stopping = threading.Event()
        self.every_s = EVERY_S

    def start(self) -> Sender:
        """For as long as the process lives."""
        threading.Thread(target=self.run, name=f"metadata-copy-{self.keeper.host}", daemon=True).start()
        return self

    def run(self) -> None:
        """Connect, send what is new, and again."""
        said = ""
        while not self.stopping.is_set():
            try:
                self.session()
            except Exception as error:  # noqa: BLE001 - whatever it was: the page must go on, and say it
                self.state.error = f"{type(error).__name__}: {error}"[:300]
            if self.state.error != said:
                said = self.state.error
                print(f"copy of the metadata on {self.keeper.node}: {said}", file=sys.stderr, flush=True)
            self.stopping.wait(AGAIN_S)

    def session(self) -> None:
        """One connection, until it breaks. Raises OSError."""
        link, hello = open_link(self.keeper, self.key)
        with link.connection:
            has = self.begin(link, hello)
            if has is None:
                return
            while not self.stopping.is_set():
                self.send_all(link, has)
                self.state.whole, self.state.error = self.clock(), ""
                if all(one.state.whole is not None for one in self.others):
                    accepted.forget(self.top)
                self.stopping.wait(self.every_s)

    def begin(self, link: Link, hello: dict[str, Any]) -> Round | None:
        """What the keeper has of the history that goes on here; `None` where it must be left alone."""
        found = compare(self.kind, self.top, hello)
        self.state.verdict, self.state.mark = found.verdict, found.mark
        is_accepted = accepted.is_accepted(self.top, found, self.kind.identity(self.top))
        if not found.is_well and not is_accepted:
            self.state.error = f"{found.text} (its mark is {found.mark}): it is left as it is"
            return None
        if found.verdict == "first" or not found.is_well:
            hello = link.ask(
                {
                    "do": "begin",
                    "kind": self.kind.name,
                    "identity": self.kind.identity(self.top),
                    "accepted": found.mark,
                }
            )
            self.state.verdict = "continues"
        self.state.history, self.state.bytes = int(hello["number"]), int(hello["bytes"])
        return Round(
            images={str(key) for key, _ in hello["images"]},
            logs={str(key): int(size) for key, _, size in hello["logs"]},
            newest=max((int(order) for _, order, _ in hello["logs"]), default=-1),
            notes={str(name): str(digest) for name, digest in hello["notes"].items()},
            catalogues=set(map(str, hello["catalogues"])) if "catalogues" in hello else None,
        )

    def send_all(self, link: Link, has: Round) -> None:
        """What is new, on the keeper's disk when this returns. Raises OSError."""
        there = self.kind.images(self.top)
        if not there:
            raise FileNotFoundError(f"there is no metadata in {self.top}")
        new = (image for image in reversed(there) if image.key not in has.images and not self.fault(image))
        # a copy begins with the newest; what was before it is not needed for anything
        images = list(new)[::-1] if has.images else [image for image in [next(new, None)] if image is not None]
        used = [image.first_log for image in there if image.key in has.images or image in images]
        needed = max(used, default=0)  # what is before it the newest state can do without
        first = min(used + ([has.newest] if has.newest >= 0 else []), default=0)
        changed = False
        logs = self.kind.logs(self.top)
        for log in logs:  # before the images that cannot be used without them
            if log.order >= first:
                changed |= self.send_log(link, has, log)
                if needed <= log.order < logs[-1].order and log.key not in has.ended:
                    self.check_end(has, log)
        for image in images:
            changed |= self.send_image(link, has, image)
        for name, body in self.kind.notes(self.top).items():
            digest = hashlib.sha256(body).hexdigest()
            if has.notes.get(name) != digest:
                link.ask({"do": "note", "name": name}, body)
                has.notes[name] = digest
        self.hear(link.ask({"do": "sync"} if changed else {"do": "nothing"}))
        for what, send in (("catalogue", self.send_catalogue), ("notebooks", self.send_notebooks)):
            if self.clock() < self.again.get(what, 0.0):
                continue
            try:
                send(link, has)
            except (Refused, Unread) as error:  # the keeper's no, or ours, must not hold up the metadata
                self.again[what] = self.clock() + REFUSED_S
                if what == "catalogue":
                    self.catalogue.error = f"it is not copied: {error}"
                else:
                    print(f"copy of the notebooks: {error}", file=sys.stderr, flush=True)
        if there[-1].key not in has.images and (fault := self.fault(there[-1])):
            raise OSError(f"{there[-1].path} is damaged, and is not copied: {fault}")

    def fault(self, image: Piece) -> str:
        """What is wrong with an image on the disk here: a copy of it would be taken for whole."""
        text, when = self.faults.get(image.key, ("not looked at", self.clock() - 2 * REFUSED_S))
        if text and self.clock() - when > REFUSED_S:
            try:
                self.faults[image.key] = self.kind.image_fault(image.path), self.clock()
            except FileNotFoundError:  # the storage keeps so many and no more
                return ""
        return self.faults[image.key][0]

    def send_notebooks(self, link: Link, has: Round) -> None:
        """The newest copy of the notebooks, where there is one. A broken connection raises OSError."""
        try:
            copy = catalogue.newest(notebooks.COPIES, notebooks.KIND)
        except OSError as error:
            raise Unread(str(error)) from error
        if copy is None or has.catalogues is None or copy.name in has.catalogues:
            return
        if self.send_image(link, has, Piece(copy.name, copy, 0)):
            has.catalogues.add(copy.name)

    def send_catalogue(self, link: Link, has: Round) -> None:
        """The newest copy of the catalogue of tables, where there is one. A broken connection raises OSError."""
        if self.copies is None:
            return
        said = catalogue.looked(self.copies)
        if said is None:
            self.catalogue.error = "the metastore has made no copy yet"
            return
        self.catalogue.error = said.error
        if has.catalogues is None:
            self.catalogue.error = "the one who keeps it is of an earlier version"
            return
        path = self.copies / said.copy if catalogue.is_copy(said.copy) else None
        if path is None:
            return
        if said.copy not in has.catalogues:
            try:
                path.open("rb").close()
            except FileNotFoundError:
                return  # a newer one is there
            except OSError as error:
                raise Unread(str(error)) from error
            if not self.send_image(link, has, Piece(said.copy, path, 0)):
                return  # a newer one is there
            has.catalogues.add(said.copy)
        self.catalogue.same = said.at

    def hear(self, answer: dict[str, Any]) -> None:
        """What the keeper says of its daily check; one of an earlier version says nothing."""
        found = answer.get("verified")
        self.state.verified, self.state.told = (found if isinstance(found, dict) else None), self.clock()

    def verified(self) -> dict[str, object] | None:
        """For the status page: how old it is by now."""
        found = self.state.verified
        if found is None or not isinstance(found.get("age_s"), (int, float)):
            return None
        age = round(found["age_s"] + self.clock() - self.state.told)
        damaged = found.get("damaged")
        return {
            "age_s": age,
            "depth": found.get("depth"),
            "ok": found.get("ok") is True,
            "damaged": [str(text) for text in damaged] if isinstance(damaged, list) else [],
        }

    def send_image(self, link: Link, has: Round, image: Piece) -> bool:
        """A whole image."""
        digest, size = hashlib.sha256(), 0
        try:
            with image.path.open("rb") as file:
                os.fdatasync(file.fileno())
                while data := file.read(READ_BYTES):
                    link.ask({"do": "append", "key": image.key, "offset": size}, data)
                    digest.update(data)
                    size += len(data)
        except FileNotFoundError:  # the storage keeps so many and no more
            return False
        link.ask({"do": "finish", "key": image.key, "size": size, "sha256": digest.hexdigest()})
        if not catalogue.is_copy(image.key):
            has.images.add(image.key)
        self.state.bytes += size
        return True

    def send_log(self, link: Link, has: Round, log: Piece) -> bool:
        """What a log has more than its copy."""
        offset = begun = has.logs.get(log.key, 0)
        try:
            for data in grown(self.kind, log.path, offset):
                link.ask({"do": "append", "key": log.key, "offset": offset}, data)
                offset += len(data)
                has.logs[log.key], has.newest = offset, max(has.newest, log.order)
        except FileNotFoundError:
            return offset > begun
        self.state.bytes += offset - begun
        return offset > begun

    def check_end(self, has: Round, log: Piece) -> None:
        """That a log is whole in the copy. Raises OSError: the log that goes on from it must not follow a hole."""
        size = has.logs.get(log.key, 0)
        try:
            with log.path.open("rb") as file:
                file.seek(size)
                is_whole = all(self.kind.is_room(data) for data in iter(lambda: file.read(READ_BYTES), b""))
        except FileNotFoundError:  # the storage keeps so many and no more
            return
        if not is_whole:
            raise OSError(f"{log.path} has no whole record at byte {size}, and a log goes on behind it")
        has.ended.add(log.key)

    def document(self) -> dict[str, object]:
        """For the status page."""
        now, state = self.clock(), self.state
        return {
            "node": self.keeper.node,
            "age_s": None if state.whole is None else round(now - state.whole, 1),
            "up_s": round(now - self.started, 1),
            "bytes": state.bytes,
            "history": state.history,
            "verdict": state.verdict,
            "mark": state.mark,
            "error": state.error,
            "verified": self.verified(),
            **({"catalogue": self.catalogue.document(self.started_at)} if self.copies is not None else {}),
        }


def copies_of(name: str) -> Callable[[], list[dict[str, object]]]:
    """Starts the senders of this container's metadata; what they know, for the status page."""
    top = Path(os.environ.get("SPARKQFS_DATA_DIR") or f"/data/{name}")
    senders = start_senders(KINDS[name], top, os.environ)
    return lambda: [sender.document() for sender in senders]


def start_senders(kind: Kind, top: Path, environ: Mapping[str, str]) -> list[Sender]:
    """One for each keeper that the stack names; none without."""
    secrets = Path(environ.get("SPARKQFS_SECRETS_DIR") or "/run/secrets")
    keepers = keepers_of(environ.get("SPARKQFS_COPIES", ""))
    if not keepers:
        return []
    try:
        key = (secrets / topology.METADATA_SECRET).read_bytes().strip()
    except OSError as error:
        print(f"copies of the metadata: no key: {error}", file=sys.stderr, flush=True)
        key = b""
    names = Path(environ[catalogue.FOLDER]) if environ.get(catalogue.FOLDER) else None
    if environ.get(notebooks.FOLDER):
        notebooks.Packer(Path(environ[notebooks.FOLDER])).start()
    senders = [Sender(kind, top, keeper, key, names=names) for keeper in keepers]
    for sender in senders:
        sender.others = senders
        sender.start()
    return senders

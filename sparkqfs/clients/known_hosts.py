"""known_hosts as OpenSSH reads it: patterns, hashed names, several keys of a name, revoked ones, authorities.

A file is read once and kept with an index by name, so that a look costs no more than the lines with patterns and the
hashed ones. Source of the rules: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT, and what OpenSSH 9.2 does.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hmac
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from sparkqfs.clients import certificates

LONGEST_FILE = 64 << 20
"""Bytes; what comes after them does not count."""
Marker = Literal["", "@revoked", "@cert-authority"]
Verdict = Literal["known", "new", "changed", "revoked"]
PARTS = {
    "ssh-ed25519": 2,
    "ssh-rsa": 3,
    "ssh-dss": 5,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "sk-ssh-ed25519@openssh.com": 3,
    "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}
"""Types of key that OpenSSH takes for a host → strings in one, its type among them (RFC 4253, 5656, 8709)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key, for names that match."""

    marker: Marker
    type: str
    key: bytes
    file: Path
    line: int


@dataclass(slots=True)
class _File:
    """One file's lines: by name where it has no pattern, the others to be tried one by one."""

    path: Path
    lines: list[tuple[Marker, str, str, str, int]] = field(default_factory=list)
    """Marker, names, type, key in base64, number."""
    by_name: dict[str, list[int]] = field(default_factory=dict)
    patterns: list[int] = field(default_factory=list)
    hashed: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    """Salt, hash, index of the line."""

    def of(self, name: str) -> list[Entry]:
        """What the lines say of a name, in their order."""
        name = name.lower()
        found = list(self.by_name.get(name, ()))
        found += [index for index in self.patterns if _matches(name, self.lines[index][1])]
        raw = name.encode(errors="surrogateescape")
        found += [index for salt, hashed, index in self.hashed if hmac.digest(salt, raw, "sha1") == hashed]
        entries = (self._entry(index) for index in sorted(set(found)))
        return [entry for entry in entries if entry is not None]

    def _entry(self, index: int) -> Entry | None:
        """The line as a key; none where OpenSSH would call it damaged and go on."""
        marker, _, kind, text, number = self.lines[index]
        key = decoded(kind, text)
        if key is not None and marker != "" and kind.endswith(certificates.SUFFIX):
            key = certificates.plain_key(key)  # without a marker it is another key than that of the machine
        return None if key is None else Entry(marker, kind, key, self.path, number)


def decoded(kind: str, text: str) -> bytes | None:
    """A public key or a certificate from base64; none where it is damaged or of a type that OpenSSH does not take."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if kind.endswith(certificates.SUFFIX):
        is_this = key.startswith(len(kind).to_bytes(4, "big") + kind.encode())
        return key if is_this and certificates.parsed(key) is not None else None
    parts = certificates.strings(key)
    is_whole = parts is not None and len(parts) == PARTS.get(kind) and parts[0] == kind.encode()
    return key if is_whole else None


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name is among patterns with `*` and `?`; never where a `!pattern` has it."""
    found = False
    for one in patterns:
        if wildcard(one.removeprefix("!").lower()).fullmatch(name.lower()):
            if one.startswith("!"):
                return False
            found = True
    return found


def _matches(name: str, names: str) -> bool:
    return matches(name, names.split(","))


@lru_cache(maxsize=8192)
def wildcard(text: str) -> re.Pattern[str]:
    """A pattern with `*` and `?`, of which no other sign means anything."""
    text = re.sub(r"\*+", "*", text).replace("[", "[[]")  # brackets are letters like others
    return re.compile(fnmatch.translate(text))


# -- files ----------------------------------------------------------------------------------------------------------

_files: dict[Path, tuple[tuple[int, int, int], _File]] = {}
_files_lock = threading.Lock()


def entries_of(name: str, paths: Iterable[Path]) -> list[Entry]:
    """All keys that these files have for a name. A file that is not there or cannot be read has none."""
    return [entry for path in paths for entry in _file(path).of(name)]


def _file(path: Path) -> _File:
    """The file as it is now, read again only where it has changed."""
    try:
        is_now = path.stat()
    except (OSError, ValueError):
        return _File(path)
    if not path.is_file():  # /dev/null; a pipe would not end
        return _File(path)
    stamp = (is_now.st_ino, is_now.st_size, is_now.st_mtime_ns)
    with _files_lock:
        kept = _files.get(path)
        if kept is None or kept[0] != stamp:
            try:
                with path.open("rb") as file:
                    content = file.read(LONGEST_FILE)
            except OSError:
                content = b""
            kept = _files[path] = stamp, parsed(path, content.decode(errors="surrogateescape"))
        return kept[1]


def parsed(path: Path, text: str) -> _File:
    """The index of a file's lines; what is not `[marker] names type key` is passed over, as by OpenSSH."""
    file = _File(path)
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split(None, 4)
        marker: Marker = ""
        if words and words[0].startswith("@"):
            if words[0] == "@revoked":
                marker = "@revoked"
            elif words[0] == "@cert-authority":
                marker = "@cert-authority"
            else:
                continue
            del words[0]
        if len(words) < 3 or words[0].startswith("#"):
            continue
        _add(file, (marker, words[0], words[1], words[2], number))
    return file


def _add(file: _File, line: tuple[Marker, str, str, str, int]) -> None:
    index, names = len(file.lines), line[1]
    file.lines.append(line)
    if names.startswith("|"):
        try:
            _, version, salt, hashed = names.split("|")
            if version == "1":
                file.hashed.append((base64.b64decode(salt), base64.b64decode(hashed), index))
        except (binascii.Error, ValueError):  # damaged
            return
    elif "*" in names or "?" in names or "!" in names:
        file.patterns.append(index)
    else:
        for name in names.lower().split(","):
            file.by_name.setdefault(name, []).append(index)


# -- verdict --------------------------------------------------------------------------------------------------------


def known_name(host: str, port: int) -> str:
    """A machine's name in the files."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def verdict(entries: Iterable[Entry], key: bytes, *also_revoked: bytes) -> Verdict:
    """What the lines say of a plain key. A revocation counts before all else; then any line with this very key does.

    `also_revoked` are keys of which a revocation counts as well: that of an authority.
    """
    answer: Verdict = "new"
    for entry in entries:
        if entry.marker == "@revoked" and entry.key in (key, *also_revoked):
            return "revoked"
        if entry.marker == "" and answer != "known":
            answer = "known" if entry.key == key else "changed"
    return answer


def has_authority(entries: Iterable[Entry], key: bytes) -> bool:
    """Whether a line with `@cert-authority` names this key."""
    return any(entry.marker == "@cert-authority" and entry.key == key for entry in entries)

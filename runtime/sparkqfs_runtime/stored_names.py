"""The names under which QFS stores what it does not take, and back: docs/decisions/0036. Standard library only.

The same as runtime/java/sparkqfs/fs/StoredNames.java, which says what the marks are; tests/data/stored_names.json holds
both to it. Whoever asks the metaserver gets stored names.
"""

from __future__ import annotations

import re
import zlib

MARK = "~"
_ESCAPE = re.compile(r"~([0-9A-F]{1,6})\.|[^~]", re.DOTALL)
_SUM = re.compile(r"(.*)~([0-9a-f]{8})", re.DOTALL)


def stored_name(name: str) -> str:
    """One name as it is stored; a name that QFS takes and that is not another one's stored form as it is."""
    return _encoded(name) if _is_refused(name) or _decoded(name) is not None else name


def name_of(stored: str) -> str:
    """The name that is stored so."""
    name = _decoded(stored)
    return stored if name is None else name


def without_marks(stored: bytes) -> bytes:
    """The name in UTF-8 that a metaserver's name with marks stands for; every other name as it is."""
    try:
        return name_of(stored.decode()).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return stored


def meant(stored: bytes) -> bytes:
    """The name in UTF-8 that a metaserver's name stands for; bytes that are no text as they are.

    Java gives QFS a character beyond U+FFFF as two halves of three bytes, and NUL as two bytes.
    """
    name = without_marks(stored)
    if name != stored:
        return name
    try:
        halves = stored.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return stored
    return _whole(halves).encode("utf-8", "surrogatepass")


def meant_path(stored: bytes) -> bytes:
    """The same for each name of a path."""
    return b"/".join(map(meant, stored.split(b"/")))


def _is_refused(name: str) -> bool:
    return bool(name) and not (_is_inner(name[0]) and _is_inner(name[-1]) and "\n" not in name and "\r" not in name)


def _is_inner(letter: str) -> bool:
    return " " < letter < "\x80"


def _encoded(name: str) -> str:
    text = "" if _is_inner(name[0]) else f"{MARK}."
    for letter in name:
        is_odd = letter in "~\0\n\r" or letter > "\uffff" or "\ud800" <= letter <= "\udfff"
        text += f"{MARK}{ord(letter):X}." if is_odd else letter
    return f"{text}{MARK}{zlib.crc32(text.encode()):08x}"


def _decoded(stored: str) -> str | None:
    """The name of a stored form; `None` for what is none, as it stands for itself."""
    found = _SUM.fullmatch(stored)
    if found is None or _has_half(found[1]) or zlib.crc32(found[1].encode()) != int(found[2], 16):
        return None
    body = found[1].removeprefix(f"{MARK}.")
    parts = list(_ESCAPE.finditer(body))
    try:
        name = _whole("".join(chr(int(part[1], 16)) if part[1] else part[0] for part in parts))
    except (ValueError, OverflowError):
        return None
    is_form = _is_refused(name) or _decoded(name) is not None
    return name if name and is_form and _encoded(name) == stored else None


def _whole(text: str) -> str:
    """Two halves of a character are that character, as in Java."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _has_half(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)

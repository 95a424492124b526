"""Java's properties files, as `--properties-file` names one. Source of the format: java.util.Properties.load."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
ENDS_NAME = re.compile(r"[\\=:\s]")
"""Without a backslash before it."""
SEPARATOR = re.compile(r"((?:\\.|[^\\=:\s])*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL)


def parse_properties(text: str) -> dict[str, str]:
    """Name → value; the last one of a name counts. Spaces around a value are cut off, as Spark does.

    Raises `ValueError` for a damaged escape.
    """
    found: dict[str, str] = {}
    for line in _logical_lines(text):
        words = SEPARATOR.fullmatch(line)
        if words is None:  # a single backslash at its end
            raise ValueError(f"{line}: ends in the middle of an escape")
        found[_plain(words[1])] = _plain(words[2]).strip(" \t")
    return found


def _logical_lines(text: str) -> Iterator[str]:
    """Without comments and empty lines; a backslash at its end joins a line with the next."""
    joined = ""
    for line in re.split(r"\r\n|\n|\r", text):
        line = line.lstrip(" \t\f")
        if not joined and (not line or line[0] in "#!"):
            continue
        joined += line
        if len(re.search(r"\\*$", joined)[0]) % 2:  # type: ignore[index]
            joined = joined[:-1]
            continue
        if joined:
            yield joined
        joined = ""
    if joined:
        yield joined


def _plain(text: str) -> str:
    if re.search(r"(?<!\\)(?:\\\\)*\\u(?![0-9A-Fa-f]{4})", text):
        raise ValueError(f"{text}: \\u needs four hexadecimal digits")
    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", _unescaped, text, flags=re.DOTALL)


def _unescaped(found: re.Match[str]) -> str:
    word = found[1]
    return chr(int(word[1:], 16)) if len(word) == 5 else ESCAPES.get(word, word)


def as_properties(settings: Mapping[str, str]) -> str:
    """Text that Java, and `parse_properties`, read the same settings from."""
    lines = [f"{re.sub(ENDS_NAME, _as_escape, name)} = {escaped(value)}" for name, value in settings.items()]
    return "".join(f"{line}\n" for line in lines)


def _as_escape(found: re.Match[str]) -> str:
    return "\\" + next((letter for letter, plain in ESCAPES.items() if plain == found[0]), found[0])


def escaped(value: str) -> str:
    """A value as a line of such a file has it, behind its name and a blank."""
    text = value.replace("\\", "\\\\")
    for letter, plain in ESCAPES.items():
        text = text.replace(plain, f"\\{letter}")
    return "\\" + text if text.startswith((" ", "=", ":")) else text

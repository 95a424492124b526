"""A text of SQL as statements: where each one ends. Standard library only.

The rules are Spark 4.1's: SqlBaseLexer.g4 for quotes and comments, compound statements from BEGIN to END.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

PIECE = re.compile(
    r"""(?P<comment>--[^\n]*)
    |(?P<open>/\*)
    |(?P<raw>\b[rR](?P<mark>['"]).*?(?P=mark))
    |(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`]|``)*`)
    |(?P<unclosed>['"`])
    |(?P<number>\d+\.?\d*|\.\d+)
    |(?P<dot>\.)
    |(?P<word>[A-Za-z_][A-Za-z_0-9]*)
    |(?P<end>;)
    |(?P<space>\s+)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
COMMENT = re.compile(r"/\*|\*/")
INNER = frozenset(("IF", "WHILE", "LOOP", "REPEAT", "FOR"))
"""Of a compound statement's blocks, those that close with END and their own word."""


class Statement(NamedTuple):
    """One statement, without its semicolon."""

    text: str
    line: int
    """Of the text, from 1 on, where it begins."""
    is_closed: bool
    """Whether a semicolon ends it; what is not closed may go on with the next line."""


class _Place:
    """Where we are in a compound statement."""

    def __init__(self) -> None:
        self.depth = 0
        self.is_first = True
        self._after_end = False
        self._after_dot = False

    def word(self, word: str) -> None:
        """BEGIN opens a compound statement where it comes first, and in one; CASE opens in one too."""
        word = "" if self._after_dot else word.upper()  # `window.end` names a field
        self._after_dot = False
        if self._after_end:
            self._after_end = False
            if word in INNER:  # `END IF` closes what has not been counted
                self.depth += 1
            if word in INNER or word == "CASE":
                return
        if (word == "BEGIN" and self.is_first) or (word in ("BEGIN", "CASE") and self.depth):
            self.depth += 1
        elif word == "END" and self.depth:
            self.depth -= 1
            self._after_end = True
        self.is_first = False

    def other(self, *, is_dot: bool) -> None:
        """What is no word."""
        self._after_dot = is_dot
        self.is_first = False

    def semicolon(self) -> bool:
        """Whether it ends the statement."""
        self._after_end = self._after_dot = False
        return self.depth == 0


def split(text: str) -> Iterator[Statement]:
    """The statements of a text; those of comments and space alone are left out."""
    begin, at, place, has_words = 0, 0, _Place(), False
    while at < len(text):
        found = PIECE.match(text, at)
        assert found is not None
        kind = str(found.lastgroup)
        at = found.end()
        if kind == "open":
            at = _end_of_comment(text, at)
        elif kind == "unclosed":
            at = len(text)
            has_words = True
        elif kind == "end" and place.semicolon():
            if has_words:
                yield _statement(text, begin, at - 1, is_closed=True)
            begin, place, has_words = at, _Place(), False
        elif kind not in ("comment", "space"):
            has_words = True
            if kind == "word":
                place.word(found[0])
            else:
                place.other(is_dot=kind == "dot")
    if has_words:
        yield _statement(text, begin, len(text), is_closed=False)


def _statement(text: str, begin: int, end: int, *, is_closed: bool) -> Statement:
    piece = text[begin:end]
    before = begin + len(piece) - len(piece.lstrip())
    return Statement(text=piece.strip(), line=text.count("\n", 0, before) + 1, is_closed=is_closed)


def _end_of_comment(text: str, at: int) -> int:
    """They nest. One that is not closed goes to the end."""
    depth = 1
    for mark in COMMENT.finditer(text, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def is_open(text: str) -> bool:
    """Whether a person who typed this goes on with it in the next line."""
    found = list(split(text))
    return bool(found) and not found[-1].is_closed

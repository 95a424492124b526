"""A text of SQL as statements: where each one ends. Standard library only.

The rules are Spark 4.1's: SqlBaseLexer.g4 for quotes and comments, compound statements from BEGIN to END.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

PIECE = re.compile(
    r"""(?P<comment>--(?:\\\n|[^\n])*)
    |(?P<open>/\*)
    |(?P<raw>\b[rR](?P<mark>['"]).*?(?P=mark))
    |(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`]|``)*`)
    |(?P<unclosed>['"`])
    |(?P<number>\d+\.?\d*|\.\d+)
    |(?P<dot>\.)
    |(?P<word>[^\W\d]\w*)
    |(?P<end>;)
    |(?P<space>\s+)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
COMMENT = re.compile(r"/\*|\*/")
INNER = frozenset(("IF", "WHILE", "LOOP", "REPEAT", "FOR"))
"""Of a compound statement's blocks, those that close with END and their own word."""
BEFORE = frozenset(("THEN", "ELSE", "DO", "LOOP", "REPEAT", "ATOMIC"))
"""Words of a compound statement behind which a statement of it begins."""


class Statement(NamedTuple):
    """One statement, without its semicolon."""

    text: str
    line: int
    """Of the text, from 1 on, where it begins."""
    is_closed: bool
    """Whether a semicolon ends it; what is not closed may go on with the next line."""


class _Place:
    """Where we are in a compound statement. `begin` and `end` are columns too: blocks stand where a statement may."""

    def __init__(self) -> None:
        self._open: list[str] = []
        """BEGIN and CASE that are not closed yet."""
        self._closed = ""
        """What the word END just before has closed."""
        self._is_first = self._is_start = True
        self._declares = self._is_handler = self._after_dot = False

    def word(self, word: str) -> None:
        """BEGIN opens a compound statement where it comes first, and in one; CASE opens in one too."""
        word = "" if self._after_dot else word.upper()  # `window.end` names a field
        is_first, is_start, closed = self._is_first, self._is_start, self._closed
        self._is_first = self._after_dot = False
        self._is_start, self._closed = word in BEFORE, ""
        if closed and word in INNER:  # `END IF` closes what has not been counted
            self._open.append(closed)
        elif closed and word == "CASE":
            return
        elif word == "BEGIN" and (is_first or (self._open and (is_start or self._is_handler))):
            self._open.append(word)
            self._is_start, self._is_handler = True, False
        elif word == "CASE" and self._open:
            self._open.append(word)
        elif word == "END" and self._open and (is_start or self._open[-1] == "CASE"):
            self._closed = self._open.pop()
        elif word == "DECLARE" and is_start:
            self._declares = True
        elif word == "HANDLER" and self._declares:  # DECLARE EXIT HANDLER FOR … BEGIN
            self._is_handler = True

    def other(self, text: str) -> None:
        """What is no word."""
        self._after_dot, self._is_start = text == ".", text == ":"  # behind a label
        self._is_first, self._closed = False, ""

    def semicolon(self) -> bool:
        """Whether it ends the statement."""
        self._closed, self._is_start = "", True
        self._declares = self._is_handler = self._after_dot = False
        return not self._open


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
        elif kind not in ("comment", "space", "end"):
            has_words = True
            if kind == "word":
                place.word(found[0])
            else:
                place.other(found[0])
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

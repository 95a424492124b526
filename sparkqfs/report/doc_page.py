"""`sparkqfs help docs/PAGE.md`: a page of the documentation. Messages name pages, and the wheel has them too."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from sparkqfs.errors import ConfigError, Problem
from sparkqfs.tree import IS_INSTALLED, TREE

DOCS = TREE / "docs"
_PAGE = re.compile(r"(?:\./)?(?:docs/)?(?P<path>(?:[\w-]+/)*[\w-]+\.md)(?:#(?P<anchor>[\w-]*))?")
_HEADING = re.compile(r"(#{1,6}) +(.*?) *")
_FENCE = re.compile(r" *(```|~~~)")
_NO_SLUG = re.compile(r"[^\w\- ]")


def is_page(word: str) -> bool:
    """Whether a word is the name of a page: `docs/PAGE.md`, `PAGE.md`, with `#PART` or without."""
    return _PAGE.fullmatch(word) is not None


def page_text(word: str, docs: Path = DOCS) -> str:
    """A page in Markdown, or the part of it that the word names. Raises `ConfigError` where there is none."""
    found = _PAGE.fullmatch(word)
    if found is None:
        raise ConfigError(Problem(what=f"{word} is not the name of a page", hint="a page is called docs/PAGE.md"))
    path, anchor = found["path"], found["anchor"]
    try:
        text = (docs / path).read_text(encoding="utf-8")
    except OSError:
        names = sorted(one.name for one in docs.glob("*.md"))
        near = difflib.get_close_matches(path, names, 1, 0.6)
        is_elsewhere = IS_INSTALLED and "/" in path
        what = f"no page docs/{path}" + (" here: it is in the repository only" if is_elsewhere else "")
        hint = f"did you mean docs/{near[0]}?" if near else "docs/index.md lists the pages"
        raise ConfigError(Problem(what=what, hint=hint)) from None
    return part_of(text, anchor, f"docs/{path}") if anchor else text


def part_of(text: str, anchor: str, page: str) -> str:
    """From the heading that a link's `#ANCHOR` means to the next one of its level. Raises `ConfigError`."""
    lines, begin, level = text.splitlines(keepends=True), None, 0
    is_code = False
    for at, line in enumerate(lines):
        is_code ^= _FENCE.match(line) is not None
        heading = None if is_code else _HEADING.fullmatch(line.rstrip("\n"))
        if heading is None:
            continue
        if begin is not None and len(heading[1]) <= level:
            return "".join(lines[begin:at]).rstrip("\n") + "\n"
        if begin is None and slug(heading[2]) == anchor:
            begin, level = at, len(heading[1])
    if begin is None:
        raise ConfigError(Problem(what=f"{page} has no part #{anchor}", hint=f"without #{anchor} it is the whole page"))
    return "".join(lines[begin:])


def slug(heading: str) -> str:
    """What a heading is called in links: GitHub's rule."""
    return _NO_SLUG.sub("", heading.lower()).replace(" ", "-")

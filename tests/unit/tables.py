"""Tables of pages, and what they are compared with."""

from __future__ import annotations

import re
from collections.abc import Iterator

CODE = re.compile(r"`([^`\n]+)`")


def table_of(page: str, *heads: str) -> list[list[str]]:
    """Cells of the rows of the page's table with these column heads."""
    (after,) = page.split("| " + " | ".join(heads) + " |\n")[1:]
    rows = re.match(r"\|[-|]+\|\n((?:\| .*\n)*)", after)
    assert rows is not None
    return [[cell.strip() for cell in re.split(r" \|(?= |$)", row[1:-1])] for row in rows[1].splitlines()]


def table_codes(text: str) -> set[str]:
    """Everything in code quotes in the first column of a page's tables."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return {code for row in rows for code in CODE.findall(row.split("|")[1])}


def paths_of(value: object, prefix: str = "") -> Iterator[str]:
    """Dotted paths of a JSON document's keys, down to what is not a mapping; lists of mappings as `key[]`."""
    if isinstance(value, dict) and prefix != "urls":
        for key, child in value.items():
            yield from paths_of(child, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for child in value:
            yield from paths_of(child, f"{prefix}[]")
    else:
        yield prefix

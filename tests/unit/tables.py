"""Tables of pages."""

from __future__ import annotations

import re

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

"""Rows as text: a table for people, CSV, or a JSON record a line. Standard library only."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

FIRST_ROWS = 1000
"""By which the columns of a table get their widths."""
WIDEST = 80
"""Of a column on a terminal; what is longer is cut with `…`."""
QUOTED = re.compile('[",\\r\\n]')
"""What a field of CSV has in quotes only."""
Row = Sequence[Any]
Write = Callable[[str], object]


def text_of(value: Any) -> str:
    """A value as CSV and tables have it; nothing for NULL."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (datetime.datetime, datetime.date)):
        return str(value)
    if isinstance(value, (dict, list, tuple, bytes, bytearray)):
        found = json_of(value)
        return found[1:-1] if isinstance(value, (bytes, bytearray)) else found
    return str(value)


def json_of(value: Any) -> str:
    """A value as JSON. Decimals are numbers with all their digits, what JSON has no numbers for is a text."""
    if isinstance(value, decimal.Decimal):
        return format(value, "f") if value.is_finite() else json.dumps(str(value))
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(str(value))
    if value is None or isinstance(value, (bool, int, float, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (bytes, bytearray)):
        return json.dumps(base64.b64encode(value).decode())
    if isinstance(value, dict):
        pairs = (f"{json.dumps(_key(key), ensure_ascii=False)}: {json_of(one)}" for key, one in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(json_of, value)) + "]"
    return json.dumps(str(value), ensure_ascii=False)


def _key(key: Any) -> str:
    """Of a map, whose keys need not be texts."""
    return key if isinstance(key, str) else text_of(key)


def distinct(names: Iterable[str]) -> list[str]:
    """Names of columns, or of a struct's fields, as keys: the second `a` is `a_2`, where there is none of that name."""
    names = list(names)
    found: list[str] = []
    for name in names:
        number, key = 1, name
        while key in found or (number > 1 and key in names):
            number += 1
            key = f"{name}_{number}"
        found.append(key)
    return found


def as_csv(names: Sequence[str], rows: Iterable[Row], write: Write) -> None:
    """A header, then the rows (RFC 4180, with plain line ends). A text that is empty is quoted, NULL is not."""
    write(_csv_line(names))
    rows = iter(rows)
    while some := list(islice(rows, FIRST_ROWS)):
        write("".join(map(_csv_line, some)))


def _csv_line(row: Row) -> str:
    return ",".join(map(_csv_cell, row)) + "\n"


def _csv_cell(value: Any) -> str:
    """Not by Python's `csv`: it has one kind of empty, and leaves a carriage return without quotes."""
    text = text_of(value)
    if QUOTED.search(text) or (text == "" and value is not None):
        return '"' + text.replace('"', '""') + '"'
    return text


def as_records(names: Sequence[str], types: Sequence[str], rows: Iterable[Row], write: Write) -> None:
    """A line with the columns, then one for each row: what `invoke sql --json` puts together."""
    keys = distinct(names)
    columns = [{"name": key, "type": kind} for key, kind in zip(keys, types, strict=True)]
    write(json.dumps({"columns": columns}, ensure_ascii=False) + "\n")
    for row in rows:
        pairs = (
            f"{json.dumps(key, ensure_ascii=False)}: {json_of(value)}" for key, value in zip(keys, row, strict=True)
        )
        write('{"row": {' + ", ".join(pairs) + "}}\n")


def as_table(names: Sequence[str], rows: Iterable[Row], write: Write, widest: int | None = None) -> int:
    """Columns with two spaces between them, numbers to the right; how many rows. `widest` cuts on a terminal."""
    rows = iter(rows)
    first = list(islice(rows, FIRST_ROWS))
    numeric = [_is_numeric(first, column) for column in range(len(names))]
    cells = [[_cell(value, widest) for value in row] for row in first]
    head = [_cell(name, widest) for name in names]
    widths = [max([width_of(head[at]), *(width_of(line[at]) for line in cells)]) for at in range(len(names))]
    write(_line(head, widths, numeric))
    write("  ".join("-" * width for width in widths).rstrip() + "\n")
    count = len(first)
    write("".join(_line(line, widths, numeric) for line in cells))
    for row in rows:
        write(_line([_cell(value, widest) for value in row], widths, numeric))
        count += 1
    return count


def _is_numeric(rows: Iterable[Row], column: int) -> bool:
    values = [row[column] for row in rows if row[column] is not None]
    return bool(values) and all(
        isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool) for value in values
    )


def _cell(value: Any, widest: int | None) -> str:
    text = "NULL" if value is None else text_of(value)
    text = "".join(_shown(text))
    while widest is not None and width_of(text) > widest:
        text = text[: max(1, min(len(text) - 2, widest - 1))] + "…"
    return text


def _shown(text: str) -> Iterator[str]:
    """Control characters would move the cursor; a line end would break the table."""
    for letter in text:
        if unicodedata.category(letter) in ("Cc", "Zl", "Zp"):
            yield {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(letter, f"\\u{ord(letter):04x}")
        else:
            yield letter


def width_of(text: str) -> int:
    """Columns of a terminal: wide letters take two, marks that combine none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (
        " " * (width - width_of(cell)) + cell if right else cell + " " * (width - width_of(cell))
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    )
    return "  ".join(padded).rstrip() + "\n"

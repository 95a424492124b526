"""Rows as Spark itself shows their values, where its client for Python hands over something else.

A timestamp comes in this process's time zone, not in the session's; an interval not at all, or as Python writes a span
of time, in which -1 s is `-1 day, 23:59:59`; a FLOAT with the digits of a double; and of two fields of one name in a
struct a dictionary keeps one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sparkqfs_runtime.sql.show import distinct, json_of

Change = Callable[[Any], Any]
DIGITS = range(1, 10)
"""Of a FLOAT: nine tell any two of them apart, and fewer do for most."""
FRACTION = 6
"""Digits of a second, as Python writes them."""


def asked(frame: Any) -> Any:
    """The frame with Spark's own texts for what its client has no right place for."""
    from pyspark.sql.functions import col

    kinds = [field.dataType for field in frame.schema.fields]
    texts = [_sent_as(kind) for kind in kinds]
    if texts == kinds:
        return frame
    names = [f"c{at}" for at in range(len(kinds))]  # two columns may have one name
    columns = (
        col(name) if text == kind else col(name).cast(text)
        for name, kind, text in zip(names, kinds, texts, strict=True)
    )
    return frame.toDF(*names).select(*columns)


def _sent_as(kind: Any) -> Any:
    from pyspark.sql import types

    intervals = (types.YearMonthIntervalType, types.DayTimeIntervalType, types.CalendarIntervalType)
    if isinstance(kind, (types.TimestampType, *intervals)):
        return types.StringType()
    if isinstance(kind, types.ArrayType):
        return types.ArrayType(_sent_as(kind.elementType), kind.containsNull)
    if isinstance(kind, types.MapType):
        return types.MapType(_sent_as(kind.keyType), _sent_as(kind.valueType), kind.valueContainsNull)
    if isinstance(kind, types.StructType):
        return types.StructType(
            [types.StructField(one.name, _sent_as(one.dataType), one.nullable) for one in kind.fields]
        )
    return kind


def read(kinds: Sequence[Any], rows: Iterator[Any]) -> Iterator[Any]:
    """Rows of what `asked` has made of columns of these kinds."""
    changes = [_change(kind) for kind in kinds]
    if not any(changes):
        yield from rows
        return
    for row in rows:
        yield [value if change is None else change(value) for value, change in zip(row, changes, strict=True)]


def _change(kind: Any) -> Change | None:
    """What is to be done with values of this kind; `None` for nothing."""
    from pyspark.sql import types

    if isinstance(kind, types.TimestampType):
        return _unless_null(whole_fraction)
    if isinstance(kind, types.FloatType):
        return _unless_null(shortest)
    if isinstance(kind, types.StructType):
        return _of_struct(kind)
    if isinstance(kind, types.ArrayType) and (inner := _change(kind.elementType)):
        return _unless_null(lambda value: [inner(one) for one in value])
    if isinstance(kind, types.MapType):
        of_key = _change(kind.keyType)
        if of_key is not None and isinstance(kind.keyType, types.StructType):
            of_key = _as_text(of_key)
        return _of_map(of_key, _change(kind.valueType))
    return None


def _as_text(change: Change) -> Change:
    """A dictionary cannot be a dictionary's key; its JSON can, and is what is shown."""
    return lambda value: json_of(change(value))


def _of_map(of_key: Change | None, of_value: Change | None) -> Change | None:
    if of_key is None and of_value is None:
        return None
    key_of, value_of = of_key or _same, of_value or _same
    return _unless_null(lambda value: {key_of(key): value_of(one) for key, one in value.items()})


def _of_struct(kind: Any) -> Change:
    """A dictionary. Of two fields of one name the second is called `name_2`, as with columns."""
    keys = distinct(field.name for field in kind.fields)
    changes = [_change(field.dataType) or _same for field in kind.fields]
    return _unless_null(lambda value: {key: change(one) for key, change, one in zip(keys, changes, value, strict=True)})


def _same(value: Any) -> Any:
    return value


def _unless_null(change: Change) -> Change:
    return lambda value: None if value is None else change(value)


def whole_fraction(text: str) -> str:
    """`….5` as `….500000`: as a TIMESTAMP_NTZ is shown, which comes as Python's own."""
    head, dot, fraction = text.partition(".")
    return f"{head}.{fraction.ljust(FRACTION, '0')}" if dot else text


def shortest(value: float) -> float:
    """Of all doubles that are this FLOAT, the one with the fewest digits: 0.1, not 0.10000000149011612."""
    for digits in DIGITS:
        found = float(f"{value:.{digits}g}")
        if _as_float(found) == value:
            return found
    return value


def _as_float(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])

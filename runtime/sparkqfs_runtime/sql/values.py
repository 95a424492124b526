"""Rows as Spark itself shows their values, where its client for Python hands over something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sparkqfs_runtime.sql.show import distinct

Change = Callable[[Any], Any]


def read(kinds: Sequence[Any], rows: Iterator[Any]) -> Iterator[Any]:
    """Rows of columns of these kinds."""
    changes = [_change(kind) for kind in kinds]
    if not any(changes):
        yield from rows
        return
    for row in rows:
        yield [value if change is None else change(value) for value, change in zip(row, changes, strict=True)]


def _change(kind: Any) -> Change | None:
    """What is to be done with values of this kind; `None` for nothing."""
    from pyspark.sql import types

    if isinstance(kind, types.StructType):
        return _of_struct(kind)
    if isinstance(kind, types.ArrayType) and (inner := _change(kind.elementType)):
        return _unless_null(lambda value: [inner(one) for one in value])
    if isinstance(kind, types.MapType):
        return _of_map(_change(kind.keyType), _change(kind.valueType))
    return None


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

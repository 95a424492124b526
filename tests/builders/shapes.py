"""The shape of JSON documents: which keys they have, and of what type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"),
    ((int, float), "number"),
    (str, "text"),
    (dict, "object"),
    (list, "list"),
)
ABSENT = "absent"


def _type_of(value: object) -> str:
    return next((name for kind, name in TYPES if isinstance(value, kind)), "null")


def _walk(values: Sequence[object], path: str, missing: bool) -> Iterator[tuple[str, str]]:
    kinds = {_type_of(value) for value in values} | ({ABSENT} if missing else set())
    yield path, ", ".join(sorted(kinds))
    tables = [value for value in values if isinstance(value, dict)]
    for key in dict.fromkeys(key for table in tables for key in table):
        inner = [table[key] for table in tables if key in table]
        yield from _walk(inner, f"{path}.{key}" if path else str(key), len(inner) < len(tables))
    items = [item for value in values if isinstance(value, list) for item in value]
    if items:
        yield from _walk(items, f"{path}[]", False)


def keys_of(documents: Sequence[object]) -> dict[str, str]:
    """Path of each key → its types in all of these documents; `absent` among them where one has not got it.

    `nodes[].name` is the key `name` of the objects in the list `nodes`.
    """
    return {path: kinds for path, kinds in sorted(_walk(documents, "", False)) if path}


def breaks(recorded: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """What a script that reads the recorded keys would stumble over."""
    gone = [f"{path} has gone (it was {kinds})" for path, kinds in recorded.items() if path not in found]
    changed = [
        f"{path} is {found[path]}, it was {kinds}"
        for path, kinds in recorded.items()
        if path in found and not set(found[path].split(", ")) <= set(kinds.split(", "))
    ]
    return [*gone, *changed]


def additions(recorded: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """What is new, or can be less than it could, which breaks no script."""
    new = [f"{path} is new ({kinds})" for path, kinds in found.items() if path not in recorded]
    fewer = [
        f"{path} is {found[path]} only, it was {kinds}"
        for path, kinds in recorded.items()
        if path in found and set(found[path].split(", ")) < set(kinds.split(", "))
    ]
    return [*new, *fewer]

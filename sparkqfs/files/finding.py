"""The first file server, and what a place names there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sparkqfs.errors import ClusterError, ConfigError, Problem
from sparkqfs.files.places import Place
from sparkqfs.files.results import visible
from sparkqfs.files.storage import Entry, Storage, StorageError
from sparkqfs.files.transfer import Access


@contextlib.contextmanager
def opened(access: Access, verb: str) -> Iterator[Storage]:
    """The first file server, closed at the end.

    A connection that ends before the files' turn is a `ClusterError`; a `DeadlineError` when the time is over.
    """
    try:
        storage = access.connect(0)
    except ClusterError as error:
        if access.is_over:
            raise access.late(verb) from error
        raise
    try:
        yield storage
    except OSError as error:
        if access.is_over:
            raise access.late(verb) from error
        said = storage.pipe.last_words() or str(error) or type(error).__name__
        raise ClusterError(Problem(node=storage.pipe.where or None, what=f"file server: {said}")) from error
    finally:
        storage.close()


def find(storage: Storage, place: Place) -> list[Entry]:
    """What a place names, at least one. Raises `ConfigError` for nothing, `ClusterError` for the storage's refusal."""
    try:
        matched = storage.find(Place(place.base, place.path.rstrip("/") or "/").uri)
    except StorageError as error:
        raise ClusterError(Problem(what=f"{visible(str(place))}: {error}")) from error
    found = [entry for entry in matched if place.takes(entry.path)]
    if not found:
        hint = "`ls` of its directory shows what is there; a pattern stands in quotes"
        raise ConfigError(Problem(what=f"{visible(str(place))} is not there", hint=hint))
    return found

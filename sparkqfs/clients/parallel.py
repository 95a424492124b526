"""One function on many nodes, over a bounded pool; keeps every result and every failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Generic, TypeVar

from sparkqfs.errors import ClusterError, Problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Results(Generic[T]):
    """What came of each node: a value, or the error that ended it."""

    values: dict[str, T]
    failures: dict[str, ClusterError]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems, in node order."""
        return tuple(problem for error in self.failures.values() for problem in error.problems)

    def raise_failures(self) -> dict[str, T]:
        """The values, or one `ClusterError` with every node's problems."""
        if self.failures:
            raise ClusterError(*self.problems)
        return self.values


def run_on(names: Iterable[str], function: Callable[[str], T], *, limit: int) -> Results[T]:
    """Call `function(name)` for each name, at most `limit` at a time; one failing name does not hold up the others.

    A `ClusterError` is kept as that name's result; anything else is a defect and is raised.
    """
    order = list(names)
    values: dict[str, T] = {}
    failures: dict[str, ClusterError] = {}
    if not order:
        return Results(values, failures)
    pool = ThreadPoolExecutor(max_workers=max(1, min(limit, len(order))), thread_name_prefix="node")
    try:
        futures = {pool.submit(function, name): name for name in order}
        for future in as_completed(futures):
            name = futures[future]
            try:
                values[name] = future.result()
            except ClusterError as error:
                failures[name] = error
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown(wait=True)
    return Results(
        {name: values[name] for name in order if name in values},
        {name: failures[name] for name in order if name in failures},
    )

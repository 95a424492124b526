"""The same question to many, again and again, of whom the silent ones hold up nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from sparkqfs.clients.parallel import Results
from sparkqfs.errors import ClusterError, Problem

T = TypeVar("T")


class Background(Generic[T]):
    """Calls `function(name)` in threads of its own, at most `limit` at a time, and never twice at once for a name.

    One that fell silent is not waited for at the next looks; its answer counts in the look after it has come. The
    threads end with the process, whatever they still wait for.
    """

    def __init__(self, function: Callable[[str], T], *, limit: int) -> None:
        self._function = function
        self._slots = threading.Semaphore(limit)
        self._asked: dict[str, tuple[Future[T], float]] = {}
        self._silent: set[str] = set()
        self._errors: dict[str, ClusterError] = {}

    def start(self, names: Iterable[str]) -> None:
        """Ask those that are not being asked already."""
        for name in names:
            if name not in self._asked:
                self._asked[name] = self._ask(name), time.monotonic()

    def look(self, names: Iterable[str], *, within_s: float) -> Results[T]:
        """What each says now, after `within_s` seconds at the latest, or why it does not."""
        order = list(names)
        self.start(order)
        wait([self._asked[name][0] for name in order if name not in self._silent], timeout=within_s)
        values: dict[str, T] = {}
        failures: dict[str, ClusterError] = {}
        for name in order:
            future, since = self._asked[name]
            if not future.done():
                what = f"no answer for {time.monotonic() - since:.0f} s"
                failures[name] = self._errors.get(name) or ClusterError(Problem(node=name, what=what))
                continue
            del self._asked[name]
            try:
                values[name] = future.result()
                self._errors.pop(name, None)
            except ClusterError as error:
                failures[name] = self._errors[name] = error
        self._silent = self._silent - set(values) | set(failures)
        return Results(values, failures)

    def _ask(self, name: str) -> Future[T]:
        future: Future[T] = Future()

        def ask() -> None:
            with self._slots:
                try:
                    future.set_result(self._function(name))
                except BaseException as error:  # noqa: BLE001 - `look` raises it
                    future.set_exception(error)

        threading.Thread(target=ask, name=f"ask {name}", daemon=True).start()
        return future

"""What keeps processes and sockets out of the tests of this folder: an error that says which of them it was."""

from __future__ import annotations

import _posixsubprocess
import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

WHERE = "what needs one is a test of tests/machines, tests/runtime or tests/storage"
FORBIDDEN = {
    "subprocess.Popen": "a process",
    "os.exec": "a process",
    "os.fork": "a process",
    "os.forkpty": "a process",
    "os.posix_spawn": "a process",
    "os.spawn": "a process",
    "os.system": "a process",
    "pty.spawn": "a process",
    "socket.__new__": "a socket",
    "socket.bind": "a socket",
    "socket.connect": "a socket",
    "socket.getaddrinfo": "a look-up of a name",
    "socket.gethostbyaddr": "a look-up of a name",
    "socket.gethostbyname": "a look-up of a name",
    "socket.getnameinfo": "a look-up of a name",
}
"""Events that Python itself reports (PEP 578), however and wherever the function was imported."""


class Guard:
    """Off until `on`; keeps what was tried, because an error in another thread, or one that is caught, ends no test."""

    def __init__(self) -> None:
        self.tried: list[str] = []
        self._is_on = False
        self._others: frozenset[threading.Thread] = frozenset()
        """Threads that tests of other folders have left in this process: what they do is not the tests' of this one."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._is_on and event in FORBIDDEN and threading.current_thread() not in self._others:
            self._refuse(FORBIDDEN[event], event, *arguments[:2])

    def _refuse(self, what: str, event: str, *arguments: object) -> None:
        text = f"{what} in tests/unit: {event}{arguments!r:.200}; {WHERE}"
        self.tried.append(text)
        pytest.fail(text)

    @contextlib.contextmanager
    def on(self) -> Iterator[Guard]:
        """Within this, whatever starts a process or makes a socket fails. Can be nested."""
        was = self._is_on
        start: Any = _posixsubprocess.fork_exec

        def refuse(arguments: object, *more: object) -> int:
            if threading.current_thread() in self._others:
                return int(start(arguments, *more))
            self._refuse("a process", "fork_exec", arguments)
            return -1

        if not was:
            self._others = frozenset(threading.enumerate()) - {threading.current_thread()}
        self._is_on = True
        _posixsubprocess.fork_exec = refuse  # multiprocessing calls it without an event
        try:
            yield self
        finally:
            self._is_on = was
            _posixsubprocess.fork_exec = start

    @contextlib.contextmanager
    def watched(self) -> Iterator[Guard]:
        """Fails at its end when something was tried within it, whatever became of the error."""
        self.tried.clear()
        yield self
        if self.tried:
            pytest.fail(self.tried[0])


GUARD = Guard()
"""One a process: a hook of Python's stays until its end."""

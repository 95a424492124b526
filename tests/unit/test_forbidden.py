"""The guard of this folder: it refuses each way to a process or a socket, and only while it is on."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pty
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable

import pytest

from tests.unit.forbidden import Guard


def forked(fork: Callable[[], int | tuple[int, int]]) -> None:
    """Where nothing refuses it, the child must not go on with the tests."""
    found = fork()
    pid = found if isinstance(found, int) else found[0]
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def in_a_new_interpreter() -> None:
    multiprocessing.get_context("spawn").Process(target=print).start()


WAYS: dict[str, tuple[Callable[[], object], str]] = {
    "subprocess": (lambda: subprocess.run([sys.executable, "-c", ""], check=False), "a process"),
    "system": (lambda: os.system("true"), "a process"),
    "fork": (lambda: forked(os.fork), "a process"),
    "forkpty": (lambda: forked(pty.fork), "a process"),
    "posix_spawn": (lambda: os.posix_spawn("/bin/true", ["true"], {}), "a process"),
    "spawn": (lambda: os.spawnv(os.P_WAIT, "/bin/true", ["true"]), "a process"),
    "popen": (lambda: os.popen("true"), "a process"),
    "exec": (lambda: os.execv("/no-such-program", ["x"]), "a process"),
    "multiprocessing": (in_a_new_interpreter, "a process"),
    "socket": (socket.socket, "a socket"),
    "pair": (socket.socketpair, "a socket"),
    "connection": (lambda: socket.create_connection(("127.0.0.1", 9), timeout=1), "a look-up of a name|a socket"),
    "unix": (lambda: socket.socket(socket.AF_UNIX), "a socket"),
    "look-up": (lambda: socket.getaddrinfo("localhost", 80), "a look-up of a name"),
    "old look-up": (lambda: socket.gethostbyname("localhost"), "a look-up of a name"),
    "page": (lambda: urllib.request.urlopen("http://127.0.0.1:9/", timeout=1), "a look-up of a name|a socket"),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_out_is_refused_and_named(way: str, forbidden: Guard) -> None:
    action, what = WAYS[way]
    with pytest.raises(pytest.fail.Exception, match=f"^({what}) in tests/unit: "):
        action()
    assert forbidden.tried
    forbidden.tried.clear()


def test_what_is_caught_or_happens_in_a_thread_is_kept(forbidden: Guard) -> None:
    def quiet() -> None:
        with contextlib.suppress(BaseException):
            socket.socket()

    for number in (1, 2):
        thread = threading.Thread(target=quiet)
        thread.start()
        thread.join()
        quiet()
        assert len(forbidden.tried) == 2 * number
    forbidden.tried.clear()


def test_a_test_that_hides_what_it_tried_fails_all_the_same() -> None:
    guard = Guard()
    with (
        pytest.raises(pytest.fail.Exception, match=r"^a process in tests/unit: os\.system"),
        guard.watched(),
        contextlib.suppress(BaseException),
        guard.on(),
    ):
        guard._hear("os.system", ("true",))
    with guard.watched():
        pass


def test_outside_of_the_folder_nothing_is_refused() -> None:
    """A guard of its own: the folder's is on."""
    guard = Guard()
    guard._hear("os.system", ("true",))
    with guard.on():
        with pytest.raises(pytest.fail.Exception), guard.on():
            guard._hear("os.system", ("true",))
        with pytest.raises(pytest.fail.Exception):
            guard._hear("os.fork", ())
        guard._hear("open", ("file", "r", 0))
    guard._hear("os.system", ("true",))
    assert len(guard.tried) == 2


def test_a_thread_that_another_folder_has_left_goes_on() -> None:
    """Its work is not that of a test here; a thread that begins meanwhile is."""
    guard, go, ended = Guard(), threading.Event(), threading.Event()

    def wait_and_try() -> None:
        go.wait(30)
        with contextlib.suppress(BaseException):
            guard._hear("os.system", ("true",))
        ended.set()

    threading.Thread(target=wait_and_try).start()
    with guard.on():
        go.set()
        assert ended.wait(30) and guard.tried == []
        ended.clear()
        threading.Thread(target=wait_and_try).start()
        assert ended.wait(30) and len(guard.tried) == 1

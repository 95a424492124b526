"""Standard streams that are not ready, that nobody reads, or that take no more. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
from collections.abc import Callable, Iterator
from types import TracebackType

_TAKES_NO_MORE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""Why a write fails without a fault of ours; a broken pipe apart."""


class NobodyReads(BrokenPipeError):
    """Standard output is closed on the other side, as behind `| head`."""


class CannotWrite(Exception):
    """Standard output takes no more, as on a full disk; the text says why."""


def read_some(descriptor: int, size: int) -> bytes:
    """As `os.read`, and waits also where whoever opened the descriptor has told it not to; empty at its end only."""
    while True:
        try:
            return os.read(descriptor, size)
        except BlockingIOError:
            asked = select.poll()
            asked.register(descriptor, select.POLLIN)
            asked.poll()


def to_nowhere(descriptor: int) -> None:
    """What is still written there, at the latest when Python ends, is no error any more."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)


@contextlib.contextmanager
def output_errors() -> Iterator[None]:
    """Around what writes to standard output: raises `NobodyReads` or `CannotWrite`."""
    try:
        yield
    except BrokenPipeError:
        raise NobodyReads from None
    except OSError as error:
        raise CannotWrite(reason(error)) from None


def look_for_reader() -> None:
    """Raises `NobodyReads` where standard output is a pipe whose other side was closed; nothing is written."""
    asked = select.poll()
    asked.register(1, 0)
    if any(said & (select.POLLERR | select.POLLNVAL) for _, said in asked.poll(0)):
        raise NobodyReads


def reason(error: OSError) -> str:
    """One line for the user."""
    return f"standard output: {error.strerror or error}"


_asks = [False]


def is_asking() -> bool:
    """Whether the last that was told is a question: it ends without a line's end, and an answer comes behind it."""
    return _asks[0]


def tell(text: str) -> None:
    """To standard error, at once. Where it is not read or takes no more, nothing is said and the work goes on."""
    _asks[0] = bool(text) and not text.endswith("\n")
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        to_nowhere(2)


def open_missing() -> None:
    """What the caller has closed, as with `>&-`, is /dev/null: no file and no connection of ours gets its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def exit_code_of(program: Callable[[], object]) -> int:
    """Run a program that prints without looking whether that works; its exit code.

    The program's own when nobody reads standard output any more; 1 at least, with one line, when it takes no more.
    """
    open_missing()
    code = 0
    try:
        code = _ended(program)
        sys.stdout.flush()
    except CannotWrite as error:
        to_nowhere(1)
        tell(f"{error}\n")
        return code or 1
    except OSError as error:
        pending = getattr(error.__context__, "code", None)
        if isinstance(pending, int) and is_of_output(error):  # the words of an end that nobody can read
            to_nowhere(2)
            return pending
        if not end_quietly(error):
            raise
        return code if isinstance(error, BrokenPipeError) else code or 1
    return code


def _ended(program: Callable[[], object]) -> int:
    try:
        result = program()
    except SystemExit as end:
        result = end.code
    if result is None or isinstance(result, int):
        return int(result or 0)
    tell(f"{result}\n")  # as Python does
    return 1


def is_of_output(error: BaseException) -> bool:
    """Whether it comes from a write to standard output or error, as far as one can see."""
    if isinstance(error, BrokenPipeError):
        return True
    return isinstance(error, OSError) and error.filename is None and error.errno in _TAKES_NO_MORE


def end_quietly(error: BaseException) -> bool:
    """Say in one line, or not at all, what would be a traceback; False when the error is another one."""
    if not is_of_output(error):
        return False
    to_nowhere(1)
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        tell(f"{reason(error)}\n")
    return True


def guard() -> None:
    """For a program that is not ours and prints what is ours, as `invoke --list`: no traceback from its writes."""
    open_missing()
    before = sys.excepthook
    if getattr(before, "__name__", "") == "hook_of_ours":  # Invoke may load tasks.py more than once
        return

    def hook_of_ours(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not end_quietly(error):
            before(kind, error, trace)

    sys.excepthook = hook_of_ours

"""A program on this computer, its time and its output bounded."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress


class TooMuch(Exception):
    """It says more than anybody reads."""


def output_of(command: Sequence[str], wait_s: float, limit_bytes: int, feed: bytes = b"") -> tuple[int, str, str]:
    """Exit code, standard output and standard error.

    Raises `TimeoutError` with the seconds, `TooMuch`, or `OSError` where it cannot be started; it is ended then, and
    with it what it has started. What it leaves running is not waited for.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        with suppress(BrokenPipeError):
            if process.stdin is not None:
                process.stdin.write(feed)
                process.stdin.close()
        out, err = _read(process, time.monotonic() + wait_s, wait_s, limit_bytes)
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.wait()
    return process.returncode, out.decode(errors="surrogateescape"), err.decode(errors="replace")


def _read(process: subprocess.Popen[bytes], deadline: float, wait_s: float, limit_bytes: int) -> tuple[bytes, bytes]:
    """Both streams, until they end or the process has."""
    taken = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as ready:
        for stream in taken:
            assert stream is not None
            ready.register(stream, selectors.EVENT_READ)
        while ready.get_map():
            has_ended = process.poll() is not None
            events = ready.select(0.0 if has_ended else min(0.1, max(0.0, deadline - time.monotonic())))
            if has_ended and not events:
                break
            for key, _ in events:
                more = os.read(key.fd, 65536)
                if not more:
                    ready.unregister(key.fileobj)
                taken[key.fileobj] += more  # type: ignore[index]
            if sum(len(kept) for kept in taken.values()) > limit_bytes:
                raise TooMuch
            if time.monotonic() > deadline:
                raise TimeoutError(f"{wait_s:g}")
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{wait_s:g}")
        time.sleep(0.005)
    return bytes(taken[process.stdout]), bytes(taken[process.stderr])

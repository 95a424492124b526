"""Runs a program while somebody waits for it: ends it, and all that it started, when standard input closes.

Usage: docker exec -i CONTAINER attended SECONDS PROGRAM ARGUMENT…

Killing `docker exec` leaves the program running; all that arrives in the container is the end of standard input. The
program itself gets an empty one, and the variable SPARKQFS_UNTIL: the second since the epoch in which its time is over.

Exit codes: the program's own, 128 + N when signal N ended it; 64 wrong command line; 124 the SECONDS are over;
125 nobody waits any more; 127 the program cannot be started. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

EX_USAGE = 64
EX_TIME = 124
EX_ALONE = 125
EX_NOT_FOUND = 127
GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""
PR_SET_CHILD_SUBREAPER = 36
UNTIL = "SPARKQFS_UNTIL"


def say(text: str) -> None:
    """One line on stderr, if somebody still reads it."""
    with contextlib.suppress(OSError):
        print(f"attended: {text}", file=sys.stderr, flush=True)


def descendants() -> list[int]:
    """All processes that come from this one, those in other sessions too: as a subreaper we inherit orphans."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = list(children.get(os.getpid(), []))
    for pid in found:
        found += children.get(pid, [])
    return found


def reap(program: int) -> int | None:
    """Collect what has ended; the program's exit code once it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == program:
            ended = os.waitstatus_to_exitcode(status)
            code = ended if ended >= 0 else 128 - ended


def end_all(program: int) -> None:
    """SIGTERM to everything, SIGKILL to what is left after `GRACE_S` seconds; given up after as long again."""
    deadline = time.monotonic() + GRACE_S
    asked: set[int] = set()
    while True:
        reap(program)
        left = descendants()
        if not left:
            return
        late = time.monotonic() > deadline
        if time.monotonic() > deadline + GRACE_S:  # a process that waits for a dead disk cannot be killed
            say(f"{len(left)} processes cannot be ended")
            return
        for pid in left:
            if late or pid not in asked:
                try:
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                except ProcessLookupError:
                    continue
        asked.update(left)
        time.sleep(0.05)


def watch(program: int, wake: int, deadline: float) -> int:
    """Until the program ends (its code), the time is over (124), or nobody waits any more (125)."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        code = reap(program)
        if code is not None:
            return code
        left = deadline - time.monotonic()
        if left <= 0:
            return EX_TIME
        for descriptor, _ in poll.poll(min(left, 3600.0) * 1000):
            received = os.read(descriptor, 65536)
            if descriptor == 0 and not received:
                return EX_ALONE
            if descriptor == wake and set(received) - {signal.SIGCHLD}:
                return EX_ALONE


def main(arguments: list[str]) -> int:
    """Start, watch, and leave nothing behind."""
    if len(arguments) < 2 or not arguments[0].isdigit():
        say("usage: attended SECONDS PROGRAM ARGUMENT…")
        return EX_USAGE
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    deadline = time.monotonic() + int(arguments[0])
    environment = {**os.environ, UNTIL: str(int(time.time()) + int(arguments[0]))}
    try:
        process = subprocess.Popen(arguments[1:], stdin=subprocess.DEVNULL, start_new_session=True, env=environment)
    except OSError as error:
        say(f"{arguments[1]}: {error.strerror}")
        return EX_NOT_FOUND
    code = watch(process.pid, wake, deadline)
    if code in (EX_TIME, EX_ALONE):
        say(f"{arguments[1]}: {'the time is over' if code == EX_TIME else 'nobody waits any more'}; ending it")
    end_all(process.pid)
    return code

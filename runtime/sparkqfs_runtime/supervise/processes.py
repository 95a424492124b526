"""Starts daemons, waits until one ends or a signal comes, and ends them all."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkqfs_runtime import kept_output
from sparkqfs_runtime.supervise.setup import STOP_SIGNALS, WAITED_SIGNALS, say

STOP_DEADLINE_S = 50.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program in the foreground and the signal that stops it cleanly."""

    name: str
    argv: tuple[str, ...]
    stop_signal: signal.Signals = signal.SIGTERM
    hide: bytes = b""
    """What must not reach the log: QFS's daemons log their settings, the cluster key among them."""
    is_needed: bool = True
    """Whether the container ends with it; else it is missing from then on, and the log says so."""
    output: kept_output.Kept | None = None
    """Keeps its `stdout` and `stderr`, when they are not for the container's log."""


PUMPS: list[threading.Thread] = []


def start(daemon: Daemon, environ: Mapping[str, str]) -> int:
    """Starts it as leader of a process group with default signal dispositions and nothing blocked; its pid, or 0."""
    defaults = sorted(set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}, key=int)
    actions: list[tuple[Any, ...]] = []
    ends: tuple[int, int] | None = None
    if daemon.hide:
        ends = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, ends[1], 1), (os.POSIX_SPAWN_DUP2, ends[1], 2)]
    kept: tuple[int, ...] = ()
    if daemon.output is not None:
        kept = daemon.output.open()
        actions = [(os.POSIX_SPAWN_DUP2, end, number) for number, end in enumerate(kept, 1)]
    try:
        pid = os.posix_spawn(
            daemon.argv[0],
            daemon.argv,
            environ,
            file_actions=actions,
            setpgroup=0,
            setsigmask=[],
            setsigdef=defaults,
        )
    except OSError as error:
        say(f"cannot start the {daemon.name} ({daemon.argv[0]}): {error}")
        pid = 0
    for end in kept:
        os.close(end)
    if ends is not None:
        os.close(ends[1])
        pump = threading.Thread(target=pass_on, args=(ends[0], daemon.hide), daemon=True)
        pump.start()
        PUMPS.append(pump)
    return pid


def pass_on(descriptor: int, hide: bytes) -> None:
    """Copies a daemon's log to ours without `hide`, until the daemon has closed it."""
    with os.fdopen(descriptor, "rb") as lines:
        for line in lines:
            rest = line.replace(hide, b"(hidden)")
            try:
                while rest:
                    rest = rest[os.write(2, rest) :]
            except OSError:
                continue  # nobody reads us; the daemon must not block for that


def finish_logs() -> None:
    """Waits, not long, for the last lines."""
    for pump in PUMPS:
        pump.join(2.0)


def reap() -> dict[int, int]:
    """Every child that has ended, orphans of others included: pid → exit code, negative for a signal."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


def describe(code: int) -> str:
    """An exit code as a person says it."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def send(pid: int, number: signal.Signals, *, group: bool = False) -> None:
    """A signal to a process or its group, gone or not."""
    try:
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def stop(running: dict[int, Daemon], deadline_s: float) -> None:
    """Asks every daemon to end, each by its own signal, and kills what is left after `deadline_s`."""
    groups = list(running)
    for pid, daemon in running.items():
        send(pid, daemon.stop_signal)
    end = time.monotonic() + deadline_s
    while running and (left := end - time.monotonic()) > 0:
        signal.sigtimedwait({signal.SIGCHLD}, min(left, 1.0))
        for pid in reap():
            running.pop(pid, None)
    for daemon in running.values():
        say(f"the {daemon.name} did not end within {deadline_s:.0f} s: killed")
    for pid in groups:
        send(pid, signal.SIGKILL, group=True)
    for pid in running:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            continue
    finish_logs()


def supervise(daemons: list[Daemon], environ: Mapping[str, str], deadline_s: float) -> int:
    """Runs them until a signal (0) or until one ends by itself (1)."""
    running: dict[int, Daemon] = {}
    for daemon in daemons:
        pid = start(daemon, environ)
        if pid == 0:
            if not daemon.is_needed:
                continue
            stop(running, deadline_s)
            return 1
        running[pid] = daemon
        say(f"started the {daemon.name}")
    while True:
        received = signal.sigwaitinfo(WAITED_SIGNALS)
        if received.si_signo in STOP_SIGNALS:
            say(f"{signal.Signals(received.si_signo).name}: stopping")
            stop(running, deadline_s)
            return 0
        is_over = False
        for pid, code in reap().items():
            if pid not in running:
                continue
            daemon = running.pop(pid)
            what = "stopping the container" if daemon.is_needed else "it is missing until the container's next start"
            say(f"the {daemon.name} ended with {describe(code)}; {what}")
            send(pid, signal.SIGKILL, group=True)
            is_over = is_over or daemon.is_needed
        if is_over:
            stop(running, deadline_s)
            return 1

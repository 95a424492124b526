"""Programs under a Python of this computer: which there are, and running one until it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sparkqfs.errors import ConfigError, Problem

ASK_S = 60.0
"""For the answer of a Python; a disk that sleeps takes its time."""


def pythons(named: str | None) -> tuple[str, ...]:
    """Paths of the Python that was named, else of those that may be meant, the likeliest first.

    Raises `ConfigError` for one that is not there.
    """
    if named is not None:
        found = shutil.which(str(Path(named).expanduser()))
        if found is None:
            raise ConfigError(Problem(what=f"--python {named}: no such program"))
        return (found,)
    active = os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX")
    names = [str(Path(active) / "bin" / "python")] if active else []
    paths = [shutil.which(name) for name in (*names, "python3", "python", sys.executable)]
    return tuple(dict.fromkeys(path for path in paths if path is not None))


def answer(python: str, program: str) -> str:
    """What a program prints under this Python; empty where it fails or takes too long."""
    try:
        argv, nothing = [python, "-c", program], subprocess.DEVNULL
        done = subprocess.run(argv, stdin=nothing, capture_output=True, text=True, timeout=ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def run(argv: Sequence[str], more: Mapping[str, str], *, stdout: int | None = None) -> int:
    """Runs it with this command's terminal and `more` in its environment; its exit code, 128 + N for signal N.

    `stdout` is a descriptor in the place of ours. Ctrl-C reaches the program too, which decides what becomes of it: we
    wait for its end. Raises `ConfigError` when it cannot be started.
    """
    try:
        process = subprocess.Popen(list(argv), env={**os.environ, **more}, stdout=stdout)
    except OSError as error:
        raise ConfigError(Problem(what=f"{argv[0]}: {error.strerror}")) from error
    with _interrupts_left_to(process):
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _interrupts_left_to(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ctrl-C at a terminal goes to both of us; SIGTERM goes to us alone, and is passed on."""

    def pass_on(number: int, _frame: object) -> None:
        process.send_signal(number)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, pass_on),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

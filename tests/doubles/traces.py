"""System calls of real processes, as strace writes them down."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

TRACE = ("strace", "-f", "-y", "-e", "trace=fsync,rename,renameat,renameat2", "-o")


CALL = re.compile(r"^\d+ +(fsync|rename\w*)\((.*)\) += 0$")


def calls(out: Path, argv: list[str], **options: object) -> list[str]:
    """`fsync NAME` and `rename NAME` in order; a rename by its new name."""
    if shutil.which("strace") is None:
        pytest.skip("no strace")
    done = subprocess.run((*TRACE, str(out), *argv), check=False, capture_output=True, **options)  # type: ignore[call-overload]
    if b"ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    return calls_in(out)


def calls_in(out: Path) -> list[str]:
    """Of a trace that is written."""
    found = []
    for line in out.read_text().splitlines():
        if call := CALL.match(line):
            paths = re.findall(r'<([^>]*)>|"([^"]*)"', call[2])
            name = [path for pair in paths for path in pair if path][-1]
            found.append(f"{call[1][:6].rstrip('a')} {name.rsplit('/', 1)[-1]}")
    return found

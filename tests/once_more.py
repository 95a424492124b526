"""What failed in `./test`, once more with nothing beside it. What passes then is named; the run has passed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.outcomes import FILE

MOST = 3
"""More than so many failures are no matter of what ran beside them."""
LIMIT_S = 1200
SAID = Path("results/unsteady.txt")


def main() -> int:
    """The exit code of the whole: 0 only when each of them passed this time, and its whole file with it.

    A cluster's tests are not tried again: they stand on those before them. Nor is anything where a process of the first
    run crashed, or a file could not be read.
    """
    SAID.unlink(missing_ok=True)
    first = _taken()
    names: list[str] = first.get("failed", [])
    if first.get("crashed", True) or not 1 <= len(names) <= MOST or any(_is_left(name) for name in names):
        return 1
    files = sorted({name.partition("::")[0] for name in names})
    print(f"\n== once more, alone: {' '.join(files)}", flush=True)
    code = _run([sys.executable, "-m", "pytest", "-p", "tests.outcomes", *files])
    if code or not set(names) <= set(_taken().get("passed", [])):
        return 1
    said = "".join(f"UNSTEADY: failed beside other tests, passed with its file alone: {name}\n" for name in names)
    SAID.write_text(said, encoding="utf-8")
    return 0


def _taken() -> dict[str, Any]:
    """The outcomes, which no later run may take for its own."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    FILE.unlink(missing_ok=True)
    return found


def _is_left(name: str) -> bool:
    return "::" not in name or name.startswith("tests/cluster/")


def _run(argv: list[str]) -> int:
    """Its exit code; 1 when it does not end in time."""
    with subprocess.Popen(argv) as process:
        try:
            return process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            print(f"not ended within {LIMIT_S} s", flush=True)
            process.send_signal(signal.SIGINT)  # fixtures end what they have started
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
            return 1


if __name__ == "__main__":
    sys.exit(main())

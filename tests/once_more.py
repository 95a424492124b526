"""What failed in `./test`, once more and alone. What passes then is named and does not end the run as failed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST = 3
"""More than so many failures are no matter of what ran beside them."""
LIMIT_S = 1200
LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
"""pytest's own list; `./test` removes it before it begins."""


def failed_tests(file: Path) -> tuple[str, ...]:
    """Those of the last run, by pytest's names; nothing where it wrote no list."""
    return tuple(sorted(json.loads(file.read_text(encoding="utf-8")))) if file.exists() else ()


def main() -> int:
    """The exit code of the whole: 0 only when each of them passed this time."""
    names = failed_tests(LAST_FAILED)
    if not 1 <= len(names) <= MOST or any("::" not in name for name in names):
        return 1
    print(f"\n== once more, alone: {', '.join(names)}", flush=True)
    try:
        done = subprocess.run([sys.executable, "-m", "pytest", *names], timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        print(f"not ended within {LIMIT_S} s")
        return 1
    if done.returncode or failed_tests(LAST_FAILED):
        return 1
    for name in names:
        print(f"UNSTEADY: failed beside other tests, passed alone: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

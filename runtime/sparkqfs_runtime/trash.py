"""A daemon that empties the trash of QFS's own tools, which nothing else does: what `qrm` moved there a week ago.

Usage: trash

`.Trash/Current` in a user's directory gets the name of the minute once a day, as QFS's own emptier gives it; what has a
name of more than a week ago is removed. A link in the place of a trash is left alone. It acts as the account it runs
as: what that account may not see or remove stays. Standard library only.
Source of names and format: QFS, src/cc/tools/Trash.cc.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

KEPT = timedelta(days=7)
STAMP_EVERY = timedelta(days=1)
LOOK_S = 3600.0
HOMES = "/user"
PLAIN = re.compile(r"[A-Za-z0-9._@+-]+")
"""A name that QFS's tools take for nothing but itself."""
STAMPED = re.compile(r"(\d{10})(\.\d+)?")
STAMP = "%y%m%d%H%M"
TOOL = Path(__file__).resolve().parents[1] / "bin" / "qfs"

Tool = Callable[..., str]
"""Runs QFS's file tool with arguments. Standard output; raises `OSError` when it fails."""


def tool(*words: str) -> str:
    """The tool of this container; an hour at most."""
    done = subprocess.run(
        [str(TOOL), *words], capture_output=True, text=True, errors="replace", timeout=3600, check=False
    )
    if done.returncode != 0:
        raise OSError(f"qfs {' '.join(words)}: {done.stderr.strip()[-300:]}")
    return done.stdout


def directories(run: Tool, above: str) -> list[str]:
    """Names of real directories below a path; no links, no names that the tools would take for a pattern."""
    rows = [line for line in run("-ls", above).splitlines() if line.startswith("d")]
    names = [row.partition(f" {above}/")[2] for row in rows]
    return sorted(name for name in names if PLAIN.fullmatch(name) and name not in (".", ".."))


def moment(name: str) -> datetime | None:
    """Of a directory of a trash; `None` where it has no such name."""
    found = STAMPED.fullmatch(name)
    try:
        return datetime.strptime(found[1], STAMP).replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def empty(trash: str, run: Tool, now: datetime) -> list[str]:
    """What was removed of one trash. `now` has a time zone."""
    names = directories(run, trash)
    stamps = {name: when for name in names if (when := moment(name))}
    if "Current" in names and now - max(stamps.values(), default=datetime.min.replace(tzinfo=UTC)) >= STAMP_EVERY:
        run("-mv", f"{trash}/Current", f"{trash}/{now:{STAMP}}")
    old = [f"{trash}/{name}" for name, when in stamps.items() if now - when > KEPT]
    for path in old:
        run("-rmr", "-skipTrash", path)
    return old


def empty_all(run: Tool, now: datetime, say: Callable[[str], None]) -> None:
    """Every user's. What cannot be done is told, and done the next time."""
    for name in directories(run, HOMES):
        home = f"{HOMES}/{name}"
        try:
            if ".Trash" in directories(run, home):
                for path in empty(f"{home}/.Trash", run, now):
                    say(f"removed {path}: in the trash for more than {KEPT.days} days")
        except (OSError, subprocess.TimeoutExpired) as error:
            say(f"{home}/.Trash was not emptied: {error}")


def main(argv: list[str]) -> int:
    """Never ends by itself."""
    os.nice(10)
    while True:
        time.sleep(LOOK_S)
        try:
            empty_all(tool, datetime.now(UTC), lambda text: print(f"trash: {text}", flush=True))
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f"trash: nothing was emptied: {error}", flush=True)

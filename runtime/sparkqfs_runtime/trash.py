"""Empties QFS's trash: what `qrm` has moved into `.Trash` of a user's directory goes after a day.

A thread of the status page's process in the metaserver's container, where QFS's own tool has every right. The tool's
emptier makes a pass over /user and then sleeps: `Current` gets the time as its name, and what has such a name and is
older than KEEP_S is removed. It ends for good at the first fault, so each pass is a new one. Source: QFS 2.2.8,
src/cc/tools/Trash.cc. HDFS has no trash here (`fs.trash.interval` 0). Standard library only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

KEEP_S = 86_400
FIRST_S = 300.0
"""Before the first pass: the metaserver may only just be starting, and have no file yet."""
EVERY_S = 3_600.0
PASS_S = 600.0
"""A pass may take so long, and the next one goes on with what is left."""


def empty(tool: Path, uri: str, *, keep_s: int = KEEP_S, pass_s: float = PASS_S) -> str:
    """One pass; what the tool has said."""
    argv = (str(tool), "-fs", uri, "-runEmptier", str(keep_s))
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=pass_s,
            check=False,
        )
    except subprocess.TimeoutExpired:  # the usual end: it sleeps
        return ""
    except OSError as error:
        return str(error)
    return done.stderr.strip()[-500:] or f"exit code {done.returncode}"


def keep_emptying(tool: Path, uri: str) -> None:
    """For as long as the process lives; a fault is said once until there is another."""
    told = ""
    time.sleep(FIRST_S)
    while True:
        said = empty(tool, uri)
        if said and said != told:
            print(f"trash: {said}", file=sys.stderr, flush=True)
        told = said
        time.sleep(EVERY_S)


def start(host: str, port: int) -> None:
    """The thread; nothing where QFS's tool is missing."""
    home = Path(os.environ.get("QFS_HOME") or "/opt/qfs")
    tool = next((path for path in (home / "bin" / "qfs", home / "bin" / "tools" / "qfs") if path.is_file()), None)
    if tool is not None:
        thread = threading.Thread(target=keep_emptying, args=(tool, f"qfs://{host}:{port}"), name="trash", daemon=True)
        thread.start()

"""A user's program that lists what it can see, opens for append and creates files, on every worker and in its driver.

Arguments: device and inode of what is looked for; directories where it may write anyway. Prints one JSON document.
"""

import contextlib
import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

WANTED = set(sys.argv[1].split(","))
FREE = tuple(sys.argv[2].split(","))
NAMES = re.compile(r"checkpoint|chkpt.*|latest|log\..*|ckpt\.lock|fsimage.*|edits.*|seen_txid|\.cluster-name")


def works(act: Callable[[Path], object], path: Path) -> list[str]:
    """The path, if the act succeeds on it."""
    with contextlib.suppress(OSError):
        act(path)
        return [str(path)]
    return []


def create(folder: Path) -> None:
    """Make a file and take it away."""
    file = folder / f"intruder-{os.getpid()}"
    file.touch(exist_ok=False)
    file.unlink()


def look(app: str) -> dict[str, Any] | None:
    """Everything that can be seen in this container; `None` where somebody has looked already."""
    try:
        Path(f"/tmp/{app}").touch(exist_ok=False)
    except FileExistsError:
        time.sleep(1)
        return None
    found: dict[str, Any] = {"host": socket.gethostname(), "seen": [], "names": [], "opened": [], "changed": []}
    found["created"] = []
    for folder, folders, files in os.walk("/"):
        if folder in ("/proc", "/sys", "/dev"):
            folders[:] = []
            continue
        for path in (Path(folder, name) for name in (*folders, *files)):
            with contextlib.suppress(OSError):
                about = path.lstat()
                found["seen"] += [str(path)] if f"{about.st_dev}:{about.st_ino}" in WANTED else []
            if str(path).startswith("/data/") and not f"{path}/".startswith(FREE):
                found["names"] += [str(path)] if NAMES.fullmatch(path.name) else []
                found["opened"] += works(lambda it: it.open("ab").close(), path)
                if path.name == ".cluster-id":
                    found["changed"] += works(lambda it: it.chmod(0o666), path)
                    found["changed"] += works(lambda it: it.rename(f"{it}.away"), path) + works(Path.unlink, path)
        if not f"{folder}/".startswith(FREE):
            found["created"] += works(create, Path(folder))
    return found


context = SparkSession.builder.appName("intruder").getOrCreate().sparkContext
app_id = context.applicationId
every = context.parallelize(range(48), 48).map(lambda _: look(app_id)).collect()
print(json.dumps([one for one in every if one is not None] + [look(app_id)]))

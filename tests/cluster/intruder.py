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
from collections.abc import Callable, Iterator
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


def move(file: Path) -> None:
    """Give a file another name, and take that back."""
    file.rename(f"{file}.away").rename(file)


def all_below(folder: str) -> Iterator[os.DirEntry[str]]:
    """Everything that can be listed, the kernel's own files left out."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.path not in ("/proc", "/sys", "/dev"):
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    yield from all_below(entry.path)


def look(app: str) -> dict[str, Any] | None:
    """Everything that can be seen in this container; `None` where somebody has looked already."""
    try:
        Path(f"/tmp/{app}").touch(exist_ok=False)
    except FileExistsError:
        time.sleep(0.5)
        return None
    found: dict[str, list[str]] = {
        "seen": [],
        "names": [],
        "opened": [],
        "changed": [],
        "created": works(create, Path("/")),
    }
    for entry in all_below("/"):
        path = Path(entry.path)
        with contextlib.suppress(OSError):
            about = entry.stat(follow_symlinks=False)
            found["seen"] += [entry.path] if f"{about.st_dev}:{about.st_ino}" in WANTED else []
        if f"{entry.path}/".startswith(FREE):
            continue
        if entry.is_dir(follow_symlinks=False):
            found["created"] += works(create, path)
        if entry.path.startswith("/data/"):
            found["names"] += [entry.path] if NAMES.fullmatch(entry.name) else []
            found["opened"] += works(lambda it: it.open("ab").close(), path)
            if entry.name == ".cluster-id":
                found["changed"] += works(lambda it: it.chmod(0o444), path) + works(move, path)
    return {"host": socket.gethostname(), **found}


context = SparkSession.builder.appName("intruder").getOrCreate().sparkContext
app_id = context.applicationId
every = context.parallelize(range(24), 24).map(lambda _: look(app_id)).collect()
print(json.dumps([one for one in every if one is not None] + [look(app_id)]))

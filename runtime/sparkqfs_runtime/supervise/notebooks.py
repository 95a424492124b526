"""Our notebooks in the directory of notebooks: what somebody has changed stays."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

from sparkqfs import durable
from sparkqfs_runtime.supervise.setup import say

LAID = ".sparkqfs-notebooks.json"
"""Beside the notebooks: SHA-256 of those that we have put there."""


def copy_notebooks(source: Path, target: Path) -> None:
    """Our notebooks, the newest: one that somebody has changed stays, and ours is laid beside it as NAME.new.ipynb."""
    laid = read_laid(target / LAID)
    for notebook in sorted(source.glob("*.ipynb")):
        try:
            lay_notebook(notebook.read_bytes(), target, notebook.name, laid)
        except OSError as error:
            say(f"could not copy {notebook.name} to {target}: {error}")
    try:
        durable.replace_file(target / LAID, json.dumps(laid, indent=1, sort_keys=True).encode(), 0o640)
    except OSError as error:
        say(f"could not write {target / LAID}: {error}")


def lay_notebook(ours: bytes, target: Path, name: str, laid: dict[str, str]) -> None:
    """Puts one of ours into the directory. `laid` is what was put there before, name → SHA-256; it is kept up."""
    digest = hashlib.sha256(ours).hexdigest()
    beside = f"{name.removesuffix('.ipynb')}.new.ipynb"
    place, theirs = name, content_of(target / name)
    if not is_ours(theirs, ours, laid.get(name)):
        place, theirs = beside, content_of(target / beside)
        if digest in (laid.get(name), laid.get(beside)) or not is_ours(theirs, ours, laid.get(beside)):
            return  # there is nothing newer, it was laid there already, or that one is somebody's too
        say(f"{target / name} was changed by somebody; ours is {beside}")
    if theirs != ours:
        durable.replace_file(target / place, ours, 0o640)
    laid[place] = digest


def is_ours(theirs: bytes | None, ours: bytes, laid: str | None) -> bool:
    """True for nothing, for what we laid down (SHA-256), and for the beginning of it."""
    return theirs is not None and (ours.startswith(theirs) or hashlib.sha256(theirs).hexdigest() == laid)


def content_of(path: Path) -> bytes | None:
    """What the file says; nothing when there is none, `None` when it is no file, or a link, or cannot be read."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except FileNotFoundError:
        return b""
    except OSError:
        return None


def read_laid(path: Path) -> dict[str, str]:
    """The SHA-256 of the notebooks that were laid down; empty when the file is missing, damaged or a link."""
    try:
        found = json.loads(content_of(path) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return {str(name): str(digest) for name, digest in found.items()} if isinstance(found, dict) else {}

"""A tree of files with names that need care."""

from __future__ import annotations

import os
from pathlib import Path

NAMES = ("a b", "xäöx", "sub/deep/x", "sub/y", ".hidden", "[x]*", "100%", "-n")


def a_tree(folder: Path) -> Path:
    """Names that need care, an empty directory, a link, an empty file and one of some size."""
    top = folder / "tree"
    for name in NAMES:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 100)
    (top / "empty").mkdir()
    (top / "zero").touch()
    (top / "big").write_bytes(os.urandom(3_000_001))
    (top / "link").symlink_to("zero")
    return top


def same(one: Path, other: Path) -> bool:
    """Whether two trees have the same files, apart from links."""

    def contents(top: Path) -> dict[str, bytes | None]:
        found = [path for path in top.rglob("*") if not path.is_symlink()]
        return {str(path.relative_to(top)): None if path.is_dir() else path.read_bytes() for path in found}

    return contents(one) == contents(other)

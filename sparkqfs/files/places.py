"""How places on the storage are written, and which of them are not removed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkqfs.errors import ConfigError, Problem, RefusedError

SHARED = "shared:"
URI = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)(/.*)?", re.DOTALL)
PATTERN = re.compile(r"[*?\[{]")
PART = ".sparkqfs-part-"
OURS = (PART, ".sparkqfs-old-")
"""How names begin that files have for a while only, on the storage and on the other side."""
_SAYS_DOT = re.compile(r"(^|[{,])\\?\.")
KEPT = ("/", "/user", "/tmp", "/history", "/history/spark-events", "/warehouse")
"""Directories that the cluster itself needs; so is the home of the service user."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path of a file system. URI = base + path, as the user writes it = shown + path."""

    base: str
    """Scheme, authority and, of the shared directory, its path: without the last slash."""
    path: str
    """From the slash on."""
    shown: str = ""

    def __str__(self) -> str:
        return self.shown + self.path

    @property
    def uri(self) -> str:
        """For the file server."""
        return self.base + self.path

    @property
    def root(self) -> str:
        """The path of `base` on its file system."""
        found = URI.fullmatch(self.base)
        return (found[3] or "") if found else ""

    def at(self, full: str) -> Place:
        """The place of a path as the file server names it."""
        return Place(self.base, full.removeprefix(self.root) or "/", self.shown)

    def below(self, name: str) -> Place:
        """`a` or `a/b` in this directory; the empty name is the place itself."""
        return Place(self.base, f"{self.path.rstrip('/')}/{name}" if name else self.path, self.shown)

    @property
    def parent(self) -> Place:
        """The directory it is in."""
        return Place(self.base, self.path.rstrip("/").rpartition("/")[0] or "/", self.shown)

    @property
    def name(self) -> str:
        """The last part; empty for the root."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def is_into(self) -> bool:
        """Written with a slash at its end: something goes into this directory."""
        return self.path.endswith("/")

    @property
    def is_pattern(self) -> bool:
        """Whether it may stand for several."""
        return PATTERN.search(self.path) is not None

    def takes(self, full: str) -> bool:
        """Whether this name, or as a pattern it, stands for a path that the file server found for it.

        As in a shell a pattern takes a name that begins with a dot only where its own part of the path does; and it
        never takes a file of ours in the making.
        """
        parts, own = self.at(full).path.rstrip("/").split("/"), self.path.rstrip("/").split("/")
        if parts == own:
            return True
        if len(parts) != len(own):  # braces with a slash in them
            parts, own = parts[-1:], own[-1:]
        if parts[-1].startswith(OURS):
            return False
        return all(_SAYS_DOT.search(mine) for part, mine in zip(parts, own, strict=True) if part.startswith("."))


def no_path(text: str, user: str) -> Problem:
    """What is said of a text that is no place; a relative path is one to Spark, and is written out."""
    hint = "/path on the storage, shared:/path, or a whole URI"
    if re.fullmatch(r"\w[\w./-]*", text) and ".." not in text.split("/"):
        hint += f"; Spark's {text} is /user/{user}/{text}"
    return Problem(what=f"{text!r} is not a path", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What a cluster's names mean."""

    root: str
    """URI of the storage's root."""
    shared: str | None
    """URI of the shared directory, `None` without one."""
    user: str
    """The service user."""

    def read(self, text: str) -> Place:
        """A place as in `invoke copy`. Raises `ConfigError`."""
        if text != text.encode(errors="replace").decode():
            raise ConfigError(Problem(what=f"{text!r} is not UTF-8", hint="the storage's names are"))
        found = URI.fullmatch(text)
        path = (found[3] or "/") if found else text.removeprefix(SHARED)
        if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise ConfigError(no_path(text, self.user))
        path = re.sub(r"/+", "/", path)
        if found:
            return self._whole(text, found, path)
        if path is text or not text.startswith(SHARED):
            return Place(self.root, path)
        if self.shared is None:
            what = f"{text}: this cluster has no shared path"
            hint = "set storage.shared.path to a directory that every node mounts, then `invoke up`"
            raise ConfigError(Problem(what=what, config_path="storage.shared.path", hint=hint))
        return Place(self.shared, path, SHARED)

    def _whole(self, text: str, found: re.Match[str], path: str) -> Place:
        if found[1] != "file":
            return Place(f"{found[1]}://{found[2]}", path, f"{found[1]}://{found[2]}")
        if self.shared is not None and not found[2]:
            inside = f"file://{path}"
            if inside.rstrip("/") == self.shared or inside.startswith(self.shared + "/"):
                return Place(self.shared, inside.removeprefix(self.shared) or "/", self.shared)
        what = f"{text}: a path in the containers is another place on each machine"
        raise ConfigError(Problem(what=what, hint="only the shared directory is the same everywhere: shared:/path"))

    def check_removable(self, place: Place) -> None:
        """Raises `RefusedError` for what the cluster itself needs, on any file system."""
        path = place.path.rstrip("/") or "/"
        if path in (*KEPT, f"/user/{self.user}"):
            hint = "name what is in it: `'/path/*'` in quotes takes everything but hidden files in that directory"
            what = f"{place}: the cluster needs this directory; nothing was removed"
            raise RefusedError(Problem(what=what, code=RefusedError.code, hint=hint))

"""Build contexts: files of docker/, the user's certificates, the storage's programs, as a digest and as a tar."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

from sparkqfs import archives, topology
from sparkqfs.archives import Member
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.tree import IS_INSTALLED, PACKAGE, TREE

RUNTIME = TREE / "runtime"
"""What runs in the containers."""
HADOOP_LOCK = TREE / "docker" / topology.WORKER_NODE / "hadoop.lock"
"""Hadoop's servers: one jar a line, its SHA-256 and its path in Maven Central."""
DELTA_LOCK = TREE / "docker" / topology.DELTA / "delta.lock"
"""Delta's jars, likewise."""
RECIPES = frozenset({"hadoop.lock", "hadoop.pom.xml", "delta.lock", "delta.pom.xml"})
"""Files of docker/ that say what is downloaded: what they say counts, see `StorageParts.digest` and `delta_context`."""


_INCOMPLETE = (
    "the package is not whole: install it again" if IS_INSTALLED else "run from a complete clone of the repository"
)
SHARED_MODULES = ("__init__.py", "amounts.py", "durable.py", "errors.py", "progress.py", "streams.py", "topology.py")
"""Of sparkqfs/, in the images as here; and all of sparkqfs/files."""


@dataclass(frozen=True, slots=True)
class StorageParts:
    """The storage's programs that no package of the base has. Without files they are known, but not fetched."""

    digest: str
    """Kind and checksum: `qfs <sha256 of the tarball>`, `hadoop <sha256 of the lock>`."""
    qfs_tarball: Path | None = None
    jars: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """One image's build context."""

    name: str
    members: tuple[Member, ...]
    """Sorted but for what comes last and does not count by its bytes."""
    digest: str


def templates() -> dict[str, str]:
    """The daemons' configuration templates, by file name."""
    return {
        path.name: path.read_text(encoding="utf-8") for path in sorted((TREE / "stack").iterdir()) if path.is_file()
    }


def make_context(config: ClusterConfig, name: str, parts: StorageParts | None) -> Context:
    """The context of one image. `parts` count by their digest, certificates and build output do not count."""
    folder = TREE / "docker" / name
    for needed in (folder, RUNTIME):
        if not needed.is_dir():
            raise ClusterError(Problem(what=f"{needed} is missing", hint=_INCOMPLETE))
    members: list[Member] = []
    members += _files(folder, folder)
    if name == topology.JUPYTER_SERVER:
        members.append(("notebooks/.keep", b"", 0o644))
        members += [(f"notebooks/{path.name}", path, 0o644) for path in sorted((TREE / "notebooks").glob("*.ipynb"))]
    if name == topology.WORKER_NODE:
        members += _files(RUNTIME, TREE)
        members += [(path.relative_to(PACKAGE.parent).as_posix(), path, 0o644) for path in _shared_modules()]
    hasher = hashlib.sha256()
    for arc, content, mode in members:
        payload = content.read_bytes() if isinstance(content, Path) else content
        hasher.update(f"{arc}\0{mode:o}\0{hashlib.sha256(payload).hexdigest()}\0".encode())
    if name == topology.WORKER_NODE:
        hasher.update(f"parts\0{parts.digest if parts else 'none'}".encode())
        members.append(("qfs.tgz", parts.qfs_tarball if parts and parts.qfs_tarball else b"", 0o644))
        members.append(("hadoop/.keep", b"", 0o644))
        members += [(f"hadoop/{jar.name}", jar, 0o644) for jar in sorted(parts.jars if parts else ())]
    members.append(("ca/.keep", b"", 0o644))
    for number, certificate in enumerate(config.build.ca_certificates):
        members.append((f"ca/{number}.crt", certificate, 0o644))
    return Context(name, tuple(members), hasher.hexdigest())


def _files(folder: Path, root: Path) -> list[Member]:
    """What `archives.files` has, without what only says what is downloaded."""
    return [member for member in archives.files(folder, root) if PurePath(member[0]).name not in RECIPES]


def _shared_modules() -> list[Path]:
    """What the runtime imports of this package: standard library only, kept so by tests/unit/test_architecture.py."""
    return sorted([*(PACKAGE / name for name in SHARED_MODULES), *(PACKAGE / "files").glob("*.py")])


def packages_context(config: ClusterConfig, requirements: Sequence[str] = (), free: Sequence[str] = ()) -> Context:
    """The context of the layer with the user's packages; its digest is that of the recipe alone."""
    recipe = TREE / "docker" / topology.PACKAGES / "Dockerfile"
    members: list[Member] = [("Dockerfile", recipe, 0o644), ("ca/.keep", b"", 0o644)]
    members += [
        (f"{name}.txt", "".join(f"{line}\n" for line in lines).encode(), 0o644)
        for name, lines in (("requirements", requirements), ("free", free))
    ]
    members += [(f"ca/{number}.crt", path, 0o644) for number, path in enumerate(config.build.ca_certificates)]
    return Context(topology.PACKAGES, tuple(members), hashlib.sha256(recipe.read_bytes()).hexdigest())


def delta_context(config: ClusterConfig, jars: Sequence[Path] = ()) -> Context:
    """The context of Delta's layer; jars count by their lock, so that they may still be missing."""
    folder = TREE / "docker" / topology.DELTA
    members = _files(folder, folder)
    hasher = hashlib.sha256(DELTA_LOCK.read_bytes())
    for arc, content, mode in members:
        payload = content.read_bytes() if isinstance(content, Path) else content
        hasher.update(f"{arc}\0{mode:o}\0{hashlib.sha256(payload).hexdigest()}\0".encode())
    members += [(f"jars/{jar.name}", jar, 0o644) for jar in sorted(jars)]
    members.append(("ca/.keep", b"", 0o644))
    members += [(f"ca/{number}.crt", path, 0o644) for number, path in enumerate(config.build.ca_certificates)]
    return Context(topology.DELTA, tuple(members), hasher.hexdigest())


def tar_of(context: Context) -> IO[bytes]:
    """The context as an uncompressed tar in a temporary file, rewound. The same files give the same bytes."""
    return archives.tar_of(context.members)

"""Build contexts: files of docker/, the user's certificates, the QFS tarball, as a digest and as a tar."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sparkqfs import topology
from sparkqfs.config import ClusterConfig
from sparkqfs.errors import ClusterError, Problem

ROOT = Path(__file__).resolve().parent.parent.parent
"""The work tree: images, templates and notebooks are files beside the package."""


@dataclass(frozen=True, slots=True)
class Context:
    """One image's build context."""

    name: str
    members: tuple[tuple[str, Path | bytes, int], ...]
    """(path in the tar, file or bytes, mode), sorted."""
    digest: str


def templates() -> dict[str, str]:
    """The daemons' configuration templates, by file name."""
    return {
        path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "stack").iterdir()) if path.is_file()
    }


def make_context(config: ClusterConfig, name: str, qfs_tarball: Path | None, qfs_sha256: str | None) -> Context:
    """The context of one image. The tarball counts by its digest, certificates and build output do not count."""
    folder = ROOT / "docker" / name
    if not folder.is_dir():
        raise ClusterError(Problem(what=f"{folder} is missing", hint="run from a complete clone of the repository"))
    members: list[tuple[str, Path | bytes, int]] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            members.append((str(path.relative_to(folder)), path, mode))
    if name == topology.JUPYTER_SERVER:
        members.append(("notebooks/.keep", b"", 0o644))
        members += [(f"notebooks/{path.name}", path, 0o644) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    hasher = hashlib.sha256()
    for arc, content, mode in members:
        payload = content.read_bytes() if isinstance(content, Path) else content
        hasher.update(f"{arc}\0{mode:o}\0{hashlib.sha256(payload).hexdigest()}\0".encode())
    if name == topology.WORKER_NODE:
        hasher.update(f"qfs\0{qfs_sha256 or 'none'}".encode())
        members.append(("qfs.tgz", qfs_tarball if qfs_tarball is not None else b"", 0o644))
    members.append(("ca/.keep", b"", 0o644))
    for number, certificate in enumerate(config.build.ca_certificates):
        members.append((f"ca/{number}.crt", certificate, 0o644))
    return Context(name, tuple(members), hasher.hexdigest())


def tar_of(context: Context) -> IO[bytes]:
    """The context as an uncompressed tar in a temporary file, rewound. The same files give the same bytes."""
    out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=out, mode="w") as tar:
        for arc, content, mode in context.members:
            info = tarfile.TarInfo(arc)
            info.mode = mode
            if isinstance(content, Path):
                info.size = content.stat().st_size
                with content.open("rb") as file:
                    tar.addfile(info, file)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    out.seek(0)
    return out

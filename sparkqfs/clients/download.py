"""The QFS tarball: the user's own file, the download cache, or upstream's address; always by checksum."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3

from sparkqfs.config import ClusterConfig, QfsConfig, StorageConfig
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem, UnreachableError
from sparkqfs.topology import QFS_URL

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Tarball:
    """A checked tarball and where it came from."""

    path: Path
    sha256: str
    origin: str


def cache_directory() -> Path:
    """`$XDG_CACHE_HOME/sparkqfs` or `~/.cache/sparkqfs`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparkqfs"


def sha256_of(path: Path) -> str:
    """The file's SHA-256, hexadecimal."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            hasher.update(block)
    return hasher.hexdigest()


def tarball_name(config: ClusterConfig, architecture: str) -> str:
    """Upstream's file name."""
    return tarball_url(config, architecture).rsplit("/", 1)[-1]


def tarball_url(config: ClusterConfig, architecture: str) -> str:
    """Where the tarball is published."""
    qfs = config.storage.qfs
    return qfs.url or QFS_URL.format(version=qfs.version, arch=architecture)


def find_tarball(config: ClusterConfig, architecture: str) -> Tarball | None:
    """The tarball that is here already; `None` when it would have to be downloaded.

    Raises `ConfigError` when it has not the checksum that hosts.yml says.
    """
    qfs = config.storage.qfs
    if qfs.tarball is not None:
        if not qfs.tarball.is_file():
            raise ConfigError(Problem(what=f"{qfs.tarball} is not there", config_path="storage.qfs.tarball"))
        return _checked(config, Tarball(qfs.tarball, sha256_of(qfs.tarball), "storage.qfs.tarball"))
    cached = cache_directory() / tarball_name(config, architecture)
    if cached.is_file():
        return _checked(config, Tarball(cached, sha256_of(cached), "download cache"))
    return None


def _checked(config: ClusterConfig, tarball: Tarball) -> Tarball:
    wanted = config.storage.qfs.sha256
    if wanted is not None and wanted.lower() != tarball.sha256:
        what = f"{tarball.path} has sha256 {tarball.sha256}, {wanted.lower()} is wanted"
        hint = "remove the file, or correct the checksum; nothing was used"
        raise ConfigError(Problem(what=what, config_path="storage.qfs.sha256", hint=hint))
    return tarball


def fetch_tarball(
    config: ClusterConfig, architecture: str, *, confirm: Callable[[str], bool], on_progress: Callable[[int, int], None]
) -> Tarball:
    """The tarball, downloaded where it is not here yet; `on_progress(bytes, total)`.

    Nobody invents a checksum: where hosts.yml has none, `confirm(sha256)` decides whether the computed one is trusted.
    Raises `UnreachableError` when it cannot be had, `ConfigError` on a wrong checksum; then nothing is kept.
    """
    found = find_tarball(config, architecture)
    if found is not None:
        return found
    url = tarball_url(config, architecture)
    folder = cache_directory()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
        path = Path(part.name)
    try:
        _download(url, path, on_progress)
        tarball = _checked(config, Tarball(path, sha256_of(path), url))
        if config.storage.qfs.sha256 is None and not confirm(tarball.sha256):
            what = f"{url} has sha256 {tarball.sha256}, which nobody has confirmed"
            hint = "compare it with a source you trust and write it to storage.qfs.sha256"
            raise ConfigError(Problem(what=what, config_path="storage.qfs.sha256", hint=hint))
        final = folder / tarball_name(config, architecture)
        path.replace(final)
        return Tarball(final, tarball.sha256, url)
    finally:
        path.unlink(missing_ok=True)


def _download(url: str, path: Path, on_progress: Callable[[int, int], None]) -> None:
    try:
        with requests.get(url, stream=True, timeout=(10, 60)) as response:
            response.raise_for_status()
            total = int(response.headers.get("Content-Length") or 0)
            done = 0
            with path.open("wb") as file:
                for block in response.raw.stream(CHUNK, decode_content=False):  # the bytes as they are
                    file.write(block)
                    done += len(block)
                    on_progress(done, total)
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        what = f"cannot download {url}: {(str(error) or type(error).__name__).splitlines()[0][:160]}"
        hint = "download it where you can and set SPARKQFS_QFS_TARBALL or storage.qfs.tarball to the file"
        raise UnreachableError(Problem(what=what, hint=hint, code=ExitCode.UNREACHABLE)) from error


def main() -> int:
    """For scripts: 0 when the tarball of the default version is here or was downloaded, 3 when it cannot be had."""
    config = ClusterConfig(file=Path("-"), nodes=(), storage=_storage_from_environment())
    try:
        found = fetch_tarball(
            config, platform.machine(), confirm=lambda _sha256: True, on_progress=lambda _done, _total: None
        )
    except ClusterError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    sys.stderr.write(f"QFS tarball {found.path} ({found.origin}), sha256 {found.sha256}\n")
    return 0


def _storage_from_environment() -> StorageConfig:
    named = os.environ.get("SPARKQFS_QFS_TARBALL")
    return StorageConfig(qfs=QfsConfig(tarball=Path(named).expanduser() if named else None))


if __name__ == "__main__":
    raise SystemExit(main())

"""The storage's programs: the user's own files, the download cache, or upstream's address; always by checksum.

QFS is one tarball, Hadoop's servers are the jars of a lock file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import ssl
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import urllib3

from sparkqfs import durable
from sparkqfs.clients.context import DELTA_LOCK, HADOOP_LOCK
from sparkqfs.config.loading import TARBALL_VARIABLE
from sparkqfs.config.model import ClusterConfig, QfsConfig, StorageConfig
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem, UnreachableError
from sparkqfs.shortening import shortened
from sparkqfs.streams import exit_code_of, tell
from sparkqfs.topology import MAVEN_URL, QFS_URL

CHUNK = 1 << 20
JARS_AT_ONCE = 6
TARBALL_HINT = "download it where you can and set SPARKQFS_QFS_TARBALL or storage.qfs.tarball to the file"
JARS_HINT = "download the jars where you can and set storage.hdfs.jars to their directory or to a tar archive of them"
CERTIFICATE_HINT = "where an authority of your own signs for the internet, name its file in build.ca_certificates; or "
DELTA_HINT = "download the jars where you can and copy them into the download cache: docs/delta.md says which and where"


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
        what = f"{tarball.path} has sha256 {tarball.sha256}, expected {wanted.lower()}"
        hint = "remove the file, or correct the checksum; nothing was used"
        raise ConfigError(Problem(what=what, config_path="storage.qfs.sha256", hint=hint))
    return tarball


def fetch_tarball(
    config: ClusterConfig,
    architecture: str,
    *,
    confirm: Callable[[str], bool],
    on_progress: Callable[[int, int], None],
    certificates: str = "",
) -> Tarball:
    """The tarball, downloaded where it is not here yet; `on_progress(bytes, total)`.

    `certificates` are authorities, as PEM, that are trusted besides those of this computer.

    Nobody invents a checksum: where hosts.yml has none, `confirm(sha256)` decides whether the computed one is trusted.
    Raises `UnreachableError` when it cannot be had, `ConfigError` on a wrong checksum; then nothing is kept.
    """
    found = find_tarball(config, architecture)
    if found is not None:
        return found
    url = tarball_url(config, architecture)
    final = cache_directory() / tarball_name(config, architecture)
    with _new_file(final) as path:
        _download(url, path, on_progress, TARBALL_HINT, _trust(certificates))
        tarball = _checked(config, Tarball(path, sha256_of(path), url))
        if config.storage.qfs.sha256 is None and not confirm(tarball.sha256):
            what = f"{url} has sha256 {tarball.sha256}, which nobody has confirmed"
            hint = "compare it with a source you trust and write it to storage.qfs.sha256"
            raise ConfigError(Problem(what=what, config_path="storage.qfs.sha256", hint=hint))
        durable.name_file(path, final)
        return Tarball(final, tarball.sha256, url)


def _trust(certificates: str) -> ssl.SSLContext:
    """This computer's own authorities and these. Raises `ConfigError` for what is no certificate."""
    context = ssl.create_default_context()
    if certificates:  # the files may have comments in any language, which cadata may not
        blocks = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", certificates, re.DOTALL)
        try:
            context.load_verify_locations(cadata="\n".join(blocks) or "none")
        except (ssl.SSLError, ValueError) as error:
            what = f"no certificates that can be read: {getattr(error, 'reason', None) or error}"
            raise ConfigError(Problem(what=what, config_path="build.ca_certificates")) from error
    return context


class _Trusting(requests.adapters.HTTPAdapter):
    """Trusts what `requests` trusts, and a context's authorities."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *words: Any, **more: Any) -> None:
        super().init_poolmanager(*words, ssl_context=self._context, **more)

    def proxy_manager_for(self, *words: Any, **more: Any) -> Any:
        return super().proxy_manager_for(*words, ssl_context=self._context, **more)


def _download(
    url: str, path: Path, on_progress: Callable[[int, int], None], hint: str, context: ssl.SSLContext
) -> None:
    try:
        with requests.Session() as session:
            session.mount("https://", _Trusting(context))
            _receive(session, url, path, on_progress)
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        cause = _innermost(error)
        why = re.sub(r"^.*(?=Failed to )", "", str(cause)) or type(cause).__name__
        if isinstance(cause, ssl.SSLCertVerificationError):
            why, hint = f"its certificate is not trusted here ({cause.verify_message})", CERTIFICATE_HINT + hint
        what = f"cannot download {url}: {shortened(why.splitlines()[0], 160)}"
        raise UnreachableError(Problem(what=what, hint=hint, code=ExitCode.UNREACHABLE)) from error


def _receive(session: requests.Session, url: str, path: Path, on_progress: Callable[[int, int], None]) -> None:
    with session.get(url, stream=True, timeout=(10, 60)) as response:
        response.raise_for_status()
        total = int(response.headers.get("Content-Length") or 0)
        done = 0
        with path.open("wb") as file:
            for block in response.raw.stream(CHUNK, decode_content=False):  # the bytes as they are
                file.write(block)
                done += len(block)
                on_progress(done, total)


def _innermost(error: BaseException) -> BaseException:
    """What the libraries have wrapped, several times as a rule."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return _innermost(inner)
    return error


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of a lock file."""

    sha256: str
    path: str
    """Below Maven's address, and below the cache's `maven`."""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def cached(self) -> Path:
        """Where the download cache keeps it."""
        return cache_directory() / "maven" / self.path


def read_lock(lock: Path) -> tuple[Jar, ...]:
    """The jars of a lock file: a line is the SHA-256, two blanks, the path."""
    return tuple(Jar(*line.split()) for line in lock.read_text(encoding="utf-8").splitlines() if line.strip())


def find_jars(lock: Path, offline: Path | None) -> tuple[Path, ...] | None:
    """The jars that are here already; `None` when some would have to be downloaded.

    With `offline`, a directory or a tar archive of the user, nothing is ever downloaded: raises `ConfigError` when a
    jar is not in it or has another checksum than the lock file says. A wrong file in the cache counts as absent.
    """
    jars = read_lock(lock)
    if offline is None:
        good = all(jar.cached.is_file() and sha256_of(jar.cached) == jar.sha256 for jar in jars)
        return tuple(jar.cached for jar in jars) if good else None
    if offline.is_dir():
        found = {path.name: path for path in offline.rglob("*.jar")}
    elif offline.is_file():
        found = _unpack(offline, jars)
    else:
        raise ConfigError(Problem(what=f"{offline} is not there", config_path="storage.hdfs.jars"))
    absent = [jar.name for jar in jars if jar.name not in found]
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        what = f"{offline} does not hold {', '.join(absent[:3])}{more}"
        raise ConfigError(Problem(what=what, config_path="storage.hdfs.jars", hint=f"all jars of {lock} are needed"))
    for jar in jars:
        if (sha256 := sha256_of(found[jar.name])) != jar.sha256:
            what = f"{jar.name} of {offline} has sha256 {sha256}, expected {jar.sha256}"
            raise ConfigError(Problem(what=what, config_path="storage.hdfs.jars", hint="nothing was used"))
    return tuple(found[jar.name] for jar in jars)


def _unpack(archive: Path, jars: tuple[Jar, ...]) -> dict[str, Path]:
    """The archive's jars by name, each with the right checksum in the cache, others in none. Raises `ConfigError`."""
    wanted = {jar.name: jar for jar in jars}
    found: dict[str, Path] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                jar = wanted.get(member.name.rsplit("/", 1)[-1])
                content = tar.extractfile(member) if jar and member.isfile() else None
                if jar is None or content is None:
                    continue
                with _new_file(jar.cached) as part:
                    with content, part.open("wb") as file:
                        shutil.copyfileobj(content, file, CHUNK)
                    if (sha256 := sha256_of(part)) != jar.sha256:
                        what = f"{jar.name} of {archive} has sha256 {sha256}, expected {jar.sha256}"
                        raise ConfigError(Problem(what=what, config_path="storage.hdfs.jars"))
                    durable.name_file(part, jar.cached)
                    found[jar.name] = jar.cached
    except (tarfile.TarError, OSError, EOFError) as error:
        what = f"{archive} is not a tar archive that can be read: {error}"
        raise ConfigError(Problem(what=what, config_path="storage.hdfs.jars")) from error
    return found


@contextlib.contextmanager
def _new_file(final: Path) -> Iterator[Path]:
    """A file beside `final` that is gone afterwards unless it has been renamed."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=final.parent, suffix=".part", delete=False) as part:
        path = Path(part.name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def fetch_delta(
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    base_url: str = MAVEN_URL,
    certificates: str = "",
) -> tuple[Path, ...]:
    """Delta's jars, as `fetch_jars`."""
    return fetch_jars(
        DELTA_LOCK,
        offline=None,
        on_progress=on_progress,
        base_url=base_url,
        hint=DELTA_HINT,
        certificates=certificates,
    )


def fetch_jars(
    lock: Path,
    *,
    offline: Path | None,
    on_progress: Callable[[int, int], None],
    base_url: str = MAVEN_URL,
    hint: str = JARS_HINT,
    certificates: str = "",
) -> tuple[Path, ...]:
    """The jars of a lock file, those downloaded that are not here yet; `on_progress(bytes, total)`, total 0 unknown.

    `hint` says what to do where one cannot be had; `certificates` as in `fetch_tarball`.

    Raises `UnreachableError` when one cannot be had or is not what the lock file says: that one is not kept, others
    are; and `ConfigError` as `find_jars`.
    """
    here = find_jars(lock, offline)
    if here is not None:
        return here
    jars = read_lock(lock)
    absent = [jar for jar in jars if not jar.cached.is_file() or sha256_of(jar.cached) != jar.sha256]
    progress, context = _Sum(on_progress, len(absent)), _trust(certificates)
    pool = ThreadPoolExecutor(max_workers=JARS_AT_ONCE)
    try:
        for _ in pool.map(lambda jar: _fetch_jar(jar, base_url, progress, hint, context), absent):
            pass
    except BaseException as error:  # an interrupt must not wait for downloads
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    pool.shutdown()
    return tuple(jar.cached for jar in jars)


def _fetch_jar(jar: Jar, base_url: str, progress: _Sum, hint: str, context: ssl.SSLContext) -> None:
    url = f"{base_url.rstrip('/')}/{jar.path}"
    jar.cached.unlink(missing_ok=True)
    with _new_file(jar.cached) as part:
        _download(url, part, lambda done, total: progress(jar.path, done, total), hint, context)
        if (sha256 := sha256_of(part)) != jar.sha256:
            what = f"{url} has sha256 {sha256}, expected {jar.sha256}; it was not kept"
            raise UnreachableError(Problem(what=what, hint=hint, code=ExitCode.UNREACHABLE))
        durable.name_file(part, jar.cached)


class _Sum:
    """Adds up the progress of several downloads; the total is known when every one of them has begun."""

    def __init__(self, on_progress: Callable[[int, int], None], files: int) -> None:
        self.on_progress = on_progress
        self.files = files
        self.done: dict[str, int] = {}
        self.totals: dict[str, int] = {}
        self.lock = threading.Lock()

    def __call__(self, path: str, done: int, total: int) -> None:
        with self.lock:
            self.done[path], self.totals[path] = done, total
            is_known = len(self.totals) == self.files and all(self.totals.values())
            self.on_progress(sum(self.done.values()), sum(self.totals.values()) if is_known else 0)


def main(argv: list[str]) -> int:
    """For scripts: 0 when what the argument names (`qfs`, the default, `hdfs` or `delta`) is here or was downloaded.

    3 when it cannot be had, 2 when what the user says of it is wrong.
    """
    if argv[1:] not in ([], ["qfs"], ["hdfs"], ["delta"]):
        tell("usage: python -m sparkqfs.clients.download [qfs | hdfs | delta]\n")
        return int(ExitCode.USAGE)
    try:
        if argv[1:] == ["hdfs"]:
            jars = fetch_jars(HADOOP_LOCK, offline=None, on_progress=lambda _done, _total: None)
            tell(f"Hadoop: {len(jars)} jars in {cache_directory() / 'maven'}\n")
            return 0
        if argv[1:] == ["delta"]:
            tell(f"Delta: {len(fetch_delta())} jars in {cache_directory() / 'maven'}\n")
            return 0
        config = ClusterConfig(file=Path("-"), nodes=(), storage=_storage_from_environment())
        found = fetch_tarball(
            config, platform.machine(), confirm=lambda _sha256: True, on_progress=lambda _done, _total: None
        )
    except ClusterError as error:
        tell(f"{error}\n")
        return int(error.exit_code)
    tell(f"QFS tarball {found.path} ({found.origin}), sha256 {found.sha256}\n")
    return 0


def _storage_from_environment() -> StorageConfig:
    named = os.environ.get(TARBALL_VARIABLE)
    if not named:
        return StorageConfig()
    tarball = Path(named).expanduser()
    if not tarball.is_file():
        raise ConfigError(Problem(what=f"{TARBALL_VARIABLE}: {tarball} is not there", code=ExitCode.USAGE))
    return StorageConfig(qfs=QfsConfig(tarball=tarball))


if __name__ == "__main__":
    raise SystemExit(exit_code_of(lambda: main(sys.argv)))

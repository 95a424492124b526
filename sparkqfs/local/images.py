"""Images of a local cluster on this computer's engine: the base (pulled, else made) and the node image."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from docker.errors import APIError, DockerException, ImageNotFound

from sparkqfs import archives
from sparkqfs.errors import ClusterError, DeadlineError, Problem
from sparkqfs.local.hosts_file import STATE_ROOT
from sparkqfs.tree import TREE

BASE = "sparkqfs-local/debian:bookworm"
"""The base image's name on engines of local clusters: never one that hides a public image."""
NODE_REPOSITORY = "sparkqfs-local/node"
PUBLIC_BASE = "debian:bookworm-slim"
APT_WAITS = ("-o", "DPkg::Lock::Timeout=300")
"""For another apt-get: one that updates a new machine at its start, for instance."""
ROOTS_LOCK = Path("/run/sparkqfs-local-images.lock")
_SLIM_DIRECTORIES = ("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man")
_SLIM = "".join(f"path-exclude /{path}/*\n" for path in _SLIM_DIRECTORIES) + "path-include /usr/share/doc/*/copyright\n"
_CONTEXT = TREE / "docker" / "local-node"


class Deadline:
    """A point in time by which all waits of one command have to be over."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._end = monotonic() + timeout_s

    def left_s(self, what: str, *, node: str | None = None, hint: str | None = None) -> float:
        """Seconds left, more than 0. Raises `DeadlineError` that names what was waited for."""
        left = self._end - monotonic()
        if left <= 0:
            raise DeadlineError(Problem(node=node, what=f"timed out after {self.timeout_s:g} s: {what}", hint=hint))
        return left

    def cancel(self) -> None:
        """Let every wait end now."""
        self._end = monotonic()


def ensure_base(engine: Any, base: str | None, on_event: Callable[[str], None], deadline: Deadline) -> str:
    """Have `BASE` on this computer's engine; its image id. Pulled from a registry, else made with debootstrap."""
    found = _image_id(engine, BASE)
    if found:
        return found
    with _alone(f"{BASE} is made", on_event, deadline):
        return _image_id(engine, BASE) or _made_base(engine, base, on_event, deadline)


def _made_base(engine: Any, base: str | None, on_event: Callable[[str], None], deadline: Deadline) -> str:
    wanted = base or PUBLIC_BASE
    reason = None if _image_id(engine, wanted) else _pull(engine, wanted, on_event)
    if reason is None:
        engine.images.get(wanted).tag(BASE)
        on_event(f"{BASE} is {wanted}")
    elif base:
        raise ClusterError(Problem(what=f"cannot pull {base}: {reason}", hint="check the name and the registry"))
    else:
        on_event(f"no registry can be reached ({reason}): making {BASE} with debootstrap, which takes a few minutes")
        _bootstrap(engine, on_event, deadline)
    made = _image_id(engine, BASE)
    if made is None:
        raise ClusterError(Problem(what=f"the engine has no image {BASE} although it was just made"))
    return made


def node_tag(base_id: str, shared_mount: str) -> str:
    """The node image's tag: its stage in the Dockerfile, the hash of what it is built from."""
    digest = hashlib.sha256(base_id.encode())
    for name, content, mode in archives.files(_CONTEXT, _CONTEXT):
        digest.update(f"{name} {mode == 0o755}\n".encode())
        digest.update(content.read_bytes() if isinstance(content, Path) else content)
    return f"{NODE_REPOSITORY}:{shared_mount}-{digest.hexdigest()[:16]}"


def ensure_node_image(
    engine: Any, base_id: str, shared_mount: str, on_event: Callable[[str], None], deadline: Deadline
) -> str:
    """Have the node image on this computer's engine; its tag."""
    tag = node_tag(base_id, shared_mount)
    if _image_id(engine, tag):
        return tag
    with _alone(f"{tag} is built", on_event, deadline):
        if not _image_id(engine, tag):
            _build(engine, tag, shared_mount, on_event, deadline)
    return tag


def _build(engine: Any, tag: str, shared_mount: str, on_event: Callable[[str], None], deadline: Deadline) -> None:
    on_event(f"building {tag}")
    proxies = {key: value for key, value in os.environ.items() if key.lower() in ("http_proxy", "https_proxy")}
    last: list[str] = []
    context = archives.tar_of(archives.files(_CONTEXT, _CONTEXT))
    try:
        stream = engine.api.build(
            fileobj=context,
            custom_context=True,
            tag=tag,
            target=shared_mount,
            buildargs={"BASE": BASE, **proxies},
            network_mode="host",
            rm=True,
            forcerm=True,
            decode=True,
            timeout=max(1, int(deadline.left_s(f"build of {tag}"))),
        )
        for message in stream:
            deadline.left_s(f"build of {tag}", hint=last[-1] if last else None)
            if "error" in message:
                raise ClusterError(Problem(what=f"cannot build {tag}: {message['error']}", hint="\n".join(last)))
            last = [*last, *message.get("stream", "").strip().splitlines()][-10:]
    except (DockerException, OSError) as failure:
        raise ClusterError(Problem(what=f"cannot build {tag}: {failure}")) from failure
    finally:
        context.close()


@contextmanager
def _alone(what: str, on_event: Callable[[str], None], deadline: Deadline) -> Iterator[None]:
    """One run at a time makes images: apt takes no second one, and nothing is made twice. The lock ends with us."""
    path = ROOTS_LOCK if os.geteuid() == 0 else STATE_ROOT.expanduser() / ".images.lock"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("w") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waiting = f"{what}: another run makes images for local clusters"
                deadline.left_s(waiting, hint=f"its lock is {path}")
                if not told:
                    on_event(f"waiting: {waiting}")
                told = True
                sleep(0.5)
        yield


def _image_id(engine: Any, name: str) -> str | None:
    try:
        return str(engine.images.get(name).id)
    except ImageNotFound:
        return None


def _pull(engine: Any, name: str, on_event: Callable[[str], None]) -> str | None:
    """Pull an image; why not, if it cannot be done."""
    on_event(f"pulling {name}")
    repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "latest")
    try:
        engine.images.pull(repository, tag=tag)
    except APIError as failure:
        return str(failure.explanation or failure)
    except (DockerException, OSError) as failure:
        return str(failure)
    return None


def _bootstrap(engine: Any, on_event: Callable[[str], None], deadline: Deadline) -> None:
    if os.geteuid() != 0:
        raise ClusterError(
            Problem(
                what=f"cannot make {BASE}: no registry can be reached, and debootstrap needs root",
                hint=f"run as root, or load a Debian 12 image and tag it: docker tag IMAGE {BASE}",
            )
        )
    if shutil.which("debootstrap") is None:
        if shutil.which("apt-get") is None:
            raise ClusterError(
                Problem(
                    what=f"cannot make {BASE}: no registry can be reached, and debootstrap is not installed",
                    hint=f"install debootstrap, or load a Debian 12 image and tag it: docker tag IMAGE {BASE}",
                )
            )
        on_event("installing debootstrap")
        _run(["apt-get", *APT_WAITS, "update"], deadline)
        _run(["apt-get", *APT_WAITS, "install", "-y", "--no-install-recommends", "debootstrap"], deadline)
    with tempfile.TemporaryDirectory(prefix="sparkqfs-", dir="/var/tmp") as directory:
        root = Path(directory) / "root"
        _run(["debootstrap", "--variant=minbase", "bookworm", str(root)], deadline)
        _add_update_sources(root / "etc/apt/sources.list")
        (root / "etc/dpkg/dpkg.cfg.d").mkdir(exist_ok=True)
        (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(_SLIM)
        for directory_name in ("var/cache/apt", "var/lib/apt/lists", *_SLIM_DIRECTORIES):
            for leftover in (root / directory_name).rglob("*"):
                if leftover.name != "copyright" and not leftover.is_dir():
                    leftover.unlink()
        archive = Path(directory) / "root.tar"
        _run(["tar", "-C", str(root), "--numeric-owner", "-cf", str(archive), "."], deadline)
        repository, tag = BASE.split(":")
        with archive.open("rb") as stream:
            chunks = iter(lambda: stream.read(2**20), b"")  # a file would be sent with a length, in a chunked request
            engine.api.import_image_from_stream(chunks, repository=repository, tag=tag, changes=['CMD ["bash"]'])


def _run(command: list[str], deadline: Deadline) -> None:
    what = " ".join(command[:2])
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment, timeout=deadline.left_s(what)
        )
    except subprocess.TimeoutExpired as late:
        raise DeadlineError(Problem(what=f"timed out after {deadline.timeout_s:g} s: {what}")) from late
    except subprocess.CalledProcessError as failure:
        tail = "\n".join((failure.stderr or failure.stdout).strip().splitlines()[-10:])
        raise ClusterError(Problem(what=f"{what} failed (exit {failure.returncode}): {tail}")) from failure


def _add_update_sources(path: Path) -> None:
    """Updates and security beside the suite that debootstrap wrote (`deb MIRROR bookworm main`), from that mirror."""
    mirror = path.read_text(encoding="utf-8").split()[1]
    lines = [f"deb {mirror} bookworm main", f"deb {mirror} bookworm-updates main"]
    if mirror.rstrip("/").endswith("/debian"):
        lines.append(f"deb {mirror.rstrip('/')}-security bookworm-security main")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

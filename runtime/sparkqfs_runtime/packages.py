"""Maven packages of drivers are downloaded by one process at a time: Spark's Ivy keeps no lock on its cache.

Two that fill the cache at once break each other's downloads, and may leave half a jar there. So spark-env.sh, which
every spark-submit reads, calls this first: what is not in the cache yet is resolved under a lock, once. Spark's own
look afterwards finds everything there and writes nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sparkqfs import durable

FLAGS = {"--packages": "packages", "--exclude-packages": "excludes", "--repositories": "repositories"}
SETTINGS = ("packages", "excludes", "repositories", "ivySettings", "ivy")
"""Of `spark.jars.`"""
WITHOUT_VALUE = {
    "--help",
    "-h",
    "--supervise",
    "--usage-error",
    "--verbose",
    "-v",
    "--version",
    "--load-spark-defaults",
}
"""Source: Spark 4.1, launcher/SparkSubmitOptionParser.java; all others have one."""
RESOLVE_S = 1800.0
"""A repository that takes a connection and says nothing would keep all others waiting."""
LOCK_S = RESOLVE_S + 120.0
LOOK_S = 0.5
CHANGING = re.compile(r"SNAPSHOT|latest\.|[\[\](){}+]")
"""A version that may be another one tomorrow."""


def main(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Resolve what spark-submit is going to need. `words` are those of spark-class; the exit code is Spark's."""
    conf = Path(environ.get("SPARK_CONF_DIR", "/run/sparkqfs/conf"))
    defaults = settings_in((conf / "spark-defaults.conf").read_text(encoding="utf-8"))
    asked = asked_of(words[1:], defaults)
    cache = defaults.get("ivy", "")
    if not asked.get("packages") or not cache or asked.get("ivy") != cache:
        return 0
    try:
        return resolve_once(asked, Path(cache), environ)
    except OSError as error:  # a full disk: what is not on it does not count as downloaded
        print(f"sparkqfs: the packages cannot be kept in {cache}: {error}", file=sys.stderr, flush=True)
        return 1


def settings_in(text: str) -> dict[str, str]:
    """Those of `spark.jars.` in a spark-defaults.conf, or in a properties file as `submit` writes it."""
    found = re.findall(r"^spark\.jars\.(\w+)(?: = |\s+)(.*?)\s*$", text, re.MULTILINE)
    return {name: value for name, value in found if name in SETTINGS}


def asked_of(words: Sequence[str], defaults: Mapping[str, str]) -> dict[str, str]:
    """What a command line of spark-submit and the defaults say, in Spark's order of precedence."""
    flags: dict[str, str] = {}
    confs: dict[str, str] = {}
    file: dict[str, str] = {}
    for flag, value in options_of(words):
        if flag in FLAGS:
            flags[FLAGS[flag]] = value
        elif flag in ("--conf", "-c"):
            confs |= settings_in(value.replace("=", " ", 1))
        elif flag == "--properties-file":
            with contextlib.suppress(OSError):
                file = settings_in(Path(value).read_text(encoding="utf-8"))
    return {**defaults, **file, **confs, **flags}


def options_of(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(flag, value) up to the program, whose own words follow."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            return
        flag, equals, value = word.partition("=")
        if word not in WITHOUT_VALUE:
            yield (flag, value) if equals and word.startswith("--") else (word, next(rest, ""))


def resolve_once(asked: Mapping[str, str], cache: Path, environ: Mapping[str, str]) -> int:
    """Under the cache's lock, unless it was done before."""
    durable.make_directories(cache)
    done = cache / "done" / key_of(asked)
    if done.exists():
        return 0
    with (cache / ".lock").open("a") as lock:
        if not is_free(lock.fileno()):
            print("sparkqfs: waiting for another program that downloads packages", file=sys.stderr, flush=True)
            deadline = time.monotonic() + LOCK_S
            while not is_free(lock.fileno()):
                if time.monotonic() > deadline:
                    text = f"sparkqfs: another program still downloads packages after {LOCK_S / 60:.0f} minutes"
                    print(text, file=sys.stderr, flush=True)
                    return 1
                time.sleep(LOOK_S)
        if done.exists():
            return 0
        broken = cache / ".broken"
        if broken.exists():
            remove_since(cache, broken.stat().st_mtime_ns)
        broken.unlink(missing_ok=True)
        broken.touch()
        durable.sync_file(broken)
        durable.sync_directory(cache)
        before = changes_in(cache)
        code = resolve(asked, cache, environ)
        if code == 0:
            sync_changed(cache, before)
            broken.unlink()
            durable.sync_directory(cache)
            if not CHANGING.search(asked["packages"]):
                durable.make_directories(done.parent)
                durable.replace_file(done, f"{asked['packages']}\n".encode(), 0o640)
        return code


def is_free(descriptor: int) -> bool:
    """Take the lock if nobody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def key_of(asked: Mapping[str, str]) -> str:
    """For everything that decides what is downloaded, and from where."""
    parts = [f"{name}={asked.get(name, '')}" for name in SETTINGS if name != "ivy"]
    with contextlib.suppress(OSError):
        parts.append(Path(asked.get("ivySettings", "")).read_text(encoding="utf-8"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def changes_in(cache: Path) -> dict[Path, tuple[int, int]]:
    """Each file, then its directory → what is another one once it was written: inode, and time of change.

    Not the time of its content: Ivy gives a file the one that the repository says.
    """
    found = {}
    for folder, _, names in os.walk(cache, topdown=False):
        for path in (*(Path(folder) / name for name in names), Path(folder)):
            with contextlib.suppress(OSError):
                about = path.lstat()
                found[path] = about.st_ino, about.st_ctime_ns
    return found


def sync_changed(cache: Path, before: Mapping[Path, tuple[int, int]]) -> None:
    """What a download has written is on the disk: a power cut must not leave an empty jar that counts as done.

    Raises OSError.
    """
    for path, change in changes_in(cache).items():
        if before.get(path) == change or path.is_symlink():
            continue
        with contextlib.suppress(FileNotFoundError):
            if path.is_dir():
                durable.sync_directory(path)
            else:
                durable.sync_file(path)


def remove_since(cache: Path, moment_ns: int) -> None:
    """What a download that was cut off has written: it may be half a file, or not be on the disk."""
    for path in cache.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and path.name not in (".lock", ".broken") and path.lstat().st_ctime_ns >= moment_ns:
                path.unlink()


def resolve(asked: Mapping[str, str], cache: Path, environ: Mapping[str, str]) -> int:
    """spark-submit of an empty program with these packages. It says on standard error what it downloads.

    What is asked for goes through a file that nobody else reads: a repository's address may have a password.
    """
    empty = cache / "nothing.py"
    empty.touch()
    home = environ.get("SPARK_HOME", "/opt/spark")
    with tempfile.NamedTemporaryFile("w", dir=cache, prefix=".asked-", encoding="utf-8") as settings:
        for name in SETTINGS:
            if asked.get(name):
                value = asked[name].replace("\\", "\\\\").replace("\n", "\\n")
                settings.write(f"spark.jars.{name} = {value}\n")
        settings.flush()
        options = ("--master", "local", "--load-spark-defaults", "--properties-file", settings.name)
        argv = [f"{home}/bin/spark-class", "org.apache.spark.deploy.SparkSubmit", *options, str(empty)]
        env = {**environ, "SPARK_ENV_LOADED": "1"}
        try:
            done = subprocess.run(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False, timeout=RESOLVE_S
            )
        except subprocess.TimeoutExpired:
            text = f"sparkqfs: the packages were not downloaded within {RESOLVE_S / 60:.0f} minutes"
            print(text, file=sys.stderr, flush=True)
            return 1
    return done.returncode

"""All that the images are made of in exact versions: compared with itself, or made again in the newest that may be.

    python docs/make_locks.py --check                  no network; what contradicts itself, exit code 1
    python docs/make_locks.py --write [NAME …]         all locks again, or those named; network, Python 3.11, Maven

What may be is in the lock's own line `From:` and in the pom.xml files, and is edited by hand; so are the versions in
sparkqfs/topology.py. Nothing is replaced before everything was made. docs/upgrade.md has the rest.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP_TOOLS = "pip-tools==7.5.2"
PYTHON = (3, 11)
"""Of the images: Debian 12's. A package may need others for another Python."""
COMPILE = ("--generate-hashes", "--allow-unsafe", "--strip-extras")
QUIET = (
    "--quiet",
    "--no-header",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-trusted-host",
    "--no-emit-options",
)
MADE = "# Made with pip-tools by "
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
ENTRY = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)
JAR = re.compile(r"[0-9a-f]{64}  (?:[\w.+-]+/)+([\w.+-]+)/([\w.+-]+)/\1-\2(?:-[\w.+-]+)?\.jar")
WANTED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipLock:
    """Python packages with the hashes of their files."""

    path: str
    on: str = ""
    """The lock of the image below: what is there keeps its version."""
    without_those: bool = False
    """What that lock has is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JarLock:
    """Jars of Maven Central with their SHA-256."""

    path: str
    model: str


WORKER = "docker/worker-node/requirements.lock"
LOCKS: dict[str, PipLock | JarLock] = {
    "build-tools": PipLock(path="docker/worker-node/build-tools.lock"),
    "worker-node": PipLock(path=WORKER),
    "jupyter-server": PipLock(path="docker/jupyter-server/requirements.lock", on=WORKER),
    "delta": PipLock(path="docker/delta/requirements.lock", on=WORKER, without_those=True),
    "hadoop-jars": JarLock(path="docker/worker-node/hadoop.lock", model="docker/worker-node/hadoop.pom.xml"),
    "delta-jars": JarLock(path="docker/delta/delta.lock", model="docker/delta/delta.pom.xml"),
}
"""In an order in which each finds the one below it."""


class Fault(Exception):
    """What keeps the locks from being made."""


# --- reading ---


def split(text: str) -> tuple[list[str], str]:
    """(the lines of its head, the rest)."""
    lines = text.splitlines(keepends=True)
    head = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line.rstrip("\n") for line in lines[:head]], "".join(lines[head:])


def wanted(head: list[str]) -> list[str]:
    """What the line `From:` asks for. Raises `Fault` without one."""
    found = [line.partition(" From: ")[2].split() for line in head if " From: " in line]
    if len(found) != 1 or not found[0]:
        raise Fault("no line `From:` with the packages that it is made from")
    return found[0]


def versions(text: str) -> dict[str, str]:
    """Name → version of a lock of pip's."""
    return {name: version for name, version, _ in ENTRY.findall(split(text)[1])}


def plain(name: str) -> str:
    """As pip compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def constants(root: Path) -> dict[str, str]:
    """The versions that sparkqfs/topology.py has."""
    tree = ast.parse((root / "sparkqfs" / "topology.py").read_text(encoding="utf-8"))
    return {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


# --- comparing ---


def check(root: Path) -> list[str]:
    """What is wrong, a line each; no network."""
    known = {lock.path for lock in LOCKS.values()}
    found = {path.relative_to(root).as_posix() for path in root.glob("docker/*/*.lock")}
    faults = [f"{path}: not in LOCKS of docs/make_locks.py" for path in sorted(found - known)]
    faults += [f"{path}: missing" for path in sorted(known - found)]
    for lock in LOCKS.values():
        if lock.path in found:
            of_one = check_pip if isinstance(lock, PipLock) else check_jars
            faults += [f"{lock.path}: {fault}" for fault in of_one(root, lock)]  # type: ignore[arg-type]
    return faults or check_versions(root)


def check_pip(root: Path, lock: PipLock) -> list[str]:
    """Each package once and with hashes, each wanted one there, and nothing in another version than below."""
    head, body = split((root / lock.path).read_text(encoding="utf-8"))
    left = ENTRY.sub("", body).strip()
    faults = [f"not a version with hashes: {left.splitlines()[0]}"] if left else []
    names = [plain(name) for name, _, _ in ENTRY.findall(body)]
    faults += [f"{name} is there twice" for name in sorted({name for name in names if names.count(name) > 1})]
    have = versions(body)
    try:
        for text in wanted(head):
            said = WANTED.fullmatch(text)
            name, rest = (plain(said[1]), said[2]) if said else (text, "")
            if name not in names:
                faults.append(f"{text} is asked for and not there")
            elif rest.startswith("==") and have.get(name) != rest[2:]:
                faults.append(f"{text} is asked for, and {have.get(name)} is there")
    except Fault as fault:
        faults.append(str(fault))
    below = versions((root / lock.on).read_text(encoding="utf-8")) if lock.on and (root / lock.on).exists() else {}
    for name in sorted(below.keys() & have.keys()):
        if lock.without_those:
            faults.append(f"{name} is in {lock.on} already")
        elif below[name] != have[name]:
            faults.append(f"{name} is {have[name]} here and {below[name]} in {lock.on}")
    return faults


def check_jars(root: Path, lock: JarLock) -> list[str]:
    """Sorted, each jar once, and the model is there."""
    lines = (root / lock.path).read_text(encoding="utf-8").splitlines()
    faults = [
        f"line {at}: expected a SHA-256 and a path" for at, line in enumerate(lines, 1) if not JAR.fullmatch(line)
    ]
    paths = [line[66:] for line in lines]
    if paths != sorted(set(paths)):
        faults.append("not in order, or a path is there twice")
    if not (root / lock.model).is_file():
        faults.append(f"{lock.model} is missing")
    return faults


def check_versions(root: Path) -> list[str]:
    """One version of Spark, Hadoop and Delta in all files that name it."""

    def text(path: str) -> str:
        return (root / path).read_text(encoding="utf-8")

    known = constants(root)
    spark, hadoop, delta = (known.get(f"{name}_VERSION", "") for name in ("SPARK", "HADOOP", "DELTA"))
    minor = spark.rpartition(".")[0]
    expected = (
        (WORKER, f"pyspark=={spark} "),
        (WORKER, f"pyspark[connect]=={spark} "),
        ("docker/worker-node/install_spark.py", f"pyspark {spark}"),
        ("docker/worker-node/hadoop.pom.xml", f"<hadoop.version>{hadoop}<"),
        ("docker/worker-node/hadoop.lock", f"/hadoop-hdfs/{hadoop}/hadoop-hdfs-{hadoop}.jar"),
        ("docker/delta/delta.pom.xml", f"<delta.version>{delta}<"),
        ("docker/delta/delta.pom.xml", f"<artifactId>delta-spark_{minor}_"),
        ("docker/delta/delta.lock", f"/{delta}/delta-spark_{minor}_"),
        ("docker/delta/requirements.lock", f"delta-spark=={delta} "),
        ("docs/delta.md", f"Delta {delta} for Spark {minor}"),
        ("README.md", f"Spark {minor}"),
    )
    return [
        f"{path}: expected {said.strip()!r}, as sparkqfs/topology.py has it"
        for path, said in expected
        if said not in text(path)
    ]


# --- making ---


def run(argv: list[str], folder: Path) -> None:
    """Raises `Fault` with its last words."""
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise Fault(f"{' '.join(argv[:3])} …: exit code {done.returncode}\n{words}")


def pip_compile(folder: Path) -> str:
    """pip-tools in an environment of its own, made by this Python. Raises `Fault`."""
    if sys.version_info[:2] != PYTHON:
        have = ".".join(map(str, sys.version_info[:2]))
        raise Fault(
            f"this is Python {have}, and the images have 3.11: run it with python3.11, or as docs/upgrade.md says"
        )
    run([sys.executable, "-m", "venv", str(folder)], folder.parent)
    run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", PIP_TOOLS], folder.parent)
    return str(folder / "bin" / "pip-compile")


def make_pip(lock: PipLock, root: Path, made: dict[str, str], folder: Path, program: str) -> str:
    """The lock's new text; what is `made` already counts for what is on top of it."""
    head, _ = split((root / lock.path).read_text(encoding="utf-8"))
    lines = wanted(head)
    below = made.get(lock.on) or ((root / lock.on).read_text(encoding="utf-8") if lock.on else "")
    if below:
        fixed = "".join(f"{name}=={version}\n" for name, version in versions(below).items())
        (folder / "below.txt").write_text(fixed, encoding="utf-8")
        lines = ["-c below.txt", *lines]
    (folder / "wanted.in").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "made.txt").unlink(missing_ok=True)
    run([program, *COMPILE, *QUIET, "--output-file", "made.txt", "wanted.in"], folder)
    lines = (folder / "made.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    body = "".join(line for line in lines if line.strip() and not line.startswith("#"))
    if lock.without_those:
        body = "".join(found[0] for found in ENTRY.finditer(body) if found[1] not in versions(below))
    said = f"{MADE}Python {sys.version.split()[0]}: pip-compile {' '.join(COMPILE)}"
    head = [said if line.startswith(MADE) else line for line in head]
    return "\n".join(head) + "\n" + body


def make_jars(lock: JarLock, root: Path, folder: Path, program: str) -> str:
    """The lock's new text: Maven compares each jar with the checksum that Maven Central publishes for it.

    `-C` makes a wrong one an error, and a repository of its own has no jar that nobody compared.
    """
    where = folder / Path(lock.path).stem
    where.mkdir()
    shutil.copy(root / lock.model, where / "pom.xml")
    words = ("-DincludeScope=runtime", "-DoutputDirectory=.", "-Dmdep.useRepositoryLayout=true")
    run([program, "-B", "-C", f"-Dmaven.repo.local={folder / 'repository'}", COPY, *words], where)
    lines = []
    for path in sorted(where.rglob("*.jar"), key=lambda one: one.relative_to(where).as_posix()):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.relative_to(where).as_posix()}\n")
    if not lines:
        raise Fault(f"{lock.model}: Maven has given no jar")
    return "".join(lines)


def write(root: Path, names: list[str]) -> list[str]:
    """Make locks again and replace them together; what has changed, a line each. Raises `Fault`."""
    chosen = {name: lock for name, lock in LOCKS.items() if name in names or not names}
    kinds = {type(lock) for lock in chosen.values()}
    maven = shutil.which("mvn") or ""
    if JarLock in kinds and not maven:
        raise Fault("mvn is not there: apt-get install maven, or the command of docs/upgrade.md")
    made: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="locks-") as temporary:
        folder = Path(temporary)
        compiler = os.environ.get("PIP_COMPILE") or (pip_compile(folder / "tools") if PipLock in kinds else "")
        for name, lock in chosen.items():
            print(f"{name} …", file=sys.stderr, flush=True)
            if isinstance(lock, PipLock):
                made[lock.path] = make_pip(lock, root, made, folder, compiler)
            else:
                made[lock.path] = make_jars(lock, root, folder, maven)
    changes = []
    for path, text in made.items():
        before = (root / path).read_text(encoding="utf-8")
        changes += [f"{path}: {change}" for change in differences(before, text)]
        (root / path).write_text(text, encoding="utf-8")
    return changes


def differences(before: str, after: str) -> list[str]:
    """Packages or jars that came, went, or have another version or other files."""
    old, new = (
        [line.rstrip("\\ ") for line in text.splitlines() if not line.startswith((" ", "#"))]
        for text in (before, after)
    )
    lines = [f"- {line}" for line in old if line not in new] + [f"+ {line}" for line in new if line not in old]
    if not lines and split(before)[1] != split(after)[1]:
        lines = ["the same versions in other files"]
    return lines


def main(argv: list[str], root: Path = ROOT) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="compare, without a network")
    what.add_argument("--write", action="store_true", help="make them again")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"with --write: {', '.join(LOCKS)}")
    given = parser.parse_args(argv)
    unknown = [name for name in given.names if name not in LOCKS]
    if unknown or (given.check and given.names):
        parser.error(f"{', '.join(unknown) or 'names'}: with --write, and one of {', '.join(LOCKS)}")
    try:
        if given.write:
            print("\n".join(write(root, given.names)) or "nothing has changed")
    except Fault as fault:
        print(fault, file=sys.stderr)
        return 1
    faults = check(root)
    print("\n".join(faults) or "every lock fits", file=sys.stderr if faults else sys.stdout)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

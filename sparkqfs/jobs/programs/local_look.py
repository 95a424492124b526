"""Files of this computer that a program needs: what they are, and the archive that takes them to the manager."""

from __future__ import annotations

import getpass
import io
import json
import os
import re
import shlex
import socket
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sparkqfs.errors import ConfigError, ExitCode, Problem
from sparkqfs.plan.programs.parcel import PROPERTIES, Parcel, as_flags, local_files, pack
from sparkqfs.plan.programs.setting_files import EXECUTORS_PYTHON, LIKE_A_PATH
from sparkqfs.plan.programs.settings import settings_of
from sparkqfs.plan.programs.user import Program, is_uri, local_path, split_alias

LEFT_OUT = frozenset({"__pycache__", "node_modules"})
"""Of a directory that is sent; and what begins with a dot."""
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def here(path: str) -> str:
    """What a path is on this computer: `file`, `directory` or nothing."""
    try:
        found = Path(path).expanduser()
        return "file" if found.is_file() else "directory" if found.is_dir() else ""
    except (OSError, ValueError, RuntimeError):  # a name that is too long, or no name at all; a home of nobody
        return ""


def expand(program: Program) -> Program:
    """The program with the files that its patterns mean, as in `--jars 'lib/*.jar'`: Spark reads them so too."""
    return replace(
        program,
        py_files=tuple(_expanded(program.py_files)),
        jars=tuple(_expanded(program.jars)),
        files=tuple(_expanded(program.files)),
        archives=tuple(_expanded(program.archives)),
    )


def _expanded(texts: tuple[str, ...]) -> Iterator[str]:
    for text in texts:
        path, alias = split_alias(text)
        is_pattern = re.search(r"[*?\[]", path) and not is_uri(path) and not here(local_path(path))
        matches = _matches(text, local_path(path)) if is_pattern else []
        if not matches:
            yield text
        elif alias and len(matches) > 1:
            raise ConfigError(Problem(what=f"{text}: {len(matches)} files match, and one of them can be {alias}"))
        else:
            yield from (f"{one}#{alias}" if alias else one for one in matches)


def _matches(text: str, pattern: str) -> list[str]:
    """Files of this computer. Raises `ConfigError` for what is no pattern, or of nobody's home."""
    try:
        found = Path(pattern).expanduser()
        top = Path(found.anchor) if found.anchor else Path()
        return sorted(map(str, top.glob(str(found.relative_to(top)))))
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(Problem(what=f"{text}: {error}", code=ExitCode.USAGE)) from error


def look_here(program: Program, submission: str) -> tuple[Program, Parcel]:
    """The program and what would be sent of it. Raises `ConfigError` with everything that this computer can tell."""
    program = expand(as_flags(program))
    faults: list[Problem] = []
    try:
        check_files(program)
    except ConfigError as error:
        faults += error.problems
    try:
        parcel = pack(program, submission, here)
    except ConfigError as error:
        faults += error.problems
    if faults:
        raise ConfigError(*faults)
    return program, parcel


def check_files(program: Program) -> None:
    """Raises `ConfigError` naming every file that is not there or cannot be read."""
    modules = {local_path(split_alias(text)[0]) for text in program.py_files if not is_uri(text)}
    faults = [fault for path in local_files(program) if (fault := _fault(path, path in modules)) is not None]
    if faults:
        raise ConfigError(*faults)


def _fault(path: str, may_be_directory: bool) -> Problem | None:
    kind = here(path)
    if kind == "directory" and may_be_directory:
        if any(True for _ in _modules(Path(path))):
            return None
        return Problem(what=f"--py-files {path}: no Python module is in this directory")
    if kind == "directory":
        return Problem(
            what=f"{path} is a directory", hint="--py-files takes one; else pack it, and send it with --archives"
        )
    if not kind:
        return Problem(what=f"{path}: no such file on this computer")
    if not os.access(Path(path).expanduser(), os.R_OK):
        return Problem(what=f"{path}: this file cannot be read: permission denied")
    return None


def hints(program: Program, home: str) -> list[str]:
    """Arguments that look like files of this computer: the program would not find them on the cluster.

    `home` is the directory of the storage from which a program's relative paths go.
    """
    sent = {*program.files, *program.archives, *(split_alias(one)[1] or Path(one).name for one in program.files)}
    found = list(_python_of(program))
    for word in program.arguments:
        text = word.partition("=")[2] if word.startswith("-") else word
        if text and text not in sent and _is_local(text):
            path = local_path(text)
            name = Path(path).expanduser().resolve().name
            words = path if path.startswith("~") else shlex.quote(path), shlex.quote(f"{home}/{name}")
            put = f"`invoke put {' '.join(words)}` copies it"
            said = f"{text} looks like a path of this computer, which the cluster does not see: "
            said += f"{put}, and the argument is {name} then"
            if text == name:
                said = f"{text} is a file of this computer too; the program gets {home}/{name}. {put} there"
            found.append(said)
    return found


def _python_of(program: Program) -> Iterator[str]:
    """Spark's documentation names the Python of a packed environment in a variable, which stays on this computer."""
    said = os.environ.get("PYSPARK_PYTHON", "")
    places = {split_alias(one)[1] or Path(one).name for one in program.archives}
    if said.removeprefix("./").partition("/")[0] in places and EXECUTORS_PYTHON not in settings_of(program, {}):
        yield f"PYSPARK_PYTHON is of this computer; for executors: `--conf {EXECUTORS_PYTHON}={said}`"


def _is_local(text: str) -> bool:
    path, kind = Path(local_path(text)), here(local_path(text))
    if is_uri(text):
        return False
    if not kind:
        return text.startswith(("./", "../", "~/", "file:"))
    return kind == "file" or LIKE_A_PATH.match(text) is not None or (not path.is_absolute() and "/" in text)


def tar_of(parcel: Parcel) -> bytes:
    """`app.json` and the files, as the driver expects them. Raises `ConfigError` for a file that cannot be read."""
    known = {
        "name": parcel.name,
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "submitted": round(time.time(), 1),
        "argv": list(parcel.argv),
        "restart": parcel.restart,
    }
    out, faults = io.BytesIO(), []
    with tarfile.open(fileobj=out, mode="w") as tar:
        _add(tar, "app.json", json.dumps(known).encode())
        if parcel.properties:
            _add(tar, PROPERTIES, parcel.properties.encode())
        for name, path in parcel.files.items():
            try:
                for inner, content in _contents(Path(path).expanduser(), name in parcel.zipped):
                    _add(tar, f"files/{name}{inner}", content)
            except OSError as error:
                what = f"{error.filename or path}: this file cannot be read: {error.strerror}"
                faults.append(Problem(what=what))
    if faults:
        raise ConfigError(*faults)
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), 0o640, int(time.time())
    tar.addfile(info, io.BytesIO(content))


def _contents(path: Path, as_zip: bool) -> Iterator[tuple[str, bytes]]:
    """(what follows the name, content): of a file one, of a directory all that is below it."""
    if not path.is_dir():
        yield "", path.read_bytes()
    elif as_zip:
        yield "", zip_of(path)
    else:
        for inner in walk(path):
            yield f"/{inner.relative_to(path)}", inner.read_bytes()


def zip_of(directory: Path) -> bytes:
    """A directory of Python modules as a zip: a package under its own name, else what is in it.

    A package is a directory with an `__init__.py`; with another one `--py-files src` is as if src were in PYTHONPATH.
    """
    top = directory.absolute()  # a link has the name that it is imported by
    base = top.parent if (top / "__init__.py").is_file() else top
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as found:
        for path in walk(top):
            if path.suffix != ".pyc":
                info = zipfile.ZipInfo(str(path.relative_to(base)), ZIP_TIME)
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                found.writestr(info, path.read_bytes())
    return out.getvalue()


def walk(directory: Path) -> Iterator[Path]:
    """The files below a directory, sorted; links are followed, each directory once."""
    seen: set[str] = set()
    for folder, names, files in os.walk(directory, followlinks=True, onerror=_raise):
        real = os.path.realpath(folder)
        names[:] = [] if real in seen else sorted(one for one in names if not _is_left_out(one))
        if real not in seen:
            yield from (Path(folder, one) for one in sorted(files) if not one.startswith("."))
        seen.add(real)


def _raise(error: OSError) -> None:
    raise error


def _is_left_out(name: str) -> bool:
    return name in LEFT_OUT or name.startswith(".")


def _modules(directory: Path) -> Iterator[Path]:
    return (path for path in walk(directory.expanduser()) if path.suffix == ".py")

"""Runs a notebook headless: found in a directory, in Python, its parameters of the types of their defaults.

Usage: run-notebook FOLDER NAME [-p PARAMETER VALUE]…: NAME.ipynb of FOLDER or of a directory in it. A FOLDER that was
sent for this run goes afterwards, also when SIGTERM ends it. On stdout a line for each result, `file NAME BASE64`, or
before anything ran `absent` with lines `known NAME`, or `refused WHY`; fields are parted by tabs. Exit code:
papermill's, 64 when nothing ran.
Standard library only; papermill and nbconvert are programs of the venv.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import datetime
import decimal
import difflib
import fcntl
import json
import operator
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

EX_USAGE = 64
END = ".ipynb"
TOP = Path("/tmp")
SENT = re.compile(r"/tmp/notebook-sent\.[A-Za-z0-9]+")
WORK = "notebook-run."
"""Of a run, in `TOP`: where it works."""
LEFT = re.compile(r"notebook-(sent|run)\.\w+")
OLD_S = 6 * 3600.0
"""What no run holds after that was left by one that was killed, or never began: sending takes minutes."""
CHECKPOINTS = ".ipynb_checkpoints"
MOST_KNOWN = 200
RUN = """\
import json, logging, sys
import papermill
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
from papermill.translators import PythonTranslator, papermill_translators
class Exact(str):
    pass
class Translator(PythonTranslator):
    @classmethod
    def translate(cls, value):
        return str(value) if isinstance(value, Exact) else super().translate(value)
papermill_translators.register("python", Translator)
source, target, cwd, parameters, exact = sys.argv[1:]
parameters = json.loads(parameters) | {name: Exact(text) for name, text in json.loads(exact).items()}
papermill.execute_notebook(source, target, parameters=parameters, kernel_name="python3", language="python",
    cwd=cwd, progress_bar=False, log_output=True)
"""
"""papermill 2.7 knows what JSON knows, and makes a text of a tuple. `exact` has such values as Python writes them."""
LANGUAGES = {
    "ir": "R", "r": "R", "julia": "Julia", "scala": "Scala", "spylon-kernel": "Scala", "apache_toree_scala": "Scala",
    "sparkkernel": "Scala", "sparkrkernel": "R", "bash": "Bash", "javascript": "JavaScript", "typescript": "TypeScript",
    "deno": "TypeScript", "sql": "SQL", "sqlite": "SQL", "kotlin": "Kotlin", "java": "Java", "ruby": "Ruby",
    "go": "Go", "gophernotes": "Go", "rust": "Rust", "c++": "C++", "xcpp17": "C++", "matlab": "MATLAB",
    "octave": "Octave", "sas": "SAS", "stata": "Stata", "c#": "C#", "f#": "F#", "powershell": "PowerShell",
    ".net-csharp": "C#", ".net-fsharp": "F#", ".net-powershell": "PowerShell", "haskell": "Haskell", "perl": "Perl",
    "lua": "Lua", "sagemath": "SageMath",
}  # fmt: skip
"""A language, or a kernel that is known for one → how people write it."""
PYTHONS = re.compile(r"(i?python|pyspark)(?![a-z])")
"""Names of kernels of other services too: `Python 3`, `pyspark`, `Python_Glue_Session`."""
UNKNOWN = object()
WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]*)")
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
MAGIC = re.compile(r"(?P<indent>\s*)(?:[%!?]|[\w., ]+=\s*[%!]|.*\?\s*$)")
"""A line that IPython does not give to Python as it is."""
PYTHON = ("%%time", "%%timeit", "%%capture", "%%prun")
"""Of a cell whose other lines are Python."""
LIKE: dict[type, str] = {dict: '{"a": 1}', list: "[1, 2]", tuple: "(1, 2)", set: "{1, 2}", bytes: "b'x'"}
"""A type → how its values are written."""
TAKEN: dict[type, tuple[type, ...]] = {list: (list, tuple), tuple: (list, tuple), set: (list, tuple, set)}
"""A type → those that are taken for it, where it is not itself alone."""
SUMS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Pow: operator.pow,
}  # fmt: skip
MOST_POWER = 400
SAMPLES: dict[str, Any] = {one.__name__: one() for one in (str, int, float, bool, list, dict, tuple, set, bytes)}
"""A type's name → a value of it."""
OF_TEXTS = frozenset(("format", "join", "lower", "replace", "strip", "upper", "zfill"))
"""Methods of a text that give a text."""
OF_ENVIRONMENT = frozenset(("os.environ", "environ", "os.environ.get", "environ.get", "os.getenv", "getenv"))


CALLED = re.compile(
    r"(?P<type>(?:\w+\.)*(?P<name>date|datetime|Timestamp|Decimal|Path|PurePath|PurePosixPath))"
    r"(?:\.(?:today|now|utcnow|fromisoformat|strptime|combine|cwd|home))?"
)
"""What makes a default that is a day, a time, an exact number or a path: `date(2026, 1, 31)`, `dt.date.today()`."""


class Made(NamedTuple):
    """The default is made by this type, whatever its value is."""

    type: str
    """As the notebook calls it."""
    name: str


class Code:
    """A value as Python writes it, with names of the notebook."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class OrNone(NamedTuple):
    """The default is None, and its annotation says what else it may be."""

    value: Any


class Refusal(Exception):
    """Nothing runs; the text is for people."""


def known(folder: Path) -> Iterator[str]:
    """Names of the notebooks that there are, without their ending."""
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(END) and not name.startswith("."):
                yield (Path(top) / name).relative_to(folder).as_posix().removesuffix(END)


def read(path: Path) -> dict[str, Any]:
    """Raises Refusal for a file that is no notebook."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Refusal(f"{path.name} cannot be read: {error}") from error
    cells = found.get("cells", found.get("worksheets")) if isinstance(found, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise Refusal(f"{path.name} is not a notebook: it has no cells")
    return dict(found)


def language_of(notebook: dict[str, Any]) -> str:
    """`Python`, or the language that it says; one that says none is Python, whatever its kernel's name is."""
    metadata = notebook.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    kernel, info = metadata.get("kernelspec"), metadata.get("language_info")
    kernel = kernel if isinstance(kernel, dict) else {}
    info = info if isinstance(info, dict) else {}
    for said in (kernel.get("language"), info.get("name"), metadata.get("language")):
        if isinstance(said, str) and said.strip():
            word = said.strip().lower()
            is_python = PYTHONS.match(word) or (word not in LANGUAGES and info.get("mimetype") == "text/x-python")
            return "Python" if is_python else LANGUAGES.get(word, said.strip())
    name = str(kernel.get("name") or "").lower()
    return LANGUAGES.get(name) or LANGUAGES.get(re.sub(r"[-_]?[0-9.]+$", "", name)) or "Python"


def check_language(path: Path, notebook: dict[str, Any]) -> None:
    """Raises Refusal."""
    language = language_of(notebook)
    if language != "Python":
        raise Refusal(f"{path.name} is a notebook in {language}, and kernels here run Python")


def defaults(notebook: dict[str, Any]) -> dict[str, Any]:
    """Name → value of what the cell with the tag `parameters` assigns; `UNKNOWN` for what only running it tells."""
    for cell in notebook.get("cells") or []:
        metadata = cell.get("metadata")
        tags = metadata.get("tags") if isinstance(metadata, dict) else None
        if cell.get("cell_type") != "code" or not isinstance(tags, list) or "parameters" not in tags:
            continue
        source = cell.get("source") or ""
        text = source if isinstance(source, str) else "".join(map(str, source)) if isinstance(source, list) else ""
        for given in (text, without_magics(text)):
            with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
                return dict(_assigned(ast.parse(given)))
        return {}  # papermill says what it thinks of it
    return {}


def without_magics(text: str) -> str:
    """A cell's Python: each line that is a magic, or a command, does nothing."""
    lines, goes_on = [], False
    for at, line in enumerate(text.split("\n")):
        if at == 0 and line.startswith("%%") and not line.startswith(PYTHON):
            return ""
        found = MAGIC.match(line)
        if goes_on or found:
            goes_on = line.endswith("\\")
            line = f"{found['indent']}pass" if found else ""
        lines.append(line)
    return "\n".join(lines)


def _assigned(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    for line in tree.body:
        targets = (
            line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) else []
        )
        value = line.value if isinstance(line, (ast.Assign, ast.AnnAssign)) else None
        if value is None:
            continue
        for target in targets:
            if isinstance(target, ast.Name):
                found = value_of(value)
                said = _annotated(line) if found is None or found is UNKNOWN else UNKNOWN
                yield target.id, found if said is UNKNOWN else OrNone(said) if found is None else said
            elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
                pairs = zip(target.elts, value.elts, strict=True)
                yield from ((one.id, value_of(given)) for one, given in pairs if isinstance(one, ast.Name))


def _annotated(line: ast.stmt) -> Any:
    """A value of the type that an annotation names: `str`, `str | None`, `Optional[str]`."""
    text = ast.unparse(line.annotation).strip("'\"") if isinstance(line, ast.AnnAssign) else ""
    found = re.fullmatch(r"(?:(?:typing\.)?Optional\[)?(\w+)(?:\[.*\])?(?: \| None)?\]?", text)
    return SAMPLES.get(found[1], UNKNOWN) if found else UNKNOWN


def value_of(node: ast.expr) -> Any:
    """Of a literal, or of arithmetic with numbers; of what is surely a text, a list and so on, one of its type."""
    try:
        if isinstance(node, ast.BinOp) and type(node.op) in SUMS:
            left, right = value_of(node.left), value_of(node.right)
            if not all(isinstance(one, (int, float)) for one in (left, right)):
                is_text = isinstance(left, str) or (isinstance(right, str) and isinstance(node.op, ast.Add))
                return "" if is_text else UNKNOWN
            if isinstance(node.op, ast.Pow) and abs(right) > MOST_POWER:
                return UNKNOWN
            return SUMS[type(node.op)](left, right)
        return ast.literal_eval(node)
    except (ValueError, TypeError, ArithmeticError, RecursionError, MemoryError):
        return _sample(node)


def _sample(node: ast.expr) -> Any:
    """A value of the type that it has whatever it is when it runs."""
    match node:
        case ast.JoinedStr():
            return ""
        case ast.BinOp(left=left, op=ast.Mod()) if isinstance(value_of(left), str):
            return ""
        case ast.List() | ast.ListComp():
            return []
        case ast.Dict() | ast.DictComp():
            return {}
        case ast.Tuple() | ast.Set() | ast.SetComp():
            return () if isinstance(node, ast.Tuple) else set()
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return False
        case ast.Call(func=ast.Name(id=name)) if name in SAMPLES:
            return SAMPLES[name]
        case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in OF_TEXTS:
            return "" if isinstance(value_of(owner), str) else UNKNOWN
        case ast.Call(func=inner) if found := CALLED.fullmatch(ast.unparse(inner)):
            return Made(found["type"], found["name"])
        case ast.Call(func=inner) | ast.Subscript(value=inner) if ast.unparse(inner) in OF_ENVIRONMENT:
            return ""
    return UNKNOWN


def typed(name: str, text: str, default: Any) -> Any:
    """The value of the type that the default has. Raises Refusal."""
    match default:
        case OrNone():
            return None if text == "None" else typed(name, text, default.value)
        case Made():
            return _made(name, text, default)
        case str():
            return text
        case bool():
            if text.lower() in (*TRUE, *FALSE):
                return text.lower() in TRUE
            raise Refusal(f"{name} is true or false in this notebook, not {text!r}")
        case int() | float():
            kind, what = (int, "a whole number") if isinstance(default, int) else (float, "a number")
            try:
                return _whole(text) if kind is int else float(text)
            except ValueError:
                raise Refusal(f"{name} is {what} in this notebook, not {text!r}") from None
        case list() | tuple() | dict() | set() | bytes():
            return _written(name, text, type(default))
        case _:
            return guessed(text)


def _whole(text: str) -> int:
    """Also of `1e7`. Raises ValueError."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise
        return int(decimal.Decimal(text))


def _made(name: str, text: str, wanted: Made) -> Code:
    """The call that makes the value of such a type in the notebook."""
    checks: dict[str, tuple[Callable[[str], object], str, str]] = {
        "date": (datetime.date.fromisoformat, ".fromisoformat", "2026-01-31"),
        "datetime": (datetime.datetime.fromisoformat, ".fromisoformat", "2026-01-31T12:00"),
        "Decimal": (decimal.Decimal, "", "1.50"),
    }
    check, method, like = checks.get(wanted.name, (str, "", ""))
    try:
        check(text)
    except (ValueError, ArithmeticError):
        raise Refusal(f"{name} is like {like} in this notebook, not {text!r}") from None
    return Code(f"{wanted.type}{method}({text!r})")


def _written(name: str, text: str, wanted: type) -> Any:
    """What Python, or JSON, writes so. A list is taken for a tuple and for a set, and a tuple for a list."""
    taken = TAKEN.get(wanted, (wanted,))
    for parse in (ast.literal_eval, json.loads):
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            found = parse(text)
            if isinstance(found, taken):
                value = found if isinstance(found, wanted) else wanted(found)
                if is_json(value) or ast.literal_eval(repr(value)) == value:
                    return value
    raise Refusal(f"{name} is like {LIKE[wanted]} in this notebook, not {text!r}")


def is_json(value: Any) -> bool:
    """Whether JSON gives back the same value, with the same types; papermill takes no other."""
    match value:
        case dict():
            return all(isinstance(key, str) and is_json(one) for key, one in value.items())
        case list():
            return all(map(is_json, value))
        case _:
            return value is None or isinstance(value, (str, int, float))


def guessed(text: str) -> Any:
    """Where no default says more: a number only where it is written as one, so that 007 stays as it is."""
    if WHOLE.fullmatch(text):
        return int(text)
    if re.fullmatch(r"[+-]?[0-9]+\.[0-9]*([eE][+-]?[0-9]+)?", text) and not re.match(r"[+-]?0[0-9]", text):
        return float(text)
    return {"True": True, "False": False, "None": None}.get(text, text)


def parameters_of(notebook: dict[str, Any], given: list[tuple[str, str]]) -> dict[str, Any]:
    """Raises Refusal for a value that its default does not allow, and for a name that is nearly one of the notebook's.

    Another name is the notebook's own business: papermill sets the variable and says that it has no default.
    """
    known_defaults = defaults(notebook)
    plain = {name.lower().replace("_", ""): name for name in known_defaults}
    for name, _ in given:
        near = difflib.get_close_matches(name.lower().replace("_", ""), plain, 1, 0.85)
        if near and name not in known_defaults:
            raise Refusal(f"--param {name}: the notebook has no parameter {name}; did you mean {plain[near[0]]}?")
    return {name: typed(name, text, known_defaults.get(name, UNKNOWN)) for name, text in given}


def whole(notebook: dict[str, Any]) -> dict[str, Any]:
    """With what nbformat 4 insists on and the programs that write notebooks leave out."""
    if not isinstance(notebook.get("cells"), list):
        return notebook  # nbformat 3
    found = dict(notebook)
    for key in ("nbformat", "nbformat_minor"):
        if not isinstance(found.get(key), int):
            found[key] = int(found[key]) if str(found.get(key)).isdecimal() else 4
    found["cells"] = [_whole_cell(cell) for cell in notebook["cells"]]
    return _with_metadata(found)


def _whole_cell(cell: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"source": ""}
    if cell.get("cell_type") == "code":
        found |= {"outputs": [], "execution_count": None}
    return _with_metadata(found | cell)


def _with_metadata(part: dict[str, Any]) -> dict[str, Any]:
    return part if isinstance(part.get("metadata"), dict) else {**part, "metadata": {}}


def run(source: Path, parameters: dict[str, Any], changed: dict[str, Any] | None = None) -> int:
    """papermill's exit code; the results are printed. A `changed` notebook is run in the place of the file's."""
    venv = Path(os.environ.get("SPARKQFS_VENV") or "/opt/venv") / "bin"
    with tempfile.TemporaryDirectory(prefix=WORK, dir=TOP) as folder, held(Path(folder)):
        work = Path(folder)
        target, given = work / source.name, source
        if changed is not None:
            given = work / ".given.ipynb"
            given.write_text(json.dumps(changed), encoding="utf-8")
        plain = {name: value for name, value in parameters.items() if is_json(value)}
        exact = {name: repr(value) for name, value in parameters.items() if name not in plain}
        words = (str(venv / "python"), "-c", RUN, str(given), str(target), str(work), json.dumps(plain))
        code = subprocess.run((*words, json.dumps(exact)), stdout=sys.stderr, cwd=work, check=False).returncode
        convert = (str(venv / "jupyter"), "nbconvert", "--log-level", "ERROR", "--to", "html", str(target))
        if target.exists():
            subprocess.run(convert, stdout=sys.stderr, cwd=work, check=False)
        for path in (target, target.with_suffix(".html")):
            if path.is_file():
                print(f"file\t{path.name}\t{base64.b64encode(path.read_bytes()).decode()}", flush=True)
        return code


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """While this lasts no other run sweeps the directory away; the kernel lets go of it with the process."""
    try:
        descriptor = _open(folder)
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def sweep() -> None:
    """Removes what earlier runs have left: of one that was killed nobody else does."""
    for path in TOP.iterdir():
        if not LEFT.fullmatch(path.name):
            continue
        with contextlib.suppress(OSError):
            descriptor = _open(path)
            try:
                if time.time() - os.fstat(descriptor).st_mtime > OLD_S:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(descriptor)


def _end(number: int, _frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main(words: list[str]) -> int:
    """Exit code. On SIGTERM, which is how `attended` ends a run, all of the run goes as at any other end."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        return _main(words)
    finally:
        signal.signal(signal.SIGTERM, before)


def _main(words: list[str]) -> int:
    match words:
        case [folder, name, *rest] if len(rest) % 3 == 0 and all(word == "-p" for word in rest[::3]):
            given = list(zip(rest[1::3], rest[2::3], strict=True))
        case _:
            print(f"usage:{(__doc__ or '').partition('Usage:')[2].partition(chr(10) * 2)[0]}", file=sys.stderr)
            return EX_USAGE
    top, source = Path(folder), Path(folder) / f"{name}{END}"
    with _taken(folder):
        sweep()
        return _found(top, source, given)


@contextlib.contextmanager
def _taken(folder: str) -> Iterator[None]:
    """A directory that was sent is held, and goes in the end."""
    if not SENT.fullmatch(folder):
        yield
        return
    try:
        with held(Path(folder)):
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _found(top: Path, source: Path, given: list[tuple[str, str]]) -> int:
    try:
        if not source.is_file() or not source.resolve().is_relative_to(top.resolve()):
            print("absent")
            for one in list(known(top))[:MOST_KNOWN]:
                print(f"known\t{one}")
            return EX_USAGE
        notebook = read(source)
        check_language(source, notebook)
        parameters = parameters_of(notebook, given)
        changed = whole(notebook)
        return run(source, parameters, None if changed == notebook else changed)
    except Refusal as error:
        print(f"refused\t{' '.join(str(error).split())}")
        return EX_USAGE

"""Imports go down only, and pure code touches nothing: read with `ast`, so that it holds for code no test runs."""

from __future__ import annotations

import ast
import functools
import graphlib
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparkqfs.clients.context import SHARED_MODULES
from tests.paths import ROOT
from tests.trees import tree_of, walk

PACKAGE = ROOT / "sparkqfs"
MAY_IMPORT: dict[str, set[str]] = {
    "amounts": set(),
    "archives": set(),
    "durable": set(),
    "errors": set(),
    "progress": set(),
    "streams": set(),
    "topology": set(),
    "tree": set(),
    "remote": set(),
    "shortening": set(),
    "facts": {"facts"},
    "config": {"config", "errors", "shortening", "topology"},
    "clients": {
        "archives",
        "clients",
        "config",
        "durable",
        "errors",
        "remote",
        "shortening",
        "streams",
        "topology",
        "tree",
    },
    "files": {"amounts", "durable", "errors", "files", "progress", "streams"},
    "plan": {"amounts", "config", "errors", "facts", "plan", "remote", "topology"},
    "checks": {"checks", "config", "errors", "facts", "plan", "topology"},
    "gather": {"clients", "config", "errors", "facts", "gather", "remote", "topology"},
    "jobs": {
        "amounts",
        "checks",
        "clients",
        "config",
        "durable",
        "errors",
        "facts",
        "files",
        "gather",
        "jobs",
        "plan",
        "progress",
        "remote",
        "shortening",
        "streams",
        "topology",
        "tree",
    },
    "report": {"amounts", "durable", "errors", "facts", "plan", "report", "shortening", "streams", "tree"},
    "local": {"archives", "config", "durable", "errors", "local", "topology", "tree"},
    "cli": {"cli", "clients", "config", "errors", "jobs", "local", "plan", "report", "shortening", "streams", "tree"},
    "program": {"cli", "errors", "streams", "tree"},
    "__main__": {"program"},
}
ONLY_IN = {
    "fabric": ("clients/",),
    "paramiko": ("clients/",),
    "docker": ("clients/engine.py", "local/"),
    "requests": ("clients/", "local/"),
    "urllib3": ("clients/",),
    "cryptography": ("clients/",),
    "yaml": ("config/reading.py", "config/writing.py", "plan/stack.py", "local/"),
    "rich": ("report/terminal.py",),
    "invoke": ("program.py", "cli/"),
}
FORBIDDEN_IN_PURE = {
    "os",
    "subprocess",
    "time",
    "socket",
    "threading",
    "shutil",
    "tempfile",
    "sys",
    "random",
    "secrets",
}
PURE_FOLDERS = ("checks/", "facts/", "plan/")
PURE_FILES = ("errors.py", "topology.py", "config/redundancy.py")
SOURCES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    """`clients/ssh.py` → clients."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@functools.cache
def imported(tree: ast.AST) -> tuple[tuple[str, int], ...]:
    """Every dotted name a module imports, with its line."""
    found = []
    for node in walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return tuple(found)


@functools.cache
def is_module(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def short(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def is_pure(path: Path) -> bool:
    return short(path).startswith(PURE_FOLDERS) or short(path) in PURE_FILES


MODULES = [path for path in SOURCES if path != PACKAGE / "__init__.py"]


def imports_of(paths: list[Path]) -> Iterator[tuple[Path, str, int]]:
    """Module, dotted name that it imports, line."""
    return ((path, name, line) for path in paths for name, line in imported(tree_of(path)))


def test_a_module_imports_only_what_its_layer_may() -> None:
    unknown = [short(path) for path in MODULES if layer_of(path) not in MAY_IMPORT]
    assert not unknown, "in no layer of the import contract"
    wrong = []
    for path, name, line in imports_of(MODULES):
        parts = name.split(".")
        if parts[0] != "sparkqfs" or (len(parts) == 2 and not is_module(name)):
            continue
        if parts[1] not in MAY_IMPORT[layer_of(path)]:
            wrong.append(f"{short(path)}:{line} imports {name}")
    assert not wrong


def test_a_third_party_library_is_used_in_one_place() -> None:
    wrong = [
        f"{short(path)}:{line} imports {name}"
        for path, name, line in imports_of(MODULES)
        if (allowed := ONLY_IN.get(name.split(".")[0])) is not None and not short(path).startswith(allowed)
    ]
    assert not wrong


CLI = [path for path in MODULES if layer_of(path) == "cli"]


def test_a_task_opens_clients_and_knows_none_of_them() -> None:
    found = {name for _, name, _ in imports_of(CLI) if name.startswith("sparkqfs.clients")}
    assert found == {"sparkqfs.clients.connect.open_clients"}


def imported_at_once(tree: ast.Module) -> set[str]:
    """The packages of ours that importing a module imports: at its head, and not only for mypy."""
    statements = [
        one for one in tree.body if not (isinstance(one, ast.If) and "TYPE_CHECKING" in ast.unparse(one.test))
    ]
    outside = [one for one in statements if not isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
    names = {name for one in outside for name, _ in imported(one)}
    return {".".join(name.split(".")[:2]) for name in names if name.split(".")[0] == "sparkqfs"}


def test_the_command_line_imports_at_once_only_itself() -> None:
    found = {(short(path), name) for path in CLI for name in imported_at_once(tree_of(path))}
    assert not [
        pair
        for pair in found
        if pair[1] not in {"sparkqfs.cli", "sparkqfs.errors", "sparkqfs.streams", "sparkqfs.tree"}
    ]


LATE = ("cli/", "report/reporter.py")
"""Here functions import what they need: docs/decisions/0025."""
NOT_LATE = [path for path in MODULES if not short(path).startswith(LATE)]


def nodes_of(paths: list[Path], *kinds: type[ast.AST]) -> Iterator[tuple[Path, Any]]:
    """Module and node, for all nodes of these kinds."""
    return ((path, node) for path in paths for node in walk(tree_of(path)) if isinstance(node, kinds))


def test_everything_else_imports_at_its_head() -> None:
    functions = nodes_of(NOT_LATE, ast.FunctionDef)
    assert not [f"{short(path)}:{line} imports {name}" for path, one in functions for name, line in imported(one)]


def test_no_import_is_hidden_from_these_tests() -> None:
    wrong = [short(path) for path, name, _ in imports_of(MODULES) if name.split(".")[0] == "importlib"]
    wrong += [short(path) for path, node in nodes_of(MODULES, ast.Name) if node.id == "__import__"]
    heads = [(path, node) for path in MODULES for node in tree_of(path).body if isinstance(node, ast.FunctionDef)]
    assert not wrong + [short(path) for path, node in heads if node.name == "__getattr__"]


def test_the_tasks_file_only_names_the_tasks() -> None:
    tree = ast.parse((ROOT / "tasks.py").read_text())
    assert {name.rpartition(".")[0] for name, _ in imported(tree)} == {
        "__future__",
        "invoke",
        "sparkqfs",
        "sparkqfs.cli",
    }
    assert not [node for node in walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda))]


def test_every_third_party_library_in_use_is_a_declared_dependency() -> None:
    """And nothing else is declared. What is imported for its own sake is declared by itself, whoever else needs it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[^\w-]", requirement)[0] for requirement in project["dependencies"]}
    here = [path for path in [*MODULES, ROOT / "tasks.py"] if path != PACKAGE / "remote" / "stdin_program.py"]
    found = {name.split(".")[0] for path in here for name, _ in imported(tree_of(path))}
    libraries = found - sys.stdlib_module_names - {"sparkqfs"}
    assert {{"yaml": "pyyaml"}.get(name, name) for name in libraries} == declared


PURE = [path for path in MODULES if is_pure(path)]


def test_pure_code_has_no_clock_no_files_no_network_and_no_output() -> None:
    wrong = [
        f"{short(path)}:{line} imports {name}"
        for path, name, line in imports_of(PURE)
        if name.split(".")[0] in FORBIDDEN_IN_PURE or name == "pathlib.Path"
    ]
    for path, node in nodes_of(PURE, ast.Name, ast.Attribute):
        if isinstance(node, ast.Name) and node.id in ("print", "open", "input", "eval", "exec", "__import__"):
            wrong.append(f"{short(path)}:{node.lineno}: {node.id}")
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "read_text", "write_text", "read_bytes"):
            wrong.append(f"{short(path)}:{node.lineno}: .{node.attr}")
    assert not wrong


MAY_PRINT = ("report/reporter.py", "program.py", "streams.py", "remote/")
PRINTING = [path for path in MODULES if not short(path).startswith(MAY_PRINT)]


def test_only_the_reporter_prints_or_ends_the_process() -> None:
    wrong = []
    for path, node in nodes_of(PRINTING, ast.Name, ast.Attribute):
        streams = () if layer_of(path) == "cli" else ("stdout", "stderr")  # tasks hand them to their jobs
        if isinstance(node, ast.Name) and node.id == "print":
            wrong.append(f"{short(path)}:{node.lineno}: print")
        if isinstance(node, ast.Attribute) and node.attr in (*streams, "exit"):
            owner = node.value
            if isinstance(owner, ast.Name) and owner.id == "sys":
                wrong.append(f"{short(path)}:{node.lineno}: sys.{node.attr}")
    assert not wrong


def test_a_channel_is_closed_by_the_function_that_minds_a_broken_connection() -> None:
    calls = [(path, node.func) for path, node in nodes_of(MODULES, ast.Call)]
    closed = [(path, call.value) for path, call in calls if isinstance(call, ast.Attribute) and call.attr == "close"]
    named = [path for path, one in closed if ast.unparse(one).endswith(("channel", "_session", "_channel"))]
    assert {short(path) for path in named} == {"clients/broken.py"}


def needs(path: Path) -> set[str]:
    """Modules of ours that a module imports when it is imported, and for its types."""
    tree = tree_of(path)
    late = {id(inner) for node in walk(tree) if isinstance(node, ast.FunctionDef) for inner in walk(node)}
    found = set()
    for node in walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in late and str(node.module).startswith("sparkqfs."):
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in whole if is_module(name)} or {str(node.module)}
    return found


def test_imports_have_no_circle() -> None:
    graph = {"sparkqfs." + short(path).removesuffix(".py").replace("/", "."): needs(path) for path in MODULES}
    graph = {name.removesuffix(".__init__"): found for name, found in graph.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def _caught(node: ast.Try) -> set[str]:
    kinds = [part for one in node.handlers if one.type is not None for part in ast.walk(one.type)]
    return {str(getattr(one, "attr", "") or getattr(one, "id", "")) for one in kinds}


def test_json_that_is_nested_too_deeply_is_caught_where_other_faults_of_it_are() -> None:
    """Python raises RecursionError for that, which is no ValueError."""
    wrong = []
    for path, node in nodes_of([*MODULES, *PROGRAMS], ast.Try):
        calls = (ast.unparse(one.func) for part in node.body for one in ast.walk(part) if isinstance(one, ast.Call))
        if not {"json.loads", "json.load"} & set(calls) or not node.handlers:
            continue
        if not {"RecursionError", "Exception"} & _caught(node):
            wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong


def test_no_module_in_docker_hides_the_docker_sdk() -> None:
    assert (ROOT / "docker").is_dir()
    assert not (ROOT / "docker" / "__init__.py").exists()


def compared_kinds(tree: ast.AST) -> Iterator[int]:
    """Lines that compare something called a storage kind with something."""
    for node in walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            parts = [node.subject]
        elif isinstance(node, ast.Subscript):
            parts = [node.slice]
        inner = [one for part in parts for one in walk(part)]
        texts = {one.value for one in inner if isinstance(one, ast.Constant)}
        dotted = [ast.unparse(one) for one in inner if isinstance(one, (ast.Attribute, ast.Name))]
        is_kind = any(name.endswith(".kind") or name == "kind" for name in dotted)
        if any(name.endswith(("storage.kind", "backend.kind")) for name in dotted) or (
            is_kind and texts & {"qfs", "hdfs", "shared"}
        ):
            yield getattr(node, "lineno", 0)


def test_only_the_storage_seam_asks_which_backend_it_is() -> None:
    wrong = [
        f"{short(path)}:{line}"
        for path in [*MODULES]
        # the settings that a kind needs are checked where they are read
        if not short(path).startswith(("plan/storage/", "config/"))
        for line in compared_kinds(tree_of(path))
    ]
    wrong += [f"tasks.py:{line}" for line in compared_kinds(ast.parse((ROOT / "tasks.py").read_text()))]
    assert not wrong


def test_the_search_for_compared_kinds_finds_them() -> None:
    for text in ('config.storage.kind == "qfs"', 'kind in ("qfs", "shared")', "TABLE[config.storage.kind]"):
        assert list(compared_kinds(ast.parse(text))) == [1]


NAMES_OF_BACKENDS = re.compile(r"(?<!spark)(qfs|hdfs|hadoop|metaserver|chunk|namenode|datanode)", re.IGNORECASE)
MAY_NAME_BACKENDS = {
    "config/model.py": "the settings of each storage",
    "config/loading.py": "the settings of each storage",
    "config/between.py": "ports of each storage",
    "config/other_words.py": "what others call a storage",
    "config/redundancy.py": "Spark's settings for each storage",
    "topology.py": "names, ports and versions",
    "facts/nodes.py": "parsers of each storage's answer",
    "facts/pages.py": "parsers of each storage's answer",
    "cli/storage.py": "the task init-qfs",
    "cli/guide.py": "the task init-qfs",
    "cli/local.py": "the help of --storage",
    "clients/context.py": "what goes into the images",
    "clients/download.py": "where that comes from",
    "jobs/cluster/images.py": "which of it a storage's images need",
}


def test_no_backend_is_named_outside_the_storage_seam() -> None:
    wrong = []
    for path in MODULES:
        if short(path).startswith(("plan/storage/", "local/")) or short(path) in MAY_NAME_BACKENDS:
            continue
        for node in walk(tree_of(path)):
            texts = [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
            texts += [node.id] if isinstance(node, ast.Name) else []
            texts += [node.attr] if isinstance(node, ast.Attribute) else []
            line = getattr(node, "lineno", 0)
            wrong += [f"{short(path)}:{line}: {text[:60]}" for text in texts if NAMES_OF_BACKENDS.search(text)]
    assert not wrong


RUNTIME = ROOT / "runtime" / "sparkqfs_runtime"
PROGRAMS = sorted(RUNTIME.rglob("*.py"))
SHARED = {"amounts", "durable", "errors", "files", "progress", "streams", "topology"}
"""Of sparkqfs, what is in the images."""
IN_JUPYTER = {"pages/in_jupyter.py": {"jupyter_server", "tornado"}}
"""What Jupyter's server loads."""
ON_SPARK = ("measuring/", "files/copying.py", "spark_session.py", "sql/engine.py", "sql/values.py")


def test_a_program_in_the_containers_needs_the_standard_library_only() -> None:
    """But for those that are Spark programs; and the first process needs none of those."""
    wrong = []
    for path, imports, line in imports_of(PROGRAMS):
        name = path.relative_to(RUNTIME).as_posix()
        first, _, rest = imports.partition(".")
        is_ours = first == "sparkqfs_runtime" and not (rest.startswith("measuring") and not name.startswith(ON_SPARK))
        is_shared = first == "sparkqfs" and rest.split(".")[0] in SHARED
        is_shared = is_shared or first in IN_JUPYTER.get(name, ())
        if not (first in sys.stdlib_module_names or is_ours or is_shared or name.startswith(ON_SPARK)):
            wrong.append(f"{name}:{line} imports {imports}")
    assert not wrong


def test_what_the_images_get_of_the_package_is_what_the_runtime_may_import() -> None:
    assert {name.removesuffix(".py") for name in SHARED_MODULES} == {"__init__"} | SHARED - {"files"}
    files = [PACKAGE / name for name in SHARED_MODULES] + sorted((PACKAGE / "files").glob("*.py"))
    names = {name for path in files for name, _ in imported(tree_of(path)) if name.startswith("sparkqfs.")}
    assert {name.split(".")[1] for name in names} <= SHARED


def test_the_health_check_imports_its_questions_and_nothing_that_starts_something() -> None:
    """It runs every ten seconds in every container."""
    ours = {
        name: {one for one, _ in imported(ast.parse((RUNTIME / f"{name}.py").read_text())) if one[:8] == "sparkqfs"}
        for name in ("health", "roles", "probes")
    }
    assert ours == {
        "health": {"sparkqfs_runtime.probes.port", "sparkqfs_runtime.roles.ROLES", "sparkqfs_runtime.roles.PROGRAMS"},
        "roles": {"sparkqfs.topology", "sparkqfs_runtime.probes"},
        "probes": {"sparkqfs.topology"},
    }


NAMES = {
    "adopt-tables", "app_page.py", "attended", "bench-storage", "copy-files", "driver-python", "file-server",
    "finished_chunks.py", "fsck", "hdfs", "hdfs_guard.py", "health", "history_page.py", "metadata-state", "metastore",
    "qfs", "resolve-packages", "run-notebook", "sh", "storage", "supervise", "terminal", "verify", "webui_guard.py",
    "with-env",
}  # fmt: skip
"""Running stacks and older checkouts call programs of `/opt/sparkqfs/bin` by these: none may go."""
SHORT_NAMES = {f"q{word}" for word in ["ls", "cat", "put", "get", "mkdir", "rm", "du", "stat"]} | {
    *(f"h{word}" for word in ["ls", "cat", "put", "get", "mkdir", "rm", "du", "stat"]),
    *(f"s{word}" for word in ["ls", "put", "get", "rm", "du"]),
}


def test_no_program_that_a_running_stack_calls_has_gone() -> None:
    programs = {path.name for path in (ROOT / "runtime" / "bin").iterdir() if path.is_file()}
    assert programs >= NAMES
    assert all(os.access(ROOT / "runtime" / "bin" / name, os.X_OK) for name in programs)
    recipe = (ROOT / "docker" / "worker-node" / "Dockerfile").read_text()
    loops = re.findall(r"for name in ([a-z ]+); do ln -s", recipe)
    assert {name for names in loops for name in names.split()} >= SHORT_NAMES


FILE = re.compile(r"(?<![\w./-])\w+(?:/\w+)*\.(?:py|sh)\b")
OF_OTHERS = {"webui/qfsstatus.py", "NAME.py", "NAME.sh", "OTHER.sh"}
"""QFS's own, and words for any name."""


def docstrings(path: Path) -> Iterator[str]:
    """Of the module, its classes and functions, and below what they name."""
    for node in walk(tree_of(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


@functools.cache
def is_file_of_ours(name: str, folder: Path) -> bool:
    """From the top, from a package, from the `folder` of who says it; a bare name may be of a program in an image."""
    programs = [ROOT / "runtime" / "bin", *(ROOT / "docker").iterdir()] if "/" not in name else []
    tops = [ROOT, PACKAGE, RUNTIME, folder, *programs]
    return any((top / name).is_file() for top in tops)


def test_every_file_that_a_docstring_names_is_there() -> None:
    """A module of tests begins with the one that it tries."""
    folders = [PACKAGE, RUNTIME, ROOT / "tests", ROOT / "bench"]
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    said = [(path, name) for path in paths for text in docstrings(path) for name in FILE.findall(text)]
    assert len(said) > 40
    wrong = [f"{path.relative_to(ROOT)}: {name}" for path, name in said if not is_file_of_ours(name, path.parent)]
    assert [one for one in wrong if one.partition(": ")[2] not in OF_OTHERS] == []


def test_no_docstring_names_a_script_by_a_module_that_only_sends_it() -> None:
    told = [(path, text) for path in SOURCES for text in docstrings(path)]
    assert [short(path) for path, text in told if re.search(r"\w[./][A-Z_]+_SCRIPT\b", text)] == []


PAGES_IN_PYTHON = ("report/",)
"""Where long texts are a page's own."""


def long_texts(tree: ast.AST) -> Iterator[tuple[int, int]]:
    """Line and number of lines of every string that is no docstring and has more than three lines."""
    statements = {id(node.value) for node in walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    skipped = statements | parts
    for node in walk(tree):
        if id(node) in skipped or not isinstance(node, (ast.Constant, ast.JoinedStr)):
            continue
        if isinstance(node, ast.JoinedStr) or isinstance(node.value, str):
            values = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in values)
            lines = text.strip("\n").count("\n") + 1
            if lines > 3:
                yield node.lineno, lines


def test_no_script_is_a_text_in_python() -> None:
    """They are files in `remote/`, which shellcheck reads."""
    wrong = [
        f"{short(path)}:{line}: {lines} lines"
        for path in MODULES
        if not short(path).startswith(PAGES_IN_PYTHON)
        for line, lines in long_texts(tree_of(path))
    ]
    assert not wrong


def test_every_script_is_sent_by_the_module_that_it_names() -> None:
    scripts = sorted((PACKAGE / "remote").glob("*.sh"))
    assert len(scripts) > 20
    for path in scripts:
        if path.read_text().partition("\n")[2].startswith("# Part of scripts"):
            assert any(f"\n. ./{path.name}\n" in other.read_text() for other in scripts), path.name
            continue
        module = re.findall(r"^# Sent by (\S+\.py),", path.read_text(), re.MULTILINE)
        assert len(module) == 1 and f'script("{path.stem}"' in (ROOT / module[0]).read_text(), path.name

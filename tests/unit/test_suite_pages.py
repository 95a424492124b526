"""docs/testing.md, CONTRIBUTING.md and the checks against the tree: folders, marks, paths, programs."""

from __future__ import annotations

import ast
import fnmatch
import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.trees import tree_of, walk
from tests.unit.tables import table_of

TESTS = ROOT / "tests"
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`\n]+)`")
MARKS = ("long", "soak", "cluster", "every_storage", "second_storage")
FROM_FUNCTION = {"takes_long": "long"}
"""Functions of tests/marks.py and what they mark with."""


# --- folders --------------------------------------------------------------------------------------


def folders(top: Path, depth: int) -> Iterator[Path]:
    """Folders with something in them; what git ignores by name is left out."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines() if line]
    for path in sorted(top.iterdir()):
        is_ours = not path.name.startswith(".") and not any(fnmatch.fnmatch(path.name, name) for name in ignored)
        if path.is_dir() and is_ours and any(inner.name != "__pycache__" for inner in path.iterdir()):
            yield path
            if depth > 1:
                yield from folders(path, depth - 1)


def named(page: str) -> set[str]:
    """Everything in code quotes, without a last slash."""
    return {code.rstrip("/") for code in CODE.findall(page)}


def test_every_folder_of_tests_is_on_the_page() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in folders(TESTS, 2)} - named(PAGE) == set()


def test_every_folder_that_the_page_names_is_there() -> None:
    found = {code for code in named(PAGE) if code.startswith("tests/")}
    assert len(found) >= 8
    assert [code for code in sorted(found) if not (ROOT / code).exists()] == []


def test_a_folder_of_tests_is_in_the_table_with_its_command_and_the_others_have_no_tests() -> None:
    rows = table_of(PAGE, "Folder", "What its tests need", "Command")
    assert all(command == f"`pytest {folder.strip('`')}`" for folder, _, command in rows)
    found = {f"`tests/{path.name}`" for path in folders(TESTS, 1) if list(path.glob("test_*.py"))}
    assert {folder for folder, *_ in rows} == found
    assert not list(TESTS.glob("test_*.py")), "a test is in the folder of what it needs"


# --- marks ----------------------------------------------------------------------------------------


def modules() -> list[Path]:
    """And the modules whose classes test files inherit from."""
    return sorted(TESTS.rglob("*.py"))


def marks_in(expressions: list[ast.expr]) -> Iterator[str]:
    """Ours, as decorators or in a list of marks."""
    for expression in expressions:
        for node in walk(expression):
            if isinstance(node, ast.Attribute) and node.attr in MARKS and ast.unparse(node.value) == "pytest.mark":
                yield node.attr
            if isinstance(node, ast.Name) and node.id in FROM_FUNCTION:
                yield FROM_FUNCTION[node.id]


def marked(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(mark, test) for the marks of functions, of their classes and of the whole file."""
    whole = [
        mark
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        for mark in marks_in([node.value])
    ]
    for node in tree.body:
        inner: list[tuple[ast.FunctionDef, list[ast.expr]]] = []
        if isinstance(node, ast.FunctionDef):
            inner = [(node, [])]
        if isinstance(node, ast.ClassDef):
            inner = [(one, node.decorator_list) for one in node.body if isinstance(one, ast.FunctionDef)]
        for function, more in inner:
            if function.name.startswith("test_"):
                for mark in {*whole, *marks_in([*function.decorator_list, *more])}:
                    yield mark, function.name


@functools.cache
def with_mark(mark: str) -> frozenset[str]:
    return frozenset(name for path in modules() for found, name in marked(tree_of(path)) if found == mark)


def test_what_only_test_all_runs_is_on_the_page_with_its_mark_and_a_reason() -> None:
    rows = table_of(PAGE, "Test", "Mark", "Why `./test` leaves it out")
    listed = {(mark.strip("`"), name.strip("`")) for name, mark, _ in rows}
    assert listed == {(mark, name) for mark in ("long", "soak") for name in with_mark(mark)}
    assert len(rows) == len(listed) and all(len(reason) > 5 for *_, reason in rows)


def test_the_short_form_of_a_clusters_life_is_on_the_page() -> None:
    assert {row[0].strip("`") for row in table_of(PAGE, "Test of the short form")} == with_mark("every_storage")
    assert {row[0].strip("`") for row in table_of(PAGE, "Test on the second storage alone")} == with_mark(
        "second_storage"
    )


def test_what_needs_an_engine_is_in_the_folder_for_it() -> None:
    for path in modules():
        if path.name.startswith("test_") and "cluster" in [mark for mark, _ in marked(tree_of(path))]:
            assert path.parent == TESTS / "cluster"
    for path in (TESTS / "cluster").glob("test_*.py"):
        unmarked = {node.name for node in walk(tree_of(path)) if isinstance(node, ast.FunctionDef)}
        assert {name for name in unmarked if name.startswith("test_")} <= with_mark("cluster"), path.name


def test_no_mark_is_given_in_a_way_that_the_search_does_not_see() -> None:
    """As in `pytest.param(…, marks=…)` or under another name."""
    for path in modules():
        if path == Path(__file__) or path == TESTS / "marks.py":
            continue
        for node in walk(tree_of(path)):
            if isinstance(node, ast.Call) and any(word.arg == "marks" for word in node.keywords):
                assert not list(marks_in([word.value for word in node.keywords if word.arg == "marks"])), path.name
            if isinstance(node, ast.ImportFrom) and node.module == "pytest":
                assert "mark" not in [alias.name for alias in node.names], path.name
            if isinstance(node, ast.ImportFrom) and node.module == "tests.marks":
                assert {alias.asname or alias.name for alias in node.names} <= set(FROM_FUNCTION), path.name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@pytest.mark.long\ndef test_a(): ...", {("long", "test_a")}),
        ("@takes_long\nclass A:\n    def test_a(self): ...\n    def other(self): ...", {("long", "test_a")}),
        (
            "@pytest.mark.long\nclass A:\n    @pytest.mark.soak\n    def test_a(self): ...",
            {("long", "test_a"), ("soak", "test_a")},
        ),
        ("pytestmark = [pytest.mark.soak]\ndef test_a(): ...", {("soak", "test_a")}),
        ("@pytest.mark.parametrize('x', [1])\ndef test_a(x): ...", set()),
    ],
)
def test_the_search_for_marks_finds_them(text: str, found: set[tuple[str, str]]) -> None:
    assert set(marked(ast.parse(text))) == found


def test_a_file_with_tests_is_imported_by_none() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {node.module}"
        for path in [*modules(), *(ROOT / "bench").glob("*.py")]
        for node in walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2].startswith("test_")
    ]
    assert wrong == []


ANYWHERE = {"builders", "doubles", "logs", "marks", "outcomes", "paths", "phases", "trees"}
MAY_IMPORT = {"builders": {"builders", "paths"}, "doubles": {"builders", "doubles", "paths"}}


def rooms(tree: ast.Module) -> Iterator[str]:
    """What a file imports of the package `tests`, by the first name below it."""
    for node in walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tests":
            below = (node.module or "").split(".")[1:]
            yield from below[:1] or [alias.name for alias in node.names]


def test_a_folder_imports_its_own_helpers_builders_and_doubles() -> None:
    wrong = []
    for path in modules():
        folder = path.relative_to(TESTS).parts[0]
        bad = set(rooms(tree_of(path))) - MAY_IMPORT.get(folder, ANYWHERE | {folder})
        wrong += [f"{path.relative_to(ROOT)} imports tests.{name}" for name in sorted(bad)]
    assert wrong == []


# --- CONTRIBUTING ---------------------------------------------------------------------------------

PATH = re.compile(r"[\w.-]+(/[\w.-]+)*/?")


def paths_in(rows: list[list[str]]) -> set[str]:
    """What looks like a path: it has a slash, or it is a file of the top folder; `NAME` stands for any name."""
    codes = {code for row in rows for cell in row for code in CODE.findall(cell)}
    found = {
        code for code in codes if PATH.fullmatch(code) and ("/" in code or code.endswith((".py", ".yml", ".java")))
    }
    return found | {word for code in codes if code.startswith("python ") for word in code.split()[1:]}


def test_every_path_of_the_table_is_there() -> None:
    found = paths_in(table_of(CONTRIBUTING, "To change", "Look in"))
    assert {"sparkqfs/config/model.py", "hosts.yml", "docker/NAME/", "docs/make_hosts_yml.py"} <= found
    assert [name for name in sorted(found) if not list(ROOT.glob(name.replace("NAME", "*").rstrip("/")))] == []


def test_every_folder_of_code_is_in_the_table() -> None:
    found = {name.rstrip("/") for name in paths_in(table_of(CONTRIBUTING, "To change", "Look in"))}
    tops = [*folders(ROOT, 1), *folders(ROOT / "sparkqfs", 1), *folders(ROOT / "runtime", 1)]
    names = [path.relative_to(ROOT).as_posix() for path in tops]
    assert len(names) > 10
    assert [name for name in names if not any(f"{path}/".startswith(f"{name}/") for path in found)] == []


def test_the_first_minute_is_the_test_command_without_a_process() -> None:
    first = CONTRIBUTING.split("```sh\n")[1].split("```")[0]
    assert "pytest tests/unit " in first and len(first.splitlines()) == 2


# --- checks ---------------------------------------------------------------------------------------


def python_files(top: Path) -> Iterator[Path]:
    """Of all folders but those that git ignores."""
    yield from top.glob("*.py")
    for folder in folders(top, 1):
        yield from python_files(folder)


def test_the_type_checker_reads_every_python_file() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert settings["strict"] is True
    read = [path for name in settings["files"] for path in ROOT.glob(name)]
    found = sorted(python_files(ROOT))
    assert len(found) > 200
    assert [str(path) for path in found if not any(path.is_relative_to(top) for top in read)] == []
    for caller in ("test", ".pre-commit-config.yaml"):
        assert re.search(r"\.venv/bin/mypy$", (ROOT / caller).read_text(encoding="utf-8"), re.MULTILINE), caller

"""docs/architecture.md, docs/runtime.md and docs/concepts.md against the code that they explain."""

from __future__ import annotations

import ast
import functools
import re
import runpy
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from sparkqfs.config.model import StorageConfig
from sparkqfs_runtime.roles import PROGRAMS, ROLES
from sparkqfs_runtime.supervise import main, setup
from sparkqfs_runtime.supervise.processes import Daemon
from tests.builders.clusters import a_cluster
from tests.builders.stacks import SHARED, services
from tests.paths import ROOT, STACK
from tests.trees import tree_of, walk
from tests.unit.tables import table_of

DOCS = ROOT / "docs"
RUNTIME = ROOT / "runtime"
CODE = re.compile(r"`([^`\n]+)`")
DOTTED = re.compile(r"(?:sparkqfs|sparkqfs_runtime)(?:\.\w+)+")


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@functools.cache
def script() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "make_architecture.py"))


def codes(cell: str) -> list[str]:
    return CODE.findall(cell)


# --- architecture ---------------------------------------------------------------------------------


def test_the_pictures_of_the_architecture_are_those_of_the_imports() -> None:
    page = text_of("architecture.md")
    assert script()["page"](page) == page, "run: python docs/make_architecture.py"
    assert page.count("\n●  ") >= 2 and page.count("| Part | What it is |") == 2


def test_another_picture_would_be_found() -> None:
    page = text_of("architecture.md")
    changed = page
    for right, wrong in (("●  jobs", "·  jobs"), ("| cluster | `cli/cluster.py`, ", "| cluster | ")):
        assert right in page
        changed = changed.replace(right, wrong, 1)
    assert script()["page"](changed) == page


def test_a_part_heads_a_column_in_which_its_imports_have_a_mark() -> None:
    graph = {"low": set[str](), "top": {"low", "middle"}, "middle": {"low"}, "alone": set[str]()}
    assert script()["picture"](graph).splitlines()[1:-1] == [
        "top",
        "●  middle",
        "·  ·  alone",
        "●  ●  ·  low",
    ]


def test_late_imports_and_those_for_types_are_in_the_picture() -> None:
    graph = script()["imports_of"](ROOT / "sparkqfs")
    assert {"jobs", "config", "clients"} <= graph["cli"] and graph["errors"] == set()


def test_every_part_of_the_package_is_described() -> None:
    parts = {path.stem for path in (ROOT / "sparkqfs").iterdir() if not path.stem.startswith("_")}
    rows = re.findall(r"^\| \[(\w+)\]\(\S+\) \| (.*) \|$", script()["layers"](), re.MULTILINE)
    assert {name for name, _ in rows} == parts and all(len(text) > 10 for _, text in rows)


def module_of(name: str) -> tuple[Path, list[str]]:
    """The module of a dotted name, and what comes behind it. Raises `AssertionError` when there is none."""
    words = name.split(".")
    top = RUNTIME if words[0] == "sparkqfs_runtime" else ROOT
    for count in range(len(words), 0, -1):
        path = top.joinpath(*words[:count])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file() and (count > 1 or len(words) == 1):
                return file, words[count:]
    raise AssertionError(f"there is no module {name}")


def has(body: list[ast.stmt], names: list[str]) -> bool:
    """Whether a function or class of that name is in the body, and the next name in that."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return not names or any(
        has(node.body, names[1:]) for node in body if isinstance(node, kinds) and node.name == names[0]
    )


@pytest.mark.parametrize("page", ["architecture.md", "runtime.md"])
def test_every_function_that_a_page_names_is_there_and_its_link_leads_to_its_module(page: str) -> None:
    text = text_of(page)
    found = [code for code in codes(text) if DOTTED.fullmatch(code)]
    assert len(found) > 3
    for name in found:
        path, rest = module_of(name)
        assert has(tree_of(path).body, rest), name
    for name, target in re.findall(r"\[`([^`]+)`\]\(([^)#]+)\)", text):
        if DOTTED.fullmatch(name):
            assert (DOCS / target).resolve() == module_of(name)[0], name
    assert [name for name in found if f"[`{name}`](" not in text] == []


def test_a_name_that_is_not_there_would_be_found() -> None:
    path, rest = module_of("sparkqfs.jobs.session.Session.nothing")
    assert rest == ["Session", "nothing"] and not has(tree_of(path).body, rest)
    with pytest.raises(AssertionError):
        module_of("sparkqfs.nothing")


def calls(tree: ast.AST) -> Iterator[str]:
    """Names of what is called, without what is before the dot."""
    for node in walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2]


def test_each_function_of_the_task_followed_through_is_called_by_a_module_above_it() -> None:
    rows = [codes(cell)[0] for cell, _ in table_of(text_of("architecture.md"), "Function", "What it does")]
    assert len(rows) > 10
    above: set[str] = set()
    for name in rows:
        assert not above or name.rpartition(".")[2] in above, name
        above |= set(calls(tree_of(module_of(name)[0])))


# --- runtime: roles -------------------------------------------------------------------------------


def roles() -> list[list[str]]:
    return table_of(text_of("runtime.md"), "Role", "Daemons", "Healthy when")


def test_the_roles_are_those_of_the_supervisor_and_of_the_health_check() -> None:
    assert [codes(role)[0] for role, *_ in roles()] == [*ROLES, *PROGRAMS]
    asked = {codes(role)[0] for role, _, healthy in roles() if not healthy.startswith("not asked")}
    assert asked == {name for name, role in (ROLES | PROGRAMS).items() if role.probe is not None}


@pytest.mark.parametrize("name", [*ROLES, *PROGRAMS])
def test_a_role_names_a_function_that_takes_the_setup_of_its_container(name: str) -> None:
    found = main.function_of((ROLES | PROGRAMS)[name].start)
    hints = typing.get_type_hints(found)
    assert hints == {"setup": setup.Setup, "return": list[Daemon] if name in ROLES else int}


@pytest.mark.parametrize("network", ["overlay", "host"])
@pytest.mark.parametrize("storage", [StorageConfig(kind="qfs"), StorageConfig(kind="hdfs"), SHARED])
def test_every_service_of_the_stack_has_a_role_and_a_question_that_health_knows(network: Any, storage: Any) -> None:
    asked = {name for name, role in (ROLES | PROGRAMS).items() if role.probe is not None}
    for name, service in services(a_cluster(storage=storage, network=network)).items():
        command = service.get("command", ["supervise", name])
        assert command[1:] in [[role] for role in (ROLES | PROGRAMS)], name
        words = service["healthcheck"]["test"][2:]
        assert words[0] in asked if len(words) == 1 else words[0] == "port", name


def daemons() -> Iterator[str]:
    """Names of all daemons, as the container's log says them."""
    for path in (RUNTIME / "sparkqfs_runtime" / "supervise").rglob("*.py"):
        for node in walk(tree_of(path)):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = ast.unparse(node.func)
                if called in ("Daemon", "hadoop"):
                    yield ("HDFS " if called == "hadoop" else "") + str(node.args[0].value)


def test_the_daemons_have_the_names_that_are_in_the_log() -> None:
    named = {code for _, cell, _ in roles() for code in codes(cell) if code != "spark-submit"}
    assert named == set(daemons())


# --- runtime: environment -------------------------------------------------------------------------

VARIABLE = re.compile(r"\bSPARKQFS_[A-Z_]+\b")
IN_CODE = ("runtime", "sparkqfs/plan", "sparkqfs/jobs", "sparkqfs/remote", "docker", "stack")


def variables() -> dict[str, set[str]]:
    """Variable → who sets it, as the page says."""
    rows = table_of(text_of("runtime.md"), "Variable", "Set by", "Meaning")
    names = [name for cell, *_ in rows for name in codes(cell)]
    assert len(names) == len(set(names)), "one row for each"
    return {name: set(by.split(", ")) for cell, by, _ in rows for name in codes(cell)}


def texts(*folders: str) -> Iterator[str]:
    """Content of every file in these folders that is text."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.read_text(encoding="utf-8")


@functools.cache
def stack_environment() -> frozenset[str]:
    """What any service of any kind of cluster gets."""
    found: set[str] = set()
    networks: tuple[Literal["overlay", "host"], ...] = ("overlay", "host")
    for storage in (StorageConfig(kind="qfs"), StorageConfig(kind="hdfs"), SHARED):
        for network in networks:
            for service in services(a_cluster(storage=storage, network=network)).values():
                found |= set(service["environment"])
    return frozenset(found)


def test_every_variable_of_the_containers_is_on_the_page_and_no_other() -> None:
    used = {name for text in texts(*IN_CODE) for name in VARIABLE.findall(text)}
    expected = used | stack_environment() | set(setup.ENV_KEYS)
    assert set(variables()) == expected


def set_by(who: str) -> set[str]:
    return {name for name, by in variables().items() if who in by}


def test_the_stack_sets_what_the_page_says() -> None:
    assert set_by("stack") == stack_environment()


def test_the_image_sets_what_the_page_says() -> None:
    recipe = (ROOT / "docker" / "worker-node" / "Dockerfile").read_text(encoding="utf-8")
    settings = re.sub(r'"[^"]*"', "", " ".join(re.findall(r"^ENV ((?:.*\\\n)*.*)", recipe, re.MULTILINE)))
    of_others = {"LANG", "SHELL", "ENV", "BASH_ENV", "SPARK_LAUNCHER_OPTS"}
    assert set_by("image") == {*re.findall(r"(\w+)=", settings)} - of_others


def test_the_supervisor_sets_what_the_page_says() -> None:
    found = set()
    for path in (RUNTIME / "sparkqfs_runtime" / "supervise").rglob("*.py"):
        for node in walk(tree_of(path)):
            owner = "setup.environ"
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith(f"{owner}["):
                found.add(ast.unparse(node.targets[0]).split("'")[1])
            if isinstance(node, ast.AugAssign) and ast.unparse(node.target) == owner:
                assert isinstance(node.value, ast.Dict)
                found |= {str(key.value) for key in node.value.keys if isinstance(key, ast.Constant)}
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"{owner}.setdefault":
                found.add(ast.unparse(node.args[0]).strip("'"))
    # no settings of ours: how Java starts Spark's daemons, and Python's buffer in a driver
    java = {"SPARK_DAEMON_CLASSPATH", "SPARK_DAEMON_JAVA_OPTS"}
    assert set_by("supervise") == found - {*java, "PYTHONUNBUFFERED"}


def test_what_only_tests_set_is_set_nowhere_else_and_what_submit_sets_is_in_its_plan() -> None:
    product = {name for text in texts("sparkqfs", "docker", "stack") for name in VARIABLE.findall(text)}
    tested = {name for text in texts("tests/runtime", "tests/storage") for name in VARIABLE.findall(text)}
    assert set_by("tests") & product == set() and set_by("tests") <= tested
    plan = (ROOT / "sparkqfs" / "plan" / "programs" / "apps.py").read_text(encoding="utf-8")
    assert set_by("submit") == set(VARIABLE.findall(plan))
    plan = (ROOT / "sparkqfs" / "plan" / "programs" / "server.py").read_text(encoding="utf-8")
    assert set_by("connect") == set(VARIABLE.findall(plan))


def test_everybody_who_sets_a_variable_is_explained() -> None:
    who = {one for by in variables().values() for one in by}
    assert who == {"stack", "image", "supervise", "submit", "connect", "attended", "tests"}
    assert [one for one in who if f"*{one}*" not in text_of("runtime.md")] == []


# --- runtime: settings and exit codes -------------------------------------------------------------


def test_the_placeholders_are_those_of_the_templates() -> None:
    rows = table_of(text_of("runtime.md"), "File of `stack/`", "`${x}`", "`@X@`")
    listed = {codes(name)[0]: (codes(first), codes(second)) for name, first, second in rows}
    found = {}
    for path in STACK.iterdir():
        text = path.read_text(encoding="utf-8")
        first, second = (set(re.findall(form, text)) for form in (r"(?<!\$)\$\{(\w+)\}", r"@(\w+)@"))
        found[path.name] = (sorted(first), sorted(second))
    assert listed == found


def exit_codes(program: str) -> set[int]:
    """Of its source: constants EX_…, and `exit` in a script."""
    module = RUNTIME / "sparkqfs_runtime" / ("supervise/setup.py" if program == "supervise" else f"{program}.py")
    if module.is_file():
        statements = [node for node in tree_of(module).body if isinstance(node, ast.Assign)]
        named = [node for node in statements if ast.unparse(node.targets[0]).startswith("EX_")]
        return {int(ast.literal_eval(node.value)) for node in named}
    return {int(code) for code in re.findall(r"\bexit (\d+)", (RUNTIME / "bin" / program).read_text(encoding="utf-8"))}


def test_the_exit_codes_are_those_of_the_programs() -> None:
    listed: dict[str, set[int]] = {}
    for program, numbers, _ in table_of(text_of("runtime.md"), "Program", "Code", "Meaning"):
        listed.setdefault(codes(program)[0], set()).update(map(int, numbers.split(", ")))
    assert listed.pop("health") == {0, 1}
    assert {name: numbers - {0, 1} for name, numbers in listed.items()} == {name: exit_codes(name) for name in listed}
    scripts = [path for path in (RUNTIME / "bin").iterdir() if path.is_file()]
    others = [path.name for path in scripts if path.name not in listed and exit_codes(path.name)]
    assert others == []


# --- concepts -------------------------------------------------------------------------------------


def test_there_are_ten_words_of_one_sentence() -> None:
    rows = table_of(text_of("concepts.md"), "Word", "Meaning")
    assert len(rows) == 10 and all(len(meaning) < 250 for _, meaning in rows)


def test_the_picture_fits_a_terminal_and_its_boxes_are_closed() -> None:
    (picture,) = re.findall(r"```text\n(.*?)```", text_of("concepts.md"), re.DOTALL)
    lines = picture.splitlines()
    assert max(map(len, lines)) <= 90
    assert all(picture.count(left) == picture.count(right) for left, right in (("┌", "┐"), ("└", "┘")))

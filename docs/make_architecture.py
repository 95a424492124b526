"""Write the pictures and tables of docs/architecture.md from the imports: `python docs/make_architecture.py`."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = ROOT / "sparkqfs"
RUNTIME = ROOT / "runtime" / "sparkqfs_runtime"
FLOORS = ("cli", "jobs", "plan")
"""Folders that have the same words below them."""
_SECTION = re.compile(r"(<!-- (\w+): .*? -->\n).*?(<!-- end of \2 -->\n)", re.DOTALL)

Graph = dict[str, set[str]]
"""Part → parts that it imports."""


def page(text: str) -> str:
    """The page with its generated sections written again; the rest as it is."""
    written = {"layers": layers, "words": words, "containers": containers}
    return _SECTION.sub(lambda found: f"{found[1]}\n{written[found[2]]()}\n{found[3]}", text)


def layers() -> str:
    """The layers of `sparkqfs`."""
    graph = imports_of(PACKAGE)
    return f"{picture(graph)}\n{_table(graph, {name: _path(PACKAGE, name) for name in graph})}"


def containers() -> str:
    """The parts of the runtime, and what they use of `sparkqfs`."""
    graph = imports_of(RUNTIME)
    paths = {name: _path(RUNTIME, name) for name in graph}
    shared = imports_of(PACKAGE)
    todo = {part for parts in graph.values() for part in parts} - set(graph)
    while todo:
        name = todo.pop()
        graph[name] = {f"sparkqfs.{part}" for part in shared[name.removeprefix("sparkqfs.")]}
        paths[name] = _path(PACKAGE, name.removeprefix("sparkqfs."))
        todo |= graph[name] - set(graph)
    return f"{picture(graph)}\n{_table(graph, paths)}"


def words() -> str:
    """The words that the floors share, and where each is."""
    found = sorted({path.name for path in (PACKAGE / "jobs").iterdir() if _is_package(path)} | {"local"})
    rows = ["| Word | Where |", "|---|---|"]
    for word in found:
        places = [PACKAGE / floor / word for floor in FLOORS] + [PACKAGE / word]
        names = [_name(place) for place in places if _is_package(place) or place.with_suffix(".py").is_file()]
        rows.append(f"| {word} | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(rows) + "\n"


def imports_of(package: Path) -> Graph:
    """The first level of a package, and what each part imports of the others; late imports and those for types too.

    What another package of ours has is named with that package: `sparkqfs.errors`.
    """
    graph: Graph = {}
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package).with_suffix("").parts[0]
        if part in ("__init__", "__main__"):  # what `python -m` runs only starts the program
            continue
        used = graph.setdefault(part, set())
        for names in _imported(path):
            if names[0] in (PACKAGE.name, RUNTIME.name) and _exists(names[:2]):
                used.add(names[1] if names[0] == package.name else ".".join(names[:2]))
        used.discard(part)
    return graph


def picture(graph: Mapping[str, set[str]]) -> str:
    """A staircase: each part heads a column, and has a mark in the columns of those that import it."""
    order = in_order(graph)
    lines = []
    for row, name in enumerate(order):
        marks = ("●" if name in graph[above] else "·" for above in order[:row])
        lines.append("".join(f"{mark}  " for mark in marks) + name)
    return "```text\n" + "\n".join(lines) + "\n```\n"


def in_order(graph: Mapping[str, set[str]]) -> list[str]:
    """Each part above those that it imports. Raises `CycleError` when there is no such order."""
    height: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        height[name] = 1 + max((height[part] for part in graph[name]), default=0)
    return sorted(height, key=lambda name: (-height[name], name))


@functools.cache
def _imported(path: Path) -> tuple[list[str], ...]:
    """Every dotted name that a module imports, wherever in it."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(name.split(".") for name in names)


def _exists(names: list[str]) -> bool:
    """Whether this is a module or a package, not a name in the package itself."""
    top = PACKAGE if names[0] == PACKAGE.name else RUNTIME
    return len(names) == 2 and _path(top, names[1]).exists()


def _is_package(path: Path) -> bool:
    return (path / "__init__.py").is_file()


def _path(package: Path, part: str) -> Path:
    folder = package / part
    return folder if folder.is_dir() else folder.with_suffix(".py")


def _name(path: Path) -> str:
    """As in `jobs/cluster/` and `cli/cluster.py`, below `sparkqfs`."""
    name = path.relative_to(PACKAGE).as_posix()
    return f"{name}/" if _is_package(path) else f"{name}.py"


def _table(graph: Mapping[str, set[str]], paths: Mapping[str, Path]) -> str:
    rows = ["| Part | What it is |", "|---|---|"]
    for name in in_order(graph):
        link = paths[name].relative_to(ROOT).as_posix() + ("/" if paths[name].is_dir() else "")
        rows.append(f"| [{name}](../{link}) | {_described(paths[name])} |")
    return "\n".join(rows) + "\n"


def _described(path: Path) -> str:
    """The first paragraph of its docstring."""
    file = path / "__init__.py" if path.is_dir() else path
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

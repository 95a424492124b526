"""docs/prep.md against checks/machines.py: what doctor finds, in its own words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from sparkqfs import topology
from sparkqfs.checks import machines
from tests.paths import ROOT
from tests.unit.tables import CODE, table_of

PAGE = (ROOT / "docs" / "prep.md").read_text(encoding="utf-8")
MODULES = {"checks/machines.py": "_check", "jobs/cluster/whole.py": "_forwarding_problems"}
"""Where doctor's own problems are made, and how the names of the functions begin."""


def text_of(node: ast.expr) -> str | None:
    """A text with … for what is filled in; `None` for what is not a text."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)  # type: ignore[misc]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def problems_of(function: ast.FunctionDef) -> Iterator[str]:
    """Each `what` of a `Problem` in a function, where it is a text or a name that has been given one."""
    known: dict[str, str] = {}
    for node in sorted(ast.walk(function), key=lambda one: getattr(one, "lineno", 0)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            text = text_of(node.value)
            if text is not None:
                known[node.targets[0].id] = text
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Problem":
            (what,) = [one.value for one in node.keywords if one.arg == "what"]
            text = known[what.id] if isinstance(what, ast.Name) else text_of(what)
            assert text is not None, ast.unparse(node)
            yield text


def found() -> list[str]:
    texts = []
    for module, prefix in MODULES.items():
        for node in ast.parse((ROOT / "sparkqfs" / module).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith(prefix):
                texts += list(problems_of(node))
    return texts


def fits(message: str, text: str) -> bool:
    """Whether the page's message may be one that the code fills in."""
    return re.fullmatch(".+".join(map(re.escape, text.split("…"))), message) is not None


def test_prep_md_names_exactly_what_doctor_finds() -> None:
    messages = [code for cell, _ in table_of(PAGE, "What doctor finds", "When") for code in CODE.findall(cell)]
    texts = found()
    assert len(texts) >= 10
    assert [text for text in texts if not any(fits(message, text) for message in messages)] == []
    assert [message for message in messages if not any(fits(message, text) for text in texts)] == []


def test_prep_md_has_the_limits_of_the_code() -> None:
    when = dict(table_of(PAGE, "What doctor finds", "When"))
    assert f"more than {machines.MAX_SKEW_S:g} s" in when["`its clock is … s off this machine's`"]
    assert f"less than {machines.MIN_FREE_BYTES >> 30} GiB" in when["`… has … GiB free`"]
    oldest = ".".join(map(str, topology.OLDEST_ENGINE))
    assert f"older than {oldest}" in when["`Docker Engine … is too old: … or newer`"]


def test_prep_md_names_exactly_what_is_found_at_machines() -> None:
    rows = table_of(PAGE, "What doctor finds at machines", "Marks", "When")
    messages = [CODE.findall(cell)[0] for cell, _, _ in rows]
    texts = set()
    for node in ast.walk(ast.parse((ROOT / "sparkqfs" / "checks" / "hosts.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "what":
            texts.add(text_of(node.value))
        if isinstance(node, ast.keyword) and node.arg == "what" and isinstance(node.value, ast.Constant):
            texts.add(text_of(node.value))
    assert len(texts) >= 25 and None not in texts
    assert [text for text in texts if not any(fits(message, str(text)) for message in messages)] == []
    assert [message for message in messages if not any(fits(message, str(text)) for text in texts)] == []

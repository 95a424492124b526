"""README, help and messages: no banned words, no long sentences."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from tasks import ns
from tests.paths import ROOT
from tests.trees import tree_of, walk

BANNED = (
    "anew", "at the most", "beside the", "blanks", "for ever", "for want of", "goes before", "is wanted", "are wanted",
    "laid", "mend", "mended", "mends", "names no", "not yet so", "reckon", "reckoned", "told of", "are not apart",
)  # fmt: skip
NEGATED = r"(?<!there )(?<!here )\b(?:is|are) no (?!longer\b|more\b|[a-z ]*any more\b)"
"""`X is no Y`; `there is no Y` and `is no longer` are plain."""
MOST_WORDS = 25
MESSAGES = ("what", "hint")
SOURCES = sorted((ROOT / "sparkqfs").rglob("*.py"))


def wrong_words(text: str) -> list[str]:
    lower = text.lower()
    found = [word for word in BANNED if re.search(rf"\b{re.escape(word)}\b", lower)]
    return found + re.findall(NEGATED, lower)


def sentences(text: str) -> Iterator[str]:
    """Of running text. A colon or a semicolon ends none."""
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*[-*|#>]|\s*\d+\. )", text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
        plain = re.sub(r"`[^`]*`", "Code", plain)
        yield from re.split(r"(?<=[.!?])\s+(?=[A-Z`…(])", plain.lstrip("-*#> "))


def long_sentences(text: str) -> list[str]:
    return [one for one in sentences(text) if len(re.findall(r"[\w'’-]+", one)) > MOST_WORDS]


def text_of(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """What problems say: their keywords, and what is assigned to these names."""
    for node in walk(tree_of(path)):
        if isinstance(node, ast.keyword) and node.arg in MESSAGES:
            yield node.value.lineno, text_of(node.value)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in MESSAGES:
            yield node.lineno, text_of(node.value)


def helps() -> Iterator[tuple[str, str]]:
    for name in ns.task_names:
        task = ns[name]
        yield name, inspect.getdoc(task) or ""
        for flag, text in task.help.items():
            yield f"{name} --{flag}", str(text)


def readme() -> str:
    """Without what commands print, and without tables."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "\n\n", text, flags=re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith("|"))


def test_messages_are_in_plain_english() -> None:
    said = [(f"{path.relative_to(ROOT)}:{line}", text) for path in SOURCES for line, text in messages(path)]
    assert len(said) > 1000
    assert [(where, wrong_words(text), text) for where, text in said if wrong_words(text)] == []
    assert [(where, text) for where, text in said if long_sentences(text)] == []


def test_help_is_in_plain_english() -> None:
    texts = list(helps())
    assert len(texts) > 200
    assert [(name, wrong_words(text)) for name, text in texts if wrong_words(text)] == []
    assert [(name, text) for name, text in texts if long_sentences(text)] == []


def test_the_readme_is_in_plain_english() -> None:
    assert wrong_words(readme()) == []
    assert long_sentences(readme()) == []


def test_the_check_finds_what_it_is_for() -> None:
    assert wrong_words("x is no y") and wrong_words("a number is wanted") and wrong_words("Mend it")
    assert not wrong_words("there is no engine") and not wrong_words("it is no longer there")
    assert long_sentences("word " * 26) and not long_sentences("word " * 25) and not long_sentences("A b. " * 30)

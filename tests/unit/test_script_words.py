"""Scripts give what they are called with a name, at their head and at that of each function; no `$1` stands below."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

SHEBANG = re.compile(rb"#!/(usr/)?bin/(env )?(ba)?sh\b")
PLACES = ("runtime/bin/*", "docker/*/*", "demo", "test", ".ci/run")
SOURCED = (*ROOT.glob("sparkqfs/remote/*.sh"), ROOT / "setup.sh", ROOT / "runtime" / "shell" / "environment")
STARTED = [path for place in PLACES for path in ROOT.glob(place) if path.is_file() and SHEBANG.match(path.read_bytes())]
SCRIPTS = sorted({*SOURCED, *STARTED})

POSITIONAL = re.compile(r"\$(?:[1-9]|\{[1-9][0-9]*\b)")
VALUE = r"(?:\$\(\([^)]*\)\)|\"[^\"]*\"|\(\)|[^\s;\"()])*"
NAMING = re.compile(rf"(?:local\s+(?:\w+(?:={VALUE})?\s*)+|(?:\w+={VALUE}\s*)+)(?=;|$)")
"""A statement of nothing but assignments."""
FUNCTION = re.compile(r"(?:function\s+)?\w+\s*\(\)\s*\{?\s*")
BEFORE = re.compile(r"(?:set\s+[-+]\w+.*|\.\s+\S+|shift(?:\s+\d+)?|umask\s+\d+|cd\s.*)$")
"""What may stand among the names at a head."""


def code_of(text: str) -> str:
    """A script without its comments and without what is in single quotes, which is another program's; lines stay."""
    found: list[str] = []
    inside = ["code"]  # "code", "text" in double quotes, "substitution" in $( ) or ( )
    at = 0
    while at < len(text):
        one = text[at]
        if one == "\\":
            at += 2
            found.append("  ")
            continue
        if inside[-1] != "text" and one == "'":
            end = text.index("'", at + 1) + 1
            found.append("".join(char if char == "\n" else "_" for char in text[at:end]))
            at = end
            continue
        if inside[-1] != "text" and one == "#" and (at == 0 or text[at - 1] in " \t\n;"):
            end = text.find("\n", at)
            at = end if end >= 0 else len(text)
            continue
        if one == '"':
            if inside[-1] == "text":
                inside.pop()
            else:
                inside.append("text")
        elif text.startswith("$(", at) or (one == "(" and inside[-1] == "substitution"):
            inside.append("substitution")
            found.append(one)
            at += 1
            if one == "$":
                found.append("(")
                at += 1
            continue
        elif one == ")" and inside[-1] == "substitution":
            inside.pop()
        found.append(one)
        at += 1
    return "".join(found)


def unnamed(text: str) -> list[str]:
    """Lines that use a positional parameter elsewhere than at a head, where it gets its name, or before a `shift`."""
    wrong = []
    lines = code_of(text).splitlines()
    at_head = True
    for number, line in enumerate(lines, 1):
        rest = line.strip()
        if not rest:
            continue
        function = FUNCTION.match(rest)
        if function is not None:
            at_head, rest = True, rest[function.end() :]
            if not rest:
                continue
        naming = NAMING.match(rest)
        follows = [rest[naming.end() :].lstrip("; ") if naming else "", *lines[number : number + 1]]
        is_shifted = any(re.search(r"\bshift\b", one) for one in follows)
        if naming is not None and (at_head or is_shifted):
            rest = rest[naming.end() :]
        elif not BEFORE.match(rest):
            at_head = False
        if POSITIONAL.search(rest):
            wrong.append(f"{number}: {line.strip()}")
    return wrong


def recipes() -> Iterator[tuple[str, str]]:
    """The commands of each Dockerfile, a script for each RUN."""
    for path in sorted(ROOT.glob("docker/*/Dockerfile")):
        lines = path.read_text(encoding="utf-8").replace("\\\n", "\x00").splitlines()
        for number, line in enumerate(line for line in lines if line.startswith("RUN ")):
            yield f"{path.parent.name} {number + 1}", line.removeprefix("RUN ").replace("\x00", "\n")


def inner(text: str) -> Iterator[str]:
    """Scripts in a script: the words of `sh -c '…'`."""
    yield from re.findall(r"\bsh -c '([^']*)'", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_script_gives_what_it_is_called_with_a_name(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [line for script in (text, *inner(text)) for line in unnamed(script)] == []


@pytest.mark.parametrize(("name", "script"), list(recipes()), ids=[name for name, _ in recipes()])
def test_so_does_a_recipe_for_an_image(name: str, script: str) -> None:
    assert unnamed(script) == [], name


def test_there_are_scripts_in_every_place() -> None:
    assert sum(script.count("() {") for _, script in recipes()) > 1
    tops = {path.relative_to(ROOT).parts[0] for path in SCRIPTS}
    assert {"sparkqfs", "runtime", "docker", "demo", "test", "setup.sh"} <= tops and len(SCRIPTS) > 40


@pytest.mark.parametrize(
    "script",
    [
        'set -eu\nname=$1 rest=${2:-x}; shift 2\nfor one in "$@"; do echo "$one $#"; done',
        '# $1 is the name\nname=$1\nshow() { text=$1; echo "$text"; }',
        'set -- dfs "$@"\ncommand=${1:-}\n[ $# -eq 0 ] || shift',
        "awk '{print $1}' file; x=$(df | awk \"NR==2\" | sed 's/$1/x/')",
        'show() {\n  local name=$1 size\n  echo "$name"\n}',
    ],
)
def test_a_script_with_names_is_right(script: str) -> None:
    assert unnamed(script) == []


@pytest.mark.parametrize(
    "script",
    [
        'echo "$1"',
        "cd /tmp\nls\nname=$1",
        'name=$1\necho "${2%x}"',
        'show() { echo "$1"; }',
        'name=$1\nshow() {\n  if [ -n "$2" ]; then echo x; fi\n}',
        'x=$(cat "$1")y\n',
        'last=${10}; echo "${11}"',
    ],
)
def test_a_script_without_is_found(script: str) -> None:
    assert len(unnamed(script)) == 1


def test_scripts_in_a_script_are_looked_at() -> None:
    assert [unnamed(one) for one in inner("x sh -c 'printf %s \"$2\"' sh a b")] == [['1: printf %s "$2"']]

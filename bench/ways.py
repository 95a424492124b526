"""What people do with Spark, in each of the ways to a cluster, before and after `down` and `deploy`.

    SPARKQFS_HOSTS=mine.yml .venv/bin/python bench/ways.py --client CLIENT/bin/python [--json FILE]

The cluster runs, with `spark.delta: true`. CLIENT is an environment with `pyspark-client` of the server's minor version
and Python 3.11. Each way runs the lines of bench/ways_program.py in a database of its own; then the stack is taken down
and deployed, and each way reads the tables that all others have left. Prints the tables of docs/measured/ways.md.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import ways_program

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "bench" / "ways_program.py"
LIMIT_S = 1800
Lines = dict[str, dict[str, Any]]


def invoke(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A task of this tree."""
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def marked(text: str) -> Lines:
    """The document in a program's output. Raises `ValueError` where there is none."""
    found = [line.partition(ways_program.MARK)[2] for line in text.splitlines() if ways_program.MARK in line]
    if not found:
        raise ValueError(text[-1500:])
    document: Lines = json.loads(found[-1])
    return document


def by_submit(words: list[str]) -> Lines:
    """A program that is sent."""
    ran = invoke("submit", str(PROGRAM), "--", *words)
    return marked(ran.stdout + ran.stderr)


def by_shell(words: list[str]) -> Lines:
    """Lines of standard input."""
    text = base64.b64encode(PROGRAM.read_bytes()).decode()
    typed = f'exec(__import__("base64").b64decode("{text}").decode())\nmain({words!r})\n'
    ran = invoke("shell", stdin=typed)
    return marked(ran.stdout + ran.stderr)


def by_notebook(words: list[str]) -> Lines:
    """A notebook of this computer, whose result comes back."""
    with tempfile.TemporaryDirectory(prefix="ways-") as folder:
        cells = [PROGRAM.read_text(encoding="utf-8"), f"main({words!r})"]
        code: list[dict[str, Any]] = [
            {"cell_type": "code", "id": str(i), "metadata": {}, "outputs": [], "execution_count": None, "source": text}
            for i, text in enumerate(cells)
        ]
        file = Path(folder) / "ways.ipynb"
        file.write_text(json.dumps({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
        ran = invoke("notebook", str(file), "--out", f"{folder}/out")
        results = list(Path(folder, "out").glob("*.ipynb"))
        if not results:
            raise ValueError(ran.stderr[-1500:])
        outputs = [one for cell in json.loads(results[0].read_text())["cells"] for one in cell.get("outputs", ())]
        return marked("\n".join("".join(one.get("text", ())) for one in outputs) + ran.stderr)


def by_connect(client: str) -> Callable[[list[str]], Lines]:
    """A program on this computer, with Spark's client."""

    def ways(words: list[str]) -> Lines:
        ran = invoke("connect", "--python", client, "--exec", " ".join([str(PROGRAM), *words]))
        return marked(ran.stdout + ran.stderr)

    return ways


def by_sql(words: list[str]) -> Lines:
    """Statements alone: one call for each line, all on the server that `invoke sql` starts."""

    def ask(texts: tuple[str, ...]) -> list[list[Any]]:
        ran = invoke("sql", "--json", stdin=";\n".join(texts))
        if ran.returncode:
            raise ValueError((ran.stderr.strip() or "nothing said").splitlines()[-1])
        return [list(row.values()) for row in json.loads(ran.stdout)["results"][-1]["rows"]]

    lines = ways_program.statements(*words)
    return {line: ways_program.tried(partial(ask, texts), rows) for line, (texts, rows) in lines.items()}


def passed(ways: dict[str, Callable[[list[str]], Lines]], wanted: Callable[[str], list[str]]) -> dict[str, Lines]:
    """Each way once; a way that does not come to an end has one line that says so."""
    found: dict[str, Lines] = {}
    for name, way in ways.items():
        started = time.monotonic()
        try:
            found[name] = way(wanted(name))
        except (ValueError, subprocess.TimeoutExpired) as error:
            found[name] = {"the way itself": {"ok": False, "why": str(error)[-800:], "seconds": 0.0}}
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return found


def table(found: dict[str, Lines]) -> str:
    """Markdown: a line a row, a way a column, seconds where it was right."""
    rows = list(dict.fromkeys(line for lines in found.values() for line in lines))
    text = f"| | {' | '.join(found)} |\n|{'---|' * (len(found) + 1)}\n"
    for row in rows:
        cells = [lines.get(row) for lines in found.values()]
        said = ["" if one is None else f"{one['seconds']}" if one["ok"] else f"**{one['why'][:80]}**" for one in cells]
        text += f"| {row} | {' | '.join(said)} |\n"
    return text


def main() -> int:
    """Exit code 0 when every line was right in every way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client", required=True, help="a Python with pyspark-client")
    parser.add_argument("--lines", default="", help="only those with this in their names, and nothing after `deploy`")
    parser.add_argument("--json", type=Path, help="everything, written there")
    given = parser.parse_args()
    ways = {
        "notebook": by_notebook,
        "submit": by_submit,
        "shell": by_shell,
        "sql": by_sql,
        "connect": by_connect(given.client),
    }
    only = [f"{ways_program.ONLY}{given.lines}"] if given.lines else []
    halves = {"first": passed(ways, lambda name: [name, *only])}
    if not only:
        for words in (("connect", "--stop"), ("down",), ("deploy",)):
            ran = invoke(*words)
            print(f"{' '.join(words)}: exit {ran.returncode}", file=sys.stderr, flush=True)
        halves["second"] = passed(ways, lambda name: [name, *(other for other in ways if other != name)])
    if given.json is not None:
        given.json.write_text(json.dumps(halves, indent=1, ensure_ascii=False))
    for half in halves.values():
        print(table(half))
    return 0 if all(one["ok"] for half in halves.values() for lines in half.values() for one in lines.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

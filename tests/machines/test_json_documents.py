"""JSON documents and exit codes of all tasks against tests/data/documents.json: users' scripts read them.

A change of a document changes that file: `pytest tests/machines/test_json_documents.py --write-documents` writes it.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tasks import ns
from tests.builders.shapes import additions, breaks, keys_of
from tests.doubles.document_cases import CASES
from tests.doubles.documents import WORDS, Place, emitted, typed
from tests.doubles.servers import closed_port
from tests.paths import DATA, ROOT

FILE = DATA / "documents.json"
WRITE = "pytest tests/machines/test_json_documents.py --write-documents"
RAISE = "users' scripts read it: put it back, or raise the document's `schema` number and say so in CHANGELOG.md"
TASKS = sorted(name for name in ns.task_names if any(one.name == "json" for one in ns[name].get_arguments()))


def recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def write(part: str, name: str, value: object) -> None:
    """One entry of the file, the others as they were."""
    content = recorded() if FILE.exists() else {"exit codes": {}, "tasks": {}}
    content[part] = {
        key: one for key, one in (content[part] | {name: value}).items() if part != "tasks" or key in TASKS
    }
    content[part] = dict(sorted(content[part].items()))
    FILE.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a cluster file that has a fault, and one of a machine that refuses connections."""
    (tmp_path / "bad.yml").write_text("nodes: {node1: 192.168.1.11}\nssh: {port: 99999}\n")
    dead = f"nodes: {{node1: 127.0.0.1}}\nssh: {{port: {closed_port()}, user: root, known_hosts: known}}\n"
    (tmp_path / "dead.yml").write_text(dead)
    (tmp_path / "count.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPARKQFS_HOSTS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def produced(task: str, folder: Path) -> dict[str, Any]:
    """What a task says now: the exit code of each thing that can come of it, and the keys of all these documents."""
    codes: dict[str, int] = {}
    documents: list[object] = []
    for case, job in CASES[task].items():
        place = folder / re.sub(r"\W", "-", case)
        place.mkdir()
        with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
            codes[case], document = emitted(task, job, Place(place, patch, stack))
        documents.append(document)
    arguments = ns[task].get_arguments()
    if any(one.name == "hosts" for one in arguments):
        words = WORDS.get(task, ["x" for one in arguments if one.positional])
        for case, hosts in (("a fault in hosts.yml", "bad.yml"), ("the machine does not answer", "dead.yml")):
            codes[case], document = typed(task, words, hosts)
            documents.append(document)
    assert [document["exit_code"] for document in documents] == list(codes.values())  # type: ignore[index]
    return {"exit codes": codes, "keys": keys_of(documents)}


@pytest.mark.parametrize("task", TASKS)
def test_a_document_has_the_keys_and_a_task_the_exit_codes_that_are_recorded(
    task: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    now = produced(task, folder)
    if request.config.getoption("write_documents"):
        write("tasks", task, now)
    before = recorded()["tasks"].get(task, {"exit codes": {}, "keys": {}})
    broken = breaks(before["keys"], now["keys"])
    for case, code in before["exit codes"].items():
        if now["exit codes"].get(case, code) != code:
            broken.append(f"the exit code is {now['exit codes'][case]}, it was {code}: {case}")
    assert not broken, f"{task} --json: {'; '.join(broken)}. {RAISE}; then {WRITE}"
    new = additions(before["keys"], now["keys"])
    assert not new, f"{task} --json: {'; '.join(new)}. Nothing breaks; record it: {WRITE}"
    assert now == before, f"record it: {WRITE}"


def test_every_task_that_is_recorded_is_still_there() -> None:
    assert sorted(CASES) == TASKS == sorted(recorded()["tasks"])


def test_the_exit_codes_have_the_meaning_that_is_recorded(request: pytest.FixtureRequest) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    meanings = dict(re.findall(r"^\| (\d+) \| (.+) \|$", section, re.MULTILINE))
    if request.config.getoption("write_documents"):
        for code, meaning in meanings.items():
            write("exit codes", code, meaning)
    assert meanings == recorded()["exit codes"], f"{RAISE}; then {WRITE}"
    codes = {
        str(code)
        for task in recorded()["tasks"].values()
        for end, code in task["exit codes"].items()
        if not end.startswith("ended with ")  # a command's own
    }
    assert codes <= set(meanings)


def named_in_help(task: str) -> set[int]:
    """Exit codes that the help of a task and of its flags names."""
    texts = [ns[task].__doc__ or "", *(str(one.help or "") for one in ns[task].get_arguments())]
    return {
        int(code) for text in texts for said in re.findall(r"[Ee]xit [^.)]*", text) for code in re.findall(r"\d+", said)
    }


def test_what_the_help_says_of_exit_codes_is_among_what_can_come_of_a_task() -> None:
    named = {task: named_in_help(task) for task in TASKS}
    assert named["status"] == {0, 1, 3} and named["init-qfs"] == {5}
    codes = {task: set(one["exit codes"].values()) for task, one in recorded()["tasks"].items()}
    assert {task: some for task, some in named.items() if not some <= codes[task]} == {}


def test_what_breaks_a_script_is_told_apart_from_what_is_only_new() -> None:
    before = keys_of([{"name": "a", "nodes": [{"cores": 4, "link": None}]}])
    assert before == {
        "name": "text",
        "nodes": "list",
        "nodes[]": "object",
        "nodes[].cores": "number",
        "nodes[].link": "null",
    }
    renamed = keys_of([{"name": "a", "nodes": [{"cpus": 4, "link": "x"}], "more": True}])
    assert breaks(before, renamed) == [
        "nodes[].cores has gone (it was number)",
        "nodes[].link is text, it was null",
    ]
    assert additions(before, renamed) == ["more is new (boolean)", "nodes[].cpus is new (number)"]
    assert breaks(before, keys_of([{"name": "a", "nodes": [{"cores": 4, "link": None}]}, {"name": "a"}])) == [
        "nodes is absent, list, it was list"
    ]

"""Wrong words on a command line: one sentence each, that names what was typed and what to type."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from invoke.exceptions import ParseError

from sparkqfs.cli.guide import EXAMPLES, GROUPS, grouped
from sparkqfs.cli.known_words import TASKS
from sparkqfs.cli.numbers import read
from sparkqfs.cli.usage import names_of
from sparkqfs.program import SparkqfsProgram
from tasks import ns
from tests.paths import ROOT


def answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of `sparkqfs`, which asks no machine here."""
    argv = ["sparkqfs", "--search-root", str(ROOT), *words]
    monkeypatch.setattr(sys, "argv", ["sparkqfs", *words])
    code = 0
    try:
        SparkqfsProgram(name="sparkqfs", binary="sparkqfs").run(argv)
    except SystemExit as end:
        code = int(end.code or 0)
    found = capsys.readouterr()
    return code, found.out, found.err.strip()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("statsu",), "statsu is not a task: did you mean status?"),
        (("up", "--yes=no"), "--yes takes no value"),
        (("xyzzy",), "xyzzy is not a task; `sparkqfs` alone lists them"),
        (("status", "--hots", "x"), "--hots is not a flag of status: did you mean --hosts?"),
        (("status", "--qqq"), "--qqq is not a flag of status; `sparkqfs status --help` lists them"),
        (("--hosts", "x", "status"), "--hosts is not a flag of sparkqfs itself: flags follow the task, as in: sparkqfs status --hosts"),  # noqa: E501
        (("status", "-f"), "-f is not a flag of status; `sparkqfs status --help` lists them"),
        (("logs", "-w"), "-w is not a flag of logs; `sparkqfs logs --help` lists them"),
        (("-e", "status"), "-e is not a flag of sparkqfs itself: flags follow the task, as in: sparkqfs status -e"),
        (("ls",), "ls needs its path, as in: sparkqfs ls /data"),
        (("put", "a"), "put needs its path, as in: sparkqfs put sales.csv /data/sales.csv"),
        (("put", "a.csv", "b.csv", "/data/"), "/data/ is too much: put takes LOCAL and PATH, and a pattern stands in quotes"),  # noqa: E501
        (("get", "--overwrite", "/a", "b", "c"), "c is too much: get takes PATH and LOCAL, and a pattern stands in quotes"),  # noqa: E501
        (("login", "node1", "xyzzy"), "xyzzy is too much: login takes TARGET"),
        (("ls", "/data", "statsu"), "statsu is not a task: did you mean status?"),
        (("status", "--hosts"), "--hosts needs a value"),
        (("verify", "--mib", "abc"), "--mib abc: expected a whole number"),
        (("verify", "--mib", "1.5"), "--mib 1.5: expected a whole number"),
        (("verify", "--files", "0"), "--files 0: must be 1 or more"),
        (("verify", "--timeout", "-5"), "--timeout -5: must be 1 or more"),
        (("top", "--interval", "abc"), "--interval abc: expected a number"),
        (("top", "--interval", "nan"), "--interval nan: expected a number"),
        (("apps", "--last", "x"), "--last x: expected a whole number"),
        (("logs", "--tail", "-1"), "--tail -1: must be 0 or more"),
        (("--help", "statsu"), "statsu is not a task: did you mean status?"),
        (("help", "statsu"), "statsu is not a task: did you mean status?"),
        (("status", "help"), "help is not a task: did you mean status --help?"),
        (("connect", "stop"), "stop is not a task: did you mean connect --stop?"),
        (("stop",), "stop is not a task: did you mean down (keeps all data)?"),
        (("DESTROY",), "DESTROY is not a task: did you mean down (keeps all data) or purge (erases it)?"),
        (("version",), "version is not a task: did you mean --version?"),
        (("jupyter",), "jupyter is not a task: did you mean open jupyter?"),
        (("bench",), "bench is not a task: did you mean bench.report or bench.storage?"),
        (("xelp",), "xelp is not a task; `sparkqfs` alone lists them"),
        (("down", "--erase", "x"), "--erase is not a flag of down; `sparkqfs down --help` lists them"),
        (("up", "-y"), "-y is not a flag of up: did you mean --yes?"),
        (("rm", "-rf", "/x"), "-r is not a flag of rm: did you mean --recursive?"),
        (("ls", "-R", "/"), "-R is not a flag of ls: did you mean --recursive?"),
        (("logs", "-n", "5"), "-n is not a flag of logs: did you mean --tail?"),
        (("up", "-n"), "-n is not a flag of up: did you mean --dry-run?"),
        (("status", "-v"), "-v is not a flag of status: did you mean --verbose?"),
        (("status", "lab.yml"), "lab.yml is not a task: did you mean status --hosts lab.yml?"),
        (("doctor", "node1"), "node1 is not a task: did you mean doctor --only node1?"),
        (("logs", "spark-master"), "spark-master is not a task: did you mean logs --service spark-master (a service) or --on spark-master (a node)?"),  # noqa: E501
        (("logs", "app-20260101120000-0000"), "app-20260101120000-0000 is not a task: did you mean app.logs app-20260101120000-0000?"),  # noqa: E501
        (("apps", "5"), "5 is not a task: did you mean apps --last 5?"),
        (("sql", "SELECT 1"), 'SELECT 1 is not a task: did you mean sql -e "SELECT 1"?'),
        (("sql", "all.sql"), "all.sql is not a task: did you mean sql -f all.sql?"),
        (("sql", "-e"), "-e needs a value"),
        (("connect", "--exec"), "--exec needs a value"),
        (("logs", "--tail"), "--tail needs a value"),
        (("put", "a", "/x", "--timeout"), "--timeout needs a value"),
        (("top", "--interval"), "--interval needs a value"),
        (("submit", "a.py", "--conf"), "--conf needs a value"),
        (("submit", "a.py", "--conf", "--name", "x"), "--conf needs a value"),
        (("notebook", "primes", "--param"), "--param needs a value"),
        (("--list", "-F", "xml"), "--list-format xml: flat, nested or json"),
        (("--list", "--list-depth", "x"), "--list-depth x: expected a whole number"),
        (("--list", "lcoal"), "lcoal is not a group of tasks: app, backup, bench, local"),
        (("-c", "foo", "status"), "-c is not a flag of sparkqfs itself: flags follow the task, as in: sparkqfs status -c"),  # noqa: E501
        (("-r", "/", "status"), "-r is not a flag of sparkqfs itself: flags follow the task, as in: sparkqfs status -r"),  # noqa: E501
        (("backup", "list"), "backup list: did you mean backup.list?"),
        (("backup", "--json", "list"), "backup list: did you mean backup.list?"),
        (("backup", "verify"), "backup verify: did you mean backup.verify? For both tasks write two command lines"),
        (("status", "apps", "logs"), "apps logs: did you mean app.logs? For both tasks write two command lines"),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert answer(monkeypatch, capsys, *words) == (2, "", said)


def test_every_two_words_that_name_a_task_are_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (one for one in ns.task_names if "." in one):
        code, out, err = answer(monkeypatch, capsys, *name.split("."))
        assert (code, out) == (2, "") and err.startswith(f"{name.replace('.', ' ')}: did you mean {name}?")


def test_no_known_word_is_a_task_and_what_is_meant_is_one() -> None:
    names = {*names_of(ns), *(f"--{one.name}" for one in SparkqfsProgram().core_args())}
    assert not names & set(TASKS)
    begins = {word.strip(",()") for text in TASKS.values() for word in re.sub(r"\(.*?\)", "", text).split()}
    assert begins - names <= {
        "",
        "or",
        "one",
        "after",
        "the",
        "other",
        "jupyter",
        "spark",
        "storage",
        "PATH",
        "-",
        "SHELL",
    }


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("help",)])
def test_the_programs_own_help_lists_all_tasks_and_the_flags_that_matter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    code, out, err = answer(monkeypatch, capsys, *words)
    listed = {line.split()[0] for line in out.splitlines() if line.startswith("  ")}
    assert (code, err) == (0, "") and {min((name, *ns.task_names[name]), key=len) for name in ns.task_names} <= listed
    assert {"--hosts", "--dry-run", "--json", "--yes", "--version", "--list"} <= listed


@pytest.mark.parametrize(
    ("words", "name"), [(("status",), "status"), (("backup", "list"), "backup.list"), (("up", "--json"), "up")]
)
def test_help_before_a_task_is_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], name: str
) -> None:
    assert answer(monkeypatch, capsys, "help", *words) == answer(monkeypatch, capsys, name, "--help")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".invoke.yaml", "tasks: {auto_dash_names: false, collection_name: other}"),
        (".invoke.json", "{damaged"),
        (".invoke.py", "tasks = {'executor_class': 'none.Such'}; raise SystemExit(7)"),
    ],
)
def test_what_people_set_for_their_own_invoke_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("INVOKE_RUNTIME_CONFIG", str(tmp_path / name))
    code, out, err = answer(monkeypatch, capsys, "init-storage", "--help")
    assert (code, err) == (0, "") and out.startswith("Usage: sparkqfs init-storage ")
    monkeypatch.chdir(tmp_path)
    code, _, err = answer(monkeypatch, capsys, "init-storage")
    assert code == 2 and err.startswith("sparkqfs.yml: cannot be read")


@pytest.mark.parametrize(
    "words",
    [("logs", "-f"), ("status", "--watch"), ("top",), ("logs", "-f", "--since", "x"), ("logs", "-f", "--on", "")],
)
def test_an_error_is_a_line_where_one_document_a_line_is_promised(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = answer(monkeypatch, capsys, *words, "--json")
    assert (code, err, out.count("\n")) == (2, "", 1) and json.loads(out)["exit_code"] == 2
    code, out, _ = answer(monkeypatch, capsys, "logs", "--json")
    assert code == 2 and out.count("\n") > 5


def test_without_a_task_all_are_listed_in_groups(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = answer(monkeypatch, capsys)
    titles = [line for line in out.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert (code, err) == (0, "") and titles[:3] == ["Begin:", "Use:", "Files:"]
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert listed[:5] == ["new", "doctor", "plan", "up", "status"] and len(listed) == len(ns.task_names)


def test_a_task_of_no_group_is_listed_last() -> None:
    assert grouped({"status", "other"}) == [("Begin", ["status"]), ("More", ["other"])]
    names = [name for _, group in GROUPS for name in group]
    assert len(names) == len(set(names))
    assert set(ns.task_names) <= set(names) and set(ns.task_names) <= set(EXAMPLES)


def test_help_has_usage_defaults_an_example_and_a_page_that_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(EXAMPLES) <= set(ns.task_names) and all(
        (ROOT / "docs" / f"{page}.md").is_file() for _, page in EXAMPLES.values()
    )
    code, out, _ = answer(monkeypatch, capsys, "put", "--help")
    assert code == 0 and out.startswith("Usage: sparkqfs put [--options] LOCAL PATH ")
    assert "Example:\n  sparkqfs put sales.csv /data/sales.csv" in out and "docs/files.md" in out
    assert "(default: 86400)" in " ".join(out.split())


@pytest.mark.parametrize(
    ("text", "number"), [("7", 7), ("1e7", 10_000_000), ("10_000_000", 10_000_000), ("007", 7), ("2.0", 2)]
)
def test_whole_numbers_are_read_as_people_write_them(text: str, number: int) -> None:
    assert read("--n", text, int, 1) == number


@pytest.mark.parametrize("text", ["", " ", "1e99", "inf", "0x10", "1,000", "-1"])
def test_what_is_no_number_of_that_kind_is_refused_with_flag_and_value(text: str) -> None:
    with pytest.raises(ParseError, match=f"^--n {text}: "):
        read("--n", text, int, 1)

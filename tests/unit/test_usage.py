"""Wrong words on a command line: one sentence each, that names what was typed and what to type."""

from __future__ import annotations

import sys

import pytest
from invoke.exceptions import ParseError

from sparkqfs.cli.guide import EXAMPLES, GROUPS, grouped
from sparkqfs.cli.numbers import read
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
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert answer(monkeypatch, capsys, *words) == (2, "", said)


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

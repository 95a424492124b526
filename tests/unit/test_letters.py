"""What -f and -w do in each task, and flags that a task does not have: cli/letters.py."""

from __future__ import annotations

import sys

import pytest
from invoke import Exit

from sparkqfs.cli.letters import foreign_flag, spaced_name
from sparkqfs.cli.usage import names_of
from sparkqfs.plan.programs.doors import SERVICES
from tasks import ns

TASKS = {name: ns[name] for name in names_of(ns)}
TAKES = {"-f": {"logs", "app.logs", "sql"}, "-w": {"status"}}
"""`sql -f` is a file with statements, as in other SQL shells."""


@pytest.mark.parametrize("letter", ["-f", "-w"])
@pytest.mark.parametrize("name", sorted(name for name, task in TASKS.items() if task.more is None))
def test_a_letter_that_a_task_does_not_have_is_never_taken_for_something_else(name: str, letter: str) -> None:
    found = foreign_flag([name, letter, "/x"], TASKS)
    assert (found is None) is (name in TAKES[letter])
    assert found is None or found[0] == letter


def test_tasks_that_take_a_programs_words_are_left_to_them() -> None:
    assert {name for name, task in TASKS.items() if task.more is not None} == {"submit", "exec"}


def test_f_follows_and_w_watches() -> None:
    said = {
        (name, letter): one.name
        for name in ns.task_names
        for one in ns[name].get_arguments()
        for letter in ("f", "w")
        if letter in one.names
    }
    assert said == {("logs", "f"): "follow", ("app.logs", "f"): "follow", ("status", "w"): "watch", ("sql", "f"): "f"}


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["put", "-", "/x"], None),
        (["put", "--force", "a", "/x"], "--force"),
        (["put", "a", "/x", "--", "-w"], None),
        (["logs", "--tail", "5", "-fw"], None),  # Invoke itself takes such words apart
        (["logs", "--grep", "-w", "-f"], None),
        (["logs", "--grep=-w", "-q"], "-q"),
        (["down", "purge", "-q"], "-q"),
        (["--debug", "-q", "status"], None),
        (["submit", "app.py", "-q"], None),
        (["ls", "/x", "-h"], None),
        (["login", "history", "--on", "node2"], None),
        (["login", "--on", "down", "history", "-q"], "-q"),
        (["login", "--target", "node1", "history", "--limit", "5"], None),
        (["put", "status", "logs", "--force"], "--force"),
        (["put", "-", "logs", "status", "--watch"], None),
        (["submit", "history", "--name", "x"], None),
        (["submit", "--name", "x", "history", "status", "--limit", "5"], "--limit"),
    ],
)
def test_what_looks_like_a_flag_is_one_or_is_found(words: list[str], flag: str | None) -> None:
    found = foreign_flag(words, TASKS)
    assert (None if found is None else found[0]) == flag


@pytest.mark.parametrize(
    ("words", "both"),
    [
        (["backup", "list"], ("backup", "list")),
        (["status", "local", "up"], ("local", "up")),
        (["backup", "--hosts", "x", "list"], ("backup", "list")),
        (["backup", "--to", "list"], None),
        (["backup", "--to", "/usb", "verify"], None),
        (["backup.make", "verify"], None),
        (["backup", "/usb", "status"], None),
        (["put", "backup", "list"], None),
        (["open", "backup", "status"], None),
        (["submit", "a.py", "local", "up"], None),
        (["submit", "a.py", "--", "backup", "list"], None),
        (["logs", "apps"], None),
    ],
)
def test_two_words_that_name_a_task_are_found_where_they_are_not_values(
    words: list[str], both: tuple[str, str] | None
) -> None:
    assert spaced_name(words, TASKS) == both


@pytest.mark.parametrize(
    ("words", "said"), [(["list"], "backup.list"), (["--json", "list"], "backup.list"), (["verify"], "backup.verify")]
)
def test_invoke_makes_no_backup_into_a_directory_that_is_called_as_a_task(
    monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["invoke", "backup", *words])
    with pytest.raises(Exit, match=f"did you mean {said}") as caught:
        ns["backup"](None)
    assert caught.value.code == 2


@pytest.mark.parametrize("page", [*SERVICES, *TASKS])
def test_a_word_that_a_task_still_needs_is_not_the_next_task(page: str) -> None:
    assert foreign_flag(["open", page, "--no-browser", "--port", "9000", "status", "-w"], TASKS) is None
    found = foreign_flag(["open", page, "status", "--port"], TASKS)
    assert found is not None and (found[0], found[1].name) == ("--port", "status")


def test_invoke_takes_no_letter_of_its_own_behind_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["invoke", "logs", "-w"])
    with pytest.raises(Exit, match="-w is not a flag of logs") as caught:
        ns["logs"](None)
    assert caught.value.code == 2

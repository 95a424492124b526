"""Shared flags: what Invoke reads of a task, and what the task's body gets."""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invoke import Argument, Collection, Config, Context, Exit, Program
from invoke.exceptions import ParseError
from invoke.parser import Parser

from sparkqfs.cli import programs
from sparkqfs.cli.flags import OF_A_CLUSTER, OF_A_REPORT, SHARED, Body, Flags, cluster_task, names, offline_task
from sparkqfs.cli.help_flag import has_word
from sparkqfs.cli.running import sudo_password
from sparkqfs.errors import ConfigError
from sparkqfs.jobs.programs import compute
from sparkqfs.jobs.storage import backup_verify
from tasks import ns

Got = list[tuple[Flags, dict[str, Any]]]


@pytest.fixture
def got() -> Got:
    """Every call of a `recording` body."""
    return []


def recording(got: Got) -> Body:
    """A body with one flag of its own that must be given, and one that may."""

    def body(given: Flags, path: str, driver_memory: str | None = None) -> None:
        """What it does."""
        got.append((given, {"path": path, "driver_memory": driver_memory}))

    return body


def arguments(made: Any) -> dict[str, Argument]:
    """The flags that Invoke reads of a task."""
    return {argument.name: argument for argument in made.get_arguments()}


def test_a_task_has_its_own_flags_and_the_shared_ones_that_it_names(got: Got) -> None:
    found = arguments(cluster_task("dry_run", "only")(recording(got)))
    assert set(found) == {"path", "driver_memory", "dry_run", "only", *OF_A_CLUSTER}
    assert [name for name, argument in found.items() if argument.positional] == ["path"]


def test_a_task_without_a_cluster_asks_for_none(got: Got) -> None:
    assert set(arguments(offline_task()(recording(got)))) == {"path", "driver_memory", *OF_A_REPORT}


def test_no_flag_has_a_short_name(got: Got) -> None:
    found = arguments(cluster_task(*sorted(set(SHARED) - set(OF_A_CLUSTER)))(recording(got)))
    assert len(found) == len(SHARED) + 2
    assert [argument.nicknames for argument in found.values() if argument.nicknames] == []


def test_every_shared_flag_has_its_help_and_a_task_may_say_it_better(got: Got) -> None:
    found = arguments(cluster_task("dry_run", "yes", help={"yes": "remove it", "path": "where"})(recording(got)))
    assert found["dry_run"].help == SHARED["dry_run"].metadata["help"]
    assert (found["yes"].help, found["path"].help) == ("remove it", "where")


def test_help_for_a_flag_that_is_not_there_is_an_error(got: Got) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        arguments(cluster_task(help={"nonsense": "no such flag"})(recording(got)))


def test_a_shared_flag_that_nobody_knows_is_an_error(got: Got) -> None:
    with pytest.raises(KeyError, match="nonsense"):
        cluster_task("nonsense")(recording(got))


@pytest.fixture
def play(got: Got, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Got]:
    """Invoke's own program on a command line."""
    monkeypatch.chdir(tmp_path)
    made = cluster_task("dry_run", name="go")(recording(got))

    def run(*words: str) -> Got:
        got.clear()
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        Program(namespace=Collection(made), version="0").run(["invoke", *words], exit=False)
        return got

    return run


def test_a_body_gets_the_shared_flags_apart_from_its_own(play: Callable[..., Got]) -> None:
    assert play("go", "/x", "--hosts", "h.yml", "--dry-run", "--json") == [
        (Flags(hosts="h.yml", dry_run=True, json=True), {"path": "/x", "driver_memory": None})
    ]
    assert play("go", "/x", "--driver-memory", "2g") == [(Flags(), {"path": "/x", "driver_memory": "2g"})]


def test_the_dry_flag_of_invoke_counts_as_dry_run(play: Callable[..., Got]) -> None:
    assert play("--dry", "go", "/x") == [(Flags(dry_run=True), {"path": "/x", "driver_memory": None})]


def test_two_tasks_of_one_name_in_different_groups_both_run(got: Got) -> None:
    first, second = (make(name="status")(recording(got)) for make in (cluster_task, offline_task))
    space = Collection(first)
    space.add_collection(Collection("local", second))
    Program(namespace=space, version="0").run(["invoke", "status", "/x", "local.status", "/x"], exit=False)
    assert [own["path"] for _, own in got] == ["/x", "/x"]


def test_a_task_called_by_another_has_the_defaults(got: Got) -> None:
    cluster_task("yes")(recording(got))(Context(Config()), path="/x")
    assert got == [(Flags(), {"path": "/x", "driver_memory": None})]


def test_names_are_cut_at_commas() -> None:
    assert names("a, b,,c ") == ("a", "b", "c")
    assert names(None) == ()


@pytest.mark.parametrize("task", ["first", "second"])
def test_a_dry_run_of_one_task_is_one_of_all_tasks_of_the_command_line(
    got: Got, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    words = [word for name in ("first", "second") for word in (name, *(["--dry-run"] if name == task else []))]
    monkeypatch.setattr(sys, "argv", ["sparkqfs", *words])
    first, second = (cluster_task("dry_run")(lambda given: got.append((given, {}))) for _ in range(2))
    first(Context(), dry_run=task == "first")
    second(Context(), dry_run=task == "second")
    assert [flags.dry_run for flags, _ in got] == [True, True]


def test_a_flag_of_the_program_that_is_submitted_is_none_of_ours(got: Got, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sparkqfs", "submit", "app.py", "--", "--dry-run", "--json"])
    cluster_task("dry_run")(lambda given: got.append((given, {})))(Context())
    assert [(flags.dry_run, flags.json) for flags, _ in got] == [(False, False)]


def test_a_password_file_counts_for_every_task_and_two_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("right\n")
    monkeypatch.setattr(sys, "argv", ["sparkqfs", "build", "push", "--sudo-password-file", str(file)])
    assert sudo_password(None) == "right"
    with pytest.raises(ConfigError, match="one password at a time"):
        sudo_password("other")


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["backup"], False),
        (["backup", "/usb"], True),
        (["backup.make", "/usb"], True),
        (["backup", "--hosts", "x.yml", "/usb"], True),
        (["backup", "--hosts", "x.yml", "--json"], False),
        (["backup", "--hosts=x.yml", "status"], False),
        (["backup", "status", "--hosts", "x.yml"], False),
        (["copy", "/a", "/b", "backup"], False),
        (["status", "backup", "--json", "/usb"], True),
        (["backup", "--to", "/usb"], False),
    ],
)
def test_a_word_without_a_flag_may_be_left_out(words: list[str], given: bool) -> None:
    arguments = [argument for argument in ns["backup"].get_arguments() if argument.name != "help"]
    assert (
        has_word(words, frozenset({"backup", "backup.make"}), frozenset(ns.task_names) | {"backup"}, arguments) is given
    )


def test_a_word_goes_to_its_task_and_the_next_task_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    for words, to in ((["backup", "/usb", "status"], "/usb"), (["backup", "status"], None)):
        monkeypatch.setattr(sys, "argv", ["invoke", *words])
        parsed = Parser(contexts=ns.to_contexts()).parse_argv(words)
        assert [context.name for context in parsed] == ["backup.make", "status"]
        assert parsed[0].args["to"].value == to


def parsed(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[Any]:
    """The arguments of each task of a command line."""
    monkeypatch.setattr(sys, "argv", ["invoke", *words])
    return [context.args for context in Parser(contexts=ns.to_contexts()).parse_argv(list(words))]


def test_a_flag_that_is_given_more_than_once_has_its_last_value(monkeypatch: pytest.MonkeyPatch) -> None:
    (ls,) = parsed(monkeypatch, "ls", "--timeout", "5", "--timeout=1e3", "/x")
    assert (ls["timeout"].value, ls["path"].value) == (1000, "/x")
    (get,) = parsed(monkeypatch, "get", "--local", "a", "/x", "--local", "b")
    assert (get["path"].value, get["local"].value) == ("/x", "b")
    words = ("--driver-memory", "1g", "--jars", "a", "--driver-memory=4g", "--jars=b.jar", "a.py")
    (submit,) = parsed(monkeypatch, "submit", *words)
    values = [submit[name].value for name in ("program", "driver_memory", "jars", "name", "conf")]
    assert values == ["a.py", "4g", "b.jar", None, []]
    (submit,) = parsed(
        monkeypatch, "submit", "-c", "spark.a=1", "--conf", "spark.b=2", "a.py", "--", "--name", "--name"
    )
    assert (submit["conf"].value, submit["name"].value) == (["spark.a=1", "spark.b=2"], None)
    ls, du = parsed(monkeypatch, "ls", "/a", "--timeout", "5", "du", "/b", "--timeout", "6")
    assert (ls["timeout"].value, du["timeout"].value) == (5, 6)
    with pytest.raises(Exit, match="--timeout x: expected a whole number"):
        parsed(monkeypatch, "ls", "/x", "--timeout", "5", "--timeout", "x")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sql", "-e", "create table t (a int)", "-e", "select 1"), "-e is given more than once: several statements"),
        (("sql", "-f", "a.sql", "-f", "b.sql"), "-f is given more than once: a command line runs one file"),
        (("prep", "--add", "node1:/a", "--add=node2:/b"), "--add is given more than once: several names"),
        (("doctor", "--only=node1", "--only", "node2"), "--only is given more than once: several names"),
    ],
)
def test_no_value_is_dropped_where_both_are_meant(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ParseError, match=said):
        parsed(monkeypatch, *words)


@pytest.mark.parametrize(("text", "value"), [("1e7", "10000000"), ("10_000_000", "10000000"), ("7", "7"), ("0", "0")])
def test_a_max_value_is_a_whole_number_as_others_are(monkeypatch: pytest.MonkeyPatch, text: str, value: str) -> None:
    jobs: list[Callable[[Any], Any]] = []
    monkeypatch.setattr(programs, "run", lambda _task, job, _given: jobs.append(job))
    monkeypatch.setattr(compute, "notebook", lambda _session, _name, parameters, **_more: parameters)
    programs.notebook(Context(), name="primes", max_value=text)
    assert jobs[0](None) == {"MAX_VALUE": value}


def test_a_flag_without_a_default_is_a_text_as_invoke_gives_it() -> None:
    """Invoke takes a flag's type from its default: `None` is a text, whatever the annotation says."""
    wrong = []
    for name in ns.task_names:
        body = inspect.unwrap(ns[name].body)
        wrong += [
            f"{name}: {one.name}"
            for one in inspect.signature(body).parameters.values()
            if one.default is None and one.annotation not in ("str | None", "list[str] | None")
        ]
    assert wrong == []


def texts_of(name: str) -> list[Argument]:
    """The arguments of a task that are texts."""
    return [one for one in ns[name].get_arguments() if one.kind is str]


@pytest.mark.parametrize("empty", ["", " ", ","])
def test_an_empty_text_is_a_variable_that_is_not_set_in_every_task(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], empty: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["sparkqfs"])
    tried = 0
    for name in ns.task_names:
        texts = texts_of(name)
        given = {one.name: "x" for one in texts if one.positional}
        for one in (one for one in texts if one.name not in ns[name].may_be_empty):
            with pytest.raises(Exit) as caught:
                ns[name](Context(), **(given | {one.name: empty}))
            said = capsys.readouterr().err
            assert caught.value.code == 2 and " is empty\n" in said, (name, one.name, said)
            tried += 1
    assert tried > 150


def test_lists_for_spark_submit_and_texts_to_search_for_may_be_empty() -> None:
    found = {name: set(ns[name].may_be_empty) for name in ns.task_names if ns[name].may_be_empty}
    assert set(found) == {"submit", "sql", "logs"} and found["sql"] == {"e"} and found["logs"] == {"grep"}
    assert {"packages", "jars"} <= found["submit"] and "program" not in found["submit"]


def test_one_empty_word_of_several_is_not_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sparkqfs", "new", "10.0.0.1", ""])
    with pytest.raises(Exit):
        ns["new"](Context(), addresses="10.0.0.1", addresses_2="", dry_run=True)
    assert capsys.readouterr().err.startswith("ADDRESSES is empty")


@pytest.mark.parametrize("text", ["0", "4", "x", "", "1.0", "٣"])
def test_a_depth_that_is_none_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--depth .*: 1, 2 or 3"):
        backup_verify.depth_of(text)
    assert [backup_verify.depth_of(good) for good in ("1", "2", "3")] == [1, 2, 3]

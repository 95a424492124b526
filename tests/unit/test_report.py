"""report/reporter.py: what a person reads and what a program reads."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from sparkqfs import streams
from sparkqfs.errors import ExitCode, Problem
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.report import reporter as reporter_module
from sparkqfs.report.reporter import Reporter, as_called, name_file

NODE_PROBLEM = Problem(
    node="node2", what="no answer", config_path="nodes.node2", hint="is it up?", code=ExitCode.UNREACHABLE
)
STATUS: dict[str, object] = {
    "schema": 1,
    "cluster": "spark",
    "state": "healthy",
    "spark": {
        "answers": True,
        "workers_alive": 3,
        "workers_expected": 3,
        "cores": 24,
        "cores_used": 8,
        "memory_mib": 1000,
        "memory_used_mib": 10,
        "applications": ["pi"],
        "running": [{"id": "app-1", "name": "pi", "state": "RUNNING", "link": None}],
    },
    "storage": {
        "kind": "qfs",
        "answers": True,
        "replication": 2,
        "server_name": "chunkservers",
        "servers_up": 3,
        "servers_expected": 3,
        "used_bytes": 1 << 30,
        "free_bytes": 3 << 29,
        "recovering": False,
        "replications_pending": 0,
        "files": 4,
        "blocks": 7,
    },
    "urls": {"Spark master": "http://192.168.1.11:8080"},
    "problems": [],
}


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def shown(capsys: pytest.CaptureFixture[str], result: JobResult, **how: bool) -> tuple[str, str]:
    """Standard output and standard error of a result."""
    Reporter(**how).result(result)
    captured = capsys.readouterr()
    return captured.out, captured.err


def as_json(capsys: pytest.CaptureFixture[str], result: JobResult) -> Any:
    out, err = shown(capsys, result, as_json=True)
    assert err == ""
    return json.loads(out)


def status(**changes: object) -> JobResult:
    return JobResult(task="status", document=STATUS | changes)


# --- for programs ---------------------------------------------------------------------------------


def test_the_document_has_outcomes_problems_and_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = Outcome(subject="node1", state="changed", changes=("directory /x: missing",))
    result = JobResult(task="prep", outcomes=(outcome,), problems=(NODE_PROBLEM,), document={"more": 1})
    assert as_json(capsys, result) == {
        "schema": 1,
        "task": "prep",
        "outcomes": [{"subject": "node1", "state": "changed", "changes": ["directory /x: missing"]}],
        "problems": [
            {
                "node": "node2",
                "what": "no answer",
                "setting": "nodes.node2",
                "file": None,
                "line": None,
                "hint": "is it up?",
            }
        ],
        "more": 1,
        "exit_code": 3,
    }


def test_status_has_its_own_document_with_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert as_json(capsys, status()) == STATUS | {"exit_code": 0}


def test_an_error_before_status_could_look_is_in_its_document(capsys: pytest.CaptureFixture[str]) -> None:
    result = JobResult(task="status", problems=(Problem(what="hosts.yml: broken"),), code=ExitCode.USAGE)
    found = as_json(capsys, result)
    assert found["exit_code"] == 2 and "hosts.yml: broken" in json.dumps(found)


def test_a_problem_in_a_file_keeps_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem(what="must be a port", file="hosts.yml", line=7, config_path="ssh.port")
    assert "7" in json.dumps(as_json(capsys, JobResult(task="prep", problems=(problem,)))["problems"])


def test_a_watched_status_is_one_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter(as_json=True)
    reporter.watched(status())
    reporter.watched(status(state="degraded"))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["healthy", "degraded"]


def test_letters_beyond_ascii_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(capsys, JobResult(task="prep", problems=(Problem(what="größer"),)), as_json=True)
    assert "größer" in out


# --- exit codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problems", "own", "code"),
    [
        ((), ExitCode.OK, 0),
        ((Problem(what="x"),), ExitCode.OK, 1),
        ((Problem(what="x"), NODE_PROBLEM), ExitCode.OK, 3),
        ((NODE_PROBLEM,), ExitCode.REFUSED, 5),
    ],
)
def test_of_a_result_and_its_problems_the_highest_code_counts(
    problems: tuple[Problem, ...], own: ExitCode, code: int
) -> None:
    assert JobResult(task="prep", problems=problems, code=own).exit_code == code


@pytest.mark.parametrize(
    ("states", "changed"),
    [((), False), (("unchanged",), False), (("unchanged", "changed"), True), (("planned",), True)],
)
def test_a_result_knows_whether_anything_changed(states: tuple[str, ...], changed: bool) -> None:
    outcomes = tuple(Outcome(subject="x", state=state) for state in states)
    assert JobResult(task="prep", outcomes=outcomes).changed is changed


# --- for people -----------------------------------------------------------------------------------


def test_outcomes_go_to_standard_output_and_problems_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = (Outcome(subject="node1", state="changed", changes=("directory /x: missing",)),)
    out, err = shown(capsys, JobResult(task="prep", outcomes=outcomes, problems=(NODE_PROBLEM,)))
    assert out == "node1: changed\n  directory /x: missing\n"
    assert err == "[node2] no answer (nodes.node2)\n  hint: is it up?\n"


def test_a_problem_is_red_where_colours_are_shown_and_the_same_text_elsewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = JobResult(task="prep", problems=(NODE_PROBLEM, Problem(what="a\tb\x1b[2J")))
    _, elsewhere = shown(capsys, result)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    _, coloured = shown(capsys, result)
    assert coloured.count("\x1b[31m") >= 2
    assert coloured.replace("\x1b[31m", "").replace("\x1b[0m", "") == elsewhere
    assert elsewhere == "[node2] no answer (nodes.node2)\n  hint: is it up?\na       b\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(capsys, result) == ("", elsewhere)


def test_a_result_with_a_text_shows_it_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = "services:\n  worker-node: [a, b]\n" + "x" * 300
    out, err = shown(capsys, JobResult(task="deploy", text=text, outcomes=(Outcome(subject="x", state="changed"),)))
    assert (out, err) == (text + "\n", "")


def test_there_are_no_control_codes_when_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter()
    reporter.event("[node1] 3 changes to make")
    reporter.result(
        JobResult(task="prep", outcomes=(Outcome(subject="node1", state="failed"),), problems=(NODE_PROBLEM,))
    )
    reporter.watched(status())
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err


def test_what_lasts_is_said_again_but_not_while_a_question_is_open(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "QUIET_S", 0.05)
    reporter = Reporter()
    told = ""

    def until(enough: int) -> None:
        nonlocal told
        limit = time.monotonic() + 10
        while told.count("still: ") < enough and time.monotonic() < limit:
            time.sleep(0.01)
            told += capsys.readouterr().err

    with reporter.patience():
        reporter.event("== build")
        until(2)
        streams.tell("Remove it? [y/N] ")
        told += capsys.readouterr().err
        before = told.count("still: ")
        time.sleep(0.3)
        told += capsys.readouterr().err
        assert told.count("still: ") == before
        streams.tell("")
        reporter.event("[node1] pushing")
        until(before + 1)
    assert before >= 2 and "still: build (0 s)" in told
    assert told.count("still: ") > before and "still: [node1] pushing (0 s)" in told
    capsys.readouterr()
    time.sleep(0.2)
    assert capsys.readouterr().err == "", "nothing is said after the end"


def test_a_hint_of_several_machines_is_said_once_below_them(capsys: pytest.CaptureFixture[str]) -> None:
    same = [Problem(node=name, what="no engine", hint="install one") for name in ("node1", "node2")]
    other = Problem(node="node3", what="no room", hint="make room")
    Reporter().problems([*same, other, same[0]])
    expected = "[node1] no engine\n[node2] no engine\n  hint: install one\n[node3] no room\n  hint: make room\n"
    assert capsys.readouterr().err == f"{expected}[node1] no engine\n  hint: install one\n"


def test_a_machine_that_was_only_looked_at_has_not_failed(capsys: pytest.CaptureFixture[str]) -> None:
    result = JobResult(task="doctor", outcomes=(Outcome(subject="node1", state="failed"),), problems=(NODE_PROBLEM,))
    assert shown(capsys, result)[0] == "node1: see below\n"
    assert as_json(capsys, result)["outcomes"][0]["state"] == "failed"


MARKUP = ["[node1] cannot connect", "[bold]x[/bold]", "[/x]", "a[b", "\\[x]", "[link=http://x]y[/link]"]


@pytest.mark.parametrize("text", MARKUP)
def test_a_text_that_looks_like_markup_is_shown_as_it_is(capsys: pytest.CaptureFixture[str], text: str) -> None:
    outcomes = (Outcome(subject=text, state="failed", changes=(text,)),)
    out, err = shown(capsys, JobResult(task="prep", outcomes=outcomes, problems=(Problem(what=text),)))
    assert out == f"{text}: failed\n  {text}\n"
    assert err == f"{text}\n"
    assert shown(capsys, JobResult(task="logs", text=text))[0] == f"{text}\n"
    Reporter(verbose=True).event(text)
    assert capsys.readouterr().err.endswith(f" {text}\n")


@pytest.mark.parametrize("text", ["map:fire: x", "C:\\"])
def test_an_emoji_code_and_a_last_backslash_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert shown(capsys, JobResult(task="logs", text=text))[0] == f"{text}\n"


def test_escape_sequences_in_a_log_are_not_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in shown(capsys, JobResult(task="logs", text="\x1b]0;title\x07\x1b[31mred"))[0]


def test_a_healthy_status_shows_workers_space_and_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = shown(capsys, status())
    assert out.startswith("cluster spark: healthy\n") and err == ""
    for words in ("3 of 3 alive", "3 of 3 up", "1.00 GiB used, 1.50 GiB free", "http://192.168.1.11:8080"):
        assert words in out


def test_a_daemon_that_does_not_answer_says_why_beside_the_one_that_does(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(capsys, status(spark={"answers": False, "error": "connection refused"}))
    assert "connection refused" in out and "3 of 3 up" in out


@pytest.mark.parametrize("name", ["copy [/tmp]", "copy [tmp]"])
def test_any_name_of_an_application_can_be_shown(capsys: pytest.CaptureFixture[str], name: str) -> None:
    app = {"id": "app-1", "name": name, "state": "RUNNING", "link": "http://192.168.1.11:8080/proxy/app-1/"}
    spark = {**dict(STATUS["spark"]), "running": [app]}  # type: ignore[call-overload]
    out, _ = shown(capsys, status(spark=spark, history={"answers": True, "finished": [app | {"state": "FINISHED"}]}))
    assert out.count(name) == 2 and out.count("/proxy/app-1/") == 2


def test_an_unreachable_manager_shows_the_problem_once(capsys: pytest.CaptureFixture[str]) -> None:
    document: dict[str, object] = {"schema": 1, "cluster": "spark", "state": "unreachable"}
    out, err = shown(capsys, JobResult(task="status", problems=(NODE_PROBLEM,), document=document))
    assert "unreachable" in out and (out + err).count("no answer") == 1


def test_long_output_of_a_build_is_thinned_out_unless_all_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    for verbose, lines in ((False, 1), (True, 50)):
        reporter = Reporter(verbose=verbose)
        for number in range(50):
            reporter.event(f"[worker-node] Step {number}/50")
        assert len(capsys.readouterr().err.splitlines()) == lines


def test_a_programs_own_output_is_passed_on_byte_for_byte(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    data = b"\x1b[1mbold\r\xff\n"
    Reporter().passed_on("stdout", data)
    Reporter().passed_on("stderr", b"bad")
    assert capfdbinary.readouterr() == (data, b"bad")
    Reporter(as_json=True).passed_on("stdout", data)
    assert capfdbinary.readouterr() == (b"", data)


@pytest.mark.parametrize(
    ("text", "installed"),
    [
        ("`invoke prep` makes it, then invoke up", "`sparkqfs prep` makes it, then sparkqfs up"),
        ("reinvoke it; Invoke tasks", "reinvoke it; Invoke tasks"),
    ],
)
def test_commands_are_named_as_they_can_be_called(text: str, installed: str) -> None:
    assert as_called(text, is_installed=True) == installed and as_called(text, is_installed=False) == text


def test_messages_name_the_cluster_file_that_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem(what="no node x in hosts.yml", hint="see docs/hosts-yml.md, /a/hosts.yml and 3-hosts.yml")
    name_file("sparkqfs.yml")
    try:
        _, err = shown(capsys, JobResult(task="prep", problems=(problem,)))
    finally:
        name_file("hosts.yml")
    assert "no node x in sparkqfs.yml" in err and "docs/hosts-yml.md, /a/hosts.yml and 3-hosts.yml" in err
    assert "no node x in hosts.yml" in shown(capsys, JobResult(task="prep", problems=(problem,)))[1]

"""The program behind `invoke sql`, as a process: texts, formats, errors, and the shell at a real pty."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.pyspark_client import install
from tests.paths import PROGRAMS, ROOT

WORDS = [sys.executable, str(PROGRAMS / "sql")]


class Place:
    """A container's run directory with a server that takes connections, and Spark's client."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        self.run.mkdir()
        (self.run / "server.json").write_text(json.dumps({"connect_port": 9, "token": "the-token"}))
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TERM": "xterm",
            "PYTHONPATH": f"{install(folder / 'packages')}:{ROOT}",
            "SPARKQFS_RUN_DIR": str(self.run),
        }

    def start(self, form: str, text: str, name: str = "") -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [*WORDS, "run", form], env=self.environ, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"text": text, "name": name}) + "\n")
        process.stdin.flush()
        return process

    def ran(self, form: str, text: str, name: str = "") -> tuple[int, str, str]:
        """Its exit code and output, while somebody waits."""
        process = self.start(form, text, name)
        assert process.stdout is not None and process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
        return process.wait(30), out, err

    def wait(self, statement: str) -> None:
        """Until the server has got this."""
        end = time.monotonic() + 30
        while statement not in self.statements():
            assert time.monotonic() < end
            time.sleep(0.02)

    def statements(self) -> list[str]:
        path = self.run / "statements"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_statements_run_one_after_the_other_with_the_token_of_the_server(place: Place) -> None:
    code, out, err = place.ran("table", "select 2; create table new;\nselect 1;")
    assert (code, err) == (0, "")
    assert out == "n  word\n-  ----\n0\n1  w\n\nn  word\n-  ----\n0\n"
    assert place.statements() == ["sc://localhost:9 the-token", "select 2", "create table new", "select 1"]
    assert (place.run / "used").exists()


@pytest.mark.parametrize(
    ("form", "out"),
    [
        ("csv", 'n,word\n0,""\n1,w\n'),
        (
            "records",
            '{"columns": [{"name": "n", "type": "int"}, {"name": "word", "type": "string"}]}\n'
            '{"row": {"n": 0, "word": ""}}\n{"row": {"n": 1, "word": "w"}}\n',
        ),
    ],
)
def test_rows_for_programs(place: Place, form: str, out: str) -> None:
    assert place.ran(form, "select 2") == (0, out, "")


def test_timestamps_are_asked_for_in_spark_s_own_words_and_a_float_has_its_own_digits(place: Place) -> None:
    code, out, err = place.ran("records", "times")
    assert (code, err) == (0, "")
    words = "c0:string c1:string c2 c3:array<struct<t:string,f:float>> c4:map<string,float> c5"
    assert place.statements()[-1] == f"select {words}"
    columns, first, second = map(json.loads, out.splitlines())
    assert [one["type"] for one in columns["columns"]][:3] == ["timestamp", "interval year to month", "float"]
    assert first["row"] == {
        "t": "2024-01-01 00:00:00",
        "y": "INTERVAL '1-2' YEAR TO MONTH",
        "f": 0.1,
        "a": [{"t": "2024-01-01 00:00:00.500000", "f": 16777216.0}, None],
        "m": {"+12000-01-01 00:00:00": 3.4028235e38},
        "n": 1,
    }
    assert second["row"] == {"t": None, "y": None, "f": "nan", "a": None, "m": None, "n": 2}


def test_intervals_of_each_kind_are_asked_for_in_spark_s_own_words(place: Place) -> None:
    place.ran("records", "spans")
    assert place.statements()[-1] == "select c0:string c1:array<string>"


def test_two_fields_of_one_name_in_a_struct_are_both_shown(place: Place) -> None:
    assert place.ran("table", "twins")[1].splitlines()[2:] == [
        '{"a": 1, "a_2": "x"}  [{"a": 2, "a_2": "y"}, null]  {"k": {"a": 3, "a_2": null}}',
        "NULL                  NULL                          NULL",
    ]
    row = json.loads(place.ran("records", "twins")[1].splitlines()[1])["row"]
    assert row["p"] == {"a": 1, "a_2": "x"} and row["m"] == {"k": {"a": 3, "a_2": None}}


def test_a_map_whose_keys_are_structs_has_them_as_texts(place: Place) -> None:
    code, out, err = place.ran("records", "keyed")
    assert (code, err) == (0, "")
    assert [json.loads(line)["row"]["m"] for line in out.splitlines()[1:]] == [
        {'{"a": 1, "a_2": "x"}': 2, '{"a": 3, "a_2": null}': None},
        None,
    ]


def test_the_first_that_fails_ends_it_and_is_quoted_with_its_line_and_without_a_stack(place: Place) -> None:
    code, out, err = place.ran("csv", "select 1;\n\nwhat;\nselect 2", "mine.sql")
    assert (code, out, err) == (1, 'n,word\n0,""\n', "mine.sql:3: [PARSE] what is this?\n")
    assert place.statements()[-1] == "what"
    code, out, err = place.ran("csv", "broken")
    assert (code, out, err) == (1, "n\n", "[LATE] it broke\n")


@pytest.mark.parametrize(
    ("text", "said"), [("late", "year 10000 is out of range"), ("long", "date value out of range")]
)
def test_values_that_python_cannot_hold_are_an_error_like_others(place: Place, text: str, said: str) -> None:
    code, _, err = place.ran("table", f"select 1; {text}", "mine.sql")
    assert code == 1 and err.startswith("mine.sql:1: Python cannot hold") and said in err and err.count("\n") == 1


def test_what_nobody_has_foreseen_of_rows_is_an_error_like_others(place: Place) -> None:
    code, out, err = place.ran("csv", "select 1; strange; select 1", "mine.sql")
    assert (code, out) == (1, 'n,word\n0,""\n\nn\n')
    assert err == "mine.sql:1: Spark's client cannot read the answer (KeyError: 21). `cast(… as string)` shows it\n"


def test_when_nobody_waits_any_more_the_query_ends(place: Place) -> None:
    process = place.start("csv", "slow")
    end = time.monotonic() + 30
    while "slow" not in place.statements():
        assert time.monotonic() < end
        time.sleep(0.02)
    process.communicate(timeout=30)
    assert process.returncode in (1, 125)
    assert place.statements()[-1] == "interrupted"


@pytest.mark.parametrize("words", [[], ["run"], ["run", "xml"], ["shell", "x"]])
def test_a_wrong_command_line(place: Place, words: list[str]) -> None:
    done = subprocess.run(
        [*WORDS, *words], env=place.environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (64, b"usage: sql shell | sql run table|csv|records\n")


class Terminal:
    """The shell at a terminal of its own."""

    def __init__(self, place: Place) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(WORDS[0], [*WORDS, "shell"], place.environ)
        self.seen = ""

    def end(self) -> int:
        """Its exit code."""
        until = time.monotonic() + 30
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < until, self.seen
            time.sleep(0.02)

    def close(self) -> None:
        """Whether it has ended or not."""
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)

    def type(self, keys: str) -> None:
        self.seen = ""
        os.write(self.master, keys.encode())  # at a prompt: a terminal drops what waits when its mode changes

    def interrupt(self, text: str) -> None:
        """Ctrl-C at a prompt until this is seen: Python misses one between the prompt and its wait for keys."""
        end = time.monotonic() + 30
        self.type("\x03")
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.master], [], [], 1.0)[0]:
                self.seen += os.read(self.master, 65536).decode()
            else:
                os.write(self.master, b"\x03")

    def wait(self, text: str) -> str:
        """Until this is seen; all that is seen since something was typed."""
        end = time.monotonic() + 30
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode()
                except OSError:
                    break
        assert text in self.seen, self.seen
        return self.seen


@pytest.fixture
def terminal(place: Place) -> Iterator[Terminal]:
    opened = Terminal(place)
    opened.wait("sql> ")
    yield opened
    opened.close()


def test_the_shell_takes_lines_until_a_semicolon_and_goes_on_after_an_error(terminal: Terminal) -> None:
    terminal.type("select 2\n")
    terminal.wait("...> ")
    terminal.type(";\n")
    terminal.wait("(2 rows, ")
    terminal.wait("sql> ")
    terminal.type("what;\n")
    assert "JVM" not in terminal.wait("what is this?")
    terminal.wait("sql> ")
    terminal.type("select 1;\n")
    terminal.wait("(1 row, ")
    terminal.wait("sql> ")
    terminal.type("\x04")
    assert terminal.end() == 0


def test_tab_completes_tables_also_one_that_was_only_just_made(terminal: Terminal, place: Place) -> None:
    pytest.importorskip("readline")
    terminal.type("select 1 from boo\t")
    terminal.wait("books")
    terminal.type("\x15create table zebras;\n")
    terminal.wait("(0.")
    terminal.wait("sql> ")
    terminal.type("select 1 from zeb\t")
    terminal.wait("zebras")
    terminal.type("\x15select 1 from auth\t")
    terminal.wait("Authors")


def test_what_was_typed_is_there_the_next_time_and_is_nobody_elses(place: Place) -> None:
    pytest.importorskip("readline")
    first = Terminal(place)
    first.wait("sql> ")
    first.type("select 1;\n")
    first.wait("(1 row, ")
    first.wait("sql> ")
    first.type("exit\n")
    assert first.end() == 0
    first.close()
    history = Path(place.environ["HOME"]) / ".sparkqfs-sql-history"
    assert history.stat().st_mode & 0o777 == 0o600
    second = Terminal(place)
    second.wait("sql> ")
    second.type("\x10\x10")
    second.wait("select 1;")
    second.close()


def test_ctrl_c_before_the_shell_is_there_ends_it(place: Place) -> None:
    place.environ["FAKE_CONNECT_S"] = "30"
    opened = Terminal(place)
    try:
        place.wait("sc://localhost:9 the-token")
        opened.type("\x03")
        assert "Traceback" not in opened.wait("interrupted")
        assert opened.end() == 130
    finally:
        opened.close()


def test_a_second_ctrl_c_while_the_query_is_being_ended_does_not_end_the_shell(place: Place) -> None:
    place.environ["FAKE_INTERRUPT_S"] = "30"
    opened = Terminal(place)
    try:
        opened.wait("sql> ")
        opened.type("slow;\n")
        for noted in ("slow", "interrupting"):
            place.wait(noted)
            opened.type("\x03")
        opened.wait("sql> ")
        opened.type("select 1;\n")
        opened.wait("(1 row, ")
        for typed, said in (("late", "Python cannot hold"), ("strange", "cannot read the answer (KeyError: 21)")):
            opened.type(f"{typed};\n")
            opened.wait(said)
            assert "Traceback" not in opened.wait("sql> ")
    finally:
        opened.close()


def test_ctrl_c_ends_what_is_typed_and_a_query_and_not_the_shell(terminal: Terminal, place: Place) -> None:
    terminal.type("select 1\n")
    terminal.wait("...> ")
    terminal.interrupt("sql> ")
    terminal.type("slow;\n")
    place.wait("slow")
    terminal.type("\x03")
    terminal.wait("interrupted")
    terminal.wait("sql> ")
    terminal.type("select 1;\n")
    terminal.wait("(1 row, ")

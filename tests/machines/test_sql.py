"""invoke sql over a real SSH server and the real program in its container; Spark's server and client are stand-ins."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkqfs.cli.connecting import text_of
from sparkqfs.errors import ConfigError, DeadlineError
from sparkqfs.jobs.programs import server, sql
from sparkqfs.plan.steps import JobResult
from sparkqfs.report.reporter import Reporter
from tests.doubles.connect_server import World, a_world
from tests.doubles.pyspark_client import install
from tests.paths import PROGRAMS

PYTHON = """\
#!/bin/sh
shift
export PYTHONPATH={packages}
exec {python} {program} "$@"
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """`with-env sql` in the container is our program under this Python, with the client's stand-in."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(server, "RUN_DIRECTORY", str(tmp_path / "container" / "run"))
    with_env = tmp_path / "with-env"
    packages = install(tmp_path / "packages")
    with_env.write_text(PYTHON.format(packages=packages, python=sys.executable, program=PROGRAMS / "sql"))
    with_env.chmod(0o755)
    monkeypatch.setattr(sql, "WITH_ENV", str(with_env))
    with a_world(tmp_path) as made:
        yield made


def run(world: World, text: str, form: str = "csv", name: str = "", timeout_s: float = 30) -> tuple[JobResult, bytes]:
    out: list[bytes] = []
    result = sql.run(world.session, sql.Text(text, name), form, lambda _stream, data: out.append(data), timeout_s)
    return result, b"".join(out)


def test_a_text_starts_the_server_once_and_its_rows_come_as_they_are(world: World) -> None:
    result, out = run(world, "select 2; create table x; select 1")
    assert (result.exit_code, out) == (0, b'n,word\n0,""\n1,w\n\nn,word\n0,""\n')
    assert run(world, "select 1", "table")[1] == b"n  word\n-  ----\n0\n"
    assert world.swarm.started == 1


def test_many_rows_are_whole(world: World) -> None:
    _, out = run(world, "select 1500")
    assert out == b'n,word\n0,""\n' + b"".join(b"%d,%s\n" % (n, b"w" * n) for n in range(1, 1500))


def test_json_has_a_result_for_each_statement_with_its_columns(world: World) -> None:
    result, out = run(world, "create table x; select 2", "records")
    assert out == b""
    assert result.document == {
        "schema": 1,
        "results": [
            {"columns": [], "rows": []},
            {
                "columns": [{"name": "n", "type": "int"}, {"name": "word", "type": "string"}],
                "rows": [{"n": 0, "word": ""}, {"n": 1, "word": "w"}],
            },
        ],
    }


def test_json_has_all_digits_of_a_decimal_as_printed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    result, _ = run(world, "exact", "records")
    Reporter(as_json=True).result(result)
    printed = capsys.readouterr().out
    for number in ("123456789012345678901234567890.10", "0.10", "-0.0000000000000000000001", "1e+300", "0.1"):
        assert f": {number}" in printed
    assert json.loads(printed)["results"][0]["rows"][1] == {"d": 0.1, "f": 0.1}


def test_a_statement_that_fails_is_quoted_and_what_ran_before_it_is_there(world: World) -> None:
    result, out = run(world, "select 1;\nwhat", name="mine.sql")
    assert (result.exit_code, out) == (1, b'n,word\n0,""\n')
    assert str(result.problems[0]) == "mine.sql:2: [PARSE] what is this?"
    result, _ = run(world, "select 1; what", "records")
    assert len(result.document["results"]) == 1  # type: ignore[arg-type]
    assert result.problems[0].what == "[PARSE] what is this?"


def test_no_statement_is_no_failure_and_shows_nothing(world: World) -> None:
    result, out = run(world, "-- nothing\n;")
    assert (result.exit_code, out) == (0, b"")


def test_a_text_that_takes_too_long_is_ended_there_too(world: World) -> None:
    with pytest.raises(DeadlineError, match="did not end within 2 s"):
        run(world, "slow", timeout_s=2)
    noted = world.folder / "container" / "run" / "statements"
    world.wait(lambda: noted.read_text().splitlines()[-1] == "interrupted")


def test_the_statements_are_in_no_argument_list(world: World) -> None:
    log = world.folder / "argv"
    docker = world.folder / "container" / "bin" / "docker"
    shutil.move(docker, docker.with_name("real"))
    docker.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {docker.with_name("real")} "$@"\n')
    docker.chmod(0o755)
    run(world, "select 1 -- password='x1y2'")
    assert "sql" in log.read_text() and "x1y2" not in log.read_text()


@pytest.mark.parametrize(
    ("e", "f", "said"),
    [
        ("select 1", "a.sql", "-e and -f: one at a time"),
        (None, "nothing.sql", "-f nothing.sql: No such file or directory"),
        (None, "/", "Is a directory"),
        (None, "latin.sql", "not UTF-8 .byte 2."),
        (None, "~nobody-of-this-name/x", "-f ~nobody"),
    ],
)
def test_a_text_that_cannot_be_had_is_refused(
    e: str | None, f: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.sql").write_bytes(b"-\xfc")
    with pytest.raises(ConfigError, match=said):
        text_of(e, f)


def test_a_text_is_that_of_the_flag_or_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.sql").write_text("select 1\n")
    assert text_of("select 2", None) == ("select 2", "")
    assert text_of(None, str(tmp_path / "a.sql")) == ("select 1\n", str(tmp_path / "a.sql"))
    assert text_of(None, None) is None
    (tmp_path / "marked.sql").write_text("select 1\n", encoding="utf-8-sig")
    assert text_of(None, str(tmp_path / "marked.sql")) == ("select 1\n", str(tmp_path / "marked.sql"))
    monkeypatch.setattr("sparkqfs.cli.connecting.input_text", lambda: "select 3\n")
    assert text_of(None, "-") == ("select 3\n", "")
    assert os.linesep == "\n"

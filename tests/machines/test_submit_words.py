"""The words of a `submit` command line, in both programs: what is the program's own, and how others are refused."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sparkqfs.plan.programs.refused import REFUSED_FLAGS
from tests.doubles.command_lines import RUN_EACH
from tests.doubles.servers import closed_port
from tests.paths import ROOT

PROBE = f"import contextlib, io, json, sys\nends = []\n{RUN_EACH}print(json.dumps(ends))\n"
End = tuple[int, str, str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a cluster that does not answer, and a program."""
    hosts = f"nodes: {{node1: 127.0.0.1}}\nssh: {{port: {closed_port()}, user: root, known_hosts: known}}\n"
    (tmp_path / "hosts.yml").write_text(hosts)
    (tmp_path / "a.py").write_text("")
    return tmp_path


def ends(folder: Path, *lines: str, programs: tuple[str, ...] = ("sparkqfs", "invoke")) -> list[End]:
    """(exit code, standard output, standard error) of command lines, each of them in each program."""
    start = {"sparkqfs": ["sparkqfs"], "invoke": ["invoke", "--search-root", str(ROOT)]}
    commands = [[*start[program], *shlex.split(line)] for program in programs for line in lines]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("SPARKQFS_", "INVOKE_"))}
    argv = [sys.executable, "-c", PROBE, json.dumps(commands)]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=True)
    return [(code, out, err) for code, out, err in json.loads(done.stdout)]


def passed(line: str, out: str) -> list[str]:
    """What the program would get, from the words of a dry run."""
    assert "planned" in out, (line, out)
    words = shlex.split(out.splitlines()[-1])
    return words[next(at for at, word in enumerate(words) if word.endswith("/files/a.py")) + 1 :]


def test_words_without_a_dash_are_the_programs(folder: Path) -> None:
    lines = {
        "submit --dry-run a.py": [],
        "submit --dry-run a.py /data/books 20": ["/data/books", "20"],
        "submit a.py --dry-run --name x '' 'two words' - a=b": ["", "two words", "-", "a=b"],
        "submit --dry-run --program a.py one": ["one"],
        "submit --dry-run --program=a.py one": ["one"],
        "submit --dry-run a.py -- one": ["one"],
        "submit --dry-run a.py -- --cores 2 down -- -x": ["--cores", "2", "down", "--", "-x"],
        "submit --dry-run a.py --conf spark.a=b --conf=spark.c=d x": ["x"],
        "submit --dry-run a.py -c spark.a=b x": ["x"],
        "submit --dry-run --driver-java-options '-Dx=y -Dz=1' a.py x": ["x"],
    }
    for line, (code, out, err) in zip([*lines, *lines], ends(folder, *lines), strict=True):
        assert code == 0, (line, err)
        assert passed(line, out) == lines[line], line


def test_of_a_list_that_is_given_more_than_once_it_is_said_what_counts(folder: Path) -> None:
    (folder / "b.jar").write_text("")
    for code, out, err in ends(folder, "submit --dry-run --jars a.jar --jars b.jar a.py x"):
        assert code == 0, err
        assert passed("", out) == ["x"] and "files/b.jar" in out and "a.jar" not in out
        assert "--jars is given more than once; the last one counts: b.jar" in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("submit a.py --input /x", "`invoke submit a.py -- --input /x`"),
        ("submit a.py --input=/x", "`invoke submit a.py -- --input=/x`"),
        ("submit a.py /d --limit 5", "`invoke submit a.py -- /d --limit 5`"),
        ("submit a.py /d -n 5", "`invoke submit a.py -- /d -n 5`"),
        ("submit a.py -5", "`invoke submit a.py -- -5`"),
        ("submit a.py -10", "`invoke submit a.py -- -10`"),
        ("submit --conf spark.a=1 a.py --input x", "`invoke submit --conf spark.a=1 a.py -- --input x`"),
        ("submit --cores=2 'my app.py' down", "`invoke submit --cores=2 'my app.py' -- down`"),
        ("submit --cores 2 a.py x --name n", "`invoke submit --cores 2 a.py --name n -- x`"),
        ("submit --cores 2 a.py x --name n", "`invoke submit --cores 2 a.py -- x --name n`"),
        ("submit --cores 2 a.py x -- y", "`invoke submit --cores 2 a.py -- x …`"),
        ("submit -c spark.a.password=p a.py -5", "`invoke submit -c 'spark.a.password=****' a.py -- -5`"),
        ("submit --conf=spark.a.password=p a.py -5", "`invoke submit '--conf=spark.a.password=****' a.py -- -5`"),
        ("submit -cspark.a=1 a.py", "-cspark.a is not a flag of submit"),
        ("submit a.py -cspark.a=1", "`invoke submit a.py -- -cspark.a=1`"),
        ("submit a.py --core 2", "did you mean --cores?"),
        ("submit --nonsense", "--nonsense is not a flag of submit"),
        ("submit a.py /d --cores 2 x", "`invoke submit a.py --cores 2 -- /d x`"),
        ("submit a.py /d --cores 2 x", "`invoke submit a.py -- /d --cores 2 x`"),
        ("submit a.py /d --dry-run", "`invoke submit a.py --dry-run -- /d`"),
        ("submit a.py down", "`invoke submit a.py -- down`"),
        ("submit a.py /d status", "`invoke submit a.py -- /d status`"),
        ("submit a.py --debug", "`invoke submit a.py -- --debug`"),
        ("submit a.py --version", "`invoke submit a.py -- --version`"),
        ("submit a.py --list", "`invoke submit a.py -- --list`"),
        ("submit a.py --config x", "`invoke submit a.py -- --config x`"),
        ("submit a.py /d --echo", "`invoke submit a.py -- /d --echo`"),
        ("submit a.py x -- y", "`invoke submit a.py -- x …`"),
    ],
)
def test_what_could_be_both_is_not_guessed_and_the_message_shows_how(folder: Path, line: str, said: str) -> None:
    for code, out, err in ends(folder, line):
        assert (code, out) == (2, "") and said in err


def test_a_flag_that_cannot_be_says_the_way_in_one_sentence(folder: Path) -> None:
    lines = [
        form.format(name)
        for name in REFUSED_FLAGS
        for form in ("submit --{} x a.py", "submit --{}=x", "submit a.py --{}")
    ]
    for line, (code, out, err) in zip([*lines, *lines], ends(folder, *lines), strict=True):
        flag = next(word for word in line.split() if word.startswith("--")).partition("=")[0]
        assert (code, out, err) == (2, "", f"{flag} cannot be: {REFUSED_FLAGS[flag[2:]]}\n"), line


def test_a_refusal_is_a_document_where_one_is_asked_for(folder: Path) -> None:
    for code, out, _ in ends(folder, "submit --json --master yarn a.py"):
        document = json.loads(out)
        assert code == document["exit_code"] == 2 and "--master cannot be" in document["problems"][0]["what"]


def test_flags_that_cannot_be_are_not_in_the_help_and_words_elsewhere_are_not_read(folder: Path) -> None:
    help_text, other = ends(folder, "submit --help", "kill submit", programs=("sparkqfs",))
    assert help_text[0] == 0 and "--packages" in help_text[1] and "--master" not in help_text[1]
    assert other[0] == 3, "the cluster was asked"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("submit a.py --num-executors none", "--num-executors none: a number from 1 on"),
        ("submit a.py --executor-memory 1.5g", "--executor-memory 1.5g"),
        ("submit a.py --cores 2 --total-executor-cores 4", "they mean the same"),
        ("submit a.py --properties-file none.conf", "--properties-file none.conf: No such file"),
        ("submit a.py --packages postgresql", "group:artifact:version"),
        ("submit a.py --dry-run --conf spark.files=none.csv", "none.csv: no such file on this computer"),
        ("submit a.py --cores all --jars none.jar", "none.jar: no such file on this computer"),
        ("submit a.py --conf spark.master=local", "spark.master=local cannot be"),
    ],
)
def test_a_wrong_value_is_told_before_any_machine_is_asked(folder: Path, line: str, said: str) -> None:
    ((code, _, err),) = ends(folder, line, programs=("sparkqfs",))
    assert code == 2 and said in err and "sending" not in err

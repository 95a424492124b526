"""jobs/programs/compute.py on a machine whose containers are the machine itself."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.errors import ConfigError, ExitCode
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.jobs.cluster import deploy, prep
from sparkqfs.jobs.programs import compute
from sparkqfs.jobs.session import Session
from tests.doubles.servers import an_engine, engine_machine, serve
from tests.paths import PROGRAMS


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("sshd")
    with ExitStack() as stack:
        port = stack.enter_context(serve(an_engine("jupyter-server")))
        server = stack.enter_context(engine_machine(folder, port))
        clients = Clients(server.cluster(folder / "known_hosts"))
        stack.callback(clients.close)
        yield Session(clients.config, clients, lambda _: None)


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The real run-notebook, with stand-ins for papermill's Python and for nbconvert; what these were told."""
    venv = tmp_path / "venv" / "bin"
    venv.mkdir(parents=True)
    told = tmp_path / "told"
    (venv / "python").write_text(f'#!/bin/sh\nprintf "%s\\n" "$6" > {told}\ncp "$3" "$4"\n')
    (venv / "jupyter").write_text('#!/bin/sh\nfor one in "$@"; do :; done\necho page > "${one%.ipynb}.html"\n')
    program = tmp_path / "run-notebook"
    line = f'SPARKQFS_VENV={tmp_path}/venv exec {sys.executable} {PROGRAMS}/run-notebook "$@"'
    program.write_text(f"#!/bin/sh\n{line}\n")
    for path in (*venv.iterdir(), program):
        path.chmod(0o755)
    monkeypatch.setattr(compute, "PROGRAM", str(program))
    return told


def run(session: Session, name: str, out: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        compute.notebook(session, name, {}, out=out, timeout_s=20)
    return caught.value


def test_a_notebook_that_is_not_there_is_bad_input_and_those_that_are_there_are_named(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "NOTEBOOKS", str(tmp_path / "notebooks"))
    (tmp_path / "notebooks").mkdir()
    for name in ("primes.ipynb", "my own.ipynb", "notes.txt"):
        (tmp_path / "notebooks" / name).write_text("{}")
    error = run(session, "prims", tmp_path / "out")
    assert error.exit_code == ExitCode.USAGE
    assert str(error) == "no notebook prims\n  hint: notebooks: my own, primes"
    assert not (tmp_path / "out").exists()


NOTEBOOK = """{"metadata": {"kernelspec": {"name": "my env"}}, "nbformat": 4, "nbformat_minor": 5, "cells": [
{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "CODE = '7'", "outputs": [],
"execution_count": null}]}"""


@pytest.mark.parametrize("name", ["mine.ipynb", "Übung 1/b c.ipynb", "it's $(odd).ipynb"])
def test_a_notebook_of_this_computer_is_sent_run_and_brought_back(
    session: Session, tmp_path: Path, programs: Path, name: str
) -> None:
    source = tmp_path / "home" / name
    source.parent.mkdir(parents=True)
    source.write_text(NOTEBOOK)
    result = compute.notebook(session, str(source), {"CODE": "007"}, out=tmp_path / "out", timeout_s=20)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([source.name, f"{source.stem}.html"])
    assert (tmp_path / "out" / source.name).read_text() == NOTEBOOK and result.document["notebook"] == source.stem
    assert programs.read_text() == '{"CODE": "007"}\n'
    assert not list(Path("/tmp").glob(f"notebook-sent.*/{source.name}")), "nothing of it stays there"


def test_each_plot_of_a_notebook_is_a_picture_beside_it(session: Session, tmp_path: Path) -> None:
    pictures = [b"\x89PNG one" * 20, b"\x89PNG two"]
    texts = [base64.encodebytes(picture).decode() for picture in pictures]
    shown: list[dict[str, object]] = [
        {"image/png": texts[0].splitlines(keepends=True), "text/plain": "<Figure>"},  # as Jupyter writes it into a file
        {"text/html": "<b>no picture</b>"},
        {"image/png": texts[1]},
        {"image/png": "x"},
    ]
    outputs = [{"output_type": "display_data", "metadata": {}, "data": data} for data in shown]
    notebook = json.loads(NOTEBOOK)
    notebook["cells"][0]["outputs"] = outputs
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "a.ipynb").write_text(json.dumps(notebook))
    result = compute.notebook(session, str(tmp_path / "home" / "a.ipynb"), {}, out=tmp_path / "out", timeout_s=20)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a-1.png", "a-2.png"]
    assert [(tmp_path / "out" / f"a-{number}.png").read_bytes() for number in (1, 2)] == pictures
    assert str(tmp_path / "out" / "a-2.png") in result.document["files"]  # type: ignore[operator]
    assert f"saved {tmp_path}/out/a-1.png" in result.text.splitlines()


def test_a_notebook_of_the_cluster_may_be_in_a_folder(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "NOTEBOOKS", str(tmp_path / "notebooks"))
    (tmp_path / "notebooks" / "team a").mkdir(parents=True)
    (tmp_path / "notebooks" / "team a" / "june.ipynb").write_text(NOTEBOOK)
    for number, name in enumerate(("team a/june", "team a/june.ipynb")):
        result = compute.notebook(session, name, {}, out=tmp_path / str(number), timeout_s=20)
        assert (tmp_path / str(number) / "june.html").is_file() and result.exit_code == 0


def test_a_notebook_in_another_language_is_refused_by_its_name(session: Session, tmp_path: Path) -> None:
    (tmp_path / "r.ipynb").write_text(NOTEBOOK.replace('"name": "my env"', '"name": "ir"'))
    error = run(session, str(tmp_path / "r.ipynb"), tmp_path / "out")
    assert error.exit_code == ExitCode.USAGE and "a notebook in R" in str(error)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./nowhere.ipynb", "there is no file ./nowhere.ipynb on this computer"),
        ("../x", "there is no file ../x on this computer"),
        ("a/../b", "'a/../b' is not a notebook's name"),
        ("a//b", "'a//b' is not a notebook's name"),
        (".hidden", "'.hidden' is not a notebook's name"),
        ("", "'' is not a notebook's name"),
    ],
)
def test_what_is_no_name_is_told_before_any_machine_is_asked(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compute, "find_container", lambda *_: pytest.fail("a machine was asked"))
    assert said in str(run(session, name, tmp_path / "out"))


def test_a_program_is_no_notebook_and_a_result_does_not_replace_what_was_sent(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    assert "is not a notebook: its name does not end" in str(run(session, str(tmp_path / "a.py"), tmp_path / "out"))
    (tmp_path / "mine.ipynb").write_text(NOTEBOOK)
    assert "the result would replace" in str(run(session, str(tmp_path / "mine.ipynb"), tmp_path))


@pytest.mark.parametrize("name", ["a\tb.ipynb", "a\nb.ipynb", "a\x1b[2J.ipynb", "a\udcff.ipynb"])
def test_a_name_that_the_answers_cannot_have_is_refused(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).write_text(NOTEBOOK)
    monkeypatch.setattr(compute, "find_container", lambda *_: pytest.fail("a machine was asked"))
    said = str(run(session, str(tmp_path / name), tmp_path / "out"))
    assert "a notebook's name has no line ends" in said and said.isascii() and "\x1b" not in said


def test_where_there_is_no_notebook_at_all_the_user_is_told_where_to_put_one(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "NOTEBOOKS", str(tmp_path / "none"))
    assert str(session.config.notebooks_path) in str(run(session, "primes", tmp_path / "out"))


def test_where_a_notebooks_results_cannot_go_is_told_before_it_runs(session: Session, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        error = run(session, "primes", out)
        assert str(error) == f"--out {out}: {tmp_path / 'file'} is not a directory that may be written to"


def test_a_quoted_failure_does_not_take_dockers_own_words_for_the_tasks(session: Session) -> None:
    task = TaskFact(
        service="worker-node", node="node1", state="failed", desired="shutdown", error="x", container_id="c"
    )
    assert [one.what for one in deploy._quote_failures(session, [task])] == ["worker-node: x"]


def test_a_name_after_add_that_is_none_names_that_flag(session: Session) -> None:
    with pytest.raises(ConfigError, match="--add: no node typo"):
        prep.plan(session, adopt=("typo",))

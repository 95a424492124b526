"""jobs/programs/compute.py on a machine whose containers are the machine itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sparkqfs.clients.connect import Clients
from sparkqfs.errors import ClusterError, ConfigError, ExitCode
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.jobs.cluster import deploy, prep
from sparkqfs.jobs.programs import compute
from sparkqfs.jobs.session import Session
from tests.doubles.servers import an_engine, engine_machine, serve


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("sshd")
    with ExitStack() as stack:
        port = stack.enter_context(serve(an_engine("jupyter-server")))
        server = stack.enter_context(engine_machine(folder, port))
        clients = Clients(server.cluster(folder / "known_hosts"))
        stack.callback(clients.close)
        yield Session(clients.config, clients, lambda _: None)


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


def test_logs_of_a_node_that_is_none_are_bad_input(session: Session) -> None:
    with pytest.raises(ConfigError, match="--only: no node typo") as caught:
        compute.logs(session, service=None, tail=5, only=("typo",))
    assert caught.value.exit_code == ExitCode.USAGE


def test_logs_do_not_take_dockers_own_words_for_a_containers(session: Session) -> None:
    result = compute.logs(session, service=None, tail=5, only=())
    assert (result.text, result.document["logs"]) == ("", [])
    assert result.notes == ("[node1] jupyter-server: its container is gone",)


def test_logs_of_a_service_that_runs_elsewhere_say_where_they_were_looked_for(session: Session) -> None:
    with pytest.raises(ClusterError, match="no container of worker-node on node1"):
        compute.logs(session, service="worker-node", tail=5, only=("node1",))


def test_a_quoted_failure_does_not_take_dockers_own_words_for_the_tasks(session: Session) -> None:
    task = TaskFact(
        service="worker-node", node="node1", state="failed", desired="shutdown", error="x", container_id="c"
    )
    assert [one.what for one in deploy._quote_failures(session, [task])] == ["worker-node: x"]


def test_a_name_after_add_that_is_none_names_that_flag(session: Session) -> None:
    with pytest.raises(ConfigError, match="--add: no node typo"):
        prep.plan(session, adopt=("typo",))

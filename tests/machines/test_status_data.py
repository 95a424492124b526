"""What status says of data, over a real SSH connection, from answers of daemons that were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.servers import Answer, Sshd, body, closed_port, engine_machine, payload, serve
from tests.doubles.stack_pages import SERVICES, engine_of, look, other_pages

UP = ("127.0.0.2", "127.0.0.3")
LOST = json.loads(payload("qfs-2.2-lost-meta.json"))
HEALTH = "/sparkqfs/health.json"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sshd, Path]]:
    folder = tmp_path_factory.mktemp("sshd")
    with engine_machine(folder, closed_port()) as server:
        yield server, folder


def seen(
    machine: tuple[Sshd, Path], pages: dict[str, Answer], strangers: tuple[tuple[str, str], ...] = (), **ports: int
) -> Any:
    """`invoke status` of a cluster of QFS with these pages of its master."""
    server, folder = machine
    with ExitStack() as stack:
        engine = engine_of(*SERVICES, "qfs-master", address=UP[0], strangers=strangers)
        (folder / "engine-port").write_text(str(stack.enter_context(serve(engine))))
        others = stack.enter_context(other_pages(*UP))
        return look(server, folder, "qfs", others | {"qfs_ui": stack.enter_context(serve(pages))} | ports)


def test_lost_files_are_exit_1_in_text_and_json(machine: tuple[Sshd, Path]) -> None:
    found = seen(machine, {"/query/meta": body(LOST), HEALTH: Answer(body=payload("qfs-2.2-health.json"))})
    storage = found.document["storage"]
    assert (found.exit_code, found.document["state"], storage["state"]) == (1, "degraded", "degraded")
    assert (storage["lost_files"], storage["lost_blocks"], storage["copies_missing"]) == (2, 3, 3)
    assert (storage["check"]["age_s"], storage["check"]["took_s"]) == (0.0, 0.344)
    assert "qfsfsck" in str(found.problems) and "qfsfsck" in str(found.document["problems"])


def test_a_stack_without_the_checker_is_said_and_no_problem_by_itself(machine: tuple[Sshd, Path]) -> None:
    found = seen(machine, {"/query/meta": body(LOST)})
    assert [str(problem) for problem in found.problems] == []
    assert found.document["storage"]["lost_files"] is None
    assert "404" in found.document["storage"]["check"]["error"]


@pytest.mark.parametrize("answer", [b"[1]", b"{", b"[" * 100_000, b'{"systemInfo": {}, "upServers": [1]}'])
def test_a_page_of_another_shape_hides_only_itself(machine: tuple[Sshd, Path], answer: bytes) -> None:
    found = seen(machine, {"/query/meta": Answer(body=answer), HEALTH: Answer(body=answer)})
    assert found.document["storage"]["answers"] is False
    assert found.document["spark"]["answers"] and found.document["history"]["answers"]
    assert [problem.what.partition(":")[0] for problem in found.problems] == ["QFS"]


def test_sparks_pages_of_another_shape_hide_only_themselves(machine: tuple[Sshd, Path]) -> None:
    workers = [{"host": "a", "state": "ALIVE", "cores": 1e400, "memory": 1}]
    strange = {"workers": workers, "status": "ALIVE", "cores": 1e400}
    answers = {"/query/meta": body(LOST), HEALTH: Answer(body=payload("qfs-2.2-health.json"))}
    with (
        serve({"/json/": body(strange)}) as spark,
        serve({"/api/v1/applications": body([{"attempts": []}])}) as history,
    ):
        found = seen(machine, answers, spark_ui=spark, history=history)
    assert not found.document["spark"]["answers"] and not found.document["history"]["answers"]
    assert found.document["storage"]["answers"] and found.document["jupyter"]["answers"]


def test_a_server_of_a_machine_that_was_taken_out_of_the_file_does_not_count(machine: tuple[Sshd, Path]) -> None:
    well = json.loads(payload("qfs-2.2-health.json"))
    well |= {"missing": 0, "check": well["check"] | {"lost_files": 0, "short_chunks": 0, "lost_chunks": 0}}
    found = seen(machine, {"/query/meta": body(LOST), HEALTH: body(well)}, strangers=(("node9", UP[1]),))
    assert found.document["storage"]["servers_unknown"] == ["node9"]
    (problem,) = found.problems
    assert problem.node == "node9" and f"{UP[1]} is up" in problem.what

"""jobs/watching/status_document.py: what a program reads of a status, and the lines that people see of it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sparkqfs.config.model import StorageConfig
from sparkqfs.errors import Problem
from sparkqfs.jobs.watching import status, status_document
from sparkqfs.plan.services import single_services
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.storage.health import HealthFact, parse_memory
from sparkqfs.plan.watching.cluster_status import ClusterStatus
from sparkqfs.report.reporter import Reporter
from tests.builders.clusters import a_cluster
from tests.builders.status import APP, ENDED, MEMORY, a_session, a_status, a_task
from tests.paths import ROOT
from tests.unit.tables import CODE, paths_of, table_codes

PAGE = (ROOT / "docs" / "status.md").read_text(encoding="utf-8")
PROBLEM = Problem(what="something")


def document(status: ClusterStatus, *problems: Problem) -> Any:
    return status_document.document(a_session(), status, problems)


# --- the page -------------------------------------------------------------------------------------


def test_status_md_names_exactly_the_keys_of_the_json_document() -> None:
    silent = a_status(swarm=PROBLEM, spark="no", storage="no", jupyter="no", history="no")
    documents = [document(a_status(), PROBLEM), document(silent, PROBLEM)]
    keys = {"exit_code", *(path for document in documents for path in paths_of(document))}
    section = PAGE.partition("## The JSON document")[2]
    assert table_codes(section.partition("\n## ")[0]) == keys
    assert f"(schema {status_document.SCHEMA})" in PAGE


def test_status_md_shows_what_a_healthy_cluster_looks_like(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    Reporter().result(JobResult(task="status", document=document(a_status())))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    sample = re.search(r"## What you should see\n\n```\n(.*?)\n```", PAGE, re.DOTALL)
    assert sample is not None
    shown = sample[1].splitlines()
    assert len(shown) == len(lines)
    for line, actual in zip(shown, lines, strict=True):  # the page cuts long lines off
        assert actual == line if not line.endswith("…") else actual.startswith(line.removesuffix("…"))


def test_the_line_says_what_is_counted_besides_files(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The namenode has one number for files and directories, the metaserver one for files."""
    monkeypatch.setenv("COLUMNS", "200")
    qfs, hdfs = StorageConfig(kind="qfs"), StorageConfig(kind="hdfs")
    for storage, line in ((qfs, "12 in 34 blocks"), (hdfs, "12 with directories, in 34 blocks")):
        shown = status_document.document(a_session(a_cluster(storage=storage)), a_status(), ())
        Reporter().result(JobResult(task="status", document=shown))
        rows = [row.split(maxsplit=1) for row in capsys.readouterr().out.splitlines()]
        assert ["files", line] in rows


def test_status_md_names_the_pages_of_all_services() -> None:
    kinds = (StorageConfig(kind="qfs"), StorageConfig(kind="hdfs"))
    every = [service for kind in kinds for service in single_services(a_cluster(storage=kind))]
    titles = {port.title for service in every for port in service.ports if port.title}
    (said,) = re.findall(r"^\| `urls` \| page name → address: (.*?);", PAGE, re.MULTILINE)
    assert set(CODE.findall(said)) == titles


# --- the document ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problems", "state"),
    [
        ({}, (), "healthy"),
        ({}, (PROBLEM,), "degraded"),
        ({"deployed": False}, (PROBLEM,), "down"),
        ({"deployed": False, "swarm": PROBLEM}, (PROBLEM,), "degraded"),  # without Swarm nobody knows
        ({"health": HealthFact(memory=parse_memory(MEMORY | {"missing": 3}))}, (), "recovering"),
        ({"health": HealthFact(memory=parse_memory(MEMORY | {"missing": 3}))}, (PROBLEM,), "degraded"),
    ],
)
def test_the_state_is_the_worst_of_what_was_found(
    changes: dict[str, Any], problems: tuple[Problem, ...], state: str
) -> None:
    assert document(a_status(**changes), *problems)["state"] == state


def test_an_application_that_runs_is_not_among_the_ended_ones() -> None:
    still = {**document(a_status(history=(APP, ENDED)))}
    assert [app["id"] for app in still["spark"]["running"]] == [APP.id]
    assert [app["id"] for app in still["history"]["finished"]] == [ENDED.id]


def test_links_lead_through_the_masters_page_and_to_the_history_server_where_those_run() -> None:
    found = document(a_status())
    assert found["spark"]["running"][0]["link"] == f"http://192.168.1.11:8080/proxy/{APP.id}/"
    assert found["history"]["finished"][0]["link"] == f"http://192.168.1.11:18080/history/{ENDED.id}/"
    without = document(a_status(urls={}))
    assert without["spark"]["running"][0]["link"] is None and without["history"]["finished"][0]["link"] is None


def test_a_task_of_a_machine_that_went_away_does_not_count_as_running() -> None:
    tasks = (a_task("worker-node"), a_task("worker-node", "node2"), a_task("worker-node", "node3", desired="shutdown"))
    assert document(a_status(tasks=tasks))["services"] == [
        {"service": "worker-node", "running": 2, "nodes": ["node1", "node2"]}
    ]


@pytest.mark.parametrize(("files", "told"), [(0, 0), (1, 3)])
def test_pieces_that_can_be_made_again_are_not_lost_blocks(files: int, told: int) -> None:
    check = MEMORY["check"] | {"lost_chunks": 3, "lost_files": files}
    health = HealthFact(memory=parse_memory(MEMORY | {"check": check}))
    assert document(a_status(health=health))["storage"]["lost_blocks"] == told


@pytest.mark.parametrize("runs", [True, False])
def test_a_master_that_does_not_start_has_the_task_that_says_why(runs: bool) -> None:
    tasks = a_status().tasks if runs else tuple(one for one in a_status().tasks if one.service != "qfs-master")
    problems = status.find_problems(a_session(), a_status(tasks=tasks, storage="no answer"))
    (hint,) = [one.hint or "" for one in problems if one.what == "QFS: no answer"]
    assert ("`invoke deploy` says what keeps it from starting" in hint) is not runs
    assert "`invoke logs --service qfs-master`" in hint

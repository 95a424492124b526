"""invoke verify without a cluster: what the job makes of the program's answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sparkqfs.errors import ClusterError, ExitCode, Problem
from sparkqfs.facts.pages import StorageFact
from sparkqfs.facts.swarm import TaskFact
from sparkqfs.jobs.measuring import verify as jobs
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.watching import status
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.watching.cluster_status import ClusterStatus
from tests.builders.clusters import a_cluster
from tests.builders.locality import EXPECTED, A, B, C, measured

TWO_UP = StorageFact(
    up_hosts=(A, B),
    down=1,
    total_bytes=0,
    used_bytes=0,
    free_bytes=0,
    recovering=False,
    files=0,
    blocks=0,
    replications_pending=0,
    file_system_id="1",
)


def local_reads(_session: Session, _service: str, argv: list[str], **_more: Any) -> str:
    """What the program prints of reads that were all local."""
    return "noise\n" + json.dumps(measured(rows=1, expected_rows=None, sum_ok=None, path=argv[3])) + "\n"


def verified(
    monkeypatch: pytest.MonkeyPatch,
    path: str | None,
    storage: StorageFact | str = TWO_UP,
    program: Callable[..., str] = local_reads,
) -> JobResult:
    """What `invoke verify --path` makes of what the program prints."""
    session = Session(a_cluster(), None, lambda _text: None)  # type: ignore[arg-type]
    tasks = tuple(
        TaskFact(
            service="worker-node",
            node=node,
            state="running",
            desired="running",
            error="",
            container_id="",
            addresses=(host,),
        )
        for host, node in EXPECTED.workers.items()
    )
    seen = ClusterStatus(tasks=tasks, deployed=True, spark="not asked", storage=storage, jupyter=None, urls={})

    monkeypatch.setattr(jobs, "exec_in", program)
    monkeypatch.setattr(status, "gather_status", lambda _session: seen)
    return jobs.verify(session, mib=1, files=1, reads=None, path=path, max_remote=None, min_local=None, timeout_s=1)


@pytest.mark.parametrize("path", [None, "/x", "qfs:///x", "qfs://qfs-master:20000/x", "qfs://qfs-master:20000"])
def test_data_of_the_clusters_storage_is_judged_with_its_daemons_however_it_is_written(
    monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    result = verified(monkeypatch, path)
    assert [str(problem).splitlines()[0] for problem in result.problems] == [f"[node3] no chunkserver is up at {C}"]
    assert result.exit_code == ExitCode.FAILED


@pytest.mark.parametrize("path", ["qfs://qfs-master:200001/x", "hdfs://qfs-master:20000/x"])
def test_data_elsewhere_is_judged_without_them(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    assert verified(monkeypatch, path).problems == ()


def test_a_metaserver_whose_page_does_not_answer_is_no_proof_of_whole_chunkservers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = verified(monkeypatch, "/x", storage="timed out")
    assert (result.exit_code, len(result.problems)) == (ExitCode.FAILED, 1)
    assert result.problems[0].what == (
        "the metaserver's page does not answer: chunkservers were not checked (timed out)"
    )
    assert "`invoke logs --service qfs-master`" in str(result.problems[0].hint)
    verdict: Any = result.document["verdict"]
    assert (verdict["state"], verdict["text"].partition(";")[0]) == ("degraded", "the cluster was not checked")


def test_of_data_elsewhere_the_metaserver_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verified(monkeypatch, "hdfs://other:8020/x", storage="timed out").problems == ()


def test_a_failed_measurement_says_too_that_the_metaserver_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: object, **_more: object) -> str:
        raise ClusterError(Problem(what="no executor within 90 s"))

    with pytest.raises(ClusterError) as caught:
        verified(monkeypatch, None, storage="timed out", program=fails)
    assert [one.what[:15] for one in caught.value.problems] == ["no executor wit", "the metaserver'"]


def test_the_share_of_local_tasks_leaves_out_those_without_a_preference(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_session: Session, _service: str, argv: list[str], **_more: Any) -> str:
        found = measured(tasks={"PROCESS_LOCAL": 36}, scan={"partitions_placed": 0})
        return json.dumps(found | {"rows": 1, "expected_rows": None, "sum_ok": None, "path": argv[3]})

    result = verified(monkeypatch, "/x", program=nowhere)
    assert result.document["local_share_of_tasks"] == 0.0

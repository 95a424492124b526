"""invoke verify without a cluster: what the job makes of the program's answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from builders import a_cluster
from locality_builders import EXPECTED, A, B, C, measured

from sparkqfs.errors import ExitCode
from sparkqfs.facts import StorageFact, TaskFact
from sparkqfs.jobs import verify as jobs
from sparkqfs.jobs.base import Session
from sparkqfs.jobs.status import ClusterStatus
from sparkqfs.plan.steps import JobResult

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


def verified(monkeypatch: pytest.MonkeyPatch, path: str | None, storage: StorageFact | str = TWO_UP) -> JobResult:
    """What `invoke verify --path` makes of reads that were all local."""
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

    def program(_session: Session, _service: str, argv: list[str], **_more: Any) -> str:
        return "noise\n" + json.dumps(measured(rows=1, expected_rows=None, sum_ok=None, path=argv[3])) + "\n"

    monkeypatch.setattr(jobs, "exec_in", program)
    monkeypatch.setattr(jobs.status, "gather_status", lambda _session: seen)
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

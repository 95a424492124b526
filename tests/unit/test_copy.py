"""jobs/files/copy.py: what a user may write for a place, and what a copy's answer becomes."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest

from sparkqfs.config.model import SharedConfig, StorageConfig, StorageKind
from sparkqfs.errors import ConfigError, ExitCode
from sparkqfs.jobs.files import copy as copy_jobs
from sparkqfs.jobs.session import Session
from tests.builders.clusters import a_cluster

WITH_SHARED = SharedConfig(path=PurePosixPath("/mnt/nfs"))


def a_session(kind: StorageKind = "qfs", shared: SharedConfig = WITH_SHARED) -> Session:
    config = a_cluster(storage=StorageConfig(kind=kind, shared=shared))
    return Session(config, None, lambda _text: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "written", "uri"),
    [
        ("qfs", "/user/spark/a b", "qfs://qfs-master:20000/user/spark/a b"),
        ("hdfs", "/x", "hdfs://hdfs-namenode:9820/x"),
        ("shared", "/x", "file:///data/shared/x"),
        ("hdfs", "shared:/x", "file:///data/shared/x"),
        ("qfs", "hdfs://other:8020/x", "hdfs://other:8020/x"),
        ("qfs", "qfs:///x/y", "qfs://qfs-master:20000/x/y"),
        ("qfs", "qfs://QFS-Master:20000/x", "qfs://qfs-master:20000/x"),
        ("qfs", "qfs://qfs-master:200001/x", "qfs://qfs-master:200001/x"),
        ("hdfs", "hdfs:///x", "hdfs://hdfs-namenode:9820/x"),
        ("qfs", "hdfs:///x", "hdfs:///x"),
        ("shared", "file:///x", "file:///x"),
    ],
)
def test_a_place_is_a_path_a_path_on_the_shared_directory_or_a_uri(kind: StorageKind, written: str, uri: str) -> None:
    assert copy_jobs.uri_of(a_session(kind), written) == uri


@pytest.mark.parametrize("written", ["relative", "", "/a/../b", "shared:x", "C:/x", "--overwrite"])
def test_what_names_no_place_is_refused(written: str) -> None:
    with pytest.raises(ConfigError, match="is not a path"):
        copy_jobs.uri_of(a_session(), written)


@pytest.mark.parametrize(
    ("written", "end"),
    [("trips.csv", "/user/spark/trips.csv"), ("a/b", "/user/spark/a/b"), ("shared:x", "a whole URI")],
)
def test_a_path_from_spark_s_own_directory_is_written_out(written: str, end: str) -> None:
    with pytest.raises(ConfigError) as caught:
        copy_jobs.uri_of(a_session(), written)
    assert str(caught.value.problems[0].hint).endswith(end)


def test_a_cluster_without_a_shared_path_says_which_setting_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        copy_jobs.uri_of(a_session(shared=SharedConfig()), "shared:/x")
    assert caught.value.problems[0].config_path == "storage.shared.path"


def answered(monkeypatch: pytest.MonkeyPatch, **answer: Any) -> Any:
    """The job's result for an answer of the program in the container."""
    plain = {"from": "a", "to": "b", "files": 2, "bytes": 9, "copied": 0, "unchanged": 0, "differs": [], "failed": []}
    text = "noise\n" + json.dumps(plain | answer) + "\n"
    monkeypatch.setattr(copy_jobs, "exec_in", lambda *_args, **_more: text)
    return copy_jobs.copy(a_session(), "/a", "/b", overwrite=False, timeout_s=1)


def test_a_second_copy_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answered(monkeypatch, unchanged=2)
    assert (result.exit_code, result.outcomes[0].state) == (ExitCode.OK, "unchanged")


def test_files_that_differ_are_named_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answered(monkeypatch, copied=1, differs=[{"file": "a/x", "why": "another file of this name is there"}])
    assert result.exit_code == ExitCode.REFUSED
    assert "a/x" in result.problems[0].what and "--overwrite" in str(result.problems[0].hint)


def test_many_failures_are_listed_in_part_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answered(monkeypatch, failed=[{"file": f"a/{n}", "why": "no"} for n in range(25)])
    assert result.exit_code == ExitCode.FAILED
    assert len(result.problems) == 21 and result.problems[-1].what.startswith("5 more")


def test_a_place_that_is_not_there_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="a is not there"):
        answered(monkeypatch, problem="a is not there")

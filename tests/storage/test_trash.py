"""QFS's trash is emptied after a day, by QFS's own tool."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkqfs_runtime import trash
from tests.storage.qfs_cluster import QfsCluster
from tests.storage.qfs_reader import unpack_qfs


@pytest.fixture
def qfs(tmp_path: Path) -> Iterator[QfsCluster]:
    home = unpack_qfs(tmp_path / "programs")
    with QfsCluster(home, tmp_path / "home", addresses=("127.0.0.2",)) as running:
        yield running


def names(qfs: QfsCluster, user: str) -> list[str]:
    lines = qfs.run("-ls", f"/user/{user}/.Trash").splitlines()[1:]
    return [line.rsplit("/", 1)[1] for line in lines]


def test_what_is_older_than_a_day_goes_and_the_rest_gets_its_time(
    qfs: QfsCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's removed file, what was there yesterday, and what is no trash's."""
    monkeypatch.setenv("LD_LIBRARY_PATH", qfs.environment["LD_LIBRARY_PATH"])
    tool = qfs.qfs_home / "bin" / "tools" / "qfs"
    recent = time.strftime("%y%m%d%H%M", time.localtime(time.time() - 3_600))
    for user in ("anna", "bert"):
        for name in ("Current", "2001010101", recent, "notes"):
            qfs.run("-mkdir", f"/user/{user}/.Trash/{name}/deep")
    begun = time.strftime("%y%m%d%H%M")
    assert trash.empty(tool, qfs.uri, pass_s=5.0) == ""
    for user in ("anna", "bert"):
        found = names(qfs, user)
        assert recent in found and "notes" in found
        assert "2001010101" not in found and "Current" not in found
        assert [name for name in found if name >= begun and name.isdigit()]
    assert trash.empty(tool, qfs.uri, keep_s=1, pass_s=5.0) == ""


def test_a_metaserver_that_is_not_there_ends_nothing(tmp_path: Path) -> None:
    tool = tmp_path / "qfs"
    tool.write_text("#!/bin/sh\necho no metaserver >&2; exit 1\n")
    tool.chmod(0o755)
    assert trash.empty(tool, "qfs://127.0.0.1:1", pass_s=5.0) == "no metaserver"
    assert "No such file" in trash.empty(tmp_path / "none", "qfs://127.0.0.1:1")

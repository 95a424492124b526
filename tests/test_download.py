"""clients/download.py: the QFS tarball comes by checksum or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from builders import a_cluster
from servers import Answer, closed_port, serve

from sparkqfs.clients.download import Tarball, cache_directory, fetch_tarball, find_tarball, tarball_url
from sparkqfs.config import ClusterConfig, QfsConfig, StorageConfig
from sparkqfs.errors import ConfigError, UnreachableError

BODY = b"not really a tarball" * 200_000
SHA = hashlib.sha256(BODY).hexdigest()
NAME = "qfs-test.tgz"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def config_of(**qfs: Any) -> ClusterConfig:
    return a_cluster(storage=StorageConfig(qfs=QfsConfig(**qfs)))


def never(_text: object) -> bool:
    raise AssertionError("nobody should have been asked")


@dataclass
class Progress:
    """Every (bytes, total) that was told."""

    told: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, done: int, total: int) -> None:
        self.told.append((done, total))


def fetch(config: ClusterConfig, confirm: Callable[[str], bool] = never, progress: Progress | None = None) -> Tarball:
    return fetch_tarball(config, "x86_64", confirm=confirm, on_progress=progress or Progress())


def kept() -> list[str]:
    folder = cache_directory()
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_upstreams_address_has_version_and_architecture() -> None:
    assert tarball_url(config_of(version="2.2.9"), "aarch64").endswith("/qfs-debian-12-2.2.9-aarch64.tgz")
    assert tarball_url(config_of(url="https://example.org/q.tgz"), "aarch64") == "https://example.org/q.tgz"


def test_a_tarball_of_the_user_is_used_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(BODY)
    found = fetch(config_of(tarball=tmp_path / NAME, sha256=SHA.upper()))
    assert (found.path, found.sha256) == (tmp_path / NAME, SHA)
    assert kept() == []


def test_a_tarball_that_is_not_there_is_bad_input_and_not_downloaded_instead(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        fetch(config_of(tarball=tmp_path / "gone.tgz"))
    assert caught.value.problems[0].config_path == "storage.qfs.tarball" and caught.value.exit_code == 2


def test_a_tarball_with_another_checksum_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(BODY + b"x")
    with pytest.raises(ConfigError) as caught:
        find_tarball(config_of(tarball=tmp_path / NAME, sha256=SHA), "x86_64")
    (problem,) = caught.value.problems
    assert problem.config_path == "storage.qfs.sha256" and SHA in problem.what


def test_without_a_download_there_is_nothing() -> None:
    assert find_tarball(config_of(), "x86_64") is None


def test_a_download_tells_its_progress_and_is_there_the_next_time() -> None:
    progress = Progress()
    with serve({f"/{NAME}": Answer(body=BODY)}) as port:
        config = config_of(url=f"http://127.0.0.1:{port}/{NAME}", sha256=SHA)
        found = fetch(config, progress=progress)
    assert found.path.read_bytes() == BODY and found.sha256 == SHA
    assert progress.told[-1] == (len(BODY), len(BODY)) and progress.told == sorted(progress.told)
    assert len(progress.told) > 2
    assert kept() == [NAME]
    assert fetch(config).path == found.path  # the server is gone


def test_a_download_with_the_wrong_checksum_stops_and_keeps_nothing() -> None:
    with serve({f"/{NAME}": Answer(body=BODY)}) as port, pytest.raises(ConfigError) as caught:
        fetch(config_of(url=f"http://127.0.0.1:{port}/{NAME}", sha256="0" * 64))
    assert caught.value.problems[0].config_path == "storage.qfs.sha256"
    assert kept() == []


def test_a_checksum_that_nobody_confirms_stops_and_keeps_nothing() -> None:
    with (
        serve({f"/{NAME}": Answer(body=BODY)}) as port,
        pytest.raises(ConfigError, match="nobody has confirmed") as caught,
    ):
        fetch(config_of(url=f"http://127.0.0.1:{port}/{NAME}"), confirm=lambda _sha: False)
    assert SHA in str(caught.value) and kept() == []


def test_the_checksum_that_is_asked_about_is_that_of_the_download() -> None:
    asked: list[str] = []
    with serve({f"/{NAME}": Answer(body=BODY)}) as port:
        fetch(config_of(url=f"http://127.0.0.1:{port}/{NAME}"), confirm=lambda sha: not asked.append(sha))
    assert asked == [SHA] and kept() == [NAME]


def test_a_damaged_file_in_the_cache_is_refused() -> None:
    cache_directory().mkdir(parents=True)
    (cache_directory() / NAME).write_bytes(b"damaged")
    with pytest.raises(ConfigError, match="is wanted"):
        fetch(config_of(url=f"http://127.0.0.1:{closed_port()}/{NAME}", sha256=SHA))


@pytest.mark.parametrize("answer", [None, Answer(body=b"gone", status=404), Answer(body=BODY, length=2 * len(BODY))])
def test_what_cannot_be_had_whole_is_unreachable_with_the_way_round_and_keeps_nothing(answer: Answer | None) -> None:
    with serve({f"/{NAME}": answer} if answer else {}) as open_port, pytest.raises(UnreachableError) as caught:
        port = open_port if answer else closed_port()
        fetch(config_of(url=f"http://127.0.0.1:{port}/{NAME}", sha256=SHA))
    assert caught.value.exit_code == 3 and "SPARKQFS_QFS_TARBALL" in (caught.value.problems[0].hint or "")
    assert kept() == []


def test_a_server_that_labels_the_tarball_as_encoded_does_not_change_it() -> None:
    import gzip

    packed = gzip.compress(BODY)
    answer = Answer(body=packed, headers=(("Content-Encoding", "x-gzip"),))
    with serve({f"/{NAME}": answer}) as port:
        config = config_of(url=f"http://127.0.0.1:{port}/{NAME}", sha256=hashlib.sha256(packed).hexdigest())
        assert fetch(config).path.read_bytes() == packed

"""clients/download.py: the QFS tarball, Hadoop's and Delta's jars come by checksum or not at all."""

from __future__ import annotations

import hashlib
import re
import ssl
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.clients.ca import make_ca
from sparkqfs.clients.context import DELTA_LOCK, HADOOP_LOCK
from sparkqfs.clients.download import (
    Tarball,
    cache_directory,
    fetch_delta,
    fetch_jars,
    fetch_tarball,
    find_jars,
    find_tarball,
    main,
    read_lock,
    tarball_url,
)
from sparkqfs.config.model import ClusterConfig, QfsConfig, StorageConfig
from sparkqfs.errors import ConfigError, UnreachableError
from sparkqfs.topology import DELTA_VERSION, HADOOP_VERSION, SPARK_VERSION
from tests.builders.clusters import a_cluster
from tests.doubles.servers import Answer, closed_port, serve

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

    def yes(sha: str) -> bool:
        asked.append(sha)
        return True

    with serve({f"/{NAME}": Answer(body=BODY)}) as port:
        fetch(config_of(url=f"http://127.0.0.1:{port}/{NAME}"), confirm=yes)
    assert asked == [SHA] and kept() == [NAME]


def test_a_damaged_file_in_the_cache_is_refused() -> None:
    cache_directory().mkdir(parents=True)
    (cache_directory() / NAME).write_bytes(b"damaged")
    with pytest.raises(ConfigError, match="expected"):
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


# --- Hadoop's jars ---------------------------------------------------------------------------------------------------

JARS = {f"org/x/{name}/1/{name}-1.jar": name.encode() * 300_000 for name in ("one", "two", "three", "four")}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "hadoop.lock"
    path.write_text("".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in sorted(JARS.items())))
    return path


def answers(**instead: Answer) -> dict[str, Answer]:
    """Maven's answers for all jars; `three=...` gives another one for that jar."""
    return {f"/maven/{path}": instead.get(path.split("/")[2], Answer(body=body)) for path, body in JARS.items()}


def fetch_all(lock: Path, port: int, progress: Progress | None = None) -> tuple[Path, ...]:
    url = f"http://127.0.0.1:{port}/maven/"
    return fetch_jars(lock, offline=None, on_progress=progress or Progress(), base_url=url)


def cached() -> set[str]:
    folder = cache_directory() / "maven"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_jars_are_downloaded_into_their_maven_paths_and_are_there_the_next_time(lock: Path) -> None:
    progress = Progress()
    assert find_jars(lock, None) is None
    with serve(answers()) as port:
        found = fetch_all(lock, port, progress)
    assert [path.read_bytes() for path in found] == [body for _, body in sorted(JARS.items())]
    assert cached() == set(JARS)
    size = sum(map(len, JARS.values()))
    assert progress.told[-1] == (size, size) and [done for done, _ in progress.told] == sorted(
        done for done, _ in progress.told
    )
    assert find_jars(lock, None) == found == fetch_all(lock, closed_port())


def test_only_what_is_missing_or_damaged_is_downloaded_again(lock: Path) -> None:
    with serve(answers()) as port:
        first, second, *_ = fetch_all(lock, port)
    first.write_bytes(b"damaged")
    second.unlink()
    assert find_jars(lock, None) is None
    wanted = {f"/maven/{path}": Answer(body=JARS[path]) for path in sorted(JARS)[:2]}
    with serve(wanted) as port:
        fetch_all(lock, port)
    assert find_jars(lock, None) is not None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(body=b"other"), "expected"),
        (Answer(body=b"", status=404), "404"),
        (Answer(body=b"x", length=9), "cannot download"),
    ],
)
def test_a_jar_that_cannot_be_had_as_it_should_be_is_one_error_and_not_kept(
    lock: Path, answer: Answer, said: str
) -> None:
    with serve(answers(three=answer)) as port, pytest.raises(UnreachableError, match=said) as caught:
        fetch_all(lock, port)
    (problem,) = caught.value.problems
    assert caught.value.exit_code == 3 and "three-1.jar" in problem.what
    assert "storage.hdfs.jars" in (problem.hint or "")
    assert cached() <= set(JARS) - {"org/x/three/1/three-1.jar"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    """An authority that nobody knows, and a server's side with its certificate."""
    folder = tmp_path_factory.mktemp("tls")
    known, _, certificate, key = make_ca("127.0.0.1")
    (folder / "certificate").write_text(certificate)
    (folder / "key").write_text(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return known, context


def test_an_authority_of_ones_own_is_trusted_besides_the_others_and_else_named(
    lock: Path, authority: tuple[str, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, context = authority
    with serve(answers(), tls=context) as port:
        url = f"https://127.0.0.1:{port}/maven/"
        with pytest.raises(UnreachableError) as caught:
            fetch_jars(lock, offline=None, on_progress=Progress(), base_url=url)
        (problem,) = caught.value.problems
        assert "its certificate is not trusted here (unable to get local issuer certificate)" in problem.what
        assert "build.ca_certificates" in (problem.hint or "") and "storage.hdfs.jars" in (problem.hint or "")
        text = f"# Főtanúsítvány\n{known}"
        assert len(fetch_jars(lock, offline=None, on_progress=Progress(), base_url=url, certificates=text)) == len(JARS)
        config = config_of(url=f"https://127.0.0.1:{port}/{NAME}", sha256=SHA)
        with pytest.raises(UnreachableError, match="404"):
            fetch_tarball(config, "x86_64", confirm=never, on_progress=Progress(), certificates=text)


def test_the_computers_own_authorities_count(
    lock: Path, authority: tuple[str, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known, context = authority
    (tmp_path / "store").write_text(known)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "store"))
    with serve(answers(), tls=context) as port:
        assert fetch_jars(lock, offline=None, on_progress=Progress(), base_url=f"https://127.0.0.1:{port}/maven/")


@pytest.mark.parametrize(
    "text", ["none", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_a_fault_of_the_cluster_file(lock: Path, text: str) -> None:
    with serve(answers()) as port, pytest.raises(ConfigError, match="no certificates that can be read") as caught:
        url = f"http://127.0.0.1:{port}/maven/"
        fetch_jars(lock, offline=None, on_progress=Progress(), base_url=url, certificates=text)
    assert caught.value.problems[0].config_path == "build.ca_certificates"


def test_a_server_that_is_not_there_is_said_without_the_libraries_words(lock: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        fetch_all(lock, closed_port())
    assert caught.value.problems[0].what.endswith(
        "Failed to establish a new connection: [Errno 111] Connection refused"
    )


@pytest.mark.parametrize("kind", ["directory", "tar", "tar.gz"])
def test_jars_of_the_user_are_used_by_name_without_a_download(lock: Path, tmp_path: Path, kind: str) -> None:
    own = tmp_path / "own"
    for path, body in JARS.items():
        (own / "below").mkdir(parents=True, exist_ok=True)
        (own / "below" / path.rsplit("/", 1)[-1]).write_bytes(body)
    if kind != "directory":
        with tarfile.open(tmp_path / f"own.{kind}", "w:gz" if kind == "tar.gz" else "w") as tar:
            tar.add(own, "hadoop")
        own = tmp_path / f"own.{kind}"
    found = fetch_jars(lock, offline=own, on_progress=never_told, base_url=f"http://127.0.0.1:{closed_port()}/")
    assert [path.read_bytes() for path in found] == [body for _, body in sorted(JARS.items())]
    assert all(path.is_relative_to(cache_directory() if kind != "directory" else own) for path in found)


def never_told(_done: int, _total: int) -> None:
    raise AssertionError("nothing should have been downloaded")


@pytest.mark.parametrize("kind", ["absent", "empty", "damaged", "no-archive", "damaged-tar"])
def test_jars_of_the_user_that_are_not_the_right_ones_are_bad_input(lock: Path, tmp_path: Path, kind: str) -> None:
    own = tmp_path / "own"
    if kind == "no-archive":
        own.write_bytes(b"no archive")
    elif kind != "absent":
        own.mkdir()
    if kind.startswith("damaged"):
        for path in JARS:
            (own / path.rsplit("/", 1)[-1]).write_bytes(b"damaged")
    if kind == "damaged-tar":
        with tarfile.open(tmp_path / "own.tar", "w") as tar:
            tar.add(own, "hadoop")
        own = tmp_path / "own.tar"
    with pytest.raises(ConfigError) as caught:
        find_jars(lock, own)
    assert caught.value.problems[0].config_path == "storage.hdfs.jars"
    assert cached() == set()


def test_the_lock_of_the_product_names_each_jar_once() -> None:
    jars = read_lock(HADOOP_LOCK)
    paths = [jar.path for jar in jars]
    assert paths == sorted(set(paths)) and len({jar.name for jar in jars}) == len(jars)
    assert f"org/apache/hadoop/hadoop-hdfs/{HADOOP_VERSION}/hadoop-hdfs-{HADOOP_VERSION}.jar" in paths
    assert all(len(jar.sha256) == 64 and jar.path.endswith(".jar") for jar in jars)


def test_delta_is_of_one_version_for_the_spark_of_the_images_in_all_its_files() -> None:
    folder = DELTA_LOCK.parent
    jars = read_lock(DELTA_LOCK)
    assert [jar.path for jar in jars] == sorted({jar.path for jar in jars})
    assert all(f"-{DELTA_VERSION}.jar" in jar.name and re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)
    minor = SPARK_VERSION.rpartition(".")[0]
    assert sum(jar.name.startswith(f"delta-spark_{minor}_") for jar in jars) == 1
    text = (folder / "requirements.lock").read_text(encoding="utf-8")
    assert f"\ndelta-spark=={DELTA_VERSION} " in text
    model = (folder / "delta.pom.xml").read_text(encoding="utf-8")
    assert f"<delta.version>{DELTA_VERSION}<" in model
    assert {jar.path.split("/")[2] for jar in jars} == set(re.findall("<artifactId>(delta-.+)</artifactId>", model))


def test_deltas_jars_come_as_hadoops_do_and_a_fault_names_their_page(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparkqfs.clients.download.DELTA_LOCK", lock)
    with serve(answers(two=Answer(body=b"another"))) as port, pytest.raises(UnreachableError) as caught:
        fetch_delta(base_url=f"http://127.0.0.1:{port}/maven/")
    assert "docs/delta.md" in str(caught.value.problems[0].hint)
    with serve(answers()) as port:
        assert len(fetch_delta(base_url=f"http://127.0.0.1:{port}/maven/")) == len(JARS)


def test_as_a_program_it_knows_three_things_to_fetch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPARKQFS_QFS_TARBALL", str(tmp_path / NAME))
    (tmp_path / NAME).write_bytes(BODY)
    assert main(["download"]) == 0 and SHA in capsys.readouterr().err
    for jar in (*read_lock(HADOOP_LOCK), *read_lock(DELTA_LOCK)):
        jar.cached.parent.mkdir(parents=True, exist_ok=True)
        jar.cached.write_bytes(b"")
    sums = {jar.cached: jar.sha256 for jar in (*read_lock(HADOOP_LOCK), *read_lock(DELTA_LOCK))}
    monkeypatch.setattr("sparkqfs.clients.download.sha256_of", sums.__getitem__)
    assert main(["download", "hdfs"]) == 0 and "Hadoop: 84 jars" in capsys.readouterr().err
    assert main(["download", "delta"]) == 0 and "Delta: 4 jars" in capsys.readouterr().err
    assert main(["download", "other"]) == 2


def test_as_a_program_it_names_the_variable_whose_file_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARKQFS_QFS_TARBALL", "/no/such.tgz")
    assert main(["download"]) == 2
    assert "SPARKQFS_QFS_TARBALL: /no/such.tgz is not there" in capsys.readouterr().err

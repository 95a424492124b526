"""clients/context.py: what an image is made from, and what of it counts."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

from sparkqfs import topology
from sparkqfs.clients.context import StorageParts, make_context, packages_context, tar_of
from sparkqfs.config.model import BuildConfig
from tests.builders.clusters import a_cluster
from tests.paths import ROOT

LOCK = "0" * 64


def names(context_name: str, parts: StorageParts | None) -> set[str]:
    with tar_of(make_context(a_cluster(), context_name, parts)) as file, tarfile.open(fileobj=file) as tar:
        return set(tar.getnames())


def test_jars_are_in_a_directory_that_is_always_there(tmp_path: Path) -> None:
    (tmp_path / "a-1.jar").write_bytes(b"jar")
    jars = names(topology.WORKER_NODE, StorageParts(f"hadoop {LOCK}", jars=(tmp_path / "a-1.jar",)))
    assert jars - names(topology.WORKER_NODE, None) == {"hadoop/a-1.jar"}
    assert {"hadoop/.keep", "qfs.tgz"} <= names(topology.WORKER_NODE, None)
    assert not any(name.startswith("hadoop/") for name in names(topology.SPARK_MASTER, None))


def test_parts_count_by_their_digest_before_they_are_fetched(tmp_path: Path) -> None:
    (tmp_path / "a-1.jar").write_bytes(b"jar")

    def digest(parts: StorageParts | None) -> str:
        return make_context(a_cluster(), topology.WORKER_NODE, parts).digest

    known = digest(StorageParts(f"hadoop {LOCK}"))
    assert known == digest(StorageParts(f"hadoop {LOCK}", jars=(tmp_path / "a-1.jar",)))
    assert len({known, digest(None), digest(StorageParts(f"qfs {LOCK}"))}) == 3


def test_what_the_lock_says_does_not_count_without_its_jars() -> None:
    assert not {name for name in names(topology.WORKER_NODE, None) if name.startswith("hadoop.")}


def test_the_users_packages_are_a_file_of_their_context_and_no_part_of_its_digest() -> None:
    context = packages_context(a_cluster(), ("polars==1.9.0", "seaborn"), ("polars",))
    texts: dict[str, str] = {}
    with tar_of(context) as file, tarfile.open(fileobj=file) as tar:
        for name in tar.getnames():
            handle = tar.extractfile(name)
            texts[name] = handle.read().decode() if handle is not None else ""
    assert set(texts) == {"Dockerfile", "requirements.txt", "free.txt", "ca/.keep"}
    assert texts["requirements.txt"] == "polars==1.9.0\nseaborn\n" and texts["free.txt"] == "polars\n"
    assert context.digest == packages_context(a_cluster()).digest


def test_certificates_of_the_build_reach_it_and_change_no_image(tmp_path: Path) -> None:
    certificate = tmp_path / "company.pem"
    certificate.write_text("a certificate")
    with_one = a_cluster(build=BuildConfig(ca_certificates=(certificate,)))
    for name in (topology.WORKER_NODE, topology.JUPYTER_SERVER):
        one, none = make_context(with_one, name, None), make_context(a_cluster(), name, None)
        assert one.digest == none.digest
        assert {arc for arc, *_ in one.members} - {arc for arc, *_ in none.members} == {"ca/0.crt"}
    assert packages_context(with_one).digest == packages_context(a_cluster()).digest


def test_no_image_of_the_stack_runs_as_root() -> None:
    last = {
        path.parent.name: re.findall(r"^USER (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[-1:]
        for path in (ROOT / "docker").glob("*/Dockerfile")
    }
    del last["local-node"]  # a machine of the local cluster
    assert last[topology.WORKER_NODE] and last[topology.REGISTRY]  # on Debian; all others are built on worker-node
    assert [name for name, users in last.items() for user in users if user.split(":")[0] in ("root", "0")] == []

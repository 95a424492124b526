"""`spark.delta`: one word in hosts.yml, a layer of two images, and what Spark is told."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from sparkqfs import topology
from sparkqfs.clients import context
from sparkqfs.clients.context import delta_context, make_context, tar_of
from sparkqfs.config.loading import load_config
from sparkqfs.config.model import BuildConfig, ClusterConfig, SparkConfig, StorageConfig, WorkerConfig
from sparkqfs.errors import ConfigError
from sparkqfs.plan.cluster.images import image_refs, stack_images
from sparkqfs.plan.programs.fits import parse_defaults
from tests.builders.clusters import a_cluster
from tests.builders.stacks import build, defaults

NAMES = [topology.REGISTRY, *(image.name for image in stack_images(a_cluster()))]
CONTEXTS = {name: f"digest of {name}" for name in [*NAMES, topology.PACKAGES, topology.DELTA]}
WITH_DELTA = SparkConfig(delta=True)
PROGRAMS = {topology.WORKER_NODE, topology.JUPYTER_SERVER}
EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"


def load(folder: Path, text: str) -> ClusterConfig:
    file = folder / "hosts.yml"
    file.write_text("nodes: {node1: 192.168.1.11}\n" + text)
    return load_config(file, {})


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(folder, text)
    return [str(problem.config_path) for problem in raised.value.problems]


def settings(config: ClusterConfig) -> dict[str, str]:
    return parse_defaults(defaults(build(config)))


def test_it_is_off_unless_the_file_says_so(tmp_path: Path) -> None:
    assert [load(tmp_path, text).spark.delta for text in ("", "spark: {delta: true}")] == [False, True]


@pytest.mark.parametrize("kind", ["qfs", "hdfs"])
def test_it_goes_with_the_storages_that_give_a_name_to_one_writer(tmp_path: Path, kind: str) -> None:
    assert load(tmp_path, f"spark: {{delta: true}}\nstorage: {{kind: {kind}}}\n").spark.delta


def test_it_is_refused_on_a_shared_path(tmp_path: Path) -> None:
    text = "storage: {kind: shared, shared: {path: /mnt/nfs}}\nspark: {delta: %s}\n"
    assert faults(tmp_path, text % "true") == ["spark.delta"]
    assert not load(tmp_path, text % "false").spark.delta


@pytest.mark.parametrize(
    ("key", "value", "is_fine"),
    [
        ("spark.sql.extensions", "org.example.Mine", False),
        ("spark.sql.extensions", f"org.example.Mine, {EXTENSION}", True),
        ("spark.sql.catalog.spark_catalog", "org.example.Mine", False),
        ("spark.sql.catalog.other", "org.example.Mine", True),
    ],
)
def test_settings_that_would_keep_delta_out_are_refused(tmp_path: Path, key: str, value: str, is_fine: bool) -> None:
    for delta in ("true", "false"):
        text = f'spark: {{delta: {delta}, conf: {{{key}: "{value}"}}}}\n'
        if is_fine or delta == "false":
            assert settings(load(tmp_path, text))[key] == value
        else:
            assert faults(tmp_path, text) == [f"spark.conf.{key}"]


def test_spark_is_told_of_it_only_where_it_is() -> None:
    plain, more = settings(a_cluster()), settings(a_cluster(spark=WITH_DELTA))
    added = {key: more[key] for key in more if key not in plain}
    assert added["spark.sql.extensions"] == EXTENSION
    assert added["spark.delta.logStore.file.impl"] == "sparkqfs.tables.NoLocalTables"
    assert not any("delta" in value.lower() for value in plain.values())
    assert int(added["spark.databricks.delta.snapshotPartitions"]) == int(plain["spark.sql.shuffle.partitions"])


def test_it_is_a_layer_where_programs_run_and_all_else_stays_as_it_is() -> None:
    plain = image_refs(a_cluster(), CONTEXTS)
    refs = image_refs(a_cluster(spark=WITH_DELTA), CONTEXTS)
    assert {name for name in NAMES if refs[name].tag != plain[name].tag} == PROGRAMS
    for name in NAMES:
        assert refs[name].plain == plain[name].reference and refs[name].parent == plain[name].parent
        assert refs[name].reference == (refs[name].delta or refs[name].plain)


def test_other_jars_change_that_layer_alone() -> None:
    other = CONTEXTS | {topology.DELTA: "other jars"}
    one, two = (image_refs(a_cluster(spark=WITH_DELTA), found) for found in (CONTEXTS, other))
    assert {name for name in NAMES if one[name].tag != two[name].tag} == PROGRAMS
    assert image_refs(a_cluster(), CONTEXTS) == image_refs(a_cluster(), other)


def test_the_users_packages_come_above_it() -> None:
    worker = WorkerConfig(requirements=("polars==1.9.0",))
    without, refs = (
        image_refs(a_cluster(spark=spark, worker=worker), CONTEXTS) for spark in (SparkConfig(), WITH_DELTA)
    )
    for name in PROGRAMS:
        assert refs[name].below_packages == refs[name].delta != refs[name].reference
        assert without[name].below_packages == without[name].plain
        assert refs[name].tag != without[name].tag


def names(config: ClusterConfig, *jars: Path) -> set[str]:
    with tar_of(delta_context(config, jars)) as file, tarfile.open(fileobj=file) as tar:
        return set(tar.getnames())


def test_jars_count_by_their_lock_and_certificates_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar, certificate = tmp_path / "a.jar", tmp_path / "ca.pem"
    jar.write_bytes(b"jar")
    certificate.write_text("a certificate")
    trusting = a_cluster(build=BuildConfig(ca_certificates=(certificate,)))
    assert names(trusting, jar) - names(a_cluster()) == {"jars/a.jar", "ca/0.crt"}
    assert {"Dockerfile", "requirements.lock"} <= names(a_cluster()) and "delta.lock" not in names(a_cluster())
    before = delta_context(a_cluster()).digest
    assert before == delta_context(trusting, (jar,)).digest
    (tmp_path / "delta.lock").write_text(context.DELTA_LOCK.read_text() + "another line\n")
    monkeypatch.setattr(context, "DELTA_LOCK", tmp_path / "delta.lock")
    assert delta_context(a_cluster()).digest != before


def test_no_other_image_has_anything_of_it() -> None:
    for name in NAMES:
        made = make_context(a_cluster(spark=WITH_DELTA, storage=StorageConfig()), name, None)
        assert made.digest == make_context(a_cluster(), name, None).digest

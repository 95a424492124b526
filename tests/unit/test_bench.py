"""bench.storage without a cluster: what is measured, and what becomes of the figures."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from sparkqfs.config.model import ClusterConfig, SharedConfig, StorageConfig, StorageKind
from sparkqfs.errors import ConfigError, ExitCode, RefusedError
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.jobs.measuring import bench as jobs
from sparkqfs.plan.measuring import bench
from sparkqfs.plan.measuring.bench_results import compare, ratio_text, spread, table_lines
from sparkqfs.report.bench_page import bench_page, write_bench_page
from tests.builders.bench import SIZE, UPSTREAM, a_result
from tests.builders.clusters import a_cluster
from tests.builders.facts import prepared
from tests.paths import ROOT, RUNTIME

GIB = 1 << 30
WITH_SHARED = SharedConfig(path=PurePosixPath("/mnt/nfs"))
GBIT = bench.parse_link("1gbit")


def a_storage(kind: StorageKind, nodes: int = 3, shared: SharedConfig | None = None, **more: Any) -> ClusterConfig:
    names = [f"node{number + 1}" for number in range(nodes)]
    storage = StorageConfig(kind=kind, replication=min(2, nodes), shared=shared or SharedConfig())
    return a_cluster(*names, storage=storage, **more)


def facts_of(config: ClusterConfig, free_gib: int = 100, memory_mib: int = 8192) -> dict[str, NodeFacts]:
    machines = prepared(config)
    return {
        name: replace(
            fact, memory_mib=memory_mib, disks=tuple(replace(disk, free_bytes=free_gib * GIB) for disk in fact.disks)
        )
        for name, fact in machines.items()
    }


def variant_names(config: ClusterConfig, link: bench.Link | None = None) -> list[str]:
    return [variant.name for variant in bench.variants_of(bench.forms_of(config, link))]


# --- what is measured ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "names"),
    [
        (a_storage("qfs"), ["qfs-1", "qfs-1-upstream", "qfs-2", "qfs-2-upstream", "qfs-3", "qfs-3-upstream"]),
        (a_storage("qfs", nodes=1), ["qfs-1", "qfs-1-upstream"]),
        (a_storage("hdfs", nodes=2), ["hdfs-1", "hdfs-2"]),
        (a_storage("hdfs", shared=WITH_SHARED), ["hdfs-1", "hdfs-2", "hdfs-3", "shared"]),
        (a_storage("shared", shared=WITH_SHARED), ["shared"]),
    ],
)
def test_a_cluster_measures_all_that_it_has_nodes_for(config: ClusterConfig, names: list[str]) -> None:
    assert variant_names(config) == names


@pytest.mark.parametrize(("nodes", "is_there"), [(8, False), (9, True)])
def test_reed_solomon_needs_a_node_for_each_part(nodes: int, is_there: bool) -> None:
    assert ("qfs-rs-6-3" in variant_names(a_storage("qfs", nodes=nodes))) is is_there


def test_over_a_shaped_link_the_shared_path_is_left_out() -> None:
    assert "shared" not in variant_names(a_storage("hdfs", shared=WITH_SHARED), GBIT)
    with pytest.raises(ConfigError, match="below them"):
        bench.forms_of(a_storage("shared", shared=WITH_SHARED), GBIT)


def test_the_baseline_is_what_the_cluster_does_by_itself() -> None:
    for config, name in ((a_storage("qfs"), "qfs-2"), (a_storage("shared", shared=WITH_SHARED), "shared")):
        variants = bench.variants_of(bench.forms_of(config, None))
        assert bench.baseline_of(config, variants) == name
    bench.check_baseline(None, variants)
    with pytest.raises(ConfigError, match="no variant here"):
        bench.check_baseline("hdfs-2", variants)


@pytest.mark.parametrize(("text", "bits"), [("1gbit", 10**9), ("2.5gbit", 2_500_000_000), ("100mbit", 10**8)])
def test_a_link_is_written_as_tc_writes_it(text: str, bits: int) -> None:
    assert bench.parse_link(text).bits_per_s == bits


@pytest.mark.parametrize("text", ["", "1", "gbit", "1 gbit", "-1gbit", "0mbit", "1gbps", "999gbit", "1gbit; reboot"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--link"):
        bench.parse_link(text)


def test_the_machines_own_link_is_never_shaped() -> None:
    bench.check_link(a_storage("qfs"))
    with pytest.raises(RefusedError, match="yours too") as caught:
        bench.check_link(a_storage("qfs", network="host"))
    assert caught.value.exit_code == ExitCode.REFUSED


def sizes(config: ClusterConfig, facts: dict[str, NodeFacts], **asked: Any) -> bench.Sizes:
    wanted: dict[str, Any] = {"mib": None, "rounds": None, "quick": False}
    return bench.sizes_of_bench(config, facts, bench.forms_of(config, None), **(wanted | asked))


def test_the_size_follows_from_memory_where_the_disks_are_large() -> None:
    config = a_storage("qfs")
    small, large = (sizes(config, facts_of(config, free_gib=1000, memory_mib=mib)) for mib in (8192, 16384))
    assert bench.LEAST_MIB < small.mib < large.mib < bench.MOST_MIB and "memory" in small.why


def test_the_size_follows_from_the_disks_where_they_are_small() -> None:
    config = a_storage("qfs")
    found = sizes(config, facts_of(config, free_gib=20, memory_mib=65536))
    assert found.mib == 20 * 1024 * 3 // 4 // 6 and "disks" in found.why


def test_quick_is_small_and_what_is_asked_for_wins() -> None:
    config = a_storage("qfs")
    facts = facts_of(config)
    assert (sizes(config, facts, quick=True).mib, sizes(config, facts, quick=True).rounds) == (96, 2)
    assert (sizes(config, facts, quick=True, mib=300, rounds=5).mib, sizes(config, facts, rounds=5).rounds) == (300, 5)


def test_more_than_the_disks_hold_is_refused_before_anything_is_written() -> None:
    config = a_storage("qfs")
    with pytest.raises(ConfigError, match="are free") as caught:
        sizes(config, facts_of(config, free_gib=10), mib=100_000)
    assert "--mib" in str(caught.value.problems[0].hint)


def test_each_table_has_a_place_of_its_own_in_a_directory_that_is_ours() -> None:
    config = a_storage("qfs", shared=WITH_SHARED)
    forms = bench.forms_of(config, None)
    spec: Any = bench.specification(forms, bench.variants_of(forms), sizes(config, facts_of(config), quick=True))
    uris = [table["uri"] for table in spec["tables"]]
    assert len(set(uris)) == len(uris) == 4
    assert all("/tmp/sparkqfs-bench/" in uri for uri in uris)
    assert {variant["table"] for variant in spec["variants"]} == {table["name"] for table in spec["tables"]}


# --- what became of it ---------------------------------------------------------------------------


def test_a_cell_is_the_median_with_the_least_and_the_most() -> None:
    ours = compare([a_result()]).rows[0]
    assert (ours.cells["scan"].seconds, ours.disk) == (spread([10.0, 11.0, 12.0]), 2.0)
    assert ours.cells["scan"].network == spread([0.5] * 3) and ours.cells["scan"].cpu.median == 7.0
    assert ours.local_share == 0.75


def test_a_ratio_says_when_it_may_be_chance() -> None:
    apart = compare([a_result({"qfs-2": [10.0, 11.0, 11.0, 12.0], UPSTREAM: [20.0, 21.0, 21.0, 22.0]})])
    close = compare([a_result({"qfs-2": [10.0, 11.0, 11.0, 12.0], UPSTREAM: [11.5, 14.0, 14.0, 15.0]})])
    assert ratio_text(apart, apart.rows[1], "scan") == "1.91"
    assert ratio_text(close, close.rows[1], "scan") == "~1.27"
    assert ratio_text(apart, apart.baseline, "scan") == "1.00"
    few = compare([a_result({"qfs-2": [10.0] * 3, UPSTREAM: [20.0] * 3})])
    assert ratio_text(few, few.rows[1], "scan") == "~2.00"
    assert ratio_text(apart, apart.rows[1], "write") == "-"


def test_files_of_several_clusters_and_links_keep_their_rows_apart() -> None:
    other = a_result({"hdfs-2": [5.0]}, cluster="other", storage="hdfs", link="1gbit")
    other["tables"] = {"qfs-2": {"bytes": SIZE, "disk_bytes": None}}
    found = compare([a_result(), other], baseline="hdfs-2")
    assert [row.name for row in found.rows] == [
        "qfs-2 spark unshaped",
        f"{UPSTREAM} spark unshaped",
        "hdfs-2 other 1gbit",
    ]
    assert found.baseline.name == "hdfs-2 other 1gbit"


def test_a_variant_that_two_storages_were_measured_beside_is_told_apart() -> None:
    beside = a_result({"qfs-2": [5.0], "hdfs-2": [6.0]}, storage="hdfs")
    found = compare([a_result(), beside], baseline="hdfs-2")
    assert [row.name for row in found.rows] == ["qfs-2 beside qfs", UPSTREAM, "qfs-2 beside hdfs", "hdfs-2"]
    assert compare([a_result(), beside]).baseline.name == "qfs-2 beside qfs"


def test_a_baseline_that_was_not_measured_names_those_that_were() -> None:
    with pytest.raises(ConfigError) as caught:
        compare([a_result()], "hdfs-2")
    assert UPSTREAM in str(caught.value.problems[0].hint)


def test_wrong_data_is_a_failure_whatever_its_speed() -> None:
    document = a_result()
    document["samples"][1]["is_right"] = False
    report = jobs.report_of((document,), None)
    assert report.result.exit_code == ExitCode.FAILED
    assert "qfs-2 scan of round 2" in report.result.problems[0].what


def test_a_sample_in_which_a_worker_was_replaced_counts_for_nothing_and_fails() -> None:
    document = a_result({"qfs-2": [10.0, 12.0, 99.0], UPSTREAM: [20.0]})
    for number in (2, 3):
        document["samples"][number] |= {"received_bytes": -5, "replaced": ["10.20.30.4"]}
    report = jobs.report_of((document,), None)
    assert report.result.exit_code == ExitCode.FAILED
    assert [one.what for one in report.result.problems] == [
        "qfs-2 scan of round 3: a worker was replaced while measuring, left out",
        f"{UPSTREAM} scan of round 1: a worker was replaced while measuring, left out",
    ]
    assert "measure again" in str(report.result.problems[0].hint)
    assert report.comparison.rows[0].cells["scan"].seconds == spread([10.0, 12.0])
    assert "scan" not in report.comparison.rows[1].cells


def test_the_text_has_a_table_for_each_operation() -> None:
    lines = table_lines(compare([a_result()]))
    heads = [line.split()[0] for line in lines if "ratio" in line and "seconds" in line]
    assert heads == list(bench.OPERATIONS)
    assert any(line.split()[:3] == [UPSTREAM, "21.0", "(20.0-22.0)"] for line in lines)


def test_what_measuring_costs_is_said() -> None:
    found = compare([a_result()])
    said = "nothing at all shows 0.002 network/byte and 0.4 CPU s/GB"
    assert said in table_lines(found)[-1] and "0.002" in bench_page([a_result()], found)


def test_the_page_shows_every_variant_and_runs_nothing() -> None:
    document = a_result({"qfs-2": [10.0], "<script>": [5.0]})
    page = bench_page([document], compare([document]))
    assert "<script" not in page and "&lt;script&gt;" in page and page.count("<svg") >= 4
    assert "http" not in page


def test_a_network_that_is_not_seen_is_not_called_zero() -> None:
    document = a_result({"shared": [5.0]}, baseline="shared")
    document["variants"][0]["is_counted"] = False
    found = compare([document])
    assert found.rows[0].cells["scan"].network is None and found.rows[0].local_share is None
    assert "Not seen from the containers" in bench_page([document], found)


# --- files ---------------------------------------------------------------------------------------


def test_a_result_file_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.json"
    jobs.save(file, a_result())
    report = jobs.report((file,), None)
    assert report.documents[0] == a_result() and report.result.exit_code == ExitCode.OK
    write_bench_page(tmp_path / "page.html", report.documents, report.comparison)
    saved = jobs.saved(report.result, tmp_path / "page.html")
    assert str(tmp_path / "page.html") in saved.text and "qfs-2" in (tmp_path / "page.html").read_text()


def test_a_file_is_named_after_what_was_measured() -> None:
    assert jobs.default_name(jobs.report_of((a_result(),), None)) == "bench-spark-qfs"
    assert jobs.default_name(jobs.report_of((a_result(link="1gbit"),), None)) == "bench-spark-qfs-1gbit"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 2, "samples": []}', "not json"])
def test_another_file_is_no_result_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ConfigError, match="not a result file"):
        jobs.report((tmp_path / "x.json",), None)


def test_a_damaged_result_file_says_what_is_missing(tmp_path: Path) -> None:
    document = a_result()
    del document["tables"]
    (tmp_path / "x.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="tables"):
        jobs.report((tmp_path / "x.json",), None)


def test_no_file_at_all_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no result file"):
        jobs.report((), None)
    with pytest.raises(ConfigError, match="cannot be read"):
        jobs.report((tmp_path / "none.json",), None)


def test_a_count_below_one_is_bad_input() -> None:
    assert (bench.at_least_one("--mib", 0), bench.at_least_one("--mib", 5)) == (None, 5)
    with pytest.raises(ConfigError, match="--mib -1"):
        bench.at_least_one("--mib", -1)


def test_bench_md_names_every_key_of_the_result_file() -> None:
    page = (ROOT / "docs" / "bench.md").read_text(encoding="utf-8")
    rows = [line for line in page.partition("## The result file (schema 1)")[2].splitlines() if line.startswith("| `")]
    named = {code for row in rows for code in re.findall(r"`([^`]+)`", row.split("|")[1])}
    assert named == (set(a_result()) | {"hosts", "rows"}) - {"schema"}


MEASURING = RUNTIME / "sparkqfs_runtime" / "measuring"


def test_the_program_uses_only_what_verify_has() -> None:
    verify = ast.parse((MEASURING / "verify.py").read_text(encoding="utf-8"))
    classes = {node.name: node for node in verify.body if isinstance(node, ast.ClassDef)}
    names = {node.name for node in verify.body if isinstance(node, ast.FunctionDef)} | set(classes)
    names |= {ast.unparse(target) for node in verify.body if isinstance(node, ast.Assign) for target in node.targets}
    methods = {
        f"{name}.{node.name}"
        for name, found in classes.items()
        for node in found.body
        if isinstance(node, ast.FunctionDef)
    }
    used = set()
    for node in ast.walk(ast.parse((MEASURING / "bench_storage.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "verify":
            used.add(node.attr)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self.driver":
            used.add(f"Driver.{node.attr}")
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).startswith(("files", "verify.Files(")):
            used.add(f"Files.{node.attr}")
    assert {"Driver.tasks", "Files.listed", "Files.delete", "make_rows"} <= used
    assert used - names - methods == set()

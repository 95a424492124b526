"""checks_locality.judge_locality and the page: measurements as `verify` prints them, and what is said of them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.checks.locality import Verdict, count_local, find_faults, judge_locality
from sparkqfs.errors import ClusterError
from sparkqfs.report.locality_page import bars, page, write_page
from tests.builders.locality import EXPECTED, PLACEMENT, A, B, C, D, measured


def judge(found: dict[str, Any], **changes: Any) -> Verdict:
    return judge_locality(found, replace(EXPECTED, **changes))


def said(verdict: Verdict) -> str:
    return "\n".join(map(str, (*verdict.problems, *verdict.notes)))


REMOTE: dict[str, Any] = {"received_total": 540_000_000}


def a_reader(local: float, remote: float = 0, fallback: float = 0, **more: Any) -> dict[str, Any]:
    """Counts in MB."""
    counts = {"local": local, "remote": remote, "fallback": fallback}
    return {f"{key}_bytes": int(count * 1e6) for key, count in counts.items()} | {"fallbacks": {}} | more


def test_local_reads_are_called_local_without_a_problem() -> None:
    verdict = judge(measured())
    assert (verdict.state, verdict.problems, verdict.notes) == ("local", (), ())
    assert verdict.text == "local: 0.1% of 1,080 MB came over the network"


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        (
            {**REMOTE, "reader_off": "spark.hadoop.fs.qfs.localRead=false"},
            {"remote_reads": "the client reads a random copy"},
            [
                "50.0% of the bytes",
                "a random copy of 2: about 50%",
                "local reading is off: spark.hadoop.fs.qfs.localRead=false",
                "take spark.hadoop.fs.qfs.localRead out of spark.conf, then `invoke deploy`",
            ],
        ),
        (
            {**REMOTE, "hosts": [A, B, "worker-3"], "addresses": {A: A, B: B, "worker-3": C}},
            {},
            [
                "[node3] executor host worker-3 ≠ chunkserver host 10.20.30.4, the address of the same container",
                "start the worker with `--host 10.20.30.4`",
                "invoke down deploy",
            ],
        ),
        (
            {**REMOTE, "hosts": [A, B, "worker-3"]},
            {},
            ["executor host worker-3 ≠ chunkserver host 10.20.30.4, its node is not known", "container's address"],
        ),
        (
            {**REMOTE, "hosts": [A, B, D], "addresses": {A: A, B: B, D: D}},
            {"workers": {A: "node1", B: "node2", C: "node3", D: "node3"}},
            [
                f"[node3] executor host {D} ≠ chunkserver host {C}, another container of that node",
                "share the container, and so the address, of its chunkserver",
            ],
        ),
        (
            {**REMOTE, "hosts": [A, B, D], "addresses": {A: A, B: B, D: D}},
            {"workers": {A: "node1", B: "node2", D: "node3"}, "containers": {C: "node3"}},
            [f"[node3] executor host {D} ≠ chunkserver host {C}, another container of that node"],
        ),
        ({**REMOTE, "hosts": [A, B]}, {"up_hosts": (A, B)}, ["[node3] no chunkserver is up at 10.20.30.4"]),
        ({**REMOTE, "hosts": [A, B, C, "worker-4"]}, {}, ["executor host worker-4 has no chunkserver"]),
        (
            {
                **REMOTE,
                "scan": {
                    "files_per_partition": 3.0,
                    "bytes_elsewhere": 300_000_000,
                    "max_partition_bytes": 128 << 20,
                    "open_cost_bytes": 4 << 20,
                },
            },
            {},
            [
                "3 files of 30 MB per partition: 28% of the bytes",
                "spark.sql.files.openCostInBytes is 4.2 MB, maxPartitionBytes 134 MB",
                "take spark.sql.files.* out of spark.conf, then `invoke deploy`; or write larger files",
            ],
        ),
        (
            {**REMOTE, "scan": {"files_per_partition": 3.0, "bytes_elsewhere": 300_000_000}},
            {},
            ["3 files of 30 MB per partition: 28% of the bytes", "hint: write larger files"],
        ),
        (
            {
                **REMOTE,
                "scan": {"bytes_per_partition": 128 << 20, "bytes_elsewhere": 300_000_000},
                "placement": {"largest_block_bytes": 64 << 20},
            },
            {},
            ["partitions of 134 MB over chunks of 67 MB", "spark.sql.files.maxPartitionBytes"],
        ),
        (
            {**REMOTE, "placement": {"striped_blocks": 12, "copies": {"6": 12}}},
            {},
            ["12 of 12 chunks are of striped files (erasure coding) on 3 hosts", "plain copies"],
        ),
        (
            {**REMOTE, "placement": {"copies": {"1": 4, "2": 8}}},
            {},
            ["4 of 12 chunks have fewer than 2 copies, 4 of them one", "storage.replication"],
        ),
        ({**REMOTE, "placement": {"copies": {"1": 12}}}, {"replication": 1}, ["12 chunks with a single copy"]),
        ({**REMOTE, "placement": {"copies": {"2": 12}}}, {"replication": 3}, ["12 of 12 chunks have fewer than 3"]),
        ({**REMOTE, "placement": {"copies": {"0": 1, "2": 11}}}, {}, ["1 of 12 chunks have no copy on a live"]),
        (
            {**REMOTE, "hosts": [A, B]},
            {"up_hosts": (A, B), "workers": {A: "node1", B: "node2"}},
            [
                "[node3] no worker runs there",
                "8 of 12 chunks have a copy on 10.20.30.4, which is not a live chunkserver",
            ],
        ),
        (
            REMOTE,
            {"up_hosts": (A, B)},
            ["[node3] no chunkserver is up at 10.20.30.4", "[node3] 8 of 12 chunks have a copy on 10.20.30.4, which"],
        ),
        ({**REMOTE, "hosts": [A, B]}, {}, ["[node3] 8 of 12 chunks have a copy on 10.20.30.4, where no executor"]),
        (
            {"tasks": {"ANY": 6, "NODE_LOCAL": 30}},
            {},
            ["30 of 36 tasks ran where their data is", "6 of 36 tasks ran elsewhere", "spark.locality.wait"],
        ),
        (
            {
                **REMOTE,
                "reader": {
                    "local_bytes": 5,
                    "remote_bytes": 5,
                    "fallback_bytes": 90_000_000,
                    "fallbacks": {"checksum": 3, "no such file": 1},
                },
            },
            {"remote_reads": "the client reads a random copy"},
            ["docs/locality.md", "90 MB were read through upstream's client: checksum 3, no such file 1"],
        ),
        (REMOTE, {}, ["no reason can be seen from here"]),
    ],
)
def test_reads_that_are_not_local_fail_with_the_reason(
    changes: dict[str, Any], expected: dict[str, Any], words: list[str]
) -> None:
    verdict = judge(measured(**changes), **expected)
    assert verdict.state == "not local" and verdict.problems and verdict.notes == ()
    assert [word for word in words if word not in said(verdict)] == []
    if not words[0].startswith("no reason"):
        assert "no reason" not in said(verdict)


STRIPED = {"striped_blocks": 12, "copies": {"3": 12}}


def test_of_striped_files_neither_the_reader_nor_its_switch_is_to_blame() -> None:
    reader = {"local_bytes": 0, "remote_bytes": 0, "fallback_bytes": 9, "fallbacks": {"STRIPED": 12}}
    for more in ({"reader": reader}, {"reader_off": "spark.hadoop.fs.qfs.localRead=false"}):
        verdict = judge(measured(**REMOTE, placement=STRIPED, **more), remote_reads="the client reads a random copy")
        assert len(verdict.problems) == 2
        assert "STRIPED" not in said(verdict) and "random copy" not in said(verdict)


@pytest.mark.parametrize(
    ("doubts", "placed", "words"),
    [
        ({"FILE": 3}, {}, "the reader stepped aside: FILE 3"),
        ({"STRIPED": 2, "FILE": 3}, {}, "the reader stepped aside: FILE 3, STRIPED 2"),
        ({"STRIPED": 2, "FILE": 3}, STRIPED, "the reader stepped aside: FILE 3"),
        ({"METASERVER": 1}, {}, "the reader stepped aside: METASERVER 1"),
    ],
)
def test_doubts_are_a_reason_also_where_no_bytes_of_them_are_counted(
    doubts: dict[str, int], placed: dict[str, Any], words: str
) -> None:
    verdict = judge(measured(**REMOTE, placement=placed, reader=a_reader(540, fallbacks=doubts)))
    assert words in [one.what for one in verdict.problems]


def test_workers_under_other_names_are_paired_with_their_own_data_server_and_nothing_else_is_blamed() -> None:
    addresses = {"w-1": A, "w-2": B, "w-3": C}
    found = measured(**REMOTE, hosts=list(addresses), addresses=addresses, tasks={"ANY": 36})
    problems = judge(found).problems
    assert [problem.node for problem in problems] == [None, None, "node1", "node2", "node3"]
    assert all(f"{host} ≠ chunkserver host {addresses[host]}," in said(judge(found)) for host in addresses)


LOST = {"placement": {"copies": {"1": 8, "2": 4}, "blocks_by_host": {A: 8, B: 8}, "bytes_by_host": {A: 8, B: 8}}}


@pytest.mark.parametrize("read", [1_080_000_000, 20_000_000])
def test_a_data_server_that_is_down_is_a_problem_although_the_reads_were_local(read: int) -> None:
    verdict = judge(measured(bytes_read=read, **LOST), up_hosts=(A, B))
    assert (verdict.state, [str(one.node) for one in verdict.problems]) == ("degraded", ["node3"])
    assert "[node3] no chunkserver is up at 10.20.30.4\n" in said(verdict)
    assert verdict.text.startswith("the cluster is not whole; ")
    assert "≠" not in said(verdict) and "has no chunkserver" not in said(verdict)
    assert "8 of 12 chunks have fewer than 2 copies" in said(verdict)


def test_of_data_elsewhere_no_data_server_is_expected_on_the_nodes() -> None:
    assert judge(measured(**LOST), up_hosts=None).state == "local"


def test_a_cluster_that_was_not_checked_and_lacks_a_worker_is_not_whole() -> None:
    verdict = judge(measured(), up_hosts=None, unseen="not running", workers={A: "node1", B: "node2"})
    assert verdict.text.startswith("the cluster is not whole; ") and len(verdict.problems) == 2


def test_a_cluster_that_cannot_be_measured_is_judged_by_the_hosts_of_its_workers() -> None:
    assert find_faults((A, B, C), {}, EXPECTED) == ()
    (only,) = find_faults((A, B, "w-3"), {}, EXPECTED)
    assert "executor host w-3 ≠ chunkserver host 10.20.30.4" in str(only)
    without = replace(EXPECTED, workers={A: "node1", B: "node2"})
    assert [one.node for one in find_faults((A, B), {}, without)] == ["node3"]


def test_a_reason_is_a_note_where_the_thresholds_are_met() -> None:
    verdict = judge(measured(placement={"copies": {"1": 2, "2": 10}}))
    assert (verdict.state, verdict.problems) == ("local", ())
    assert "fewer than 2 copies" in said(verdict)


@pytest.mark.parametrize(
    ("thresholds", "missed"),
    [
        ({}, 0),
        ({"max_remote": 0.05}, 0),
        ({"max_remote": 0.02}, 1),
        ({"min_local": 0.99}, 0),
        ({"min_local": 1.0}, 1),
        ({"max_remote": 0.0, "min_local": 1.0}, 2),
    ],
)
def test_thresholds_decide_and_a_fraction_of_a_task_counts_as_a_whole_one(
    thresholds: dict[str, float], missed: int
) -> None:
    found = measured(received_total=40_000_000, tasks={"ANY": 1, "NODE_LOCAL": 35})
    verdict = judge(found, **thresholds)
    assert len([one for one in verdict.problems if str(one.hint).startswith("--m")]) == missed
    assert (verdict.state == "not local") is bool(missed)


@pytest.mark.parametrize(
    ("received", "state"),
    [(900_000, "local"), (2_000_000, "too little data"), (7_000_000, "too little data"), (9_000_000, "not local")],
)
def test_of_little_data_nothing_good_is_claimed_and_the_overhead_is_allowed(received: int, state: str) -> None:
    verdict = judge(measured(bytes_read=20_000_000, received_total=received, tasks={"NODE_LOCAL": 4}))
    assert verdict.state == state


@pytest.mark.parametrize(("placed", "told"), [(0, "Spark was given no places"), (9, "Spark was given no places for 3")])
def test_tasks_without_any_preference_are_not_local_where_the_storage_has_places(placed: int, told: str) -> None:
    found = measured(tasks={"PROCESS_LOCAL": 36}, scan={"partitions_placed": placed})
    verdict = judge(found)
    assert verdict.problems[0].what == "0 of 36 tasks ran where their data is"
    assert told in said(verdict) and "spark.sql.sources.ignoreDataLocality" in said(verdict)
    assert "were busy" not in said(verdict) and "no reason" not in said(verdict)
    assert count_local(found) == 0


def test_tasks_in_the_process_of_their_data_are_local_where_spark_knows_the_places() -> None:
    found = measured(tasks={"PROCESS_LOCAL": 6, "NODE_LOCAL": 30})
    assert (judge(found).state, count_local(found)) == ("local", 36)


def test_a_few_partitions_without_places_are_a_note_where_the_thresholds_are_met() -> None:
    verdict = judge(measured(tasks={"PROCESS_LOCAL": 1, "NODE_LOCAL": 35}, scan={"partitions_placed": 11}))
    assert verdict.state == "local" and "given no places for 1 of 12 partitions" in said(verdict)


SMALL: dict[str, Any] = {"average_file_bytes": 450_000, "bytes_read": 4_500_000_000, "tasks": {"NODE_LOCAL": 10_000}}


@pytest.mark.parametrize(
    ("received", "max_remote", "state"),
    [
        (0.04, None, "local"),
        (0.093, None, "files too small"),
        (0.097, None, "not local"),
        (0.015, 0.02, "local"),
        (0.064, 0.02, "files too small"),
        (0.068, 0.02, "not local"),
        (0.09, 0.1, "local"),
        (0.14, 0.1, "local"),
        (0.15, 0.1, "not local"),
    ],
)
def test_what_spark_itself_may_have_sent_is_allowed_up_to_half_of_the_threshold_only(
    received: float, max_remote: float | None, state: str
) -> None:
    assert judge(measured(**SMALL, received_total=int(4.5e9 * received)), max_remote=max_remote).state == state


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            SMALL | {"received_total": 400_000_000},
            ["4,500 MB in tasks of 0.5 MB", "files of 1.6 MB and more", "480 MB in all"],
        ),
        ({"bytes_read": 40_000_000, "received_total": 3_000_000}, ["tasks of 1.1 MB", "files of 1.6 MB and more"]),
        ({"bytes_read": 90_000_000, "received_total": 5_000_000, "tasks": {"NODE_LOCAL": 9}}, ["261 MB of such files"]),
    ],
)
def test_advice_for_more_data_is_followed_by_a_judgement(changes: dict[str, Any], words: list[str]) -> None:
    verdict = judge(measured(**changes))
    assert [word for word in words if word not in verdict.text] == []
    assert verdict.problems == ()


def test_a_threshold_below_spark_s_own_messages_is_not_called_a_lack_of_data() -> None:
    for wanted in (0.0, 0.0005):
        verdict = judge(measured(), max_remote=wanted)
        assert "more data does not help" in verdict.text and len(verdict.problems) == 1


@pytest.mark.parametrize(("max_remote", "problems"), [(None, 0), (0.05, 1)])
def test_a_threshold_that_was_asked_for_and_cannot_be_judged_fails(max_remote: float | None, problems: int) -> None:
    found = measured(bytes_read=20_000_000, received_total=2_000_000)
    verdict = judge(found, max_remote=max_remote)
    assert verdict.state == "files too small" and len(verdict.problems) == problems
    assert all(one.what.startswith("--max-remote 0.05 cannot be judged: ") for one in verdict.problems)
    degraded = judge(found, max_remote=max_remote, up_hosts=(A, B))
    assert degraded.state == "degraded" and len(degraded.problems) == problems + 1


def test_a_threshold_that_allows_everything_never_fails() -> None:
    verdict = judge(measured(bytes_read=10_000_000, received_total=11_000_000), max_remote=1.0)
    assert verdict.state != "local" and verdict.problems == ()


@pytest.mark.parametrize(
    ("read", "received", "reader", "max_remote", "state"),
    [
        (4500, 400, a_reader(4500), None, "local"),
        (4500, 400, a_reader(4400, 100), 0.02, "not local"),
        (4500, 250, a_reader(4400, 50, 50), 0.02, "files too small"),
        (4500, 400, a_reader(4200, 300), None, "not local"),
        (4500, 100, a_reader(0, 0, 4500), None, "local"),
        (4500, 440, a_reader(4500), None, "not local"),
        (4500, 400, a_reader(4000), None, "files too small"),
    ],
)
def test_of_small_files_the_reader_knows_what_came_from_other_nodes(
    read: float, received: float, reader: dict[str, Any], max_remote: float | None, state: str
) -> None:
    found = measured(**SMALL | {"bytes_read": int(read * 1e6)}, received_total=int(received * 1e6), reader=reader)
    assert judge(found, max_remote=max_remote).state == state


def test_a_gate_of_two_percent_works_for_360_mb_with_our_reader() -> None:
    sizes: dict[str, Any] = {"bytes_read": 360_000_000, "tasks": {"NODE_LOCAL": 12}}
    good = judge(measured(**sizes, received_total=7_000_000, reader=a_reader(355, 5)), max_remote=0.02)
    assert (good.state, good.problems) == ("local", ())
    assert good.text == "local: 1.4% of 360 MB came from other nodes, as the reader counts; received were 7.0 MB in all"
    bad = judge(measured(**sizes, received_total=11_000_000, reader=a_reader(352, 8)), max_remote=0.02)
    assert bad.state == "not local"
    assert bad.problems[0].what == "2.2% of the bytes read came over the network (8.0 MB of 360 MB)"


def test_bytes_that_neither_spark_nor_the_reader_explains_are_said_to_be_others() -> None:
    verdict = judge(measured(received_total=100_000_000, reader=a_reader(1080)))
    assert "9.3% of the bytes" in verdict.problems[0].what and verdict.state == "not local"
    assert "100 MB were received, and the reader took 0.0 MB from other nodes" in said(verdict)
    assert "no reason" not in said(verdict)


@pytest.mark.parametrize("changes", [{}, REMOTE, {"placement": {"bytes_by_host": {}, "copies": {"0": 12}}}])
def test_a_measurement_in_which_a_worker_was_replaced_is_no_measurement(changes: dict[str, Any]) -> None:
    verdict = judge(measured(**changes, replaced=[C, D]))
    assert (verdict.state, verdict.text) == ("not measured", "a worker was replaced while measuring; measure again")
    assert [(one.node, one.what) for one in verdict.problems] == [
        ("node3", f"the counters of {C} did not go on: its worker or an executor was replaced while measuring"),
        (None, f"the counters of {D} did not go on: its worker or an executor was replaced while measuring"),
    ]


SHARED: dict[str, Any] = {
    "path": "file:///data/shared/tmp/t",
    "tasks": {"PROCESS_LOCAL": 36},
    "placement": {"bytes_by_host": {}, "blocks_by_host": {}, "copies": {"0": 12}},
}


@pytest.mark.parametrize(
    ("thresholds", "problems"),
    [({}, 0), ({"max_remote": 1.0, "min_local": 0.0}, 0), ({"max_remote": 0.05}, 1), ({"min_local": 0.95}, 1)],
)
def test_on_shared_storage_nothing_is_claimed_and_only_a_wanted_threshold_fails(
    thresholds: dict[str, float], problems: int
) -> None:
    verdict = judge(measured(**SHARED), **thresholds)
    assert verdict.state == "no locality" and len(verdict.problems) == problems
    assert verdict.text.startswith("no locality on shared storage")


# --- the page ---------------------------------------------------------------------------------------------------------

EVIL = '</text><script>alert("1")</script>&'


def a_document(**changes: Any) -> dict[str, Any]:
    verdict = {"state": "not local", "text": "not local", "problems": [], "notes": []}
    return {**measured(), "nodes": EXPECTED.workers, "verdict": verdict, **changes}


def test_bars_are_scaled_to_the_longest_and_parse_as_xml() -> None:
    root = ElementTree.fromstring(bars([("a", ((1.0, "red"), (3.0, "blue")), "four"), ("b", ((2.0, "red"),), "two")]))
    widths = [float(rect.attrib["width"]) for rect in root.iter("rect")]
    assert widths == [105.0, 315.0, 210.0]
    assert [text.text for text in root.iter("text")] == ["a", "four", "b", "two"]


def test_bars_of_nothing_are_drawn_too() -> None:
    assert "rect" not in bars([])
    assert 'width="0.0"' in bars([("a", ((0.0, "red"),), "none")])


def test_the_page_shows_every_node_and_needs_nothing_else() -> None:
    text = page(a_document())
    assert all(f"{node} ({host})" in text for host, node in EXPECTED.workers.items())
    assert text.count("<svg") == 3
    assert not re.search(r"<script|<link|src=|@import|https?://", text)


def rows_of(text: str) -> list[list[str]]:
    """The cells of the matrix."""
    table = text.partition("Who read what from whom")[2].partition("</table>")[0]
    return [re.findall(r"<t[hd][^>]*>([^<]*)", row) for row in table.split("<tr>")[1:]]


def test_the_page_shows_who_read_what_from_whom() -> None:
    reader = a_reader(
        700,
        30,
        6,
        local_by_host={A: 400_000_000, B: 300_000_000, C: 0},
        sources={A: {B: 10_000_000, f"{B},{C}": 20_000_000}, C: {C: 2_000_000, f"{A},{C}": 4_000_000}},
    )
    heads, *rows = rows_of(page(a_document(reader=reader)))
    assert heads[1:] == [f"{EXPECTED.workers[host]} ({host})" for host in (A, B, C)]
    assert [row[1:] for row in rows] == [
        ["400.0 MB", "≈ 20.0 MB", "≈ 10.0 MB"],
        ["", "300.0 MB", ""],
        ["≈ 2.0 MB", "", "≈ 4.0 MB"],
    ]
    assert "not known" not in page(a_document(reader=reader))


def test_the_page_says_where_it_is_not_known_from_whom() -> None:
    plain = a_reader(700, 30, 6)
    assert "36.0 MB came from nodes that are not known" in page(a_document(reader=plain))
    assert "from whom" not in page(a_document(reader=None))


def test_nothing_of_the_cluster_reaches_the_page_unescaped() -> None:
    problem = {"node": EVIL, "what": EVIL, "hint": EVIL}
    text = page(
        a_document(
            path=EVIL,
            nodes={A: EVIL},
            levels_by_host={EVIL: {EVIL: 1}},
            reader=a_reader(1, 1, local_by_host={EVIL: 1}, sources={EVIL: {f"{EVIL},x": 2}}),
            read_by_host={EVIL: 1},
            placement=PLACEMENT | {"bytes_by_host": {EVIL: 1}, "copies": {EVIL: 1}},
            verdict={"state": "not local", "text": EVIL, "problems": [problem], "notes": [problem]},
        )
    )
    assert "<script" not in text and "&lt;script&gt;" in text
    for picture in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(picture)


def test_storage_without_places_has_a_page_that_says_so() -> None:
    assert "The storage does not say where its data is." in page(
        a_document(placement=PLACEMENT | {"bytes_by_host": {}})
    )


def test_a_page_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="cannot be written"):
        write_page(tmp_path, a_document())

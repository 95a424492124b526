"""What `fsck` makes of its container's answer: names, counts, problems, text and JSON."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sparkqfs.facts.fsck import parse_fsck, shown_name
from sparkqfs.facts.scrub import ScrubFact, parse_scrub
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.watching.fsck import Report, path_keys, scrub_line
from sparkqfs.report.reporter import json_text
from sparkqfs_runtime.fsck import hdfs, qfs
from sparkqfs_runtime.fsck.findings import Block, Copy, Damaged, Findings
from sparkqfs_runtime.pages.sources import Hdfs, Unasked
from tests.builders.clusters import a_cluster

NODES = {"10.0.1.2": "node1", "10.0.1.3": "node2"}


def a_report(findings: Findings, **nodes: Any) -> Report:
    config = a_cluster()
    fact = parse_fsck(json.dumps(findings.document(0.25)))
    return Report(config=config, backend=backend_of(config), fact=fact, nodes=NODES | nodes)


def damaged(path: bytes, state: Any, *addresses: str, asked: int = 2) -> Damaged:
    return Damaged(path, state, 10, asked, (Block("65539", 0, tuple(map(Copy, addresses))),), 1)


def test_a_healthy_storage_has_no_problem() -> None:
    report = a_report(Findings(5, files=3))
    assert report.problems() == ()
    assert report.text() == "QFS: 3 files checked in 0.2 s: 0 lost, 0 with too few copies"
    assert report.document()["damaged"] == []


def test_lost_and_short_files_are_named_with_the_nodes_of_their_copies() -> None:
    findings = Findings(5, files=3, lost_files=1, short_files=1, lost_blocks=1, short_blocks=1)
    findings.keep(damaged(b"/short", "short", "10.0.1.3", asked=3))
    findings.keep(damaged(b"/lost", "lost"))
    report = a_report(findings)
    assert report.text().splitlines()[1:] == [
        "lost   /lost",
        "       10 bytes, 2 copies asked for, 1 chunk with fewer",
        "         chunk 65539 at 0: no copy",
        "short  /short",
        "       10 bytes, 3 copies asked for, 1 chunk with fewer",
        "         chunk 65539 at 0: node2 (10.0.1.3)",
    ]
    lost, short = report.problems()
    assert "1 file: 1 chunk without a good copy" in lost.what and "node3 may have the copies" in (lost.hint or "")
    assert "up to 3 copies are asked for and 2 chunkservers are up (not: node3)" in (short.hint or "")
    files: Any = report.document()["damaged"]
    assert files[1]["blocks"][0]["copies"] == [{"node": "node2", "address": "10.0.1.3", "state": "live"}]


def test_all_are_counted_the_list_is_bounded_and_lost_files_come_first() -> None:
    findings = Findings(3, files=9, lost_files=2, short_files=7, lost_blocks=2, short_blocks=7)
    for number in range(7):
        findings.keep(damaged(b"/short%d" % number, "short", "10.0.1.2"))
    for number in range(2):
        findings.keep(damaged(b"/lost%d" % number, "lost"))
    report = a_report(findings)
    document: Any = report.document()
    assert [one["path"] for one in document["damaged"]] == ["/lost0", "/lost1", "/short0"]
    assert (document["short_files"], document["files_not_shown"]) == (7, 6)
    assert report.text().splitlines()[-1] == "and 6 more files not shown: --max 9"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ready": False}, "QFS is recovering"),
        ({"partial": "the time was over", "short_files": None}, "not everything was looked at: the time was over"),
        ({"short_blocks": 2, "short_files": None}, "files with too few copies: 2 chunks"),
        ({"lost_blocks": 1}, "pieces of files that can be made again: 1 chunk without a good copy"),
    ],
)
def test_what_is_not_known_is_a_problem_too(change: dict[str, Any], said: str) -> None:
    problems = a_report(Findings(5, files=3, **change)).problems()
    assert said in problems[0].what


NAMES = [
    (b"/plain name", "/plain name"),
    (b"/tab\there\nline", "/tab\\there\\nline"),
    ("/rtl\u202egpj.exe".encode(), "/rtl\\u202egpj.exe"),
    (b"/esc\x1b[31m\x07\x7f", "/esc\\x1b[31m\\x07\\x7f"),
    (b"/bad\xff\xfe", "/bad\\xff\\xfe"),
    (b"/\\x41", "/\\\\x41"),
    ("/\u2028\u200b\x85é漢".encode(), "/\\u2028\\u200b\\x85é漢"),
    ("/\U000e0041\U0001f600".encode(), "/\\U000e0041\U0001f600"),
]


@pytest.mark.parametrize(("path", "shown"), NAMES)
def test_a_name_steers_nothing_and_is_exact_in_json(path: bytes, shown: str) -> None:
    assert shown_name(path) == shown and shown.isprintable()
    found: Any = json.loads(json.dumps(path_keys(path)))
    exact = found["path"].encode() if found["path_base64"] is None else base64.b64decode(found["path_base64"])
    assert exact == path


@pytest.mark.parametrize(("path", "shown"), NAMES)
def test_json_is_exact_and_steers_no_terminal(path: bytes, shown: str) -> None:
    document = {"shown": shown, **path_keys(path)}
    text = json_text(document)
    assert json.loads(text) == document and text.isprintable()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "took_s": "x"}'])
def test_another_answer_is_a_fault(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_fsck(text)


def chunk(offset: int, *addresses: str) -> qfs.Chunk:
    return qfs.Chunk(offset << 26, offset, addresses)


@pytest.mark.parametrize(
    ("copies", "recovery", "chunks", "state"),
    [
        (2, 0, [chunk(0, "a", "b")], None),
        (2, 0, [chunk(0, "a", "b"), chunk(1, "a")], "short"),
        (2, 0, [chunk(0, "a"), chunk(1)], "lost"),
        (1, 2, [chunk(0), chunk(1), chunk(2, "a"), chunk(3, "b")], "short"),
        (1, 1, [chunk(0), chunk(1), chunk(2, "a"), chunk(3, "b")], "lost"),
        (1, 1, [chunk(0), chunk(1, "a"), chunk(2, "a"), chunk(3), chunk(4, "a"), chunk(5, "a")], "short"),
    ],
)
def test_a_file_of_pieces_is_lost_when_a_group_lacks_too_many(
    copies: int, recovery: int, chunks: list[qfs.Chunk], state: str | None
) -> None:
    entry = qfs.Entry(b"f", 9, False, 10, copies, len(chunks), 2 if recovery else 0, recovery)
    found = qfs.damage(b"/f", entry, tuple(chunks))
    assert (found.state if found else None) == state


HDFS_REPORT = b"""
/two\nlines:  Under replicated BP-1:blk_1_1. Target Replicas is 3 but found 1 live replica(s).

/both:  Under replicated BP-1:blk_2_2. Target Replicas is 2 but found 1 live replica(s).

/both: CORRUPT blockpool BP-1 block blk_3

/both: MISSING 1 blocks of total size 5 B.
/ odd\t: MISSING 2 blocks of total size 5 B.
/rack:  Replica placement policy is violated for BP-1:blk_4_4. Block should be on 1 more rack(s).
Status: CORRUPT
 Total files:\t4
  MISSING BLOCKS:\t3
 Under-replicated blocks:\t2 (78.57143 %)
 Missing blocks:\t\t3

Erasure Coded Block Groups:
 Total files:\t1
 Missing block groups:\t\t0
"""


def test_a_report_of_the_namenode_is_read_whatever_its_files_are_called() -> None:
    findings, counts = Findings(9), dict[str, int]()
    hdfs.read(hdfs.records(iter(HDFS_REPORT.splitlines(keepends=True)), counts), findings)
    assert [one.path for one in findings.kept["lost"]] == [b"/both", b"/ odd\t"]
    assert [(one.path, one.asked) for one in findings.kept["short"]] == [(b"/two\nlines", 3)]
    assert (findings.lost_files, findings.short_files) == (2, 1)
    assert (counts["Total files"], counts["Missing blocks"], counts["Under-replicated blocks"]) == (5, 3, 2)


ALL_COPIES_CORRUPT = b"""
/a: CORRUPT blockpool BP-1 block blk_3

/a: CORRUPT 1 blocks of total size 5 B.
/b:  Under replicated BP-1:blk_1_1. Target Replicas is 3 but found 1 live replica(s).

/c: MISSING 1 blocks of total size 5 B.
/d: CORRUPT blockpool BP-1 block blk_9

/d: MISSING 1 blocks of total size 7 B.
/d: CORRUPT 1 blocks of total size 5 B.
/e: CORRUPT blockpool BP-1 block blk_11

/e: CORRUPT 1 blocks of total size 5 B.
Status: CORRUPT
  MISSING BLOCKS:\t2
  CORRUPT BLOCKS:\t3
 Total files:\t5
 Missing blocks:\t\t2
 Corrupt blocks:\t\t3
"""
"""As Hadoop 3 writes it, source: NamenodeFsck, collectBlocksSummary."""


def test_files_whose_copies_are_all_corrupt_are_lost_and_the_names_after_them_stay_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextlib.contextmanager
    def report(*_args: object, **more: str) -> Iterator[Iterator[bytes]]:
        yield iter(() if more else ALL_COPIES_CORRUPT.splitlines(keepends=True))

    monkeypatch.setattr(hdfs, "report", report)
    monkeypatch.setattr(Hdfs, "look", lambda _self: SimpleNamespace(bad=3, ready=True))
    findings = hdfs.check("127.0.0.1", 1, 9, 60.0)
    assert [one.path for one in findings.kept["lost"]] == [b"/a", b"/c", b"/d", b"/e"]
    assert [one.path for one in findings.kept["short"]] == [b"/b"]
    assert (findings.lost_files, findings.lost_blocks) == (4, 5)


def test_a_report_of_the_namenode_that_is_cut_off_is_no_report() -> None:
    with pytest.raises(Unasked, match="cut off"):
        list(hdfs.records(iter([b"\n"]), {}))
    with pytest.raises(Unasked, match="Access denied"):
        list(hdfs.records(iter([b"Access denied\n"]), {}))


def test_the_copies_of_a_block_have_their_addresses_and_states() -> None:
    words = (
        b"Live_repl=1  [DatanodeInfoWithStorage[10.0.1.2:9866,DS-1,DISK](LIVE), "
        b"DatanodeInfoWithStorage[10.0.1.3:9866,DS-2,DISK](CORRUPT)]"
    )
    assert hdfs.copies(words) == (Copy("10.0.1.2", "live"), Copy("10.0.1.3", "corrupt"))


STATE = {
    "schema": 1, "hour": "2", "bytes_per_second": 8388608, "running": False, "began": 1.0, "ended": 3600.0, "blocks": 7,
    "bytes": 9, "damaged": 3, "healed": 2, "kept": 1, "errors": 0, "damages": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({}, "scrub  n: ended 1970-01-01 01:00 UTC: 7 chunks, 3 damaged, 2 healed, 1 left"),
        ({"running": True}, "scrub  n: runs since 1970-01-01 00:00 UTC: 7 chunks, 3 damaged, 2 healed, 1 left"),
        ({"ended": None}, "scrub  n: no pass yet; one begins at 2:00 UTC"),
        (
            {"ended": "soon", "began": float("inf")},
            "scrub  n: no pass yet; one begins at 2:00 UTC",
        ),
        ({"errors": 2}, "scrub  n: ended 1970-01-01 01:00 UTC: 7 chunks, 3 damaged, 2 healed, 1 left, 2 not looked at"),
    ],
)
def test_a_scrub_is_one_line_a_node(change: dict[str, Any], line: str) -> None:
    words = backend_of(a_cluster()).words
    assert scrub_line(parse_scrub("n", json.dumps(STATE | change)), words) == line


def test_a_scrub_that_left_damage_is_a_problem_and_so_is_one_that_does_not_answer() -> None:
    report = a_report(Findings(5, files=3))
    report = replace(report, scrubs=(parse_scrub("node1", json.dumps(STATE)), ScrubFact(node="node2", error="gone")))
    problem, unknown = report.problems()
    assert (problem.node, "1 damaged copy left" in problem.what) == ("node1", True)
    assert (unknown.node, unknown.what) == ("node2", "whether copies here are damaged is not known: gone")
    assert report.text().splitlines()[-1] == "scrub  node2: not known: gone"
    scrubs: Any = report.document()["scrub"]
    assert [one["error"] for one in scrubs] == ["", "gone"]


@pytest.mark.parametrize("age", [None, 0.0, 3599.0, 7300.0])
def test_a_scrub_that_has_said_nothing_for_hours_does_not_run(age: float | None) -> None:
    scrub = parse_scrub("node1", json.dumps(STATE | {"kept": 0, "age_s": age}))
    problems = replace(a_report(Findings(5, files=3)), scrubs=(scrub,)).problems()
    said = "whether copies here are damaged is not known: its scrub has said nothing for 2 h"
    assert [problem.what for problem in problems] == ([said] if age == 7300.0 else [])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', json.dumps(STATE | {"hour": None})])
def test_another_state_of_a_scrub_is_a_fault(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_scrub("n", text)


class Listed(qfs.Names):
    """A directory of five names, two of which go between two answers; the double of a connection."""

    def __init__(self, gone: set[bytes], *, is_there: bool = True) -> None:
        self.names, self.gone, self.is_there, self.has_more = [b"a", b"b", b"c", b"d", b"e"], gone, is_there, False

    def ask(self, operation: str, **fields: str | int) -> bytes:
        assert operation == "READDIRPLUS"
        start = str(fields.get("Fname_start", "")).encode()
        if (start and start in self.gone) or (start and not self.is_there):
            raise Unasked(qfs.GONE)
        if not self.is_there and int(fields["Max_entries"]) == 1:
            raise Unasked(qfs.GONE)
        left = [name for name in self.names if name > start and not (start and name in self.gone)]
        self.has_more = len(left) > 2
        return b"".join(b"B\nN:%s\nH:9\nT:file\n" % name for name in left[:2])


def test_a_listing_goes_on_behind_a_name_that_was_removed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qfs, "ENTRIES", 2)
    found = []
    for entry in (names := Listed({b"b", b"d"})).entries(2):
        found.append(entry.name)
        names.has_more = False  # as an answer to another question between two entries
    assert found == [b"a", b"b", b"c", b"e"]
    with pytest.raises(Unasked, match="change too fast"):
        list(Listed({b"a", b"b"}).entries(2))
    assert len(list(Listed({b"a", b"b"}, is_there=False).entries(2))) == 2

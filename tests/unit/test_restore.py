"""What a restore decides before it changes anything: which copy, which manager, what stands against it."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sparkqfs.config.model import ClusterConfig, StorageConfig, StorageKind
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem, RefusedError
from sparkqfs.facts.copies import CopiesFact, KeptCopy, RestoreFact, parse_copies
from sparkqfs.facts.nodes import ContainerFact, DiskFact, NodeFacts
from sparkqfs.facts.pages import parse_hdfs
from sparkqfs.jobs.cluster import deploy, restore_look
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage import aside, backup_sources, backup_store
from sparkqfs.plan.cluster import restore as plans
from sparkqfs.plan.cluster.restore_report import Report
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.storage import backend_of
from tests.builders.backups import FSID, a_backup
from tests.builders.clusters import a_cluster
from tests.builders.facts import a_record, copies_on, prepared
from tests.builders.status import a_status

ID = "0b8a7f60-0000-4000-8000-000000000001"


def answer(*histories: tuple[int, dict[str, Any], str], record: dict[str, Any] | None = None) -> str:
    lines = []
    for number, about, last in histories:
        lines.append(f"history\t{number:06d}\t{base64.b64encode(json.dumps(about).encode()).decode()}\t{last}")
    if record is not None:
        lines.append(f"record\t{base64.b64encode(json.dumps(record).encode()).decode()}")
    return "\n".join([*lines, "end\t"]) + "\n"


ABOUT = {"schema": 1, "kind": "qfs", "identity": "7", "began": 100.0}


def test_a_machines_copies_and_a_restore_that_has_begun_are_read() -> None:
    record = {"id": "20260131T120000Z", "laid_out": True, "state": {"at": 1.5}}
    found = parse_copies(
        "node2",
        answer((1, ABOUT, ""), (2, {**ABOUT, "began": 200.0}, "250.125\tlog.0.1.1.12\t4096"), record=record),
    )
    newest = found.newest
    assert newest is not None
    assert (newest.number, newest.began, newest.at, newest.order) == (2, 200.0, 250.125, (12, 4096))
    assert (found.histories[0].at, found.histories[0].order) == (100.0, (0, 0))
    assert found.restore is not None
    assert (found.restore.id, found.restore.laid_out, found.restore.state) == ("20260131T120000Z", True, {"at": 1.5})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "history\t000001\tx\t\n",
        answer((1, {"kind": "qfs"}, "")),
        answer((1, {**ABOUT, "began": "soon"}, "")),
        answer(record={"id": "../../x", "laid_out": True, "state": {}}),
        answer(record={"id": "20260131T120000Z", "state": {}}),
        "history\t000001\t!!\t\nend\t\n",
    ],
)
def test_another_shape_is_not_taken_for_a_copy(text: str) -> None:
    with pytest.raises(ValueError, match=r"cut off|cannot be read"):
        parse_copies("node2", text)


def copy(node: str, at: float, log: int, size: int, **more: Any) -> CopiesFact:
    fact = KeptCopy(node=node, number=1, kind="qfs", identity="7", began=1.0, at=at, order=(log, size))
    return CopiesFact(histories=(replace(fact, **more),))


def order_of(**found: CopiesFact) -> list[str]:
    source = plans.choose(found, "qfs")
    return [one.node for one in source.copies] if source is not None else []


def test_of_two_copies_the_one_with_more_operations_is_put_back_whatever_the_clocks_say() -> None:
    slow, fast = copy("node2", 1000.0, 9, 500), copy("node3", 1030.0, 9, 400)
    assert order_of(node2=slow, node3=fast) == ["node2", "node3"]
    assert order_of(node3=fast, node2=slow) == ["node2", "node3"]


def test_a_copy_that_was_left_behind_for_longer_is_the_second_choice() -> None:
    """After an older state was accepted the numbers of operations begin lower again."""
    assert order_of(node2=copy("node2", 1000.0, 90, 1), node3=copy("node3", 2000.0, 5, 1)) == ["node3", "node2"]


def test_a_copy_whose_clock_was_ahead_is_not_the_newest_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has been off for weeks, and whose clock was a year ahead before."""
    now, year = 100_000.0, 3.2e7
    found = {"node2": copy("node2", now - 5, 90, 9), "node3": copy("node3", now + year, 12, 1)}
    source = plans.choose(found, "qfs", now)
    assert source is not None and [one.node for one in source.copies] == ["node2", "node3"]
    assert [one.node for one in source.as_new()] == ["node2"], "no stand-in either"
    assert [one.node for one in source.older()] == ["node3"]
    monkeypatch.setattr(time, "time", lambda: now)
    rows = {
        node: [{"identity": "7", "images": 1, "last": one.at, "operation": one.order[0]}]
        for node, fact in found.items()
        for one in fact.histories
    }
    assert backup_sources.freshest(rows) == "node2"


def test_where_the_newest_copy_is_damaged_one_of_days_ago_does_not_stand_in_for_it() -> None:
    found = {
        "node2": copy("node2", 9000.0, 90, 9),
        "node3": copy("node3", 8990.0, 90, 8),
        "node4": copy("node4", 50.0, 2, 1),
    }
    source = plans.choose(found, "qfs")
    assert source is not None
    assert [one.node for one in source.as_new()] == ["node2", "node3"]
    assert [one.node for one in source.older()] == ["node4"]


def test_a_copy_of_another_storage_or_none_at_all_is_no_source() -> None:
    other = copy("node2", 1000.0, 9, 1, kind="hdfs")
    assert order_of(node2=other, node3=CopiesFact(histories=())) == []


def test_another_machine_becomes_the_manager_of_the_same_cluster() -> None:
    config = plans.with_manager(a_cluster(), "node2")
    assert [node.manager for node in config.nodes] == [False, True, False]
    assert [node.name for node in plans.without(config, "node1").nodes] == ["node2", "node3"]
    with pytest.raises(ConfigError, match=r"--to: no node node9 in hosts\.yml"):
        plans.with_manager(a_cluster(), "node9")


def fact(name: str, marker: str | None = ID, **more: Any) -> NodeFacts:
    disk = DiskFact(
        path=PurePosixPath("/mnt/data"), marker=marker, cluster="spark", free_bytes=1, total_bytes=1, has_blocks=True
    )
    return NodeFacts(name=name, disks=(disk,), **more)


def test_a_file_that_names_the_old_manager_is_refused_with_the_two_lines_to_change() -> None:
    facts = {"node2": fact("node2", swarm_cluster_id="s"), "node3": fact("node3")}
    (problem,) = plans.manager_problems(a_cluster(), facts)
    assert (problem.node, problem.config_path, problem.code) == ("node2", "nodes.node2.manager", ExitCode.REFUSED)
    assert problem.hint == "; ".join(plans.lines_to_change("node1", "node2"))
    assert plans.manager_problems(plans.with_manager(a_cluster(), "node2"), facts) == ()
    stranger = {"node2": replace(fact("node2", swarm_cluster_id="s"), disks=())}
    assert plans.manager_problems(a_cluster(), stranger) == (), "the swarm of somebody else is for another message"


def test_the_clusters_id_is_what_all_disks_and_the_copy_of_the_secrets_say() -> None:
    facts = {"node1": fact("node1", None), "node2": fact("node2"), "node3": fact("node3")}
    assert plans.cluster_id(facts, None) == (ID, ())
    assert plans.cluster_id(facts, ID) == (ID, ())
    assert plans.cluster_id({"node1": fact("node1", None)}, None) == (None, ())
    assert plans.cluster_id({"node1": fact("node1", None)}, ID) == (ID, ())
    found, problems = plans.cluster_id({**facts, "node3": fact("node3", "another")}, None)
    assert found is None and {problem.node for problem in problems} <= {"node2", "node3"} and len(problems) == 2
    assert all(problem.code == ExitCode.REFUSED for problem in problems)


def test_what_another_stack_runs_on_a_machine_is_not_stopped() -> None:
    other = ContainerFact(name="db.1", stack="shop", sources=())
    ours = ContainerFact(name="spark_worker.1", stack="spark", sources=())
    alone = ContainerFact(name="sparkqfs-registry-spark", stack="", sources=())
    (problem,) = plans.refusals(a_cluster(), {"node2": fact("node2", containers=(ours, alone, other))})
    assert (problem.node, problem.code) == ("node2", ExitCode.REFUSED) and "db.1 of stack shop" in problem.what


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
        ("2026-01-31", None),
    ],
)
def test_a_time_is_understood(text: str, wanted: str | None) -> None:
    local = plans.time_text(datetime.fromisoformat("2026-01-31").astimezone(UTC).timestamp())
    assert plans.time_text(plans.parse_time(text)) == (wanted or local)


def test_a_span_is_counted_from_now() -> None:
    for text, seconds in (("90s", 90), ("15m", 900), ("3h", 10_800), ("2d", 172_800)):
        assert abs(datetime.now(UTC).timestamp() - seconds - plans.parse_time(text)) < 5


@pytest.mark.parametrize("text", ["yesterday", "", "3w", "-1h", "12:00", "1e3", "9999999d", f"{10**30}h"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match=r"it is not a time"):
        plans.parse_time(text)


def report(**more: Any) -> Report:
    values: dict[str, Any] = {
        "config": a_cluster(),
        "old_manager": "node1",
        "state": {"at": 1_800_000_000.0, "node": "node3"},
        "seconds": 41.4,
        "stages": {"stop": 3.0, "build": 20.0, "push": 5.0},
        "files": JobResult(task="fsck", document={"lost_files": 0, "damaged": []}),
    }
    return Report(**(values | more))


def test_the_report_says_what_was_put_back_and_nothing_more_where_all_is_well() -> None:
    result = report().result()
    (outcome,) = result.outcomes
    assert outcome.changes == (
        "node1 has the metadata of 2027-01-15T08:00:00Z from node3; 41 s, 25 of them for images",
    )
    assert (result.notes, result.exit_code, result.document["hosts_yml"]) == ((), 0, [])


def test_the_report_says_whether_tables_have_their_names_back() -> None:
    back = {"at": 1_800_000_000.0, "node": "node3"}
    assert report(state={**back, "tables": 12}).result().notes == ("the names of 12 tables came with it",)
    (note,) = report(state={**back, "tables": None}).result().notes
    assert note.startswith("no catalogue of tables came with it")


def test_the_report_lists_blocks_without_a_name_and_how_to_let_them_go() -> None:
    nameless = {f"12.{number}": 10 for number in range(12)}
    result = report(nameless=nameless, nameless_count=12, kept="20260131T120000Z").result()
    first, second = result.notes
    assert first.startswith("12 chunks belong to no server: 12.0, 12.1,") and "and 2 more" in first
    assert "qfs/kept/20260131T120000Z" in first
    assert second == "`invoke restore --let-go 20260131T120000Z --cluster spark` removes what is kept"
    assert result.document["nameless_blocks"] == 12


def test_blocks_that_lost_files_may_need_are_not_offered_to_be_let_go() -> None:
    lost = Problem(what="1 file: 1 chunk without a copy on the chunkservers that are up")
    short = Problem(what="2 files with too few copies: 2 chunks")
    files = JobResult(task="fsck", document={"lost_files": 1, "short_files": 2}, problems=(lost, short))
    result = report(files=files, nameless={"12.1": 10}, nameless_count=1, kept="20260131T120000Z").result()
    assert not any("--let-go" in note for note in result.notes)
    assert any("what the lost files lack" in note for note in result.notes)
    assert (result.problems, result.exit_code) == ((lost,), 1)


@pytest.mark.parametrize(
    ("count", "said"), [(2, "/f0, /f1; `"), (10, "/f9; `"), (11, "/f9 and 1 more; `"), (2000, " and 1990 more; `")]
)
def test_the_report_names_lost_files(count: int, said: str) -> None:
    damaged = [{"path": "/short", "state": "short"}, *({"path": f"/f{n}", "state": "lost"} for n in range(count))]
    files = JobResult(task="fsck", document={"lost_files": count, "short_files": 1, "damaged": damaged[:1000]})
    first = report(files=files).result().notes[0]
    assert first.startswith("lost: /f0, /f1") and said in first and "/short" not in first


def test_what_was_not_looked_at_is_no_success() -> None:
    partial = Problem(what="not everything was looked at: the time was over")
    files = JobResult(task="fsck", document={"lost_files": 0, "short_files": None}, problems=(partial,))
    assert report(files=files).result().exit_code == 1


def test_the_report_says_that_servers_still_remove_blocks_and_what_earlier_restores_keep() -> None:
    result = report(is_settled=False, kept="20260131T120000Z", kept_before=("20260130T110000Z",)).result()
    assert "nothing was let go, in qfs/kept/20260131T120000Z is all that there was" in result.notes[0]
    assert result.notes[-1] == "earlier restores keep something too: 20260130T110000Z"
    assert (result.document["settled"], result.document["kept_before"]) == (False, ["20260130T110000Z"])


class Removing:
    """Servers that remove blocks without a name, and a clock that goes on by itself."""

    def __init__(self, look_s: float, of_all: int, each_s: float) -> None:
        self.now, self.look_s, self.of_all, self.each_s = 0.0, look_s, of_all, each_s

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def nameless(self, _session: Session, _name: str) -> tuple[dict[str, int], int]:
        self.now += self.look_s
        return {}, min(self.of_all, int(self.now / self.each_s))


@pytest.mark.parametrize(
    ("look_s", "of_all", "each_s", "is_settled"),
    [
        (0.5, 0, 1.0, True),
        (0.5, 800, 0.2, True),
        (12.0, 90, 0.2, True),
        (700.0, 1400, 1.0, False),
        (1.0, 9999, 5.0, False),
    ],
)
def test_blocks_are_let_go_only_after_two_looks_that_found_the_same(
    monkeypatch: pytest.MonkeyPatch, look_s: float, of_all: int, each_s: float, is_settled: bool
) -> None:
    servers = Removing(look_s, of_all, each_s)
    monkeypatch.setattr(aside, "nameless", servers.nameless)
    monkeypatch.setattr(time, "sleep", servers.sleep)
    found = aside.settled(a_session(a_cluster()), "20260131T120000Z", clock=lambda: servers.now)
    assert found.is_settled == is_settled
    if is_settled:
        assert found.count == of_all
        assert servers.now >= of_all * each_s + aside.SETTLED_S, "nothing changes for so long"
    assert servers.now < aside.SETTLE_S + 2 * (look_s + aside.SETTLED_S)


@pytest.mark.parametrize(
    ("wanted", "said", "is_laid_out", "wishes", "takes"),
    [
        ("1769850000", "--at 3h", False, {}, ("1769850000", True)),
        ("1769850000", "--at 3h", True, {}, ("1769850000", True)),
        ("1769850000", "--at 3h", False, {"at": 1769850900.0, "said": "--at 3h"}, ("1769850000", True)),
        ("1769850000", "--at 3h", True, {"at": 1769850900.0, "said": "--at 3h"}, ("1769850000", True)),
        ("1769850000", "--at 3h", False, {"at": 1769850900.0, "said": "--at 2h"}, ("1769850900", True)),
        ("1769850000", "--at 3h", True, {"at": 1769850900.0, "said": "--at 2h"}, ("1769850900", False)),
        ("1769850000", "--at 3h", False, {"newest": True, "said": "--at newest"}, ("newest", True)),
        ("1769850000", "", False, {}, ("1769850000", True)),
        ("newest", "", False, {}, ("newest", True)),
        ("newest", "", False, {"at": 1769850900.0, "said": "--at 2h"}, ("1769850900", True)),
        ("backup one", "--backup b", False, {}, ("backup one", True)),
        ("backup one", "--backup b", False, {"backup": Path("b"), "said": "--backup b"}, ("backup one", True)),
        ("backup one", "--backup b", True, {"at": 1769850900.0, "said": "--at 2h"}, ("1769850900", False)),
    ],
)
def test_a_restore_that_was_broken_off_goes_on_with_the_state_that_it_was_begun_for(
    tmp_path: Path, wanted: str, said: str, is_laid_out: bool, wishes: dict[str, Any], takes: tuple[str, bool]
) -> None:
    (tmp_path / "one").mkdir()
    where = str(tmp_path / "one") if wanted.startswith("backup") else ""
    begun = RestoreFact(id="20260131T120000Z", laid_out=is_laid_out, state={}, wanted=wanted, said=said, backup=where)
    now = restore_look._resumed(a_session(a_cluster()), restore_look.Wishes(old_manager="node1", **wishes), begun)
    assert (now.text, restore_look._going_on(begun, now) is begun) == takes


def test_a_backup_that_is_not_on_this_computer_must_be_named_before_its_state_is_in_place() -> None:
    wishes, session = restore_look.Wishes(old_manager="node1"), a_session(a_cluster())
    begun = RestoreFact(id="20260131T120000Z", laid_out=False, state={}, wanted="backup one", backup="/not/here")
    with pytest.raises(ConfigError, match="takes the backup one, which is not on this computer"):
        restore_look._resumed(session, wishes, begun)
    begun = replace(begun, laid_out=True)
    assert restore_look._going_on(begun, restore_look._resumed(session, wishes, begun)) is begun


def test_the_report_of_a_moved_manager_has_the_lines_to_change() -> None:
    result = report(config=plans.without(plans.with_manager(a_cluster(), "node2"), "node1")).result()
    assert result.document["hosts_yml"] == list(plans.lines_to_change("node1", "node2"))
    assert result.notes[0] == "hosts.yml must say so before the next task:"


def test_a_backup_of_another_cluster_or_with_a_damaged_file_is_not_put_back(
    tmp_path: Path,
) -> None:
    path = a_backup(tmp_path)
    wishes = restore_look.Wishes(old_manager="node1", backup=path)
    for config in (a_cluster(name="other"), a_cluster(storage=StorageConfig(kind="hdfs"))):
        with pytest.raises(RefusedError, match=r"is of cluster spark, storage qfs"):
            restore_look._backup(a_session(config), wishes)
    session = a_session(a_cluster())
    found = restore_look._backup(session, wishes)
    assert found is not None and found.bundle == path / "metadata.tar"
    with pytest.raises(ConfigError, match=r"a backup has one state"):
        restore_look._backup(session, replace(wishes, at=1.0))
    data = bytearray((path / "metadata.tar").read_bytes())
    data[len(data) // 2] ^= 1
    (path / "metadata.tar").write_bytes(data)
    with pytest.raises(ClusterError, match=r"metadata\.tar: its checksum is another one"):
        restore_look._backup(session, wishes)


def a_session(config: ClusterConfig) -> Session:
    clients: Any = None
    return Session(config, clients, lambda _text: None)


@pytest.mark.parametrize(
    ("laid_out", "wishes", "goes_on"),
    [
        (False, {}, True),
        (False, {"at": 5.0}, True),
        (True, {}, True),
        (True, {"newest": True}, True),
        (True, {"at": 5.0}, False),
        (True, {"backup": Path("/b/20260131T120000Z")}, False),
    ],
)
def test_another_state_than_that_of_a_restore_that_has_not_ended_is_one_of_its_own(
    laid_out: bool, wishes: dict[str, Any], goes_on: bool
) -> None:
    record = RestoreFact(id="20260131T120000Z", laid_out=laid_out, state={}, wanted="newest")
    found = restore_look._going_on(record, restore_look.Wishes(old_manager="node1", **wishes))
    assert found == (record if goes_on else None)


def test_a_deploy_waits_for_the_end_of_a_restore_and_the_restore_itself_does_not() -> None:
    session = a_session(a_cluster())
    session._facts = prepared(a_cluster())
    session._facts["node1"] = replace(session._facts["node1"], restoring=True)
    with pytest.raises(RefusedError, match=r"a restore has not ended"):
        deploy._check_metadata(session)
    session.is_restoring = True
    deploy._check_metadata(session)


def test_a_damaged_earlier_history_hides_no_later_one_and_a_damaged_last_one_is_said() -> None:
    bad, good = "history\t000001\t!!\t\n", answer((2, ABOUT, "250.125\tlog.0.1.1.12\t4096"))
    newest = parse_copies("node2", bad + good).newest
    assert newest is not None and newest.number == 2
    with pytest.raises(ValueError, match=r"its copy 000003 cannot be read"):
        parse_copies("node2", good.replace("end\t\n", bad.replace("000001", "000003") + "end\t\n"))


def test_a_manager_that_comes_back_is_told_to_leave_its_old_swarm_not_to_be_the_manager_again() -> None:
    facts = {"node1": fact("node1", swarm_cluster_id="old"), "node2": fact("node2", swarm_cluster_id="new")}
    (problem,) = plans.manager_problems(plans.with_manager(a_cluster(), "node2"), facts)
    assert problem.node == "node1" and "docker swarm leave --force" in str(problem.hint)
    assert "manager: true" not in str(problem.hint)


def test_an_old_manager_that_still_manages_its_swarm_is_not_replaced() -> None:
    session = a_session(plans.with_manager(a_cluster(), "node2"))
    session._facts = {**prepared(a_cluster()), "node1": fact("node1", swarm_cluster_id="old")}
    with pytest.raises(RefusedError, match=r"answers and manages the swarm"):
        restore_look._reachable(session, restore_look.Wishes(old_manager="node1"))


NAMENODE = {
    "beans": [
        {"name": "Hadoop:service=NameNode,name=NameNodeInfo", "LiveNodes": "{}", "Safemode": "Safe mode is ON. Why."},
        {"name": "Hadoop:service=NameNode,name=FSNamesystem"},
    ]
}


def test_a_namenode_says_why_it_is_in_safe_mode() -> None:
    fact = parse_hdfs(NAMENODE)
    assert (fact.recovering, fact.recovering_why) == (True, "Why")
    config = a_cluster(storage=StorageConfig(kind="hdfs"))
    fact = replace(fact, up_hosts=tuple(node.address for node in config.nodes))
    assert backend_of(config).unready(config, fact, ()) == "HDFS is recovering: Why"


NEWER = "Name node detected blocks with generation stamps in future. Exiting safe mode will cause loss of 7 byte(s)."


@pytest.mark.parametrize(
    ("kind", "why", "up", "is_restoring", "begins"),
    [
        ("hdfs", NEWER, 3, True, True),
        ("hdfs", NEWER, 3, False, False),
        ("hdfs", NEWER, 2, True, False),
        ("hdfs", "The reported blocks 1 needs additional 2 blocks", 3, True, False),
        ("qfs", NEWER, 3, True, False),
    ],
    ids=["restored", "a plain deploy", "a server is missing", "blocks are missing", "another storage"],
)
def test_hdfs_is_told_to_begin_without_newer_blocks_by_a_restore_alone_and_when_all_servers_have_reported(
    monkeypatch: pytest.MonkeyPatch, kind: StorageKind, why: str, up: int, is_restoring: bool, begins: bool
) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr(deploy, "exec_in", lambda _session, _service, argv, **_more: told.append(argv))
    storage = replace(
        parse_hdfs(NAMENODE), up_hosts=tuple(f"10.0.0.{number}" for number in range(up)), recovering_why=why
    )
    session: Any = SimpleNamespace(
        config=a_cluster(storage=StorageConfig(kind=kind)), is_restoring=is_restoring, on_event=lambda _text: None
    )
    session.backend = backend_of(session.config)
    deploy._begin_without_newer(session, a_status(storage=storage))
    assert [argv[-1] for argv in told] == (["forceExit"] if begins else [])


def asked_for(tmp_path: Path, now: str | None, *, name: str | None = None) -> list[str]:
    """What is said before a backup of file system `FSID` goes to a cluster whose own is `now`, its metadata lost."""
    config = a_cluster("node1", "node2")
    facts = prepared(config)
    written = a_record(config, id=ID, initialised=True, file_system_id=now)
    facts["node2"] = replace(facts["node2"], records=copies_on(config, "node2", written))
    facts["node1"] = replace(facts["node1"], records=())
    wishes = restore_look.Wishes(old_manager="node1", name=name, typed=lambda _: config.name)
    backup = backup_store.open_backup(a_backup(tmp_path))
    ground = restore_look.Ground(
        wishes=wishes, facts=facts, found={}, source=None, recovery=None, cluster_id=ID, record=None, backup=backup
    )
    said: list[str] = []
    session = SimpleNamespace(config=config, backend=backend_of(config), on_event=said.append)
    restore_look.ask(cast(Session, session), wishes, ground)
    return said


def test_a_backup_from_before_an_erase_says_so_before_it_takes_the_place_of_the_files(tmp_path: Path) -> None:
    sentence = f"That is file system {FSID}; the one of cluster spark now is 99, as after its files were erased."
    assert any(line.startswith(sentence) for line in asked_for(tmp_path / "1", "99"))
    assert any(line.startswith(sentence) for line in asked_for(tmp_path / "2", "99", name="spark"))
    for now in (FSID, None):
        assert not any("That is file system" in line for line in asked_for(tmp_path / str(now), now))

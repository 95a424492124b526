"""plan/watching/health.py: which facts are a problem, which are recovery, and which are nothing."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from sparkqfs.config.model import StorageConfig
from sparkqfs.facts.pages import parse_hdfs, parse_history, parse_qfs, parse_spark
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.health import HealthFact, parse_hdfs_health, parse_memory, parse_qfs_health
from sparkqfs.plan.watching.health import Data, Stranger, judge
from sparkqfs.report.reporter import storage_lines
from tests.builders.clusters import a_cluster
from tests.builders.status import MEMORY, a_copy
from tests.doubles.servers import payload


def memory(check: dict[str, Any] | None = None, look: dict[str, Any] | None = None, **changed: Any) -> Any:
    """What a checker of QFS remembers when all is well, and what is different."""
    found = MEMORY | changed
    return parse_memory(found | {"check": found["check"] | (check or {}), "look": found["look"] | (look or {})})


def judged(remembered: Any, kind: Any = "qfs", strangers: tuple[Stranger, ...] = (), **changed: Any) -> Data:
    """A cluster of three nodes with two copies, whose three servers are up."""
    config = a_cluster(storage=StorageConfig(kind=kind, replication=2))
    fact = dataclasses.replace(parse_qfs({"systemInfo": {}}), up_hosts=("10.0.0.2", "10.0.0.3", "10.0.0.4"))
    return judge(config, backend_of(config), fact, HealthFact(memory=remembered, **changed), strangers)


COPY, OTHER = a_copy("node2"), a_copy("node3")


def test_copies_of_the_metadata_that_are_fresh_are_no_problem() -> None:
    assert judged(memory(copies=[COPY, OTHER])).problems == ()
    assert judged(memory(copies=[COPY, OTHER | {"age_s": None, "up_s": 59.0}])).problems == (), "just started"


@pytest.mark.parametrize(
    ("copy", "said"),
    [
        ({"age_s": 61.0, "error": "timed out"}, "the copy of the metadata here was whole last 61 s ago: timed out"),
        ({"age_s": None, "up_s": 90.0}, "the copy of the metadata here was whole never in 90 s: no answer"),
        (
            {"age_s": None, "up_s": 5.0, "verdict": "behind", "mark": "0123456789ab", "error": "operation 5, here 3"},
            "the copy of the metadata here has what the metaserver has not: operation 5, here 3",
        ),
    ],
)
def test_a_copy_that_is_too_old_or_has_more_than_the_storage_is_a_problem(copy: dict[str, Any], said: str) -> None:
    data = judged(memory(copies=[COPY, OTHER | copy]))
    (problem,) = data.problems
    assert (data.state, problem.node, problem.what) == ("degraded", "node3", said)
    assert ("--accept-older 0123456789ab" in str(problem.hint)) == ("verdict" in copy)


@pytest.mark.parametrize("ok", [True, False])
def test_a_copy_whose_daily_check_has_found_damage_is_a_problem(ok: bool) -> None:
    seen = {"age_s": 60.0, "depth": 1, "ok": ok, "damaged": [] if ok else ["chkpt.1: its checksum is another one"]}
    data = judged(memory(copies=[COPY, OTHER | {"verified": seen}]))
    assert [problem.node for problem in data.problems] == ([] if ok else ["node3"])
    assert ok or "is damaged: chkpt.1: its checksum is another one" in told(data)


DAY_S = 86400.0


@pytest.mark.parametrize(
    ("up_s", "age_s", "said"),
    [
        (9 * DAY_S, 1.1 * DAY_S, ""),
        (9 * DAY_S, 4 * DAY_S, "the copy of the metadata here was last read whole 96 h ago"),
        (60.0, 4 * DAY_S, ""),  # the stack was down for days
        (60.0, None, ""),
        (4 * DAY_S, None, "the copy of the metadata here was not read whole in 96 h"),
    ],
)
def test_a_copy_that_nobody_has_read_for_days_is_not_called_whole(up_s: float, age_s: float | None, said: str) -> None:
    seen = None if age_s is None else {"age_s": age_s, "depth": 1, "ok": True, "damaged": []}
    data = judged(memory(copies=[COPY, OTHER | {"up_s": up_s, "verified": seen}]))
    assert [problem.what for problem in data.problems] == ([said] if said else [])


@pytest.mark.parametrize(
    ("up_s", "names", "said"),
    [
        (5000.0, {"age_s": 299.0, "is_kept": True, "error": ""}, ""),
        (5000.0, {"age_s": 7200.0, "is_kept": True, "error": "the disk is full"}, "is 2 h old: the disk is full"),
        (5000.0, {"age_s": 7200.0, "is_kept": False, "error": ""}, "is missing for 2 h: no answer"),
        (20.0, {"age_s": 7200.0, "is_kept": True, "error": ""}, ""),
    ],
    ids=["fresh", "old", "never", "the stack was down"],
)
def test_names_of_tables_that_are_not_copied_any_more_are_a_problem(
    up_s: float, names: dict[str, Any], said: str
) -> None:
    problems = judged(memory(copies=[{**COPY, "up_s": up_s, "catalogue": names}, OTHER])).problems
    assert [problem.node for problem in problems] == (["node2"] if said else [])
    assert all(said in problem.what for problem in problems)


def test_a_copy_that_is_not_kept_though_hosts_yml_says_so_is_a_problem_and_an_older_stack_makes_none() -> None:
    (problem,) = judged(memory(copies=[COPY])).problems
    assert (problem.node, problem.hint) == ("node3", "`invoke deploy`")
    assert judged(memory()).problems == ()


def told(data: Data) -> str:
    return "\n".join(map(str, data.problems))


def test_nothing_missing_is_healthy() -> None:
    assert judged(memory()) == Data(state="healthy", missing=0)


def test_a_lost_file_is_a_problem_with_the_command_that_names_it() -> None:
    data = judged(memory(check={"lost_files": 1, "lost_chunks": 1}))
    assert data.state == "degraded" and "1 file cannot be read" in told(data)
    assert "on node1, `docker exec $(docker ps -qf name=spark_qfs-master) qfsfsck -m 127.0.0.1 -p 20000 " in told(data)


def test_a_block_that_hdfs_misses_is_a_problem_with_hadoops_own_command() -> None:
    data = judged(memory(check_s=None), "hdfs", lost_blocks=3, lost_single=2, missing=0)
    assert data.state == "degraded"
    assert "3 blocks have no copy on the datanodes that are up, 2 of them of files with one copy" in told(data)
    assert "name=spark_hdfs-namenode) hdfs fsck / -list-corruptfileblocks`" in told(data)


def test_copies_that_are_being_made_are_recovery() -> None:
    data = judged(memory(missing=12, per_minute=40.0, still_s=10.0))
    assert data == Data(state="recovering", missing=12)


@pytest.mark.parametrize(
    ("remembered", "text"),
    [
        (memory(missing=1, still_s=300.0), "1 copy of chunks is missing, and none was made for 5 min"),
        (memory(missing=12, still_s=4000.0), "12 copies of chunks are missing, and none was made for 67 min"),
        (memory(missing=2, check={"most_copies": 4}), "up to 4 copies of a file are asked for, 3 chunkservers are up"),
        (memory(missing=2, look={"place": "no chunkserver has room for new chunks"}), "no chunkserver has room"),
    ],
)
def test_copies_that_are_not_being_made_are_a_problem(remembered: Any, text: str) -> None:
    data = judged(remembered)
    assert data.state == "degraded" and text in told(data)
    assert "qfsfsck" in told(data)


@pytest.mark.parametrize(
    "remembered",
    [
        memory(missing=0, still_s=900.0, check={"most_copies": 5}, look={"place": "no chunkserver has room"}),
        memory(missing=3, still_s=299.0),
        memory(missing=3, still_s=700.0, check={"took_s": 8.0}),  # the next check is after 400 s
        memory(missing=3, look={"held": 1}, check={"most_copies": 4}),
    ],
)
def test_what_is_not_missing_or_still_has_time_is_no_problem(remembered: Any) -> None:
    assert judged(remembered).problems == ()


def test_bad_chunks_alone_are_no_problem_once_the_files_have_been_checked() -> None:
    assert judged(memory(), bad=3).problems == ()


@pytest.mark.parametrize("remembered", ["404", "http://x: no answer in time"])
def test_bad_chunks_are_a_problem_when_nobody_has_checked_the_files(remembered: str) -> None:
    data = judged(remembered, bad=3)
    assert "have found 3 bad chunks, and whether files are lost is not known" in told(data)
    assert remembered in told(data) and "invoke deploy" in told(data)
    assert len(data.problems) == 1


def test_a_check_that_is_too_old_or_never_was_is_said() -> None:
    old = memory(check={"age_s": 1000.0}, check_error="another child process running")
    assert "last looked at 17 min ago: another child process running" in told(judged(old))
    assert judged(memory(check={"age_s": 1000.0}, check_s=3600.0)).problems == ()
    assert judged(memory(check={"age_s": 1000.0, "took_s": 20.0})).problems == ()
    never = parse_memory(MEMORY | {"check": None, "missing": None, "up_s": 901.0, "look_error": "PING: refused"})
    assert "last looked at never: PING: refused" in told(judged(never))
    assert judged(dataclasses.replace(never, up_s=60.0)).problems == ()


@pytest.mark.parametrize(
    ("answer", "is_told"), [("timed out", True), ("HTTP 500", True), ("HTTP 404", False), ("HTTP 403", False)]
)
def test_a_checker_whose_answer_cannot_be_had_is_a_problem_unless_there_is_none_yet(answer: str, is_told: bool) -> None:
    data = judged(answer)
    assert (data.state == "degraded", answer in told(data)) == (is_told, is_told)


def test_disks_and_checkpoints_are_said_with_their_place() -> None:
    data = judged(memory(), lost_directories=("10.0.0.2: /data/qfs/chunk",), checkpoint_failures=2)
    assert "out of service: 10.0.0.2: /data/qfs/chunk" in told(data)
    assert "[node1] the metaserver could not write its checkpoint, 2 times in a row" in told(data)


STRANGER = Stranger(node="node9", addresses=("10.0.0.4", "192.168.1.19"))


def test_a_server_of_a_machine_that_the_cluster_file_does_not_have_is_said() -> None:
    data = judged(memory(), strangers=(STRANGER,))
    assert data.unknown == ("node9",) and "[node9]" in told(data) and "10.0.0.4 is up" in told(data)


def test_such_a_machine_that_is_down_is_a_problem_only_while_data_is_missing() -> None:
    away = dataclasses.replace(STRANGER, addresses=("10.0.0.9",))
    assert judged(memory(), strangers=(away,)) == Data(state="healthy", missing=0, unknown=("node9",))
    assert "[node9]" in told(judged(memory(missing=2, per_minute=3.0), strangers=(away,)))


def test_addresses_that_a_container_had_before_are_no_problem() -> None:
    assert judged(memory(), gone=("10.0.0.7", "10.0.0.8")).problems == ()


def test_recorded_answers_of_a_metaserver_with_lost_files() -> None:
    body = json.loads(payload("qfs-2.2-lost-meta.json"))
    remembered = parse_memory(json.loads(payload("qfs-2.2-health.json")))
    found = parse_qfs_health(body, remembered)
    assert found.gone == ("127.0.0.4",) and remembered.check is not None
    config = a_cluster(storage=StorageConfig(kind="qfs", replication=2))
    data = judge(config, backend_of(config), parse_qfs(body), found)
    assert (data.state, data.missing) == ("degraded", 3)
    assert "2 files cannot be read" in told(data) and "(not up: 127.0.0.4)" in told(data)


def test_recorded_answers_of_a_namenode_that_misses_a_block() -> None:
    body = json.loads(payload("hadoop-3.5-lost.json"))
    found = parse_hdfs_health(body, memory(check_s=None))
    assert (found.lost_blocks, found.lost_single, found.missing, found.gone) == (1, 1, 0, ())
    config = a_cluster(storage=StorageConfig(kind="hdfs", replication=2))
    data = judge(config, backend_of(config), parse_hdfs(body), found)
    assert data.state == "degraded" and "1 block has no copy" in told(data)


# --- answers of another shape ----------------------------------------------------------------------------------------

STRANGE: tuple[Any, ...] = (None, True, -1, 0, 1e999, float("nan"), 10**400, "", "x", "1e999", "\ud800", "{}", "[1]")
STRANGE += ([], [None], {}, {"a": 1}, [[]])
PARSERS: dict[str, tuple[Callable[[Any], object], str]] = {
    "spark": (parse_spark, "spark-4.1-master.json"),
    "history": (parse_history, "spark-4.1-history.json"),
    "qfs": (parse_qfs, "qfs-2.2-meta.json"),
    "hdfs": (parse_hdfs, "hadoop-3.5-namenode.json"),
    "qfs-health": (lambda body: parse_qfs_health(body, ""), "qfs-2.2-lost-meta.json"),
    "hdfs-health": (lambda body: parse_hdfs_health(body, ""), "hadoop-3.5-lost.json"),
    "memory": (parse_memory, "qfs-2.2-health.json"),
}


def changed(value: Any, chance: random.Random) -> Any:
    """The same with one thing in it replaced or taken away; `LiveNodes` and the like are JSON in a string."""
    if chance.random() < 0.15 or not isinstance(value, (dict, list, str)) or not value:
        return chance.choice(STRANGE)
    if isinstance(value, str):
        if value.startswith("{") and value != "{}":
            return json.dumps(changed(json.loads(value), chance))
        return chance.choice(STRANGE)
    key = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
    copy: Any = value.copy()
    if chance.random() < 0.1:
        del copy[key]
    else:
        copy[key] = changed(copy[key], chance)
    return copy


@pytest.mark.parametrize("name", PARSERS)
def test_any_answer_is_understood_or_refused_with_one_kind_of_error(name: str) -> None:
    parse, file = PARSERS[name]
    good = json.loads(payload(file))
    chance = random.Random(name)
    understood = refused = 0
    for _ in range(1500):
        body = good
        for _ in range(chance.choice((1, 1, 2, 4))):
            body = changed(body, chance)
        try:
            parse(body)
            understood += 1
        except ValueError:
            refused += 1
    assert understood > 100 and refused > 20


def test_the_lines_for_people_say_number_pace_and_age() -> None:
    storage: dict[str, Any] = {
        "state": "degraded",
        "copies_missing": 12,
        "copies_in_progress": 3,
        "copies_per_minute": 40.0,
        "copies_wait_for_servers": 1,
        "lost_files": 2,
        "lost_blocks": 5,
        "files_with_one_copy_left": 4,
        "servers_unknown": ["node9"],
        "servers_retiring": [],
        "servers_gone": ["10.0.0.9"],
        "servers_stale": 1,
        "metadata_copies": [
            {"node": "node2", "age_s": 1.2, "verified": {"ok": True, "age_s": 7200.0}},
            {"node": "node3", "age_s": None, "verified": {"ok": False, "age_s": 60.0}},
            {"node": "node4", "age_s": None, "verified": None},
        ],
        "check": {"age_s": 7.0, "took_s": 0.02, "is_current": False, "every_s": 300, "partial": "", "error": "busy"},
    }
    lines = dict(storage_lines(storage))
    assert lines["  copies"].startswith("12 missing, 3 being made, 40 a minute, none before 1")
    assert lines["  lost"] == "2 files, blocks without a copy: 5"
    assert lines["  files checked"] == "7 s ago, in 0.02 s; 4 with one copy left; servers have changed since; busy"
    assert lines["  metadata"] == (
        "copied to node2 (1 s ago, whole 2 h ago), node3 (not yet, DAMAGED 60 s ago), node4 (not yet)"
    )
    assert (lines["  not in hosts.yml"], lines["  not up"]) == ("node9", "10.0.0.9")

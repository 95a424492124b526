"""invoke tables over a stand-in file server: what is listed, what gets a name, and what is refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.config.model import SparkConfig
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem
from sparkqfs.jobs.programs import apps, tables
from sparkqfs.plan.programs.apps import Application
from sparkqfs.plan.programs.makers import AGE, CLEANER, kept_s
from sparkqfs.plan.steps import JobResult
from tests.builders.clusters import a_cluster
from tests.doubles.document_cases import CATALOGUE
from tests.doubles.documents import Place


class Warehouse:
    """The tables' directories, and what the containers' programs were told."""

    def __init__(self, place: Place) -> None:
        self.place, self.told = place, list[list[str]]()
        self.catalogue: dict[str, Any] = CATALOGUE
        self.rows: list[dict[str, object]] = []
        world = place.storage()
        place.patch.setattr(tables, "places", lambda _session: world.places)
        place.patch.setattr(tables, "access", lambda _session, _timeout_s: world.access())
        place.patch.setattr(tables, "exec_in", self.answer)
        self.applications: tuple[Application, ...] = ()
        self.problems: tuple[Problem, ...] = ()
        place.patch.setattr(apps, "gather", lambda _session: apps.Seen(rows=self.applications, problems=self.problems))
        for name in ("books", "old", "lab.db/left", "_temporary", "empty.db"):
            (place.folder / "storage" / "warehouse" / name).mkdir(parents=True)
        (place.folder / "storage" / "warehouse" / "books" / "part-0").write_bytes(bytes(123))

    def answer(self, _session: object, service: str, words: list[str], **_more: object) -> str:
        if service == "metastore":
            return json.dumps(self.catalogue).replace("file:/warehouse", f"file:{self.place.folder}/storage/warehouse")
        self.told.append(words)
        return "a line of a log\n" + json.dumps(self.rows)

    def run(self, *adopt: str, sizes: bool = False, **more: Any) -> JobResult:
        return tables.run(self.place.session(**more), adopt=adopt, sizes=sizes, timeout_s=60)


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    with contextlib.ExitStack() as stack:
        yield Warehouse(Place(tmp_path, monkeypatch, stack))


def test_tables_and_directories_without_a_name_are_listed(warehouse: Warehouse) -> None:
    result = warehouse.run()
    document: Any = result.document
    assert [(one["name"], one["bytes"], one["missing"]) for one in document["tables"]] == [("books", 100, False)]
    assert [one["path"] for one in document["without_name"]] == ["/warehouse/lab.db/left", "/warehouse/old"]
    assert "books  table  parquet           2     -    100" in result.text
    assert "2 directories of the warehouse without a name: `invoke tables --adopt all`" in result.notes[0]


LONG = 50 * 365 * 86400.0


def an_application(number: int, started_s: float, duration_s: float, **more: Any) -> Application:
    known: dict[str, Any] = {"submission": None, "state": "FINISHED", "cores": 2, "exit_code": 0, "link": None}
    return Application(
        id=f"app-19700101000000-000{number}", name=f"n{number}.py", user="ann", started_s=started_s,
        duration_s=duration_s, **(known | more),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ran", "made_by", "said"),
    [
        ([(1, 0.0, 4.0), (2, 5.0, 3.0), (3, 10.0, 9.0)], ["n2.py"], "n2.py (ann)"),
        ([(1, 0.0, 6.5), (2, 5.0, 90.0)], ["n1.py", "n2.py"], "one of 2 programs"),
        ([(1, 0.0, 4.0)], [], "1970"),
    ],
)
def test_what_ran_when_a_table_was_made_is_said_and_not_more(
    warehouse: Warehouse, ran: list[tuple[int, float, float]], made_by: list[str], said: str
) -> None:
    """The table of CATALOGUE was made 7 s after the epoch."""
    warehouse.applications = tuple(an_application(*one) for one in ran)
    result = warehouse.run()
    document: Any = result.document
    assert [one["name"] for one in document["tables"][0]["made_by"]] == made_by and said in result.text


@pytest.mark.parametrize(
    ("ran", "made_by", "note"),
    [
        ([(1, 0.0, LONG, "FINISHED")], None, "others may have run that the history does not keep"),
        ([(1, 0.0, LONG, "FINISHED"), (2, 1.0, 2.0, "FINISHED")], ["n1.py"], ""),
        (
            [(1, 0.0, 0.0, "LOST"), (2, 1.0, 2.0, "FINISHED")],
            None,
            "perhaps app-19700101000000-0001 (n1.py), whose end",
        ),
        ([(1, 0.0, 0.0, "KILLED"), (2, 1.0, 2.0, "FINISHED")], None, "perhaps app-19700101000000-0001 (n1.py)"),
        ([(1, 0.0, 2.0, "LOST"), (2, 5.0, 9.0, "FINISHED"), (3, 1.0, 2.0, "FINISHED")], ["n2.py", "n1.py"], ""),
        ([(1, 60.0, 0.0, "LOST"), (2, 1.0, 2.0, "FINISHED")], [], ""),
        ([(1, 60.0, 9.0, "FINISHED")], [], ""),
    ],
)
def test_a_program_that_need_not_have_made_a_table_is_not_named(
    warehouse: Warehouse, ran: list[tuple[int, float, float, str]], made_by: list[str] | None, note: str
) -> None:
    warehouse.applications = tuple(an_application(*one[:3], state=one[3]) for one in ran)
    result = warehouse.run()
    document: Any = result.document
    found = document["tables"][0]["made_by"]
    assert (None if found is None else [one["name"] for one in found]) == made_by
    assert bool(note) == ("who made 1 table is not known" in result.notes[0]) and note in result.notes[0]
    if made_by != ["n1.py"]:
        assert ".py (ann)" not in result.text


def test_how_long_the_history_keeps_an_application_is_spark_conf_s_word() -> None:
    assert kept_s({}) == kept_s({AGE: "long"}) == 30 * 86400
    assert [kept_s({AGE: text}) for text in ("90", "90s", "2m", "2 h", "7d")] == [90, 90, 120, 7200, 7 * 86400]
    assert kept_s({CLEANER: "false"}) == float("inf")


def test_who_made_a_table_is_not_said_when_not_all_answer_who_may_know(warehouse: Warehouse) -> None:
    warehouse.applications = (an_application(1, 0.0, 90.0),)
    warehouse.problems = (Problem(what="history server: no answer"),)
    result = warehouse.run()
    document: Any = result.document
    assert document["tables"][0]["made_by"] is None and "n1.py" not in result.text
    assert result.notes[0] == "who made them is not known: `invoke apps` says what does not answer"


def test_sizes_are_asked_of_the_storage_and_a_table_without_files_is_seen(warehouse: Warehouse) -> None:
    document: Any = warehouse.run(sizes=True).document
    assert [(one["bytes"], one["missing"]) for one in document["tables"]] == [(123, False)]
    (warehouse.place.folder / "storage" / "warehouse" / "books").rename(warehouse.place.folder / "away")
    result = warehouse.run(sizes=True)
    document = result.document
    assert [(one["bytes"], one["missing"]) for one in document["tables"]] == [(None, True)] and "missing" in result.text


def test_a_table_that_the_storage_cannot_measure_is_a_note_and_the_others_are_measured(warehouse: Warehouse) -> None:
    (books,) = warehouse.catalogue["tables"]
    elsewhere = {**books, "name": "far", "location": "s3a://bucket/far"}
    warehouse.catalogue = {**CATALOGUE, "tables": [elsewhere, books]}
    result = warehouse.run(sizes=True)
    document: Any = result.document
    found = [(one["name"], one["bytes"], one["missing"]) for one in document["tables"]]
    assert found == [("far", None, False), ("books", 123, False)]
    assert result.notes[0] == 'far was not measured: No FileSystem for scheme "s3a"'
    assert (result.exit_code, result.problems) == (ExitCode.OK, ()) and "missing" not in result.text


def test_one_directory_gets_a_name_and_the_others_stay(warehouse: Warehouse) -> None:
    warehouse.rows = [{"format": "parquet", "partitions": 3}]
    result = warehouse.run("/warehouse/lab.db/left/")
    (outcome,) = result.outcomes
    assert (outcome.subject, outcome.changes) == ("/warehouse/lab.db/left", ("lab.left, parquet, 3 partitions",))
    assert [word.rpartition("/")[2] for word in warehouse.told[0][2:]] == ["lab", "left", "left"]


def test_what_gets_no_name_is_told_with_its_reason_and_the_others_get_theirs(warehouse: Warehouse) -> None:
    warehouse.rows = [{"why": "no files of a table are in it"}, {"format": "orc", "partitions": 0}]
    result = warehouse.run("all")
    assert result.exit_code == ExitCode.FAILED and [one.state for one in result.outcomes] == ["failed", "changed"]
    assert result.problems[0].what == "/warehouse/lab.db/left: no name: no files of a table are in it"


def test_a_dry_run_gives_no_name(warehouse: Warehouse) -> None:
    result = warehouse.run("all", dry_run=True)
    assert [one.state for one in result.outcomes] == ["planned", "planned"] and warehouse.told == []


@pytest.mark.parametrize("path", ["/warehouse/books", "/elsewhere", "old"])
def test_only_directories_without_a_name_can_get_one(warehouse: Warehouse, path: str) -> None:
    with pytest.raises(ConfigError):
        warehouse.run(path)
    assert warehouse.told == []


def test_a_metastore_of_another_version_and_none_at_all_are_told(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "exec_in", lambda *_args, **_more: "{}")
    with pytest.raises(ClusterError, match="another shape"):
        warehouse.run()
    session = warehouse.place.session()
    conf = (("spark.sql.catalogImplementation", "in-memory"),)
    session.config = a_cluster(spark=SparkConfig(conf=conf))
    with pytest.raises(ConfigError, match="no metastore of its own"):
        tables.run(session, adopt=(), sizes=False, timeout_s=60)

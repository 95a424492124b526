"""What the metastore says of its tables, which directories have no name, and which of them make a table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparkqfs.facts.tables import CatalogueFact, below_root, database_of, nameless, parse_catalogue
from sparkqfs_runtime.adopting import judge, main


def a_table(database: str, name: str, location: str, **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"type": "MANAGED_TABLE", "owner": "spark", "created": "1700000000", "version": "4.1.1"}
    values |= {"provider": "parquet", "bytes": None, "rows": None, "input_format": None}
    return {"database": database, "name": name, "location": location, **values, **more}


def catalogue(*tables: dict[str, Any]) -> CatalogueFact:
    places = {
        "default": "qfs://m:20000/warehouse",
        "lab": "qfs://m:20000/warehouse/lab.db",
        "own": "qfs://m:20000/warehouse/mine",
    }
    databases = [{"name": name, "owner": "spark", "location": place} for name, place in places.items()]
    counts = [{"database": "lab", "name": "runs", "count": "12"}]
    found = {"schema": 1, "databases": databases, "tables": list(tables), "partitions": counts}
    return parse_catalogue("a line of a log\n" + json.dumps(found) + "\n")


BOOKS = a_table("default", "books", "qfs://m:20000/warehouse/books", bytes="1000", rows="7")
RUNS = a_table("lab", "runs", "qfs://m:20000/warehouse/lab.db/runs")
VIEW = a_table("default", "seen", "qfs://m:20000/warehouse/seen", type="VIRTUAL_VIEW", provider=None)
HIVE = a_table("default", "hive", "hdfs://m:1/x", type="EXTERNAL_TABLE", provider=None)
HIVE["input_format"] = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"


def test_each_table_says_what_is_known_of_it() -> None:
    books, runs, view, hive = catalogue(BOOKS, RUNS, VIEW, HIVE).tables
    assert (books.kind, books.format, books.bytes, books.rows, books.partitions) == ("table", "parquet", 1000, 7, 0)
    assert (runs.partitions, runs.bytes, runs.path) == (12, None, "/warehouse/lab.db/runs")
    assert (view.kind, view.format, view.location) == ("view", "", "")
    assert (hive.kind, hive.format) == ("external", "parquet")


@pytest.mark.parametrize(
    ("uri", "root", "shown"),
    [
        ("file:/data/shared/warehouse/t", "file:///data/shared", "/warehouse/t"),
        ("file:///data/shared/warehouse/t", "file:///data/shared", "/warehouse/t"),
        ("file:/data/shared-2/t", "file:///data/shared", "file:///data/shared-2/t"),
        ("qfs://m:20000/warehouse/t", "qfs://m:20000", "/warehouse/t"),
        ("qfs://m:200001/warehouse/t", "qfs://m:20000", "qfs://m:200001/warehouse/t"),
        ("s3a://bucket/t", "qfs://m:20000", "s3a://bucket/t"),
        ("", "qfs://m:20000", ""),
    ],
)
def test_where_a_table_is_is_said_from_the_root_of_the_storage_on(uri: str, root: str, shown: str) -> None:
    assert below_root(uri, root) == shown


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"schema": 2}', '{"schema": 1, "tables": [3]}', "[]"])
def test_an_answer_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_catalogue(text)


def test_directories_that_no_table_has_are_without_a_name() -> None:
    deep = a_table("default", "deep", "qfs://m:20000/warehouse/folder/deep/")
    known = catalogue(BOOKS, RUNS, deep)
    seen = [("default", f"/warehouse/{name}") for name in ("books", "old", "folder", "_temporary", ".hidden")]
    seen += [("lab", "/warehouse/lab.db/runs"), ("lab", "/warehouse/lab.db/left")]
    found = nameless(seen, known)
    assert [(one.database, one.name) for one in found] == [("lab", "left"), ("default", "old")]


@pytest.mark.parametrize(
    ("directory", "database"),
    [
        ("/warehouse/books", None),
        ("/warehouse/lab.db", "lab"),
        ("/warehouse/gone.db", "gone"),
        ("/warehouse/mine", "own"),
        ("/warehouse/.db", None),
    ],
)
def test_which_directories_are_databases(directory: str, database: str | None) -> None:
    assert database_of(directory, catalogue()) == database


@pytest.mark.parametrize(
    ("files", "format", "is_partitioned"),
    [
        (["/part-0.snappy.parquet", "/_SUCCESS"], "parquet", False),
        (["/day=1/part-0.parquet", "/day=2/part-0.parquet", "/_SUCCESS"], "parquet", True),
        (["/a=1/b=2/p.orc"], "orc", True),
        (["/_loaded=2026-01-31/part-0.parquet", "/_loaded=2026-02-01/.hidden", "/_other/x.csv"], "parquet", True),
        (["/part-0.json.gz", "/part-1.json.gz"], "json", False),
        (["/part-0.zstd.parquet", "/.part-0.crc", "/_temporary/0/x.parquet", "/_SUCCESS"], "parquet", False),
    ],
)
def test_files_that_say_their_columns_make_a_table(files: list[str], format: str, is_partitioned: bool) -> None:
    assert judge(files) == (format, is_partitioned, "")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ([], "no files of a table"),
        (["/_SUCCESS"], "no files of a table"),
        (["/part-0.csv"], "files csv do not say what their columns are"),
        (["/part-0"], "files without an ending do not say"),
        (["/part-0.parquet", "/part-1.orc"], "of several kinds: orc, parquet"),
        (["/part-0.parquet", "/day=1/part-1.parquet"], "of several kinds"),
        (["/other/part-0.parquet"], "directories in it that are no partitions: other"),
        (["/_delta_log/0.json", "/part-0.parquet"], "a Delta table"),
        (["/part-0.parquet", "/_temporary/0/task/part-1.parquet"], "a write that has not ended"),
    ],
)
def test_what_makes_no_table_is_refused_with_the_reason(files: list[str], why: str) -> None:
    found = judge(files)
    assert found.format == "" and why in found.why


@pytest.mark.parametrize("words", [[], ["default", "books"], ["a", "b", "c", "d"]])
def test_a_wrong_command_line_starts_nothing(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 64 and "adopt-tables DATABASE" in capsys.readouterr().err

"""What people do with Spark in their first days, and the answers that must come out: the program of bench/ways.py.

It runs as it is in a notebook, by `submit`, in the shell and on a Connect client: `ways_program.py NAME [only:TEXT]`,
or `NAME OTHER …`. NAME is its own database; of the others it reads the tables that they have left. The last line of its
output is a JSON document.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

MARK = "ways of spark: "
ONLY = "only:"

SQL: dict[str, tuple[tuple[str, ...], list[list[Any]]]] = {
    "a database": (
        ("CREATE DATABASE IF NOT EXISTS {db}", "SELECT count(*) FROM (VALUES (1)) WHERE current_schema() IS NOT NULL"),
        [[1]],
    ),
    "CREATE TABLE AS SELECT": (
        (
            "DROP TABLE IF EXISTS {db}.t",
            "CREATE TABLE {db}.t USING parquet AS SELECT id, id * 2 AS twice FROM range(1000)",
            "SELECT count(*), sum(twice) FROM {db}.t",
        ),
        [[1000, 999000]],
    ),
    "INSERT, INSERT OVERWRITE": (
        (
            "CREATE OR REPLACE TEMPORARY VIEW some AS SELECT id FROM range(10)",
            "DROP TABLE IF EXISTS {db}.i",
            "CREATE TABLE {db}.i (id BIGINT) USING parquet",
            "INSERT INTO {db}.i SELECT * FROM some",
            "INSERT OVERWRITE {db}.i SELECT id + 100 FROM some",
            "INSERT INTO {db}.i VALUES (1)",
            "SELECT count(*), sum(id) FROM {db}.i",
        ),
        [[11, 1046]],
    ),
    "partitions, one dropped": (
        (
            "DROP TABLE IF EXISTS {db}.p",
            "CREATE TABLE {db}.p (id BIGINT, day STRING) USING parquet PARTITIONED BY (day)",
            "INSERT INTO {db}.p SELECT id, concat('d', id % 4) FROM range(100)",
            "ALTER TABLE {db}.p DROP PARTITION (day = 'd3')",
            "SELECT count(*), count(DISTINCT day) FROM {db}.p WHERE day <> 'd0'",
        ),
        [[50, 2]],
    ),
    "partitions in other letters": (
        (
            "DROP TABLE IF EXISTS {db}.u",
            "CREATE TABLE {db}.u (id BIGINT, town STRING) USING parquet PARTITIONED BY (town)",
            "INSERT INTO {db}.u VALUES (1, 'Zürich'), (2, ' a b '), (3, '東京'), (4, 'a/b=c')",
            "SELECT town, id FROM {db}.u ORDER BY id",
        ),
        [["Zürich", 1], [" a b ", 2], ["東京", 3], ["a/b=c", 4]],
    ),
    "ALTER TABLE": (
        (
            "DROP TABLE IF EXISTS {db}.a",
            "DROP TABLE IF EXISTS {db}.renamed",
            "CREATE TABLE {db}.a USING parquet AS SELECT 1 AS x",
            "ALTER TABLE {db}.a ADD COLUMNS (y STRING)",
            "ALTER TABLE {db}.a RENAME TO {db}.renamed",
            "INSERT INTO {db}.renamed VALUES (2, 'two')",
            "SELECT x, y FROM {db}.renamed ORDER BY x",
        ),
        [[1, None], [2, "two"]],
    ),
    "a view": (
        (
            "CREATE OR REPLACE VIEW {db}.v AS SELECT max(twice) AS most FROM {db}.t",
            "SELECT most FROM {db}.v",
        ),
        [[1998]],
    ),
    "DROP TABLE, its files too": (
        (
            "DROP TABLE IF EXISTS {db}.d",
            "CREATE TABLE {db}.d USING parquet AS SELECT 1 AS x",
            "DROP TABLE {db}.d",
            "CREATE TABLE {db}.d USING parquet AS SELECT 2 AS x",
            "SELECT x FROM {db}.d",
        ),
        [[2]],
    ),
    "files by their path": (
        (
            "INSERT OVERWRITE DIRECTORY '{path}/lines' USING json SELECT id, 'x' AS word FROM range(50)",
            "SELECT count(*), max(id) FROM json.`{path}/lines`",
        ),
        [[50, 49]],
    ),
    "Delta: UPDATE, DELETE, MERGE": (
        (
            "DROP TABLE IF EXISTS {db}.books",
            "CREATE TABLE {db}.books (id INT, sold INT) USING delta",
            "INSERT INTO {db}.books VALUES (1, 3), (2, 5), (3, 7)",
            "UPDATE {db}.books SET sold = sold + 1 WHERE id = 1",
            "DELETE FROM {db}.books WHERE id = 2",
            "MERGE INTO {db}.books USING (SELECT 3 AS id, 8 AS sold UNION ALL SELECT 4, 9) AS new ON books.id = new.id "
            "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
            "SELECT id, sold FROM {db}.books ORDER BY id",
        ),
        [[1, 4], [3, 8], [4, 9]],
    ),
    "Delta: yesterday's rows": (
        (
            "SELECT (SELECT sum(sold) FROM {db}.books VERSION AS OF 1), "
            "(SELECT sum(sold) FROM {db}.books VERSION AS OF 3), (SELECT sum(sold) FROM {db}.books)",
        ),
        [[15, 11, 21]],
    ),
    "Delta: OPTIMIZE, VACUUM, RESTORE": (
        (
            "OPTIMIZE {db}.books",
            "VACUUM {db}.books",
            "RESTORE TABLE {db}.books TO VERSION AS OF 1",
            "SELECT count(*), sum(sold) FROM {db}.books",
        ),
        [[3, 15]],
    ),
}
"""Line → statements, and the rows of the last one. `{db}` is the way's database, `{path}` a directory of its own."""


def python_function(spark: Any, _db: str, _path: str) -> Any:
    """A function that runs in the workers' Python."""
    from pyspark.sql.functions import udf

    return spark.range(100).select(udf(lambda n: n * n, "long")("id").alias("s")).agg({"s": "sum"}).collect()[0][0]


def pandas_function(spark: Any, _db: str, _path: str) -> Any:
    """The same on whole columns."""
    return (
        spark.range(100)
        .mapInPandas(lambda parts: (part.assign(id=part.id * 2) for part in parts), "id long")
        .agg({"id": "sum"})
        .collect()[0][0]
    )


def pandas_api(spark: Any, db: str, _path: str) -> Any:
    """pyspark.pandas on a table."""
    import pyspark.pandas as ps

    return int(ps.read_table(f"{db}.t")["twice"].max())


def machine_learning(spark: Any, _db: str, _path: str) -> Any:
    """A line through points, which are on one."""
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.regression import LinearRegression

    points = spark.range(20).selectExpr("double(id) AS x", "double(3 * id + 1) AS y")
    made = VectorAssembler(inputCols=["x"], outputCol="features").transform(points)
    return round(LinearRegression(labelCol="y").fit(made).coefficients[0], 3)


def stream(spark: Any, _db: str, path: str) -> Any:
    """A directory as a stream, its checkpoint on the storage, stopped and gone on with."""
    path = f"{path}/stream-{time.time_ns()}"  # a checkpoint of an earlier run knows other files
    spark.range(30).write.parquet(f"{path}/in")
    for _ in range(2):
        incoming = spark.readStream.schema("id long").parquet(f"{path}/in")
        asked = incoming.writeStream.option("checkpointLocation", f"{path}/check")
        asked.trigger(availableNow=True).format("parquet").start(f"{path}/out").awaitTermination()
        spark.range(30, 40).write.mode("append").parquet(f"{path}/in")
    return spark.read.parquet(f"{path}/out").count()


def failed_write(spark: Any, db: str, _path: str) -> Any:
    """A write that fails leaves no table."""
    try:
        spark.range(10).selectExpr("raise_error('on purpose') AS x").write.saveAsTable(f"{db}.half")
    except Exception as error:  # noqa: BLE001 – Connect's and Spark's own have nothing else in common
        assert "on purpose" in str(error)
    return spark.catalog.tableExists(f"{db}.half")


def saved(spark: Any, db: str, _path: str) -> Any:
    """saveAsTable over a table."""
    for rows in (5, 7):
        spark.range(rows).write.mode("overwrite").saveAsTable(f"{db}.s")
    return spark.table(f"{db}.s").count()


PYTHON: dict[str, tuple[Callable[[Any, str, str], Any], Any]] = {
    "saveAsTable, twice": (saved, 7),
    "a write that fails leaves no table": (failed_write, False),
    "a Python function": (python_function, 328350),
    "a pandas function": (pandas_function, 9900),
    "pandas API": (pandas_api, 1998),
    "machine learning": (machine_learning, 3.0),
    "a stream that goes on": (stream, 40),
}


def said(value: Any) -> str:
    """Of an error, its first line."""
    lines = [line for line in str(value).splitlines() if line.strip()]
    return (lines or [""])[0][:200]


def tried(job: Callable[[], Any], expected: Any) -> dict[str, Any]:
    """What came of a line."""
    started = time.monotonic()
    try:
        found = job()
        why = "" if found == expected else f"{found!r} instead of {expected!r}"
    except Exception as error:  # noqa: BLE001 – whatever it is, is the answer
        why = f"{type(error).__name__}: {said(error)}"
    return {"ok": not why, "why": why, "seconds": round(time.monotonic() - started, 1)}


def places(name: str) -> tuple[str, str]:
    """A way's database and its directory on the storage."""
    return f"ways_{name}", f"/tmp/ways/{name}"


def others_and_only(words: list[str]) -> tuple[list[str], str]:
    """Whose tables are to be read; or what must be in the names of the lines."""
    others = [word for word in words if not word.startswith(ONLY)]
    return others, "".join(word.removeprefix(ONLY) for word in words if word.startswith(ONLY))


def statements(name: str, *words: str) -> dict[str, tuple[tuple[str, ...], list[list[Any]]]]:
    """Line → statements in SQL and the rows of the last one: of its own tables, or of those of others."""
    others, only = others_and_only(list(words))
    db, path = places(name)
    if not others:
        return {
            line: (tuple(one.format(db=db, path=path) for one in texts), rows)
            for line, (texts, rows) in SQL.items()
            if only in line
        }
    asked = "SELECT (SELECT sum(twice) FROM {0}.t), (SELECT sum(sold) FROM {0}.books)"
    return {f"tables of {other}": ((asked.format(places(other)[0]),), [[999000, 15]]) for other in others}


def run(spark: Any, name: str, *words: str) -> dict[str, Any]:
    """All lines, in order."""

    def ask(texts: tuple[str, ...]) -> list[list[Any]]:
        answers = [spark.sql(text).collect() for text in texts]
        return [list(row) for row in answers[-1]]

    lines = {line: tried(partial(ask, texts), rows) for line, (texts, rows) in statements(name, *words).items()}
    others, only = others_and_only(list(words))
    for line, (function, wanted) in PYTHON.items():
        if only in line and not others:
            lines[line] = tried(partial(function, spark, *places(name)), wanted)
    return lines


def main(arguments: list[str]) -> None:
    """The session that the way has."""
    from pyspark.sql import SparkSession

    spark = globals().get("spark") or SparkSession.builder.getOrCreate()
    print(MARK + json.dumps(run(spark, *arguments)), flush=True)


if sys.argv[0].endswith("ways_program.py"):
    main(sys.argv[1:])

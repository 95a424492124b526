"""An application of bench/delta_commits.py: commits to two Delta tables, and writes down what was acknowledged.

Every fifth commit adds one to this application's row of `counters`, whose rows are all in one file, so that updates of
the others are in the way; the rest append one row to `rows`, with Delta's own mark of what is sent again (txnAppId).
It goes on where its file ends, so that it may be killed at any moment and started again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EACH = 5


def is_update(number: int) -> bool:
    """Whether this commit updates."""
    return number % EACH == EACH - 1


def counted(spark: SparkSession, top: str, name: str) -> int:
    """This application's counter."""
    rows = spark.sql(f"SELECT n FROM delta.`{top}/counters` WHERE name = '{name}'").collect()
    return int(rows[0][0])


def update(spark: SparkSession, top: str, name: str, number: int) -> None:
    """Adds one, unless that was done before this application was killed. Tries again when another was faster."""
    wanted = number // EACH + 1
    while counted(spark, top, name) < wanted:
        try:
            spark.sql(f"UPDATE delta.`{top}/counters` SET n = n + 1 WHERE name = '{name}'")
        except Exception as error:
            if "DELTA_CONCURRENT" not in str(error):
                raise
            print("conflict", flush=True)


def append(spark: SparkSession, top: str, name: str, number: int) -> None:
    """One row. Delta itself leaves out what this application has committed under this number."""
    row = spark.range(number, number + 1).selectExpr(f"'{name}' AS name", "id AS n")
    row.write.format("delta").mode("append").option("txnAppId", name).option("txnVersion", number).save(f"{top}/rows")


def main(top: str, name: str, count: int, done: Path) -> None:
    """Commits until `count` are acknowledged."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName(name).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    print("begun", flush=True)
    with done.open("a+", encoding="utf-8") as file:
        file.seek(0)
        for number in range(len(file.readlines()), count):
            (update if is_update(number) else append)(spark, top, name, number)
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))

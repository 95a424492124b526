"""What most programs do with Spark, on very little data, so that its JVM loads the classes for it (class_archive.py).

Usage: spark-submit … class_training.py DIRECTORY. Nothing of it stays but what is in that directory.
"""

from __future__ import annotations

import os
import subprocess
import sys

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

CONNECTED = "connected"
CONNECT = "sc://127.0.0.1:15002"
"""Spark Connect's own port; the container that builds has a network of its own."""
ELSEWHERE = (
    "org.apache.spark.executor.CoarseGrainedExecutorBackend",
    "org.apache.spark.deploy.worker.DriverWrapper",
    "org.apache.spark.sql.connect.service.SparkConnectServer",
    "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2",
)
"""Main classes of JVMs that do not run here; what they use has been loaded by then, or is little."""
CLUSTER = {
    "spark.master": "local-cluster[1,1,512]",
    "spark.executor.memory": "512m",
    "spark.authenticate": "true",
    "spark.authenticate.secret": "training",
    "spark.network.crypto.enabled": "true",
}
"""Master and worker in this JVM, and connections with a secret."""


def questions(session: SparkSession, rows: DataFrame) -> None:
    """A join, a window, an aggregate, a function of Python's: what a page of SQL has."""
    rows.createOrReplaceTempView("rows")
    session.sql(
        "SELECT a.k, count(*) n, sum(a.v) s, avg(b.v) m FROM rows a JOIN rows b ON a.id = b.id "
        "WHERE a.name LIKE '1%' OR a.day > DATE'2020-01-01' GROUP BY a.k HAVING n > 0 ORDER BY s DESC LIMIT 5"
    ).show()
    session.sql("SELECT id, rank() OVER (PARTITION BY k ORDER BY v DESC) r FROM rows").filter("r < 3").collect()
    session.sql("EXPLAIN SELECT DISTINCT k FROM rows").collect()
    rows.select(f.udf(lambda value: value + 1, "long")("id").alias("x")).agg(f.max("x")).collect()
    rows.limit(10).toPandas()
    session.createDataFrame([(1, "a"), (2, "b")], ["x", "y"]).show()


def files_and_tables(session: SparkSession, folder: str) -> None:
    """What is written and read by path and by name."""
    rows = session.range(2000).selectExpr(
        "id", "id % 3 k", "rand(1) v", "cast(id AS string) name", "date_add(DATE'2020-01-01', cast(id % 30 AS int)) day"
    )
    rows.write.partitionBy("k").parquet(f"{folder}/parquet")
    rows.write.option("header", True).csv(f"{folder}/csv")
    rows.write.json(f"{folder}/json")
    session.read.csv(f"{folder}/csv", header=True, inferSchema=True).groupBy("k").count().collect()
    session.read.json(f"{folder}/json").count()
    session.read.text(f"{folder}/csv").count()
    questions(session, session.read.parquet(f"{folder}/parquet"))
    session.sql("CREATE DATABASE d")
    session.sql("CREATE TABLE d.t AS SELECT * FROM rows")
    session.sql("INSERT INTO d.t SELECT * FROM rows")
    session.sql("SHOW TABLES IN d").show()
    session.table("d.t").cache().count()
    session.sql("DROP TABLE d.t")


def pairs(session: SparkSession) -> None:
    """A shuffle without SQL."""
    session.sparkContext.parallelize(range(100), 4).map(lambda x: (x % 3, x)).reduceByKey(lambda a, b: a + b).collect()


def main(folder: str) -> None:
    """All of it."""
    session = SparkSession.builder.getOrCreate()
    files_and_tables(session, folder)
    pairs(session)
    # The Connect server is in this JVM; its client must be another process, which knows nothing of this one.
    subprocess.run([sys.executable, __file__, CONNECTED], env={"PATH": os.environ["PATH"]}, timeout=300, check=True)
    for name in ELSEWHERE:
        session.sparkContext._jvm.java.lang.Class.forName(name)
    session.stop()
    builder = SparkSession.builder.appName("cluster")
    for key, value in CLUSTER.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    pairs(session)
    session.stop()


def connected() -> None:
    """A client of the Connect server."""
    session = SparkSession.builder.remote(CONNECT).getOrCreate()
    columns = ("id", "id % 7 k", "rand(1) v", "cast(id AS string) name", "current_date() day")
    questions(session, session.range(2000).selectExpr(*columns))
    session.stop()


if __name__ == "__main__":
    if sys.argv[1] == CONNECTED:
        connected()
    else:
        main(sys.argv[1])

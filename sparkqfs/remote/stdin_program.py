"""Runs a program that stands beside it, with a Spark session: what `invoke shell` makes of its standard input."""

import os
import sys

from pyspark.sql import SparkSession

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stdin.txt")
with open(path, encoding="utf-8") as file:
    program = compile(file.read(), "<stdin>", "exec")
spark = SparkSession.builder.getOrCreate()
sys.argv = ["-"]
exec(program, {"__name__": "__main__", "spark": spark, "sc": spark.sparkContext, "sql": spark.sql})

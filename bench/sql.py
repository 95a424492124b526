"""Eight of TPC-H's questions to the cluster, to Spark's own local[2] and to DuckDB, and their seconds side by side.

    .venv/bin/python bench/sql.py --scale 1 --out sql.json
    .venv/bin/python bench/sql.py --engines local,duckdb

The data is made here by tpchgen-cli, and goes to /tmp/tpch of the cluster's storage. What this needs besides the
cluster comes from PyPI into a virtual environment below --work; local[2] needs a JDK on this computer. Every engine
gets the same files and the same text; a question is asked --repeats times, and the first time is cold. All answers
are compared. This file is also the program that `invoke submit` runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
STORAGE = "/tmp/tpch"
TOOLS = ("tpchgen-cli==4.0.0", "duckdb==2.0.1", "pyspark==4.1.4")
MARK = "RESULT "

QUESTIONS = {
    "1": """
        select l_returnflag, l_linestatus, sum(l_quantity) q, sum(l_extendedprice) price,
               sum(l_extendedprice * (1 - l_discount)) net, sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) gross,
               avg(l_quantity) avg_q, avg(l_extendedprice) avg_price, avg(l_discount) avg_discount, count(*) n
        from lineitem where l_shipdate <= date '1998-09-02'
        group by l_returnflag, l_linestatus order by l_returnflag, l_linestatus""",
    "3": """
        select l_orderkey, sum(l_extendedprice * (1 - l_discount)) revenue, o_orderdate, o_shippriority
        from customer join orders on c_custkey = o_custkey join lineitem on l_orderkey = o_orderkey
        where c_mktsegment = 'BUILDING' and o_orderdate < date '1995-03-15' and l_shipdate > date '1995-03-15'
        group by l_orderkey, o_orderdate, o_shippriority order by revenue desc, o_orderdate, l_orderkey limit 10""",
    "5": """
        select n_name, sum(l_extendedprice * (1 - l_discount)) revenue
        from region join nation on n_regionkey = r_regionkey join supplier on s_nationkey = n_nationkey
             join customer on c_nationkey = n_nationkey join orders on o_custkey = c_custkey
             join lineitem on l_orderkey = o_orderkey and l_suppkey = s_suppkey
        where r_name = 'ASIA' and o_orderdate >= date '1994-01-01' and o_orderdate < date '1995-01-01'
        group by n_name order by revenue desc""",
    "6": """
        select sum(l_extendedprice * l_discount) revenue from lineitem
        where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01'
          and l_discount between 0.05 and 0.07 and l_quantity < 24""",
    "9": """
        select n_name, year(o_orderdate) y,
               sum(l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity) profit
        from part join lineitem on p_partkey = l_partkey join supplier on s_suppkey = l_suppkey
             join partsupp on ps_suppkey = l_suppkey and ps_partkey = l_partkey
             join orders on o_orderkey = l_orderkey join nation on s_nationkey = n_nationkey
        where p_name like '%green%' group by n_name, year(o_orderdate) order by n_name, y desc""",
    "12": """
        select l_shipmode, sum(case when o_orderpriority in ('1-URGENT', '2-HIGH') then 1 else 0 end) high,
               sum(case when o_orderpriority in ('1-URGENT', '2-HIGH') then 0 else 1 end) low
        from orders join lineitem on o_orderkey = l_orderkey
        where l_shipmode in ('MAIL', 'SHIP') and l_commitdate < l_receiptdate and l_shipdate < l_commitdate
          and l_receiptdate >= date '1994-01-01' and l_receiptdate < date '1995-01-01'
        group by l_shipmode order by l_shipmode""",
    "13": """
        select orders_of, count(*) customers from (
            select c_custkey, count(o_orderkey) orders_of
            from customer left join orders on c_custkey = o_custkey and o_comment not like '%special%requests%'
            group by c_custkey) counted
        group by orders_of order by customers desc, orders_of desc""",
    "18": """
        select c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) q
        from customer join orders on c_custkey = o_custkey join lineitem on o_orderkey = l_orderkey
        where o_orderkey in (select l_orderkey from lineitem group by l_orderkey having sum(l_quantity) > 300)
        group by c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice
        order by o_totalprice desc, o_orderdate, o_orderkey limit 100""",
}
"""TPC-H's number → its question with the specification's values for validation, and a whole order of the rows."""


def plain(value: object) -> object:
    """A value as every engine gives it; parts of a number below a ten-thousandth are theirs."""
    if isinstance(value, float | Decimal):
        return round(float(value), 4)
    return value if isinstance(value, int | str) or value is None else str(value)


def asked(ask: Callable[[str], list[Any]], repeats: int) -> dict[str, Any]:
    """Seconds of every question each time it was asked, and the rows of the last time."""
    found: dict[str, Any] = {}
    for number, text in QUESTIONS.items():
        seconds, rows = [], []
        for _ in range(repeats):
            started = time.monotonic()
            rows = ask(text)
            seconds.append(round(time.monotonic() - started, 3))
        found[number] = {"seconds": seconds, "rows": [[plain(value) for value in row] for row in rows]}
    return found


# --- the program ---------------------------------------------------------------------------------------------------


def program(folder: str, repeats: int, master: str = "") -> None:
    """On Spark: where it runs, or with a master of its own; prints one line."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("TPC-H").config("spark.ui.showConsoleProgress", "false")
    if master:
        builder = builder.master(master).config("spark.ui.enabled", "false").config("spark.driver.memory", "2g")
    spark = builder.getOrCreate()
    for table in TABLES:
        spark.read.parquet(f"{folder}/{table}.parquet").createOrReplaceTempView(table)
    print(MARK + json.dumps(asked(lambda text: spark.sql(text).collect(), repeats)), flush=True)
    spark.stop()


def on_duckdb(folder: str, repeats: int) -> None:
    """Two threads, as the others have two cores."""
    import duckdb  # type: ignore[import-not-found,unused-ignore]

    base = duckdb.connect(config={"threads": 2})
    for table in TABLES:
        base.sql(f"create view {table} as select * from '{folder}/{table}.parquet'")
    print(MARK + json.dumps(asked(lambda text: base.sql(text).fetchall(), repeats)), flush=True)


# --- here ----------------------------------------------------------------------------------------------------------


def run(*words: str | Path) -> str:
    """A command; its standard output. Ends this program when it fails."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words[:4]))} …: exit code {done.returncode}")
    return done.stdout


def result_of(text: str) -> dict[str, Any]:
    line = next(line for line in text.splitlines() if line.startswith(MARK))
    found: dict[str, Any] = json.loads(line.removeprefix(MARK))
    return found


def environment_with_tools(work: Path) -> Path:
    """The virtual environment's `bin`."""
    folder = work / "venv"
    if not (folder / "done").exists():
        venv.create(folder, with_pip=True)
        run(folder / "bin" / "pip", "install", "-q", *TOOLS)
        (folder / "done").touch()
    return folder / "bin"


def data_of(work: Path, tools: Path, scale: float) -> Path:
    """Eight files of Parquet."""
    folder = work / f"scale-{scale:g}"
    if not (folder / "done").exists():
        run(tools / "tpchgen-cli", "parquet", "-s", f"{scale:g}", "--overwrite", f"--output-dir={folder}")
        (folder / "done").touch()
    return folder


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Engine → what `asked` found, rounds one after the other."""
    tools = environment_with_tools(options.work)
    data = data_of(options.work, tools, options.scale)
    there = f"{STORAGE}/scale-{options.scale:g}"
    words = ("--program", "--repeats", str(options.repeats), "--folder")
    hosts = ("--hosts", options.hosts) if options.hosts else ()
    commands: dict[str, tuple[str | Path, ...]] = {
        "cluster": ("invoke", "submit", *hosts, __file__, "--", *words, there),
        "local[2]": (tools / "python", __file__, *words, data, "--master", "local[2]"),
        "DuckDB": (tools / "python", __file__, *words, data, "--duckdb"),
    }
    chosen = {name: words for name, words in commands.items() if name.partition("[")[0].lower() in options.engines}
    if "cluster" in chosen:
        run("invoke", "put", *hosts, data, there)
    found: dict[str, Any] = {name: [] for name in chosen}
    for number in range(options.rounds):
        for name in list(chosen)[:: -1 if number % 2 else 1]:
            print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr, flush=True)
            found[name].append(result_of(run(*chosen[name])))
    return found


def warm(runs: list[dict[str, Any]], number: str) -> float:
    """Median of all but the first time."""
    times: list[list[float]] = [one[number]["seconds"] for one in runs]
    return statistics.median(second for seconds in times for second in seconds[1:] or seconds)


def table(found: dict[str, Any]) -> str:
    """Seconds as Markdown; the sum, and each sum by that of local[2]."""
    sums = {name: sum(warm(runs, number) for number in QUESTIONS) for name, runs in found.items()}
    lines = [f"| Question | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]
    for number in QUESTIONS:
        lines.append(f"| {number} | {' | '.join(f'{warm(runs, number):.2f}' for runs in found.values())} |")
    lines.append(f"| together | {' | '.join(f'{total:.1f}' for total in sums.values())} |")
    if base := sums.get("local[2]"):
        lines.append(f"| by local[2] | {' | '.join(f'{total / base:.2f}' for total in sums.values())} |")
    return "\n".join(lines)


def differences(found: dict[str, Any]) -> list[str]:
    """Questions to which two engines, or two rounds, have two answers."""
    answers = [one for runs in found.values() for one in runs]
    return [number for number in QUESTIONS if any(one[number]["rows"] != answers[0][number]["rows"] for one in answers)]


def main() -> int:
    """1 when answers differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is 346 MB of Parquet")
    parser.add_argument("--repeats", type=int, default=3, help="of each question in one application")
    parser.add_argument("--rounds", type=int, default=1, help="applications of each engine")
    parser.add_argument("--engines", type=lambda text: text.lower().split(","), default=["cluster", "local", "duckdb"])
    parser.add_argument("--hosts", default="", help="the cluster's file")
    parser.add_argument("--work", type=Path, default=Path("results/sql"), help="directory for tools and data")
    parser.add_argument("--out", type=Path, help="file for everything that was found, as JSON")
    for inner in ("--program", "--duckdb"):
        parser.add_argument(inner, action="store_true", help=argparse.SUPPRESS)
    for inner in ("--folder", "--master"):
        parser.add_argument(inner, default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.program:
        with contextlib.suppress(BrokenPipeError):
            if options.duckdb:
                on_duckdb(options.folder, options.repeats)
            else:
                program(options.folder, options.repeats, options.master)
        return 0
    found = measured(options)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(table(found))
    if differs := differences(found):
        print(f"answers differ: {', '.join(differs)}", file=sys.stderr)
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())

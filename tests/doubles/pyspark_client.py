"""A stand-in for Spark's client: a package `pyspark` that knows a few statements, and keeps them in a file."""

from __future__ import annotations

from pathlib import Path

PACKAGE = """
import os, pathlib, re, time
from decimal import Decimal
from pyspark.sql.types import *

STACK = "\\n\\nJVM stacktrace:\\n\\tat org.x"

class PySparkException(Exception):
    def getMessage(self):
        return str(self)

class Schema:
    def __init__(self, fields): self.fields = fields

class Frame:
    def __init__(self, columns, rows):
        known = {"int": DataType("int"), "string": StringType()}
        self.schema = Schema([StructField(name, known.get(str(kind), kind), True) for name, kind in columns])
        self.rows = rows
    def toDF(self, *names):
        assert len(names) == len(self.schema.fields)
        return self
    def select(self, *columns):
        note("select " + " ".join(str(one) for one in columns))
        return Frame([], SENT)
    def toLocalIterator(self):
        for row in self.rows:
            if isinstance(row, Exception): raise row
            yield row

BEYOND = {"late": ValueError("year 10000 is out of range"), "long": OverflowError("date value out of range"),
    "strange": KeyError(21)}
TABLES = ["books", "Authors"]
AT, YEARS, FLOAT = TimestampType("timestamp"), YearMonthIntervalType("interval year to month"), FloatType("float")
DAYS, SPAN = DayTimeIntervalType("interval day to second"), CalendarIntervalType("interval")
BOTH = StructType([StructField("t", AT, True), StructField("f", FLOAT, True)])
PAIR = StructType([StructField("a", DataType("int"), True), StructField("a", StringType(), True)])
TYPED = {
    "twins": ([("p", PAIR), ("l", ArrayType(PAIR, True)), ("m", MapType(StringType(), PAIR, True))],
        [((1, "x"), [(2, "y"), None], {"k": (3, None)}), (None, None, None)]),
    "times": ([("t", AT), ("y", YEARS), ("f", FLOAT), ("a", ArrayType(BOTH, True)), ("m", MapType(AT, FLOAT, True)),
        ("n", DataType("int"))], [Exception("as Python's own")]),
    "spans": ([("d", DAYS), ("a", ArrayType(SPAN, True))], [Exception("as Python's own")]),
    "keyed": ([("m", MapType(PAIR, DataType("int"), True))], [({(1, "x"): 2, (3, None): None},), (None,)]),
    "exact": ([("d", DataType("decimal(38,22)")), ("f", DataType("double"))],
        [(Decimal("123456789012345678901234567890.10"), 1e300), (Decimal("0.10"), 0.1), (Decimal("-1E-22"), -0.0)]),
}
SENT = [
    ("2024-01-01 00:00:00", "INTERVAL '1-2' YEAR TO MONTH", 0.10000000149011612,
        [("2024-01-01 00:00:00.5", 16777216.0), None], {"+12000-01-01 00:00:00": 3.4028234663852886e+38}, 1),
    (None, None, float("nan"), None, None, 2),
]

class Session:
    interrupted = False
    def interruptAll(self):
        note("interrupting")
        time.sleep(float(os.environ.get("FAKE_INTERRUPT_S", "0")))
        self.interrupted = True
        note("interrupted")
    def sql(self, text):
        note(text)
        if text == "select current_database()": return Frame([("d", "string")], [("default",)])
        if text == "show databases": return Frame([("d", "string")], [("default",), ("other",)])
        found = re.fullmatch("show tables in `(.*)`", text)
        if found:
            return Frame([("n", "string")] * 3, [(found[1], name, False) for name in TABLES * (found[1] == "default")])
        if text.startswith("create table "):
            TABLES.append(text.split()[2])
            return Frame([], [])
        if text.startswith("slow"):
            while not self.interrupted: time.sleep(0.02)
            raise PySparkException("[CANCELLED] as asked")
        if text.startswith("broken"):
            return Frame([("n", "int")], [(1,), PySparkException("[LATE] it broke" + STACK)])
        if text in TYPED: return Frame(*TYPED[text])
        if text in BEYOND: return Frame([("n", "int")], [(1,), BEYOND[text]])
        if not text.startswith("select "): raise PySparkException("[PARSE] what is this?" + STACK)
        return Frame([("n", "int"), ("word", "string")], [(n, "w" * n) for n in range(int(text.split()[1]))])

def note(text):
    with open(pathlib.Path(os.environ["SPARKQFS_RUN_DIR"]) / "statements", "a") as file:
        file.write(text + "\\n")

class Builder:
    def remote(self, url):
        note(url + " " + os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"])
        return self
    def getOrCreate(self):
        time.sleep(float(os.environ.get("FAKE_CONNECT_S", "0")))
        return Session()

class SparkSession:
    builder = Builder()
"""
TYPES = """
class DataType:
    name = ""
    def __init__(self, name): self.name = name
    def simpleString(self): return self.name
    def __eq__(self, other): return type(self) is type(other) and vars(self) == vars(other)

class TimestampType(DataType): pass
class YearMonthIntervalType(DataType): pass
class DayTimeIntervalType(DataType): pass
class CalendarIntervalType(DataType): pass
class FloatType(DataType): pass

class StringType(DataType):
    def __init__(self): super().__init__("string")

class ArrayType(DataType):
    def __init__(self, element, null):
        super().__init__(f"array<{element.name}>")
        self.elementType, self.containsNull = element, null

class MapType(DataType):
    def __init__(self, key, value, null):
        super().__init__(f"map<{key.name},{value.name}>")
        self.keyType, self.valueType, self.valueContainsNull = key, value, null

class StructField:
    def __init__(self, name, kind, null): self.name, self.dataType, self.nullable = name, kind, null
    def __eq__(self, other): return vars(self) == vars(other)

class StructType(DataType):
    def __init__(self, fields):
        super().__init__(f"struct<{','.join(f'{one.name}:{one.dataType.name}' for one in fields)}>")
        self.fields = fields
"""
FUNCTIONS = """
class col:
    def __init__(self, name): self.name = name
    def cast(self, kind): return f"{self.name}:{kind.simpleString()}"
    def __str__(self): return self.name
"""


def install(folder: Path) -> Path:
    """Into this folder, which belongs on PYTHONPATH."""
    for name, text in (
        ("__init__.py", ""),
        ("sql/__init__.py", PACKAGE),
        ("sql/types.py", TYPES),
        ("sql/functions.py", FUNCTIONS),
        ("errors.py", "from pyspark.sql import PySparkException\n"),
    ):
        (folder / "pyspark" / "sql").mkdir(parents=True, exist_ok=True)
        (folder / "pyspark" / name).write_text(text)
    return folder

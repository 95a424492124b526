"""What measures runs in executors too, whose Python finds no module of ours: it goes there by value."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT, RUNTIME

STAND_INS = """
import sys, types
import cloudpickle
NAMES = {"py4j": (), "py4j.protocol": ("Py4JError",), "pyarrow": ("RecordBatch",), "pyspark": ("BarrierTaskContext",),
         "pyspark.sql": ("DataFrame", "Observation", "SparkSession", "functions")}
for module, names in NAMES.items():
    sys.modules[module] = types.ModuleType(module)
    for name in names:
        setattr(sys.modules[module], name, len)
sys.modules["pyspark.cloudpickle"] = cloudpickle
"""
DRIVER = """
import importlib
_, runtime, root, file, module, name = sys.argv
sys.path[:0] = [runtime, root]
found = importlib.import_module("sparkqfs_runtime.measuring." + module)
for one in {found, importlib.import_module("sparkqfs_runtime.measuring.verify")}:
    cloudpickle.register_pickle_by_value(one)
open(file, "wb").write(cloudpickle.dumps(getattr(found, name)))
"""
EXECUTOR = """
import os, pickle
sys.path = [place for place in sys.path if not os.path.isdir(os.path.join(place, "sparkqfs"))]
for ours in ("sparkqfs", "sparkqfs_runtime"):
    try:
        __import__(ours)
    except ImportError:
        continue
    raise SystemExit(ours + " is there: the test proves nothing")
print(pickle.load(open(sys.argv[1], "rb")).__name__)
"""


def python(program: str, *words: str, cwd: Path) -> str:
    argv = [sys.executable, "-P", "-c", STAND_INS + program, *words]
    ran = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("verify", "count_in_barrier"),
        ("verify", "answer_in_barrier"),
        ("bench_storage", "count_in_barrier"),
        ("bench_storage", "disk_in_barrier"),
    ],
)
def test_a_task_can_be_read_where_our_modules_are_not(module: str, name: str, tmp_path: Path) -> None:
    file = str(tmp_path / "task")
    python(DRIVER, str(RUNTIME), str(ROOT), file, module, name, cwd=tmp_path)
    assert python(EXECUTOR, file, cwd=tmp_path) == name


SETTINGS = """
import importlib, json
class Builder:
    found = {}
    def appName(self, name):
        return self.config("name", name)
    def config(self, key, value):
        self.found[key] = value
        return self
    def getOrCreate(self):
        raise SystemExit(print(json.dumps(self.found)))
_, runtime, root, module, *words = sys.argv
sys.path[:0] = [runtime, root]
sys.modules["pyspark.sql"].SparkSession = type("SparkSession", (), {"builder": Builder()})
sys.modules["py4j.protocol"].Py4JJavaError = sys.modules["py4j.protocol"].Py4JError = ValueError
importlib.import_module("sparkqfs_runtime." + module).main(words)
"""
COMMON = {"spark.cores.max": "1000000", "spark.ui.showConsoleProgress": "false", "spark.speculation": "false"}
MEASURING = {
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "60s",
    "spark.barrier.sync.timeout": "120",
    "spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures": "4",
    "spark.dynamicAllocation.enabled": "false",
}
TASKS = {"spark.ui.retainedTasks": "1000000", "spark.ui.retainedJobs": "10000", "spark.ui.retainedStages": "10000"}


@pytest.mark.parametrize(
    ("module", "words", "expected"),
    [
        ("measuring.verify", ["--path", "/x"], {"name": "sparkqfs-verify"} | COMMON | MEASURING | TASKS),
        (
            "measuring.bench_storage",
            ['{"tables": []}'],
            {"name": "sparkqfs-bench", "spark.eventLog.enabled": "false"} | COMMON | MEASURING,
        ),
        ("files.copying", ["/a", "/b"], {"name": "sparkqfs-copy"} | COMMON),
    ],
)
def test_a_program_of_ours_has_all_executors_and_what_it_needs_besides(
    module: str, words: list[str], expected: dict[str, str], tmp_path: Path
) -> None:
    assert json.loads(python(SETTINGS, str(RUNTIME), str(ROOT), module, *words, cwd=tmp_path)) == expected

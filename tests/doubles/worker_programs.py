"""Programs that measure, without Spark: for those of their functions that do not call it."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import pytest

PACKAGE = "sparkqfs_runtime.measuring"
NOT_HERE = {
    "py4j": (),
    "py4j.protocol": ("Py4JError",),
    "pyarrow": ("RecordBatch",),
    "pyspark": ("BarrierTaskContext",),
    "pyspark.cloudpickle": ("register_pickle_by_value",),
    "pyspark.sql": ("DataFrame", "Observation", "SparkSession", "functions"),
}


def load(monkeypatch: pytest.MonkeyPatch, name: str) -> Any:
    """A module of the package, imported again: what is not here has stand-ins while the test runs."""
    for module, names in NOT_HERE.items():
        empty = ModuleType(module)
        for one in names:
            setattr(empty, one, type(one, (Exception,), {}))
        monkeypatch.setitem(sys.modules, module, empty)
    for one in ("verify", "bench_storage"):
        sys.modules.pop(f"{PACKAGE}.{one}", None)
    return importlib.import_module(f"{PACKAGE}.{name}")

"""Programs of docker/worker-node as modules, without Spark: for those of their functions that do not call it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAMS = Path(__file__).parents[1] / "docker" / "worker-node"
NOT_HERE = {
    "py4j": (),
    "py4j.protocol": ("Py4JError",),
    "pyarrow": ("RecordBatch",),
    "pyspark": ("BarrierTaskContext",),
    "pyspark.cloudpickle": ("register_pickle_by_value",),
    "pyspark.sql": ("DataFrame", "Observation", "SparkSession", "functions"),
}


def load(monkeypatch: pytest.MonkeyPatch, name: str) -> Any:
    """`name`.py, under that name for programs that are loaded later."""
    for module, names in NOT_HERE.items():
        empty = ModuleType(module)
        for one in names:
            setattr(empty, one, type(one, (Exception,), {}))
        monkeypatch.setitem(sys.modules, module, empty)
    spec = importlib.util.spec_from_file_location(name, PROGRAMS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, program)
    spec.loader.exec_module(program)
    return program

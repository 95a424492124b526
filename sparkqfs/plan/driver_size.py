"""Memory of a driver in a container of its own: what programs, the Connect server and sizing go by."""

from __future__ import annotations

from dataclasses import dataclass

from sparkqfs.plan.services.jupyter_server import JVM_BASE_MIB
from sparkqfs.plan.services.jupyter_server import MEMORY_MIB as PYTHON_MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverSize:
    """Memory of a driver's container, MiB."""

    heap_mib: int
    overhead_mib: int
    """The JVM outside its heap; with `spark.driver.memoryOverhead` Python too."""
    python_mib: int

    @property
    def memory_mib(self) -> int:
        """All of it: the container's limit."""
        return self.heap_mib + self.overhead_mib + self.python_mib

    @property
    def arithmetic(self) -> str:
        """For people."""
        parts = f"heap {self.heap_mib} + JVM {self.overhead_mib} + Python {self.python_mib}"
        return f"{parts} = {self.memory_mib} MiB"


def size_of(heap_mib: int, overhead_mib: int | None, *, has_python: bool) -> DriverSize:
    """As for executors, but Python may be half the heap: results are collected there. `overhead_mib` is for both."""
    if overhead_mib is not None:
        return DriverSize(heap_mib=heap_mib, overhead_mib=overhead_mib, python_mib=0)
    python = max(PYTHON_MIB, heap_mib // 2) if has_python else 0
    return DriverSize(heap_mib=heap_mib, overhead_mib=max(JVM_BASE_MIB, heap_mib // 10), python_mib=python)

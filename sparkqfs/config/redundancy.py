"""What is kept of a file's bytes: `storage.replication`, unless `spark.conf` says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

_REED_SOLOMON = "1,6,3,65536,2"
_FORM = "copies, or copies,data,recovery,stripe size,type"


@dataclass(frozen=True, slots=True)
class Redundancy:
    """`copies` of every block; with `data` above 0, of every piece of a stripe.

    Of a stripe's `data` + `recovery` pieces (Reed-Solomon) any `recovery` may be lost.
    """

    copies: int
    data: int = 0
    recovery: int = 0

    @property
    def nodes(self) -> int:
        """Nodes that it takes to keep all of them apart."""
        return self.copies * max(1, self.data + self.recovery)

    @property
    def name(self) -> str:
        """`replication 2`, `Reed-Solomon 6+3`."""
        if not self.data:
            return f"replication {self.copies}"
        return f"Reed-Solomon {self.data}+{self.recovery}" + (f", {self.copies} copies" if self.copies > 1 else "")


def spark_setting(kind: str) -> str:
    """The Spark setting that says how files are made on this kind of storage; empty where there is none."""
    return _SETTINGS.get(kind, ("", _copies))[0]


def redundancy_of(kind: str, replication: int, spark_conf: Iterable[tuple[str, str]]) -> Redundancy:
    """What the files of this storage get. Raises `ValueError` for a text that the storage would not understand."""
    setting, read = _SETTINGS.get(kind, ("", _copies))
    text = dict(spark_conf).get(setting)
    return Redundancy(replication) if text is None else read(text.strip())


def fitting(nodes: int) -> str:
    """Which `storage.replication` fits on so many nodes, for a hint."""
    if nodes <= 1:
        return "1 is what fits on one node"
    return f"1 to {nodes} fit on {nodes} nodes; 2 is advised" + (", 3 where a loss is dear" if nodes > 2 else "")


def _copies(text: str) -> Redundancy:
    return Redundancy(_number(text, 1, 64))


def _create_params(text: str) -> Redundancy:
    """`copies[,data,recovery,stripe size,type[,…]]`, `S` for Reed-Solomon 6+3; type 2 is Reed-Solomon.

    Source: QFS 2.2.8, src/cc/tools/qfs_main.cc.
    """
    parts = (_REED_SOLOMON if text == "S" else text).split(",")
    if len(parts) == 1:
        return _copies(text)
    if len(parts) < 5:
        raise ValueError(f"found '{text}'; must be {_FORM}")
    copies, data, recovery = _number(parts[0], 1, 64), _number(parts[1], 0, 511), _number(parts[2], 0, 32)
    return Redundancy(copies, data, recovery if parts[4].strip() == "2" else 0) if data else Redundancy(copies)


_SETTINGS: dict[str, tuple[str, Callable[[str], Redundancy]]] = {
    "qfs": ("spark.hadoop.fs.qfs.createParams", _create_params),
    "hdfs": ("spark.hadoop.dfs.replication", _copies),
}


def _number(text: str, low: int, high: int) -> int:
    digits = text.strip()
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else -1
    if not low <= number <= high:
        raise ValueError(f"found '{digits}'; must be a whole number from {low} to {high}")
    return number

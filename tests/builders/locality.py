"""A measurement as `verify` prints it, and what the cluster should be in it."""

from __future__ import annotations

from typing import Any

from sparkqfs.checks.locality import Expected

A, B, C, D = "10.20.30.2", "10.20.30.3", "10.20.30.4", "10.20.30.5"
EXPECTED = Expected(
    server="chunkserver",
    blocks="chunks",
    nodes=("node1", "node2", "node3"),
    workers={A: "node1", B: "node2", C: "node3"},
    containers={A: "node1", B: "node2", C: "node3", "10.20.30.9": "node1"},
    up_hosts=(A, B, C),
    replication=2,
)
PLACEMENT: dict[str, Any] = {
    "files": 12,
    "files_asked": 12,
    "bytes_asked": 360_000_000,
    "blocks": 12,
    "largest_block_bytes": 30_000_000,
    "copies": {"2": 12},
    "striped_blocks": 0,
    "bytes_by_host": {A: 240_000_000, B: 240_000_000, C: 240_000_000},
    "blocks_by_host": {A: 8, B: 8, C: 8},
    "largest_host_share": 0.3333,
}
SCAN: dict[str, Any] = {
    "partitions": 12,
    "partitions_asked": 12,
    "partitions_placed": 12,
    "splits": 12,
    "files_per_partition": 1.0,
    "mixed_partitions": 0,
    "bytes_per_partition": 30_000_000,
    "max_partition_bytes": 64 << 20,
    "open_cost_bytes": 64 << 20,
    "bytes_judged": 1_080_000_000,
    "bytes_elsewhere": 0,
}


def measured(
    *, placement: dict[str, Any] | None = None, scan: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """A document of `verify`: 36 local tasks on three nodes, 1,080 MB read, 1 MB received."""
    found: dict[str, Any] = {
        "schema": 1,
        "path": "qfs://qfs-master:20000/tmp/t",
        "format": "parquet",
        "files": 12,
        "average_file_bytes": 30_000_000,
        "reads": 3,
        "bytes_read": 1_080_000_000,
        "read_seconds": 9.5,
        "tasks": {"NODE_LOCAL": 36},
        "levels_by_host": {host: {"NODE_LOCAL": 12} for host in (A, B, C)},
        "read_by_host": dict.fromkeys((A, B, C), 360_000_000),
        "received_bytes": {A: 400_000, B: 300_000, C: 300_000},
        "received_total": 1_000_000,
        "hosts": [A, B, C],
        "addresses": {A: A, B: B, C: C},
        "placement": PLACEMENT | (placement or {}),
        "scan": SCAN | (scan or {}),
        "replaced": [],
        "reader": None,
        "reader_off": None,
    } | changes
    return found | {"remote_share": round(found["received_total"] / found["bytes_read"], 4)}

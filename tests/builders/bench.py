"""What `invoke bench.storage` measures."""

from __future__ import annotations

from typing import Any

SIZE = 1_000_000_000
UPSTREAM = "qfs-2-upstream"


def a_result(seconds: dict[str, list[float]] | None = None, **changes: Any) -> dict[str, Any]:
    """A result of two variants: `seconds` of each one's scans, a round each."""
    seconds = seconds or {"qfs-2": [10.0, 12.0, 11.0], UPSTREAM: [20.0, 22.0, 21.0]}
    samples = [
        {
            "round": number + 1,
            "variant": name,
            "operation": "scan",
            "seconds": value,
            "received_bytes": SIZE // 2,
            "cpu_seconds": 7.0,
            "is_right": True,
            "tasks": {"NODE_LOCAL": 3, "ANY": 1},
        }
        for name, values in seconds.items()
        for number, value in enumerate(values)
    ]
    samples.append({**samples[0], "operation": "write", "seconds": 30.0})
    samples.append(
        {**samples[0], "variant": "", "operation": "nothing", "received_bytes": 2_000_000, "cpu_seconds": 0.4}
    )
    variants = [{"name": name, "table": "qfs-2", "text": f"text of {name}", "is_counted": True} for name in seconds]
    return {
        "schema": 1,
        "cluster": "spark",
        "storage": "qfs",
        "network": "overlay",
        "link": None,
        "nodes": 3,
        "when": "2026-01-01T00:00:00Z",
        "mib": 954,
        "files": 12,
        "rounds": 3,
        "baseline": "qfs-2",
        "variants": variants,
        "tables": {"qfs-2": {"bytes": SIZE, "disk_bytes": 2 * SIZE}},
        "samples": samples,
        "executors": 6,
        "cores": 6,
        "spark": "4.1",
        "cpu_source": "cgroup v2",
    } | changes

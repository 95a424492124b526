"""Chunks that were finished when the power went get their names before the chunkserver starts."""

from __future__ import annotations

from pathlib import Path

from tests.builders.chunks import chunk, put
from tests.runtime.container import Container


def test_it_runs_before_the_chunkserver_starts(tmp_path: Path) -> None:
    container = Container(tmp_path)
    put(container.chunks, chunk(3))
    process = container.start("worker-node")
    try:
        container.wait_for("chunkserver started")
        assert (container.chunks / "5.7.3").exists()
    finally:
        process.terminate()
        said = process.communicate(timeout=60)[0]
    assert "5.7.3: finished before the power went" in said

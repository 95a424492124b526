"""What `put` answers "done" for is on the disk: the system calls of the Java file server."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.doubles.traces import TRACE, calls_in
from tests.storage.file_servers import on_plain_files


def test_a_file_that_put_brings_to_a_shared_file_system(java_server: list[str], tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace")
    world = on_plain_files([*TRACE, str(tmp_path / "trace"), *java_server], tmp_path / "storage")
    source = tmp_path / "source"
    source.write_bytes(b"x" * 1000)
    assert not world.put(source, "/new/deep/x").problems
    found = calls_in(tmp_path / "trace")
    assert re.fullmatch(r"fsync \.sparkqfs-part-\S+ rename x fsync deep fsync new fsync storage", " ".join(found)), (
        found
    )

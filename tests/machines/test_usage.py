"""The script behind `invoke top` on this computer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sparkqfs.facts.usage import parse_usage
from sparkqfs.gather.usage import USAGE_SCRIPT


def test_the_script_works_on_this_machine() -> None:
    done = subprocess.run(
        ["sh", "-s", "--", "/", "/", "/no/such/directory"],
        input=USAGE_SCRIPT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    sample = parse_usage(done.stdout)
    assert sample.cores >= 1
    assert 0 < sample.cpu_busy <= sample.cpu_total
    assert 0 < sample.memory_free_bytes < sample.memory_bytes
    assert 0 <= sample.data_free_bytes <= sample.data_bytes > 0
    once = subprocess.run(["df", "-Pk", "/"], capture_output=True, text=True, check=True).stdout.splitlines()[1]
    assert sample.data_bytes == 1024 * int(once.split()[1])  # one file system counts once


def test_a_file_system_from_a_name_with_spaces_counts_once(tmp_path: Path) -> None:
    share = "//nas/My Share 4096 1024 3072 25%%"
    lines = f"h\\n{share} /mnt/a b\\n{share} /mnt/c\\n/dev/x 8 1 7 1%% /y\\n"
    (tmp_path / "df").write_text(f"#!/bin/sh\nprintf '{lines}'\n")
    (tmp_path / "df").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", "-s", "--", "/mnt/c", "/y"]
    done = subprocess.run(
        command, input=USAGE_SCRIPT, env=environment, capture_output=True, text=True, check=True, timeout=30
    )
    sample = parse_usage(done.stdout)
    assert (sample.data_bytes, sample.data_free_bytes) == (1024 * 4104, 1024 * 3079)

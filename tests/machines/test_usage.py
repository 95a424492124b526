"""The script behind `invoke top` on this computer."""

from __future__ import annotations

import subprocess

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

"""What a command line costs before a machine is asked: user CPU and memory of lists, help, completion and errors.

    .venv/bin/python bench/startup.py [--times 10] [--tree DIRECTORY]

The figures of docs/measured/start-up.md. Each command runs in a process of its own, all in turn, from a copy of the
package: without Python's compiled files of it, as in a new clone and wherever only `invoke` runs, which writes none,
and with them. `--tree` measures another clone with the libraries of this one. The first two rows are the floor: Python
alone, and Invoke with one empty task.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = "import sys; sys.argv[0] = 'sparkqfs'; from sparkqfs.program import main; main()"
BAD = "nodes: {node1: 192.168.1.11}\nssh: {port: 99999}\n"
REFUSED = "nodes: {node1: 127.0.0.1}\nssh: {port: 1, user: nobody, known_hosts: known}\n"
ONE_TASK = "from invoke import task\n\n\n@task\ndef nothing(c):\n    pass\n"


def commands(copy: Path, bare: Path) -> dict[str, list[str]]:
    """What is measured, by the name of its row."""
    ours, invoke = [sys.executable, "-c", OURS], [sys.executable, "-m", "invoke", "--search-root"]
    return {
        "python, nothing": [sys.executable, "-c", ""],
        "invoke --list, one empty task": [*invoke, str(bare), "--list"],
        "invoke --list": [*invoke, str(copy), "--list"],
        "sparkqfs --list": [*ours, "--list"],
        "sparkqfs --help": [*ours, "--help"],
        "sparkqfs prep --help": [*ours, "prep", "--help"],
        "sparkqfs --complete": [*ours, "--complete", "--", "sparkqfs", "prep", "--"],
        "sparkqfs --print-completion-script": [*ours, "--print-completion-script", "bash"],
        "a fault in hosts.yml": [*ours, "status", "--hosts", "bad.yml"],
        "status, connection refused": [*ours, "status", "--hosts", "refused.yml"],
    }


def measured(command: list[str], folder: Path, env: dict[str, str]) -> tuple[float, float]:
    """One run: seconds of user CPU, and MiB of memory at most."""
    with subprocess.Popen(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime, usage.ru_maxrss / 1024


def make_copy(tree: Path, folder: Path) -> Path:
    """The package and its tasks file without compiled files, and the cluster files that are asked for."""
    shutil.copytree(tree / "sparkqfs", folder / "sparkqfs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(tree / "tasks.py", folder)
    (folder / "bad.yml").write_text(BAD)
    (folder / "refused.yml").write_text(REFUSED)
    (folder / "bare").mkdir()
    (folder / "bare" / "tasks.py").write_text(ONE_TASK)
    return folder


def compare(tree: Path, times: int, *, compiled: bool) -> None:
    """Measure all commands `times` times, one after the other so that other load meets all of them, and print."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SPARKQFS_", "INVOKE_"))}
    env.pop("SSH_AUTH_SOCK", None)
    with tempfile.TemporaryDirectory(prefix="sparkqfs-startup-") as name:
        copy = make_copy(tree, Path(name))
        env |= {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        rows = commands(copy, copy / "bare")
        if compiled:
            subprocess.run([sys.executable, "-m", "compileall", "-q", copy], check=True, timeout=300)
        runs = [{row: measured(command, copy, env) for row, command in rows.items()} for _ in range(times)]
    head = f"{'with' if compiled else 'without'} compiled files; median of {times} (least)"
    print(f"\n{head}; load {os.getloadavg()[0]:.0f}")
    for row in rows:
        seconds = [run[row][0] for run in runs]
        mib = statistics.median(run[row][1] for run in runs)
        print(f"  {row:36} {statistics.median(seconds):6.3f} s ({min(seconds):.3f})  {mib:6.1f} MiB")


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--tree", type=Path, default=Path(__file__).resolve().parent.parent)
    given = parser.parse_args()
    for compiled in (False, True):
        compare(given.tree, given.times, compiled=compiled)


if __name__ == "__main__":
    main()

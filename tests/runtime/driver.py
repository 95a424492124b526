"""A driver's container: the supervisor as a real process, with a script in the place of spark-submit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.paths import PROGRAMS

ID = "submit-20260101120000-7f3a"
SUBMIT = """\
#!{python} -I
import json, os, signal, sys, time
assert sys.argv[1:3] == ["--conf", "spark.pyspark.driver.python=/opt/sparkqfs/bin/driver-python"], sys.argv
del sys.argv[1:3]
print("argv", sys.argv[1:], "cwd", os.getcwd(), flush=True)
open("score", "w").write(open("/proc/self/oom_score_adj").read())
print("conf", os.environ["SPARK_CONF_DIR"], file=sys.stderr, flush=True)
if sys.argv[1] == "sleep":
    print("asleep", flush=True)
    time.sleep(60)
if sys.argv[1] == "writes":
    for name in sys.argv[2:]:
        open(name, "w").write('{{"threshold": 3}}')
    sys.argv[1] = "0"
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(sys.argv[1]))
"""


class Driver:
    """The supervisor as a driver, with a script in the place of spark-submit."""

    def __init__(self, root: Path) -> None:
        self.app = root / "apps" / ID
        self.run_dir = root / "run"
        for path in (self.app, root / "etc", root / "secrets", root / "spark" / "bin", self.run_dir):
            path.mkdir(parents=True)
        (root / "etc" / "spark-defaults.conf").write_text("spark.authenticate true\n")
        (root / "secrets" / "spark-secret").write_text("the-secret\n")
        program = root / "spark" / "bin" / "spark-submit"
        program.write_text(SUBMIT.format(python=sys.executable))
        program.chmod(0o755)
        self.environ = {
            "PATH": os.environ["PATH"],
            "SPARK_HOME": str(root / "spark"),
            "SPARKQFS_STORAGE": "shared",
            "SPARKQFS_PROBE_HOST": "127.0.0.1",
            "SPARKQFS_ETC_DIR": str(root / "etc"),
            "SPARKQFS_RUN_DIR": str(self.run_dir),
            "SPARKQFS_SECRETS_DIR": str(root / "secrets"),
            "SPARKQFS_APPS_DIR": str(root / "apps"),
            "SPARKQFS_APP": ID,
            "SPARK_LOCAL_DIRS": str(root / "local"),
        }

    def start(self, *words: str, restart: bool = False) -> subprocess.Popen[str]:
        (self.app / "app.json").write_text(json.dumps({"argv": words, "restart": restart}))
        return subprocess.Popen(
            [sys.executable, "-I", str(PROGRAMS / "supervise"), "driver"],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def said(self, name: str = "stdout") -> str:
        file = self.app / name
        return file.read_text() if file.exists() else ""


def until(found: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.05)

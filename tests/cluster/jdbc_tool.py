"""A database tool's side of `invoke jdbc`: Hive's own driver, which DBeaver takes too."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from sparkqfs.clients.download import fetch_jars
from sparkqfs.errors import ClusterError

JAVA = Path(__file__).parent / "java"
ASK_S = 120.0


def driver() -> Path | str:
    """The driver's jar, loaded once; why there is none."""
    if shutil.which("javac") is None:
        return "no JDK (javac)"
    try:
        return fetch_jars(JAVA / "jdbc.lock", offline=None, on_progress=lambda _done, _total: None)[0]
    except ClusterError as error:
        return f"no JDBC driver: {error}"


def ask(jar: Path, door: dict[str, Any], password: str, table: str, *statements: str) -> tuple[int, list[str], str]:
    """Logs in, lists databases, tables and that table's columns, asks; exit code, lines of words, errors."""
    program = ["java", "-XX:TieredStopAtLevel=1", "-cp", str(jar), str(JAVA / "JdbcClient.java")]
    words = [door["url"], door["user"], password, "default", table, *statements]
    done = subprocess.run([*program, *words], capture_output=True, text=True, timeout=ASK_S, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr

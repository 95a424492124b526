"""A plugin of pytest: which tests passed and failed, as a file. xdist's workers report to who writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path("results/outcomes.json")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Only the process at the terminal comes here."""
    stats = terminalreporter.stats
    bad = [*stats.get("failed", []), *stats.get("error", [])]
    found = {
        "failed": sorted({report.nodeid for report in bad}),
        "passed": sorted({report.nodeid for report in stats.get("passed", [])}),
        "crashed": any(getattr(report, "when", None) not in ("setup", "call", "teardown") for report in bad),
    }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(found), encoding="utf-8")

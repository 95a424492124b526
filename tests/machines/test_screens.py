"""What tasks show a person: a window wraps and cuts nothing, and sizes have one notation a screen."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkqfs.errors import ClusterError, Problem
from sparkqfs.plan.steps import JobResult
from sparkqfs.report.reporter import Reporter
from tests.doubles.document_cases import CASES
from tests.doubles.documents import Place

NARROW, WIDE = "12", "4000"
SIZE = re.compile(r"\d ?([kKMGT]i?B)\b(?!/s)")
RATE = re.compile(r"\d ?([kKMGT]i?B)/s")
SPACED = re.compile(r"\d (?:s|min|h)\b")
COMPACT = re.compile(r"\d(?:s|m\d\ds|h\d\dm)\b")
ARITHMETIC = re.compile(r"memory: .*|an executor of .*|sizing: .*")
"""Sums of MiB, beside disks in GiB."""
ALL = [(task, case) for task, cases in CASES.items() for case in cases]


def result_of(task: str, job: Callable[[Place], JobResult], place: Place) -> JobResult:
    try:
        return job(place)
    except ClusterError as error:
        return JobResult(task=task, problems=error.problems, code=error.exit_code)
    except (AttributeError, ValueError) as error:  # what a double does not have
        return JobResult(task=task, problems=(Problem(what=str(error)),))


def screen(result: JobResult, columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Both outputs in a window of that width, as text."""
    monkeypatch.setenv("COLUMNS", columns)
    Reporter().result(result)
    captured = capsys.readouterr()
    return re.sub(r"\x1b\[[0-9;]*m", "", captured.out + captured.err)


@pytest.mark.parametrize(("task", "case"), ALL, ids=[f"{task}, {case}" for task, case in ALL])
def test_a_window_cuts_and_wraps_nothing_and_sizes_have_one_notation(
    task: str,
    case: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        (tmp_path / "place").mkdir()
        result = result_of(task, CASES[task][case], Place(tmp_path / "place", patch, stack))
    capsys.readouterr()
    shown = screen(result, NARROW, capsys, monkeypatch)
    assert shown == screen(result, WIDE, capsys, monkeypatch)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as at a terminal
    assert shown == screen(result, NARROW, capsys, monkeypatch)
    assert [line for line in shown.splitlines() if line != line.rstrip()] == []
    kept = ARITHMETIC.sub("", shown)
    sizes, rates = set(SIZE.findall(kept)), set(RATE.findall(kept))
    assert len(sizes) < 2 and len(rates) < 2 and len({"i" in unit for unit in sizes | rates}) < 2, shown
    assert not (SPACED.search(kept) and COMPACT.search(kept)), shown

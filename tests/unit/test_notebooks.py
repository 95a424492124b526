"""The notebooks as files: their form, what they tell `invoke notebook`, and the sieve, which needs no Spark."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from sparkqfs.jobs.programs import compute
from tests.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tagged(path: Path, tag: str) -> str:
    """The source of the one cell with a tag."""
    (cell,) = [cell for cell in code_cells(path) if tag in cell.metadata.get("tags", [])]
    return str(cell.source)


def parameters(path: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    exec(tagged(path, "parameters"), found)
    return {name: value for name, value in found.items() if not name.startswith("__")}


@every_notebook
def test_a_notebook_is_valid_and_holds_no_outputs(path: Path) -> None:
    nbformat.validate(read(path))
    assert [cell.source for cell in code_cells(path) if cell.outputs or cell.execution_count is not None] == []


@every_notebook
def test_a_notebook_has_whole_numbers_or_texts_as_parameters_before_all_other_code(path: Path) -> None:
    assert "parameters" in code_cells(path)[0].metadata.get("tags", [])
    found = parameters(path)
    assert found and all(isinstance(value, (int, str)) and name.isupper() for name, value in found.items())


@every_notebook
def test_a_notebook_ends_with_its_result_and_fails_when_it_is_wrong(path: Path) -> None:
    last = code_cells(path)[-1].source
    assert compute.RESULT_MIME in last and '"summary"' in last
    assert isinstance(ast.parse(last).body[-1], ast.If)
    assert any(isinstance(node, ast.Raise) for node in ast.walk(ast.parse(last)))
    assert any("spark.stop()" in cell.source for cell in code_cells(path))


@every_notebook
def test_the_page_describes_the_notebook_and_each_parameter(path: Path) -> None:
    page = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {path.name}\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE)) == set(parameters(path))


@every_notebook
def test_a_notebook_stays_within_the_line_width(path: Path) -> None:
    assert [line for cell in code_cells(path) for line in cell.source.splitlines() if len(line) > 120] == []


def test_notebooks_that_measure_do_so_in_the_same_way() -> None:
    assert tagged(ROOT / "notebooks/primes.ipynb", "measure") == tagged(ROOT / "notebooks/locality.ipynb", "measure")


def test_bytes_are_counted_again_when_an_executor_comes_meanwhile() -> None:
    measure: dict[str, Any] = {}
    exec(tagged(ROOT / "notebooks/locality.ipynb", "measure"), measure)
    there = {"0": 2}
    counted = {"10.0.0.1": 100}
    measure |= {
        "wait_for_executors": lambda: None,
        "executors": lambda: dict(there),
        "received": lambda _: dict(counted),
    }
    done: list[int] = []

    def work() -> int:
        done.append(sum(there.values()))
        counted["10.0.0.1"] += 7
        there.setdefault("1", 2)  # the first time it comes too late for what was counted before
        counted.setdefault("10.0.0.2", 50)
        return len(done)

    assert measure["while_counted"](work) == (2, {"10.0.0.1": 7, "10.0.0.2": 0})
    assert done == [2, 4]


def test_executors_that_come_and_go_all_the_time_give_no_figure() -> None:
    measure: dict[str, Any] = {}
    exec(tagged(ROOT / "notebooks/locality.ipynb", "measure"), measure)
    names = iter(range(1000))
    measure |= {"wait_for_executors": lambda: None, "executors": lambda: {next(names): 2}, "received": lambda _: {}}
    with pytest.raises(RuntimeError, match="each of 3 times: nothing could be counted"):
        measure["while_counted"](lambda: None, 3)


def test_the_summary_of_a_result_is_a_text_or_some_or_nothing() -> None:
    assert compute.summary_of({"summary": ["one", "two"], "count": 3}) == ["one", "two"]
    assert compute.summary_of({"summary": "one"}) == ["one"]
    assert compute.summary_of({"count": 3}) == compute.summary_of(None) == []


@pytest.fixture(scope="module")
def sieve() -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(tagged(ROOT / "notebooks/primes.ipynb", "sieve"), found)
    return found


def plain_primes(limit: int) -> list[int]:
    """By trial division with primes: slow, and another way than the notebook's."""
    found: list[int] = []
    for number in range(2, limit):
        if all(number % prime for prime in found if prime * prime <= number):
            found.append(number)
    return found


def test_the_sieve_finds_the_primes_of_any_segment(sieve: dict[str, Any]) -> None:
    known = np.array(plain_primes(3000))
    odd = sieve["base_primes"](100)[1:]
    bounds = [(0, high) for high in range(300)]
    bounds += [(low, low + width) for low in range(1, 130) for width in (0, 1, 2, 29, 30, 31)]
    bounds += [(low, low + 997) for low in range(0, 2000, 83)]
    for low, high in bounds:
        found = sieve["sieve_segment"](low, high, odd)
        assert found.tolist() == known[(known >= low) & (known < high)].tolist(), (low, high)


def test_squares_of_primes_are_no_primes_and_pi_is_right(sieve: dict[str, Any]) -> None:
    limit = 2_000_000
    odd = sieve["base_primes"](1415)[1:]
    found = sieve["sieve_segment"](0, limit, odd)
    assert not set((odd * odd).tolist()) & set(found.tolist())
    assert [np.searchsorted(found, 10**k, side="right") for k in range(1, 7)] == [4, 25, 168, 1229, 9592, 78498]


def test_segments_side_by_side_give_every_gap(sieve: dict[str, Any]) -> None:
    odd = sieve["base_primes"](1000)[1:]
    whole = sieve["sieve_segment"](0, 1_000_000, odd)
    parts = [sieve["primes_and_gaps"](low, min(low + 70_001, 1_000_000), odd) for low in range(0, 1_000_000, 70_001)]
    assert np.array_equal(np.concatenate([primes for primes, _ in parts]), whole)
    assert np.array_equal(np.concatenate([gaps for _, gaps in parts]), np.diff(whole, prepend=2))


def test_counting_without_listing_gives_the_same(sieve: dict[str, Any]) -> None:
    odd, length = sieve["base_primes"](2000)[1:], sieve["LENGTH"]
    borders = [0, 1, 2, 18, length - 1, length, length + 7, 3 * length, 5 * length + 1]
    for low in borders:
        for high in borders:
            count = sieve["count_segment"](low, high, odd)
            assert count == len(sieve["sieve_segment"](low, high, odd)), (low, high)


def test_the_sieve_is_right_far_out(sieve: dict[str, Any]) -> None:
    low = 10**12 - 100_000
    found = sieve["sieve_segment"](low, 10**12, sieve["base_primes"](10**6)[1:])
    assert (len(found), found[-1]) == (3613, 999_999_999_989)

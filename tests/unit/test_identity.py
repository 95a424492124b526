"""What a cluster is, is written down: a directory that contradicts it is a question, never a beginning."""

from __future__ import annotations

import functools

import pytest

from sparkqfs.errors import ExitCode
from tests.builders import identity_runs
from tests.builders.identity_runs import Run
from tests.builders.identity_shapes import MOUNTED, SHAPES, Shape

each_shape = pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])


@functools.cache
def run_of(number: int) -> Run:
    return identity_runs.run(SHAPES[number])


def done(shape: Shape) -> Run:
    return run_of(SHAPES.index(shape))


@each_shape
def test_what_the_tasks_say_when_something_has_changed(shape: Shape) -> None:
    found = done(shape)
    said = [problem for problem in found.plan.problems if shape.prep in problem.what]
    assert bool(found.plan.problems) == bool(shape.prep)
    if shape.prep:
        assert {problem.code for problem in said} == {ExitCode.REFUSED}
        assert any(shape.typed in str(problem.hint) for problem in said), said
    assert max((problem.code for problem in found.deployed), default=0) == shape.deploy, found.deployed
    assert bool(found.status) == bool(shape.status)
    assert {problem.code for problem in found.status} <= {ExitCode.FAILED}
    assert all(shape.status in problem.what for problem in found.status[:1])
    assert all(problem.hint for problem in (*found.plan.problems, *found.status))


@each_shape
def test_nothing_is_lost_and_no_empty_file_system_is_called_healthy(shape: Shape) -> None:
    found = done(shape)
    assert found.lost_bytes == 0
    assert not found.is_empty_and_healthy
    assert len(found.marked) == (0 if shape.answer else shape.new_disks), found.marked


@each_shape
def test_the_answer_in_the_hint_ends_the_question(shape: Shape) -> None:
    found = done(shape)
    if found.after is None:
        return
    assert [problem for problem in found.after.problems if MOUNTED not in problem.what] == []
    assert found.after.steps == ()
    assert len(found.answer_marked) == shape.new_disks
    assert shape.begins != (found.file_system_id == "7")


def test_the_page_has_the_table_of_these_shapes() -> None:
    page = identity_runs.PAGE.read_text(encoding="utf-8")
    assert identity_runs.page(page) == page, "run: python -m tests.builders.identity_runs"
    assert len(SHAPES) >= 40

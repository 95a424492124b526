"""errors.py: what the user reads, and which exit code wins."""

from __future__ import annotations

import pytest

from sparkqfs.errors import (
    ClusterError,
    ConfigError,
    DeadlineError,
    ExitCode,
    Problem,
    RefusedError,
    UnreachableError,
)


def test_a_problem_of_a_machine_starts_with_its_name_and_ends_with_a_hint_on_its_own_line() -> None:
    problem = Problem(node="node2", what="no answer", config_path="nodes.node2.address", hint="is it up?")
    assert str(problem) == "[node2] no answer (nodes.node2.address)\n  hint: is it up?"


def test_a_problem_of_a_file_starts_with_the_place_as_editors_understand_it() -> None:
    problem = Problem(file="hosts.yml", line=7, config_path="ssh.port", what="must be 1 to 65535")
    assert str(problem) == "hosts.yml:7: ssh.port: must be 1 to 65535"


def test_a_problem_of_a_whole_file_has_no_line() -> None:
    assert str(Problem(file="hosts.yml", what="cannot be read")) == "hosts.yml: cannot be read"


def test_an_error_shows_every_problem() -> None:
    error = ClusterError(Problem(node="node1", what="one"), Problem(node="node2", what="two"))
    assert str(error) == "[node1] one\n[node2] two"


@pytest.mark.parametrize(
    ("error", "code"),
    [(ClusterError, 1), (ConfigError, 2), (UnreachableError, 3), (DeadlineError, 4), (RefusedError, 5)],
)
def test_each_class_of_error_has_its_exit_code(error: type[ClusterError], code: int) -> None:
    assert error(Problem(what="x")).exit_code == code
    assert issubclass(error, ClusterError)


def test_of_several_problems_the_highest_code_counts() -> None:
    problems = [
        Problem(what="a", code=ExitCode.UNREACHABLE),
        Problem(what="b", code=ExitCode.REFUSED),
        Problem(what="c"),
    ]
    assert ClusterError(*problems).exit_code == 5

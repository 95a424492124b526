"""No test of this folder starts a process or makes a socket, nor does a module of it while it is imported."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
import urllib3.util.connection  # noqa: F401 – its import asks with a socket whether there is IPv6: once, and not in a test

from tests.unit.forbidden import GUARD, Guard


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Modules are imported while tests are collected."""
    with GUARD.on():
        return (yield)


@pytest.fixture(scope="package", autouse=True)
def _nothing_outside() -> Iterator[None]:
    """Before every other fixture of the folder, of whatever scope but the session's."""
    with GUARD.on():
        yield


@pytest.fixture(autouse=True)
def forbidden() -> Iterator[Guard]:
    """Fails the test that tried, even where its error was caught."""
    with GUARD.watched():
        yield GUARD

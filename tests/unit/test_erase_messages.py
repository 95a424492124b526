"""Which messages name `--erase`, and when: never where a disk is missing or metadata is lost."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.clients.parallel import Results
from sparkqfs.config.model import ClusterConfig, StorageConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.nodes import MetaFact, NodeFacts
from sparkqfs.jobs import session as base
from sparkqfs.jobs.cluster import deploy
from sparkqfs.jobs.session import Session
from sparkqfs.jobs.storage.file_system import init, purge, refusals
from sparkqfs.plan.cluster.nodes import plan_prep
from tests.builders.clusters import a_cluster
from tests.builders.facts import a_node, fresh, prepared, with_path
from tests.paths import ROOT
from tests.trees import tree_of

KNOWN = {
    ("sparkqfs/plan/storage/metadata.py", "metadata_refusals"): "init where a whole file system is",
    ("sparkqfs/jobs/storage/file_system.py", "init"): "`--erase` was typed with another cluster's name",
    ("sparkqfs/jobs/storage/file_system.py", "purge"): "purge was typed without a name, or with another cluster's",
}
"""Where a text for people says `--erase`, and under what condition it is shown."""


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """(function, text) of each string in a Python file that is not a docstring."""
    tree = tree_of(path)
    described = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

    def walk(node: ast.AST, where: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            where = node.name
        for child in ast.iter_child_nodes(node):
            is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if is_docstring and isinstance(node, described):
                continue
            if isinstance(child, ast.Constant) and isinstance(child.value, str):
                yield where, child.value
            yield from walk(child, where)

    yield from walk(tree, "")


def test_every_text_that_names_erase_is_known_with_its_condition() -> None:
    found = set()
    for path in [*ROOT.glob("sparkqfs/**/*.py"), ROOT / "tasks.py"]:
        found |= {(str(path.relative_to(ROOT)), where) for where, text in texts(path) if "--erase" in text}
    assert found == set(KNOWN)
    others = [path for top in ("docker", "runtime", "stack") for path in (ROOT / top).rglob("*") if path.is_file()]
    others += [ROOT / "demo", ROOT / "setup.sh", *ROOT.glob("sparkqfs/remote/*.sh")]
    assert len(others) > 30
    assert [path for path in others if b"--erase" in path.read_bytes()] == []


WHOLE = MetaFact(checkpoints=2, logs=3, latest=True, date="2026-01-01 12:00 UTC", file_system_id="7", bytes=4096)
METADATA = {
    "whole": WHOLE,
    "none": MetaFact(),
    "no latest": replace(WHOLE, latest=False),
    "no checkpoint": replace(WHOLE, checkpoints=0),
    "only logs": MetaFact(logs=3),
    "begun": MetaFact(checkpoints=1, logs=1, init="begun"),
    "unused": replace(WHOLE, init="unused"),
}


def clusters(config: ClusterConfig) -> Iterator[tuple[tuple[str, ...], dict[str, NodeFacts]]]:
    """Every mixture of metadata, data on the machines, markers and what lies in the metadata's directory."""
    top = f"/mnt/data/{config.storage.kind}"
    part = "checkpoint" if config.storage.kind == "qfs" else "name"
    for said, blocks, unmarked, empty in itertools.product(
        METADATA, ("", "node1", "node3"), ("", "node1", "node3"), (True, False)
    ):
        facts = {}
        for node in config.nodes:
            more: dict[str, Any] = {"blocks": 7 if node.name == blocks else 0}
            if node.name == unmarked:
                more["marker"] = None
            facts[node.name] = a_node(node.name, config, **more)
        facts["node1"] = with_path(replace(facts["node1"], meta=METADATA[said]), f"{top}/{part}", empty=empty)
        yield (said, blocks, unmarked, str(empty)), facts


def said_of(job: Any, *arguments: Any, **more: Any) -> tuple[Problem, ...]:
    """The problems with which a job ends."""
    try:
        job(*arguments, **more)
    except ClusterError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("kind", ["qfs", "hdfs"])
def test_erase_is_offered_only_where_a_whole_file_system_is(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    config = a_cluster(storage=StorageConfig(kind=kind, replication=2))
    offered, seen = set(), set()
    for what, facts in clusters(config):
        monkeypatch.setattr(base, "gather_nodes", lambda *_, facts=facts, **__: Results(facts, {}))
        session = Session(config, None, lambda _text: None, dry_run=True, _facts=facts)  # type: ignore[arg-type]
        problems = (
            *refusals(session),
            *said_of(init, session),
            *said_of(deploy._check_storage, session),
            *plan_prep(config, facts, fresh(), only=tuple(facts)).problems,
        )
        seen |= {re.sub(r"\d+", "N", problem.what)[:40] for problem in problems}
        if any("--erase" in f"{problem.what} {problem.hint}" for problem in problems):
            offered.add(what[0])
        if what[0] not in ("whole", "unused") and (what[1] or what[0] not in ("none", "begun")):
            (problem,) = said_of(deploy._check_storage, session)
            assert "mount the disk" in str(problem.hint) and "from a copy" in str(problem.hint), what
        if what[1] and what[0] not in ("whole", "unused"):
            (kept,) = [problem for problem in refusals(session) if " holds 7 " in problem.what]
            assert "keep them: mount the disk" in str(kept.hint) and "from a copy" in str(kept.hint), what
    assert offered == {"whole"}
    assert len(seen) >= 8


def test_purge_without_a_name_and_a_name_of_another_cluster_are_told_what_to_type() -> None:
    config = a_cluster()
    session = Session(config, None, lambda _text: None, dry_run=True, _facts=prepared(config))  # type: ignore[arg-type]
    (problem,) = said_of(purge, session, erase_name=None)
    assert "invoke purge --erase spark" in str(problem.hint)
    for job in (init, purge):
        (problem,) = said_of(job, session, erase_name="other")
        assert problem.what.startswith("--erase other: this cluster is called spark")

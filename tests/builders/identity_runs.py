"""Goes through the shapes of tests/builders/identity_shapes.py. As a program it writes docs/measured/identity.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.record import Remembered
from sparkqfs.jobs.cluster import deploy
from sparkqfs.jobs.session import Session, check_cluster_name
from sparkqfs.jobs.storage.file_system import init as init_job
from sparkqfs.plan.steps import Plan
from sparkqfs.plan.watching.remembered import remembered_problems
from tests.builders.identity_changes import a_config
from tests.builders.identity_shapes import MOUNTED, SHAPES, Shape
from tests.builders.worlds import World, a_grown_world, copies_of, facts_of, prep
from tests.paths import ROOT

PAGE = ROOT / "docs" / "measured" / "identity.md"


def words_of(command: str) -> dict[str, Any]:
    """The flags of a prep, as the planner takes them."""
    pairs = dict(re.findall(r"--(\w+) (\S+)", command))
    return {word: True if word == "here" else tuple(given.split(",")) for word, given in pairs.items()}


def answer(shape: Shape, world: World, config: ClusterConfig, before: ClusterConfig) -> tuple[ClusterConfig, list[str]]:
    """Do what the hint says; where it put a marker."""
    words = dict(shape.answer)
    config = before if words.pop("undo", False) else config
    plan, marked = prep(world, config, **words)
    assert [problem for problem in plan.problems if MOUNTED not in problem.what] == [], plan.problems
    return config, marked


def deployed(world: World, config: ClusterConfig) -> tuple[Problem, ...]:
    """What deploy says before it starts anything."""
    session = Session(config, None, lambda _text: None, _facts=facts_of(world, config))  # type: ignore[arg-type]
    try:
        check_cluster_name(session, session.all_facts())
        if session.backend.layout is not None:
            deploy._check_disks(session)
    except ClusterError as error:
        return error.problems
    return ()


def made_new(world: World, config: ClusterConfig) -> bool:
    """Whether init would make an empty file system here."""
    session = Session(config, None, lambda _text: None, dry_run=True, _facts=facts_of(world, config))  # type: ignore[arg-type]
    session._is_counted = True
    try:
        return any("create" in outcome.changes for outcome in init_job(session).outcomes)
    except ClusterError:
        return False


def seen(world: World, config: ClusterConfig) -> tuple[Problem, ...]:
    """What status says from the manager's copies; the page answers with what its metadata say."""
    name = config.manager.name
    meta = facts_of(world, config)[name].meta
    return remembered_problems(
        config, Remembered(copies=copies_of(world.at(config, name), config, name)), meta.file_system_id
    )


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of a shape: first what the tasks say, then the answer."""

    plan: Plan
    marked: list[str]
    deployed: tuple[Problem, ...]
    status: tuple[Problem, ...]
    after: Plan | None
    """Of one more prep after the answer."""
    answer_marked: list[str]
    file_system_id: str | None
    """On the manager at the end."""
    lost_bytes: int
    """Of blocks and metadata, on disks in machines and out of them."""
    is_empty_and_healthy: bool
    """An init would make a new file system, or prep and status are content where the metadata is not."""


def run(shape: Shape) -> Run:
    """Go through a shape."""
    before = a_config()
    world = a_grown_world(before)
    config = shape.change(world, before)
    files = world.all_files()
    status, said, is_new = seen(world, config), deployed(world, config), made_new(world, config)
    plan, marked = prep(world, config, add=shape.add)
    is_content = not plan.problems and not status and fsid_of(world, config) != "7"
    after, answered = None, list[str]()
    if shape.answer:
        config, answered = answer(shape, world, config, before)
        after, _ = prep(world, config)
    return Run(
        plan=plan,
        marked=marked,
        deployed=said,
        status=status,
        after=after,
        answer_marked=answered,
        file_system_id=fsid_of(world, config),
        lost_bytes=sum(map(len, files)) - sum(map(len, world.all_files())),
        is_empty_and_healthy=is_content or is_new,
    )


def fsid_of(world: World, config: ClusterConfig) -> str | None:
    """What the manager's metadata are of."""
    return facts_of(world, config)[config.manager.name].meta.file_system_id


def row_of(shape: Shape) -> str:
    """The shape's line in the page."""
    done = run(shape)
    code = max((problem.code for problem in done.plan.problems), default=0)
    deploy_code = max((problem.code for problem in done.deployed), default=0)
    texts = {"undo": "hosts.yml as it was", "here": "`--here spark`"}
    words = [texts.get(key) or f"`--{key} {','.join(value)}`" for key, value in shape.answer.items()]
    given = shape.way or ", ".join(words) or ("–" if not shape.prep else "the disk, or the file, put back")
    says = f"{int(code)}: {shape.prep}" if shape.prep else "goes on"
    cells = [shape.name, says, str(int(deploy_code)), shape.status or "–", given, str(done.lost_bytes)]
    return f"| {' | '.join([*cells, str(int(done.is_empty_and_healthy))])} |"


def page(text: str) -> str:
    """The page with this table."""
    head, _, rest = text.partition("| What changed |")
    _, _, tail = rest.partition("\n\n")
    titles = ("What changed", "`prep` says", "`deploy` ends with", "`status` says", "the answer", "bytes lost")
    first = f"| {' | '.join(titles)} | empty and called healthy |\n{'|---' * (len(titles) + 1)}|\n"
    return head + first + "\n".join(map(row_of, SHAPES)) + "\n\n" + tail


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

"""A second name for every block while metadata is put back, and which of them no file has afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.nodes import StorageLayout
from sparkqfs.jobs.session import Session
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.remote import script

ASIDE_SCRIPT = script("set_aside")
ONLY_SCRIPT = script("only_aside")
LIVE_SCRIPT = script("live_among")
LET_GO_SCRIPT = script("let_go")
LIST_SCRIPT = script("list_kept")
ASIDE_S = 6 * 3600.0
"""A hard link for each of millions of files takes its time."""
MOST_NAMES = 100_000
"""Blocks without a name that are looked for on other machines."""
SETTLED_S, SETTLE_S = 10.0, 900.0
"""A storage has its servers delete what has no name from its start on, so many at a time: for so long nothing must
change. And how long is waited for that at most."""
LOOK_S = 3.0


def layout_of(session: Session) -> StorageLayout:
    """Where the storage keeps its blocks; for one that keeps none with us nothing here is called."""
    assert session.backend.layout is not None
    return session.backend.layout


def put_aside(session: Session, name: str) -> JobResult:
    """A second name for every block, on its own disk: whatever a master has deleted, the file stays."""
    layout = layout_of(session)

    def one(node: str) -> tuple[str, ...]:
        session.on_event(f"[{node}] keeping all {session.backend.words.blocks} under a second name")
        disks = map(str, session.config.node(node).data_dirs)
        output = session.clients.node(node).script(
            ASIDE_SCRIPT, layout.top, layout.blocks, layout.block_number, name, *disks, timeout_s=ASIDE_S
        )
        rows = [line.split("\t") for line in output.stdout.splitlines()]
        for row in rows:
            if row[0] == "back" and int(row[2]):
                session.on_event(
                    f"[{node}] {row[2]} files that an earlier restore has kept are looked at again: {row[1]}"
                )
        return tuple(row[1] for row in rows if row[0] == "kept")

    names = tuple(node.name for node in session.config.nodes)
    done = session.clients.on(names, one).raise_failures()
    outcomes = tuple(Outcome(subject=node, state="changed", changes=paths) for node, paths in done.items() if paths)
    return JobResult(task="put aside", outcomes=outcomes)


@dataclass(frozen=True, slots=True)
class Nameless:
    """Kept blocks that no server has any more."""

    sizes: dict[str, int]
    """Name → bytes; at most so many of each machine."""
    count: int
    is_settled: bool = True
    """Whether the servers have ended removing them."""


def settled(session: Session, name: str, clock: Callable[[], float] = time.monotonic) -> Nameless:
    """Once two looks, and all for `SETTLED_S`, have found the same; after `SETTLE_S` as it is then.

    A look may take longer than either: each begins after the one before it.
    """
    begun = clock()
    before = nameless(session, name)
    since = clock()
    while True:
        time.sleep(LOOK_S)
        now = nameless(session, name)
        if now[1] != before[1]:
            before, since = now, clock()
            session.on_event(f"{now[1]} {session.backend.words.blocks} without a name so far")
        elif clock() - since >= SETTLED_S:
            return Nameless(*now)
        if clock() - begun >= SETTLE_S:
            return Nameless(*now, is_settled=False)


def nameless(session: Session, name: str) -> tuple[dict[str, int], int]:
    """Kept blocks whose bytes have no other name on their disk and are on no other machine: name → size, and count."""
    config, layout = session.config, layout_of(session)
    names = tuple(node.name for node in config.nodes)

    def only(node: str) -> tuple[dict[str, int], int]:
        disks = map(str, config.node(node).data_dirs)
        words = (layout.top, name, layout.block_files, str(MOST_NAMES))
        output = session.clients.node(node).script(ONLY_SCRIPT, *words, *disks, timeout_s=ASIDE_S)
        rows = [line.split("\t") for line in _whole(node, output.stdout)]
        count = next(int(row[1]) for row in rows if row[0] == "count")
        return {row[1]: int(row[2]) for row in rows if row[0] == "only"}, count

    gone = session.clients.on(names, only).raise_failures()
    asked = {block: size for found, _ in gone.values() for block, size in found.items()}
    if not asked:
        return {}, 0

    def live(node: str) -> set[str]:
        disks = map(str, config.node(node).data_dirs)
        argv = ["sh", "-c", LIVE_SCRIPT, "sh", layout.top, layout.blocks, layout.block_files, *disks]
        lines = "".join(f"{block}\t{size}\n" for block, size in asked.items())
        output = session.clients.node(node).run(argv, stdin=lines, timeout_s=ASIDE_S)
        return {line.partition("\t")[0] for line in _whole(node, output.stdout)}

    elsewhere = set().union(*session.clients.on(names, live).raise_failures().values())
    found = {block: size for block, size in sorted(asked.items()) if block not in elsewhere}
    unseen = sum(count for _, count in gone.values()) - sum(len(one) for one, _ in gone.values())
    return found, len(found) + unseen


def _whole(node: str, text: str) -> list[str]:
    """The lines of an answer before its last one. Raises `ClusterError`."""
    lines = text.splitlines()
    if not lines or lines[-1] != "end":
        raise ClusterError(Problem(node=node, what="the list of its blocks is cut off"))
    return lines[:-1]


def kept_names(session: Session) -> tuple[str, ...]:
    """Of all restores of which something is kept on any machine, the oldest first."""
    layout = layout_of(session)

    def one(node: str) -> list[str]:
        disks = map(str, session.config.node(node).data_dirs)
        return session.clients.node(node).script(LIST_SCRIPT, layout.top, *disks).stdout.split()

    found = session.clients.on(tuple(node.name for node in session.config.nodes), one).raise_failures()
    return tuple(sorted(set().union(*found.values())))


def _remove(session: Session, name: str, mode: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """Node → `gone` or `left`, and the directory."""
    layout = layout_of(session)

    def one(node: str) -> tuple[tuple[str, str], ...]:
        disks = map(str, session.config.node(node).data_dirs)
        output = session.clients.node(node).script(LET_GO_SCRIPT, layout.top, name, mode, *disks, timeout_s=ASIDE_S)
        rows = (line.partition("\t") for line in output.stdout.splitlines())
        return tuple((what, path) for what, _, path in rows if path)

    return session.clients.on(tuple(node.name for node in session.config.nodes), one).raise_failures()


def let_go_in_place(session: Session, name: str) -> bool:
    """Removes second names of blocks that have another one on their disk; whether anything else is kept there."""
    return any(what == "left" for rows in _remove(session, name, "in place").values() for what, _ in rows)


def let_go(session: Session, name: str) -> JobResult:
    """Removes what a restore has kept under that name."""
    removed = _remove(session, name, "all")
    done = {node: tuple(path for what, path in rows if what == "gone") for node, rows in removed.items()}
    outcomes = tuple(
        Outcome(subject=node, state="changed" if paths else "unchanged", changes=paths) for node, paths in done.items()
    )
    return JobResult(task="restore", outcomes=outcomes)

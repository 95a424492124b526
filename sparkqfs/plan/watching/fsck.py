"""What `fsck` says: its facts in, problems, text and document out. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sparkqfs.amounts import amount
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import Problem
from sparkqfs.facts.fsck import BlockFact, DamagedFact, FsckFact, shown_name
from sparkqfs.facts.scrub import ScrubFact
from sparkqfs.plan.storage.seam import Backend, Words
from sparkqfs.plan.times import about

SCHEMA = 1
SILENT_S = 3600.0
"""A scrub that has said nothing for so long does not run: it does so every minute, and after each block."""
SHOWN_BLOCKS = 4
"""Blocks of one file in the text; the document has 16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that is to be said."""

    config: ClusterConfig
    backend: Backend
    fact: FsckFact
    nodes: dict[str, str]
    """Address → node of the worker-node containers that run."""
    scrubs: tuple[ScrubFact, ...] = ()

    @property
    def words(self) -> Words:
        return self.backend.words

    @property
    def away(self) -> tuple[str, ...]:
        """Nodes without a worker-node container that runs."""
        up = set(self.nodes.values())
        return tuple(node.name for node in self.config.nodes if node.name not in up)

    @property
    def hidden(self) -> int | None:
        """Damaged files that are not named; `None` when nobody counted them."""
        if self.fact.short_files is None:
            return None
        return max(0, self.fact.lost_files + self.fact.short_files - len(self.fact.damaged))

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, and what to do."""
        fact, found = self.fact, []
        if not fact.ready:
            what = f"{self.words.storage} is recovering: what is missing now may come with {self.words.servers} that "
            hint = "wait until `invoke status` no longer says recovering, and ask again"
            found.append(Problem(what=f"{what}have not reported yet", hint=hint))
        if fact.lost_files or fact.lost_blocks:
            files = amount(fact.lost_files, "file") if fact.lost_files else "pieces of files that can be made again"
            what = f"{files}: {amount(fact.lost_blocks, self.block)} without a good copy on the {self.words.servers} "
            found.append(Problem(what=f"{what}that are up", hint=self._remedy()))
        if fact.short_files or fact.short_blocks:
            count = "files" if fact.short_files is None else amount(fact.short_files, "file")
            what = f"{count} with too few copies: {amount(fact.short_blocks, self.block)}"
            found.append(Problem(what=what, hint=self._wait()))
        for scrub in self.scrubs:
            found += self._silent(scrub)
            hint = "which: `invoke logs --service worker-node`"
            if kept := max(scrub.kept, scrub.kept_before):
                what = f"{amount(kept, 'damaged copy', 'damaged copies')} left as found: no good copy is known"
                found.append(Problem(node=scrub.node, what=what, hint=hint))
            if scrub.errors:
                what = f"{amount(scrub.errors, 'directory or block', 'directories or blocks')} could not be read"
                found.append(Problem(node=scrub.node, what=f"{what} by the scrub", hint=hint))
        if fact.partial:
            found.append(Problem(what=f"not everything was looked at: {fact.partial}", hint="more time: --timeout"))
        return tuple(found)

    def _silent(self, scrub: ScrubFact) -> list[Problem]:
        """A scrub that does not run finds nothing, which is not to be taken for good news."""
        if not scrub.error and (scrub.age_s or 0.0) <= SILENT_S:
            return []
        why = scrub.error or f"its scrub has said nothing for {about(scrub.age_s or 0.0)}"
        what = f"whether copies here are damaged is not known: {why}"
        hint = "`invoke logs --service worker-node`; `invoke deploy` where the stack is of an earlier version"
        return [Problem(node=scrub.node, what=what, hint=hint)]

    @property
    def block(self) -> str:
        """One of the storage's blocks."""
        return self.words.block

    def _remedy(self) -> str:
        may = f"{', '.join(self.away)} may have the copies: bring it back; " if self.away else ""
        return (
            f"{may}a disk that is not mounted may have them: `invoke doctor`. What has no copy anywhere is to be "
            "restored from its source, or removed with `invoke rm`"
        )

    def _wait(self) -> str:
        asked = max((file.asked or 0 for file in self.fact.damaged), default=0)
        up = len(self.config.nodes) - len(self.away)
        if asked > up:
            away = f" (not: {', '.join(self.away)})" if self.away else ""
            return (
                f"up to {asked} copies are asked for and {up} {self.words.servers} are up"
                f"{away}: the copies are made when more are"
            )
        assert self.backend.master is not None
        return f"the {self.words.master} makes the missing copies by itself: `invoke status --watch` shows the pace"

    def text(self) -> str:
        """For people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        fact = self.fact
        short = "an unknown number" if fact.short_files is None else str(fact.short_files)
        files = "all files" if fact.files is None else amount(fact.files, "file")
        checked = f"{self.words.storage}: {files} checked in {fact.took_s:.1f} s"
        yield f"{checked}: {fact.lost_files} lost, {short} with too few copies"
        for file in fact.damaged:
            yield from self._file(file)
        if self.hidden:
            more = amount(self.hidden, "more file")
            yield f"and {more} not shown: --max {len(fact.damaged) + self.hidden}"
        elif self.hidden is None:
            yield "and files that are not shown"
        yield from (scrub_line(scrub, self.words) for scrub in self.scrubs)

    def _file(self, file: DamagedFact) -> Iterator[str]:
        size = "" if file.size is None else f"{amount(file.size, 'byte')}, "
        asked = "" if file.asked is None else f"{amount(file.asked, 'copy', 'copies')} asked for, "
        yield f"{file.state:5}  {shown_name(file.path)}"
        yield f"       {size}{asked}{amount(file.blocks_count, self.block)} with fewer"
        for block in file.blocks[:SHOWN_BLOCKS]:
            at = "" if block.offset is None else f" at {block.offset}"
            copies = ", ".join(self._copy(copy.address, copy.state) for copy in block.copies)
            yield f"         {self.block} {block.name}{at}: {copies or 'no copy'}"
        if file.blocks_count > SHOWN_BLOCKS:
            yield f"         and {file.blocks_count - min(SHOWN_BLOCKS, len(file.blocks))} more"

    def _copy(self, address: str, state: str) -> str:
        node = self.nodes.get(address)
        place = shown_name(address.encode()) if node is None else f"{node} ({address})"
        return place if state == "live" else f"{place} {shown_name(state.encode())}"

    def document(self) -> dict[str, object]:
        """For programs."""
        fact = self.fact
        return {
            "schema": SCHEMA,
            "cluster": self.config.name,
            "kind": self.backend.kind,
            "checks": True,
            "took_s": fact.took_s,
            "ready": fact.ready,
            "partial": fact.partial,
            "files_checked": fact.files,
            "lost_files": fact.lost_files,
            "short_files": fact.short_files,
            "lost_blocks": fact.lost_blocks,
            "short_blocks": fact.short_blocks,
            "bad_blocks": fact.bad_blocks,
            "nodes_away": list(self.away),
            "files_not_shown": self.hidden,
            "damaged": [self._damaged(file) for file in fact.damaged],
            "scrub": [asdict(one) for one in self.scrubs],
        }

    def _damaged(self, file: DamagedFact) -> dict[str, object]:
        return {
            **path_keys(file.path),
            "state": file.state,
            "bytes": file.size,
            "copies_asked": file.asked,
            "blocks_short": file.blocks_count,
            "blocks": [self._block(block) for block in file.blocks],
        }

    def _block(self, block: BlockFact) -> dict[str, object]:
        return {
            "name": block.name,
            "offset": block.offset,
            "copies": [
                {"node": self.nodes.get(copy.address), "address": copy.address, "state": copy.state}
                for copy in block.copies
            ],
        }


def scrub_line(scrub: ScrubFact, words: Words) -> str:
    """One node's, for people."""
    head = f"scrub  {scrub.node}: "
    if scrub.error:
        return head + f"not known: {scrub.error}"
    found = f"{scrub.blocks} {words.blocks}, {scrub.damaged} damaged, {scrub.healed} healed, {scrub.kept} left"
    if scrub.errors:
        found += f", {scrub.errors} not looked at"
    if scrub.running:
        return head + f"runs since {_when(scrub.began)}: {found}"
    if scrub.ended is None:
        return head + f"no pass yet; one begins at {scrub.hour}:00 UTC"
    return head + f"ended {_when(scrub.ended)}: {found}"


def _when(seconds: float | None) -> str:
    return "?" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def path_keys(path: bytes) -> dict[str, object]:
    """A name in JSON: exact as text where it is UTF-8, else exact as base64 with a text to look at."""
    try:
        return {"path": path.decode(), "path_base64": None}
    except UnicodeDecodeError:
        return {"path": shown_name(path), "path_base64": base64.b64encode(path).decode()}

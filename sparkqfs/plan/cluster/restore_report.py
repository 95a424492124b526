"""What a restore says at its end. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from sparkqfs.amounts import amount
from sparkqfs.config.model import ClusterConfig
from sparkqfs.facts.fsck import shown_name
from sparkqfs.plan.cluster.restore import ids_line, lines_to_change, time_text
from sparkqfs.plan.steps import JobResult, Outcome
from sparkqfs.plan.storage import backend_of

SHOWN = 1000
"""Blocks without a name, in the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Names without blocks, and blocks without a name."""

    config: ClusterConfig
    old_manager: str
    """As hosts.yml says it."""
    state: dict[str, object]
    """What was put back, as `metadata-state lay-out` says it, with the node that it came from."""
    seconds: float
    stages: dict[str, float]
    files: JobResult
    """Of a check of all files."""
    nameless: dict[str, int] = field(default_factory=dict)
    """Blocks that only the kept directories have, the first ones, and their bytes."""
    nameless_count: int = 0
    is_settled: bool = True
    """Whether the servers have ended removing what has no name."""
    kept: str = ""
    """Name of these directories; empty when they were let go."""
    kept_before: tuple[str, ...] = ()
    """Names of those of earlier restores."""

    @property
    def moved(self) -> tuple[str, ...]:
        """What is to be changed in hosts.yml."""
        if self.old_manager == self.config.manager.name:
            return ()
        return lines_to_change(self.old_manager, self.config.manager.name)

    def summary(self) -> str:
        """One line."""
        at = time_text(float(str(self.state.get("at") or 0)))
        images = sum(self.stages.get(stage, 0.0) for stage in ("build", "push"))
        return (
            f"{self.config.manager.name} has the metadata of {at} from {self.state.get('node')}; {self.seconds:.0f} s, "
            f"{images:.0f} of them for images"
        )

    def notes(self) -> tuple[str, ...]:
        """Lines for people, below the table."""
        backend, name, found = backend_of(self.config), self.config.name, []
        top = backend.layout.top if backend.layout is not None else ""
        lost = self.files.document.get("lost_files")
        if names := self._lost_names():
            total = lost if isinstance(lost, int) else 0
            found.append(f"lost: {ids_line(names, total=total)}; `invoke fsck` shows their {backend.words.blocks}")
        if self.nameless_count:
            found.append(
                f"{self.nameless_count} {backend.words.blocks} belong to no server: {ids_line(self.nameless)}; "
                f"they are kept in {top}/kept/{self.kept} of each data directory"
            )
            if lost:
                found.append("they may be what the lost files lack: docs/restore.md says how their bytes are read")
        if not self.is_settled:
            found.append(
                f"the servers have not ended removing {backend.words.blocks} without a name: "
                f"nothing was let go, in {top}/kept/{self.kept} is all that there was"
            )
        if damaged := self.state.get("damaged_copies"):
            found.append(
                f"the copy on {ids_line(map(str, damaged)) if isinstance(damaged, list) else damaged} is damaged"
            )
        tables = self.state.get("tables")
        if tables is not None:
            found.append(f"the names of {amount(int(str(tables)), 'table')} came with it")
        elif "tables" in self.state and self.config.has_metastore:
            found.append("no catalogue of tables came with it: docs/tables.md says how tables get their names again")
        if notebooks := self.state.get("notebooks"):
            found.append(f"{amount(int(str(notebooks)), 'file')} of the notebooks' directory came with it")
        short = self.files.document.get("short_files")
        if short:
            files = amount(int(str(short)), "file")
            found.append(f"{files} with too few copies; the {backend.words.master} makes them by itself")
        if self.kept and not lost:
            found.append(f"`invoke restore --let-go {self.kept} --cluster {name}` removes what is kept")
        if self.kept_before:
            found.append(f"earlier restores keep something too: {ids_line(self.kept_before)}")
        if self.moved:
            found += ["hosts.yml must say so before the next task:", *(f"  {line}" for line in self.moved)]
        return tuple(found)

    def _lost_names(self) -> list[str]:
        """Those that the check of all files names."""
        damaged = self.files.document.get("damaged")
        files = damaged if isinstance(damaged, list) else []
        return [shown_name(str(file["path"]).encode()) for file in files if file["state"] == "lost"]

    def result(self) -> JobResult:
        """For people and for `--json`."""
        document: dict[str, object] = {
            "manager": self.config.manager.name,
            "state": self.state,
            "seconds": round(self.seconds, 1),
            "stages": self.stages,
            "lost_files": self.files.document.get("lost_files"),
            "damaged": self.files.document.get("damaged"),
            "nameless_blocks": self.nameless_count,
            "nameless": [{"block": block, "bytes": size} for block, size in list(self.nameless.items())[:SHOWN]],
            "kept": self.kept or None,
            "kept_before": list(self.kept_before),
            "settled": self.is_settled,
            "hosts_yml": list(self.moved),
        }
        outcome = Outcome(subject=f"cluster {self.config.name}", state="changed", changes=(self.summary(),))
        return JobResult(
            task="restore",
            outcomes=(outcome,),
            problems=tuple(one for one in self.files.problems if " with too few copies: " not in one.what),
            notes=self.notes(),
            document=document,
        )

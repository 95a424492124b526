"""Which applications can have made a table: the catalogue knows the moment, and the history who ran then."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkqfs.amounts import amount
from sparkqfs.plan.programs.apps import APP_ID, CLOCK_S, Application, running_at

AGE, CLEANER = "spark.history.fs.cleaner.maxAge", "spark.history.fs.cleaner.enabled"
KEPT_S = 30 * 86400.0
"""As stack/spark-defaults.conf says it."""
UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Of a time in Spark's settings; that one is in seconds without a unit."""
WITHOUT_END = ("LOST", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class Makers:
    """The applications that can have made something, the latest first."""

    rows: tuple[Application, ...]
    unended: tuple[Application, ...] = ()
    """Those of them whose end is not known: they began before, and may have been over."""
    is_old: bool = False
    """Others may have run that the history does not keep any more."""

    @property
    def known(self) -> tuple[Application, ...] | None:
        """One of these made it; `None` where the only one that is known need not be the one."""
        return None if len(self.rows) == 1 and (self.unended or self.is_old) else self.rows


def kept_s(conf: Mapping[str, str]) -> float:
    """How long the history keeps an application after its end; seconds."""
    if conf.get(CLEANER, "true").strip().lower() == "false":
        return float("inf")
    found = re.fullmatch(r"\s*(\d{1,12})\s*([a-z]*)\s*", conf.get(AGE, ""), re.IGNORECASE)
    unit = UNITS.get(found[2].lower()) if found else None
    return int(found[1]) * unit if found and unit is not None else KEPT_S


def makers_at(when_s: float, rows: Sequence[Application], *, kept_s: float, now_s: float) -> Makers:
    """Who can have made something at a moment, seconds since the epoch."""
    ran = running_at(when_s, rows)
    spark = [row for row in rows if APP_ID.fullmatch(row.id)]
    unended = tuple(row for row in spark if row not in ran and _is_open(row) and row.started_s - CLOCK_S <= when_s)
    ends = [row.started_s + row.duration_s for row in spark if not row.is_running and not _is_open(row)]
    is_old = now_s - when_s > kept_s and min(ends, default=now_s) > when_s
    return Makers(rows=(*ran, *unended), unended=unended, is_old=is_old)


def _is_open(row: Application) -> bool:
    """Whether its log has no end though it does not run: it lasted longer than is known."""
    return row.state in WITHOUT_END or (not row.is_running and row.duration_s <= 0)


def doubts(found: Sequence[Makers]) -> list[str]:
    """What is not known of the makers of several tables, for people."""
    unsure = [one for one in found if one.known is None]
    old = sum(one.is_old for one in unsure)
    notes = []
    if old:
        notes.append(f"who made {_tables(old)} is not known: others may have run that the history does not keep")
    rest = [one for one in unsure if not one.is_old]
    if rest:
        names = ", ".join(dict.fromkeys(f"{row.id} ({row.name})" for one in rest for row in one.unended))
        notes.append(f"who made {_tables(len(rest))} is not known: perhaps {names}, whose end is not in the history")
    return notes


def _tables(count: int) -> str:
    return amount(count, "table")

"""What a command on files came to, for people and for programs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sparkqfs.errors import ExitCode, Problem
from sparkqfs.files.transfer import Tally

LISTED = 20
"""Files that are named one by one in a report for people."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`state` is `changed`, `unchanged`, `planned`, `ok` or `failed`."""

    subject: str
    state: str
    changes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    text: str = ""
    """For people, instead of subject, state and changes."""
    document: dict[str, object] = field(default_factory=dict)


def visible(text: str) -> str:
    """A name on one line: control characters as `\\n`, `\\x1b`; bytes that are no UTF-8 as `?`."""
    shown = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
    return shown.encode(errors="replace").decode()


def table(rows: list[tuple[str, ...]], right: set[int]) -> str:
    """Columns under each other; those in `right` end at the same place. The last one is as long as it is."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join([*cells, row[-1]]))
    return "\n".join(lines)


def problems_of(tally: Tally) -> tuple[Problem, ...]:
    """Each file that was not copied, the first of many by name."""
    hint = "`--overwrite` replaces files that differ"
    return (
        *tally.problems,
        *_listed(tally.failed, "not copied", ExitCode.FAILED, None),
        *_listed(tally.differs, "left alone", ExitCode.REFUSED, hint),
    )


def _listed(found: dict[str, str], what: str, code: ExitCode, hint: str | None) -> list[Problem]:
    some = list(found.items())[:LISTED]
    listed = [Problem(what=f"{visible(name)}: {what}: {why}", code=code, hint=hint) for name, why in some]
    if len(found) > LISTED:
        listed.append(Problem(what=f"{len(found) - LISTED} more: {what}; --json names them", code=code, hint=hint))
    return listed


def files_of(found: dict[str, str]) -> list[dict[str, str]]:
    """For a JSON document, which holds Unicode only."""
    return [{"file": name.encode(errors="replace").decode(), "why": why} for name, why in found.items()]

"""Shows, gives and takes states of the metadata.

Usage: metadata-state list COPIES
       metadata-state take COPIES [SECONDS]
       metadata-state take-master qfs|hdfs TOP [LOG]
       metadata-state lay-out TOP ASIDE [NAMES [NOTEBOOKS]]
       metadata-state fresh-catalogue SECONDS
       metadata-state tables SECONDS

`list` prints the histories of a keeper's directory as one JSON document. `take` writes the newest state, or the last
one not later than SECONDS since the epoch, to standard output as a tar archive (bundle.py), `take-master` what a master
has on its own disk, with LOG from an image on that is not later than that log. `lay-out` reads one from standard input
and puts it below TOP, what is there into TOP/ASIDE, with the catalogue of tables below NAMES, and notebooks that are
missing there in NOTEBOOKS; it prints what the state is. No block that is written from then on has a number that one
may have had before. In the metastore's container `fresh-catalogue` waits until the
newest of its copies is the catalogue as it is now, `tables` prints what is in that one as JSON. Exit codes: 0 done,
1 there is no such state or it is damaged, 64 wrong command line, 74 a disk fails.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from sparkqfs_runtime.metadata import bundle, catalogue, states
from sparkqfs_runtime.metadata.kinds import KINDS

EX_USAGE, EX_IOERR = 64, 74
NUMBERS_A_SECOND = 1 << 24
"""More blocks than a cluster makes in a second: what a restore gives out is above all that was given before it."""


def listed(top: Path) -> list[dict[str, Any]]:
    """A row for each history, the oldest first. Times are seconds since the epoch."""
    rows = []
    for kept in states.histories(top):
        moments = kept.moments()
        pieces = [*kept.images, *kept.logs]
        rows.append(
            {
                "number": kept.number,
                "kind": kept.kind.name,
                "identity": kept.identity,
                "began": kept.began,
                "mark": states.mark_of(kept),
                "first": moments[0].at if moments else None,
                "last": moments[-1].at if moments else None,
                "moments": len(moments),
                "images": len(kept.images),
                "operation": kept.last_operation(),
                "bytes": sum(piece.path.stat().st_size for piece in pieces),
            }
        )
    return rows


def main(argv: list[str]) -> int:
    """Exit code."""
    try:
        return run(argv[1:])
    except (states.StateError, catalogue.CatalogueError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(error, file=sys.stderr)
        return EX_IOERR


def run(words: list[str]) -> int:
    """Raises StateError, CatalogueError, OSError."""
    match words:
        case ["list", top]:
            print(json.dumps({"schema": 1, "histories": listed(Path(top))}))
        case ["take", top, *rest] if len(rest) <= 1 and all(_is_time(word) for word in rest):
            at = float(rest[0]) if rest else None
            kept = states.history_at(states.histories(Path(top)), at)
            bundle.write(states.state_at(kept, at), sys.stdout.buffer)
        case ["take-master", kind, top, *log] if kind in KINDS and len(log) <= 1:
            bundle.write(states.state_of_master(KINDS[kind], Path(top), *log), sys.stdout.buffer)
        case ["lay-out", top, aside, *more] if aside.strip(".") and "/" not in aside and len(more) <= 2:
            names, books = (Path(word) if word else None for word in (*more, "", "")[:2])
            beyond = int(time.time()) * NUMBERS_A_SECOND
            index = bundle.lay_out(sys.stdin.buffer, Path(top), aside, names, books, beyond=beyond)
            told = ("kind", "identity", "at", "operation", "passed_over", "tables", "notebooks")
            print(json.dumps({key: index[key] for key in told}))
        case ["fresh-catalogue", seconds] if _is_time(seconds):
            print(catalogue.fresh(_copies(), float(seconds)).name)
        case ["tables", seconds] if _is_time(seconds):
            print(json.dumps(catalogue.contents(catalogue.fresh(_copies(), float(seconds)))))
        case _:
            print(f"usage:{(__doc__ or '').partition('Usage:')[2].partition(chr(10) * 2)[0]}", file=sys.stderr)
            return EX_USAGE
    return 0


def _copies() -> Path:
    folder = os.environ.get("SPARKQFS_METASTORE_DIR") or "/data/metastore"
    return catalogue.place_of_copies(os.environ, Path(folder))


def _is_time(word: str) -> bool:
    try:
        return 0 <= float(word) < 1e11
    except ValueError:
        return False

"""Lists all names of a storage, with their lengths.

Usage: list-names running qfs|hdfs TOP HOST PORT SECONDS
       list-names state SECONDS HEAP_MIB [LOG SIZE]

`running` asks the metaserver, or the namenode's HTTP server, whose metadata is in TOP. `state` starts one on a state of
the metadata from standard input (metadata/bundle.py); with LOG SIZE on what it was when its newest log had that length.
The list (names/lists.py) goes to standard output. Exit codes: 0 done, 1 the state is damaged or does not open, or the
master does not answer, 64 wrong command line, 74 a disk or too little memory, 124 the SECONDS are over.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sparkqfs_runtime.metadata.kinds import KINDS
from sparkqfs_runtime.metadata.states import StateError
from sparkqfs_runtime.names import lists, opening
from sparkqfs_runtime.pages.sources import Unasked

EX_USAGE, EX_IOERR, EX_TIME = 64, 74, 124
MOST_S = 1e6


def main(argv: list[str]) -> int:
    """Exit code."""
    try:
        return run(argv[1:])
    except (StateError, Unasked) as error:
        code, said = 1, str(error)
    except TimeoutError as error:
        code, said = EX_TIME, str(error)
    except OSError as error:
        code, said = EX_IOERR, str(error)
    print(said, file=sys.stderr)
    return code


def run(words: list[str]) -> int:
    """Raises StateError, `Unasked`, OSError."""
    match words:
        case ["running", kind, top, host, port, seconds] if kind in KINDS and port.isdigit() and _is_time(seconds):
            lists.of_master(sys.stdout.buffer, KINDS[kind], Path(top), (host, int(port)), float(seconds))
        case ["state", seconds, heap, *place] if _is_time(seconds) and heap.isdigit() and _is_place(place):
            opening.open_state(
                sys.stdin.buffer,
                sys.stdout.buffer,
                seconds=float(seconds),
                heap_mib=int(heap),
                position=(place[0], int(place[1])) if place else None,
            )
        case _:
            print(f"usage:{(__doc__ or '').partition('Usage:')[2].partition(chr(10) * 2)[0]}", file=sys.stderr)
            return EX_USAGE
    return 0


def _is_time(word: str) -> bool:
    try:
        return 0 <= float(word) < MOST_S
    except ValueError:
        return False


def _is_place(words: list[str]) -> bool:
    """Nothing, or a log and its length."""
    return not words or (len(words) == 2 and words[1].isdigit())

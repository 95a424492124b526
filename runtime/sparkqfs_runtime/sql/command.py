"""SQL on the Connect server of this container.

Usage: sql shell (at a terminal) | sql run table|csv|records, with one line of JSON on standard input: `text`, the
statements, and `name`, what to call the text in errors. Whoever waits keeps standard input open; its end ends a query.

Exit codes: 0 all statements ran, 1 one failed, and those behind it were not run; 64 wrong command line; 125 nobody
waits any more; 130 Ctrl-C, while the shell was not yet there to take it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable
from typing import Any

from sparkqfs_runtime.sql import show
from sparkqfs_runtime.sql.engine import Engine, Result, SqlError
from sparkqfs_runtime.sql.shell import Shell
from sparkqfs_runtime.sql.statements import split

EX_USAGE = 64
EX_ALONE = 125
EX_INTERRUPTED = 130
FORMATS = ("table", "csv", "records")


def main(arguments: list[str]) -> int:
    """Exit code; see the top."""
    if arguments == ["shell"]:
        try:
            return Shell(Engine()).run()
        except SqlError as error:
            return _failed(str(error))
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr, flush=True)
            return EX_INTERRUPTED
    if len(arguments) != 2 or arguments[0] != "run" or arguments[1] not in FORMATS:
        print("usage: sql shell | sql run table|csv|records", file=sys.stderr)
        return EX_USAGE
    question = json.loads(sys.stdin.readline())
    try:
        engine = Engine()
    except SqlError as error:
        return _failed(str(error))
    threading.Thread(target=_end_when_alone, args=(engine,), daemon=True).start()
    return _run(engine, arguments[1], str(question["text"]), str(question["name"]))


def _run(engine: Engine, form: str, text: str, name: str) -> int:
    """All statements, the first that fails ends it."""
    shown = 0
    for statement in split(text):
        try:
            result = engine.run(statement.text)
            if result.names or form == "records":
                if shown and form != "records":
                    sys.stdout.write("\n")
                shown += 1
                _show(form, result)
        except SqlError as error:
            sys.stdout.flush()
            return _failed(f"{name}:{statement.line}: {error}" if name else str(error))
        sys.stdout.flush()
    return 0


def _show(form: str, result: Result) -> None:
    write = sys.stdout.write
    rows: Iterable[Any] = result.rows
    if form == "csv":
        show.as_csv(result.names, rows, write)
    elif form == "records":
        show.as_records(result.names, result.types, rows, write)
    else:
        show.as_table(result.names, rows, write)


def _end_when_alone(engine: Engine) -> None:
    """Nobody waits any more: the query ends, and so do we."""
    while os.read(0, 4096):
        pass
    engine.interrupt()
    os._exit(EX_ALONE)


def _failed(text: str) -> int:
    print(text, file=sys.stderr, flush=True)
    return 1

"""Files of the cluster's storage, from inside a container: as `invoke put`, `get`, `ls`, `rm` and `du`.

Usage: storage put|get|ls|rm|du ARGUMENT…; exit codes as the tasks'. The script `storage` runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sparkqfs.errors import ClusterError, ExitCode, Problem
from sparkqfs.files import looking, moving
from sparkqfs.files.places import Places
from sparkqfs.files.results import Result
from sparkqfs.files.storage import Storage
from sparkqfs.files.transfer import Access
from sparkqfs.files.wire import ProcessPipe
from sparkqfs.streams import exit_code_of, tell

SERVERS = 2
"""At most: each is a JVM in this container."""
FILE_SERVER = Path(__file__).resolve().parents[2] / "bin" / "file-server"
SHARED = Path("/data/shared")


def main(argv: list[str]) -> int:
    """Exit code."""
    return exit_code_of(lambda: carry_out(argv))


def carry_out(argv: list[str]) -> int:
    """Exit code of a command line. What it prints may find nobody to read it."""
    commands = parser()
    options = commands.parse_args(argv)
    if options.command == "get" and options.local == moving.STREAM and options.json:
        commands.error("--json and the file itself cannot both go to standard output")
    started = time.monotonic()
    lock = threading.Lock()

    def say(text: str) -> None:
        with lock:
            tell(f"{time.monotonic() - started:6.1f}s {text}\n")

    try:
        return show(run(options, say), options)
    except ClusterError as error:
        if options.json:
            print(json.dumps(document(options.command, "failed", error.problems, int(error.exit_code)), indent=2))
        else:
            show_problems(error.problems)
        return int(error.exit_code)
    except KeyboardInterrupt:
        tell("interrupted\n")
        os._exit(int(ExitCode.INTERRUPTED))  # a server that still works must not hold up the end


def parser() -> argparse.ArgumentParser:
    """Five commands."""
    top = argparse.ArgumentParser(prog="storage", description="Files of the cluster's storage.")
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, text: str, seconds: int) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.add_argument("--timeout", type=int, default=seconds, metavar="SECONDS")
        made.add_argument("--json", action="store_true", help="one JSON document on standard output")
        return made

    put = command("put", "Files of this container to the storage; - is standard input.", 86400)
    put.add_argument("local")
    put.add_argument("path")
    get = command("get", "Files of the storage to this container; - is standard output.", 86400)
    get.add_argument("path")
    get.add_argument("local")
    for one in (put, get):
        one.add_argument("--overwrite", action="store_true", help="replace files that differ")
        one.add_argument("--dry-run", action="store_true")
    ls = command("ls", "What is in a directory of the storage.", 600)
    ls.add_argument("path")
    ls.add_argument("-R", "--recursive", action="store_true", help="all that is below, too")
    rm = command("rm", "Remove files of the storage, for good.", 3600)
    rm.add_argument("path")
    rm.add_argument("-r", "--recursive", action="store_true", help="directories too, with all that is in them")
    rm.add_argument("--if-there", action="store_true", help="what is not there is no error")
    rm.add_argument("--yes", action="store_true", help="remove without a question")
    rm.add_argument("--dry-run", action="store_true")
    command("du", "Bytes of each thing in a directory, and with all copies.", 600).add_argument("path")
    return top


def access(options: argparse.Namespace, say: Callable[[str], None]) -> Access:
    """File servers in this container."""

    def connect(_number: int) -> Storage:
        return Storage(ProcessPipe([str(FILE_SERVER), str(options.timeout)]))

    def confirm(question: str) -> bool:
        if options.yes or not sys.stdin.isatty():
            return bool(options.yes)
        tell(f"{question} [y/N] ")
        return input().strip().lower() in ("y", "yes")

    return Access(
        connect=connect,
        width=SERVERS,
        on_event=say,
        confirm=confirm,
        timeout_s=options.timeout,
        dry_run=getattr(options, "dry_run", False),
    )


def run(options: argparse.Namespace, say: Callable[[str], None]) -> Result:
    """The command's result. Raises `ClusterError`."""
    shared = f"file://{SHARED}" if SHARED.is_mount() else None
    places = Places(root=os.environ["SPARKQFS_ROOT"].rstrip("/"), shared=shared, user=pwd.getpwuid(os.getuid()).pw_name)
    place = places.read(options.path)
    if options.command == "put":
        moving.check_source(options.local)
    opened = access(options, say)
    if options.command == "put":
        return moving.put(opened, options.local, place, overwrite=options.overwrite, stdin=0)
    if options.command == "get" and options.local == moving.STREAM:
        return moving.get_stream(opened, place, sys.stdout.buffer)
    if options.command == "get":
        return moving.get(opened, place, options.local, overwrite=options.overwrite)
    if options.command == "ls":
        return looking.ls(opened, place, recursive=options.recursive)
    if options.command == "rm":
        return looking.rm(opened, places, place, recursive=options.recursive, if_there=options.if_there)
    return looking.du(opened, place)


def show(result: Result, options: argparse.Namespace) -> int:
    """Prints it; the exit code."""
    code = max([int(problem.code) for problem in result.problems], default=0)
    if options.json:
        said = document(options.command, result.state, result.problems, code)
        print(json.dumps(said | result.document, indent=2))
        return code
    if result.text:
        print(result.text)
    elif getattr(options, "local", "") != moving.STREAM or options.command == "put":
        print(f"{result.subject}: {result.state}", *(f"  {change}" for change in result.changes), sep="\n")
    show_problems(result.problems)
    return code


def document(command: str, state: str, problems: tuple[Problem, ...], code: int) -> dict[str, object]:
    """What every JSON document has."""
    told = [{"what": one.what, "hint": one.hint} for one in problems]
    return {"schema": 1, "task": command, "state": state, "problems": told, "exit_code": code}


def show_problems(problems: tuple[Problem, ...]) -> None:
    """On standard error."""
    for problem in problems:
        tell(f"{problem}\n")

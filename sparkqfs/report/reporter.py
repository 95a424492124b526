"""Events and results → a terminal or JSON. Nothing else prints."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from sparkqfs.amounts import amount
from sparkqfs.errors import Problem
from sparkqfs.facts.log_lines import LogLine
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.times import about
from sparkqfs.shortening import shortened
from sparkqfs.streams import NobodyReads, is_asking, look_for_reader, output_errors, tell, to_nowhere
from sparkqfs.tree import IS_INSTALLED

if TYPE_CHECKING:
    from sparkqfs.report.terminal import Terminal

SCHEMA = 1
EVENT_CHARACTERS = 300
QUIET_S = 20.0
STATE_STYLE = {"changed": "yellow", "unchanged": "green", "ok": "green", "planned": "cyan", "failed": "red"}
LOOKED = {"failed": "see below"}
"""Nothing has failed where a machine was only looked at: it lacks something."""


_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Text of machines and containers without control characters: nothing of it may steer the terminal."""
    return _CONTROL.sub("", _COLOUR.sub("", text))


_CALL = re.compile(r"\binvoke (?=[a-z])")
_FILE = re.compile(r"(?<![\w./-])hosts\.yml\b")
_found_file = ["hosts.yml"]


def name_file(name: str) -> None:
    """What messages of this command line call the cluster file, which they know as hosts.yml."""
    _found_file[0] = name


def as_called(text: str, *, is_installed: bool = IS_INSTALLED) -> str:
    """Text of ours with its commands and the cluster file as they are here.

    Without a clone there is no tasks.py for `invoke`, only our own program.
    """
    text = _FILE.sub(lambda _: _found_file[0], text)
    return _CALL.sub("sparkqfs ", text) if is_installed else text


_BEYOND_ASCII = re.compile(r"[^\x00-\x7e]")


class _Exact:
    """Writes a `Decimal` as a number with all its digits: Python's JSON knows numbers of its own only."""

    def __init__(self) -> None:
        self._mark = ""

    def text_of(self, value: object) -> str:
        """What stands for the number until all is written."""
        from decimal import Decimal

        if not isinstance(value, Decimal):
            raise TypeError(f"a document with a {type(value).__name__}")
        self._mark = self._mark or os.urandom(16).hex()
        return f"{self._mark}{value:f}"

    def numbers_in(self, text: str) -> str:
        """The text with the numbers themselves."""
        return re.sub(f'"{self._mark}([^"]*)"', r"\1", text) if self._mark else text


def json_text(document: Mapping[str, object], indent: int | None = None) -> str:
    """A document as text. Marks that turn the direction of writing and the like are escaped, which means the same."""
    exact = _Exact()
    text = exact.numbers_in(json.dumps(document, indent=indent, ensure_ascii=False, default=exact.text_of))
    return _BEYOND_ASCII.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


def storage_lines(storage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What `status` says of missing data, from its document: names and values of lines."""
    if storage["copies_missing"]:
        parts = [f"{storage['copies_missing']} missing, {storage['copies_in_progress']} being made"]
        if storage["copies_per_minute"] is not None:
            parts.append(f"{storage['copies_per_minute']:g} a minute")
        if storage["copies_wait_for_servers"]:
            parts.append(f"none before {storage['copies_wait_for_servers']} that went away has had time to come back")
        yield "  copies", ", ".join(parts)
    if storage["lost_files"] or storage["lost_blocks"]:
        files = f"{amount(storage['lost_files'], 'file')}, " if storage["lost_files"] else ""
        yield "  lost", f"{files}blocks without a copy: {storage['lost_blocks']}"
    check = storage["check"]
    if check["age_s"] is not None:
        parts = [f"{about(check['age_s'])} ago, in {check['took_s']:.2f} s"]
        if storage["files_with_one_copy_left"]:
            parts.append(f"{storage['files_with_one_copy_left']} with one copy left")
        if not check["is_current"]:
            parts.append("servers have changed since")
        parts += [text for text in (check["partial"], check["error"]) if text]
        yield "  files checked", "; ".join(parts)
    elif check["every_s"] is not None or check["error"]:
        yield "  files checked", f"never: {check['error'] or 'the first check has not ended'}"
    if storage.get("metadata_copies"):
        yield "  metadata", f"copied to {', '.join(map(_copy, storage['metadata_copies']))}"
    not_up = storage["servers_gone"][-5:] if storage["state"] != "healthy" else []
    for name, hosts in (
        ("not in hosts.yml", storage["servers_unknown"]),
        ("retiring", storage["servers_retiring"]),
        ("not up", not_up),
    ):
        if hosts:
            yield f"  {name}", ", ".join(map(str, hosts))
    if storage["servers_stale"]:
        yield "  silent", f"{storage['servers_stale']} for longer than they should be"


def _copy(copy: Mapping[str, Any]) -> str:
    """A copy of the metadata: where, how old, and what its daily check has found."""
    age = "not yet" if copy["age_s"] is None else f"{about(copy['age_s'])} ago"
    seen = copy.get("verified")
    checked = "" if seen is None else f", {'whole' if seen['ok'] else 'DAMAGED'} {about(seen['age_s'])} ago"
    names = copy.get("catalogue")
    kept = "not yet" if names and not names["is_kept"] else f"{about(names['age_s'])} ago" if names else ""
    return f"{copy['node']} ({age}{checked}{f', tables {kept}' if kept else ''})"


def may_show_colours(stream: IO[str] | None) -> bool:
    """False when nothing could be coloured: no terminal, and no variable that has colours written all the same."""
    return stream is None or stream.isatty() or not os.environ.keys().isdisjoint(("FORCE_COLOR", "TTY_COMPATIBLE"))


def _write(text: str) -> None:
    """To standard output, at once. Raises `NobodyReads` or `CannotWrite`."""
    with output_errors():
        sys.stdout.write(text)
        sys.stdout.flush()


def hints_once(problems: Iterable[Problem]) -> Iterator[Problem]:
    """The same problems; where several in a row have one hint, the last of them says it."""
    rest = list(problems)
    for problem, following in zip(rest, [*rest[1:], None], strict=False):
        is_said_below = following is not None and following.hint == problem.hint
        yield dataclasses.replace(problem, hint=None) if is_said_below else problem


class Reporter:
    """Results on standard output, progress on standard error. `NO_COLOR` and pipes get plain text."""

    def __init__(self, *, as_json: bool = False, verbose: bool = False, by_line: bool = False) -> None:
        """`by_line`: each JSON document is one line, for tasks that go on saying more of them."""
        self.as_json = as_json
        self.by_line = by_line
        self.verbose = verbose
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._last_noise = 0.0
        self._last_still = 0.0
        self._said, self._said_at = "", self._started

    @functools.cached_property
    def out(self) -> Terminal:
        """Standard output. Its `say` and `say_rows` raise `NobodyReads` or `CannotWrite`."""
        from sparkqfs.report.terminal import Terminal

        def end(error: OSError) -> None:
            with output_errors():
                raise error

        return Terminal(stderr=False, fails=end)

    @functools.cached_property
    def err(self) -> Terminal:
        """Standard error. Lines that it does not take are not said; the task goes on."""
        from sparkqfs.report.terminal import Terminal

        def go_on(_error: OSError) -> None:
            self.err.quiet = True
            to_nowhere(2)

        return Terminal(stderr=True, fails=go_on)

    def event(self, text: str) -> None:
        """One line of progress. Build output is thinned out to a line every two seconds unless verbose."""
        with self._lock:
            noisy = text.startswith("[") and "] " in text and not text.endswith(("building", "pushing"))
            now = time.monotonic()
            self._said, self._said_at = text, now
            if noisy and not self.verbose:
                if now - self._last_noise < 2.0:
                    return
                self._last_noise = now
            self._say(text if noisy else as_called(text), now)

    def _say(self, text: str, now: float) -> None:
        self.err.say((f"{now - self._started:6.1f}s ", "dim"), plain(shortened(text, EVENT_CHARACTERS)))

    @contextlib.contextmanager
    def patience(self) -> Iterator[None]:
        """While the block runs, a line says what it is at where nothing else has been said for `QUIET_S`."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(QUIET_S / 4):
                with self._lock:
                    now = time.monotonic()
                    quiet = now - self._said_at
                    pause = max(QUIET_S, quiet / 3)
                    if ended.is_set():
                        return
                    if self._said and quiet > QUIET_S and now - self._last_still > pause and not is_asking():
                        self._last_still = now
                        self._say(f"still: {as_called(self._said.removeprefix('== '))} ({quiet:.0f} s)", now)

        threading.Thread(target=look, name="patience", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                ended.set()

    def stage(self, name: str, result: JobResult, seconds: float) -> None:
        """One finished stage of `up`."""
        word = "failed" if result.problems else ("changed" if result.changed else "unchanged")
        self.event(f"== {name}: {word} ({seconds:.1f} s)")

    def problems(self, problems: Iterable[Problem]) -> None:
        """Each problem on standard error, its place first."""
        for problem in hints_once(problems):
            self._problem(as_called(plain(str(problem))))

    def _problem(self, text: str) -> None:
        """Red on a terminal. Elsewhere the same text without what colours it: a fault in hosts.yml is said at once."""
        if "err" in vars(self) or may_show_colours(sys.stderr):
            self.err.say((text, "red"))
            return
        tell(f"{text.expandtabs()}\n")

    def result(self, result: JobResult) -> None:
        """The end of a task: one JSON document, or a table and the problems. A reader may have enough of it.

        Raises `CannotWrite`.
        """
        try:
            self._show(result)
        except NobodyReads:
            to_nowhere(1)

    def _show(self, result: JobResult) -> None:
        if self.as_json:
            _write(json_text(self.document(result), indent=None if self.by_line else 2) + "\n")
            return
        if result.task == "status" and result.document:
            self._status(result)
        elif result.text:
            self.out.say(plain(result.text))
        elif result.outcomes:
            self._outcomes(result)
        for note in result.notes:
            self.out.say(as_called(plain(note)))
        if result.task != "status" or not result.document.get("spark"):
            self.problems(result.problems)

    def passed_on(self, stream: str, data: bytes) -> None:
        """A program's own output, byte for byte; beside a JSON document all of it is standard error.

        Raises `NobodyReads` or `CannotWrite`.
        """
        number = 1 if stream == "stdout" and not self.as_json else 2
        with output_errors():
            while data:
                data = data[os.write(number, data) :]

    def line_of(self, node: str, stream: str, line: str) -> None:
        """A line that a command on a machine wrote, with the machine before it. Raises as `passed_on`."""
        self.passed_on(stream, f"[{node}] {plain(line)}\n".encode())

    def watched(self, result: JobResult) -> None:
        """One look of `status --watch`: a fresh screen on a terminal, one JSON document a line otherwise.

        Raises `NobodyReads` or `CannotWrite`.
        """
        if self.as_json:
            _write(json_text(self.document(result)) + "\n")
            return
        if self.out.is_terminal:
            self.out.clear()
        self._show(result)

    def log_lines(self, lines: Sequence[LogLine]) -> None:
        """Lines of containers as they come, or one JSON document a line; none of them only looks for a reader.

        Raises `NobodyReads` or `CannotWrite`.
        """
        if not lines:
            look_for_reader()
            return
        shown = (
            json_text({"schema": SCHEMA, "time": one.time, "node": one.node, "service": one.service, "line": one.text})
            if self.as_json
            else plain(f"[{one.node} {one.service}] {one.text}")
            for one in lines
        )
        _write("".join(f"{line}\n" for line in shown))

    def document(self, result: JobResult) -> dict[str, object]:
        """The JSON of a task; keys are only ever added within a schema number."""
        if result.task == "status" and result.document:
            return {**result.document, "exit_code": int(result.exit_code)}
        return {
            "schema": SCHEMA,
            "task": result.task,
            "outcomes": [
                {"subject": one.subject, "state": one.state, "changes": list(one.changes)} for one in result.outcomes
            ],
            "problems": [
                {
                    "node": p.node,
                    "what": as_called(p.what),
                    "setting": p.config_path,
                    "file": p.file,
                    "line": p.line,
                    "hint": None if p.hint is None else as_called(p.hint),
                }
                for p in result.problems
            ],
            **result.document,
            "exit_code": int(result.exit_code),
        }

    def _outcomes(self, result: JobResult) -> None:
        for one in result.outcomes:
            style = STATE_STYLE.get(one.state, "white")
            word = LOOKED.get(one.state, one.state) if result.task in ("doctor", "new") else one.state
            self.out.say(plain(one.subject), ": ", (word, style))
            for change in one.changes:
                self.out.say(f"  {as_called(plain(change))}")

    def _status(self, result: JobResult) -> None:
        document = result.document
        state = str(document.get("state"))
        style = {"healthy": "green", "recovering": "yellow"}.get(state, "red")
        self.out.say(f"cluster {document.get('cluster')}: ", (state, style))
        spark, storage = document.get("spark"), document.get("storage")
        if not isinstance(spark, dict) or not isinstance(storage, dict):
            return
        rows: list[tuple[str, str]] = []

        def add(name: str, value: str) -> None:
            rows.append((name, plain(value)))

        swarm = document.get("swarm")
        if isinstance(swarm, dict) and not swarm["answers"]:
            add("Swarm", "does not answer")
        if spark.get("answers"):
            add("Spark workers", f"{spark['workers_alive']} of {spark['workers_expected']} alive")
            add("  cores", f"{spark['cores_used']} of {spark['cores']} used")
            used, memory = int(spark["memory_used_mib"]) / 2**10, int(spark["memory_mib"]) / 2**10
            add("  memory", f"{used:.2f} of {memory:.2f} GiB used")
            add("  applications", "" if spark["running"] else "none")
            for app in spark["running"]:
                add(f"    {app['state'].lower()}", f"{app['name']}  {app['link'] or app['id']}")
        else:
            add("Spark", str(spark.get("error")))
        if storage.get("answers"):
            up, expected = storage["servers_up"], storage["servers_expected"]
            add(
                str(storage["server_name"]).capitalize(),
                f"{up} of {expected} up{', recovering' if storage['recovering'] else ''}",
            )
            used, free = int(storage["used_bytes"]) / 2**30, int(storage["free_bytes"]) / 2**30
            add("  space", f"{used:.2f} GiB used, {free:.2f} GiB free")
            too = storage.get("files_count_too")
            add(
                "  files", f"{storage['files']}{f' with {too},' if too else ''} in {amount(storage['blocks'], 'block')}"
            )
            add(
                "  replication",
                f"{amount(storage['replication'], 'copy', 'copies')}, {storage['replications_pending']} pending",
            )
            for name, value in storage_lines(storage) if "check" in storage else ():
                add(name, value)
            layout = storage.get("layout")
            if isinstance(layout, dict):
                add("  layout", str(layout["text"]))
        else:
            add("Storage", f"{storage['kind']} {storage.get('error', '')}")
        absent = document.get("expected_absent")
        if isinstance(absent, list) and absent:
            add("Absent", as_called(f"{', '.join(absent)}, as expected since a restore: take it out of hosts.yml"))
        history = document.get("history")
        for app in history.get("finished", ()) if isinstance(history, dict) else ():
            add("Ended" if app["state"] == "FINISHED" else "Lost", f"{app['name']}  {app['link'] or app['id']}")
        urls = document.get("urls")
        for name, url in urls.items() if isinstance(urls, dict) else ():
            add(name, str(url))
        self.out.say_rows(rows)
        for problem in hints_once(result.problems):
            self.out.say((as_called(plain(f"problem: {problem}")), "red"))

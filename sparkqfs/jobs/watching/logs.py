"""invoke logs: what the stack's containers print, of all machines in the order of time."""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from sparkqfs import topology
from sparkqfs.clients.broken import BROKEN
from sparkqfs.clients.line_stream import line_stream
from sparkqfs.clients.ssh import NodeClient
from sparkqfs.clients.wait import in_time
from sparkqfs.errors import ClusterError, Problem
from sparkqfs.facts.log_lines import LogLine, Printed, parse_line
from sparkqfs.jobs.session import OnEvent, Session
from sparkqfs.plan.steps import JobResult
from sparkqfs.plan.watching.cluster_status import is_worker
from sparkqfs.plan.watching.logs import LINE_BYTES, Kept, Merge, Place, Wanted
from sparkqfs.remote import script

LOGS_SCRIPT = script("container_logs")
"""Its words are the stack, a service or nothing, the bytes of a line, `once` or `follow`, the seconds of silence after
which nobody listens any more, the time from which on, the lines of each container, the seconds that a log must last
to be good again, and for `follow` ID=TIME of those that were read before. It prints `t SECONDS`, its clock; `@ ID
SERVICE` for a container; `ID TIME TEXT` for a line, `ID TEXT` for the engine's own words; `.` every two seconds; `! ID`
where a log ended before its container, and comes once more; `x TEXT` where the engine does not answer any more.
"""
MOST_BYTES = 2 * LINE_BYTES
"""Of a line as the machine sends it."""
LOOK_S = 60.0
"""Without a byte."""
SILENT_S = 15.0
"""A machine that says nothing for so long is away."""
BEAT_S, LISTENS_S = 10.0, 60
PAUSES_S = (1.0, 2.0, 5.0, 10.0)
"""Before a machine that is away is asked again; the last is used again and again."""
TICK_S = 0.2
INBOX = 64
"""Pieces of lines that wait to be shown; who reads slowly makes the machines wait."""
MOST_PLACES = 400
STEADY_S = 30.0
"""A stream that lasted so long is good again: the next pause is the first."""

Show = Callable[[Sequence[LogLine]], None]


@dataclass(slots=True)
class Machine:
    """What is known of one machine's logs."""

    node: str
    since: str = ""
    """The time from which on a container is followed that was not there before."""
    services: dict[str, str] = field(default_factory=dict)
    """Container → service."""
    places: dict[str, Place] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    noted: set[tuple[str, str]] = field(default_factory=set)
    is_away: bool = False

    def is_new(self, line: Printed) -> bool:
        """Whether a line comes for the first time."""
        place = self.places.setdefault(line.container, Place())
        while len(self.places) > MOST_PLACES:  # of containers that are long gone
            del self.places[next(iter(self.places))]
        return place.is_new(line.time)

    def note(self, container: str, text: str) -> str:
        """For people: what the engine says of a container's log itself; empty where it was said before."""
        if container not in self.services or (container, text) in self.noted:
            return ""
        if len(self.noted) >= MOST_PLACES:
            self.noted.clear()
        self.noted.add((container, text))
        return f"{self.node} {self.services[container]}: its log: {text}"

    def line(self, printed: Printed) -> LogLine:
        """With its place."""
        service = self.services.get(printed.container, "?")
        return LogLine(time=printed.time, node=self.node, service=service, text=printed.text)

    def lines(self) -> list[LogLine]:
        """All that is kept."""
        return [self.line(printed) for kept in self.kept.values() for printed in kept.lines]


def is_of(service: str, wanted: str | None) -> bool:
    """`worker-node` means those of all classes of machines."""
    return wanted in (None, service) or (wanted == topology.WORKER_NODE and is_worker(service))


def _argv(session: Session, wanted: Wanted, mode: str, since: str, known: Sequence[str] = ()) -> list[str]:
    words = [session.config.name, wanted.service or "", str(LINE_BYTES), mode, str(LISTENS_S), since]
    return ["sh", "-c", LOGS_SCRIPT, "sh", *words, wanted.engine_tail, f"{STEADY_S:.0f}", *known]


def _look(session: Session, wanted: Wanted, node: str) -> Machine:
    """What a machine's containers have printed so far. Raises `ClusterError`."""
    machine = Machine(node)
    since = "" if wanted.since is None else f"{wanted.since:.9f}"
    argv = _argv(session, wanted, "once", since)
    try:
        with line_stream(session.clients.node(node), argv, most_bytes=MOST_BYTES, silent_s=LOOK_S) as stream:
            for lines in stream:
                for line in lines:
                    _take(machine, wanted, line)
            said = stream.failure(LOOK_S)
    except BROKEN as error:
        what = f"its logs cannot be read: {str(error) or f'no answer in {LOOK_S:.0f} s'}"
        raise ClusterError(Problem(node=node, what=what)) from error
    if said is not None:
        hint = "is Docker Engine installed and running there? `invoke doctor` looks"
        raise ClusterError(Problem(node=node, what=f"its logs cannot be read: {said}", hint=hint))
    return machine


def _take(machine: Machine, wanted: Wanted, line: str) -> None:
    kind, _, rest = line.partition(" ")
    if kind == "t":
        machine.since = rest
    elif kind == "@":
        container, _, service = rest.partition(" ")
        machine.services[container] = service
    else:
        printed = parse_line(line)
        if printed is None:
            machine.note(kind, rest)
        elif machine.is_new(printed) and wanted.matches(printed.text):
            machine.kept.setdefault(printed.container, Kept(wanted.most)).add(printed)


def _look_everywhere(
    session: Session, wanted: Wanted, names: tuple[str, ...]
) -> tuple[dict[str, Machine], tuple[Problem, ...]]:
    """Raises `ClusterError` where no machine answers, or none has a container of this service."""
    results = session.clients.on(names, lambda name: _look(session, wanted, name))
    services = {name for machine in results.values.values() for name in machine.services.values()}
    if not any(is_of(name, wanted.service) for name in services):
        if results.failures:
            raise ClusterError(*results.problems)
        is_part = len(names) < len(session.config.nodes)
        what = f"no container of {wanted.service or 'the stack'}" + (f" on {', '.join(names)}" if is_part else "")
        hint = f"services: {', '.join(sorted(services))}" if services else "`invoke deploy` starts the stack"
        raise ClusterError(Problem(what=what, hint=hint))
    return results.values, results.problems


def _in_order(machines: dict[str, Machine]) -> list[LogLine]:
    return sorted((line for one in machines.values() for line in one.lines()), key=lambda line: line.time)


def _cut(machines: dict[str, Machine]) -> tuple[str, ...]:
    """What is missing although nobody asked to leave it out."""
    return tuple(
        f"[{one.node} {one.services.get(name, '?')}] earlier lines are left out; --since TIME and --grep choose"
        for one in machines.values()
        for name, kept in one.kept.items()
        if kept.is_cut
    )


def _notes(machines: dict[str, Machine]) -> tuple[str, ...]:
    """What the engines say of the logs themselves."""
    return tuple(
        f"{one.node} {one.services[name]}: its log: {text}"
        for one in machines.values()
        for name, text in sorted(one.noted)
    )


def text_of(line: LogLine) -> str:
    """As it is shown."""
    return f"[{line.node} {line.service}] {line.text}"


def show(session: Session, wanted: Wanted, names: tuple[str, ...]) -> JobResult:
    """The last lines of each container of the stack, or of one service. Raises `ClusterError`."""
    machines, problems = _look_everywhere(session, wanted, names)
    lines = _in_order(machines)
    entries: dict[tuple[str, str], list[str]] = {
        (one.node, service): []
        for one in machines.values()
        for service in one.services.values()
        if is_of(service, wanted.service)
    }
    for line in lines:
        entries[line.node, line.service].append(line.text)
    return JobResult(
        task="logs",
        text="\n".join(text_of(line) for line in lines),
        notes=(*_cut(machines), *_notes(machines)),
        document={
            "schema": 1,
            "logs": [{"node": node, "service": service, "lines": text} for (node, service), text in entries.items()],
        },
        problems=problems,
    )


# -- following --------------------------------------------------------------------------------------------------------


def follow(session: Session, wanted: Wanted, names: tuple[str, ...], show_lines: Show) -> NoReturn:
    """Show what there is, then what comes, for ever. `show_lines` gets lines, or none every now and then.

    Raises `ClusterError` where no machine answers at the beginning; one that is away later, or then, is waited for.
    """
    started = time.time()
    machines, problems = _look_everywhere(session, wanted, names)
    for note in (*_cut(machines), *_notes(machines)):
        session.on_event(note)
    show_lines(_in_order(machines))
    inbox: queue.Queue[list[LogLine] | BaseException] = queue.Queue(maxsize=INBOX)
    over = threading.Event()
    for name in names:
        machine = machines.get(name) or Machine(name, since=f"{started:.9f}", is_away=True)
        machine.kept.clear()
        if machine.is_away:
            why = next((problem.what for problem in problems if problem.node == name), "it does not answer")
            session.on_event(_away(name, why))
        follower = _Follower(session, wanted, machine, inbox, over)
        threading.Thread(target=follower.run, name=f"logs {name}", daemon=True).start()
    try:
        _show_for_ever(inbox, show_lines)
    finally:
        over.set()


def _show_for_ever(inbox: queue.Queue[list[LogLine] | BaseException], show_lines: Show) -> NoReturn:
    merge = Merge()
    while True:
        with contextlib.suppress(queue.Empty):
            found = inbox.get(timeout=TICK_S)
            if isinstance(found, BaseException):
                raise found
            merge.add(found, time.monotonic())
        show_lines(merge.due(time.monotonic()))


def _away(node: str, why: str) -> str:
    return f"{node} is away ({why}); its lines follow when it is back"


class _Broken(Exception):
    """A machine's lines have ended; the text says why."""


class _Follower:
    """One machine, again and again, in a thread of its own."""

    def __init__(
        self,
        session: Session,
        wanted: Wanted,
        machine: Machine,
        inbox: queue.Queue[list[LogLine] | BaseException],
        over: threading.Event,
    ) -> None:
        self._session, self._wanted, self._machine, self._inbox, self._over = session, wanted, machine, inbox, over
        self._client: NodeClient = session.clients.node(machine.node)
        self._tries = 0
        self._since_s = 0.0
        """When the stream began that is read now."""

    def run(self) -> None:
        """Until `over`; what is not foreseen is raised where lines are shown."""
        try:
            while not self._over.is_set():
                self._try()
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to
            self._put(error)

    def _try(self) -> None:
        try:
            self._follow()
        except ClusterError as error:
            why = error.problems[0].what
        except _Broken as error:
            why = str(error)
        except BROKEN as error:
            silent = f"it has said nothing for {SILENT_S:.0f} s" if isinstance(error, TimeoutError) else ""
            why = silent or str(error) or "the connection ended"
            in_time(self._client.close)  # it may be one that never answers again
        if self._over.is_set():
            return
        if not self._machine.is_away:
            self._machine.is_away = True
            self._tell(_away(self._machine.node, why))
        self._over.wait(PAUSES_S[min(self._tries, len(PAUSES_S) - 1)])
        self._tries += 1

    @property
    def _tell(self) -> OnEvent:
        return self._session.on_event

    def _follow(self) -> None:
        machine = self._machine
        for place in machine.places.values():
            place.again()
        known = [f"{container}={place.time}" for container, place in machine.places.items()]
        argv = _argv(self._session, self._wanted, "follow", machine.since, known)
        self._since_s = time.monotonic()
        stream_of = functools.partial(line_stream, most_bytes=MOST_BYTES, silent_s=SILENT_S, beat_s=BEAT_S)
        with stream_of(self._client, argv) as stream:
            for lines in stream:
                self._take(lines)
                if self._over.is_set():
                    return
        raise _Broken("the connection ended")

    def _take(self, lines: list[str]) -> None:
        machine = self._machine
        found: list[LogLine] = []
        for line in lines:
            kind, _, rest = line.partition(" ")
            if kind == ".":
                self._is_back()
            elif kind == "@":
                self._learn(*rest.partition(" ")[::2])
            elif kind == "!":
                machine.places.setdefault(rest, Place()).again()
                self._note(rest, "it ended before the container has; it is read again")
            elif kind == "x":
                self._put(found)
                raise _Broken(rest)
            else:
                printed = parse_line(line)
                if printed is None:
                    self._note(kind, rest)
                elif machine.is_new(printed) and self._wanted.matches(printed.text):
                    found.append(machine.line(printed))
        self._put(found)

    def _note(self, container: str, text: str) -> None:
        if note := self._machine.note(container, text):
            self._tell(note)

    def _is_back(self) -> None:
        if time.monotonic() - self._since_s >= STEADY_S:
            self._tries = 0
        if self._machine.is_away:
            self._machine.is_away = False
            self._tell(f"{self._machine.node} is back")

    def _learn(self, container: str, service: str) -> None:
        """A container; one of a service that had another one before takes its place."""
        services = self._machine.services
        is_other = container not in services and service in services.values() and is_of(service, self._wanted.service)
        services[container] = service
        while len(services) > MOST_PLACES:
            del services[next(iter(services))]
        if is_other and not self._machine.is_away:
            self._tell(f"{self._machine.node} {service}: another container")

    def _put(self, found: list[LogLine] | BaseException) -> None:
        """Waits for whoever reads."""
        while found and not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self._inbox.put(found, timeout=1.0)
                return

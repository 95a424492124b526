"""A daemon that reads a node's chunk files every night, slowly, and looks after what is damaged.

Usage: scrub METASERVER PORT ADDRESS HOUR BYTES_PER_SECOND STATE DIRECTORY...
       scrub --state FILE

ADDRESS is that of this node's chunkserver. A pass begins at HOUR, UTC (0 to 23), and takes as long as it takes; where
the machine was off or asleep at that hour, or a pass was broken off, it begins as soon as that is over. `now` makes one
pass at once and ends, with exit code 0 when no damage is left. What it has found is in STATE, as JSON, which `--state`
prints; a daemon that starts goes on from there. It runs at the lowest priority for CPU and disk. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sparkqfs_runtime.pages.sources import Unasked
from sparkqfs_runtime.scrub import known_chunks
from sparkqfs_runtime.scrub.chunk_files import Chunk, Damage, chunks_in, damage_of, named
from sparkqfs_runtime.scrub.healing import Healer

STATE_S = 10.0
"""Between two writes of the state."""
BEAT_S = 60.0
"""The same while nothing is read: that it is written says that the daemon is there."""
LOOK_S = 30.0
"""Between two looks at the clock."""
START_S = 600.0
"""A container that has just started has other things to do."""
HOUR_S, DAY_S = 3600, 86400
FILE_SYSTEM = "0-fsid-"
"""What the name of the file begins with that says of which file system a directory of chunks is."""
KEPT = 20
"""Damaged chunks that the state names."""
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
IDLE = 3 << 13
"""The class of those that read when nobody else does. Source: Linux, include/uapi/linux/ioprio.h."""


@dataclass
class State:
    """What a pass has found; times are seconds since 1970."""

    schema: int = 1
    at: float = 0.0
    """When this was written."""
    of: str = ""
    """Of which file system the chunks are."""
    since: float = 0.0
    """When the first daemon on these chunks began."""
    hour: str = ""
    bytes_per_second: int = 0
    running: bool = False
    began: float | None = None
    """Of the pass that runs, or of the last one."""
    ended: float | None = None
    """Of the last pass that came to its end."""
    blocks: int = 0
    bytes: int = 0
    damaged: int = 0
    healed: int = 0
    """Put in order here, or reported by its chunkserver so that it is made again."""
    kept: int = 0
    """Damaged and left: the only copy, or no good one elsewhere."""
    kept_before: int = 0
    """Of the pass before, while one runs: what was left then is not well before it was looked at again."""
    errors: int = 0
    """Directories or chunks that could not be looked at."""
    damages: list[dict[str, object]] = field(default_factory=list)
    """The latest."""


def file_system_of(directories: tuple[Path, ...]) -> str:
    """As the names of files in the directories say it; empty where they do not yet."""
    found: set[str] = set()
    for directory in directories:
        with contextlib.suppress(OSError):
            found |= {path.name for path in directory.iterdir() if path.name.startswith(FILE_SYSTEM)}
    return " ".join(sorted(found))


def earlier(file: Path, directories: tuple[Path, ...]) -> State:
    """What the daemon before this one has written of the same file system; nothing of what cannot be understood."""
    try:
        body = json.loads(file.read_text(encoding="ascii"))
        of = file_system_of(directories)
        if body["schema"] != State.schema or not of or body["of"] != of:
            return State()
        counts = {name: int(body[name]) for name in ("blocks", "bytes", "damaged", "healed", "kept", "errors")}
        began, ended = (None if body[name] is None else float(body[name]) for name in ("began", "ended"))
        left = int(body["kept_before"])
        damages = [dict(one) for one in body["damages"]][-KEPT:]
        if body["running"]:  # it was broken off
            counts, left = {}, max(left, counts["kept"])
        since = float(body["since"])
        state = State(of=of, since=since, began=began, ended=ended, kept_before=left, damages=damages)
        for name, count in counts.items():
            setattr(state, name, count)
        return state
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return State()


def next_time(hour: int, after: float) -> float:
    """When it is that hour, UTC, for the first time after a time."""
    at = after // DAY_S * DAY_S + hour * HOUR_S
    return at if at > after else at + DAY_S


def first_time(hour: int, state: State, now: float) -> float:
    """When a daemon that starts begins its first pass: at the hour, or soon where that was missed."""
    after: float | None = state.since if state.began is None else state.ended
    if after is None or (state.began is not None and after < state.began):  # it was broken off
        return now + START_S
    return max(now + START_S, next_time(hour, min(now, after)))


class Slow:
    """Keeps to a number of bytes a second."""

    def __init__(self, bytes_per_second: int, sleep: Callable[[float], None] = time.sleep) -> None:
        self.rate, self.sleep = bytes_per_second, sleep
        self.free_at = time.monotonic()

    def read(self, size: int) -> None:
        """So many bytes have been read: waits until the next may be."""
        now = time.monotonic()
        self.free_at = max(self.free_at, now - 1.0) + size / self.rate
        if self.free_at > now:
            self.sleep(self.free_at - now)


class Scrub:
    """One node's chunk directories."""

    def __init__(self, healer: Healer, directories: tuple[Path, ...], state: State, file: Path) -> None:
        self.healer, self.directories, self.state, self.file = healer, directories, state, file
        self.written = 0.0

    def run_pass(self) -> None:
        """Every chunk file once, in an order of its own: passes that are broken off have not seen the same ones."""
        state = self.state
        state.running, state.began = True, time.time()
        state.kept_before = max(state.kept, state.kept_before)  # the last one may have been broken off
        state.blocks = state.bytes = state.damaged = state.healed = state.kept = state.errors = 0
        found: list[Chunk] = []
        for directory in self.directories:
            try:
                found += chunks_in(directory)
            except OSError as error:
                self.say(f"{directory} cannot be read: {error}")
                state.errors += 1
        names = {chunk.path.name for chunk in found}
        names |= self.look_for(names) if not state.errors else set()
        random.shuffle(found)
        for chunk in found:
            self.look(chunk)
            self.write(STATE_S)
        state.running, state.ended, state.kept_before = False, time.time(), 0
        self.write(0)
        self.remember(names)
        ends = f"{state.healed} of them healed or reported, {state.kept} kept"
        self.say(f"read {state.blocks} chunks, {state.bytes} bytes: {state.damaged} damaged, {ends}")

    def look_for(self, names: set[str]) -> set[str]:
        """Chunk files that the last pass has seen and that are gone: those that are still to be looked for."""
        known = known_chunks.read(self.file, file_system_of(self.directories))
        gone = [chunk for name in sorted(known - names) if (chunk := named(self.directories[0] / name))]
        left: set[str] = set()
        for at, chunk in enumerate(gone):
            try:
                outcome = self.look_after(chunk, Damage("missing", "it is gone"))
            except Unasked as error:
                self.say(f"files that are gone are looked for in the next pass: {error}")
                self.state.errors += 1
                return left.union(one.path.name for one in gone[at:])
            if outcome == "kept":
                left.add(chunk.path.name)
            self.write(STATE_S)
        return left

    def remember(self, names: set[str]) -> None:
        """The chunk files of this pass, for the next one."""
        of = file_system_of(self.directories)
        try:
            if of:
                known_chunks.write(self.file, of, names)
        except OSError as error:
            self.say(f"the names of the chunks cannot be written beside {self.file}: {error}")

    def look(self, chunk: Chunk) -> None:
        """One chunk; damage that is seen twice is looked after."""

        def read(size: int) -> None:
            self.state.bytes += size
            self.healer.read(size)

        self.state.blocks += 1
        damage = damage_of(chunk, read) and damage_of(chunk, read)
        if damage is not None:
            self.look_after(chunk, damage)

    def look_after(self, chunk: Chunk, damage: Damage) -> str:
        """What came of it."""
        self.state.damaged += 1
        try:
            outcome, why = self.healer.heal(chunk, damage)
        except (Unasked, OSError) as error:
            if damage.what == "missing":
                self.state.damaged -= 1
                raise Unasked(str(error)) from error
            outcome, why = "kept", str(error)
        if outcome == "gone":
            self.state.damaged -= 1
            if damage.what == "missing":
                return outcome  # somebody has removed the file
        else:
            self.state.healed += outcome != "kept"
            self.state.kept += outcome == "kept"
        self.say(f"{chunk.path}: {damage.what}, {damage.detail}; {outcome}: {why}")
        entry = {"block": str(chunk.id), "what": damage.what, "outcome": outcome, "why": why, "at": round(time.time())}
        self.state.damages = [*self.state.damages, entry][-KEPT:]
        return outcome

    def write(self, every_s: float) -> None:
        """The state, where it has not been written for so long."""
        if time.monotonic() - self.written < every_s:
            return
        self.written, self.state.at = time.monotonic(), time.time()
        self.state.of = self.state.of or file_system_of(self.directories)
        temporary = self.file.with_name(f".{self.file.name}.new")
        try:
            temporary.write_text(json.dumps(asdict(self.state)), encoding="ascii")
            temporary.replace(self.file)
        except OSError as error:
            self.say(f"{self.file} cannot be written: {error}")

    @staticmethod
    def say(text: str) -> None:
        """A line of the container's log."""
        print(f"scrub: {text}", file=sys.stderr, flush=True)


def step_back() -> None:
    """The lowest priority; a system that does not know one has this process at its usual one."""
    with contextlib.suppress(OSError):
        os.nice(19)
    number = IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, 1, 0, IDLE)


def wait_until(begin: float, beat: Callable[[], None]) -> None:
    """By the machine's clock, whatever happens to it: it may be asleep at that time, and its clock be put back."""
    while (left := begin - time.time()) > 0:
        beat()
        time.sleep(LOOK_S)
        if left > 2 * DAY_S:
            begin -= left // DAY_S * DAY_S


def main(argv: list[str]) -> int:
    """Exit code."""
    if len(argv) == 3 and argv[1] == "--state":
        return show(Path(argv[2]))
    try:
        metaserver, port, address, when, rate, file, *directories = argv[1:]
        hour = None if when == "now" else int(when)
        if not directories or hour not in (None, *range(24)) or int(rate) <= 0:
            raise ValueError
        healer = Healer(metaserver, int(port), address, Slow(int(rate)).read)
    except ValueError:
        print("usage: scrub METASERVER PORT ADDRESS HOUR|now BYTES_PER_SECOND STATE DIRECTORY...", file=sys.stderr)
        return 64
    step_back()
    places = tuple(map(Path, directories))
    state = State() if hour is None else earlier(Path(file), places)
    state.hour, state.bytes_per_second, state.since = when, int(rate), state.since or time.time()
    scrub = Scrub(healer, places, state, Path(file))
    scrub.write(0)
    begin = 0.0 if hour is None else first_time(hour, state, time.time())
    while hour is not None:
        wait_until(begin, lambda: scrub.write(BEAT_S))
        try:
            scrub.run_pass()
        except Exception as error:  # noqa: BLE001 - whatever it was: there is another night
            scrub.say(f"the pass was broken off: {type(error).__name__}: {error}")
        begin = next_time(hour, time.time())
    scrub.run_pass()
    return 1 if state.kept or state.errors else 0


def show(file: Path) -> int:
    """Prints the state, and how old it is; 1 when there is none."""
    try:
        state = json.loads(file.read_text(encoding="ascii"))
        print(json.dumps({**state, "age_s": max(0.0, round(time.time() - float(state.get("at", 0)), 1))}))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0

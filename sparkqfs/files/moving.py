"""put and get: what goes where, and what is there already."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from sparkqfs import durable
from sparkqfs.amounts import amount
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem
from sparkqfs.files import local
from sparkqfs.files.finding import find, opened
from sparkqfs.files.places import OURS, Place
from sparkqfs.files.results import LISTED, Result, files_of, problems_of, visible
from sparkqfs.files.storage import Entry, LocalError, Storage, StorageError
from sparkqfs.files.transfer import Access, Item, One, Transfer

STREAM = "-"
"""Standard input or output."""


@dataclass(slots=True)
class Work:
    """What a put or a get has to do."""

    items: list[Item] = field(default_factory=list)
    directories: int = 0
    """Made, or to be made."""
    links: int = 0
    others: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    swept: set[str] = field(default_factory=set)
    """Directories that were looked through for what killed runs left."""


def check_source(source: str) -> None:
    """Raises `ConfigError` for what is not there."""
    if source != STREAM:
        local.sources(source)


def put(access: Access, source: str, target: Place, *, overwrite: bool, stdin: int | None = None) -> Result:
    """Files of this machine to the storage; the source `-` is the stream `stdin`."""
    with opened(access, "put") as storage:
        work = _work_of_put(access, storage, source, target)
        subject = f"{'standard input' if source == STREAM else visible(source)} to {visible(str(target))}"
        return _run(access, "put", storage, work, subject, _sender(overwrite, stdin))


def get(access: Access, source: Place, target: str, *, overwrite: bool) -> Result:
    """Files of the storage to this machine."""
    with opened(access, "get") as storage:
        work = _work_of_get(access, storage, source, target)
        return _run(access, "get", storage, work, f"{visible(str(source))} to {visible(target)}", _fetcher(overwrite))


def get_stream(access: Access, source: Place, out: BinaryIO) -> Result:
    """One file to a stream; wrong bytes are an error after they were written, a reader that has enough is none."""
    if access.dry_run:
        raise ConfigError(Problem(what="--dry-run and standard output: there is nothing to try"))
    with opened(access, "get") as storage:
        found = find(storage, source)
        if len(found) != 1 or not found[0].is_file:
            what = f"{source}: only one file can go to standard output"
            raise ConfigError(Problem(what=what, hint=f"{len(found)} files or directories are there under this name"))

        def one(transfer: Transfer, storage: Storage, item: Item) -> str:
            counting = local.Counting(out, partial(transfer.count, item))
            try:
                counting.finish(storage.get(item.place.uri, counting.write))
            except local.Unread:
                storage.close(at_once=True)
            except OSError as error:  # not once more: the first bytes are written
                raise StorageError("failed", f"the connection ended: {error}") from error
            return "copied"

        place = source.at(found[0].path)
        item = Item(local=Path(STREAM), place=place, size=found[0].size, exists=False)
        return _run(access, "get", storage, Work([item]), f"{visible(str(place))} to standard output", one)


# --- put -------------------------------------------------------------------------------------------------------------


def _work_of_put(access: Access, storage: Storage, source: str, target: Place) -> Work:
    work = Work()
    try:
        if source == STREAM:
            if target.is_into:
                raise ConfigError(
                    Problem(what=f"{target}: standard input has no name", hint="write the file's name too")
                )
            entry = storage.stat(target.uri)
            work_item(work, Path(STREAM), target, -1, entry.size if entry else None, _is_dir(entry))
        else:
            paths = local.sources(source)
            into = target.is_into or paths != [local.expanded(source)]
            if into:
                _check_targets([(str(path), str(target.below(_name_of(path)))) for path in paths])
            for path in paths:
                top = target.below(_name_of(path)) if into else target
                try:
                    _add_source(work, storage, path, (top, into), access.dry_run)
                except StorageError as error:  # of this name; the others are done
                    work.failed[str(top)] = str(error)
    except StorageError as error:
        raise ClusterError(Problem(what=f"{visible(str(target))}: {error}")) from error
    return work


def _add_source(work: Work, storage: Storage, path: Path, target: tuple[Place, bool], dry_run: bool) -> None:
    tree = local.walk(path)
    top = target[0]
    work.links += tree.links
    work.others += tree.others
    work.failed |= {str(path / below): why for below, why in tree.failed.items()}
    if not tree.directories:
        for size in tree.files.values():
            _add_file(work, storage, path, target, size, dry_run)
        return
    there = _below(storage, top)
    for directory in sorted(tree.directories):
        place = top.below(directory)
        _make_directory(work, storage, place, there.get(directory), dry_run)
    for below, size in tree.files.items():
        entry = there.get(below)
        work_item(work, path / below, top.below(below), size, entry.size if entry else None, _is_dir(entry))


def _name_of(path: Path) -> str:
    return path.resolve().name if path.name in ("", "..") else path.name


def _is_dir(entry: Entry | None) -> bool:
    return entry is not None and entry.kind == "d"


def _below(storage: Storage, top: Place) -> dict[str, Entry]:
    """What is at and below a place, by name below it."""
    try:
        found = list(storage.walk(top.uri, deep=True))
    except StorageError as error:
        if error.kind == "absent":
            return {}
        raise
    start = found[0].path
    return {entry.path[len(start) :].lstrip("/"): entry for entry in found}


def _sweep(work: Work, storage: Storage, directory: Place) -> None:
    """Of a directory that is not there, or not ours, nothing is removed."""
    if directory.uri not in work.swept:
        work.swept.add(directory.uri)
        with contextlib.suppress(StorageError):
            storage.sweep(directory.uri)


def _make_directory(work: Work, storage: Storage, place: Place, there: Entry | None, dry_run: bool) -> None:
    if there is not None and there.kind != "d":
        work.failed[str(place)] = "a file of this name is there"
    elif there is None:
        try:
            if not dry_run:
                storage.make_directory(place.uri)
            work.directories += 1
        except StorageError as error:
            work.failed[str(place)] = str(error)
    elif not dry_run:
        _sweep(work, storage, place)


def _add_file(work: Work, storage: Storage, path: Path, target: tuple[Place, bool], size: int, dry_run: bool) -> None:
    """A file that is named itself; a directory of the target's name takes it in, unless the target is inside one."""
    place, is_inside = target
    entry = storage.stat(place.uri)
    if _is_dir(entry) and not is_inside:
        place = place.below(path.name)
        entry = storage.stat(place.uri)
    if not dry_run:
        _sweep(work, storage, place.parent)
    work_item(work, path, place, size, entry.size if entry else None, _is_dir(entry))


def work_item(work: Work, path: Path, place: Place, size: int, there: int | None, is_dir: bool) -> None:
    """One file more; `there` is the size of what has the target's name, `None` for nothing."""
    if is_dir:
        work.failed[str(place)] = "a directory of this name is there"
        return
    same = there is not None and there == size
    work.items.append(Item(local=path, place=place, size=size, exists=there is not None, same_size=same))


def _sender(overwrite: bool, stdin: int | None) -> One:
    def one(transfer: Transfer, storage: Storage, item: Item) -> str:
        if item.exists and item.size >= 0:
            if item.same_size and _is_equal(transfer, storage, item):
                return "unchanged"
            if not overwrite:
                return "differs"
        is_stream = str(item.local) == STREAM and stdin is not None
        reading = local.Reading(stdin if is_stream and stdin is not None else item.local, partial(transfer.count, item))
        return storage.put(item.place.uri, reading.blocks(), reading.finish, overwrite=overwrite)

    return one


def _is_equal(transfer: Transfer, storage: Storage, item: Item) -> bool:
    """Both sides read their file at the same time. One that the storage cannot read is another one."""
    storage.start_sum(item.place.uri)
    there = ""
    try:
        here = local.digest_of(item.local, partial(transfer.count, item))
    finally:
        with contextlib.suppress(StorageError):
            there = storage.answer()[0]
    if here != there:
        transfer.count(item, -item.size)  # its bytes are still to come
    return here == there


# --- get -------------------------------------------------------------------------------------------------------------


def _work_of_get(access: Access, storage: Storage, source: Place, target: str) -> Work:
    found = find(storage, source)
    is_exact = len(found) == 1 and source.at(found[0].path).path == (source.path.rstrip("/") or "/")
    folder = local.expanded(target)
    into = target.endswith("/") or not is_exact
    _check_targets([(str(source.at(one.path)), str(folder / one.name)) for one in found if one.kind != "l"])
    work = Work()
    for entry in found:
        place = source.at(entry.path)
        inside = into or (entry.is_file and folder.is_dir())
        top = folder / entry.name if inside and entry.name else folder
        if entry.kind == "l":
            work.links += 1
        elif entry.is_file:
            _make_local(work, top.parent, access.dry_run)
            _add_local(work, top, place, entry.size)
        else:
            _add_tree(work, storage, place, top, access.dry_run)
    return work


def _add_tree(work: Work, storage: Storage, place: Place, top: Path, dry_run: bool) -> None:
    try:
        found = list(storage.walk(place.uri, deep=True))
    except StorageError as error:
        work.failed[str(place)] = str(error)
        return
    start = found[0].path
    for entry in found:
        name = entry.path[len(start) :].lstrip("/")
        if any(part in (".", "..") for part in name.split("/")) or entry.name.startswith(OURS):
            continue
        if entry.kind == "l":
            work.links += 1
        elif entry.is_file:
            _add_local(work, top / name, place.below(name), entry.size)
        else:
            _make_local(work, top / name, dry_run)


def _make_local(work: Work, path: Path, dry_run: bool) -> None:
    try:
        if not path.is_dir():
            work.directories += 1
            if not dry_run:
                durable.make_directories(path)
        elif not dry_run and str(path) not in work.swept:
            work.swept.add(str(path))
            local.sweep(path)
    except OSError as error:
        work.failed[str(path)] = error.strerror or str(error)


def _add_local(work: Work, path: Path, place: Place, size: int) -> None:
    try:
        there = path.stat().st_size if path.exists() else (-1 if os.path.lexists(path) else None)
        work_item(work, path, place, size, there, path.is_dir())
    except (OSError, ValueError) as error:
        work.failed[str(place)] = f"{path}: {error}"


def _fetcher(overwrite: bool) -> One:
    def one(transfer: Transfer, storage: Storage, item: Item) -> str:
        if item.exists:
            if item.same_size and _is_equal(transfer, storage, item):
                return "unchanged"
            if not overwrite:
                return "differs"
        part = local.Part(item.local, partial(transfer.count, item))
        try:
            digest = storage.get(item.place.uri, part.write)
            part.finish(digest, overwrite=overwrite)
        except LocalError:
            storage.close(at_once=True)  # in the middle of a file: the next one gets a new server
            raise
        finally:
            part.close()
        return "copied"

    return one


# --- both ------------------------------------------------------------------------------------------------------------


def _check_targets(pairs: list[tuple[str, str]]) -> None:
    """Raises `ConfigError` when two sources have one target: a pattern that matches in several directories."""
    first: dict[str, str] = {}
    problems = []
    for source, target in pairs:
        if target in first:
            what = f"{visible(first[target])} and {visible(source)} would both become {visible(target)}"
            hint = "nothing was copied; name the directories that they are in, one command each"
            problems.append(Problem(what=what, hint=hint, code=ExitCode.USAGE))
        first.setdefault(target, source)
    if problems:
        raise ConfigError(*problems[:LISTED])


def _run(access: Access, verb: str, storage: Storage, work: Work, subject: str, one: One) -> Result:
    total = sum(max(0, item.size) for item in work.items)
    counted = f"{amount(len(work.items), 'file')}, {amount(total, 'byte')}"
    left_out = [f"{work.links} symbolic links left out"] if work.links else []
    left_out += [f"{work.others} sockets, pipes or devices left out"] if work.others else []
    document: dict[str, object] = {"files": len(work.items), "bytes": total, "links": work.links, "others": work.others}
    if access.dry_run:
        return _planned(work, subject, counted, left_out, document, verb)
    started = time.monotonic()
    tally = Transfer(access, verb, work.items, one).run(storage)
    seconds = time.monotonic() - started
    total += tally.streamed_bytes
    tally.copied_bytes += tally.streamed_bytes if tally.copied else 0
    tally.failed = work.failed | tally.failed
    problems = problems_of(tally)
    changes = [
        f"{amount(len(work.items), 'file')}, {amount(total, 'byte')}",
        f"{tally.copied} copied and read back, {tally.unchanged} there already and equal",
    ]
    if work.directories:
        changes.append(f"{work.directories} directories made")
    if tally.copied_bytes:
        changes.append(f"{seconds:.1f} s, {tally.copied_bytes / max(seconds, 1e-9) / 1e6:,.1f} MB/s")
    document |= {
        "bytes": total,
        "copied": tally.copied,
        "copied_bytes": tally.copied_bytes,
        "unchanged": tally.unchanged,
        "directories_made": work.directories,
        "seconds": round(seconds, 3),
        "differs": files_of(tally.differs),
        "failed": files_of(tally.failed),
    }
    state = "changed" if tally.copied or work.directories else "unchanged"
    return Result(
        subject=subject,
        state="failed" if problems else state,
        changes=(*changes, *left_out),
        problems=problems,
        document={verb: document},
    )


def _planned(
    work: Work, subject: str, counted: str, left_out: list[str], document: dict[str, object], verb: str
) -> Result:
    new = sum(not item.exists for item in work.items)
    same = sum(item.same_size for item in work.items)
    changes = [counted, f"{new} are not there yet, {same} are there with the same size and would be compared"]
    if new + same < len(work.items):
        changes.append(f"{len(work.items) - new - same} are there with another size: they need --overwrite")
    problems = tuple(Problem(what=f"{visible(name)}: {why}", code=ExitCode.FAILED) for name, why in work.failed.items())
    document |= {"new": new, "same_size": same, "other_size": len(work.items) - new - same}
    return Result(
        subject=subject,
        state="failed" if problems else "planned",
        changes=(*changes, *left_out),
        problems=problems,
        document={verb: document},
    )

"""ls, du and rm: what is there, how much, and away with it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sparkqfs.amounts import amount
from sparkqfs.errors import ClusterError, ConfigError, ExitCode, Problem, RefusedError
from sparkqfs.files.finding import find, opened
from sparkqfs.files.places import Place, Places
from sparkqfs.files.results import Result, table, visible
from sparkqfs.files.storage import Entry, Storage, StorageError
from sparkqfs.files.transfer import Access


def ls(access: Access, place: Place, *, recursive: bool) -> Result:
    """What a place names; of a directory what is in it."""
    entries: list[Entry] = []
    with opened(access, "ls") as storage:
        for top in find(storage, place):
            shown = list(_walk(storage, place, top, recursive))
            entries += shown[1:] if top.kind == "d" else shown
    entries.sort(key=lambda entry: entry.path)
    rows = [_row(place, entry) for entry in entries]
    size = sum(entry.size for entry in entries if entry.is_file)
    document: dict[str, object] = {
        "path": str(place),
        "bytes": size,
        "entries": [_described(place, entry) for entry in entries],
    }
    text = table(rows, right={1, 4}) or f"{visible(str(place))} is empty"
    return Result(subject=str(place), state="ok", text=text, document={"ls": document})


def _walk(storage: Storage, place: Place, top: Entry, deep: bool) -> Iterator[Entry]:
    """The entry itself and, of a directory, what is in it or below it. Raises `ClusterError`."""
    if top.kind != "d":
        yield top
        return
    try:
        yield from storage.walk(place.at(top.path).uri, deep=deep)
    except StorageError as error:
        raise ClusterError(Problem(what=f"{visible(str(place.at(top.path)))}: {error}")) from error


def _row(place: Place, entry: Entry) -> tuple[str, ...]:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.mtime_s))
    kind = {"f": "-"}.get(entry.kind, entry.kind)
    copies = str(entry.copies) if entry.is_file else "-"
    size = f"{entry.size:,}" if entry.is_file else "-"
    shown = visible(str(place.at(entry.path)))
    return kind + entry.mode, copies, entry.owner, entry.group, size, when, shown


def _described(place: Place, entry: Entry) -> dict[str, object]:
    return {
        "path": str(place.at(entry.path)),
        "kind": {"f": "file", "d": "directory"}.get(entry.kind, "link"),
        "bytes": entry.size if entry.is_file else 0,
        "copies": entry.copies,
        "mode": entry.mode,
        "owner": entry.owner,
        "group": entry.group,
        "modified": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.mtime_s)),
    }


def du(access: Access, place: Place) -> Result:
    """Bytes, and bytes with all copies: of each thing in a directory, and together."""
    sums: dict[str, list[int]] = {}
    with opened(access, "du") as storage:
        found = find(storage, place)
        for top in found:
            for entry in _walk(storage, place, top, True):
                one = sums.setdefault(_share(found, top, entry), [0, 0, 0])
                if entry.is_file:
                    one[0] += entry.size
                    one[1] += entry.size * max(1, entry.copies)
                    one[2] += 1
    single = found[0].path if len(found) == 1 and found[0].kind == "d" else None
    if single is not None and len(sums) > 1 and sums[single][2] == 0:
        del sums[single]  # the directory itself, where everything is in something else
    total = [sum(one[number] for one in sums.values()) for number in range(3)]
    rows = [_sizes(one, str(place.at(path))) for path, one in sorted(sums.items())]
    rows = [("bytes", "with copies", "files", "path"), *rows, _sizes(total, "all of it")]
    document: dict[str, object] = {
        "path": str(place),
        "bytes": total[0],
        "bytes_with_copies": total[1],
        "files": total[2],
        "entries": [
            {"path": str(place.at(path)), "bytes": one[0], "bytes_with_copies": one[1], "files": one[2]}
            for path, one in sorted(sums.items())
        ],
    }
    return Result(subject=str(place), state="ok", text=table(rows, right={0, 1, 2}), document={"du": document})


def _share(found: list[Entry], top: Entry, entry: Entry) -> str:
    """The path under which an entry is counted: of one directory its children, of a pattern what it matches."""
    if len(found) > 1 or entry.path == top.path:
        return top.path
    below = entry.path[len(top.path) :].lstrip("/")
    return f"{top.path.rstrip('/')}/{below.partition('/')[0]}"


def _sizes(one: list[int], name: str) -> tuple[str, ...]:
    return f"{one[0]:,}", f"{one[1]:,}", f"{one[2]:,}", visible(name)


def rm(access: Access, places: Places, place: Place, *, recursive: bool, if_there: bool) -> Result:
    """Removes what a place names, for good. Raises `RefusedError` before anything is removed."""
    places.check_removable(place)
    with opened(access, "rm") as storage:
        try:
            found = find(storage, place)
        except ConfigError:
            if not if_there:
                raise
            text = f"{visible(str(place))} is not there"
            return Result(subject=visible(str(place)), state="unchanged", changes=("is not there",), text=text)
        for entry in found:
            places.check_removable(place.at(entry.path))
            if entry.kind == "d" and not recursive:
                what = f"{visible(str(place.at(entry.path)))} is a directory"
                hint = "--recursive removes it with all that is in it"
                raise RefusedError(Problem(what=what, code=ExitCode.REFUSED, hint=hint))
        return _remove(access, storage, place, found)


def _remove(access: Access, storage: Storage, place: Place, found: list[Entry]) -> Result:
    files = size = 0
    for top in found:
        for entry in _walk(storage, place, top, True):
            files += entry.is_file
            size += entry.size if entry.is_file else 0
    names = [visible(str(place.at(entry.path))) for entry in found]
    some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    sum_of = f"{amount(files, 'file')}, {amount(size, 'byte')}"
    document: dict[str, object] = {"paths": names, "files": files, "bytes": size}
    if access.dry_run:
        return Result(subject=some, state="planned", changes=(sum_of,), document={"rm": document})
    if not access.confirm(f"Remove {some} for good ({sum_of})?"):
        hint = "--yes answers the question; --dry-run only counts"
        raise RefusedError(Problem(what=f"{some}: not removed, {sum_of}", code=ExitCode.REFUSED, hint=hint))
    failed = []
    for entry in found:
        try:
            storage.delete(place.at(entry.path).uri, deep=entry.kind == "d")
        except StorageError as error:
            failed.append(Problem(what=f"{visible(str(place.at(entry.path)))}: not removed: {error}"))
    state = "failed" if failed else "changed"
    changes = (f"removed: {sum_of}",) if not failed else (sum_of,)
    return Result(subject=some, state=state, changes=changes, problems=tuple(failed), document={"rm": document})

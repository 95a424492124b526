"""HDFS: the namenode's own fsck over HTTP, as `hdfs fsck` asks it, without starting a JVM.

Its report of the root names only files that lack something. A name can have any character but a colon (`DFSUtil`,
`isValidName`), line feeds among them: a record ends where its words after a colon do. The copies of the files that are
kept are asked for one by one. Source: Hadoop 3.5, NamenodeFsck.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import pwd
import re
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace

from sparkqfs_runtime.fsck.findings import MAX_BLOCKS, Block, Copy, Damaged, Findings
from sparkqfs_runtime.pages import sources
from sparkqfs_runtime.pages.sources import Unasked

MAX_LINE = 1 << 20
MAX_FILE_REPORT = 16 << 20
RECORD = re.compile(
    rb"(?s)(/.*):\s+(?:(?P<short>Under (?:replicated|Erasure-Coded Block) .*\.)"
    rb"|(?P<lost>(?:MISSING|CORRUPT) \d+ blocks of total size \d+ B\.?|CORRUPT (?:blockpool|block) .*)"
    rb"|Replica placement policy is violated for .*)\s*"
)
COUNT = re.compile(rb"\s*([A-Za-z][A-Za-z' -]*)(?: \(validated\))?:\t+(\d+)\b.*\s*")
FILE = re.compile(rb" (\d+) bytes, (?:replicated: replication=(\d+)|erasure-coded)")
BLOCK = re.compile(rb"\d+\. \S+?:(blk_-?\d+)_\d+ len=(\d+) (.*)\s*")
COPY = re.compile(rb"DatanodeInfoWithStorage\[([^],]+):\d+,[^]]*\](?:\(([A-Z_ -]+)\))?")
LOST = ("Missing blocks", "Missing block groups", "Corrupt blocks", "Corrupt block groups")
"""What the summary calls them. One all of whose copies are corrupt is not missing to it."""
ASKED = re.compile(rb"Target Replicas is (\d+)")


def own_name() -> str:
    """Who asks: the namenode runs under the same account, which is the superuser."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


@contextlib.contextmanager
def report(host: str, port: int, path: bytes, timeout_s: float, **more: str) -> Iterator[Iterator[bytes]]:
    """The lines of a report, but for the first, which repeats the path. Raises `Unasked`."""
    words = urllib.parse.urlencode({"ugi": own_name(), "path": path, **more})
    connection = http.client.HTTPConnection(host, port, timeout=max(1.0, timeout_s))
    try:
        connection.request("GET", f"/fsck?{words}")
        answer = connection.getresponse()
        if answer.status != 200:
            raise Unasked(f"fsck: the namenode answers {answer.status} {answer.reason}"[:300])
        head, wanted = b"", path.count(b"\n") + 1
        while head.count(b"\n") < wanted and (line := answer.readline(MAX_LINE)):
            head += line
        yield iter(lambda: answer.readline(MAX_LINE), b"")
    except (OSError, http.client.HTTPException) as error:
        raise Unasked(f"fsck: {error or type(error).__name__}") from error
    finally:
        connection.close()


def records(lines: Iterator[bytes], counts: dict[str, int]) -> Iterator[tuple[bytes, str, bytes]]:
    """Name, what is wrong and the words of each record; the summary goes into `counts`. Raises `Unasked`."""
    pending, is_summary = b"", False
    for line in lines:
        if is_summary or line.startswith((b"Status: HEALTHY", b"Status: CORRUPT")):
            is_summary = True
            if (found := COUNT.fullmatch(line)) is not None:
                key = found[1].decode()
                counts[key] = counts.get(key, 0) + int(found[2])  # of blocks, then of erasure-coded groups
            continue
        pending = (pending + line).lstrip(b"\n") if not pending else pending + line
        if (match := RECORD.fullmatch(pending)) is not None:
            state = "short" if match["short"] else "lost" if match["lost"] else ""
            yield match[1], state, pending[match.end(1) :]
            pending = b""
        elif len(pending) > MAX_LINE:
            raise Unasked("fsck: a line of its report is too long")
    if not is_summary:
        raise Unasked(f"fsck: {pending.decode(errors='replace').strip()[:200] or 'the report is cut off'}")


def check(host: str, port: int, limit: int, seconds: float) -> Findings:
    """All counts, and the first files with their copies. Raises `Unasked`."""
    end = time.monotonic() + seconds
    look = sources.Hdfs(host, port).look()
    findings = Findings(limit, bad_blocks=look.bad, ready=look.ready)
    counts: dict[str, int] = {}
    with report(host, port, b"/", seconds) as lines:
        read(records(lines, counts), findings)
    findings.files = counts.get("Total files")
    findings.lost_blocks = sum(counts.get(key, 0) for key in LOST)
    findings.short_blocks = sum(
        counts.get(key, 0) for key in ("Under-replicated blocks", "Under-erasure-coded block groups")
    )
    for state in ("lost", "short"):
        kept = findings.kept[state]
        for number, file in enumerate(kept):
            if time.monotonic() > end:
                findings.partial = "the time was over before all copies of the files were asked for"
                return findings
            kept[number] = with_blocks(host, port, file)
    return findings


def read(found: Iterator[tuple[bytes, str, bytes]], findings: Findings) -> None:
    """The records of one file follow each other: a file is counted once, lost if any of them says so."""
    path, state, asked = b"", "", None
    for name, what, words in found:
        if name != path:
            _add(findings, path, state, asked)
            path, state, asked = name, "", None
        if what == "lost" or not state:
            state = what
        if (match := ASKED.search(words)) is not None:
            asked = max(asked or 0, int(match[1]))
    _add(findings, path, state, asked)


def _add(findings: Findings, path: bytes, state: str, asked: int | None) -> None:
    if state == "lost":
        findings.lost_files += 1
        findings.keep(Damaged(path, "lost", None, asked))
    elif state == "short":
        findings.short_files = (findings.short_files or 0) + 1
        findings.keep(Damaged(path, "short", None, asked))


def with_blocks(host: str, port: int, file: Damaged) -> Damaged:
    """The file with its size and the blocks that lack copies; as it is where it was removed meanwhile."""
    more = {"files": "1", "blocks": "1", "locations": "1", "replicadetails": "1"}
    size, asked, offset, blocks, head = None, file.asked, 0, [], b""
    with report(host, port, file.path, sources.LOOK_TIMEOUT_S, **more) as lines:
        for line in lines:
            if (match := BLOCK.fullmatch(line)) is not None:
                blocks.append(Block(match[1].decode(), offset, copies(match[3])))
                offset += int(match[2])
            elif size is None and len(head) < MAX_LINE:
                head += line
                if (said := FILE.search(head, head.find(file.path) + len(file.path))) is not None:
                    size, asked = int(said[1]), int(said[2]) if said[2] else asked
            if len(blocks) > MAX_FILE_REPORT // 100:
                break
    low = [block for block in blocks if block.live < (asked or 1)]
    low.sort(key=lambda block: (block.live, block.offset or 0))
    return replace(file, size=size, asked=asked, blocks=tuple(low[:MAX_BLOCKS]), blocks_count=len(low))


def copies(words: bytes) -> tuple[Copy, ...]:
    """`[DatanodeInfoWithStorage[10.0.0.2:9866,DS-…,DISK](LIVE), …]`."""
    return tuple(
        Copy(found[1].decode(errors="replace"), (found[2] or b"LIVE").decode().lower())
        for found in COPY.finditer(words)
    )

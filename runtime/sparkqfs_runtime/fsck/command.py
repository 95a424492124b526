"""Prints which files are lost or have too few copies, as one JSON document of ASCII.

Usage: fsck qfs|hdfs HOST PORT LIMIT SECONDS

HOST and PORT are those of the metaserver or of the namenode's HTTP server; at most LIMIT files are named, all are
counted. SECONDS is the time for finding their names. Exit codes: 0 there is a document, 1 the master does not answer,
64 wrong command line.
"""

from __future__ import annotations

import json
import sys
import time

from sparkqfs_runtime.fsck import hdfs, qfs
from sparkqfs_runtime.pages.sources import Unasked

KINDS = {"qfs": qfs.check, "hdfs": hdfs.check}


def main(argv: list[str]) -> int:
    """Exit code."""
    try:
        kind, host, port, limit, seconds = argv[1:]
        check, arguments = KINDS[kind], (host, int(port), int(limit), float(seconds))
    except (ValueError, KeyError):
        print("usage: fsck qfs|hdfs HOST PORT LIMIT SECONDS", file=sys.stderr)
        return 64
    begun = time.monotonic()
    try:
        findings = check(*arguments)
    except Unasked as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(findings.document(time.monotonic() - begun)))
    return 0

"""Health probe: asks the service of a role, not the process table. Exits 0 healthy, 1 not.

Usage: health ROLE, or health port NUMBER for a service that is healthy when it takes connections.
"""

from __future__ import annotations

import sys

from sparkqfs_runtime.probes import port
from sparkqfs_runtime.roles import PROGRAMS, ROLES


def main(argv: list[str]) -> int:
    """Exit code; the reason goes to stderr, where `docker inspect` shows it."""
    probes = {name: role.probe for name, role in (ROLES | PROGRAMS).items() if role.probe is not None}
    is_port = len(argv) == 3 and argv[1] == "port" and argv[2].isdecimal()
    if not is_port and (len(argv) != 2 or argv[1] not in probes):
        print(f"usage: health {' | '.join(probes)} | port NUMBER", file=sys.stderr)
        return 1
    try:
        if is_port:
            port(int(argv[2]))
        else:
            probes[argv[1]]()
    except (OSError, ValueError, KeyError) as error:
        print(f"{argv[1]}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0

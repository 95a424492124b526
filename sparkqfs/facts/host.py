"""What a machine says of its engine, its disks and its system; the answers of programs that doctor asks. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

Rows = dict[str, list[list[str]]]
"""Lines `key<TAB>value…` by their key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFact:
    """How a Docker Engine is set up. Sizes are bytes."""

    id: str = ""
    root: str = "/var/lib/docker"
    """Where it keeps images and containers."""
    security: tuple[str, ...] = ()
    """Names of its security options, for example `rootless`, `userns`, `selinux`."""
    live_restore: bool = False
    driver: str = "overlay2"
    limits_memory: bool = True
    free_bytes: int | None = None
    """On the disk of `root`; `None` where the machine does not see that directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskKind:
    """The file system of a data directory."""

    path: PurePosixPath
    type: str
    """As stat(1) calls it, for example `ext2/ext3`, `xfs`, `tmpfs`."""
    is_writable: bool = True
    free_inodes_percent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFact:
    """What doctor alone asks. `None` and empty: the machine does not say."""

    clock_synchronised: bool | None = None
    engine_at_boot: str = ""
    """systemctl's word, for example `enabled`."""
    suspends: bool = False
    """It has a desktop, and nothing keeps it from sleeping."""
    address_by_dhcp: bool = False
    firewall: str = ""
    """`ufw` or `firewalld` where one is active."""
    allowed: tuple[str, ...] = ()
    """What it lets in: lines `TO ALLOW FROM`, see facts/firewall.py."""
    nameservers: int | None = None
    knows_itself: bool = True
    """Its own name has an address."""
    mtu: int = 0
    """Of the network card that has the node's address."""
    address: str | None = None
    """The IPv4 address of the node's name on the machine itself, empty where it has none; `None` for no name."""
    manager_address: str | None = None
    """That of the manager's name, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What became of one machine's packets to another one."""

    source: str
    target: str
    mtu: int
    large: bool | None = None
    """A packet of the card's size that must not be split came there; `None` where nothing could be asked."""
    small: bool | None = None


def rows_of(text: str) -> Rows:
    """The lines by their keys. Raises `ValueError` where the last one is missing."""
    values: Rows = {}
    for line in text.splitlines():
        key, *rest = line.split("\t")
        values.setdefault(key, []).append(rest)
    if "end" not in values:
        raise ValueError("the machine's answer is cut off")
    return values


def parse_engine(values: Rows) -> EngineFact | None:
    """From `swarm<TAB>swarm<TAB>registries<TAB>root<TAB>security<TAB>…` and `engine_disk` of remote/facts.sh."""
    row = values.get("swarm", [[]])[0]
    if len(row) < 8:
        return None
    _, _, root, security, live, driver, memory, identity = row[:8]
    free = values.get("engine_disk", [[]])[0]
    return EngineFact(
        id=identity,
        root=str(json.loads(root or '""')),
        security=tuple(re.findall(r"name=(\w+)", security)),
        live_restore=live == "true",
        driver=driver,
        limits_memory=memory != "false",
        free_bytes=int(free[0]) * 1024 if free and free[0].isdigit() else None,
    )


def parse_disk_kinds(values: Rows) -> tuple[DiskKind, ...]:
    """From `disk_kind<TAB>path<TAB>type<TAB>yes|no<TAB>used inodes, as 12%`."""
    found = []
    for path, kind, writable, used in (row for row in values.get("disk_kind", []) if len(row) == 4):
        share = used.rstrip("%")
        free = 100 - int(share) if share.isdigit() else None
        found.append(
            DiskKind(path=PurePosixPath(path), type=kind, is_writable=writable == "yes", free_inodes_percent=free)
        )
    return tuple(found)


def parse_host(text: str) -> HostFact:
    """Read the lines that remote/host.sh prints. Raises `ValueError` on another shape."""
    values = rows_of(text)

    def words(key: str) -> list[str]:
        return values.get(key, [[""]])[0] or [""]

    synchronised, desktop, servers = words("ntp")[0], words("desktop"), words("nameservers")[0]
    firewall = words("firewall")[0]
    return HostFact(
        clock_synchronised={"yes": True, "no": False}.get(synchronised),
        engine_at_boot=words("boot")[0],
        suspends=desktop[0] == "active" and desktop[-1] not in ("masked", "masked-runtime"),
        address_by_dhcp=words("dhcp")[0] == "yes",
        firewall=firewall,
        allowed=tuple(row[0] for row in values.get("allowed", []) if row),
        nameservers=int(servers) if servers.isdigit() else None,
        knows_itself=words("itself")[0] != "no",
        mtu=int(words("mtu")[0]) if words("mtu")[0].isdigit() else 0,
        address=words("address")[0] if "address" in values else None,
        manager_address=words("manager")[0] if "manager" in values else None,
    )


def parse_reached(source: str, text: str) -> tuple[Reached, ...]:
    """Read the lines `reached<TAB>target<TAB>mtu<TAB>large<TAB>small` that remote/reach.sh prints."""
    answers = {"yes": True, "no": False}
    rows = (row for row in rows_of(text).get("reached", []) if len(row) == 4)
    return tuple(
        Reached(source=source, target=name, mtu=int(mtu), large=answers.get(large), small=answers.get(small))
        for name, mtu, large, small in rows
    )

"""What `bench.storage` measures: the variants that a cluster has, how much of it, over which link. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ConfigError, Problem, RefusedError
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.sizes import sizing
from sparkqfs.plan.storage import backend_of
from sparkqfs.plan.storage.seam import Form
from sparkqfs.plan.storage.shared import Shared

DIRECTORY = "tmp/sparkqfs-bench"
"""Below the root of each storage; all of it is ours."""
OPERATIONS = ("write", "scan", "aggregate", "sort")
QUICK_MIB, QUICK_ROUNDS = 96, 2
ROUNDS = 4
"""An even number: each variant comes first as often as last."""
LEAST_MIB, MOST_MIB = 256, 8192
MEMORY_SHARE = 0.25
"""Of the executors' heaps together: a sort of that much does not spill."""
DISK_SHARE = 0.25
"""Of what is free: the rest is for those who work there."""
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A rate that every worker's traffic is held to."""

    text: str
    bits_per_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured, and why so much."""

    mib: int
    files: int
    rounds: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A table in one form, read in one way."""

    name: str
    table: str
    text: str
    settings: dict[str, str]
    is_counted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for; `None` is decided from the machines."""

    mib: int | None
    rounds: int | None
    quick: bool
    link: Link | None
    baseline: str | None
    timeout_s: float


def at_least_one(flag: str, value: int) -> int | None:
    """`None` for 0, the default. Raises `ConfigError` for less."""
    if value < 0:
        raise ConfigError(Problem(what=f"{flag} {value}: must be 1 or more"))
    return value or None


def parse_link(text: str) -> Link:
    """`1gbit`, `100mbit`, `2.5gbit`, in tc's words. Raises `ConfigError`."""
    found = re.fullmatch(r"([0-9]{1,4}(?:\.[0-9]{1,3})?)(mbit|gbit)", text)
    bits = int(float(found[1]) * {"mbit": 1e6, "gbit": 1e9}[found[2]]) if found else 0
    if not 1_000_000 <= bits <= 100_000_000_000:
        raise ConfigError(Problem(what=f"--link {text}: expected a rate from 1mbit to 100gbit, such as 1gbit"))
    return Link(text=text, bits_per_s=bits)


def check_link(config: ClusterConfig) -> None:
    """Raises `RefusedError` where more than the cluster's own traffic would be held back."""
    if config.network == "host":
        what = "--link would hold back all traffic of the machines, yours too: this cluster is on their own network"
        hint = "measure without --link, or on a cluster with `network: overlay`"
        raise RefusedError(Problem(what=what, config_path="network", hint=hint))


def forms_of(config: ClusterConfig, link: Link | None) -> tuple[Form, ...]:
    """How a table can be kept here. Over a shaped link only what it can shape. Raises `ConfigError`."""
    backend = backend_of(config)
    forms = backend.forms(config)
    if not isinstance(backend, Shared):
        forms += Shared().forms(config)
    if link is not None:
        forms = tuple(form for form in forms if form.is_counted)
    if not forms:
        what = "--link shapes the containers' traffic; that of a shared file system flows below them"
        raise ConfigError(Problem(what=what, hint="measure without --link"))
    return forms


def variants_of(forms: tuple[Form, ...]) -> tuple[Variant, ...]:
    """Each form with each way to read it."""
    return tuple(
        Variant(
            name=form.name + reading.suffix,
            table=form.name,
            text=", ".join(part for part in (form.text, reading.text) if part),
            settings=reading.settings,
            is_counted=form.is_counted,
        )
        for form in forms
        for reading in form.readings
    )


def baseline_of(config: ClusterConfig, variants: tuple[Variant, ...]) -> str:
    """What this cluster does by itself: its own replication, its own reader."""
    own = f"{config.storage.kind}-{config.storage.replication}"
    names = [variant.name for variant in variants]
    return own if own in names else names[0]


def check_baseline(name: str | None, variants: tuple[Variant, ...]) -> None:
    """Before an hour of measuring. Raises `ConfigError` for a variant that there is not."""
    names = [variant.name for variant in variants]
    if name is not None and name not in names:
        raise ConfigError(Problem(what=f"--baseline {name}: no variant here", hint=f"there are {', '.join(names)}"))


def megabytes(mib: int) -> str:
    """A table's size in the unit of the figures: CPU seconds are per GB."""
    return f"{mib * 2**20 / 1e6:,.0f} MB"


def sizes_of_bench(
    config: ClusterConfig,
    facts: dict[str, NodeFacts],
    forms: tuple[Form, ...],
    *,
    mib: int | None,
    rounds: int | None,
    quick: bool,
) -> Sizes:
    """How much: what is asked for, or what memory and disks say. Raises `ConfigError` where it does not fit."""
    found = sizing(config, facts)
    free = sum(disk.free_bytes for node in facts.values() for disk in node.disks)
    copies = sum(form.space for form in forms) or 1.0
    room = int(free * DISK_SHARE / copies / MIB)
    memory = int(found.executor.heap_mib * sum(found.counts.values()) * MEMORY_SHARE)
    if mib is not None:
        wanted, why = mib, f"--mib {mib}"
    elif quick:
        wanted, why = QUICK_MIB, "--quick"
    elif min(memory, room) < LEAST_MIB or min(memory, room) > MOST_MIB:
        wanted = LEAST_MIB if min(memory, room) < LEAST_MIB else MOST_MIB
        why = "the least" if wanted == LEAST_MIB else "the most"
        why += " that is measured without --mib"
    else:
        wanted, why = min(memory, room), "a quarter of the executors' memory"
        why = why if memory <= room else "a quarter of the free disks, for all copies together"
    if wanted > 2 * room:
        what = f"{wanted} MiB in {len(forms)} forms take {wanted * copies:.0f} MiB; {free >> 20} MiB are free"
        raise ConfigError(Problem(what=what, hint=f"--mib {max(1, room)} leaves enough room"))
    files = max(2 * found.cores, math.ceil(wanted / 512), 6)
    return Sizes(mib=wanted, files=files, rounds=rounds or (QUICK_ROUNDS if quick else ROUNDS), why=why)


def specification(forms: tuple[Form, ...], variants: tuple[Variant, ...], sizes: Sizes) -> dict[str, object]:
    """What runtime/sparkqfs_runtime/measuring/bench_storage.py is told."""
    return {
        "mib": sizes.mib,
        "files": sizes.files,
        "rounds": sizes.rounds,
        "tables": [
            {
                "name": form.name,
                "uri": f"{form.root}/{DIRECTORY}/{form.name}",
                "settings": form.settings,
                "is_counted": form.is_counted,
            }
            for form in forms
        ],
        "variants": [{"name": one.name, "table": one.table, "settings": one.settings} for one in variants],
    }

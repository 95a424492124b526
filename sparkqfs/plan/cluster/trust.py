"""What an engine needs before it talks to the cluster's registry: the CA's certificate, or leave to use plain HTTP."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import PurePosixPath

from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import Problem
from sparkqfs.facts.nodes import NodeFacts
from sparkqfs.plan.steps import ShellStep, Step, write_file
from sparkqfs.remote import script

DAEMON_JSON = PurePosixPath("/etc/docker/daemon.json")
KEY = "insecure-registries"
RELOAD_S = 10
"""Seconds that an engine gets to take its changed settings in."""
RELOAD = script("reload_engine")


def plan_trust(config: ClusterConfig, fact: NodeFacts, ca_pem: str | None) -> tuple[list[Step], list[Problem]]:
    """What this engine still needs. `ca_pem` is `None` while no certificate may be handed out."""
    if not config.registry.tls:
        return _plain_http(config, fact)
    if ca_pem is None or fact.trusted_ca == hashlib.sha256(ca_pem.encode()).hexdigest():
        return [], []
    path = PurePosixPath("/etc/docker/certs.d") / config.registry_address / "ca.crt"
    why = "missing" if fact.trusted_ca is None else "another certificate"
    what = f"registry trust {path}"
    return [write_file(fact.name, path, ca_pem, uid=0, gid=0, mode=0o644, what=what, why=why)], []


def _plain_http(config: ClusterConfig, fact: NodeFacts) -> tuple[list[Step], list[Problem]]:
    """The file is the user's: every other key stays, and a file that cannot be read is not touched."""
    address = config.registry_address
    if fact.accepts_plain_http(address):
        return [], []
    try:
        if "\ufffd" in (fact.daemon_json or ""):
            raise ValueError("it is not UTF-8")
        settings = json.loads(fact.daemon_json or "{}")
        names = settings.get(KEY, [])
        if not isinstance(names, list):
            raise ValueError(f"{KEY} is not a list")
    except (ValueError, AttributeError, RecursionError) as error:
        what = f"{DAEMON_JSON} cannot be read: {error}"
        hint = f'fix it, or add "{KEY}": ["{address}"] by hand and reload the engine; nothing was changed'
        return [], [Problem(node=fact.name, what=what, config_path="registry.tls", hint=hint)]
    if address not in names:
        text = json.dumps({**settings, KEY: [*names, address]}, indent=2, ensure_ascii=False) + "\n"
        why = "missing" if fact.daemon_json is None else f"{KEY} does not name it"
        return [_merge(fact.name, address, text, why)], []
    if fact.engine_version is None:
        return [], []
    why = "the engine has not read it yet"
    return [ShellStep(node=fact.name, what=_what(address), why=why, lines=_reload_lines(address, ":"))], []


def _what(address: str) -> str:
    return f"plain HTTP to the registry: {address} in {KEY} of {DAEMON_JSON}"


def _merge(node: str, address: str, text: str, why: str) -> Step:
    """The new file, checked where the engine can, swapped for the old one, which comes back when the reload fails."""
    written = write_file(node, DAEMON_JSON, text, uid=0, gid=0, mode=0o644, what=_what(address), why=why)
    *before, swap = written.lines  # the new file is on the disk when it is swapped
    file = shlex.quote(str(DAEMON_JSON))
    lines = (
        *before,
        f"file={file}",
        'rm -f "$file.sparkqfs-old"',
        'if [ -f "$file" ]; then cp -p "$file" "$file.sparkqfs-old"; chmod --reference="$file" "$file.new"; fi',
        "if dockerd --help 2>/dev/null | grep -q -- --validate; then",
        '  dockerd --validate --config-file "$file.new" >&2',
        "fi",
        swap,
        *_reload_lines(
            address,
            'rm -f "$file"; [ ! -f "$file.sparkqfs-old" ] || mv "$file.sparkqfs-old" "$file"; to_disk "${file%/*}"',
        ),
        'rm -f "$file.sparkqfs-old"',
    )
    return ShellStep(node=node, what=written.what, why=why, lines=lines)


def _reload_lines(address: str, undo: str) -> tuple[str, ...]:
    """Containers go on running: the engine takes the key in without a restart."""
    said = (
        f"the engine does not take {KEY} in: its log says why; "
        f"where it was started with --insecure-registry, add {address} there"
    )
    return (
        f"registry={shlex.quote(address)}",
        (RELOAD % RELOAD_S).strip(),
        "if docker info >/dev/null 2>&1 && ! reload_engine; then",
        f"  {undo}",
        f"  echo {shlex.quote(said)} >&2; exit 1",
        "fi",
    )

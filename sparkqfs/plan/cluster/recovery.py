"""What is root's alone on the manager, as a file that other nodes keep a copy of: its text, and its parser. Pure.

The file is JSON with one key a line, so that a shell finds the few that are not secret (remote/facts.sh). Its last key
is the sum of all other lines: a copy of which a byte has changed is told from one that is whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import get_args

from sparkqfs.config.model import ClusterConfig, StorageKind
from sparkqfs.plan.steps import Secret

SCHEMA = 1
NAME = "recovery.json"
PRIVATE = "sparkqfs"
"""Root-only directory under a node's first data directory."""
MAX_BYTES = 256 << 10
"""One that is longer was not written by us: it is about 3 KiB."""
PRIVATE_MODE, FILE_MODE = 0o700, 0o600
MATERIAL = {"secrets": 0o600, "ca.crt": 0o644, "ca.key": 0o600, "registry.crt": 0o644, "registry.key": 0o600}
"""The manager's files that a copy has, where the manager has them, and their modes."""
_SUM = ' "sum": "'
_WORD = re.compile(r"[0-9A-Za-z._:-]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Of which cluster a copy is, and what the manager's root-only files held when it was written."""

    node: str
    """Where it was read."""
    cluster: str
    cluster_id: str
    storage: str
    """The storage's kind."""
    uid: int
    gid: int
    """Of the owner of the data."""
    manager: str
    address: str
    """The manager's name and address when it was written."""
    written: int
    """Grows with each change: of two copies the one with the higher number is the newer. Seconds since the epoch by the
    manager's clock, or one more than any copy had."""
    files: dict[str, Secret] = field(repr=False)
    """Contents by name, as `MATERIAL` lists them; `secrets` is always there, the others are where the registry has a
    certificate."""

    @property
    def secrets(self) -> Secret:
        """The cluster's secrets, the JSON text of the manager's file."""
        return self.files["secrets"]

    @property
    def ca_pem(self) -> Secret | None:
        """Certificate of the cluster's CA; `None` where the registry has none."""
        return self.files.get("ca.crt")

    @property
    def ca_key(self) -> Secret | None:
        """The CA's key."""
        return self.files.get("ca.key")


def private_path(data_dir: PurePosixPath) -> PurePosixPath:
    """The root-only directory of the node whose first data directory this is."""
    return data_dir / PRIVATE


def recovery_path(config: ClusterConfig, name: str) -> PurePosixPath:
    """Where this node keeps its copy."""
    return private_path(config.node(name).data_dirs[0]) / NAME


def material_sum(files: Mapping[str, str]) -> str:
    """One sum of the files' names and contents; remote/facts.sh makes the same of those on the manager."""
    sums = [f"{_sum(files[name])}  {name}\n" for name in MATERIAL if name in files]
    return _sum("".join(sums))


def state_of(config: ClusterConfig, cluster_id: str, material: str) -> str:
    """What a copy says that is up to date: a sum of all that it tells, but for the number that grows."""
    manager, owner = config.manager, config.owner
    words = (SCHEMA, config.name, cluster_id, config.storage.kind, owner.uid, owner.gid)
    return _sum(json.dumps([*words, manager.name, manager.advertise, material]))


def recovery_text(config: ClusterConfig, cluster_id: str, written: int, files: Mapping[str, str]) -> Secret:
    """The whole file."""
    material = material_sum(files)
    document = {
        "schema": SCHEMA,
        "cluster": config.name,
        "id": cluster_id,
        "storage": config.storage.kind,
        "uid": config.owner.uid,
        "gid": config.owner.gid,
        "manager": config.manager.name,
        "address": config.manager.advertise,
        "written": written,
        "material": material,
        "state": state_of(config, cluster_id, material),
        **{name: files[name] for name in MATERIAL if name in files},
        "sum": "",
    }
    text = json.dumps(document, indent=1) + "\n"
    return Secret(text.replace(f'{_SUM}"\n', f'{_SUM}{_sum_without(text)}"\n'))


def parse_recovery(node: str, data: bytes) -> Recovery:
    """Read a copy. Raises `ValueError` with what is wrong with it, without a word of what is in it."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES >> 10} KiB")
    try:
        text = data.decode("ascii")
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    if document.get("schema") != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}: another version of sparkqfs wrote it")
    if document.get("sum") != _sum_without(text):
        raise ValueError("its sum is wrong")
    files = {name: Secret(_text(document, name)) for name in MATERIAL if name in document}
    check_files(files)
    if document["storage"] not in get_args(StorageKind):
        raise ValueError("storage is not a kind of storage")
    return Recovery(
        node=node,
        cluster=_word(document, "cluster"),
        cluster_id=_word(document, "id"),
        storage=_word(document, "storage"),
        uid=_number(document, "uid"),
        gid=_number(document, "gid"),
        manager=_word(document, "manager"),
        address=_word(document, "address"),
        written=_number(document, "written"),
        files=files,
    )


def check_files(files: Mapping[str, str]) -> None:
    """Raises `ValueError` unless the secrets are there, texts by name, and no file is empty."""
    empty = [name for name, text in files.items() if not text.strip()]
    if empty:
        raise ValueError(f"{empty[0]} is empty")
    try:
        found = json.loads(files.get("secrets", ""))
    except (ValueError, RecursionError):
        raise ValueError("secrets are missing, or not JSON") from None
    if not isinstance(found, dict) or not found or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("secrets are not texts by name")


def _text(document: dict[str, object], key: str) -> str:
    found = document.get(key)
    if not isinstance(found, str):
        raise ValueError(f"{key} is missing, or not a text")
    return found


def _word(document: dict[str, object], key: str) -> str:
    found = _text(document, key)
    if not _WORD.fullmatch(found):
        raise ValueError(f"{key} has characters that do not belong there")
    return found


def _number(document: dict[str, object], key: str) -> int:
    found = document.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 1 << 53:
        raise ValueError(f"{key} is missing, or not a number")
    return found


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sum_without(text: str) -> str:
    """Of all lines but that with the sum; remote/facts.sh makes the same."""
    return _sum("".join(line for line in text.splitlines(keepends=True) if not line.startswith(_SUM)))

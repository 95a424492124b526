"""The model as YAML again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath

import yaml

from sparkqfs.config.model import ClusterConfig


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """Always: load_config refuses aliases."""
        return True


def dump_config(data: Mapping[str, object]) -> str:
    """The text of a cluster file with this content (hosts.yml's keys), for hosts.local.yml; load_config reads it."""
    text: str = yaml.dump(_plain(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return f"# A cluster file; docs/hosts-yml.md explains the keys.\n{text}"


def compact(data: Mapping[str, object]) -> str:
    """As YAML, what has no mapping in it on one line."""
    text: str = yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=10_000)
    return text


def resolved(config: ClusterConfig) -> dict[str, object]:
    """The configuration in hosts.yml's keys, defaults filled in; fit for JSON and `dump_config`.

    Sizes are text in MiB, durations seconds. A password in build.proxy is masked.
    """
    values = {key: value for key, value in _keyed(config).items() if key != "file"}
    values["nodes"] = {node.name: {k: v for k, v in _keyed(node).items() if k != "name"} for node in config.nodes}
    plain = _plain(values)
    assert isinstance(plain, dict)
    return plain


def key_of(owner: type, name: str) -> str:
    """The key in hosts.yml for a field of one of the classes above."""
    if owner is ClusterConfig and name == "name":
        return "cluster"
    return {"data_dirs": "data_dir"}.get(name, re.sub(r"_(mib|s)$", "", name))


def _keyed(config: object) -> dict[str, object]:
    """A config object's fields under hosts.yml's keys."""
    assert is_dataclass(config)
    values: dict[str, object] = {}
    for each in fields(config):
        value = getattr(config, each.name)
        if each.name.endswith("_mib") and value is not None:
            value = f"{value}m"
        if each.name == "conf":
            value = dict(value)
        if each.name == "proxy" and value is not None:
            value = re.sub(r"//[^/@]*@", "//***@", value)
        values[key_of(type(config), each.name)] = value
    return values


def _plain(value: object) -> object:
    """Mappings, lists and scalars only."""
    if isinstance(value, Mapping):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, PurePath):
        return str(value)
    return _plain(_keyed(value)) if is_dataclass(value) and not isinstance(value, type) else value

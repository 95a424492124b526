"""Write docs/hosts-yml.md from the docstrings of sparkqfs/config/model.py: `python docs/make_hosts_yml.py`."""

from __future__ import annotations

import ast
import inspect
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path, PurePath
from typing import Any, get_args, get_type_hints

from sparkqfs.config import model as config
from sparkqfs.config.writing import key_of

PAGE = Path(__file__).parent / "hosts-yml.md"
_INTRODUCTION = """\
<!-- Written by docs/make_hosts_yml.py from sparkqfs/config/model.py; change it there. -->
# hosts.yml

One file describes one cluster. Only `nodes` is needed:

```yaml
nodes:
  node1: {address: 192.168.1.11, manager: true}
  node2: 192.168.1.12
  node3: 192.168.1.13
```

- A key that is not listed here is an error, and so is one that is given twice. All faults are shown at once, with their
  lines.
- `null` is the same as leaving the key out. "none" below means that there is no default value.
- Sizes have a unit (`24g`, `2G`, `1000M`, `1073741824b`). Durations are `10s`, `5m`, `1h` or a number of seconds.
- Paths on this computer (`ssh.key`, `ssh.known_hosts`, `storage.qfs.tarball`, `build.ca_certificates`) may start with
  `~`; relative ones start at the file's directory.
- Directories on the nodes are absolute, outside the system's own directories, and have only letters, digits and
  `._+@=~-` in their names. They are the cluster's alone: not `/mnt`, `/srv`, `/home`, `/root`, `/tmp`,
  `/var` and the like, but a directory in these; `storage.shared.path` may be `/mnt`, `/media` or `/srv`.
- Passwords, tokens and keys do not belong in the file: they are made on first use.
- Aliases, anchors and tags of YAML are not read. The file is UTF-8 and at most 1 MiB.
"""
_SAME_AS_NODE = "data_dir"


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, _section("At the top", config.ClusterConfig, "", _top_rows())]
    parts += _sections(config.ClusterConfig, "")
    return "\n".join(parts)


def keys(owner: type = config.ClusterConfig, prefix: str = "") -> list[str]:
    """Every key on the page, dotted; `nodes.NAME.…` for those of a node."""
    found = [_SAME_AS_NODE] if owner is config.ClusterConfig else []
    for each in _fields(owner):
        path = f"{prefix}{key_of(owner, each.name)}"
        inner = _inner(owner, each)
        found += keys(inner, path + (".NAME." if path == "nodes" else ".")) if inner else [path]
    return found


def _sections(owner: type, prefix: str) -> list[str]:
    parts: list[str] = []
    for each in _fields(owner):
        inner = _inner(owner, each)
        if inner:
            path = f"{prefix}{key_of(owner, each.name)}"
            name = path + (".NAME" if path == "nodes" else "")
            parts += [_section(f"`{name}`", inner, inspect.getdoc(inner) or "", []), *_sections(inner, path + ".")]
    return parts


def _section(title: str, owner: type, text: str, rows: list[str]) -> str:
    described = _docstrings(owner)
    rows = rows + [
        _row(key_of(owner, each.name), _default(each), described[each.name])
        for each in _fields(owner)
        if not _inner(owner, each)
    ]
    introduction = f"{_for_users(text)}\n\n" if text else ""
    table = "| Key | Default | Meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n" if rows else ""
    return f"## {title}\n\n{introduction}{table}"


def _top_rows() -> list[str]:
    default = "`/mnt/data`"
    return [
        _row("nodes", "needed", _docstrings(config.ClusterConfig)["nodes"]),
        _row(_SAME_AS_NODE, default, "Every node's data directories: a path, or a list with one a disk."),
    ]


def _row(key: str, default: str, text: str) -> str:
    return f"| `{key}` | {default} | {_for_users(text)} |"


def _for_users(text: str) -> str:
    """A docstring in the file's words: null for None, no units in names."""
    return " ".join(text.split()).replace("`None`", "`null`").replace("_mib`", "`").replace("|", "\\|")


def _fields(owner: type) -> list[Field[Any]]:
    hidden = {config.ClusterConfig: "file", config.NodeConfig: "name"}
    return [each for each in fields(owner) if each.name != hidden.get(owner)]


def _inner(owner: type, each: Field[Any]) -> type | None:
    """The dataclass that the field holds, if it does."""
    hint = get_type_hints(owner)[each.name]
    return next((kind for kind in (hint, *get_args(hint)) if isinstance(kind, type) and is_dataclass(kind)), None)


def _default(each: Field[Any]) -> str:
    if each.default is MISSING:
        return "`address`" if each.name == "advertise" else "needed"
    if each.name == "data_dirs":
        return "the top's `data_dir`"
    if each.default is None:
        return "none"
    value = each.default
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, tuple):
        return "none"
    elif isinstance(value, PurePath):
        value = value.as_posix()
    elif each.name.endswith("_s"):
        value = f"{value:g}s"
    elif each.name.endswith("_mib"):
        value = f"{value}m"
    return f"`{value}`"


def _docstrings(owner: type) -> dict[str, str]:
    """The string under each field, by the field's name."""
    [definition] = ast.parse(inspect.getsource(owner)).body
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
            texts[field.target.id] = str(text.value.value) if is_text else ""  # type: ignore[attr-defined]
    return texts


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

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

`invoke new 192.168.1.11 192.168.1.12 192.168.1.13` writes such a file, `sparkqfs.yml`, and looks at the machines as
`invoke doctor` does. A machine may be named `user@host:port`, as a URI too; a range is refused. `--user NAME` is for
those without a user. A file
that is there is never replaced; `--dry-run` shows what would be written.

A task takes the first of these, and the first line that it says names it (on standard error):

1. `--hosts FILE`, then `SPARKQFS_HOSTS`;
2. `sparkqfs.yml`, your own file, in the current directory; git ignores it;
3. `hosts.yml` in the current directory, unless it is the annotated sample of the repository;
4. `sparkqfs.yml` in the nearest directory above, if it is yours or root's. `invoke purge`, `invoke drill`,
   `invoke restore --let-go ID` and whatever is given `--erase` take none from above.

A `sparkqfs.yaml` or `hosts.yaml` in the current directory is not read: where a file above would be taken, or none is
there, the task says so and ends with exit code 2.

These pages call it hosts.yml, whatever its name. The sample's machines do not exist: a task on a file that still has
one of its addresses asks no machine (exit 2).

Editors with the YAML language server complete and check the file by its JSON Schema,
[hosts.schema.json](../sparkqfs/config/hosts.schema.json); the line `# yaml-language-server: …` at its head names it.

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
- Aliases, anchors and tags of YAML are not read: what nodes share goes into `defaults`.
- The file is UTF-8 and at most 1 MiB.
"""
_SAME_AS_NODE = "data_dir"
_OF_ALL_NODES = "defaults"


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, _section("At the top", config.ClusterConfig, "", _top_rows())]
    parts += _sections(config.ClusterConfig, "")
    return "\n".join(parts)


def keys(owner: type = config.ClusterConfig, prefix: str = "") -> list[str]:
    """Every key on the page, dotted; `nodes.NAME.…` for those of a node."""
    found = [_SAME_AS_NODE, _OF_ALL_NODES] if owner is config.ClusterConfig else []
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
        _row(
            _OF_ALL_NODES,
            "none",
            "What all nodes have in common: any key of a node but `address`, `advertise` and `manager`. "
            "What a node says itself takes precedence.",
        ),
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

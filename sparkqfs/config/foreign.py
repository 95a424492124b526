"""Lists of machines that people have already, and what to write instead: an Ansible inventory, a list of addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sparkqfs.config.other_words import NODE
from sparkqfs.config.reading import Faults, Items, Scalar, Table, Value, place_of

MOST_SHOWN = 3
_GROUP = re.compile(r"\[[\w:.-]+\]")
_PLACE = re.compile(
    r"(?:- *)?[\"']?(?P<place>(?:\w[\w.-]*@)?(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[a-z][\w-]*\.[\w.-]+)(?::[0-9]+)?)"
)
_VARIABLE = re.compile(r"(?<!\S)(?P<key>ansible_\w+)\s*=\s*(?P<value>\S+)")
_WORDS = {"address": "host", "user": "user", "port": "port"}
ALL = "all"
"""Ansible's group of all hosts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One that a foreign file names."""

    host: str
    user: str | None = None
    port: str | None = None
    name: str | None = None


def node_name(text: str) -> str | None:
    """A name for a node that comes close to another one; none where nothing is left of it."""
    if re.fullmatch(r"[0-9.]+", text):
        return None
    short = re.sub(r"[^a-z0-9-]+", "-", text.lower().partition(".")[0]).strip("-")[:63].strip("-")
    return short if re.search("[a-z]", short) else None


def as_nodes(machines: list[Machine]) -> str:
    """The `nodes` of a cluster file with these machines, as a hint."""
    shown = []
    for index, machine in enumerate(machines[:MOST_SHOWN]):
        name = (node_name(machine.name) if machine.name else None) or f"node{index + 1}"
        more = [f"{key}: {value}" for key, value in (("user", machine.user), ("port", machine.port)) if value]
        more += ["manager: true"] if index == 0 and len(machines) > 1 else []
        shown.append(
            f"{name}: {{{', '.join([f'address: {machine.host}', *more])}}}" if more else f"{name}: {machine.host}"
        )
    rest = ", …" if len(machines) > MOST_SHOWN else ""
    return f"write `nodes: {{{', '.join(shown)}{rest}}}`"


def refuse_text(text: str, faults: Faults) -> None:
    """Ends with `ConfigError` for an inventory in Ansible's INI form, or a list of addresses."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;"]
    is_ours = any(line.startswith("nodes:") for line in lines)
    if not is_ours and any(_GROUP.fullmatch(line) or re.match(r"[\w.-]+\s+ansible_\w+\s*=", line) for line in lines):
        faults.fatal("an Ansible inventory, not a cluster file", hint=as_nodes(_of_ini(lines)))
    found = [_PLACE.match(line) for line in lines]
    if lines and all(found) and not any(re.search(r":( |$)", line) for line in lines):
        machines = [_of_place(one["place"]) for one in found if one is not None]
        faults.fatal("a list of addresses, not a cluster file", hint=as_nodes(machines))


def refuse_tree(table: Table, faults: Faults) -> None:
    """Ends with `ConfigError` for an inventory in Ansible's YAML form."""
    if "nodes" in table.entries:
        return
    hosts = _Hosts()
    of_all = _variables(_inner(table.entries.get(ALL, (0, None))[1], "vars"))
    for name, (_, group) in table.entries.items():
        hosts.gather(group, {} if name == ALL else of_all)
    if hosts.own:
        line = next(iter(table.entries.values()))[0]
        faults.fatal("an Ansible inventory, not a cluster file", line, as_nodes(hosts.machines()))


def of_items(items: Items) -> str | None:
    """What to write instead of a list under `nodes`; none where it lists something else."""
    machines = [_of_item(item) for item in items.values]
    known = [one for one in machines if one is not None]
    return as_nodes(known) if known and len(known) == len(machines) else None


def _of_item(item: Value) -> Machine | None:
    """An address, `name: address`, or a mapping with a name and an address."""
    if isinstance(item, Scalar):
        return _of_place(item.text) if re.fullmatch(r"[\w@.:-]+", item.text) else None
    if not isinstance(item, Table):
        return None
    said = _variables(item)
    if "host" in said:
        name = item.entries.get("name", (0, None))[1]
        return _machine(name.text if isinstance(name, Scalar) else said["host"], said)
    if len(item.entries) != 1:
        return None
    ((name_of_one, (_, value)),) = item.entries.items()
    if isinstance(value, Scalar):
        return replace(_of_place(value.text), name=name_of_one)
    return _machine(name_of_one, _variables(value)) if "host" in _variables(value) else None


def _machine(name: str, said: Mapping[str, str]) -> Machine:
    return Machine(name=name, host=said.get("host", name), user=said.get("user"), port=said.get("port"))


@dataclass(slots=True)
class _Hosts:
    """The hosts of an inventory. What a host says itself counts, then what the innermost of its groups says."""

    own: dict[str, dict[str, str]] = field(default_factory=dict)
    of_groups: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, name: str, own: Mapping[str, str], of_group: Mapping[str, str]) -> None:
        """A host is in several groups, and mostly says something in one of them."""
        self.own.setdefault(name, {}).update(own)
        self.of_groups.setdefault(name, {}).update(of_group)

    def gather(self, group: Value, outer: Mapping[str, str]) -> None:
        """The hosts of a group in the YAML form, and of its children."""
        variables = {**outer, **_variables(_inner(group, "vars"))}
        for name, host in _entries(_inner(group, "hosts")):
            self.add(name, _variables(host), variables)
        for _, child in _entries(_inner(group, "children")):
            self.gather(child, variables)

    def machines(self) -> list[Machine]:
        """In the order in which they are named."""
        return [_machine(name, {**self.of_groups[name], **own}) for name, own in self.own.items()]


def _of_ini(lines: list[str]) -> list[Machine]:
    """The hosts of groups, with the variables of these and of the groups that have them as children."""
    group, kind = ALL, ""
    members: list[tuple[str, str, dict[str, str]]] = []
    variables: dict[str, dict[str, str]] = {}
    parents: dict[str, str] = {}
    for line in lines:
        if _GROUP.fullmatch(line):
            group, _, kind = line[1:-1].partition(":")
        elif kind == "vars":
            variables.setdefault(group, {}).update(_said(line))
        elif kind == "children":
            parents[line.split()[0]] = group
        elif not kind and "=" not in line.split()[0]:
            members.append((line.split()[0], group, _said(line)))
    hosts = _Hosts()
    for name, its_group, own in members:
        groups = [its_group]
        while groups[-1] in parents and parents[groups[-1]] not in groups:
            groups.append(parents[groups[-1]])
        said = [variables.get(one, {}) for one in (ALL, *reversed(groups))]
        hosts.add(name, own, {key: value for one in said for key, value in one.items()})
    return hosts.machines()


def _said(line: str) -> dict[str, str]:
    """What of a line counts for a cluster file."""
    found = {one["key"]: one["value"].strip("\"'") for one in _VARIABLE.finditer(line)}
    return {_WORDS[NODE[key]]: value for key, value in found.items() if NODE.get(key) in _WORDS}


def _inner(value: Value | None, key: str) -> Value | None:
    return value.entries.get(key, (0, None))[1] if isinstance(value, Table) else None


def _entries(value: Value | None) -> list[tuple[str, Value]]:
    return [(name, one) for name, (_, one) in value.entries.items()] if isinstance(value, Table) else []


def _variables(value: Value | None) -> dict[str, str]:
    """What of a host, or of a group's `vars`, counts for a cluster file."""
    known = ((NODE.get(key.lower(), key), one) for key, one in _entries(value))
    return {_WORDS[key]: one.text for key, one in known if key in _WORDS and isinstance(one, Scalar) and one.text}


def _of_place(text: str) -> Machine:
    user, host, port = place_of(text)
    return Machine(host=host, user=user, port=port, name=host)

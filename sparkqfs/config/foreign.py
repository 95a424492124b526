"""Lists of machines that people have already, and what to write instead: an Ansible inventory, a list of addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkqfs.config.reading import Faults, Items, Scalar, Table, Value, place_of

MOST_SHOWN = 3
_GROUP = re.compile(r"\[[\w:.-]+\]")
_PLACE = re.compile(
    r"(?:- *)?[\"']?(?P<place>(?:\w[\w.-]*@)?(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[a-z][\w-]*\.[\w.-]+)(?::[0-9]+)?)"
)
_VARIABLE = re.compile(r"ansible_(?:ssh_)?(?P<word>host|user|port)=(?P<value>\S+)")
_WORDS = {"ansible_host": "host", "ansible_ssh_host": "host", "ansible_user": "user", "ansible_ssh_user": "user"}
_WORDS |= {"ansible_port": "port", "ansible_ssh_port": "port"}


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
    if any(_GROUP.fullmatch(line) for line in lines) and not any(line.startswith("nodes:") for line in lines):
        hosts = [line for line in _hosts_of_groups(lines) if "=" not in line.split()[0]]
        faults.fatal("an Ansible inventory, not a cluster file", hint=as_nodes([_of_line(line) for line in hosts]))
    found = [_PLACE.match(line) for line in lines]
    if lines and all(found) and not any(re.search(r":( |$)", line) for line in lines):
        machines = [_of_place(one["place"]) for one in found if one is not None]
        faults.fatal("a list of addresses, not a cluster file", hint=as_nodes(machines))


def refuse_tree(table: Table, faults: Faults) -> None:
    """Ends with `ConfigError` for an inventory in Ansible's YAML form."""
    if "nodes" in table.entries:
        return
    hosts: dict[str, Value] = {}
    for _, group in table.entries.values():
        _gather(group, hosts)
    if hosts:
        line = next(iter(table.entries.values()))[0]
        machines = [_of_variables(name, variables) for name, variables in hosts.items()]
        faults.fatal("an Ansible inventory, not a cluster file", line, as_nodes(machines))


def of_items(items: Items) -> str | None:
    """What to write instead of a list under `nodes`; none where it lists something else."""
    texts = [item.text for item in items.values if isinstance(item, Scalar)]
    machines = [_of_place(text) for text in texts if re.fullmatch(r"[\w@.:-]+", text)]
    return as_nodes(machines) if machines and len(machines) == len(items.values) else None


def _hosts_of_groups(lines: list[str]) -> list[str]:
    """The lines that name hosts, of groups of hosts, each host once."""
    found: dict[str, str] = {}
    is_of_hosts = True
    for line in lines:
        if _GROUP.fullmatch(line):
            is_of_hosts = ":" not in line
        elif is_of_hosts:
            found.setdefault(line.split()[0], line)
    return list(found.values())


def _of_line(line: str) -> Machine:
    name = line.split()[0]
    said = {found["word"]: found["value"] for found in _VARIABLE.finditer(line)}
    return Machine(name=name, host=said.get("host", name), user=said.get("user"), port=said.get("port"))


def _gather(group: Value, hosts: dict[str, Value]) -> None:
    """The hosts of a group and of its children."""
    if not isinstance(group, Table):
        return
    _, inner = group.entries.get("hosts", (0, None))
    if isinstance(inner, Table):
        hosts.update({name: variables for name, (_, variables) in inner.entries.items()})
    _, children = group.entries.get("children", (0, None))
    if isinstance(children, Table):
        for _, child in children.entries.values():
            _gather(child, hosts)


def _of_variables(name: str, variables: Value) -> Machine:
    entries = variables.entries if isinstance(variables, Table) else {}
    said = {
        _WORDS[key]: value.text for key, (_, value) in entries.items() if key in _WORDS and isinstance(value, Scalar)
    }
    return Machine(name=name, host=said.get("host", name), user=said.get("user"), port=said.get("port"))


def _of_place(text: str) -> Machine:
    user, host, port = place_of(text)
    return Machine(host=host, user=user, port=port, name=host)

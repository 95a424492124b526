"""What config/loading.py reads with: YAML as values that know their line, the collector of faults, single values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import urlsplit

import yaml

from sparkqfs.config.other_words import NODE, elsewhere
from sparkqfs.errors import ConfigError, ExitCode, Problem
from sparkqfs.shortening import shortened

MAX_BYTES = 2**20
MAX_DEPTH = 12
MOST_SHOWN = 8
"""Of the addresses of a range."""
MAX_EVENTS = 50_000
"""Of YAML, about one a key and one a value: enough for two thousand nodes, read within seconds."""
_NEAR = 0.7
"""Below it words are near each other that have little in common: `hosts` and `ports`."""
SECRET = re.compile(r"password|passwd|passphrase|secret|token|(private|api)_?key", re.IGNORECASE)
SECRET_HINT = "remove it: passwords, tokens and keys are made on the manager on first use"
_SYSTEM_DIRECTORIES = frozenset({"bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr"})
_COMMON_DIRECTORIES = frozenset(
    {
        *("/home", "/lost+found", "/media", "/mnt", "/opt", "/root", "/snap", "/srv", "/tmp", "/var"),
        *("/var/cache", "/var/lib", "/var/lib/docker", "/var/log", "/var/mail", "/var/spool", "/var/tmp"),
    }
)
"""Others have their things in these; they are fine as parents."""
_PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value: what YAML makes of it, and as it is written."""

    value: str | int | float | bool | None
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    values: tuple[Value, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping: key → (line of the key, value)."""

    entries: dict[str, tuple[int, Value]]
    line: int


Value = Scalar | Items | Table


@dataclass(slots=True)
class Faults:
    """Collects what is wrong with one file."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    """Dotted path → line, of everything that is in the file."""
    sections: list[Section] = field(default_factory=list)

    def add(self, path: str, what: str, hint: str | None = None, line: int | None = None) -> None:
        """Note a fault. Without a line it is that of the path or of the nearest one around it."""
        self.problems.append(
            Problem(
                what=what,
                file=self.file,
                line=self._line(path) if line is None else line,
                config_path=path or None,
                hint=hint,
                code=ExitCode.USAGE,
            )
        )

    def fatal(self, what: str, line: int | None = None, hint: str | None = None) -> NoReturn:
        """Raise what has been collected and this last fault, after which nothing can be read."""
        self.problems.append(Problem(what=what, file=self.file, line=line, hint=hint, code=ExitCode.USAGE))
        self.stop_if_any()
        raise AssertionError("not reached")

    def stop_if_any(self) -> None:
        """Raise one `ConfigError` with everything found, in the order of the file."""
        if self.problems:
            raise ConfigError(*sorted(self.problems, key=lambda problem: problem.line or 0)) from None

    def add_unknown_keys(self) -> None:
        """Note the keys that nobody has asked for. Call this when all sections have been read."""
        paths = [join(section.path, key) for section in self.sections for key in section.known]
        for section in self.sections:
            for key in section.table.entries:
                path = join(section.path, key)
                if key not in section.known and not section.is_open and not _is_secret(key):
                    if section.path.startswith("nodes."):
                        hint = _meant_in_node(key, tuple(section.known), paths)
                    else:
                        hint = elsewhere(section.path).get(key.lower()) or _meant_elsewhere(key, paths)
                        hint = hint or _meant(key, tuple(section.known))
                    if not section.path and looks_like_node(section.table.entries[key][1]):
                        hint = f"indent {shown(key)} below `nodes`" if "nodes" in section.table.entries else hint
                    self.add(path, f"unknown key; known here: {', '.join(section.known)}", hint)

    def add_secrets(self, value: Value, path: str = "") -> None:
        """Note every key that looks like a secret's. The names of nodes are free."""
        for key, line, child in _children(value):
            if path != "nodes" and _is_secret(key):
                self.add(join(path, key), "secrets do not belong in this file", SECRET_HINT, line)
            self.add_secrets(child, join(path, key))

    def _line(self, path: str) -> int:
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return self.lines.get(path, 1)


class Fault(Exception):
    """A value that is not allowed, in better words than the reader's own."""


@dataclass(frozen=True, slots=True)
class Reader(Generic[T_co]):
    """Reads one kind of value. `read` gives `None` or raises `Fault` for what is not allowed."""

    allowed: str
    read: Callable[[Scalar], T_co | None]
    nearest: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    """What else the words are called, in small letters."""
    hint: str | None = None
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})
    """The same as JSON Schema, as far as that can say it: for editors."""


@dataclass(slots=True)
class Section:
    """One mapping of the file. It remembers the keys it was asked for; all others are unknown, unless it is open."""

    faults: Faults
    path: str
    table: Table
    is_open: bool = False
    known: dict[str, None] = field(default_factory=dict)
    """The keys, in the order in which they were asked for."""
    schemas: dict[str, Mapping[str, object]] = field(default_factory=dict)
    """JSON Schema of those that are single values or lists of them."""

    def __post_init__(self) -> None:
        self.faults.sections.append(self)
        for key, (line, _) in self.table.entries.items():
            self.faults.lines[join(self.path, key)] = line

    def value(self, key: str) -> Value | None:
        """What is given for the key; `None` for nothing and for null."""
        self.known[key] = None
        value = self.table.entries.get(key, (0, None))[1]
        return None if isinstance(value, Scalar) and value.value is None else value

    def take(self, key: str, reader: Reader[T], default: T) -> T:
        """The value, or the default where it is not given or not allowed."""
        value = self.value(key)
        self.schemas[key] = reader.schema
        return default if value is None else self._read(join(self.path, key), value, reader, default)

    def take_all(self, key: str, reader: Reader[T], default: tuple[T, ...]) -> tuple[T, ...]:
        """One value or a list of them."""
        value = self.value(key)
        self.schemas[key] = {"anyOf": [reader.schema, {"type": "array", "items": reader.schema}]}
        if value is None:
            return default
        path = join(self.path, key)
        if not isinstance(value, Items):
            return self._one(path, value, reader)
        if not value.values and default:
            self.faults.add(path, f"found an empty list; must be {reader.allowed}, or a list of such")
        ones = [self._one(f"{path}[{index}]", item, reader) for index, item in enumerate(value.values)]
        return tuple(one for each in ones for one in each)

    def section(self, key: str, is_open: bool = False, usual: str | None = None) -> Section:
        """The mapping under the key; empty where it is not given. `usual`: the key that a single value is meant for."""
        value = self.value(key)
        path = join(self.path, key)
        if value is not None and not isinstance(value, Table):
            is_one = usual is not None and isinstance(value, Scalar) and value.text.isprintable()
            hint = f"write `{key}: {{{usual}: {shown(value.text)}}}`" if is_one and isinstance(value, Scalar) else None
            self.faults.add(path, f"found {found(value)}; must be a mapping (key: value)", hint)
        table = value if isinstance(value, Table) else Table({}, self.table.line)
        return Section(self.faults, path, table, is_open)

    def _one(self, path: str, value: Value, reader: Reader[T]) -> tuple[T, ...]:
        one = self._read(path, value, reader, None)
        return () if one is None else (one,)

    def _read(self, path: str, value: Value, reader: Reader[T], default: T) -> T:
        line = None if isinstance(value, Table | Items) and path in self.faults.lines else value.line
        hint = reader.hint
        try:
            read = reader.read(value) if isinstance(value, Scalar) else None
            what = f"found {found(value)}; must be {reader.allowed}"
            if isinstance(value, Scalar):
                other = reader.others.get(value.text.lower())
                hint = f"did you mean `{other}`?" if other else _meant(value.text, reader.nearest) or hint
                hint = _unquoted(value, reader) or hint
        except Fault as fault:
            read, what = None, str(fault)
        if read is None:
            self.faults.add(path, what, hint, line)
            return default
        return read


# --- YAML → Value ---


def read_tree(text: str, faults: Faults) -> Table:
    """The file's mapping. Ends with `ConfigError` for what is not plain YAML: aliases, anchors, tags, deep nesting.

    YAML 1.2's numbers and null, 1.1's booleans: `010`, `1_000` and `1:30` are text.
    """
    builder = _TreeBuilder(faults)
    try:
        builder.loader = yaml.SafeLoader(text)
        value = builder.document()
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        what = ", ".join(part for part in (fault.problem, fault.context) if part)
        hint = "indent with spaces, not tabs" if "'\\t'" in what else None
        faults.fatal(f"not valid YAML: {what}", mark.line + 1 if mark else None, hint)
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, fault.position) + 1
        faults.fatal(f"not text: character number {fault.character!r} is not allowed in YAML", line)
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML lets these out for escapes and version numbers beyond all bounds
        faults.fatal("not valid YAML: an escape or a number is out of range", builder.line)
    if builder.refused:
        faults.stop_if_any()
    if value is None or (isinstance(value, Scalar) and value.value is None):
        faults.fatal("the file is empty; it must name the nodes", hint="`nodes: {node1: 192.168.1.11}` is enough")
    if not isinstance(value, Table):
        faults.fatal(f"found {found(value)}; the file must be a mapping (key: value) with `nodes`", value.line)
    return value


class _TreeBuilder:
    """Builds values from YAML events. PyYAML's own composer would follow aliases and forget duplicate keys."""

    loader: Any
    """A yaml.SafeLoader; its stubs leave the events untyped."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.events = 0
        self.refused: set[str] = set()
        self.line = 1

    def document(self) -> Value | None:
        """The first document, `None` if there is none."""
        value: Value | None = None
        while not isinstance(event := self._next(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent) and value is not None:
                self._refuse("a second document (`---`); one file is one cluster", "split the file")
                return value
            if not isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent | yaml.DocumentEndEvent):
                value = self._value(event, 1, "")
        return value

    def _value(self, event: Any, depth: int, path: str) -> Value:
        line: int = event.start_mark.line + 1
        if depth > MAX_DEPTH:
            self.faults.fatal(f"nested more than {MAX_DEPTH} levels deep", line)
        if isinstance(event, yaml.AliasEvent):
            self._refuse(
                f"an alias (*{shown(str(event.anchor))}); aliases are not read",
                "what several nodes share goes into `defaults`; quote a value that starts with *",
            )
            return Scalar(None, "", line)
        if event.anchor is not None:
            self._refuse(
                f"an anchor (&{shown(event.anchor)}); anchors are not read",
                "what several nodes share goes into `defaults`; quote a value that starts with &",
            )
        if event.tag is not None:
            self._refuse(f"a tag ({shown(event.tag)}); tags are not read", "quote a value that starts with !")
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(_resolved(event.value) if event.implicit[0] else event.value, event.value, line)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Value] = []
            while not isinstance(event := self._next(), yaml.SequenceEndEvent):
                items.append(self._value(event, depth + 1, path))
            return Items(tuple(items), line)
        return self._table(line, depth, path)

    def _table(self, line: int, depth: int, path: str) -> Table:
        entries: dict[str, tuple[int, Value]] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._value(event, depth + 1, path)
            name = key.text if isinstance(key, Scalar) and key.text.isprintable() and len(key.text) <= 200 else ""
            value = self._value(self._next(), depth + 1, join(path, name))
            if not (name and isinstance(key, Scalar) and isinstance(key.value, str)):
                hint = "put it in quotes" if name else None
                self.faults.add(path, f"found {found(key)} as a key; keys must be short text", hint, key.line)
            if name in entries:
                what = f"given twice, first on line {entries[name][0]}"
                self.faults.add(join(path, name), what, "keep one of them", key.line)
            elif name:
                entries[name] = (key.line, value)
        return Table(entries, line)

    def _next(self) -> Any:
        self.events += 1
        if self.events > MAX_EVENTS:
            self.faults.fatal("too many values for a cluster file", self.line)
        event = self.loader.get_event()
        self.line = event.start_mark.line + 1
        return event

    def _refuse(self, what: str, hint: str) -> None:
        if hint not in self.refused:  # once a kind: a bomb has thousands
            self.faults.add("", f"found {what}", hint, self.line)
        self.refused.add(hint)


def _resolved(text: str) -> str | int | float | bool | None:
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "yes", "on") or text.lower() in ("false", "no", "off"):
        return text.lower() in ("true", "yes", "on")
    if re.fullmatch(r"[-+]?(0|[1-9][0-9]{0,17})", text):
        return int(text)
    if re.fullmatch(r"[-+]?([0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18})([eE][-+]?[0-9]{1,2})?", text):
        return float(text)
    return text


# --- Words ---


def join(path: str, key: str) -> str:
    """Dotted path of a key under a path."""
    return f"{path}.{key}" if path else key


def shown(text: str) -> str:
    """A piece of the user's text for a message: short, without control characters."""
    short = shortened(text, 60)
    return short if short.isprintable() else ascii(short)[1:-1]


def found(value: Value) -> str:
    """A value, described for "found …"."""
    if isinstance(value, Table):
        return "a mapping"
    if isinstance(value, Items):
        return "a list"
    if value.value is None:
        return "nothing"
    kind = {bool: "the boolean ", int: "the number ", float: "the number "}.get(type(value.value), "")
    return kind + (shown(value.text) if kind else f"'{shown(value.text)}'")


def _children(value: Value) -> Iterator[tuple[str, int, Value]]:
    """Key, line and value of everything directly inside."""
    if isinstance(value, Table):
        yield from ((key, line, child) for key, (line, child) in value.entries.items())
    elif isinstance(value, Items):
        yield from ((str(index), child.line, child) for index, child in enumerate(value.values))


def _unquoted(scalar: Scalar, reader: Reader[T]) -> str | None:
    """A hint for a number or a boolean in quotes, which make it text."""
    plain = Scalar(_resolved(scalar.text), scalar.text, scalar.line)
    is_quoted = isinstance(scalar.value, str) and not isinstance(plain.value, str)
    return f"write {shown(scalar.text)} without quotes" if is_quoted and reader.read(plain) is not None else None


def _meant(text: str, names: tuple[str, ...]) -> str | None:
    near = difflib.get_close_matches(text[:80].lower(), names, 1, _NEAR)
    return f"did you mean `{near[0]}`?" if near else None


def looks_like_node(value: Value) -> bool:
    """An IPv4 address, or a mapping with one, or with a host's name as its address."""
    if isinstance(value, Table):
        return any(NODE.get(key.lower(), key) == "address" for key in value.entries)
    return (
        isinstance(value, Scalar)
        and re.fullmatch(r"(\w[\w.-]*@)?[0-9]{1,3}(\.[0-9]{1,3}){3}.*", value.text) is not None
    )


def _is_secret(key: str) -> bool:
    """Whether a key looks like a secret's; the name of a file is not one."""
    return SECRET.search(key) is not None and not key.lower().endswith("_file")


def _meant_in_node(key: str, known: tuple[str, ...], paths: list[str]) -> str | None:
    """A hint for a node's unknown key, which must not lead to a setting of all nodes unawares."""
    if key.lower() in NODE:
        return f"write it as `{NODE[key.lower()]}`"
    elsewhere = [
        path for path in paths if path.rpartition(".")[2] == key and not path.startswith(("nodes.", "defaults."))
    ]
    return f"`{elsewhere[0]}` is for all nodes" if elsewhere else _meant(key, known)


def _meant_elsewhere(key: str, paths: list[str]) -> str | None:
    places = [path for path in dict.fromkeys(paths) if path.rpartition(".")[2] == key]
    return f"did you mean `{places[0]}`?" if places else None


# --- Readers of single values ---


def matching(pattern: str, allowed: str, numbers: bool = False) -> Reader[str]:
    """Text of this form, wholly; `numbers` also takes what YAML reads as a number, as it is written."""

    def read(scalar: Scalar) -> str | None:
        is_text = isinstance(scalar.value, str) or (numbers and not isinstance(scalar.value, bool | None))
        return scalar.text if is_text and re.fullmatch(pattern, scalar.text, re.ASCII) else None

    return Reader(allowed, read, schema=_text(pattern, "string", "number") if numbers else _text(pattern))


def _text(pattern: str, *types: str) -> dict[str, object]:
    """JSON Schema of text of this form, wholly; other types are not looked at."""
    return {"type": list(types) or "string", "pattern": f"^(?:{pattern})$"}


def choice(*names: T, others: Mapping[str, str] | None = None) -> Reader[T]:
    """One of these words; `others` says what else they are called."""
    words = tuple(str(name).lower() for name in names)
    allowed = " or ".join(words)
    schema = {"enum": list(names)}

    def read(scalar: Scalar) -> T | None:
        same = (name for name in names if name == scalar.value)
        return next((name for name in same if isinstance(scalar.value, type(name))), None)  # 1 equals True

    return Reader(allowed, read, words, others or {}, schema=schema)


def setting() -> Reader[str]:
    """One line of text, a number or a boolean, as Spark's properties write it."""

    def read(scalar: Scalar) -> str | None:
        if not scalar.text.isprintable() or re.search(r"@[A-Z_]+@", scalar.text):
            return None
        return str(scalar.value).lower() if isinstance(scalar.value, bool) else scalar.text

    schema = {"type": ["string", "number", "boolean"]}
    return Reader("one line of text, a number or a boolean, without @PLACEHOLDERS@", read, schema=schema)


def integer(low: int, high: int) -> Reader[int]:
    """A whole number within these bounds."""

    def read(scalar: Scalar) -> int | None:
        is_integer = isinstance(scalar.value, int) and not isinstance(scalar.value, bool)
        return int(scalar.text) if is_integer and low <= int(scalar.text) <= high else None

    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Reader(f"a whole number from {low} to {high}", read, schema=schema)


_MEBIBYTES = {"b": 1 / 1024**2, "k": 1 / 1024, "m": 1, "g": 1024, "t": 1024**2}


def mebibytes(low: int) -> Reader[int]:
    """A size such as 24g, 2G or 512m, in MiB, from `low` MiB to 64 TiB."""

    def read(scalar: Scalar) -> int | None:
        size = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,3})?)(?:(b)|([kmgt])(?:i?b)?)", scalar.text.lower(), re.ASCII)
        if size is None or not isinstance(scalar.value, str):
            return None
        mib = int(float(size[1]) * _MEBIBYTES[size[2] or size[3]])
        return mib if low <= mib <= 64 * 1024**2 else None

    schema = _text(r"[0-9]{1,15}(?:\.[0-9]{1,3})?(?:[bB]|[kKmMgGtT](?:[iI]?[bB])?)")
    return Reader(f"a size with its unit such as 24g or 512m, from {low}m to 64t", read, schema=schema)


def seconds() -> Reader[float]:
    """A duration such as 10s, 5m, 1h or 300 (seconds), up to a week."""

    def read(scalar: Scalar) -> float | None:
        span = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smh]?)", scalar.text, re.ASCII)
        if span is None:
            return None
        duration_s = float(span[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[span[2]]
        return duration_s if 0 < duration_s <= 7 * 24 * 3600 else None

    schema = {**_text(r"[0-9]{1,9}(?:\.[0-9]{1,3})?[smh]?", "string", "number"), "exclusiveMinimum": 0}
    return Reader("a duration above 0 such as 10s, 5m or 300 (seconds), up to 168h", read, schema=schema)


def share() -> Reader[float]:
    """A number above 0, at most 1."""

    def read(scalar: Scalar) -> float | None:
        number = scalar.value
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        return float(scalar.text) if is_number and 0 < float(scalar.text) <= 1 else None

    return Reader("a number above 0, at most 1", read, schema={"type": "number", "exclusiveMinimum": 0, "maximum": 1})


def address() -> Reader[str]:
    """An IPv4 address of a machine, or a host name."""
    label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

    def read(scalar: Scalar) -> str | None:
        text = scalar.text
        if not isinstance(scalar.value, str) or len(text) > 253:
            return None
        if (several := addresses_of(text)) is not None:
            raise Fault(range_of(text, several))
        if re.fullmatch(rf"({label}\.)*{label}", text) and not re.search(r"(^|\.)[0-9]+$", text):
            return text
        user, host, port = place_of(text)
        if (user or port) and re.fullmatch(rf"({label}\.)*{label}", host):
            parts = [("address", host), ("user", user), ("port", port)]
            whole = ", ".join(f"{key}: {value}" for key, value in parts if value)
            raise Fault(f"'{shown(text)}' is more than an address; write {{{whole}}}")
        try:
            number = IPv4Address(text)
        except ValueError:
            return None
        return None if number.is_multicast or number.is_unspecified or number.is_reserved else text

    return Reader("an IPv4 address or a host name", read)


def addresses_of(text: str) -> list[str] | None:
    """The addresses of `192.168.1.11-13` and the like; none for what is not written as a range.

    A colon stands in one between brackets only: elsewhere a port follows it.
    """
    net, number = r"(?P<net>(?:[0-9]{1,3}\.){3})", "[0-9]{1,3}"
    found = re.fullmatch(
        rf"{net}(?:(?P<first>{number})(?:-|\.\.)(?:(?P=net))?(?P<last>{number})"
        rf"|\[(?P<lowest>{number})(?:-|:|\.\.)(?P<highest>{number})\])",
        text,
    )
    if found is None:
        return None
    first, last = int(found["first"] or found["lowest"]), int(found["last"] or found["highest"])
    return [f"{found['net']}{one}" for one in range(first, last + 1)]


def range_of(text: str, addresses: list[str]) -> str:
    """What is wrong with a range."""
    shown_ones = addresses if len(addresses) <= MOST_SHOWN else [*addresses[: MOST_SHOWN - 1], "…", addresses[-1]]
    return f"'{shown(text)}' is a range; name each machine" + (f": {', '.join(shown_ones)}" if shown_ones else "")


def place_of(text: str) -> tuple[str | None, str, str | None]:
    """User, host and port of `[user@]host[:port]` or of an ssh:// URI; the text itself as host where it is neither."""
    found = re.fullmatch(
        r"(?:ssh://)?(?:(?P<user>[A-Za-z_][\w.-]*)@)?(?P<host>[\w.-]+)(?::(?P<port>[0-9]{1,5}))?/?", text, re.ASCII
    )
    return (found["user"], found["host"], found["port"]) if found else (None, text, None)


def subnet() -> Reader[str]:
    """A private IPv4 network."""

    def read(scalar: Scalar) -> str | None:
        if not re.fullmatch(r"[0-9.]{7,15}/[0-9]{1,2}", scalar.text, re.ASCII):
            return None
        try:
            network = IPv4Network(scalar.text, strict=False)
        except ValueError:
            return None
        if str(network) != scalar.text:
            raise Fault(f"'{scalar.text}' has bits set beyond its prefix; the network is {network}")
        return str(network) if any(network.subnet_of(private) for private in _PRIVATE) else None

    return Reader("a private IPv4 network such as 10.20.30.0/24", read, schema=_text("[0-9.]{7,15}/[0-9]{1,2}"))


def node_path(*mount_points: str) -> Reader[PurePosixPath]:
    """An absolute directory on a node, of characters that mount specifications and shells leave alone.

    Not one that others use too, unless it is one of `mount_points`.
    """

    def read(scalar: Scalar) -> PurePosixPath | None:
        text = scalar.text
        if not isinstance(scalar.value, str) or not re.fullmatch(r"/[A-Za-z0-9._/+@=~-]{1,200}", text):
            return None
        path = PurePosixPath("/" + text.lstrip("/"))
        if len(path.parts) < 2 or ".." in path.parts:
            return None
        if path.parts[1] in _SYSTEM_DIRECTORIES:
            raise Fault(f"{path} belongs to the system; must be a directory for data, such as /mnt/data")
        if str(path) in _COMMON_DIRECTORIES.difference(mount_points):
            raise Fault(f"{path} is not for a cluster alone; must be a directory of its own, such as /mnt/data")
        return path

    schema = _text("/[A-Za-z0-9._/+@=~-]{1,200}")
    return Reader(
        "an absolute path other than `/`, of letters, digits and ._+@=~- only, without `..`", read, schema=schema
    )


def local_path(base: Path, must_exist: bool = True) -> Reader[Path]:
    """A file on this computer, `~` expanded; relative to `base`."""

    def read(scalar: Scalar) -> Path | None:
        if not isinstance(scalar.value, str) or not scalar.text.isprintable():
            return None
        try:
            path = base / Path(scalar.text).expanduser()
            if must_exist and path.exists() and not path.is_file():
                raise Fault(f"{path} is not a file")
            if must_exist:
                path.open("rb").close()
        except (OSError, ValueError, RuntimeError) as failure:
            reason = failure.strerror if isinstance(failure, OSError) else str(failure)
            raise Fault(f"cannot read {shown(scalar.text)}: {reason}") from failure
        return path

    return Reader("the path of a file", read)


def url(with_credentials: bool) -> Reader[str]:
    """An http or https address. Without credentials a user name or password in it is refused, and not repeated."""

    def read(scalar: Scalar) -> str | None:
        if not isinstance(scalar.value, str) or not re.fullmatch(r"https?://[!-~]+", scalar.text):
            raise Fault("not an address; must start with http:// or https:// and have no spaces")
        try:
            parts = urlsplit(scalar.text)
            has_host = bool(parts.hostname) and parts.port != 0
        except ValueError:
            has_host = False
        if not has_host:
            raise Fault("not an address; must be http(s)://HOST or http(s)://HOST:PORT")
        if "@" in parts.netloc and not with_credentials:
            raise Fault("has a user name or password in it, which would be stored in every image")
        return scalar.text

    return Reader("an address that starts with http:// or https://", read, schema=_text("https?://[!-~]+"))

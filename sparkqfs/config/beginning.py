"""The first cluster file: from the addresses of a few machines, as one would type them behind `ssh`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sparkqfs.config import reading as read
from sparkqfs.config.loading import LOGIN, PORT
from sparkqfs.config.reading import Reader, Scalar
from sparkqfs.config.writing import compact
from sparkqfs.errors import ConfigError, ExitCode, Problem

T = TypeVar("T")
_WORD = re.compile(r"(?:(?P<user>[^@]*)@)?(?P<host>[^@:]*)(?::(?P<port>[^@:]*))?")
_FORM = "a machine is HOST, USER@HOST or USER@HOST:PORT, its HOST an IPv4 address or a name"
_UNREACHABLE = "the other machines would look for it at themselves"
_OF_OTHERS = "name this computer by its address in their network: `hostname -I` shows it"
_HEAD = """\
# A cluster: a machine a line. The manager also runs Spark's master, the storage's master, Jupyter and the registry.
# Every other setting has a default; docs/hosts-yml.md explains them, the sample hosts.yml shows them.
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as it was named. Its address is empty where the word could not be read."""

    address: str
    user: str | None = None
    port: int | None = None


def machines(words: Sequence[str], user: str | None) -> list[Machine]:
    """What the words say; `user` is for those that name none. Raises `ConfigError` with every fault of every word."""
    faults: list[Problem] = []
    found: list[Machine] = []
    if not words:
        raise ConfigError(_usage("no machine is named", _FORM))
    if user is not None:
        user = _taken(f"--user {read.shown(user)}", LOGIN, user, faults)
    for word in words:
        named = _machine(word, faults)
        found.append(replace(named, user=named.user or user))
    addresses = [one.address.lower() for one in found if one.address]
    double = sorted({address for address in addresses if addresses.count(address) > 1})
    faults += [_usage(f"{address}: named more than once") for address in double]
    if len(found) > 1:
        faults += [_usage(f"{one.address}: {_UNREACHABLE}", _OF_OTHERS) for one in found if _is_loopback(one.address)]
    if faults:
        raise ConfigError(*faults)
    return found


def _machine(word: str, faults: list[Problem]) -> Machine:
    """`user@host:port`, of which user and port may be missing, also as a URI of ssh."""
    if (several := read.addresses_of(word)) is not None:
        faults.append(_usage(read.range_of(word, several)))
        return Machine("")
    named = _WORD.fullmatch(re.sub(r"^ssh://(.*?)/?$", r"\1", word))
    if named is None:
        faults.append(_usage(f"{read.shown(word)}: {_FORM}"))
        return Machine("")
    user, host, port = named["user"], named["host"], named["port"]
    number = int(port) if port is not None and re.fullmatch("[0-9]{1,9}", port, re.ASCII) else port
    return Machine(
        address=_taken(read.shown(word), read.address(), host, faults) or "",
        user=None if user is None else _taken(read.shown(word), LOGIN, user, faults),
        port=None if number is None else _taken(read.shown(word), PORT, number, faults),
    )


def _is_loopback(address: str) -> bool:
    return address.lower() == "localhost" or address.startswith("127.")


def _taken(word: str, reader: Reader[T], value: str | int, faults: list[Problem]) -> T | None:
    text = str(value)
    got = reader.read(Scalar(value, text, 0))
    if got is None:
        faults.append(_usage(f"{word}: '{read.shown(text)}' must be {reader.allowed}", _FORM))
    return got


def in_words(problem: Problem, found: Sequence[Machine]) -> Problem:
    """A fault of the file that is not written yet, about the machine that was named."""
    place = re.match(r"nodes\.node([0-9]+)\b", problem.config_path or "")
    address = found[int(place[1]) - 1].address if place else ""
    what = problem.what if address in problem.what else f"{address}: {problem.what}"
    hint = "write the file by hand, with another `subnet`" if "`subnet`" in (problem.hint or "") else problem.hint
    return replace(problem, what=what, hint=hint, file=None, line=None, config_path=None)


def _usage(what: str, hint: str | None = None) -> Problem:
    return Problem(what=what, hint=hint, code=ExitCode.USAGE)


def text_of(found: Sequence[Machine], schema: str | None = None) -> str:
    """A small cluster file of these machines, the first of which is the manager. `schema`: its address, for editors."""
    is_mixed = len({one.user for one in found}) > 1
    nodes: dict[str, object] = {}
    for number, one in enumerate(found, start=1):
        more: dict[str, object] = {"user": one.user} if is_mixed and one.user is not None else {}
        more |= {} if one.port is None else {"port": one.port}
        more |= {"manager": True} if number == 1 else {}
        nodes[f"node{number}"] = {"address": one.address, **more} if more else one.address
    content: dict[str, object] = {"nodes": nodes}
    if found[0].user is not None and not is_mixed:
        content["ssh"] = {"user": found[0].user}
    for_editors = f"# yaml-language-server: $schema={schema}\n" if schema is not None else ""
    return for_editors + _HEAD + compact(content)

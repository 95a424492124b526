"""pip requirements of the cluster file: which lines are taken, and which are refused before anything is built."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from sparkqfs.config.reading import Fault, Items, Reader, Scalar, Section, local_path, shown

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VERSION = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9._*+!-]+"
_REQUIREMENT = re.compile(
    rf"(?P<name>{_NAME})\s*(?:\[\s*{_NAME}(?:\s*,\s*{_NAME})*\s*\])?\s*"
    rf"(?:@\s*(?P<url>\S+)|\(?\s*{_VERSION}(?:\s*,\s*{_VERSION})*\s*\)?)?"
    r"(?:\s*;\s*[^;\\#]+?)?(?:\s+--hash=[a-z0-9]+:[0-9a-f]+)*",
    re.ASCII,
)
_FIXED = {"pyspark": "Spark itself", "pip": "what installs the packages"}
MAX_BYTES = 2**20


def package_name(requirement: str) -> str:
    """The package's normalized name: lower case, dashes."""
    found = re.match(_NAME, requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def check_requirement(text: str) -> str:
    """The line itself. Raises `Fault` for what is no requirement, or not one that an image can be built from."""
    if text.startswith("-"):
        raise Fault(f"'{shown(text)}' is an option of pip; only requirements are read. build.pip_index names the index")
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        raise Fault(f"'{shown(text)}' is not a requirement of pip, such as polars==1.9.0")
    if package_name(text) in _FIXED:
        raise Fault(f"{package_name(text)} is {_FIXED[package_name(text)]}; its version is not to be chosen here")
    if found["url"]:
        try:
            parts = urlsplit(found["url"])
        except ValueError:
            raise Fault(f"the address in '{shown(text)}' is none") from None
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise Fault(f"the address in '{shown(text)}' must start with http:// or https://")
        if "@" in parts.netloc:
            raise Fault("has a user name or password in it, which would be stored in the image")
    return text


def take_requirements(section: Section, base: Path) -> tuple[str, ...]:
    """`requirements` of the section: a list, or the path of a file in pip's format."""
    value = section.value("requirements")
    if isinstance(value, Items):
        return section.take_all("requirements", Reader("a requirement of pip, such as polars==1.9.0", _one), ())
    hint = "requirements themselves are a list: [polars, pyarrow>=15]"
    reader = local_path(base)
    schema = {"anyOf": [reader.schema, {"type": "array", "items": {"type": "string"}}]}
    of_file = Reader("a list, or the path of a file", reader.read, hint=hint, schema=schema)
    path = section.take("requirements", of_file, None)
    return _of_file(section, path) if path is not None else ()


def _one(scalar: Scalar) -> str | None:
    return check_requirement(scalar.text.strip()) if isinstance(scalar.value, str) else None


def _of_file(section: Section, path: Path) -> tuple[str, ...]:
    """The file's lines without comments, those that end in a backslash joined."""
    where = f"{section.path}.requirements"
    try:
        content = path.read_bytes()[: MAX_BYTES + 1]
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as failure:
        section.faults.add(where, f"{path} cannot be read: {failure}")
        return ()
    if len(content) > MAX_BYTES:
        section.faults.add(where, f"{path} is larger than 1 MiB: not a list of requirements")
        return ()
    lines: list[str] = []
    begun, number_of_first = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        number_of_first = number_of_first if begun else number
        begun += re.sub(r"(^|\s)#.*$", "", line).rstrip()
        if begun.endswith("\\"):
            begun = begun[:-1] + " "
            continue
        if begun.strip():
            try:
                lines.append(check_requirement(re.sub(r"\s+", " ", begun).strip()))
            except Fault as fault:
                section.faults.add(where, f"{path.name}, line {number_of_first}: {fault}")
        begun = ""
    return tuple(lines)

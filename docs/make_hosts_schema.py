"""Write the JSON Schema of cluster files, for editors, from what reads them: `python docs/make_hosts_schema.py`.

Each key's reader in sparkqfs/config/reading.py says what it takes; the texts are the docstrings that are in
docs/hosts-yml.md too. What must hold between keys, a schema cannot say.
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sparkqfs.config.loading import NODE_NAME, SPARK_KEY, read_cluster
from sparkqfs.config.model import ClusterConfig
from sparkqfs.config.reading import Faults, Section, join, read_tree
from sparkqfs.config.writing import key_of

FILE = Path(__file__).parent.parent / "sparkqfs" / "config" / "hosts.schema.json"
_PAGE = runpy.run_path(str(Path(__file__).with_name("make_hosts_yml.py")))
_PROBE = "nodes: {name: {}}\nspark: {conf: {spark.key: x}}\n"
"""A file with one entry of each mapping whose keys are free: everything else is asked for anyway."""
_FREE = {"nodes": ("name", NODE_NAME.pattern), "spark.conf": ("spark.key", SPARK_KEY.pattern)}
"""Such mappings: the entry of the probe, and what a key may be."""


def text() -> str:
    """The whole file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def schema() -> dict[str, object]:
    """The schema of a cluster file."""
    faults = Faults("probe")
    read_cluster(Path("probe"), Section(faults, "", read_tree(_PROBE, faults)), {})
    described = dict(_descriptions(ClusterConfig, ""))
    whole = _mapping({section.path: section for section in faults.sections}, "", described)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A cluster file of sparkqfs",
        **whole,
        "type": "object",
        "required": ["nodes"],
    }


def _mapping(sections: Mapping[str, Section], path: str, described: Mapping[str, str]) -> dict[str, object]:
    section = sections[path]
    properties: dict[str, Any] = {}
    for key in section.known:
        inner = join(path, key)
        found = _or_null(section.schemas[key]) if key in section.schemas else _mapping(sections, inner, described)
        properties[key] = {**({"description": described[inner]} if inner in described else {}), **found}
    if path not in _FREE:
        return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
    key, pattern = _FREE[path]
    entry = properties[key]
    if path == "nodes":
        entry = {"anyOf": [{**entry, "required": ["address"]}, entry["properties"]["address"]]}
    return {"type": ["object", "null"], "propertyNames": {"pattern": f"^(?:{pattern})$"}, "additionalProperties": entry}


def _or_null(found: Mapping[str, object]) -> dict[str, object]:
    """`null` is the same as leaving a key out."""
    return {"anyOf": [found, {"type": "null"}]}


def _descriptions(owner: type, prefix: str) -> Iterator[tuple[str, str]]:
    """Dotted key and text of everything on the page."""
    texts = _PAGE["_docstrings"](owner)
    for each in _PAGE["_fields"](owner):
        path = join(prefix, key_of(owner, each.name))
        inner = _PAGE["_inner"](owner, each)
        said = texts.get(each.name) or (inner.__doc__ if inner else "")
        if said:
            yield path, _PAGE["_for_users"](said)
        if inner:
            yield from _descriptions(inner, f"{path}.name" if path == "nodes" else path)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")

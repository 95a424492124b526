"""The JSON Schema of cluster files: what the code reads is in it, and it refuses nothing that the code takes."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sparkqfs.config.beginning import machines, text_of
from sparkqfs.config.loading import load_config
from sparkqfs.errors import ConfigError
from sparkqfs.jobs.cluster.new import planned
from tests.paths import DATA, ROOT

SCRIPT = runpy.run_path(str(ROOT / "docs" / "make_hosts_schema.py"))
FILE = ROOT / "sparkqfs" / "config" / "hosts.schema.json"
SCHEMA: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
NODES = "nodes:\n  node1: {address: 10.0.0.1, manager: true}\n  node2: 10.0.0.2\n"
BAD = sorted((DATA / "badconfig").glob("*.yml"))
"""One mistake each."""


def refused(text: str) -> list[str]:
    """Dotted places of what the schema refuses."""
    found = jsonschema.Draft7Validator(SCHEMA).iter_errors(yaml.safe_load(text))
    return [".".join(map(str, one.absolute_path)) for one in found]


def keys(schema: dict[str, Any], prefix: str = "") -> set[str]:
    """Every key of the schema that is not a mapping, dotted; `nodes.NAME.…` for those of a node."""
    free = schema.get("additionalProperties")
    if prefix == "nodes" and isinstance(free, dict):
        return keys(free["anyOf"][0], "nodes.NAME")
    inner = schema.get("properties")
    if inner is None:
        return {prefix}
    return {key for name, one in inner.items() for key in keys(one, f"{prefix}.{name}" if prefix else name)}


def test_the_file_is_what_the_code_reads() -> None:
    assert FILE.read_text(encoding="utf-8") == SCRIPT["text"](), "run: python docs/make_hosts_schema.py"
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_it_has_the_keys_of_the_page() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_hosts_yml.py"))["keys"]()
    found = keys(SCHEMA)
    of_all = {name for name in found if name.startswith("defaults.")}
    of_one = {name.replace("nodes.NAME.", "defaults.") for name in found if name.startswith("nodes.NAME.")}
    assert {*(found - of_all), "defaults"} == set(page)
    assert of_all == of_one - {"defaults.address", "defaults.advertise", "defaults.manager"}


@pytest.mark.parametrize(
    "text",
    [
        NODES,
        (ROOT / "hosts.yml").read_text(),
        re.sub(r"(?m)^( *)#(?=\S)", r"\1", (ROOT / "hosts.yml").read_text()),
        text_of(machines(["pi@10.0.0.1:22", "10.0.0.2"], "pi")),
        NODES + "data_dir: [/mnt/a, /mnt/b]\nworker: {requirements: [polars]}\ntimeouts: {connect: 5, build: 1.5h}\n",
        NODES + "ssh: ~\nspark: {conf: {spark.sql.shuffle.partitions: 64, spark.ui.enabled: false}}\n",
        NODES + "logs: {container: 1073741824b, program: 1048576B}\nspark: {driver_memory: 1024MiB}\n",
        NODES + "storage: {replication: 1, qfs: {version: 2.2, check: 10s}, scrub: {rate: 0m}}\n",
    ],
    ids=["two", "sample", "sample, all keys", "new", "lists", "null", "sizes", "numbers"],
)
def test_what_the_code_takes_it_takes(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text(text)
    load_config(tmp_path / "x.yml", {})
    assert refused(text) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", ""),
        ("ndoes: {}\n", ""),
        ("ssh: {port: 99999}\n", "ssh.port"),
        ("ssh: {prot: 22}\n", "ssh"),
        ("storage: {kind: nfs}\n", "storage.kind"),
        ("spark: {driver_memory: 2}\n", "spark.driver_memory"),
        ("spark: {conf: {executor.memory: 2g}}\n", "spark.conf"),
        ("nodes: {Node_1: 10.0.0.1}\n", "nodes"),
        ("nodes: {node1: {manager: true}}\n", "nodes.node1"),
        ("nodes: [10.0.0.1]\n", "nodes"),
        ("registry: {tls: maybe}\n", "registry.tls"),
        ("registry: {tls: 0}\n", "registry.tls"),
        ("spark: {delta: 1}\n", "spark.delta"),
        ("timeouts: {build: soon}\n", "timeouts.build"),
        ("subnet: all\n", "subnet"),
        ("data_dir: data\n", "data_dir"),
    ],
)
def test_what_the_code_refuses_by_itself_it_refuses_at_the_same_place(text: str, place: str, tmp_path: Path) -> None:
    whole = text if "nodes:" in text or not text else NODES + text
    (tmp_path / "x.yml").write_text(whole)
    with pytest.raises(ConfigError):
        load_config(tmp_path / "x.yml", {})
    assert place in refused(whole)


def test_of_the_files_with_a_mistake_it_finds_most_and_knows_no_fault_of_its_own() -> None:
    """Some mistakes are between two keys, or of YAML itself, which a schema cannot see."""
    found = 0
    for path in BAD:
        try:
            found += bool(refused(path.read_text(encoding="utf-8")))
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, OverflowError, RecursionError):
            continue
    assert found > len(BAD) // 3, f"{found} of {len(BAD)}"


def test_the_sample_names_it_for_editors() -> None:
    [line] = re.findall(r"(?m)^# yaml-language-server: \$schema=(\S+)$", (ROOT / "hosts.yml").read_text())
    assert (ROOT / line).samefile(FILE)


def test_a_new_file_names_it_too(tmp_path: Path) -> None:
    first = planned(tmp_path / "x.yml", ["10.0.0.1"], None).text.splitlines()[0]
    assert first == f"# yaml-language-server: $schema={FILE.as_uri()}"

"""Machines as people have them: a user, a port and a key for each, what they share, and lists of other programs."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from sparkqfs.config import other_words
from sparkqfs.config.loading import load_config
from sparkqfs.config.model import ClusterConfig
from sparkqfs.errors import ConfigError, Problem
from sparkqfs.topology import SPARK_VERSION
from tests.paths import ROOT


def load(directory: Path, text: str) -> ClusterConfig:
    file = directory / "hosts.yml"
    file.write_text(text)
    return load_config(file, {})


def the_fault(directory: Path, text: str) -> Problem:
    """The one fault of this text."""
    with pytest.raises(ConfigError) as raised:
        load(directory, text)
    (problem,) = raised.value.problems
    assert raised.value.exit_code == 2
    return problem


def test_each_machine_has_its_own_user_port_and_key(tmp_path: Path) -> None:
    (tmp_path / "pi").write_text("x")
    text = """
ssh: {user: me, port: 22}
nodes:
  nuc: {address: 192.0.2.11, manager: true, user: admin}
  pi1: {address: 192.0.2.12, user: pi, port: 2222, key: pi}
  pi2: 192.0.2.13
"""
    nodes = load(tmp_path, text).nodes
    assert [(node.user, node.port, node.key) for node in nodes] == [
        ("admin", None, None),
        ("pi", 2222, tmp_path / "pi"),
        (None, None, None),
    ]


def test_what_nodes_share_is_said_once_and_a_node_says_otherwise(tmp_path: Path) -> None:
    text = """
defaults: {user: ubuntu, memory: 8g, data_dir: [/mnt/a, /mnt/b], cpu_share: 0.5}
data_dir: /mnt/c
nodes:
  one: {address: 192.0.2.11, manager: true}
  two: 192.0.2.12
  three: {address: 192.0.2.13, user: pi, memory: 2g, data_dir: /mnt/d}
"""
    one, two, three = load(tmp_path, text).nodes
    assert (one.user, one.memory_mib, len(one.data_dirs), one.cpu_share, one.manager) == ("ubuntu", 8192, 2, 0.5, True)
    assert (two.user, two.memory_mib, two.address, two.advertise) == ("ubuntu", 8192, "192.0.2.12", "192.0.2.12")
    assert (three.user, three.memory_mib, [str(path) for path in three.data_dirs]) == ("pi", 2048, ["/mnt/d"])


@pytest.mark.parametrize("key", ["address: 192.0.2.1", "manager: true", "advertise: 192.0.2.1"])
def test_what_only_one_node_can_have_is_not_shared(tmp_path: Path, key: str) -> None:
    fault = the_fault(tmp_path, f"nodes: {{node1: 192.0.2.11}}\ndefaults: {{{key}}}\n")
    assert str(fault).startswith(f"{tmp_path}/hosts.yml:2: defaults.{key.split(':')[0]}: unknown key")


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("ubuntu@192.0.2.13:2222", "{address: 192.0.2.13, user: ubuntu, port: 2222}"),
        ("ubuntu@pi.lan", "{address: pi.lan, user: ubuntu}"),
        ("pi.lan:22", "{address: pi.lan, port: 22}"),
        ("ssh://me@pi.lan:22", "{address: pi.lan, user: me, port: 22}"),
    ],
)
def test_an_address_with_user_or_port_is_told_how_to_be_written(tmp_path: Path, text: str, instead: str) -> None:
    for whole in (f'nodes: {{node1: "{text}"}}\n', f'nodes: {{node1: {{address: "{text}"}}}}\n'):
        fault = the_fault(tmp_path, whole)
        assert fault.what == f"'{text}' is more than an address; write {instead}"
        corrected = load(tmp_path, f"nodes: {{node1: {instead}}}\n").nodes[0]
        assert corrected.address in text


@pytest.mark.parametrize(
    ("name", "other"),
    [("rpi-3.home.arpa", "rpi-3"), ("NAS", "nas"), ("pi_1", "pi-1"), ("My Pi", "my-pi"), ("-x-", "x")],
)
def test_a_name_with_dots_or_capitals_is_told_a_name_that_can_be(tmp_path: Path, name: str, other: str) -> None:
    assert the_fault(tmp_path, f'nodes: {{"{name}": 192.0.2.14}}\n').hint == f"call it {other}"
    assert load(tmp_path, f"nodes: {{{other}: 192.0.2.14}}\n").manager.name == other


@pytest.mark.parametrize("name", ["192.0.2.1", "__", "Ж"])
def test_a_name_of_which_nothing_is_left_has_no_hint(tmp_path: Path, name: str) -> None:
    assert the_fault(tmp_path, f'nodes: {{"{name}": 192.0.2.14}}\n').hint is None


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("ansible_host", "write it as `address`"),
        ("ansible_user", "write it as `user`"),
        ("username", "write it as `user`"),
        ("ssh_port", "write it as `port`"),
        ("ansible_ssh_private_key_file", "write it as `key`"),
        ("host_keys", "`ssh.host_keys` is for all nodes"),
        ("adress", "did you mean `address`?"),
    ],
)
def test_a_hint_for_one_node_does_not_change_the_others(tmp_path: Path, key: str, hint: str) -> None:
    text = f"nodes: {{node1: {{address: 192.0.2.1, manager: true, {key}: x}}, node2: 192.0.2.2}}\n"
    assert the_fault(tmp_path, text).hint == hint


@pytest.mark.parametrize(("key", "hint"), [("memory", "defaults.memory"), ("user", "ssh.user"), ("port", "ssh.port")])
def test_a_nodes_key_at_the_top_is_told_where_it_holds_for_all(tmp_path: Path, key: str, hint: str) -> None:
    assert the_fault(tmp_path, f"{key}: 1\nnodes: {{node1: 192.0.2.1}}\n").hint == f"did you mean `{hint}`?"


TWO = "write `nodes: {node1: {address: 192.0.2.1, manager: true}, node2: 192.0.2.2}`"
PIS = "write `nodes: {pi1: {address: 192.0.2.1, user: pi, port: 2222, manager: true}, pi2: pi2.lan}`"
FOREIGN = {
    "a YAML list": ("- 192.0.2.1\n- 192.0.2.2\n", "a list of addresses", TWO),
    "lines": ("# mine\n192.0.2.1\n192.0.2.2\n", "a list of addresses", TWO),
    "lines as of /etc/hosts": ("192.0.2.1 pi1\n192.0.2.2 pi2\n", "a list of addresses", TWO),
    "a list with users": (
        "me@192.0.2.1\n192.0.2.2\n",
        "a list of addresses",
        "write `nodes: {node1: {address: 192.0.2.1, user: me, manager: true}, node2: 192.0.2.2}`",
    ),
    "many": (
        "a.lan\nb.lan\nc.lan\nd.lan\n",
        "a list of addresses",
        "write `nodes: {a: {address: a.lan, manager: true}, b: b.lan, c: c.lan, …}`",
    ),
    "Ansible's INI": (
        "[pis]\npi1 ansible_host=192.0.2.1 ansible_user=pi ansible_port=2222\npi2.lan\n[all:vars]\nx=y\n",
        "an Ansible inventory",
        PIS,
    ),
    "Ansible's YAML": (
        "all:\n  children:\n    pis:\n      hosts:\n        pi1: {ansible_host: 192.0.2.1, ansible_user: pi, "
        "ansible_port: 2222}\n        pi2.lan:\n",
        "an Ansible inventory",
        PIS,
    ),
    "hosts of Ansible without a group": (
        "pi1 ansible_host=192.0.2.1 ansible_user=pi ansible_port=2222\npi2.lan\n",
        "an Ansible inventory",
        PIS,
    ),
    "variables of groups in INI": (
        "[pis]\npi1 ansible_host = 192.0.2.1 ansible_port=2222\n[others]\npi2.lan ansible_user=me\n"
        "[site:children]\npis\n[site:vars]\nansible_user = pi\n[all:vars]\nansible_port=23\nansible_user=root\n",
        "an Ansible inventory",
        "write `nodes: {pi1: {address: 192.0.2.1, user: pi, port: 2222, manager: true}, "
        "pi2: {address: pi2.lan, user: me, port: 23}}`",
    ),
    "kubespray": (
        "all:\n  vars: {ansible_user: root}\n  hosts:\n"
        "    pi1: {ansible_host: 192.0.2.1, ip: 192.0.2.1, ansible_port: 2222}\n    pi2.lan:\n"
        "  children:\n    control:\n      hosts: {pi1: }\n    workers:\n      vars: {ansible_user: pi}\n"
        "      hosts:\n        pi1:\n        pi2.lan: {ansible_user: me}\n",
        "an Ansible inventory",
        "write `nodes: {pi1: {address: 192.0.2.1, user: pi, port: 2222, manager: true}, "
        "pi2: {address: pi2.lan, user: me}}`",
    ),
    "groups beside all in YAML": (
        "pis:\n  hosts: {pi1: {ansible_host: 192.0.2.1}}\nall:\n  vars: {ansible_user: pi}\n",
        "an Ansible inventory",
        "write `nodes: {pi1: {address: 192.0.2.1, user: pi}}`",
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_list_of_another_program_is_told_in_one_line_what_to_write(tmp_path: Path, kind: str) -> None:
    text, what, hint = FOREIGN[kind]
    fault = the_fault(tmp_path, text)
    assert (fault.what, fault.hint) == (f"{what}, not a cluster file", hint)
    instead = hint.removeprefix("write `").removesuffix("`").replace(", …", "")
    assert load(tmp_path, instead + "\n").manager.name in ("node1", "pi1", "a")


def test_a_list_of_nodes_is_told_what_to_write(tmp_path: Path) -> None:
    fault = the_fault(tmp_path, "nodes: [192.0.2.1, 192.0.2.2]\n")
    assert (fault.config_path, fault.hint) == ("nodes", TWO)


@pytest.mark.parametrize(
    "text",
    [
        "- name: pi1\n    address: 192.0.2.1\n    user: pi\n    port: 2222\n  - name: pi2\n    host: pi2.lan\n",
        "- {name: pi1, ansible_host: 192.0.2.1, ansible_user: pi, ansible_port: 2222}\n  - pi2: pi2.lan\n",
        "- pi1: pi@192.0.2.1:2222\n  - pi2: {hostname: pi2.lan}\n",
    ],
)
def test_a_list_of_named_nodes_is_too(tmp_path: Path, text: str) -> None:
    fault = the_fault(tmp_path, f"nodes:\n  {text}")
    assert (fault.config_path, fault.hint) == ("nodes", PIS)


def all_faults(directory: Path, text: str) -> dict[str | None, str | None]:
    """Setting → hint."""
    with pytest.raises(ConfigError) as raised:
        load(directory, text)
    return {problem.config_path: problem.hint for problem in raised.value.problems}


@pytest.mark.parametrize("word", ["hosts", "machines", "servers", "workers"])
def test_nodes_under_another_word_are_told_theirs(tmp_path: Path, word: str) -> None:
    assert all_faults(tmp_path, f"{word}: {{node1: 192.0.2.1}}\n")[word] == "write it as `nodes`"


def test_nodes_that_are_not_indented_are_told_so(tmp_path: Path) -> None:
    for one in ("192.0.2.1", "{address: nuc.lan, user: pi}"):
        found = all_faults(tmp_path, f"nodes:\nnode1: {one}\nnode2: 192.0.2.2\n")
        assert found == {
            "nodes": "indent node1 below it",
            "node1": "indent node1 below `nodes`",
            "node2": "indent node2 below `nodes`",
        }


GOOD = "nodes: {node1: 192.0.2.1}\n"


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ("storage: hdfs\n", "storage", "write `storage: {kind: hdfs}`"),
        ("ssh: pi\n", "ssh", "write `ssh: {user: pi}`"),
        ("registry: 5001\n", "registry", "write `registry: {port: 5001}`"),
        ("storage: {kind: nfs}\n", "storage.kind", "did you mean `shared`?"),
        ("storage: {kind: GlusterFS}\n", "storage.kind", "did you mean `shared`?"),
        ("storage: {kind: Hadoop}\n", "storage.kind", "did you mean `hdfs`?"),
        ("storage: {kind: hfds}\n", "storage.kind", "did you mean `hdfs`?"),
        ("storage: {kind: s3}\n", "storage.kind", None),
        ("spark: {executor_memory: 4g}\n", "spark.executor_memory", "`memory` of a node, or of `defaults`, is what its executors share"),  # noqa: E501
        ("spark: {version: 3.5}\n", "spark.version", f"leave it out: Spark is {SPARK_VERSION}, which comes with sparkqfs"),  # noqa: E501
        ("spark: {num_executors: 2}\n", "spark.num_executors", "write it as `executors_per_worker`"),
    ],
)  # fmt: skip
def test_a_setting_of_other_programs_is_told_ours(tmp_path: Path, text: str, path: str, hint: str | None) -> None:
    fault = the_fault(tmp_path, GOOD + text)
    assert (fault.config_path, fault.hint) == (path, hint)


def test_what_is_said_of_other_words_are_settings_that_there_are() -> None:
    known = set(runpy.run_path(str(ROOT / "docs" / "make_hosts_yml.py"))["keys"]())
    names = {part for one in known for part in one.split(".")} | {"address", "manager", "nodes"}
    assert set(other_words.NODE.values()) <= names
    hints = [hint for section in ("", "spark", "storage", "ssh") for hint in other_words.elsewhere(section).values()]
    said = {word for hint in hints for code in re.findall("`(.*?)`", hint) for word in re.findall(r"[a-z_]+", code)}
    assert said and said <= names


@pytest.mark.parametrize(
    "text", ["nodes: {node1: {<<: *common, address: 192.0.2.1}}\n", "a: &b {}\nnodes: {n: 192.0.2.1}\n"]
)
def test_an_anchor_is_told_where_shared_settings_go(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert "`defaults`" in str(raised.value)

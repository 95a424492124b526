"""plan/cluster/recovery.py: what a copy of the secrets says, and which files are not taken for one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from sparkqfs.plan.cluster.recovery import MAX_BYTES, Recovery, material_sum, parse_recovery, recovery_text
from sparkqfs.plan.steps import Secret
from tests.builders.clusters import a_cluster
from tests.builders.facts import CA_PEM, CLUSTER_ID, SECRETS

CLUSTER = a_cluster()
FILES = {"secrets": json.dumps(SECRETS), "ca.crt": CA_PEM, "ca.key": "ca-key-value\n", "registry.key": 'a "key" é\\\n'}
TEXT = recovery_text(CLUSTER, CLUSTER_ID, 17, FILES)


def read(text: str) -> Recovery:
    return parse_recovery("node2", text.encode())


def test_a_copy_says_of_which_cluster_it_is_and_gives_every_file_back_byte_for_byte() -> None:
    found = read(TEXT)
    assert (found.node, found.cluster, found.cluster_id, found.storage) == ("node2", "spark", CLUSTER_ID, "qfs")
    assert (found.uid, found.gid, found.manager, found.address) == (6700, 6700, "node1", "192.168.1.11")
    assert found.written == 17 and found.files == FILES
    assert (found.secrets, found.ca_pem, found.ca_key) == (FILES["secrets"], CA_PEM, "ca-key-value\n")


def test_a_cluster_whose_registry_has_no_certificate_has_secrets_only() -> None:
    found = read(recovery_text(CLUSTER, CLUSTER_ID, 17, {"secrets": FILES["secrets"]}))
    assert (found.ca_pem, found.ca_key) == (None, None)


def test_a_copy_does_not_show_what_is_in_it() -> None:
    assert not [value for value in (*SECRETS.values(), "ca-key-value") if value in repr(read(TEXT))]
    assert repr(TEXT) == repr(read(TEXT).secrets) == "***"


def test_a_changed_byte_is_damage_wherever_it_is() -> None:
    data = TEXT.encode()
    taken = []
    for place in range(len(data)):
        try:
            parse_recovery("node2", data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        except ValueError:
            continue
        taken.append(place)
    assert taken == []


WRONG = {
    "empty": "",
    "cut off": TEXT[: len(TEXT) // 2],
    "a list": "[]",
    "deep": "[" * 100_000,
    "too long": TEXT + " " * MAX_BYTES,
    "of another version": TEXT.replace('"schema": 1', '"schema": 2'),
    "not text": "\x00\xff",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_not_a_copy_is_refused_without_a_word_of_what_is_in_it(wrong: str) -> None:
    with pytest.raises(ValueError) as raised:
        read(wrong)
    assert not [value for value in SECRETS.values() if value in str(raised.value)]


def resummed(text: str) -> str:
    """The same with the right sum, as somebody would write it who means it."""
    head, _, rest = text.partition(' "sum": "')
    kept = head + rest.partition("\n")[2]
    return f'{head} "sum": "{hashlib.sha256(kept.encode()).hexdigest()}"\n}}\n'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"cluster": "spark"', '"cluster": 7'),
        ('"cluster": "spark"', '"cluster": "a b"'),
        (f'"id": "{CLUSTER_ID}"', '"id": ""'),
        ('"uid": 6700', '"uid": -1'),
        ('"gid": 6700', '"gid": true'),
        ('"written": 17', '"written": "17"'),
        ('"storage": "qfs"', '"storage": "other"'),
        (' "secrets":', ' "secret":'),
        (json.dumps(FILES["secrets"]), '"{}"'),
        (json.dumps(FILES["secrets"]), '"{\\"a\\": 1}"'),
        (json.dumps(FILES["ca.key"]), "null"),
    ],
)
def test_a_copy_of_another_shape_is_refused(old: str, new: str) -> None:
    assert resummed(TEXT) == TEXT and old in TEXT
    with pytest.raises(ValueError, match=r"missing|kind|characters|texts by name"):
        read(resummed(TEXT.replace(old, new)))


def test_the_sum_of_the_managers_files_changes_with_each_of_them() -> None:
    sums = {material_sum(FILES), *(material_sum({**FILES, name: "other"}) for name in FILES)}
    sums |= {material_sum({name: FILES[name] for name in FILES if name != left}) for left in FILES}
    assert len(sums) == 1 + 2 * len(FILES)


def test_a_copy_tells_another_manager_or_address_from_this_one() -> None:
    moved = replace(CLUSTER, nodes=(replace(CLUSTER.nodes[0], advertise="192.168.1.99"), *CLUSTER.nodes[1:]))
    assert read(recovery_text(moved, CLUSTER_ID, 17, FILES)).address == "192.168.1.99"
    assert isinstance(recovery_text(moved, CLUSTER_ID, 17, FILES), Secret)

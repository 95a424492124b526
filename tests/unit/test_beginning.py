"""config/beginning.py: machines as they are typed, and the file that is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkqfs.config.beginning import Machine, machines, text_of
from sparkqfs.config.loading import load_config
from sparkqfs.errors import ConfigError


@pytest.mark.parametrize(
    ("word", "machine"),
    [
        ("192.168.1.11", Machine("192.168.1.11")),
        ("pi@192.168.1.11", Machine("192.168.1.11", "pi")),
        ("pi@192.168.1.11:2222", Machine("192.168.1.11", "pi", 2222)),
        ("rpi-3.home.arpa:22", Machine("rpi-3.home.arpa", None, 22)),
        ("192.168.1.11:22", Machine("192.168.1.11", None, 22)),
        ("192.168.1.11:8", Machine("192.168.1.11", None, 8)),
        ("Nuc", Machine("Nuc")),
        ("ssh://pi@192.168.1.11:22", Machine("192.168.1.11", "pi", 22)),
        ("ssh://nuc.lan/", Machine("nuc.lan")),
    ],
)
def test_a_machine_is_understood_as_it_is_typed_behind_ssh(word: str, machine: Machine) -> None:
    assert machines([word], None) == [machine]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("@10.0.0.1", "'' must be a user name"),
        ("10.0.0.300", "'10.0.0.300' must be an IPv4 address or a host name"),
        ("10.0.0.1:", "'' must be"),
        ("10.0.0.1:70000", "'70000' must be"),
        ("10.0.0.1:ssh", "'ssh' must be"),
        ("a b@10.0.0.1", "'a b' must be a user name"),
        ("ftp://pi@10.0.0.1", "a machine is HOST, USER@HOST or USER@HOST:PORT"),
        ("fe80::1", "a machine is HOST, USER@HOST or USER@HOST:PORT"),
        ("", "'' must be an IPv4 address or a host name"),
        ("\x1b[31m", "must be an IPv4 address or a host name"),
    ],
)
def test_a_word_that_is_no_machine_is_one_line_with_the_form(word: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        machines([word], None)
    assert said in str(caught.value) and "USER@HOST:PORT" in str(caught.value) and caught.value.exit_code == 2
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "word",
    ["192.168.1.11-13", "192.168.1.[11:13]", "192.168.1.[11-13]", "192.168.1.11..13", "192.168.1.11-192.168.1.13"],
)
def test_a_range_is_no_name_and_its_addresses_are_written_out(word: str) -> None:
    with pytest.raises(ConfigError, match=r"is a range; name each machine: 192.168.1.11, 192.168.1.12, 192.168.1.13$"):
        machines([word], None)
    with pytest.raises(ConfigError, match=r"192.168.1.17, …, 192.168.1.99$"):
        machines(["192.168.1.11-99"], None)
    with pytest.raises(ConfigError, match=r"is a range; name each machine$"):
        machines(["192.168.1.13-11"], None)


def test_a_range_is_no_address_in_a_cluster_file_either(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("nodes: {node1: 10.0.0.1-3}\n")
    with pytest.raises(ConfigError, match=r"nodes.node1: '10.0.0.1-3' is a range; name each machine: 10.0.0.1, "):
        load_config(tmp_path / "x.yml", {})


def test_a_port_behind_an_address_of_a_cluster_file_is_no_range(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("nodes: {node1: 10.0.0.1:22}\n")
    with pytest.raises(ConfigError, match=r"is more than an address; write \{address: 10.0.0.1, port: 22\}"):
        load_config(tmp_path / "x.yml", {})


def test_no_machine_is_a_sentence_with_the_form() -> None:
    with pytest.raises(ConfigError, match="no machine is named") as caught:
        machines([], None)
    assert caught.value.exit_code == 2 and "USER@HOST:PORT" in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        machines(["10.0.0.1", "10.0.0.1", "x:y", "-"], "0")
    assert len(caught.value.problems) == 4


def test_one_user_for_all_is_said_once_and_different_ones_at_their_machines(tmp_path: Path) -> None:
    assert {one.user for one in machines(["pi@10.0.0.1", "10.0.0.2"], "pi")} == {"pi"}
    file = tmp_path / "sparkqfs.yml"
    for words in (["pi@10.0.0.1", "me@10.0.0.2:23"], ["10.0.0.1", "me@10.0.0.2"]):
        found = machines(words, None)
        file.write_text(text_of(found))
        config = load_config(file, {})
        assert [node.user for node in config.nodes] == [one.user for one in found]


def test_the_file_is_small_and_its_first_machine_is_the_manager(tmp_path: Path) -> None:
    text = text_of(machines(["10.0.0.1", "on", "pi@rpi.lan:2222"], "pi"))
    file = tmp_path / "sparkqfs.yml"
    file.write_text(text)
    config = load_config(file, {})
    found = [(node.name, node.address, node.port, node.manager) for node in config.nodes]
    assert found == [("node1", "10.0.0.1", None, True), ("node2", "on", None, False), ("node3", "rpi.lan", 2222, False)]
    assert config.ssh.user == "pi"
    assert text.count("\n") == 7


@pytest.mark.parametrize("count", [1, 128, 300])
def test_many_machines_fit_into_the_subnet(tmp_path: Path, count: int) -> None:
    file = tmp_path / "sparkqfs.yml"
    file.write_text(text_of(machines([f"10.0.{number // 250}.{number % 250 + 1}" for number in range(count)], None)))
    assert len(load_config(file, {}).nodes) == count

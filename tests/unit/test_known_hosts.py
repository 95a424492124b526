"""clients/known_hosts.py: whose lines count. The verdicts are compared in tests/machines/test_as_openssh.py."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path

import pytest

from sparkqfs.clients.known_hosts import entries_of, known_name, matches, parsed, verdict
from sparkqfs.clients.login import _split_jump


def key(number: int) -> str:
    """A well-formed Ed25519 key."""
    parts = b"ssh-ed25519", number.to_bytes(32, "big")
    return base64.b64encode(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).decode()


def numbers(name: str, text: str) -> list[int]:
    return [entry.line for entry in parsed(Path("known_hosts"), text).of(name)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("host", True),
        ("HOST,other", True),
        ("h?st", True),
        ("*", True),
        ("*,!host", False),
        ("!host,*", False),
        ("!other", False),
        ("ho", False),
        ("host.example", False),
        ("[host]", False),
        ("h[o]st", False),
    ],
)
def test_names_and_patterns(names: str, expected: bool) -> None:
    assert matches("Host", names.split(",")) is expected
    assert bool(numbers("Host", f"{names} ssh-ed25519 {key(1)}\n")) is expected


def test_lines_count_in_the_order_of_the_file() -> None:
    lines = ("a,host", "ho*", "other", "host", "@revoked host", "  # x host", "", "@new host", "host,b")
    text = "".join(f"{line} ssh-ed25519 {key(1)}\n" for line in lines)
    assert numbers("host", text) == [1, 2, 4, 5, 9]


@pytest.mark.parametrize(
    "line",
    ["host", "host ssh-ed25519", "host ssh-ed25519 AAA", f"host ssh-rsa {key(1)}", f"host ssh-new {key(1)}", "@"],
)
def test_damaged_lines_say_nothing(line: str) -> None:
    assert numbers("host", f"{line}\nhost ssh-ed25519 {key(1)}\n") == [2]


def test_a_known_key_counts_whatever_else_there_is_and_a_revoked_one_never() -> None:
    file = parsed(Path("k"), f"h ssh-ed25519 {key(1)}\nh ssh-ed25519 {key(2)}\n@revoked * ssh-ed25519 {key(3)}\n")
    shown = {number: verdict(file.of("h"), base64.b64decode(key(number))) for number in (1, 2, 3, 4)}
    assert shown == {1: "known", 2: "known", 3: "revoked", 4: "changed"}
    assert verdict(file.of("other"), base64.b64decode(key(1))) == "new"


def test_a_name_has_its_port_unless_that_is_the_usual_one() -> None:
    assert (known_name("Host", 22), known_name("Host", 2222)) == ("host", "[host]:2222")


def test_a_file_is_read_again_when_it_has_changed_and_only_then(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text("".join(f"host{number} ssh-ed25519 {key(number)}\n" for number in range(6000)))
    started = time.process_time()
    assert [entry.line for entry in entries_of("host77", [path])] == [78]
    first = time.process_time() - started
    started = time.process_time()
    for _ in range(100):
        assert len(entries_of("host5999", [path])) == 1
    assert time.process_time() - started < 5 * first, "a look costs a hundredth of reading 6,000 lines, or less"
    path.write_text(f"host77 ssh-ed25519 {key(1)}\n")
    os.utime(path, ns=(1, 1))
    assert [entry.line for entry in entries_of("host77", [path])] == [1]


@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "known_hosts"
    if kind == "directory":
        path.mkdir()
    assert entries_of("host", [path]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gate", (None, "gate", None)),
        ("me@gate:2222", ("me", "gate", 2222)),
        ("me@corp@gate", ("me@corp", "gate", None)),
        ("[fe80::1]:22", (None, "fe80::1", 22)),
        ("me@[fe80::1]", ("me", "fe80::1", None)),
        ("ssh://me@gate:22", ("me", "gate", 22)),
    ],
)
def test_the_parts_of_a_jump_host(text: str, expected: tuple[str | None, str, int | None]) -> None:
    assert _split_jump(text) == expected

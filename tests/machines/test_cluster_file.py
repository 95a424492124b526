"""Which cluster file a task takes, that it says so first, and that the sample is nobody's cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from sparkqfs.config.finding import OTHER_SPELLINGS, OWN_FILE, SAMPLE_ADDRESSES, SAMPLE_FILE, ClusterFile, find
from sparkqfs.config.loading import load_config
from tests.doubles.servers import closed_port
from tests.paths import ROOT

OURS = [sys.executable, "-c", "import sys; sys.argv[0] = 'sparkqfs'; from sparkqfs.program import main; main()"]


def said(folder: Path, *words: str, program: list[str] = OURS, **env: str) -> tuple[int, list[str]]:
    """Exit code and lines of standard error."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SPARKQFS_", "INVOKE_"))}
    done = subprocess.run(
        [*program, *words],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr.splitlines()


def dead(name: str) -> str:
    """A cluster whose machine refuses connections."""
    return f"cluster: {name}\nnodes: {{node1: 127.0.0.1}}\nssh: {{port: {closed_port()}, user: root, known_hosts: k}}\n"


@pytest.fixture
def inner(tmp_path: Path) -> Iterator[Path]:
    """A directory two floors down."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    yield folder


def test_ones_own_file_takes_precedence_and_the_first_line_names_it(tmp_path: Path) -> None:
    (tmp_path / OWN_FILE).write_text(dead("own"))
    (tmp_path / SAMPLE_FILE).write_text(dead("other"))
    code, lines = said(tmp_path, "status")
    assert code == 3 and lines[0] == f"cluster file: {OWN_FILE}"
    code, lines = said(tmp_path, "doctor", "--hosts", SAMPLE_FILE)
    assert code == 3 and lines[0] == f"cluster file: {SAMPLE_FILE}"
    code, lines = said(tmp_path, "top", "--once", "--json", SPARKQFS_HOSTS=SAMPLE_FILE)
    assert code == 3 and lines[0] == f"cluster file: {SAMPLE_FILE}"


def test_a_message_calls_it_by_its_name(tmp_path: Path) -> None:
    (tmp_path / OWN_FILE).write_text(dead("own"))
    (tmp_path / "lab.yml").write_text(dead("lab"))
    assert any("no node nodex in sparkqfs.yml" in line for line in said(tmp_path, "prep", "--only", "nodex")[1])
    assert any(
        "no node nodex in lab.yml" in line
        for line in said(tmp_path, "prep", "--only", "nodex", "--hosts", "lab.yml")[1]
    )


def test_it_is_found_upwards_and_the_nearest_one_counts(tmp_path: Path, inner: Path) -> None:
    (tmp_path / OWN_FILE).write_text(dead("far"))
    code, lines = said(inner, "doctor")
    assert code == 3 and lines[0] == f"cluster file: {tmp_path / OWN_FILE}"
    (inner.parent / OWN_FILE).write_text(dead("near"))
    assert said(inner, "doctor")[1][0] == f"cluster file: {inner.parent / OWN_FILE}"
    (inner / SAMPLE_FILE).write_text(dead("here"))
    assert said(inner, "doctor")[1][0] == f"cluster file: {SAMPLE_FILE}"


@pytest.mark.parametrize(
    "words",
    [["purge"], ["purge", "--erase", "far"], ["init-qfs", "--erase", "far"], ["init-storage", "--erase", "far"]],
    ids=" ".join,
)
def test_what_erases_takes_no_file_from_above_unless_it_is_named(tmp_path: Path, inner: Path, words: list[str]) -> None:
    (tmp_path / OWN_FILE).write_text(dead("far"))
    code, lines = said(inner, *words)
    assert code == 2 and "is above this directory" in lines[0] and f"--hosts {tmp_path / OWN_FILE}" in lines[1]


def test_what_erases_takes_the_file_of_this_directory_and_one_that_is_named(tmp_path: Path, inner: Path) -> None:
    (tmp_path / OWN_FILE).write_text(dead("far"))
    code, lines = said(inner, "purge", "--erase", "far", "--hosts", str(tmp_path / OWN_FILE))
    assert code == 3 and lines[0] == f"cluster file: {tmp_path / OWN_FILE}"
    code, lines = said(tmp_path, "init-qfs", "--erase", "far")
    assert code == 3 and lines[0] == f"cluster file: {OWN_FILE}"


def test_what_does_not_erase_takes_it(tmp_path: Path, inner: Path) -> None:
    (tmp_path / OWN_FILE).write_text(dead("far"))
    assert said(inner, "init-qfs")[0] == 3


@pytest.mark.parametrize("words", [["up", "--yes"], ["purge", "--erase", "spark"]], ids=" ".join)
def test_a_task_on_the_sample_asks_no_machine_and_says_how_to_make_ones_own(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / SAMPLE_FILE).write_bytes((ROOT / SAMPLE_FILE).read_bytes())
    code, lines = said(tmp_path, *words)
    assert code == 2 and "no machine was asked" in lines[0] and "invoke new" in lines[1]
    assert all(address in lines[0] for address in SAMPLE_ADDRESSES)


def test_an_address_of_the_sample_that_was_left_is_named(tmp_path: Path) -> None:
    text = (ROOT / SAMPLE_FILE).read_text().replace("192.0.2.11", "10.0.0.1").replace("192.0.2.12", "10.0.0.2")
    (tmp_path / "lab.yml").write_text(text)
    code, lines = said(tmp_path, "doctor", "--hosts", "lab.yml")
    assert code == 2 and "node3 (192.0.2.13)" in lines[0] and "node1" not in lines[0]


def test_the_sample_next_to_ones_own_file_further_up_is_passed_over(
    tmp_path: Path, inner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / OWN_FILE).write_text(dead("own"))
    (inner / SAMPLE_FILE).write_bytes((ROOT / SAMPLE_FILE).read_bytes())
    monkeypatch.chdir(inner)
    assert find() == ClusterFile(tmp_path / OWN_FILE, is_above=True)
    (inner / OWN_FILE).symlink_to("gone")
    assert find() == ClusterFile(Path(OWN_FILE))


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_a_file_of_another_user_is_taken_only_where_one_stands_or_by_name(tmp_path: Path, inner: Path) -> None:
    (tmp_path / OWN_FILE).write_text(dead("theirs"))
    os.chown(tmp_path / OWN_FILE, 12345, 12345)
    code, lines = said(inner, "doctor", SUDO_UID="")
    assert code == 2 and "belongs to another user" in lines[0] and f"--hosts {tmp_path / OWN_FILE}" in lines[1]
    assert said(tmp_path, "doctor")[0] == 3
    assert said(inner, "doctor", "--hosts", str(tmp_path / OWN_FILE))[0] == 3
    assert said(inner, "doctor", SUDO_UID="12345")[0] == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("address: 192.0.2.11", "address: 10.9.9.9  # was 192.0.2.11"),
        lambda text: text + "<<<<<<< Updated upstream\n",
        lambda text: text.replace("  node3: 192.0.2.13", "  node3: 192.0.2.13\n  node4: 10.9.9.9"),
    ],
    ids=["changed", "half merged", "one more"],
)
def test_a_sample_that_was_changed_is_ones_own_and_nothing_above_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str]
) -> None:
    (tmp_path / OWN_FILE).write_text("nodes: {}\n")
    here = tmp_path / "project"
    here.mkdir()
    text = (ROOT / "hosts.yml").read_text()
    (here / "hosts.yml").write_text(text)
    monkeypatch.chdir(here)
    assert find().is_above
    assert change(text) != text
    (here / "hosts.yml").write_text(change(text))
    assert find() == ClusterFile(Path("hosts.yml"))


@pytest.mark.parametrize("name", OTHER_SPELLINGS)
def test_a_file_that_is_only_called_otherwise_is_named_and_nothing_above_is_taken(
    tmp_path: Path, inner: Path, name: str
) -> None:
    (inner / name).write_text(dead("here"))
    code, lines = said(inner, "status")
    assert code == 2 and lines[0] == f"{name} is not read: a cluster file is called {OWN_FILE}"
    assert f"`mv {name} {OWN_FILE}`" in lines[1] and f"--hosts {name}" in lines[1]
    (tmp_path / OWN_FILE).write_text(dead("far"))
    (inner / SAMPLE_FILE).write_bytes((ROOT / SAMPLE_FILE).read_bytes())
    code, lines = said(inner, "status")
    assert code == 2 and f"--hosts {tmp_path / OWN_FILE}" in lines[1]
    assert said(inner, "status", "--hosts", name)[1][0] == f"cluster file: {name}"
    (inner / OWN_FILE).write_text(dead("near"))
    assert said(inner, "status")[1][0] == f"cluster file: {OWN_FILE}"


def test_a_home_directory_is_understood_where_no_shell_expands_it(tmp_path: Path) -> None:
    (tmp_path / "lab.yml").write_text(dead("lab"))
    home = {"HOME": str(tmp_path)}
    for words, env in ((["--hosts=~/lab.yml"], home), ([], home | {"SPARKQFS_HOSTS": "~/lab.yml"})):
        code, lines = said(tmp_path, "status", *words, program=OURS, **env)
        assert code == 3 and lines[0] == f"cluster file: {tmp_path / 'lab.yml'}"
    assert said(tmp_path, "status", "--hosts", "~nobody-such/x.yml")[0] == 2


def test_a_variable_that_names_what_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / OWN_FILE).write_text(dead("own"))
    code, lines = said(tmp_path, "status", SPARKQFS_HOSTS="gone.yml")
    assert code == 2 and lines[0].startswith("gone.yml: cannot be read") and "unset SPARKQFS_HOSTS" in lines[1]
    assert said(tmp_path, "status", SPARKQFS_HOSTS="")[1][0] == f"cluster file: {OWN_FILE}"


def test_the_sample_has_the_addresses_that_are_known_as_its() -> None:
    assert tuple(node.address for node in load_config(ROOT / SAMPLE_FILE, {}).nodes) == SAMPLE_ADDRESSES
    assert yaml.safe_load((ROOT / SAMPLE_FILE).read_text()).keys() == {"nodes"}


def test_git_does_not_see_ones_own_file() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    for name in (OWN_FILE, f"docs/{OWN_FILE}", "sparkqfs.lab.yml"):
        ignored = subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, timeout=60, check=False)
        assert ignored.returncode == 0, name

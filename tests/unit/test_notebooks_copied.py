"""Notebooks of ours in the user's directory: what is written, and what is the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkqfs_runtime.supervise.notebooks import copy_notebooks


class Notebooks:
    """Our notebooks and the directory into which they are laid."""

    def __init__(self, root: Path) -> None:
        self.ours, self.theirs = root / "ours", root / "theirs"
        self.ours.mkdir()
        self.theirs.mkdir()

    def lay(self, **ours: str) -> dict[str, str]:
        """What is there after a start of an image with these notebooks."""
        for name, text in ours.items():
            (self.ours / f"{name}.ipynb").write_text(text)
        copy_notebooks(self.ours, self.theirs)
        return {
            path.name.removesuffix(".ipynb"): path.read_text() for path in self.theirs.glob("[!.]*") if path.is_file()
        }


@pytest.fixture
def notebooks(tmp_path: Path) -> Notebooks:
    return Notebooks(tmp_path)


def test_a_users_notebook_of_our_name_stays_and_ours_is_beside_it(notebooks: Notebooks) -> None:
    (notebooks.theirs / "a.ipynb").write_text("mine")
    assert notebooks.lay(a="ours", b="ours") == {"a": "mine", "a.new": "ours", "b": "ours"}
    assert not list(notebooks.theirs.glob("*.part"))


def test_an_upgrade_replaces_notebooks_that_nobody_has_changed(notebooks: Notebooks) -> None:
    notebooks.lay(a="old", b="old")
    (notebooks.theirs / "b.ipynb").write_text("old, and mine")
    before = (notebooks.theirs / "a.ipynb").stat().st_mtime_ns
    assert notebooks.lay(a="old", b="old") == {"a": "old", "b": "old, and mine"}
    assert (notebooks.theirs / "a.ipynb").stat().st_mtime_ns == before
    assert notebooks.lay(a="newer", b="newer") == {"a": "newer", "b": "old, and mine", "b.new": "newer"}
    assert notebooks.lay(a="newest", b="newest") == {"a": "newest", "b": "old, and mine", "b.new": "newest"}


def test_what_is_laid_beside_is_the_users_too(notebooks: Notebooks) -> None:
    (notebooks.theirs / "a.ipynb").write_text("mine")
    notebooks.lay(a="one")
    (notebooks.theirs / "a.new.ipynb").unlink()
    assert notebooks.lay(a="one") == {"a": "mine"}, "offered once"
    assert notebooks.lay(a="two") == {"a": "mine", "a.new": "two"}
    (notebooks.theirs / "a.new.ipynb").write_text("mine too")
    assert notebooks.lay(a="three") == {"a": "mine", "a.new": "mine too"}


def test_a_copy_that_broke_off_is_made_whole(notebooks: Notebooks) -> None:
    (notebooks.theirs / "a.ipynb").write_text("the begin")
    (notebooks.theirs / ".b.ipynb.part").write_text("the begin")
    assert notebooks.lay(a="the beginning", b="the beginning") == {"a": "the beginning", "b": "the beginning"}


def test_laying_notebooks_follows_no_link(notebooks: Notebooks, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    names = ("a.ipynb", "a.new.ipynb", ".b.ipynb.part", ".sparkqfs-notebooks.json")
    for name in names:
        (away / name).write_text("")
        (notebooks.theirs / name).symlink_to(away / name)
    (notebooks.theirs / "c.ipynb").mkdir()
    notebooks.lay(a="ours", b="ours")
    assert [(away / name).read_text() for name in names] == [""] * 4
    assert (notebooks.theirs / "b.ipynb").read_text() == "ours"


@pytest.mark.parametrize("text", ["[1", "[1]", pytest.param("[" * 200_000, id="nested")])
def test_a_damaged_list_of_what_was_laid_counts_as_none(notebooks: Notebooks, text: str) -> None:
    notebooks.lay(a="old")
    (notebooks.theirs / ".sparkqfs-notebooks.json").write_text(text)
    assert notebooks.lay(a="newer") == {"a": "old", "a.new": "newer"}

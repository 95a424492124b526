"""The pictures of the documentation are of what there is now."""

from __future__ import annotations

import json
import re

import pytest

from tests.builders.pictures import PICTURES, SHOWN, SHOWS, drawn_status, drawn_words, state_of
from tests.paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("name", sorted(SHOWS))
def test_a_picture_is_not_older_than_what_it_shows(name: str) -> None:
    shown = json.loads(SHOWN.read_text(encoding="utf-8"))
    word = name.partition(".")[0]
    assert shown.get(name) == state_of(name), f"{name} is old: python -m tests.cluster.pictures {word} --hosts FILE"


def test_the_picture_of_status_is_drawn_of_its_document() -> None:
    assert (PICTURES / "status.svg").read_text(encoding="utf-8") == drawn_status()


@pytest.mark.parametrize("name", ["sql", "jdbc"])
def test_the_picture_of_a_terminal_is_drawn_of_its_words(name: str) -> None:
    assert (PICTURES / f"{name}.svg").read_text(encoding="utf-8") == drawn_words(name)


def test_every_picture_is_on_a_page_and_has_a_text_instead() -> None:
    found = re.findall(
        r"!\[([^\]]+)\]\((?:docs/|\.\./)?pictures/([^)]+)\)", "".join(page.read_text() for page in PAGES)
    )
    assert {name for _, name in found} == set(SHOWS)

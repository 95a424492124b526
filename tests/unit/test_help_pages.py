"""`help docs/PAGE.md`: which words are pages, and which part of one is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkqfs.cli.pages import page
from sparkqfs.errors import ConfigError
from sparkqfs.report.doc_page import is_page, page_text, part_of
from sparkqfs.report.terminal import laid_out
from tests.paths import ROOT

PAGE = """\
# Title

## Names, with `code`

one

### A part of it

two

```sh
# Not a heading
## Next
```

## Next

three
"""


@pytest.mark.parametrize(
    ("word", "is_one"),
    [
        ("docs/files.md", True),
        ("./docs/files.md", True),
        ("files.md#names-on-qfs", True),
        ("docs/measured/sql.md", True),
        ("../etc/files.md", False),
        ("/etc/files.md", False),
        ("docs/../README.md", False),
        ("files", False),
        ("files.md.bak", False),
    ],
)
def test_what_is_a_page(word: str, is_one: bool) -> None:
    assert is_page(word) is is_one


@pytest.mark.parametrize(
    ("anchor", "first", "last"),
    [
        ("title", "# Title", "three"),
        ("names-with-code", "## Names, with `code`", "```"),
        ("a-part-of-it", "### A part of it", "```"),
        ("next", "## Next", "three"),
    ],
)
def test_a_part_goes_to_the_next_heading_of_its_level(anchor: str, first: str, last: str) -> None:
    lines = part_of(PAGE, anchor, "docs/page.md").splitlines()
    assert (lines[0], lines[-1]) == (first, last)


@pytest.mark.parametrize(
    ("word", "what", "hint"),
    [
        ("docs/fils.md", "no page docs/fils.md", "did you mean docs/files.md?"),
        ("docs/measured/nothing.md", "no page docs/measured/nothing.md", "docs/index.md lists the pages"),
        ("docs/files.md#nothing", "docs/files.md has no part #nothing", "without #nothing it is the whole page"),
        ("docs/../README.md", "docs/../README.md is not the name of a page", "a page is called docs/PAGE.md"),
    ],
)
def test_a_page_that_is_not_there(word: str, what: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        page_text(word)
    [problem] = caught.value.problems
    assert (problem.what, problem.hint) == (what, hint)


def test_a_link_of_a_page_is_found_as_its_part() -> None:
    shown = page("docs/files.md#names-on-qfs")
    assert shown.startswith("### Names on QFS\n") and shown in (ROOT / "docs/files.md").read_text(encoding="utf-8")


def test_a_terminal_gets_the_page_without_its_marks() -> None:
    shown = laid_out("# Title\n\nA *word*, `code` and [a page](files.md).\n")
    assert "Title" in shown and "A word, code and a page (files.md)." in shown and "#" not in shown


def test_a_page_may_be_anywhere_below_its_folder(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one.md").write_text("# One\n")
    assert page_text("docs/more/one.md", tmp_path) == "# One\n"

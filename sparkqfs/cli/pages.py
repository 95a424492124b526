"""`help docs/PAGE.md`: a page of the documentation, as messages name it."""

from __future__ import annotations

import sys


def page(word: str) -> str:
    """A page, or a part of it, with commands as they are here: laid out for a terminal, else in Markdown.

    Raises `ConfigError` where there is none.
    """
    from sparkqfs.report.doc_page import page_text
    from sparkqfs.report.reporter import as_called

    text = as_called(page_text(word))
    if not sys.stdout.isatty():
        return text
    from sparkqfs.report.terminal import laid_out

    return laid_out(text)

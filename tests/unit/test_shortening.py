"""shortening.py: long text for one line."""

from __future__ import annotations

import time

import pytest

from sparkqfs.shortening import shortened

URL = "https://registry.example.org:5000/v2/spark/worker-node/manifests/sha256:0123456789abcdef"


@pytest.mark.parametrize("most", range(1, 140))
def test_a_url_is_whole_or_not_there_at_any_length(most: int) -> None:
    for text in (f"cannot load {URL}: no answer from there", f"<{URL}>", URL, f"{URL} and {URL}"):
        found = shortened(text, most)
        assert found.replace(URL, "").find("://") < 0
        assert found == text or found.endswith("…")
        assert text.startswith(found.removesuffix("…"))


def test_what_has_no_url_gets_so_many_characters() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
    assert shortened("a://b c" * 3, 30) == "a://b c" * 3


def test_a_long_line_takes_no_time_and_a_long_address_is_cut() -> None:
    started = time.process_time()
    assert len(shortened("a1" * 200_000, 300)) == 300
    assert len(shortened("see http://" + "x" * 400_000, 300)) < 3000
    assert time.process_time() - started < 1

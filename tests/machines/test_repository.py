"""What is in the repository, as git lists it."""

from __future__ import annotations

import subprocess

import pytest

from tests.paths import ROOT


def test_the_repository_holds_text_of_reasonable_length_and_small_pictures_of_the_pages() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    ran = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60)
    wrong = []
    for name in ran.stdout.decode().split("\0"):
        content = (ROOT / name).read_bytes() if name and (ROOT / name).is_file() else b""
        is_picture = name.startswith("docs/pictures/") and content.startswith(b"\x89PNG")
        if (b"\0" in content and not is_picture) or len(content) > 200_000:
            wrong.append(f"{name}: {len(content)} bytes")
    assert not wrong

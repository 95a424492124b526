"""Chunks that a power cut left between their last sync and their name, and what must stay as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkqfs_runtime import finished_chunks
from tests.builders.chunks import BLOCK, CONTENT, chunk, put


def run(directory: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the program says."""
    assert finished_chunks.main([str(directory)]) == 0
    return capsys.readouterr().out


def test_a_chunk_that_was_finished_gets_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = put(tmp_path, chunk(3)).read_bytes()
    assert f"{tmp_path}/5.7.3: finished" in run(tmp_path, capsys)
    assert (tmp_path / "5.7.3").read_bytes() == before
    assert not list((tmp_path / "dirty").iterdir())


def test_a_chunk_with_a_part_that_was_never_written_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, chunk(3, bytes(BLOCK) + CONTENT, unwritten=(0,)))
    assert f"{tmp_path}/5.7.3: finished" in run(tmp_path, capsys)


LEFT = {
    "without the bytes of a part that has no checksum": chunk(3, CONTENT, unwritten=(0,)),
    "still written": chunk(0),
    "no header yet": b"",
    "a header of another chunk": chunk(3, chunk_id=8),
    "a damaged header": chunk(3)[:100] + b"x" + chunk(3)[101:],
    "without all its bytes": chunk(3)[:-1],
    "with zeros for bytes": chunk(3)[:16_384] + bytes(len(CONTENT)),
}


@pytest.mark.parametrize("name", LEFT)
def test_one_that_was_not_is_left_for_the_chunkserver(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(tmp_path, LEFT[name])
    assert run(tmp_path, capsys) == ""
    assert path.read_bytes() == LEFT[name]


def test_a_name_that_is_taken_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path, chunk(3))
    (tmp_path / "5.7.3").write_bytes(b"another")
    assert run(tmp_path, capsys) == ""
    assert path.exists()
    assert (tmp_path / "5.7.3").read_bytes() == b"another"


def test_a_link_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elsewhere").write_bytes(chunk(3))
    (tmp_path / "dirty").mkdir()
    (tmp_path / "dirty" / "5.7.0").symlink_to(tmp_path / "elsewhere")
    assert run(tmp_path, capsys) == ""


def test_a_directory_without_dirty_is_none_of_our_business(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, capsys) == ""

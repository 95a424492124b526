"""A backup on this computer: made whole or not at all, and every damage of its files is found without a cluster."""

from __future__ import annotations

import fcntl
import json
import os
import random
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from sparkqfs.errors import ClusterError, ConfigError
from sparkqfs.jobs.storage import backup_list, backup_store
from sparkqfs.jobs.storage.backup_names import Row, compare
from sparkqfs.plan.cluster.recovery import recovery_text
from sparkqfs.plan.storage.backups import ABOUT, METADATA, NAMES, RECOVERY, SUMS
from tests.builders.backups import IMAGE, LOG, PIECES, ROWS, a_backup, archive_of, names_of, reseal
from tests.builders.clusters import a_cluster

FILES = (METADATA, NAMES, RECOVERY, ABOUT, SUMS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return a_backup(tmp_path / "backups")


def problems(path: Path) -> list[str]:
    return [problem.what for problem in backup_store.check(path)[1]]


def test_a_whole_backup_opens_with_all_that_a_restore_needs(path: Path) -> None:
    backup = backup_store.open_backup(path)
    assert backup.recovery is not None and json.loads(backup.recovery.secrets) == {"cluster_key": "hidden"}
    assert backup.index is not None and [row[0] for row in backup.index["pieces"]] == [IMAGE, LOG]
    assert (backup.bundle, backup.names) == (path / METADATA, path / NAMES)
    assert backup.manifest.names is not None and backup.manifest.names.exact


def test_it_is_its_owners_alone(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {stat.S_IMODE((path / name).stat().st_mode) for name in (ABOUT, SUMS)} == {0o600}


def test_sha256sum_reads_its_checksums(path: Path) -> None:
    for line in (path / SUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert backup_store.sha256_of(path / name).sha256 == digest
    assert len((path / SUMS).read_text().splitlines()) == len(FILES) - 1


@pytest.mark.parametrize("name", FILES)
def test_a_changed_bit_anywhere_is_found_and_the_file_named(path: Path, name: str) -> None:
    whole = (path / name).read_bytes()
    chance = random.Random(name)
    places = {0, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(60))}
    for place in places:
        bit = 1 << chance.randrange(8)
        (path / name).write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        found = problems(path)
        assert found and any(name in one for one in found), (place, bit, found)
        if name in (METADATA, NAMES, RECOVERY):
            assert len(found) == 1
    (path / name).write_bytes(whole)
    assert problems(path) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_found(path: Path, name: str, left: float) -> None:
    os.truncate(path / name, int((path / name).stat().st_size * left))
    assert any(name in one for one in problems(path))


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_is_found(path: Path, name: str) -> None:
    (path / name).unlink()
    (one,) = problems(path)
    assert one.startswith(name)


def test_several_damages_are_told_one_by_one_and_stop_a_restore(path: Path) -> None:
    for name in (METADATA, NAMES):
        os.truncate(path / name, 10)
    assert [one.partition(":")[0] for one in problems(path)] == [METADATA, NAMES]
    with pytest.raises(ClusterError, match=r"metadata\.tar: has 10 bytes"):
        backup_store.open_backup(path)


def _garbled() -> bytes:
    whole = archive_of(PIECES)
    at = whole.index(PIECES[LOG])
    return whole[:at] + b"X" + whole[at + 1 :]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (METADATA, archive_of(PIECES, {"operation": 2}), "it is of qfs 12345 2"),
        (METADATA, archive_of(PIECES, {"identity": "999"}), "it is of qfs 999 1"),
        (METADATA, archive_of(PIECES, {"pieces": [[LOG, 1, "0" * 64]]}), "is not what state.json says"),
        (METADATA, archive_of({LOG: PIECES[LOG]}, {"pieces": [[IMAGE, 1, "0" * 64]]}), "is not what state.json says"),
        (METADATA, _garbled(), "its checksum is another one"),
        (METADATA, b"no archive", "not an archive"),
        (NAMES, names_of(ROWS[1:]), "not the list that backup.json tells of"),
        (NAMES, names_of(ROWS, 7), "not the list that backup.json tells of"),
        (NAMES, names_of(ROWS[::-1]), "not in order"),
        (NAMES, names_of(ROWS)[:-20], "cannot be read to its end"),
        (
            RECOVERY,
            recovery_text(a_cluster("node1", name="other"), "id", 1, {"secrets": '{"a": "b"}'}),
            "of cluster other",
        ),
        (RECOVERY, "{}", "its schema is not"),
    ],
)
def test_a_file_of_another_backup_is_found_although_the_checksums_fit(
    path: Path, name: str, data: bytes | str, said: str
) -> None:
    (path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    reseal(path)
    (one,) = problems(path)
    assert one.startswith(name) and said in one


def test_nothing_of_the_secrets_is_told(path: Path) -> None:
    backup = backup_store.open_backup(path)
    assert "hidden" not in f"{backup}{backup.manifest.text()}"


def test_what_was_broken_off_is_gone_at_once_or_at_the_next_run(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), backup_store.making(tmp_path) as folder:
        (folder / METADATA).write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    killed, running = tmp_path / ".making-1", tmp_path / ".making-2"
    killed.mkdir()
    running.mkdir()
    lock = os.open(running, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    a_backup(tmp_path)
    assert not killed.exists() and running.exists()
    os.close(lock)
    assert len(backup_store.found_in(tmp_path)) == 1


def test_two_of_one_second_both_stay(tmp_path: Path) -> None:
    first, second = a_backup(tmp_path), a_backup(tmp_path)
    assert second.name == f"{first.name}-2" and backup_store.check(second)[1] == []


def test_secrets_go_into_no_git_clone_unless_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert backup_store.default_place(a_cluster()) == tmp_path / "data" / "sparkqfs" / "backups" / "spark"
    (tmp_path / ".git").mkdir()
    with pytest.raises(ConfigError, match="git clone"):
        backup_store.default_place(a_cluster())


def test_the_newest_backup_of_the_cluster_is_taken(tmp_path: Path) -> None:
    a_backup(tmp_path, time=1_800_000_000.0)
    newest = a_backup(tmp_path, time=1_800_000_100.0)
    a_backup(tmp_path, cluster="other", time=1_800_000_200.0)
    assert backup_store.newest(tmp_path, "spark") == newest
    with pytest.raises(ConfigError, match="no backup of cluster none"):
        backup_store.newest(tmp_path, "none")


def test_a_backup_of_a_time_that_is_yet_to_come_is_taken_only_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made while this computer's clock was years ahead."""
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    ahead = a_backup(tmp_path, time=1_900_000_000.0)
    assert backup_store.newest(tmp_path, "spark") == ahead
    a_backup(tmp_path, time=1_700_000_000.0)
    newest = a_backup(tmp_path, time=1_700_000_100.0)
    assert backup_store.newest(tmp_path, "spark") == newest


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1}', "[" * 100_000])
def test_an_earlier_backup_does_not_stand_in_for_the_newest_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    a_backup(tmp_path, time=1_800_000_000.0)
    newest = a_backup(tmp_path, time=1_800_000_100.0)
    (newest / "backup.json").write_text(text)
    assert backup_store.newest(tmp_path, "spark") == newest
    assert backup_store.check(newest)[0] is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("cluster", 5), ("time", "x"), ("time", 1e300), ("files", {"a": 1}), ("kind", None)],
)
def test_a_backups_own_description_of_another_shape_is_a_fault_of_it(path: Path, key: str, value: object) -> None:
    found = json.loads((path / "backup.json").read_text())
    (path / "backup.json").write_text(json.dumps({**found, key: value}))
    row = backup_list.row_of(path)
    assert row["error"] and "cannot be read" in text([row])


@pytest.mark.parametrize("when", ["x", None, 1e300, -1, [1]])
def test_a_note_of_a_check_with_another_time_is_none(path: Path, when: object) -> None:
    backup_store.note_verified(path, {"schema": 1, "time": when, "depth": 3, "ok": True, "problems": []})
    assert "never verified" in text([backup_list.row_of(path)])


def test_a_list_tells_when_and_how_deep_each_was_verified(path: Path) -> None:
    assert "never verified" in text([backup_list.row_of(path)])
    backup_store.note_verified(path, {"schema": 1, "time": 0.0, "depth": 3, "ok": True, "problems": []})
    assert "verified to depth 3 2 h ago" in text([backup_list.row_of(path)])
    assert problems(path) == [], "what came of a check is in no sum"
    backup_store.note_verified(path, {"schema": 1, "time": 0.0, "depth": 0, "ok": False, "problems": ["x"]})
    assert "DAMAGED" in text([backup_list.row_of(path)])
    (path / ABOUT).write_text("{}")
    assert "cannot be read" in text([backup_list.row_of(path)])


def text(rows: list[dict[str, Any]]) -> str:
    return backup_list.text_of(Path("/backups"), rows, [], 7200.0)


ONE = (Row("/a", "-"), Row("/a/b", "1"), Row("/a b", "2"))


def test_names_are_compared_one_by_one() -> None:
    same = sorted(ONE, key=lambda row: row.path.split("/"))
    assert compare(same, same).total == 0
    found = compare(same, [Row("/a", "-"), Row("/a/b", "3"), Row("/c", "4")])
    assert (found.missing, found.added, found.changed) == (1, 1, 1)
    assert "/a/b: 1 in the list, 3 in the metadata" in found.text()
    assert "/Ü ber\\n is only in the list" in compare([Row("/%C3%9C%20ber%0A", "1")], []).text()


def test_a_name_is_right_when_it_is_as_it_was_before_or_after_the_list_was_made() -> None:
    before, after = [Row("/a", "1"), Row("/b", "2")], [Row("/a", "5"), Row("/c", "3")]
    for seen in (before, after, [Row("/a", "5"), Row("/b", "2")], [Row("/a", "1")]):
        assert compare(seen, before, after).total == 0
    assert compare([Row("/a", "4")], before, after).changed == 1
    assert compare([], before, after).added == 1

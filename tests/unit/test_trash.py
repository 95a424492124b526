"""What empties the trash of QFS's tools; the tool is a function that keeps directories in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sparkqfs_runtime.trash import empty_all, moment

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


class Tool:
    """Answers as `qfs -ls` does, from path → lines; remembers what else it was told."""

    def __init__(self, **listed: tuple[str, ...]) -> None:
        self.listed = {f"/user{name.replace('__', '/')}": rows for name, rows in listed.items()}
        self.told: list[tuple[str, ...]] = []

    def __call__(self, *words: str) -> str:
        if words[0] != "-ls":
            self.told.append(words)
            return ""
        if words[1] not in self.listed:
            raise OSError(f"qfs {' '.join(words)}: permission denied")
        rows = self.listed[words[1]]
        return f"Found {len(rows)} items\n" + "".join(
            f"{row[0]}rwx------ - spark spark 1 2026-01-01 00:00 {words[1]}/{row[1:]}\n" for row in rows
        )


def test_only_what_lies_there_for_more_than_a_week_is_removed() -> None:
    tool = Tool(
        **{"": ("dspark", "-file", "dno[a-z]"), "__spark": ("d.Trash", "dwork"),
           "__spark__.Trash": ("dCurrent", "d2602211200", "d2602221230", "d2602221229.2", "d9999999999", "dkept",
                               "-2601010000")}
    )  # fmt: skip
    said: list[str] = []
    empty_all(tool, NOW, said.append)
    removed = [words[2] for words in tool.told if words[:2] == ("-rmr", "-skipTrash")]
    assert removed == ["/user/spark/.Trash/2602211200", "/user/spark/.Trash/2602221229.2"]
    assert tool.told[0] == ("-mv", "/user/spark/.Trash/Current", "/user/spark/.Trash/2603011230")
    assert len(said) == 2


def test_what_was_removed_within_a_day_has_one_name() -> None:
    tool = Tool(**{"": ("dspark",), "__spark": ("d.Trash",), "__spark__.Trash": ("dCurrent", "d2602281300")})
    empty_all(tool, NOW, print)
    assert tool.told == []
    empty_all(tool, NOW + timedelta(minutes=30), print)
    assert tool.told == [("-mv", "/user/spark/.Trash/Current", "/user/spark/.Trash/2603011300")]


def test_a_link_in_the_place_of_a_trash_or_of_what_is_in_it_is_left_alone() -> None:
    old = "2601010000"
    tool = Tool(
        **{"": ("lother", "dspark", "dann"), "__spark": ("l.Trash",), "__spark__.Trash": (f"d{old}",),
           "__other": ("d.Trash",), "__ann": ("d.Trash",), "__ann__.Trash": (f"l{old}", "lCurrent")}
    )  # fmt: skip
    empty_all(tool, NOW, print)
    assert tool.told == []


def test_a_trash_that_cannot_be_looked_at_is_told_and_the_others_are_emptied() -> None:
    tool = Tool(
        **{"": ("dann", "dspark"), "__ann": ("d.Trash",), "__spark": ("d.Trash",), "__spark__.Trash": ("d2601010000",)}
    )
    said: list[str] = []
    empty_all(tool, NOW, said.append)
    assert [words[-1] for words in tool.told] == ["/user/spark/.Trash/2601010000"]
    assert said[0].startswith("/user/ann/.Trash was not emptied: ") and "permission denied" in said[0]


def test_a_name_is_a_minute_or_nothing() -> None:
    assert moment("2602281300") == moment("2602281300.12") == datetime(2026, 2, 28, 13, 0, tzinfo=UTC)
    assert [moment(name) for name in ("2602301300", "26022813001", "2602281300.", "Current", "")] == [None] * 5

"""runtime sql: a text as statements, rows as text."""

from __future__ import annotations

import csv
import datetime
import io
import json
from decimal import Decimal
from typing import Any

import pytest

from sparkqfs_runtime.sql import show
from sparkqfs_runtime.sql.statements import is_open, split


def texts(text: str) -> list[str]:
    return [one.text for one in split(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("select 1", ["select 1"]),
        ("select 1;", ["select 1"]),
        ("select 1; select 2 ;\n", ["select 1", "select 2"]),
        (";;\n ; -- only a comment\n/* and one */;", []),
        ("", []),
        ("select ';' ; select \"a;b\", `c;d`", ["select ';'", 'select "a;b", `c;d`']),
        (r"select 'it\'s; here'; select 'a'';b'", [r"select 'it\'s; here'", "select 'a'';b'"]),
        (r"select r'\'; select R" + r'"\"', [r"select r'\'", r'select R"\"']),
        ("select 1 -- no end; here\n; select 2", ["select 1 -- no end; here", "select 2"]),
        ("select /* a ; /* in ; */ still ; */ 1; select 2", ["select /* a ; /* in ; */ still ; */ 1", "select 2"]),
        ("select 'open; select 2", ["select 'open; select 2"]),
        ("select /* open; select 2", ["select /* open; select 2"]),
        ("select case when a then 1 end; select 2", ["select case when a then 1 end", "select 2"]),
        ("select `begin` from t; select 2", ["select `begin` from t", "select 2"]),
        ("BEGIN SELECT 1; SELECT 2; END; select 3", ["BEGIN SELECT 1; SELECT 2; END", "select 3"]),
        (
            "begin if a then select case when b then 1 end; end if; while c do select 1; end while; end; select 3",
            ["begin if a then select case when b then 1 end; end if; while c do select 1; end while; end", "select 3"],
        ),
        ("begin begin select 1; end; select 2; end; x", ["begin begin select 1; end; select 2; end", "x"]),
        ("begin case a when 1 then x; end case; end; y", ["begin case a when 1 then x; end case; end", "y"]),
        ("begin select window.end, w . /* of */ end; end; y", ["begin select window.end, w . /* of */ end; end", "y"]),
        ("begin select t.begin, t1.case, `t`.end; end; y", ["begin select t.begin, t1.case, `t`.end; end", "y"]),
        ("begin select case a when 1 then 1. end; end; y", ["begin select case a when 1 then 1. end; end", "y"]),
        ("select begin from t; select end from t", ["select begin from t", "select end from t"]),
        (
            "begin select case when a then 1 end, case when b then 2 end; select 1; end; y",
            ["begin select case when a then 1 end, case when b then 2 end; select 1; end", "y"],
        ),
        ("begin select case a when 1 then 2 end + case b when 1 then 2 end; end; y",
            ["begin select case a when 1 then 2 end + case b when 1 then 2 end; end", "y"]),
        ("begin select start, end from t; select 1; end; y", ["begin select start, end from t; select 1; end", "y"]),
        ("begin select begin, end as x from t; end; y", ["begin select begin, end as x from t; end", "y"]),
        ("begin repeat select 1; until end > 3 end repeat; end; y",
            ["begin repeat select 1; until end > 3 end repeat; end", "y"]),
        ("begin l: begin select 1; end l; `m`: loop leave m; end loop m; end; y",
            ["begin l: begin select 1; end l; `m`: loop leave m; end loop m; end", "y"]),
        ("begin declare exit handler for not found begin select 1; end; select 2; end; y",
            ["begin declare exit handler for not found begin select 1; end; select 2; end", "y"]),
        ("begin case when a then if b then select 1; end if; else begin select 2; end; end case; end; y",
            ["begin case when a then if b then select 1; end if; else begin select 2; end; end case; end", "y"]),
        ("begin if case a when 1 then true end then select 1; end if; end; y",
            ["begin if case a when 1 then true end then select 1; end if; end", "y"]),
        ("begin select handler, begin from t; end; y", ["begin select handler, begin from t; end", "y"]),
        ("begin not atomic begin select 1; end; end; y", ["begin not atomic begin select 1; end; end", "y"]),
        ("begin select abschließend from t; end; y", ["begin select abschließend from t; end", "y"]),
        ("select 1 -- goes on \\\n; here\n; select 2", ["select 1 -- goes on \\\n; here", "select 2"]),
    ],
)  # fmt: skip
def test_a_text_is_split_where_spark_would_end_a_statement(text: str, found: list[str]) -> None:
    assert texts(text) == found


def test_a_statement_knows_the_line_on_which_it_begins() -> None:
    assert [one.line for one in split("select 1;\n\n  -- about it\nselect 2; select 3;\nselect\n4")] == [1, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "open_"),
    [
        ("select 1", True), ("select 1;", False), ("", False), ("-- nothing", False), ("select ';", True),
        ("select 1; select", True), ("begin select 1;", True), ("begin select 1; end;", False),
        ("select 1; -- x", False),
    ],
)  # fmt: skip
def test_what_is_typed_goes_on_until_a_semicolon_ends_it(text: str, open_: bool) -> None:
    assert is_open(text) is open_


VALUES: list[tuple[Any, str, str]] = [
    (None, "", "null"),
    (True, "true", "true"),
    (7, "7", "7"),
    (Decimal("1E+3"), "1000", "1000"),
    (Decimal("12345678901234567890.10"), "12345678901234567890.10", "12345678901234567890.10"),
    (0.1, "0.1", "0.1"),
    (float("nan"), "nan", '"nan"'),
    ("grün", "grün", '"grün"'),
    (datetime.date(2026, 1, 2), "2026-01-02", '"2026-01-02"'),
    (datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02 03:04:05", '"2026-01-02 03:04:05"'),
    (b"\x00\xff", "AP8=", '"AP8="'),
    ([1, None, "a"], '[1, null, "a"]', '[1, null, "a"]'),
    ({"k": 1, 2: [Decimal("0.50")]}, '{"k": 1, "2": [0.50]}', '{"k": 1, "2": [0.50]}'),
]


@pytest.mark.parametrize(("value", "text", "document"), VALUES)
def test_each_kind_of_value_has_one_form_as_text_and_one_as_json(value: Any, text: str, document: str) -> None:
    assert (show.text_of(value), show.json_of(value)) == (text, document)
    json.loads(document)


def written(function: Any, *words: Any, **more: Any) -> str:
    parts: list[str] = []
    function(*words, parts.append, **more)
    return "".join(parts)


def test_csv_is_read_back_as_it_was_and_null_is_not_the_empty_text() -> None:
    rows = [("a,b", 1), ('say "x"', None), ("two\nlines", 2), ("", 3), (None, None)]
    text = written(show.as_csv, ["name", "n"], rows)
    assert list(csv.reader(io.StringIO(text)))[1:] == [
        ["a,b", "1"],
        ['say "x"', ""],
        ["two\nlines", "2"],
        ["", "3"],
        ["", ""],
    ]
    assert text.splitlines()[-2:] == ['"",3', ","]
    assert written(show.as_csv, ["n"], [("",), (None,), ("x",)]) == 'n\n""\n\nx\n'


def test_a_line_end_of_any_kind_in_a_field_of_csv_is_quoted_also_in_the_header() -> None:
    rows = [("one\rtwo",), ("three\r\nfour",), ("\r",), (["a\rb"],)]
    text = written(show.as_csv, ["a\rname"], rows)
    assert text == '"a\rname"\n"one\rtwo"\n"three\r\nfour"\n"\r"\n"[""a\\rb""]"\n'
    assert list(csv.reader(io.StringIO(text, newline="")))[1:3] == [["one\rtwo"], ["three\r\nfour"]]


def test_a_binary_value_of_no_bytes_is_not_null_in_csv() -> None:
    assert written(show.as_csv, ["a", "b"], [(b"", None)]) == 'a,b\n"",\n'


def test_a_record_has_all_columns_also_those_of_one_name() -> None:
    text = written(show.as_records, ["a", "a", "a_2"], ["int", "string", "int"], [(1, "x", 2)])
    first, row = map(json.loads, text.splitlines())
    assert [one["name"] for one in first["columns"]] == ["a", "a_3", "a_2"]
    assert row == {"row": {"a": 1, "a_3": "x", "a_2": 2}}


def test_a_table_is_aligned_for_wide_letters_and_cut_on_a_terminal_only() -> None:
    rows = [(1, "日本"), (-20, None), (300, "a\tb\x1b[2J")]
    lines = written(show.as_table, ["n", "text"], rows).splitlines()
    assert lines == ["  n  text", "---  -------------", "  1  日本", "-20  NULL", "300  a\\tb\\u001b[2J"]
    long = [("x" * 200,)]
    assert len(written(show.as_table, ["t"], long).splitlines()[2]) == 200
    assert written(show.as_table, ["t"], long, widest=10).splitlines()[2] == "x" * 9 + "…"


def test_more_rows_than_are_looked_at_first_all_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "FIRST_ROWS", 2)
    for function in (show.as_table, show.as_csv):
        assert written(function, ["n"], ((n,) for n in range(5))).split()[-5:] == list("01234")

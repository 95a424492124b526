"""plan/watching/logs.py and plan/times.py: which lines, in which order, how many."""

from __future__ import annotations

import time

import pytest

from sparkqfs.errors import ConfigError, ExitCode
from sparkqfs.facts.log_lines import LogLine, Printed, parse_line
from sparkqfs.plan.times import moment
from sparkqfs.plan.watching import logs
from sparkqfs.plan.watching.logs import Kept, Merge, Place, Wanted, pattern_of

NOW = 1769860800.0  # 2026-01-31T12:00:00Z


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("10m", 600),
        ("1h30m", 5400),
        ("2d", 172800),
        ("1w", 604800),
        ("0s", 0),
        ("2026-01-31T11:00:00Z", 3600),
        ("2026-01-31T13:00:00+02:00", 3600),
        ("2026-01-30T12:00Z", 86400),
    ],
)
def test_a_time_is_one_or_a_span_before_now(text: str, ago: int) -> None:
    assert moment("--since", text, NOW) == NOW - ago


def test_a_time_without_its_distance_from_utc_is_this_computers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-3")
    time.tzset()
    try:
        assert moment("--since", "2026-01-31T14:00", NOW) == NOW - 3600
    finally:
        monkeypatch.undo()
        time.tzset()


def test_longer_ago_than_there_was_time_is_all() -> None:
    assert moment("--since", "999999999999w", NOW) == moment("--since", "1900-01-01", NOW) == 0.0


@pytest.mark.parametrize(
    "text", ["", "m", "10", "10x", "-5m", "٣h", "1.5h", "soon", "2026-13-01", "9999999999999d", "\n"]
)
def test_what_is_no_time_is_one_sentence_with_flag_and_value(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        moment("--since", text, NOW)
    assert caught.value.exit_code == ExitCode.USAGE
    assert f"--since {text}: " in str(caught.value)


@pytest.mark.parametrize("text", ["(", "[a", "*", "(?P<", "a{9999999999999999999}", "(?i)a(?i)", "\\"])
def test_a_wrong_pattern_is_one_sentence_with_flag_and_value(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pattern_of(text)
    assert caught.value.exit_code == ExitCode.USAGE and f"--grep {text}: it is not a regular" in str(caught.value)


def a_line(time: str, node: str = "node1") -> LogLine:
    return LogLine(time=time, node=node, service="s", text=time)


def test_a_line_waits_for_earlier_ones_of_other_machines() -> None:
    merge = Merge(hold_s=0.5)
    merge.add([a_line("3"), a_line("5")], now=10.0)
    assert merge.due(10.4) == []
    merge.add([a_line("4", "node2"), a_line("7", "node2")], now=10.4)
    assert [one.time for one in merge.due(10.5)] == ["3", "4", "5"]
    assert [one.time for one in merge.due(11.0)] == ["7"] and merge.due(99.0) == []


def test_lines_of_one_time_stay_in_the_order_in_which_they_came() -> None:
    merge = Merge(hold_s=0.0)
    merge.add([LogLine(time="1", node="n", service="s", text=str(number)) for number in range(20)], now=1.0)
    assert [one.text for one in merge.due(1.0)] == [str(number) for number in range(20)]


def test_never_more_than_so_many_lines_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_HELD", 3)
    merge = Merge(hold_s=9.0)
    merge.add([a_line(str(number)) for number in range(5)], now=1.0)
    assert len(merge.due(1.0)) == 5


def test_a_log_that_is_read_again_gives_each_line_once() -> None:
    place = Place()
    assert [place.is_new(one) for one in ("1", "2", "2")] == [True, True, True]
    place.again()
    assert [place.is_new(one) for one in ("1", "2", "2", "2", "3")] == [False, False, False, True, True]
    place.again()
    assert [place.is_new(one) for one in ("2", "3", "4")] == [False, False, True]


def test_a_line_with_an_earlier_time_than_the_one_before_is_not_lost() -> None:
    place = Place()
    assert [place.is_new(one) for one in ("5", "3", "3", "4", "2")] == [True] * 5, "a clock was set back"
    place.again()
    assert [place.is_new(one) for one in ("5", "3", "3", "4", "2", "2", "3", "6", "1")] == [False] * 5 + [True] * 4
    place.again()
    place.again()
    assert [place.is_new(one) for one in ("3", "6", "1", "1", "6")] == [False, False, False, True, True]


def test_a_place_that_is_no_longer_in_the_log_is_not_sought_for_ever() -> None:
    place = Place()
    assert [place.is_new(one) for one in ("1", "2")] == [True, True]
    place.again()
    assert [place.is_new(one) for one in ("3", "2", "4")] == [True, True, True]


def printed(text: str) -> Printed:
    return Printed(container="c", time="t", text=text)


def test_of_a_container_the_last_lines_are_kept_and_not_more_bytes_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    two = Kept(2)
    for text in ("a", "b", "c"):
        two.add(printed(text))
    assert [one.text for one in two.lines] == ["b", "c"] and not two.is_cut
    monkeypatch.setattr(logs, "MOST_BYTES", 10)
    bounded = Kept(logs.MOST_LINES)
    for text in ("12345678", "123", "4567"):
        bounded.add(printed(text))
    assert [one.text for one in bounded.lines] == ["123", "4567"] and bounded.is_cut


def test_how_many_lines_a_user_wants() -> None:
    assert (Wanted().most, Wanted(tail=7).most, Wanted(since=1.0).most) == (50, 7, logs.MOST_LINES)
    assert Wanted(tail=10**12).most == logs.MOST_LINES
    assert (Wanted(tail=7).engine_tail, Wanted(since=1.0).engine_tail) == ("7", str(logs.MOST_LINES + 1))
    assert Wanted(grep=pattern_of("x"), tail=3).engine_tail == "all" and Wanted(tail=0).engine_tail == "0"


@pytest.mark.parametrize("line", ["", "x", "Error response from daemon: No such container: x", "a" * 64 + " soon text"])
def test_an_engines_own_words_are_no_line_of_a_container(line: str) -> None:
    assert parse_line(line) is None


def test_a_line_may_be_empty() -> None:
    assert parse_line("a" * 64 + " 2026-01-31T12:00:00.000000000Z") is not None

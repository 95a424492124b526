"""top: a machine's counters, the rates between two looks, progress of applications."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkqfs.facts.usage import UsageSample, parse_active_applications, parse_stages, parse_usage, usage_between
from tests.builders.usage import USAGE as ANSWER

SAMPLE = parse_usage(ANSWER)


def test_an_answer_becomes_a_sample_in_bytes_and_degrees() -> None:
    assert (
        UsageSample(
            uptime_s=1000.5,
            cores=4,
            cpu_busy=170,  # idle and waiting for disks are not busy; the guests' 70 are in user already
            cpu_total=1020,
            load=1.25,
            memory_bytes=8000 * 1024,
            memory_free_bytes=2000 * 1024,
            disk_read_bytes=5120,
            disk_written_bytes=10240,
            received_bytes=1000,
            sent_bytes=3000,
            data_bytes=400 * 1024,
            data_free_bytes=100 * 1024,
            celsius=61.5,
        )
        == SAMPLE
    )


def test_a_machine_without_a_sensor_has_no_temperature() -> None:
    assert parse_usage(ANSWER.replace("celsius 61500", "celsius ")).celsius is None


@pytest.mark.parametrize("cut", ["end\n", "net 1000 3000\n", "memory 8000 2000\n"])
def test_an_answer_with_a_line_missing_is_an_error(cut: str) -> None:
    with pytest.raises(ValueError, match="answer"):
        parse_usage(ANSWER.replace(cut, ""))


def test_rates_are_what_was_added_a_second() -> None:
    later = replace(
        SAMPLE,
        uptime_s=SAMPLE.uptime_s + 2,
        cpu_busy=SAMPLE.cpu_busy + 30,
        cpu_total=SAMPLE.cpu_total + 120,
        received_bytes=SAMPLE.received_bytes + 5000,
        disk_written_bytes=SAMPLE.disk_written_bytes + 800,
    )
    usage = usage_between(SAMPLE, later)
    assert (usage.cpu, usage.receive_rate, usage.disk_write_rate, usage.send_rate) == (0.25, 2500.0, 400.0, 0.0)
    assert usage.memory_used_bytes == 6000 * 1024
    assert usage.data_used_bytes == 300 * 1024


def test_a_machine_that_has_restarted_shows_no_negative_rates() -> None:
    restarted = replace(SAMPLE, uptime_s=3.0, cpu_busy=1, cpu_total=9, received_bytes=10)
    usage = usage_between(SAMPLE, restarted)
    assert (usage.cpu, usage.receive_rate) == (0.0, 0.0)


def test_what_runs_and_how_far_it_has_come() -> None:
    assert parse_active_applications({"activeapps": [{"id": "app-1", "name": "pi", "cores": 2}]}) == {"app-1": "pi"}
    stage = {"stageId": 3, "name": "collect at x.py:1", "numTasks": 8, "numCompleteTasks": 5, "numActiveTasks": 2}
    (found,) = parse_stages("app-1", [{**stage, "numFailedTasks": 1}])
    assert (found.stage, found.tasks, found.done, found.running, found.failed) == (3, 8, 5, 2, 1)


@pytest.mark.parametrize("body", [None, [], {"activeapps": None}])
def test_another_answer_than_the_masters_is_an_error(body: object) -> None:
    with pytest.raises(ValueError, match="Spark master"):
        parse_active_applications(body)

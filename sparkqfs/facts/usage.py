"""What a machine is doing: raw counters, and the rates between two looks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSample:
    """Counters of one machine at one moment. Source: proc(5); sysfs-class-thermal, hwmon sysfs interface."""

    uptime_s: float
    cores: int
    cpu_busy: int
    """Ticks that all cores together did not idle, since the machine started."""
    cpu_total: int
    """Ticks of all cores together."""
    load: float
    """Processes that ran or waited for a disk, average of the last minute."""
    memory_bytes: int
    memory_free_bytes: int
    """What programs can still get."""
    disk_read_bytes: int
    disk_written_bytes: int
    received_bytes: int
    sent_bytes: int
    data_bytes: int
    """Size of the file systems of all data directories."""
    data_free_bytes: int
    celsius: float | None
    """The hottest sensor; `None` where the machine tells none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a machine did between two looks. Rates are per second."""

    cores: int
    cpu: float
    """Share of all cores that was busy, 0 to 1."""
    load: float
    memory_bytes: int
    memory_used_bytes: int
    disk_read_rate: float
    disk_write_rate: float
    receive_rate: float
    send_rate: float
    data_bytes: int
    data_used_bytes: int
    celsius: float | None


def parse_usage(text: str) -> UsageSample:
    """Read the lines `key value…` that remote/usage.sh prints. Raises `ValueError` on another shape."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, *rest = line.split()
        values[key] = rest
    if "end" not in values:
        raise ValueError("the machine's answer is cut off")
    try:
        ticks = [int(item) for item in values["cpu"]]
        celsius = values["celsius"]
        return UsageSample(
            uptime_s=float(values["uptime"][0]),
            cores=int(values["cores"][0]),
            # user nice system idle iowait irq softirq steal; the guests' time is in user already
            cpu_busy=sum(ticks[:8]) - ticks[3] - ticks[4],
            cpu_total=sum(ticks[:8]),
            load=float(values["load"][0]),
            memory_bytes=1024 * int(values["memory"][0]),
            memory_free_bytes=1024 * int(values["memory"][1]),
            disk_read_bytes=512 * int(values["disk"][0]),
            disk_written_bytes=512 * int(values["disk"][1]),
            received_bytes=int(values["net"][0]),
            sent_bytes=int(values["net"][1]),
            data_bytes=1024 * int(values["data"][0]),
            data_free_bytes=1024 * int(values["data"][1]),
            celsius=int(celsius[0]) / 1000 if celsius else None,
        )
    except (KeyError, IndexError) as error:
        raise ValueError(f"no {error} in the machine's answer") from error


def usage_between(before: UsageSample, after: UsageSample) -> Usage:
    """Rates between two looks at the same machine; zero where no time has passed or a counter began anew."""
    seconds = after.uptime_s - before.uptime_s

    def rate(old: int, new: int) -> float:
        return (new - old) / seconds if seconds > 0 and new >= old else 0.0

    ticks = after.cpu_total - before.cpu_total
    busy = after.cpu_busy - before.cpu_busy
    return Usage(
        cores=after.cores,
        cpu=min(1.0, max(0.0, busy / ticks)) if ticks > 0 else 0.0,
        load=after.load,
        memory_bytes=after.memory_bytes,
        memory_used_bytes=after.memory_bytes - after.memory_free_bytes,
        disk_read_rate=rate(before.disk_read_bytes, after.disk_read_bytes),
        disk_write_rate=rate(before.disk_written_bytes, after.disk_written_bytes),
        receive_rate=rate(before.received_bytes, after.received_bytes),
        send_rate=rate(before.sent_bytes, after.sent_bytes),
        data_bytes=after.data_bytes,
        data_used_bytes=after.data_bytes - after.data_free_bytes,
        celsius=after.celsius,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStage:
    """A stage of an application that runs. Counts are tasks."""

    application: str
    stage: int
    name: str
    tasks: int
    done: int
    running: int
    failed: int


def parse_active_applications(body: object) -> dict[str, str]:
    """Id → name of what runs, from the Spark master's `/json/`. Raises `ValueError`."""
    if not isinstance(body, dict) or not isinstance(body.get("activeapps"), list):
        raise ValueError("no `activeapps` in the Spark master's answer")
    return {str(app["id"]): str(app["name"]) for app in body["activeapps"]}


def parse_stages(application: str, body: object) -> tuple[RunningStage, ...]:
    """Read `/api/v1/applications/ID/stages?status=active` of a driver. Source: Spark 4.1, monitoring.md.

    Raises `ValueError` on another shape.
    """
    if not isinstance(body, list):
        raise ValueError("no list of stages in the application's answer")
    return tuple(
        RunningStage(
            application=application,
            stage=int(stage["stageId"]),
            name=str(stage["name"]),
            tasks=int(stage["numTasks"]),
            done=int(stage["numCompleteTasks"]),
            running=int(stage["numActiveTasks"]),
            failed=int(stage["numFailedTasks"]),
        )
        for stage in body
    )

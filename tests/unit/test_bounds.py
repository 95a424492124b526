"""What grows has a bound: containers' logs, executors' output, times, in all that starts a container."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sparkqfs.config.model import ClusterConfig, LogsConfig, StorageConfig
from sparkqfs.plan.programs.apps import driver_task
from sparkqfs.plan.stack import OUTPUT_PIECES
from sparkqfs_runtime import kept_output
from tests.builders.apps import ID, JUPYTER
from tests.builders.clusters import a_cluster
from tests.builders.stacks import SHARED, build, defaults, services
from tests.paths import ROOT

LOGS = LogsConfig(container_mib=20, program_mib=8, days=3)


def test_every_service_has_a_log_that_ends() -> None:
    for storage in (StorageConfig(), StorageConfig(kind="hdfs"), SHARED):
        found = services(a_cluster(storage=storage, logs=LOGS))
        assert len(found) >= 4
        for name, service in found.items():
            logging = service["logging"]
            assert logging["driver"] == "json-file", name
            assert bytes_of(logging["options"]) == 20 << 20, name


def bytes_of(options: dict[str, str]) -> int:
    """Of all files of a log."""
    found = re.fullmatch(r"(\d+)k", options["max-size"])
    assert found is not None
    return int(found[1]) * 1024 * int(options["max-file"])


def test_a_driver_has_the_log_limit_of_the_stack_that_runs() -> None:
    template = JUPYTER["Spec"]["TaskTemplate"]
    limit = {"Name": "json-file", "Options": {"max-size": "1m"}}
    bounded: Any = {"Spec": {"TaskTemplate": {**template, "LogDriver": limit}}}
    assert driver_task(bounded, "spark", "node1", ID, 1000)["LogDriver"] == limit
    assert "LogDriver" not in driver_task(JUPYTER, "spark", "node1", ID, 1000)


def test_programs_keep_as_much_as_hosts_yml_says() -> None:
    config = a_cluster(logs=LOGS)
    lines = dict(line.split(None, 1) for line in defaults(build(config)).splitlines() if line.startswith("spark."))
    pieces = int(lines["spark.executor.logs.rolling.maxRetainedFiles"]) + 1
    assert int(lines["spark.executor.logs.rolling.maxSize"]) * pieces == 8 << 20
    assert lines["spark.worker.cleanup.appDataTtl"].strip() == str(3 * 86400)
    found = services(config)
    assert found["jupyter-server"]["environment"]["SPARKQFS_PROGRAM_LOG_BYTES"] == str(8 << 20)
    assert found["worker-node"]["environment"]["SPARKQFS_KEEP_DAYS"] == "3"
    assert kept_output.PIECES == OUTPUT_PIECES


def test_nothing_of_ours_runs_a_container_whose_log_has_no_end() -> None:
    """Every `docker run` in the sources; those of services are in the tests above."""
    found = 0
    sources = [path for suffix in ("py", "sh") for path in (ROOT / "sparkqfs").rglob(f"*.{suffix}")]
    for path in [*sources, ROOT / "demo", ROOT / "setup.sh"]:
        for command in re.findall(r"^\s*docker run (?:.*\\\n)*.*", path.read_text(), re.MULTILINE):
            found += 1
            assert "--log-driver" in command or '"$@"' in command, f"{path}: {command}"
    assert found == 2


@pytest.mark.parametrize("other", [LogsConfig(), LOGS])
def test_another_limit_is_another_stack(other: LogsConfig) -> None:
    def digest(config: ClusterConfig) -> str:
        return build(config).digest

    assert (digest(a_cluster(logs=other)) == digest(a_cluster(logs=LOGS))) is (other == LOGS)

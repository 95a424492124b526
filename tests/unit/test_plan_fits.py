"""Whether a program's executors fit: what Spark's master would wait for in silence."""

from __future__ import annotations

import pytest

from sparkqfs.errors import ClusterError, ConfigError, ExitCode
from sparkqfs.facts.pages import WorkerFact
from sparkqfs.plan.programs.apps import Program
from sparkqfs.plan.programs.fits import Room, check_driver, driver_size, fit_executors, parse_defaults, parse_memory

DEFAULTS = {"spark.executor.cores": "2", "spark.executor.memory": "1024m", "spark.deploy.defaultCores": "4"}
WORKERS = (
    WorkerFact(host="10.0.0.1", cores=4, memory_mib=2048),
    WorkerFact(host="10.0.0.2", cores=4, memory_mib=2048),
    WorkerFact(host="10.0.0.3", cores=2, memory_mib=6144),
)


def a_program(*conf: str, cores: int | None = None) -> Program:
    return Program(program="a.py", conf=conf, cores=cores)


def test_the_deployed_settings_are_read_the_last_one_counts() -> None:
    text = "# a comment\nspark.executor.cores   2\n\nspark.sql.x a b\nspark.executor.cores 3\n"
    assert parse_defaults(text) == {"spark.executor.cores": "3", "spark.sql.x": "a b"}


@pytest.mark.parametrize(("cores", "rounded"), [(1, 2), (2, 2), (3, 4), (100, 100)])
def test_cores_are_rounded_up_to_whole_executors_and_that_is_said(cores: int, rounded: int) -> None:
    program, notes = fit_executors(a_program(cores=cores), DEFAULTS, WORKERS)
    assert program.cores == rounded
    said = f"--cores {cores}: an executor has 2 cores, so it asks for {rounded}"
    assert notes == ((said,) if rounded != cores else ())


def test_executors_of_other_cores_round_otherwise() -> None:
    assert fit_executors(a_program("spark.executor.cores=4", cores=5), DEFAULTS, WORKERS)[0].cores == 8


def test_without_any_wish_nothing_changes() -> None:
    assert fit_executors(a_program(), DEFAULTS, WORKERS) == (a_program(), ())


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        (("spark.executor.cores=5",), "an executor of 5 cores and 1024 MiB fits on none of the 3 Spark workers"),
        (("spark.executor.memory=8g",), "an executor of 2 cores and 8192 MiB fits on none"),
        (("spark.executor.memory=7000",), "an executor of 2 cores and 7000 MiB fits on none"),
        (("spark.executor.memory=4g", "spark.executor.cores=4"), "4 cores and 2048 MiB, 2 cores and 6144 MiB"),
        (("spark.cores.max=1",), "spark.cores.max is 1, and an executor has 2 cores: Spark would start none"),
        (("spark.executor.cores=4", "spark.cores.max=3"), "spark.cores.max is 3, and an executor has 4 cores"),
        (("spark.executor.memory=lots",), "--conf spark.executor.memory=lots: expected a size, such as 4g or 512m"),
        (("spark.executor.cores=0",), "--conf spark.executor.cores=0: must be 1 or more"),
    ],
)
def test_what_the_master_would_never_start_is_refused_with_the_arithmetic(conf: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        fit_executors(a_program(*conf), DEFAULTS, WORKERS)


def test_larger_executors_than_the_default_number_of_cores_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"spark\.deploy.defaultCores is 4, and an executor has 6 cores"):
        fit_executors(a_program("spark.executor.cores=6"), DEFAULTS, (WorkerFact(host="a", cores=8, memory_mib=4096),))


def test_a_large_executor_may_fit_on_some_workers_only() -> None:
    fit_executors(a_program("spark.executor.memory=4g"), DEFAULTS, WORKERS)


def test_without_a_worker_nothing_is_refused_and_that_is_said() -> None:
    _, notes = fit_executors(a_program("spark.executor.memory=4g"), DEFAULTS, ())
    assert notes == ("no Spark worker is alive: it waits for one",)


# --- the driver's memory --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "heap", "overhead", "python"),
    [
        (a_program(), 1024, 224, 512),
        (Program(program="a.py", driver_memory_mib=512), 512, 224, 256),
        (Program(program="a.py", driver_memory_mib=8192), 8192, 819, 4096),
        (a_program("spark.driver.memory=4g"), 4096, 409, 2048),
        (a_program("spark.driver.memoryOverhead=3g"), 1024, 3072, 0),
        (Program(program="a.jar", main_class="A"), 1024, 224, 0),
    ],
)
def test_a_drivers_memory_is_its_heap_the_rest_of_the_jvm_and_python(
    program: Program, heap: int, overhead: int, python: int
) -> None:
    size = driver_size(program, {"spark.driver.memory": "1024m"})
    assert (size.heap_mib, size.overhead_mib, size.python_mib) == (heap, overhead, python)
    assert size.memory_mib == heap + overhead + python


def a_room(available: int, promised: int = 0, drivers: int = 0) -> Room:
    return Room(total_mib=8000, available_mib=available, promised_mib=promised, drivers=drivers)


def test_a_driver_that_fits_beside_what_the_others_may_still_take_is_sent() -> None:
    check_driver(driver_size(a_program(), {}), a_room(3000, 1240, 2), "node1")


def test_a_driver_that_does_not_fit_now_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(ClusterError) as caught:
        check_driver(driver_size(a_program(), {}), a_room(3000, 1241, 2), "node1")
    said = "[node1] a driver of heap 1024 + JVM 224 + Python 512 = 1760 MiB does not fit: 3000 of 8000 MiB are free"
    assert str(caught.value).startswith(f"{said}, less 1241 that 2 drivers that run may still take = 1759 MiB")
    assert caught.value.exit_code == ExitCode.FAILED


def test_a_driver_larger_than_the_machine_is_bad_input() -> None:
    with pytest.raises(ConfigError, match="does not fit into the machine's 8000 MiB"):
        check_driver(driver_size(Program(program="a.py", driver_memory_mib=8192), {}), a_room(7000), "node1")


def test_memory_is_read_as_the_kernel_writes_it() -> None:
    assert parse_memory("MemTotal:       24683736 kB\nMemAvailable:   20480000 kB\n") == (24105, 20000)
    with pytest.raises(ValueError, match="no memory"):
        parse_memory("MemTotal: 1 kB\n")

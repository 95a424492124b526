"""What a deploy says: what it waits for, and of a failed container's log."""

from __future__ import annotations

from sparkqfs.facts.swarm import TaskFact
from sparkqfs.jobs.cluster.deploy import nodes_loading, telling_lines

LOG = """\
26/11/23 13:54:52 ERROR SparkUncaughtExceptionHandler: Uncaught exception in thread Thread[main,5,main]
java.lang.NumberFormatException: spark.worker.cleanup.interval should be long, but was never
\tat org.apache.spark.internal.config.ConfigHelpers$.toNumber(ConfigBuilder.scala:31)
    at scala.Option.map(Option.scala:242)
\t... 12 more

sparkqfs: the Spark worker ended with exit code 1; stopping the container
"""


def test_stack_frames_do_not_push_the_reason_out() -> None:
    assert [line.split(":")[0] for line in telling_lines(LOG, 2)] == ["java.lang.NumberFormatException", "sparkqfs"]


def test_the_last_lines_are_taken() -> None:
    assert telling_lines("\n".join(map(str, range(30))), 3) == ["27", "28", "29"]


def test_machines_that_load_images_are_those_of_tasks_that_should_run() -> None:
    def task(node: str, state: str, desired: str = "running") -> TaskFact:
        return TaskFact(service="worker-node", node=node, state=state, desired=desired, error="", container_id="")

    tasks = [task("b", "preparing"), task("a", "preparing"), task("b", "preparing"), task("c", "starting")]
    assert nodes_loading([*tasks, task("d", "preparing", "shutdown")]) == ["a", "b"]

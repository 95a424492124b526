"""What a failed deploy quotes of a container's log."""

from __future__ import annotations

from sparkqfs.jobs.cluster.deploy import telling_lines

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

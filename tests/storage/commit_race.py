"""Writers of one log that rename to the same name at once, as Delta commits: who wins, and what the others are told.

For tests/storage/test_commits.py and bench/commits.py.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sparkqfs.config.model import StorageConfig, StorageKind
from sparkqfs.plan.storage import backend_of
from tests.builders.clusters import a_cluster

WON, LOST = "won", "lost"


def settings(kind: StorageKind) -> dict[str, str]:
    """The file system's classes, as the stack sets them for Spark."""
    conf = backend_of(a_cluster(storage=StorageConfig(kind=kind))).spark_conf(a_cluster())
    prefix = "spark.hadoop."
    return {key.removeprefix(prefix): value for key, value in conf.items() if key.startswith(f"{prefix}fs.")}


class Writer:
    """A process of its own that answers commands: tests/storage/java/Commits.java, or another program like it."""

    def __init__(
        self,
        root: str,
        name: str,
        class_path: str,
        conf: Mapping[str, str],
        environment: Mapping[str, str],
        log: Path,
        program: str = "Commits",
    ) -> None:
        java = ("java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", class_path, program, root, name)
        words = [f"{key}={value}" for key, value in conf.items()]
        self._log = log.open("ab")
        self.process = subprocess.Popen(
            [*java, *words],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def tell(self, *words: object) -> None:
        """Sends a command and does not wait."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """To the oldest command that is not answered yet. Raises `BrokenPipeError` when the process has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise BrokenPipeError(f"the writer has ended: {Path(self._log.name).read_text(encoding='utf-8')[-2000:]}")
        return line.strip()

    def __call__(self, *words: object) -> str:
        """A command's answer."""
        self.tell(*words)
        return self.answer()

    def kill(self) -> None:
        """By force, whatever it does."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.stdout.close()
        self._log.close()


@contextlib.contextmanager
def writers(
    root: str, count: int, class_path: str, conf: Mapping[str, str], environment: Mapping[str, str], home: Path
) -> Iterator[list[Writer]]:
    """So many processes."""
    running: list[Writer] = []
    try:
        for number in range(count):
            running.append(Writer(root, str(number), class_path, conf, environment, home / f"writer-{number}.log"))
        yield running
    finally:
        for writer in running:
            writer.close()


def race(running: Sequence[Writer], directory: str, rounds: int) -> Counter[str]:
    """All rename to one new name, so often. How many rounds ended in which way: `one winner` is the only right one.

    A round is right when one writer was told that it won, every other one that the name is there, and the file is the
    winner's. `told …` counts what losers were told otherwise.
    """
    running[0]("mkdir", directory)
    found: Counter[str] = Counter()
    winners: list[set[int]] = []
    for number in range(rounds):
        for command in (("ready", directory), ("commit", directory, f"{number:020}.json")):
            for writer in running:
                writer.tell(*command)
            answers = [writer.answer() for writer in running]
        winners.append({place for place, answer in enumerate(answers) if answer == WON})
        found.update(f"told {answer.split(':')[0]}" for answer in answers if answer not in (WON, LOST))
    lengths = [int(length) - 1 for length in running[0]("lengths", directory).split()]
    assert len(lengths) == rounds, f"{len(lengths)} files of {rounds} rounds"
    for owner, won in zip(lengths, winners, strict=True):
        found["one winner" if won == {owner} else f"{len(won)} winners" if len(won) != 1 else "another's file"] += 1
    return found

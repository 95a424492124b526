"""clients/background.py where one falls silent: what is shown, and when it is asked again."""

from __future__ import annotations

import time

from sparkqfs.clients.background import Background
from sparkqfs.errors import ClusterError, Problem


def test_a_silent_one_is_not_asked_again_and_is_back_with_its_answer() -> None:
    asked: list[str] = []
    free = [False]

    def ask(name: str) -> int:
        asked.append(name)
        while name == "slow" and not free[0]:
            time.sleep(0.01)
        return len(asked)

    background = Background(ask, limit=4)
    for _ in range(3):
        found = background.look(("slow", "quick"), within_s=0.3)
        assert list(found.values) == ["quick"] and list(found.failures) == ["slow"]
    assert asked.count("slow") == 1
    free[0] = True
    time.sleep(0.1)
    assert set(background.look(("slow", "quick"), within_s=5).values) == {"slow", "quick"}


def test_what_failed_before_is_the_reason_while_nothing_new_is_known() -> None:
    tries: list[int] = []

    def ask(name: str) -> int:
        tries.append(1)
        if len(tries) > 1:
            time.sleep(3)
        raise ClusterError(Problem(node=name, what="connection refused"))

    background = Background(ask, limit=1)
    for _ in range(2):
        found = background.look(("node1",), within_s=2)
        assert [problem.what for problem in found.problems] == ["connection refused"]

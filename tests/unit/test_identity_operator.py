"""An operator who types what the hints say, whatever has changed, comes to an end, and loses nothing on the way."""

from __future__ import annotations

import random
import re

import pytest

from tests.builders.identity_changes import (
    D1,
    D2,
    OLDER,
    Change,
    a_config,
    addresses_swapped,
    disk_moved,
    joining,
    managed_by,
    metadata_to,
    mounted_elsewhere,
    new_disk,
    new_manager,
    node_with,
    renamed,
    swapped,
    third_disk,
    unmounted,
    with_dirs,
    without,
    without_metadata,
)
from tests.builders.identity_runs import words_of
from tests.builders.worlds import a_grown_world, prep

CHANGES: tuple[Change, ...] = (
    OLDER,
    addresses_swapped,
    disk_moved,
    joining(D1, D2),
    managed_by("node2"),
    metadata_to("node2", D1),
    metadata_to("node1", D2),
    metadata_to("node3", D1, copied=True),
    mounted_elsewhere,
    new_disk("node1", D1),
    new_disk("node2", D1),
    new_manager(D1, D2),
    node_with("node1", data_dirs=(D2, D1)),
    node_with("node2", data_dirs=("/mnt/x1", D2)),
    node_with("node2", data_dirs=(D1,)),
    renamed("node1", "head"),
    renamed("node2", "rack1"),
    swapped("node1", "node3", D1),
    swapped("node2", "node3", D1),
    third_disk("node2"),
    unmounted("node1", D2),
    unmounted("node3", D2),
    with_dirs("/mnt/x1", "/mnt/x2"),
    without("node1"),
    without("node3"),
    without_metadata,
)
COMMANDS = 14


@pytest.mark.parametrize("seed", range(60))
def test_an_operator_who_types_what_the_hints_say_comes_to_an_end(seed: int) -> None:
    dice = random.Random(seed)
    config = a_config()
    world = a_grown_world(config)
    for change in dice.sample(CHANGES, 2):
        try:
            changed = world.again()
            then = change(changed, config)
        except KeyError:  # of a node or a disk that the first change took away
            continue
        if sum(node.manager for node in then.nodes) == 1:
            world, config = changed, then
    files, typed = world.all_files(), list[str]()
    for _ in range(COMMANDS):
        problems = prep(world, config)[0].problems
        commands = [one for problem in problems for one in re.findall(r"`invoke prep ([^`]+)`", str(problem.hint))]
        assert all(problem.hint for problem in problems)
        if not commands:
            break
        typed.append(dice.choice(commands))
        prep(world, config, **words_of(typed[-1]))
    else:
        pytest.fail(f"{typed}: {problems}")
    assert [text for text in files if text not in world.all_files()] == []

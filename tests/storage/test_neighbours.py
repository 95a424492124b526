"""Which hosts of a chunk a scheduler is told of, on placements as QFS makes them: the writer's node and any others."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.storage.qfs_reader import Driver

Hosts = list[list[str]]


def placed(writers: list[str], nodes: int, copies: int, seed: int) -> Hosts:
    """The owners of each chunk, one of `writers` each; in no order, as the metaserver's answer has none."""
    chance = random.Random(seed)
    hosts = [f"n{number}" for number in range(nodes)]
    chunks = [[writer, *chance.sample([host for host in hosts if host != writer], copies - 1)] for writer in writers]
    return [chance.sample(owners, len(owners)) for owners in chunks]


def prefer(inside: Driver, owners: Hosts) -> Hosts:
    """What `Neighbours` makes of it."""
    return [word.split(",") for word in inside("prefer", *(",".join(hosts) for hosts in owners)).split()]


def least(owners: Hosts) -> int:
    """For how many chunks the busiest host has to be named when the writer has them all and the others some."""
    held = Counter(host for hosts in owners for host in hosts)
    return next(most for most in range(1, len(owners) + 1) if sum(min(most, n) for n in held.values()) >= len(owners))


def borders(named: Hosts, owners: Hosts) -> int:
    """Chunks whose successor is not on the first host named for them."""
    return sum(hosts[0] not in after for hosts, after in zip(named, owners[1:], strict=False))


@pytest.mark.parametrize("copies", [2, 3])
@pytest.mark.parametrize("nodes", [3, 6])
@pytest.mark.parametrize("chunks", [12, 40, 160])
def test_a_large_file_of_one_writer_is_spread_over_all_that_have_it(
    inside: Driver, nodes: int, copies: int, chunks: int
) -> None:
    for seed in range(20):
        owners = placed(["n0"] * chunks, nodes, copies, seed)
        named = prefer(inside, owners)
        assert all(set(hosts) <= set(those) and hosts for hosts, those in zip(named, owners, strict=True))
        most = max(least(owners), 1.5 * chunks / nodes)
        assert max(Counter(hosts[0] for hosts in named if len(hosts) == 1).values(), default=0) <= most
        assert (copies < nodes) or named == owners
        assert named == prefer(inside, owners)


def test_most_chunks_of_a_spread_file_have_their_successor_on_the_same_host_where_that_can_be(inside: Driver) -> None:
    owners = placed(["n0"] * 160, 3, 2, 1)
    named = prefer(inside, owners)
    at = [index for index, hosts in enumerate(named) if hosts == ["n0"]]
    longest = max(sum(1 for _ in run) for run in runs(at))
    assert longest >= 160 // 3
    assert borders(named, owners) <= 60  # of the 107 that are not the writer's; half of them, when chosen blindly


def runs(numbers: list[int]) -> list[list[int]]:
    """Numbers that follow each other."""
    result: list[list[int]] = []
    for number in numbers:
        if result and result[-1][-1] == number - 1:
            result[-1].append(number)
        else:
            result.append([number])
    return result


@pytest.mark.parametrize("copies", [2, 3])
def test_a_file_of_several_writers_stays_with_them(inside: Driver, copies: int) -> None:
    writers = [f"n{number // 10}" for number in range(60)]
    owners = placed(writers, 6, copies, 2)
    for index, hosts in enumerate(prefer(inside, owners)):
        beside = [owners[other] for other in (index - 1, index + 1) if 0 <= other < len(owners)]
        held = {host: sum(host in other for other in beside) for host in owners[index]}
        assert hosts == [host for host in owners[index] if held[host] == max(held.values())]


def test_a_small_file_stays_with_its_writer(inside: Driver) -> None:
    assert prefer(inside, [["n0", "n1"], ["n2", "n0"], ["n0", "n1"]]) == [["n0"], ["n0"], ["n0"]]


def test_one_copy_leaves_no_choice_and_a_hole_has_no_host(inside: Driver) -> None:
    assert prefer(inside, [["n0"]] * 9) == [["n0"]] * 9
    assert prefer(inside, [["n0", "n1"], ["-"], *[["n0", "n2"]] * 6])[1] == ["-"]
